"""What a journal tells: orders with their history, positions with their price, alerts, and how sending went."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from data.calendar import SECOND_NS
from live.core.commands import Alert, Cancel, Command, Denied, Protect, Submit
from live.core.events import (
    Event,
    Fill,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderSeen,
    OrderSent,
    OrderUnknown,
    PersonSays,
    Row,
    Snapshot,
)

KEPT_ORDERS = 500
KEPT_ALERTS = 200
ATTEMPTS = 100
EXECUTIONS = 10
ENDS = ("filled", "cancelled", "expired", "rejected", "refused", "denied")
_SEEN = {"working": "working", "cancelled": "cancelled", "expired": "expired", "rejected": "rejected"}


class Happened(msgspec.Struct, frozen=True):
    """One line of an order's history. ts: on the feed's clock."""

    ts: int
    what: str


class OrderStory(msgspec.Struct):
    """An order as its journal tells it. quantity, filled: signed shares; price: average of its fills, NaN without.

    kind: market, limit, or protection for a standing stop and target. terms: its levels in words. sent, filled_at: ts
    of the first attempt and of the last fill, 0 without.
    """

    order_id: str
    symbol: str
    quantity: float
    kind: str
    terms: str
    reason: str
    decided: int
    state: str = "planned"
    filled: float = 0.0
    price: float = float("nan")
    fee: float = 0.0
    sent: int = 0
    filled_at: int = 0
    attempts: int = 0
    history: list[Happened] = []
    executions: list[str] = []

    @property
    def is_open(self) -> bool:
        """True where more may come of it."""
        return self.state not in ENDS


class Held(msgspec.Struct):
    """A position by its fills. quantity: signed shares; price: average of what opened it."""

    quantity: float = 0.0
    price: float = 0.0

    def add(self, quantity: float, price: float) -> None:
        """Take in a fill of signed shares."""
        after = self.quantity + quantity
        if self.quantity * quantity >= 0.0:
            self.price = (self.price * self.quantity + price * quantity) / after if after else price
        elif after * self.quantity < 0.0:  # turned: what is left was opened at this price
            self.price = price
        self.quantity = after if abs(after) > 1e-9 else 0.0


class Story:
    """Takes records in journal order, and keeps the newest of what they tell.

    orders: the open ones and the last `KEPT_ORDERS`, oldest first. alerts: the last `KEPT_ALERTS`. closes: of the last
    row, by symbol. books: the broker's record as last compared. fills: executions so far. attempts, failures: orders
    sent, and those refused or without an answer; lately: True for each failure of the last `ATTEMPTS`. executions:
    seconds from the first attempt to the last fill, of the last `EXECUTIONS` orders. alerted: alerts by name and level.
    """

    def __init__(self) -> None:
        self.orders: dict[str, OrderStory] = {}
        self.alerts: deque[Alert] = deque(maxlen=KEPT_ALERTS)
        self.alerted: dict[tuple[str, str], int] = {}
        self.held: dict[str, Held] = {}
        self.closes: dict[str, float] = {}
        self.books: Snapshot | None = None
        self.fills = self.attempts = self.failures = 0
        self.fees = 0.0
        self.executions: deque[float] = deque(maxlen=EXECUTIONS)
        self._lately: deque[list[Any]] = deque(maxlen=ATTEMPTS)

    @property
    def lately(self) -> list[bool]:
        """True for each failure of the last `ATTEMPTS`."""
        return [failed for _, failed in self._lately]

    def row(self, row: Row, symbols: list[str]) -> None:
        """The last row."""
        known = zip(symbols, row.close, strict=False)
        self.closes |= {symbol: close for symbol, close in known if close == close}

    def event(self, event: Event) -> None:
        """One event; rows and news change nothing here."""
        if isinstance(event, Fill):
            self._fill(event)
        elif isinstance(event, OrderSent):
            self._sent(event)
        elif isinstance(event, OrderAccepted):
            self._becomes(event.order_id, event.ts, "working" if event.working else "acked")
        elif isinstance(event, OrderRefused):
            self._becomes(event.order_id, event.ts, "rejected" if event.late else "refused", event.reason)
            self._failed(event.order_id)
        elif isinstance(event, OrderUnknown):
            self._becomes(event.order_id, event.ts, "unknown", event.reason)
            self._failed(event.order_id)
        elif isinstance(event, OrderQuarantined):
            self._becomes(event.order_id, event.ts, "quarantined", event.reason)
        elif isinstance(event, OrderExpired):
            self._becomes(event.order_id, event.ts, "expired")
        elif isinstance(event, OrderCancelled):
            self._becomes(event.order_id, event.ts, "cancelled")
        elif isinstance(event, PersonSays):
            state = "refused" if event.outcome == "never arrived" else "cancelled"
            self._becomes(event.order_id, event.ts, state, f"{event.who} says {event.outcome}")
        elif isinstance(event, Snapshot):
            self._snapshot(event)

    def command(self, command: Command) -> None:
        """One command."""
        if isinstance(command, Alert):
            self.alerts.append(command)
            key = command.name, command.level
            self.alerted[key] = self.alerted.get(key, 0) + 1
        elif isinstance(command, Cancel):
            story = self.orders.get(command.order_id)
            if story is not None:
                story.history.append(Happened(command.ts, "cancel asked"))
        elif isinstance(command, Protect) and command.amends and command.order_id in self.orders:
            story = self.orders[command.order_id]
            story.quantity, story.terms = _signed(command), _levels(command)
            story.history.append(Happened(command.ts, f"moved to {story.terms}"))
        else:
            self._planned(command)

    def _planned(self, command: Submit | Protect | Denied) -> None:
        story = OrderStory(command.order_id, command.symbol, _signed(command), "", "", "", command.ts)
        if isinstance(command, Submit):
            story.kind, story.reason = command.kind, command.reason
            story.terms = f"limit {command.limit:g}" if command.limit else ""
        elif isinstance(command, Protect):
            story.kind, story.terms, story.reason = "protection", _levels(command), command.stop_reason
        else:
            story.kind, story.reason, story.state = "market", command.reason, "denied"
        what = f"denied by {command.code}: {command.text}" if isinstance(command, Denied) else "planned"
        story.history = [Happened(command.ts, f"{what} ({story.terms})" if story.terms else what)]
        self.orders.pop(command.order_id, None)
        self.orders[command.order_id] = story
        if len(self.orders) > KEPT_ORDERS:
            self._forget()

    def _forget(self) -> None:
        oldest = next((key for key, story in self.orders.items() if not story.is_open), None)
        if oldest is not None:
            del self.orders[oldest]

    def _sent(self, event: OrderSent) -> None:
        self.attempts += 1
        self._lately.append([event.order_id, False])
        story = self.orders.get(event.order_id)
        if story is not None:
            story.sent, story.attempts = story.sent or event.ts, event.attempt
        self._becomes(event.order_id, event.ts, "sending", f"attempt {event.attempt}" if event.attempt > 1 else "")

    def _failed(self, order_id: str) -> None:
        for attempt in reversed(self._lately):
            if attempt[0] == order_id:
                if not attempt[1]:
                    attempt[1] = True
                    self.failures += 1
                return

    def _becomes(self, order_id: str, ts: int, state: str, why: str = "") -> None:
        story = self.orders.get(order_id)
        if story is None or (story.state == state and not why):
            return
        if story.is_open:
            story.state = state
        said = "sent" if state == "sending" else state
        story.history.append(Happened(ts, f"{said}: {why}" if why else said))

    def _fill(self, event: Fill) -> None:
        story = self.orders.get(event.order_id)
        if story is None or event.execution_id in story.executions:
            return
        story.executions.append(event.execution_id)
        signed = event.quantity if story.quantity > 0.0 else -event.quantity
        before, story.filled = story.filled, story.filled + signed
        story.price = (story.price * before + event.price * signed) / story.filled if before else event.price
        story.fee += event.fee
        story.filled_at = event.ts
        self.fees += event.fee
        self.fills += 1
        self.held.setdefault(story.symbol, Held()).add(signed, event.price)
        story.state = "filled" if abs(story.filled) >= abs(story.quantity) - 1e-9 else "partial"
        leg = f" at the {event.leg}" if event.leg else ""
        story.history.append(Happened(event.ts, f"{story.state} {signed:+g} at {event.price:g}{leg}"))
        if story.state == "filled" and story.sent and story.kind != "protection":
            self.executions.append((event.ts - story.sent) / SECOND_NS)

    def _snapshot(self, event: Snapshot) -> None:
        self.books = event
        for fill in event.fills:
            self._fill(fill)
        for seen in event.orders:
            self._seen(event.ts, seen)
        for order_id in event.absent:
            story = self.orders.get(order_id)
            if story is not None and story.is_open and not story.filled:
                self._becomes(order_id, event.ts, "refused", "it never arrived")

    def _seen(self, ts: int, seen: OrderSeen) -> None:
        story, state = self.orders.get(seen.order_id), _SEEN.get(seen.status)
        if story is None or state is None or not story.is_open:
            return
        if state != "working" or story.state in ("sending", "unknown", "quarantined"):
            self._becomes(seen.order_id, ts, state, "in the broker's record")


def _signed(command: Submit | Protect | Denied) -> float:
    return command.quantity if command.side == "buy" else -command.quantity


def _levels(command: Protect) -> str:
    said = [f"{name} {level:g}" for name, level in (("stop", command.stop), ("target", command.target))]
    return ", ".join(part for part in said if not part.endswith("nan"))
