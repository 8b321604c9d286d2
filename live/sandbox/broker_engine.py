"""The venue behind every broker of the sandbox: takes orders, fills them at a quote, and keeps the record that judges.

It is told prices by `quote(symbol) -> (bid, ask)` or by `put_price`. Nothing happens by itself: `step` lets what became
due happen, and every request steps first. The fate of each order comes from `BrokerFaults`: a part only, an hour later,
rejected after it was accepted, filled although it is being cancelled.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple

from live.sandbox.broker_faults import BrokerFaults

Side = Literal["buy", "sell"]
Kind = Literal["market", "limit", "stop", "stop_limit"]
Status = Literal["new", "working", "partial", "filled", "cancelling", "cancelled", "expired", "rejected"]
OPEN: tuple[Status, ...] = ("new", "working", "partial", "cancelling")
ZERO = Decimal(0)
SLOW_STEPS = 5


class Refusal(Exception):  # noqa: N818  # an answer, not a failure
    """The venue says no. why: one of `duplicate`, `cash`, `shares`, `symbol`, `late`, `unknown`, `shape`."""

    def __init__(self, why: str, text: str = "") -> None:
        super().__init__(text or why)
        self.why = why


class Execution(NamedTuple):
    """One fill as the venue has it."""

    id: str
    price: Decimal
    quantity: Decimal
    ts: int


@dataclass
class VenueOrder:
    """One order as the venue has it. key: what the client named it. pair: another that ends when this one fills.

    fate: what `BrokerFaults` has in mind for it; patience: how far that has come.
    """

    id: str
    key: str
    symbol: str
    side: Side
    kind: Kind
    quantity: Decimal
    created: int
    limit: Decimal | None = None
    stop: Decimal | None = None
    life: str = "day"
    hours: str = "regular_hours"
    status: Status = "new"
    fate: str = ""
    patience: int = 0
    updated: int = 0
    pair: str = ""
    parent: str = ""
    executions: list[Execution] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        """Shares done."""
        return sum((each.quantity for each in self.executions), ZERO)

    @property
    def average(self) -> Decimal | None:
        """Their price; None before the first."""
        if not self.executions:
            return None
        return sum((each.quantity * each.price for each in self.executions), ZERO) / self.filled

    @property
    def is_open(self) -> bool:
        """More may happen to it."""
        return self.status in OPEN


Listener = Callable[[str, VenueOrder, Execution | None], None]


class Venue:
    """One account at one broker.

    Args:
        quote: (bid, ask) of a symbol now; None for one that is not listed.
        now: UTC nanoseconds. cash: at the start. shorts: whether more may be sold than is held.
    """

    def __init__(
        self,
        quote: Callable[[str], tuple[float, float] | None],
        now: Callable[[], int],
        *,
        cash: float = 100_000.0,
        shorts: bool = False,
        faults: BrokerFaults | None = None,
    ) -> None:
        self.cash = Decimal(str(cash))
        self.positions: dict[str, Decimal] = {}
        self.orders: dict[str, VenueOrder] = {}
        self.faults = faults or BrokerFaults()
        self.listeners: list[Listener] = []
        self.now = now
        self._quote = quote
        self._put: dict[str, tuple[float, float]] = {}
        self._shorts = shorts

    def put_price(self, symbol: str, bid: float, ask: float) -> None:
        """Let the symbol trade here from now on."""
        self._put[symbol] = (bid, ask)
        self.step()

    def price(self, symbol: str) -> tuple[Decimal, Decimal] | None:
        """(bid, ask) now; None where the symbol is not listed."""
        told = self._put.get(symbol) or self._quote(symbol)
        return None if told is None else (Decimal(str(round(told[0], 4))), Decimal(str(round(told[1], 4))))

    def by_key(self, key: str) -> VenueOrder | None:
        """The order a client named so."""
        return next((order for order in self.orders.values() if order.key == key), None)

    def held_for_sells(self, symbol: str) -> Decimal:
        """Shares that open sell orders hold; a pair holds them once."""
        sells = [o for o in self.orders.values() if o.symbol == symbol and o.side == "sell" and o.is_open]
        return sum((o.quantity - o.filled for o in sells if not o.parent), ZERO)

    def check(self, order: VenueOrder) -> None:
        """
        Raises:
            Refusal: the venue would not take it.
        """
        if (told := self.price(order.symbol)) is None:
            raise Refusal("symbol")
        if order.quantity <= ZERO or (order.kind in ("limit", "stop_limit")) != (order.limit is not None):
            raise Refusal("shape", "quantity and prices do not fit the type")
        if (order.kind in ("stop", "stop_limit")) != (order.stop is not None):
            raise Refusal("shape", "quantity and prices do not fit the type")
        held = self.positions.get(order.symbol, ZERO)
        if order.side == "sell" and not self._shorts and order.quantity > held - self.held_for_sells(order.symbol):
            raise Refusal("shares")
        opens = order.quantity if order.side == "buy" and held >= ZERO else ZERO
        if opens * (order.limit or order.stop or told[1]) > self.buying_power:
            raise Refusal("cash")

    @property
    def buying_power(self) -> Decimal:
        """Cash that open buys do not hold."""
        held = ZERO
        for order in self.orders.values():
            if order.is_open and order.side == "buy" and not order.parent:
                told = self.price(order.symbol)
                at = order.limit or order.stop or (told[1] if told else ZERO)
                held += (order.quantity - order.filled) * at
        return self.cash - held

    def submit(self, order: VenueOrder, partner: VenueOrder | None = None) -> VenueOrder:
        """Take an order, and the one that is cancelled when it fills.

        Raises:
            Refusal: it is not taken.
        """
        self.step()
        if order.key and self.by_key(order.key) is not None:
            raise Refusal("duplicate")
        self.check(order)
        order.fate = self.faults.of_order(order.symbol)
        self.orders[order.id] = order
        if partner is not None:
            order.pair, partner.pair, partner.parent = partner.id, order.id, order.id
            self.orders[partner.id] = partner
        self._tell("new", order)
        return order

    def cancel(self, order_id: str) -> VenueOrder:
        """Ask for a cancel; it happens at the next step, unless a fill overtakes it.

        Raises:
            Refusal: there is no such order, or it has ended.
        """
        self.step()
        order = self.orders.get(order_id)
        if order is None:
            raise Refusal("unknown")
        if not order.is_open:
            raise Refusal("late")
        order.status = "cancelling"
        self._tell("pending_cancel", order)
        return order

    def step(self) -> None:
        """Let happen what is due."""
        for order in list(self.orders.values()):
            if order.status == "cancelling":
                if order.fate == "slow-cancel" and order.patience < SLOW_STEPS:
                    order.patience += 1
                elif order.fate == "late-fill":
                    self.fill(order.id)
                else:
                    self._end(order, "cancelled", "canceled")
            elif order.is_open:
                self._work(order)

    def fill(self, order_id: str, quantity: float | None = None, price: float | None = None) -> Execution:
        """Execute a part of an order, or what is left of it, at a price or the quote."""
        order = self.orders[order_id]
        left = order.quantity - order.filled
        part = left if quantity is None else min(Decimal(str(quantity)), left)
        told = self.price(order.symbol) or (ZERO, ZERO)
        at = Decimal(str(price)) if price is not None else _reached(order, told) or told[order.side == "buy"]
        done = Execution(new_id(), at, part, self.now())
        order.executions.append(done)
        signed = part if order.side == "buy" else -part
        self.positions[order.symbol] = self.positions.get(order.symbol, ZERO) + signed
        if not self.positions[order.symbol]:
            del self.positions[order.symbol]
        self.cash -= signed * at
        if part == left:
            order.status = "filled"
        elif order.status != "cancelling":
            order.status = "partial"
        order.updated = self.now()
        self._tell("fill" if part == left else "partial_fill", order, done)
        if order.pair and self.orders[order.pair].is_open:
            self._end(self.orders[order.pair], "cancelled", "canceled")
        return done

    def expire(self, order_id: str) -> None:
        """The order's day is over."""
        self._end(self.orders[order_id], "expired", "expired")

    def _work(self, order: VenueOrder) -> None:
        if order.fate == "late-reject":
            self._end(order, "rejected", "rejected")
            return
        if order.status == "new":
            order.status, order.updated = "working", self.now()
        told = self.price(order.symbol)
        if order.fate in ("hold", "late-fill", "slow-cancel") or told is None or _reached(order, told) is None:
            return
        if order.fate == "partial":
            if not order.executions:
                self.fill(order.id, float(max(order.quantity // 2, order.quantity / 4)))
            return
        self.fill(order.id)

    def _end(self, order: VenueOrder, status: Status, event: str) -> None:
        order.status, order.updated = status, self.now()
        self._tell(event, order)
        if order.pair and self.orders[order.pair].is_open:
            self._end(self.orders[order.pair], status, event)

    def _tell(self, event: str, order: VenueOrder, execution: Execution | None = None) -> None:
        for listener in self.listeners:
            listener(event, order, execution)


def new_id() -> str:
    """The venue's own name for an order."""
    return str(uuid.uuid4())


def _reached(order: VenueOrder, told: tuple[Decimal, Decimal]) -> Decimal | None:
    """The price at which the order trades at this quote; None while it rests."""
    bid, ask = told
    at = ask if order.side == "buy" else bid
    if order.stop is not None and ((at < order.stop) if order.side == "buy" else (at > order.stop)):
        return None
    if order.limit is not None and ((at > order.limit) if order.side == "buy" else (at < order.limit)):
        return None
    return at
