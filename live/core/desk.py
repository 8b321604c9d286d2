"""`Desk`: the orders of one account, from the rule's wish to what became of it.

An order gets its key here and its place in the table of legal transitions; fills are booked by the position rule's own
`apply_fill`, each execution once; what contradicts the books halts.
"""

from __future__ import annotations

from math import floor
from typing import Any

from data.calendar import SECOND_NS
from live.core.cash import fee_bound
from live.core.commands import Alert, Cancel, Command, Side, Submit
from live.core.events import CashMoved, Fill, OrderQuarantined, OrderRefused, OrderUnknown, Row
from live.core.gatekeeper import Gatekeeper
from live.core.guards import Guards
from live.core.orders import FILLABLE, Order, State, order_id
from live.core.plan import Plan
from live.core.risk import Refused, only_leaving, stopping
from live.core.shared import Shared
from live.core.tally import Counts, Tally
from strategies.common.position import (
    CASH,
    ENTRY,
    EQUITY,
    EXIT_SIGNAL,
    K_LOT,
    K_TOUCH,
    ORDER,
    QTY,
    REASON,
    REASONS,
    REVERSAL,
    SLOTS,
    Knobs,
    apply_fill,
    clear_order,
    fresh,
    opens_risk,
)

EXIT_AGAIN_NS = 30 * SECOND_NS
"""An exit that has waited so long for its limit is priced anew."""
OPERATOR = "operator"


