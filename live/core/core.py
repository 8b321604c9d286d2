"""`Core`: one account's state, moved by events, answering with commands.

    row -> Bars, Book (1, N) -> strategy, streamed -> position rule -> orders

The rule is `strategies.common.position`, the very functions a backtest scans: fills are booked by `apply_fill`, rows by
`mark` and `decide`. What the core adds is what a market of others needs: an id for every order, a table of what
may happen to it, each execution once, and a halt.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import msgspec

from data.calendar import SECOND_NS, parse_clock
from live.core.columns import columns_of, put
from live.core.commands import Alert, Cancel, Command, Protect, Side, Submit
from live.core.events import (
    Event,
    Fill,
    Operator,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderSent,
    OrderUnknown,
    Row,
    Timer,
)
from live.core.orders import FILLABLE, Order, State, order_id
from live.core.plan import Plan
from strategies.common.load import Strategy
from strategies.common.position import (
    CASH,
    EQUITY,
    FIELDS,
    K_LOT,
    K_TOUCH,
    ORDER,
    QTY,
    REASON,
    REASONS,
    SIZE,
    SLOTS,
    STOP,
    TARGET,
    apply_fill,
    clear_order,
    decide,
    fresh,
    mark,
    nan,
    opens_risk,
    stop_level,
)
from strategies.common.stream import Stream

OPERATOR = "operator"
UNKNOWN_ALARM_S = 30
SILENT_ROWS = 3


class Counts(msgspec.Struct):
    """How often something was heard that was not acted on."""

    rows: int = 0
    late_rows: int = 0
    duplicate_fills: int = 0
    ignored: int = 0
    contradictions: int = 0


class Core:
    """One account's decisions.

    Args:
        plan: what to trade and how.
        strategy: the one the plan names.

    Raises:
        JournalError: the strategy's source is not the plan's.
    """

    def __init__(self, plan: Plan, strategy: Strategy) -> None:
        plan.check(strategy)
        self.plan, self.strategy = plan, strategy
        self.symbols = tuple(plan.symbols)
        self.params = strategy.bind(plan.params)
        self.knobs = plan.the_rule().knobs(plan.clock)
        self.clock_ns = parse_clock(plan.clock) * SECOND_NS
        count = len(self.symbols)
        self.slots = fresh(count)
        self.account = [plan.cash, plan.cash]
        self.orders: dict[str, Order] = {}
        self.counts = Counts()
        self.halted = ""
        self.last_ts = 0
        self._to_close = 0.0
        self._silent = False
        self._stream = Stream()
        self._row = [0.0] * (count * FIELDS)
        self._waiting: list[Order | None] = [None] * count
        self._guards: list[Protect | None] = [None] * count
        self._touch = self.knobs[K_TOUCH] > 0.0
        self._steps: dict[type, Callable[[Any], list[Command]]] = {
            Row: self._on_row,
            Fill: self._on_fill,
            OrderSent: lambda e: self._moved(e, State.SENDING),
            OrderAccepted: lambda e: self._moved(e, State.WORKING if e.working else State.ACKED),
            OrderUnknown: self._on_unknown,
            OrderQuarantined: self._on_quarantined,
            OrderRefused: self._on_refused,
            OrderExpired: lambda e: self._ended(e, State.EXPIRED),
            OrderCancelled: lambda e: self._ended(e, State.CANCELLED),
            Timer: self._on_timer,
            Operator: self._on_operator,
        }

    def step(self, event: Event) -> list[Command]:
        """Take one event in; what is to be done about it.

        Raises:
            DataError, StrategyError: the row or the strategy broke its contract. The account must then stop.
        """
        return self._steps[type(event)](event)

    @property
    def equity(self) -> float:
        """Cash and positions at the last row's closes."""
        return self.account[EQUITY]

    @property
    def cash(self) -> float:
        """Cash after every fill heard of."""
        return self.account[CASH]

    @property
    def positions(self) -> list[float]:
        """Signed shares per symbol."""
        return self.slots[QTY::SLOTS]

    def digest(self) -> str:
        """SHA-256 over the canonical bytes of everything later decisions depend on."""
        sha = hashlib.sha256()
        for numbers in (self.slots, self.account):
            sha.update(struct.pack(f"<{len(numbers)}d", *(v if v == v else nan for v in numbers)))
        sha.update(msgspec.msgpack.encode((self.last_ts, self.halted, self._silent, self.counts)))
        sha.update(msgspec.msgpack.encode(list(self.orders.values())))
        sha.update(self._stream.digest().encode())
        return sha.hexdigest()

    # --- the market -------------------------------------------------------------------------------------------------

    def _on_row(self, row: Row) -> list[Command]:
        if row.ts <= self.last_ts:
            self.counts.late_rows += 1
            return [Alert(row.ts, "warning", "row.late", f"a row of {row.ts} came after that of {self.last_ts}")]
        s, x, count = self.slots, self._row, len(self.symbols)
        bars, book = columns_of(row, self.symbols)
        signals = self.strategy.step(self._stream, bars, book, self.params)
        put(x, row, signals, count)
        if self.halted:  # an entry of size nothing is not taken, and a reversal becomes an exit
            x[SIZE::FIELDS] = [0.0] * count
        self.last_ts, self._to_close, self._silent = row.ts, row.to_close, False
        self.counts.rows += 1
        mark(s, self.account, x, self.knobs, count)
        commands: list[Command] = []
        if decide(s, self.account, x, self.knobs, count, row.to_close) > 0:
            for j in range(count):
                if s[j * SLOTS + ORDER] != 0.0 and self._waiting[j] is None:
                    self._submit(j, REASONS[int(s[j * SLOTS + REASON])], commands)
        if self._touch:
            for j in range(count):
                self._guard(j, row.ts, commands)
        return commands

    def _submit(self, j: int, reason: str, commands: list[Command]) -> None:
        """Send the waiting order of symbol j; its position's protection is taken back first."""
        b = j * SLOTS
        quantity = self.slots[b + ORDER]
        side: Side = "buy" if quantity > 0.0 else "sell"
        self._unguard(j, self.last_ts, commands)
        order = self._planned(j, "market", side, abs(quantity), reason)
        self._waiting[j] = order
        commands.append(
            Submit(
                order_id=order.order_id,
                ts=self.last_ts,
                symbol=self.symbols[j],
                side=side,
                quantity=order.quantity,
                reason=reason,
                good_for="row" if opens_risk(self.slots, b) else "fill",
            )
        )

    def _planned(self, j: int, kind: str, side: Side, quantity: float, reason: str) -> Order:
        """A new order in the table: planned, checked, and durable once the shell has written its command."""
        key, times = "", 0
        while not key or key in self.orders:
            leg = kind if times == 0 else f"{kind} {times + 1}"
            key = order_id(self.plan.account, self.plan.source_hash, self.symbols[j], self.last_ts, leg)
            times += 1
        order = Order(key, j, kind, side, quantity, reason, self.last_ts, since=self.last_ts)
        for state in (State.CHECKED, State.JOURNALED):
            order.state = state
        self.orders[key] = order
        return order

    def _guard(self, j: int, ts: int, commands: list[Command]) -> None:
        """Let the standing stop and target of symbol j follow its position."""
        s, b = self.slots, j * SLOTS
        quantity = s[b + QTY]
        stop, target = nan, nan
        if quantity != 0.0 and s[b + ORDER] == 0.0:
            stop, target = stop_level(s, b), s[b + TARGET]
        if stop != stop and target != target:
            self._unguard(j, ts, commands)
            return
        old = self._guards[j]
        size = abs(quantity)
        if old is not None and old.quantity == size and _same(old.stop, stop) and _same(old.target, target):
            return
        side: Side = "sell" if quantity > 0.0 else "buy"
        if old is None:
            order = self._planned(j, "protect", side, size, "protect")
        else:
            order = self.orders[old.order_id]
            order.quantity = order.filled + size
        new = Protect(
            order_id=order.order_id,
            ts=ts,
            symbol=self.symbols[j],
            side=side,
            quantity=size,
            stop=stop,
            target=target,
            stop_reason="stop" if stop == s[b + STOP] else "trail",
            amends=old is not None,
        )
        self._guards[j] = new
        commands.append(new)

    def _unguard(self, j: int, ts: int, commands: list[Command]) -> None:
        guard = self._guards[j]
        if guard is not None:
            self._guards[j] = None
            commands.append(Cancel(guard.order_id, ts, guard.symbol))

    # --- the broker -------------------------------------------------------------------------------------------------

    def _known(self, event: Any) -> Order | None:
        order = self.orders.get(event.order_id)
        if order is None:
            self.counts.contradictions += 1
        return order

    def _stranger(self, event: Any, what: str) -> list[Command]:
        """Something that cannot be squared with the books: no new risk until a person has looked."""
        self.halted = self.halted or what
        text = f"order {event.order_id}: {what}; no new positions until someone has compared the books"
        return [Alert(event.ts, "critical", "books.contradiction", text)]

    def _moved(self, event: Any, state: State) -> list[Command]:
        order = self._known(event)
        if order is None:
            return self._stranger(event, f"{state.value}, but it is not ours")
        if order.may(state):
            order.state, order.since = state, event.ts
        else:
            self.counts.ignored += 1
        return []

    def _on_unknown(self, event: OrderUnknown) -> list[Command]:
        done = self._moved(event, State.UNKNOWN)
        text = f"order {event.order_id}: {event.reason}; it counts in full until the broker tells"
        return done or [Alert(event.ts, "warning", "order.unknown", text)]

    def _on_quarantined(self, event: OrderQuarantined) -> list[Command]:
        done = self._moved(event, State.QUARANTINED)
        text = f"order {event.order_id}: {event.reason}; a person must say what became of it"
        return done or [Alert(event.ts, "critical", "order.quarantined", text)]

    def _on_refused(self, event: OrderRefused) -> list[Command]:
        commands = self._ended(event, State.REJECTED if event.late else State.REFUSED)
        text = f"order {event.order_id} was refused: {event.reason}"
        return [Alert(event.ts, "warning", "order.refused", text), *commands]

    def _ended(self, event: Any, state: State) -> list[Command]:
        """What was not filled will not be."""
        order = self._known(event)
        if order is None:
            return self._stranger(event, f"{state.value}, but it is not ours")
        if not order.may(state):
            self.counts.ignored += 1
            return []
        order.state, order.since = state, event.ts
        return self._released(order, event.ts)

    def _released(self, order: Order, ts: int) -> list[Command]:
        """The symbol no longer waits for `order`."""
        j = order.column
        commands: list[Command] = []
        if self._waiting[j] is order:
            self._waiting[j] = None
            clear_order(self.slots, j * SLOTS)
        guard = self._guards[j]
        if guard is not None and guard.order_id == order.order_id:
            self._guards[j] = None
        if self._touch and not (order.kind == "protect" and order.state is State.REFUSED):
            self._guard(j, ts, commands)
        return commands

    def _on_fill(self, event: Fill) -> list[Command]:
        order = self._known(event)
        if order is None:
            return self._stranger(event, "filled, but it is not ours")
        if event.execution_id in order.executions:
            self.counts.duplicate_fills += 1
            return []
        half_lot = 0.5 * self.knobs[K_LOT]
        left = order.quantity - order.filled - event.quantity
        sane = 0.0 < event.quantity < 1e15 and 0.0 < event.price < 1e15 and event.fee == event.fee
        if order.state not in FILLABLE or left < -half_lot or not sane:
            self.counts.contradictions += 1
            return self._stranger(
                event, f"a fill of {event.quantity} at {event.price} does not fit its {order.quantity} {order.state}"
            )
        order.executions.append(event.execution_id)
        order.filled += event.quantity
        j = order.column
        b = j * SLOTS
        done = left < half_lot
        if self._waiting[j] is order:
            if done:
                clear_order(self.slots, b)
                self._waiting[j] = None
            else:
                self.slots[b + ORDER] = order.sign * left
        apply_fill(self.slots, self.account, b, order.sign * event.quantity, event.price, event.fee, self.knobs)
        if done:
            order.state = State.FILLED
        elif order.may(State.PARTIAL):
            order.state = State.PARTIAL
        order.since = event.ts
        guard = self._guards[j]
        if guard is not None and guard.order_id == order.order_id:
            self._guards[j] = None if done else msgspec.structs.replace(guard, quantity=left)
        commands: list[Command] = []
        if self._touch:
            self._guard(j, event.ts, commands)
        return commands

    # --- time and people --------------------------------------------------------------------------------------------

    def _on_timer(self, event: Timer) -> list[Command]:
        commands: list[Command] = []
        if self._to_close > 0.0 and not self._silent and event.ts - self.last_ts > SILENT_ROWS * self.clock_ns:
            self._silent = True
            seconds = (event.ts - self.last_ts) // SECOND_NS
            commands.append(Alert(event.ts, "warning", "feed.silent", f"no row for {seconds} s in an open session"))
        for order in self.orders.values():
            lost = order.state is State.UNKNOWN and not order.alarmed
            if lost and event.ts - order.since > UNKNOWN_ALARM_S * SECOND_NS:
                order.alarmed = True
                text = f"order {order.order_id} ({self.symbols[order.column]}) has been unknown for 30 s"
                commands.append(Alert(event.ts, "critical", "order.unknown", text))
        return commands

    def _on_operator(self, event: Operator) -> list[Command]:
        commands: list[Command] = []
        who = event.who or OPERATOR
        if event.action == "resume":
            self.halted = ""
            return [Alert(event.ts, "info", "resumed", f"{who} lifted the halt")]
        self.halted = f"{event.action} by {who}" + (f": {event.note}" if event.note else "")
        for j in range(len(self.symbols)):
            b = j * SLOTS
            waiting = self._waiting[j]
            if waiting is not None and opens_risk(self.slots, b):
                commands.append(Cancel(waiting.order_id, event.ts, self.symbols[j]))
            if event.action == "flatten" and waiting is None and self.slots[b + QTY] != 0.0:
                self.slots[b + ORDER] = -self.slots[b + QTY]
                self.slots[b + REASON] = float(len(REASONS))
                self._submit(j, OPERATOR, commands)
        commands.append(Alert(event.ts, "warning", "halted", f"no new positions: {self.halted}"))
        return commands


def _same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)
