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
from live.core.commands import Alert, Command
from live.core.desk import OPERATOR, Desk
from live.core.events import (
    AccountFacts,
    AmendSent,
    CashMoved,
    Event,
    Fill,
    Gate,
    News,
    Operator,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderSent,
    OrderUnknown,
    PersonSays,
    Row,
    Snapshot,
    SymbolFacts,
    Timer,
)
from live.core.orders import OPEN, Order, State
from live.core.plan import Plan
from live.core.reconcile import Findings, aged, confirmed, person_says, reconcile
from live.core.tally import Counts
from strategies.common.load import Strategy
from strategies.common.position import (
    CASH,
    EQUITY,
    FIELDS,
    ORDER,
    QTY,
    REASON,
    REASONS,
    SIZE,
    SLOTS,
    decide,
    mark,
    nan,
)
from strategies.common.stream import Stream

UNKNOWN_ALARM_S = 30.0
UNKNOWN_PAGE_S = 300.0
SILENT_ROWS = 3
STARTING = "starting"
"""Why every gate is closed when a process begins: nobody needs to be told."""
WARMING = "warming"
"""Why the gate of data is closed while rows of history come: indicators see them, and no entry is taken on them."""


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
        self.desk = desk = Desk(plan, self.knobs)
        self.slots, self.account = self.desk.slots, self.desk.account
        self.findings = Findings()
        self._to_close = 0.0
        self._silent = False
        self._stream = Stream()
        self._row = [0.0] * (count * FIELDS)
        self._steps: dict[type, Callable[[Any], list[Command]]] = {
            Row: self._on_row,
            Fill: desk.filled,
            AmendSent: lambda _: [],
            OrderSent: lambda e: desk.moved(e, State.SENDING),
            OrderAccepted: lambda e: desk.moved(e, State.WORKING if e.working else State.ACKED),
            OrderUnknown: desk.lost,
            OrderQuarantined: desk.quarantined,
            OrderRefused: desk.refused,
            OrderExpired: lambda e: desk.ended(e, State.EXPIRED),
            OrderCancelled: lambda e: desk.ended(e, State.CANCELLED),
            Timer: self._on_timer,
            Operator: self._on_operator,
            Snapshot: self._on_snapshot,
            PersonSays: lambda e: person_says(desk, e),
            CashMoved: desk.cash_moved,
            Gate: self._on_news,
            SymbolFacts: self._on_news,
            AccountFacts: self._on_news,
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
        return self.desk.positions

    @property
    def orders(self) -> dict[str, Order]:
        """Every order by its key, in the order they were planned."""
        return self.desk.orders

    @property
    def counts(self) -> Counts:
        """How often something was heard that was not acted on."""
        return self.desk.counts

    @property
    def last_ts(self) -> int:
        """The row last decided on, 0 before the first."""
        return self.desk.last_ts

    @property
    def halted(self) -> str:
        """Why no new positions are opened; '' where they are."""
        return self.desk.halted

    def digest(self) -> str:
        """SHA-256 over the canonical bytes of everything later decisions depend on."""
        sha = hashlib.sha256()
        for numbers in (self.slots, self.account):
            sha.update(struct.pack(f"<{len(numbers)}d", *(v if v == v else nan for v in numbers)))
        desk = self.desk
        held: tuple[Any, ...] = (sorted(desk.held.items()), sorted(desk.gaps.items()))
        if desk.moves:  # a journal from before there were any has the digest it had
            held = (*held, sorted(desk.moves))
        if desk.shared.theirs:
            held = (*held, "theirs", sorted(desk.shared.theirs.items()))
        sha.update(
            msgspec.msgpack.encode((self.last_ts, self.halted, self._silent, self.counts, held, desk.tally.digest()))
        )
        sha.update(msgspec.msgpack.encode(list(self.orders.values())))
        sha.update(self._stream.digest().encode())
        return sha.hexdigest()

    # --- the market -------------------------------------------------------------------------------------------------

    def _on_row(self, row: Row) -> list[Command]:
        if row.ts <= self.last_ts:
            self.desk.counts.late_rows += 1
            return [Alert(row.ts, "warning", "row.late", f"a row of {row.ts} came after that of {self.last_ts}")]
        s, x, count, desk = self.slots, self._row, len(self.symbols), self.desk
        bars, book = columns_of(row, self.symbols)
        signals = self.strategy.step(self._stream, bars, book, self.params)
        put(x, row, signals, count)
        desk.last_ts, self._to_close, self._silent = row.ts, row.to_close, False
        desk.counts.rows += 1
        mark(s, self.account, x, self.knobs, count)
        commands: list[Command] = []
        desk.marked(row, commands)
        desk.overdue(row.ts, commands)
        if desk.halted or desk.tally.state.closed.get("data") == WARMING:
            # an entry of size nothing is not taken, and a reversal becomes an exit
            x[SIZE::FIELDS] = [0.0] * count
        if decide(s, self.account, x, self.knobs, count, row.to_close) > 0:
            for j in range(count):
                if s[j * SLOTS + ORDER] != 0.0 and desk.waiting[j] is None and j not in desk.held:
                    desk.submit(j, REASONS[int(s[j * SLOTS + REASON])], commands)
        desk.guards.follow_all(row.ts, commands)
        return commands

    # --- time and people --------------------------------------------------------------------------------------------

    def _on_timer(self, event: Timer) -> list[Command]:
        commands: list[Command] = []
        if self._to_close > 0.0 and not self._silent and event.ts - self.last_ts > SILENT_ROWS * self.clock_ns:
            self._silent = True
            seconds = (event.ts - self.last_ts) // SECOND_NS
            commands.append(Alert(event.ts, "warning", "feed.silent", f"no row for {seconds} s in an open session"))
        limits, desk = self.desk.tally.limits, self.desk

        def tell(order: Order, page: bool) -> None:
            name = f"order {order.order_id} ({self.symbols[order.column]})"
            if page:
                why = f"no evidence for {(event.ts - order.since) // SECOND_NS} s"
                commands.extend(desk.quarantined(OrderQuarantined(event.ts, order.order_id, why)))
            elif order.state is State.UNKNOWN:
                text = f"{name} has been unknown for {alarm_s:g} s"
                commands.append(Alert(event.ts, "critical", "order.unknown", text))
            else:
                text = f"{name} was asked back {alarm_s:g} s ago and has not ended"
                commands.append(Alert(event.ts, "critical", "cancel.silent", text))

        alarm_s = UNKNOWN_ALARM_S if limits.unknown_alarm_s is None else limits.unknown_alarm_s
        page_s = UNKNOWN_PAGE_S if limits.unknown_page_s is None else limits.unknown_page_s
        alive = [order for order in desk.tally.state.open if order.state in OPEN]
        aged(alive, event.ts, int(alarm_s * SECOND_NS), int(page_s * SECOND_NS), tell)
        return commands

    def _on_snapshot(self, event: Snapshot) -> list[Command]:
        commands, self.findings = reconcile(self.desk, event)
        return commands

    def _on_news(self, event: News) -> list[Command]:
        """A gate that changes is told; facts are only kept."""
        if not self.desk.tally.on_news(event) or not isinstance(event, Gate):
            return []
        if event.open:
            return [Alert(event.ts, "info", "gate.open", f"{event.name} is in order again")]
        if event.reason in (STARTING, WARMING):
            return []
        commands: list[Command] = []
        self.desk.cancel_entries(event.ts, commands)
        text = f"no new positions while {event.name} is not in order: {event.reason}"
        return [*commands, Alert(event.ts, "critical" if event.grave else "warning", "gate.closed", text)]

    def _on_operator(self, event: Operator) -> list[Command]:
        commands: list[Command] = []
        desk, who = self.desk, event.who or OPERATOR
        if event.action == "resume":
            if event.cash is not None and (refused := confirmed(desk, self.findings, event)):
                return refused
            desk.halted = ""
            desk.tally.start_again()
            return [Alert(event.ts, "info", "resumed", f"{who} lifted the halt")]
        desk.halted = f"{event.action} by {who}" + (f": {event.note}" if event.note else "")
        desk.cancel_entries(event.ts, commands)
        for j in range(len(self.symbols)):
            b = j * SLOTS
            idle = desk.waiting[j] is None and j not in desk.held
            if event.action == "flatten" and idle and self.slots[b + QTY] != 0.0:
                self.slots[b + ORDER] = -self.slots[b + QTY]
                self.slots[b + REASON] = float(len(REASONS))
                desk.submit(j, OPERATOR, commands, source="operator")
        commands.append(Alert(event.ts, "warning", "halted", f"no new positions: {desk.halted}"))
        return commands
