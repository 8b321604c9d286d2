"""`Desk`: the orders of one account, from the rule's wish to what became of it.

An order gets its key here and its place in the table of legal transitions; fills are booked by the position rule's own
`apply_fill`, each execution once; what contradicts the books halts.
"""

from __future__ import annotations

from typing import Any

import msgspec

from live.core.commands import Alert, Command, Side, Submit
from live.core.events import Fill, OrderQuarantined, OrderRefused, OrderUnknown
from live.core.guards import Guards
from live.core.orders import FILLABLE, Order, State, order_id
from live.core.plan import Plan
from strategies.common.position import (
    K_LOT,
    K_TOUCH,
    ORDER,
    QTY,
    SLOTS,
    Knobs,
    apply_fill,
    clear_order,
    fresh,
    opens_risk,
)


class Counts(msgspec.Struct):
    """How often something was heard that was not acted on."""

    rows: int = 0
    late_rows: int = 0
    duplicate_fills: int = 0
    ignored: int = 0
    contradictions: int = 0


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
        self.counts = Counts()
        self.halted = ""
        self.last_ts = 0
        self.guards = Guards(self, standing=knobs[K_TOUCH] > 0.0)

    @property
    def positions(self) -> list[float]:
        """Signed shares per symbol."""
        return self.slots[QTY::SLOTS]

    def submit(self, j: int, reason: str, commands: list[Command]) -> None:
        """Send the waiting order of symbol j; its position's protection is taken back first."""
        b = j * SLOTS
        quantity = self.slots[b + ORDER]
        side: Side = "buy" if quantity > 0.0 else "sell"
        self.guards.take_back(j, self.last_ts, commands)
        order = self.planned(j, "market", side, abs(quantity), reason)
        self.waiting[j] = order
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

    def planned(self, j: int, kind: str, side: Side, quantity: float, reason: str) -> Order:
        """A new order in the table, keyed by the last row; durable once the shell has written its command."""
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
        """The broker will not have it, or no longer."""
        commands = self.ended(event, State.REJECTED if event.late else State.REFUSED)
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
        apply_fill(self.slots, self.account, b, order.sign * event.quantity, event.price, event.fee, self.knobs)
        if done:
            order.state = State.FILLED
        elif order.may(State.PARTIAL):
            order.state = State.PARTIAL
        order.since = event.ts
        self.guards.met(order, 0.0 if done else left)
        commands: list[Command] = []
        self.guards.follow(j, event.ts, commands)
        return commands

    def stranger(self, event: Any, what: str) -> list[Command]:
        """Something that cannot be squared with the books: no new risk until a person has looked."""
        self.halted = self.halted or what
        text = f"order {event.order_id}: {what}; no new positions until someone has compared the books"
        return [Alert(event.ts, "critical", "books.contradiction", text)]

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
            self.waiting[j] = None
            clear_order(self.slots, j * SLOTS)
        self.guards.met(order, 0.0)
        if not (order.kind == "protect" and order.state is State.REFUSED):
            self.guards.follow(j, ts, commands)
        return commands