class Desk:
    """Positions, cash and orders of one account.

    Args:
        plan: what is traded.
        knobs: of its position rule.
    """

    def __init__(self, plan: Plan, knobs: Knobs) -> None:
        self.plan, self.knobs = plan, knobs
        self.symbols = tuple(plan.symbols)
        self.slots = fresh(len(self.symbols))
        self.account = [plan.cash, plan.cash]
        self.orders: dict[str, Order] = {}
        self.waiting: list[Order | None] = [None] * len(self.symbols)
        self.held: dict[int, tuple[str, str]] = {}
        self.counts = Counts()
        self.halted = ""
        self.last_ts = 0
        self.gaps: dict[str, tuple[float, int]] = {}
        self.shared = Shared()
        self.moves: dict[str, None] = {}
        self.fee_room = 0.0
        types = plan.the_limits().order_types
        self._reprices = plan.is_live or (types is not None and "market" not in types)
        self.tally = Tally(len(self.symbols), plan.the_limits(), knobs[K_LOT], plan.cash, live=plan.is_live)
        self.tally.state.theirs = self.shared.theirs
        self.gatekeeper = Gatekeeper(self)
        self.guards = Guards(self, standing=knobs[K_TOUCH] > 0.0)

    @property
    def positions(self) -> list[float]:
        """Signed shares per symbol."""
        return self.slots[QTY::SLOTS]

    def marked(self, row: Row, commands: list[Command]) -> None:
        """A row was marked: losses are looked at, whether it brings an order or none."""
        tally = self.tally
        tally.on_row(row, self.account[EQUITY])
        if not tally.active or self.halted:
            return
        if why := stopping(tally.state, tally.limits):
            self.halt(row.ts, "risk.halted", why, commands)
        elif only_leaving(tally.state, tally.limits):
            self.cancel_entries(row.ts, commands)

    def submit(self, j: int, reason: str, commands: list[Command], source: str = "rule") -> None:
        """Send the waiting order of symbol j, where the controls let it; its protection is taken back first.

        A reversal that is refused still leaves; an exit that is refused is told as critical. While its protection may
        still fill, nothing goes out against it: the order is held until the end of that is known.
        """
        b = j * SLOTS
        if self.guards.blocks(j):
            self.guards.take_back(j, self.last_ts, commands)
            self.held[j] = (reason, source)
            return
        quantity = self._leaving(j)
        side: Side = "buy" if quantity > 0.0 else "sell"
        entry = opens_risk(self.slots, b)
        order = self._order(j, "market", side, abs(quantity), reason)
        request, verdict = self.gatekeeper.asked(order, source)
        if isinstance(verdict, Refused):
            self.gatekeeper.denied(order, verdict, commands)
            held = self.slots[b + QTY]
            if abs(quantity) > abs(held) > 0.0 and quantity * held < 0.0:  # a reversal: leave at least
                self.slots[b + ORDER], self.slots[b + REASON] = -held, float(EXIT_SIGNAL)
                self.submit(j, REASONS[EXIT_SIGNAL], commands, source)
                return
            clear_order(self.slots, b)
            if request.reduces:
                text = f"the exit of {self.symbols[j]} was refused: {verdict.code} {verdict.reason}"
                commands.append(Alert(self.last_ts, "critical", "exit.refused", text))
            return
        self.guards.take_back(j, self.last_ts, commands)
        self._enter(order)
        self.waiting[j] = order
        opens = entry or reason == REASONS[REVERSAL]  # a strategy that flips without end is to be stopped as well
        self.tally.went_out(self.last_ts, j, side, order.quantity, "entry" if opens else "exit")
        commands.append(
            Submit(
                order_id=order.order_id,
                ts=self.last_ts,
                symbol=self.symbols[j],
                side=side,
                quantity=order.quantity,
                reason=reason,
                good_for="row" if entry else "fill",
                kind="limit" if request.limit else "market",
                limit=request.limit,
            )
        )

    def release(self, j: int, commands: list[Command]) -> None:
        """Send what was held for symbol j, where nothing can fill against it any more: the rest of the position."""
        if j not in self.held or self.waiting[j] is not None or self.guards.blocks(j):
            return
        b = j * SLOTS
        reason, source = self.held.pop(j)
        held = self.slots[b + QTY]
        wanted = self.slots[b + ORDER]
        if held == 0.0 or wanted * held > 0.0:
            clear_order(self.slots, b)
            return
        if reason == REASONS[REVERSAL] and wanted == 0.0:  # the turn was taken back: leave at least
            reason = REASONS[EXIT_SIGNAL]
        if reason != REASONS[REVERSAL]:
            self.slots[b + ORDER] = -held
        self.submit(j, reason, commands, source)

    def planned(self, j: int, kind: str, side: Side, quantity: float, reason: str) -> Order:
        """A new order in the table, keyed by the last row; durable once the shell has written its command."""
        order = self._order(j, kind, side, quantity, reason)
        self._enter(order)
        return order

    def cancel(self, order: Order, ts: int, commands: list[Command]) -> None:
        """Ask for an order back, once."""
        if order.cancelling:
            return
        order.cancelling = True
        self.tally.went_out(ts, order.column, order.side, order.quantity, "cancel")
        commands.append(Cancel(order.order_id, ts, self.symbols[order.column]))

    def cancel_entries(self, ts: int, commands: list[Command]) -> None:
        """Ask every order back that would open a position."""
        for j, waiting in enumerate(self.waiting):
            turns = waiting is not None and self.plan.is_live and waiting.reason == REASONS[REVERSAL]
            if waiting is not None and (turns or opens_risk(self.slots, j * SLOTS)):
                self.cancel(waiting, ts, commands)

    def overdue(self, ts: int, commands: list[Command]) -> None:
        """Ask back what an earlier row left waiting; on paper nothing is by then.

        An entry is good until the next row. An exit whose limit the market has left behind gets another: it is held,
        and goes out again for what is left once the end of the first is known.
        """
        for j, waiting in enumerate(self.waiting):
            if waiting is None:
                self.release(j, commands)
            elif waiting.decided < ts and opens_risk(self.slots, j * SLOTS):
                self.cancel(waiting, ts, commands)
            elif self._reprices and ts - waiting.decided >= EXIT_AGAIN_NS and not waiting.cancelling:
                self.held[j] = (waiting.reason, "operator" if waiting.reason == OPERATOR else "rule")
                self.cancel(waiting, ts, commands)

    def halt(self, ts: int, name: str, why: str, commands: list[Command]) -> None:
        """Open no new positions until a person resumes."""
        if self.halted:
            return
        self.halted = why
        self.cancel_entries(ts, commands)
        commands.append(Alert(ts, "critical", name, f"no new positions: {why}"))

    def _order(self, j: int, kind: str, side: Side, quantity: float, reason: str) -> Order:
        key, times = "", 0
        while not key or key in self.orders:
            leg = kind if times == 0 else f"{kind} {times + 1}"
            key = order_id(self.plan.account, self.plan.source_hash, self.symbols[j], self.last_ts, leg)
            times += 1
        return Order(key, j, kind, side, quantity, reason, self.last_ts, since=self.last_ts)

    def _enter(self, order: Order) -> None:
        for state in (State.CHECKED, State.JOURNALED):
            order.state = state
        self.orders[order.order_id] = order
        self.tally.opened(order)

    # --- what the broker said ---------------------------------------------------------------------------------------

    def moved(self, event: Any, state: State) -> list[Command]:
        """The order is in another state and goes on."""
        order = self._known(event)
        if order is None:
            return self.stranger(event, f"{state.value}, but it is not ours")
        if order.may(state):
            order.state, order.since = state, event.ts
        else:
            self.counts.ignored += 1
        return []

    def lost(self, event: OrderUnknown) -> list[Command]:
        """Its answer was lost."""
        done = self.moved(event, State.UNKNOWN)
        text = f"order {event.order_id}: {event.reason}; it counts in full until the broker tells"
        return done or [Alert(event.ts, "warning", "order.unknown", text)]

    def quarantined(self, event: OrderQuarantined) -> list[Command]:
        """Evidence did not come."""
        done = self.moved(event, State.QUARANTINED)
        text = f"order {event.order_id}: {event.reason}; a person must say what became of it"
        return done or [Alert(event.ts, "critical", "order.quarantined", text)]

    def refused(self, event: OrderRefused) -> list[Command]:
        """The broker will not have it, or no longer: a desk that has restarted may not know that it had taken it."""
        order = self.orders.get(event.order_id)
        taken = event.late or (order is not None and order.state in (State.ACKED, State.WORKING, State.PARTIAL))
        commands = self.ended(event, State.REJECTED if taken else State.REFUSED)
        text = f"order {event.order_id} was refused: {event.reason}"
        return [Alert(event.ts, "warning", "order.refused", text), *commands]

    def ended(self, event: Any, state: State) -> list[Command]:
        """What was not filled will not be."""
        order = self._known(event)
        if order is None:
            return self.stranger(event, f"{state.value}, but it is not ours")
        if not order.may(state):
            self.counts.ignored += 1
            return []
        order.state, order.since = state, event.ts
        return self._released(order, event.ts)

    def filled(self, event: Fill) -> list[Command]:
        """Book an execution, once."""
        order = self._known(event)
        if order is None:
            return self.stranger(event, "filled, but it is not ours")
        if event.execution_id in order.executions:
            self.counts.duplicate_fills += 1
            return []
        half_lot = 0.5 * self.knobs[K_LOT]
        left = order.quantity - order.filled - event.quantity
        sane = 0.0 < event.quantity < 1e15 and 0.0 < event.price < 1e15 and event.fee == event.fee
        if order.state not in FILLABLE or left < -half_lot or not sane:
            self.counts.contradictions += 1
            return self.stranger(
                event, f"a fill of {event.quantity} at {event.price} does not fit its {order.quantity} {order.state}"
            )
        order.executions.append(event.execution_id)
        order.filled += event.quantity
        j = order.column
        b = j * SLOTS
        done = left < half_lot
        if self.waiting[j] is order:
            if done:
                clear_order(self.slots, b)
                self.waiting[j] = None
            else:
                self.slots[b + ORDER] = order.sign * left
        held, entered = self.slots[b + QTY], self.slots[b + ENTRY]
        apply_fill(self.slots, self.account, b, order.sign * event.quantity, event.price, event.fee, self.knobs)
        self.gaps.pop(self.symbols[j], None)  # what explained it has come
        self.shared.filled(j, order.sign * event.quantity)
        traded = self.tally.state.traded
        traded[j] = traded.get(j, 0.0) + event.quantity
        if order.side == "sell":
            self.fee_room += max(fee_bound(event.quantity, event.price) - event.fee, 0.0)
        if done:
            order.state = State.FILLED
        elif order.may(State.PARTIAL):
            order.state = State.PARTIAL
        order.since = event.ts
        if held * order.sign < 0.0:
            closing = min(event.quantity, abs(held))
            pnl = (entered - event.price) * order.sign * closing - event.fee
            flat = event.quantity >= abs(held) - half_lot
            stopped = event.leg == "stop" or order.reason in ("stop", "trail")
            self.tally.on_fill(order, closing, pnl, flat=flat, stopped=stopped)
        self.guards.met(order, 0.0 if done else left)
        commands: list[Command] = []
        self.release(j, commands)
        self.guards.follow(j, event.ts, commands)
        return commands

    def cash_moved(self, event: CashMoved) -> list[Command]:
        """Book a move of cash, once; what a person pays in or takes out is no profit and no loss."""
        sane = abs(event.amount) < 1e15 and event.evidence
        if event.evidence in self.moves or not sane:
            self.counts.ignored += 1
            return []
        self.moves[event.evidence] = None
        self.take_cash(event.amount, outside=event.kind in ("deposit", "withdrawal"))
        if event.source == "fee model":
            self.fee_room = max(self.fee_room + event.amount, 0.0)
        text = f"{event.kind} of {event.amount:+.2f} ({event.source}: {event.note or event.evidence})"
        return [Alert(event.ts, "info", "cash.moved", text)]

    def take_cash(self, amount: float, *, outside: bool) -> None:
        """Cash is so many dollars more; outside: not by trading, so it is no profit and no loss."""
        self.account[CASH] += amount
        self.account[EQUITY] += amount
        self.tally.cash_moved(amount, self.account[EQUITY], outside=outside)

    def stranger(self, event: Any, what: str) -> list[Command]:
        """Something that cannot be squared with the books: no new risk until a person has looked."""
        self.halted = self.halted or what
        text = f"order {event.order_id}: {what}; no new positions until someone has compared the books"
        return [Alert(event.ts, "critical", "books.contradiction", text)]

    def shrink(self, j: int, ts: int, commands: list[Command]) -> None:
        """What the broker has of symbol j is news: let neither its exit nor its protection be for more than that."""
        order, held = self.waiting[j], self.slots[j * SLOTS + QTY]
        most = self.shared.room(j, held) + 0.5 * self.knobs[K_LOT]
        if order is not None and order.sign * held < 0.0 and order.quantity - order.filled > most:
            self.held[j] = (order.reason, "operator" if order.reason == OPERATOR else "rule")
            self.cancel(order, ts, commands)
        self.guards.follow(j, ts, commands)

    def _leaving(self, j: int) -> float:
        """What the waiting order of symbol j asks for; of a position that the broker has less of, no more than that."""
        b, lot = j * SLOTS, self.knobs[K_LOT]
        quantity, held = self.slots[b + ORDER], self.slots[b + QTY]
        if j in self.shared.theirs and quantity * held < 0.0 and abs(quantity) <= abs(held):
            room = floor(self.shared.room(j, held) / lot + 1e-6) * lot
            if lot <= room < abs(quantity):
                quantity = self.slots[b + ORDER] = room if quantity > 0.0 else -room
        return quantity

    def _known(self, event: Any) -> Order | None:
        order = self.orders.get(event.order_id)
        if order is None:
            self.counts.contradictions += 1
        return order

    def _released(self, order: Order, ts: int) -> list[Command]:
        """The symbol no longer waits for `order`."""
        j = order.column
        commands: list[Command] = []
        if self.waiting[j] is order:
            entry = opens_risk(self.slots, j * SLOTS)
            self.waiting[j] = None
            clear_order(self.slots, j * SLOTS)
            if self.plan.is_live and not entry and order.state in (State.CANCELLED, State.EXPIRED):
                self.held.setdefault(j, (order.reason, "operator" if order.reason == OPERATOR else "rule"))
                if not order.cancelling:  # its day ended: the next row sends it again
                    return commands
        self.guards.met(order, 0.0)
        self.release(j, commands)
        if not (order.kind == "protect" and order.state is State.REFUSED):
            self.guards.follow(j, ts, commands)
        return commands
