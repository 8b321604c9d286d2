"""The venue behind every broker of the sandbox: takes orders, fills them at a quote, and keeps the record that judges.

Orders meet what the market shows by price, then time, over all accounts of an `Exchange`; what is not there waits. It
is told prices by `quote(symbol) -> (bid, ask)`, by a `Floor` or by `put_price`. Nothing happens by itself: `step` lets
what became due happen, and every request steps first. The fate of each order comes from `BrokerFaults`: a part only, an
hour later, rejected after it was accepted, filled although it is being cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from live.sandbox.broker_faults import REFUSED, BrokerFaults
from live.sandbox.broker_fees import fee_of
from live.sandbox.broker_floor import Floor, OpenFloor
from live.sandbox.broker_orders import (
    OPEN,
    ZERO,
    CashMove,
    Execution,
    Kind,
    MoveKind,
    Refusal,
    Side,
    Status,
    VenueOrder,
    new_id,
)

__all__ = [
    "OPEN",
    "ZERO",
    "Exchange",
    "Execution",
    "Kind",
    "Refusal",
    "Side",
    "Status",
    "Venue",
    "VenueOrder",
    "new_id",
]
SLOW_STEPS = 5
RESTS = ("hold", "late-fill", "slow-cancel", "ghost-fill")
Listener = Callable[[str, VenueOrder, Execution | None], None]


class Exchange:
    """One matching engine for several accounts."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.venues: list[Venue] = []

    def step(self, asked: bool = True) -> None:
        """Let happen what is due. asked: because of a request; what is counted in requests counts this one."""
        for venue in self.venues:
            venue.settle(asked)
        waiting = [(venue, order) for venue in self.venues for order in venue.orders.values() if order.is_open]
        for venue, order in sorted(waiting, key=lambda each: each[1].urgency):
            if order.is_open and order.status != "cancelling":
                venue.work(order)


class Venue:
    """One account at one broker.

    Args:
        quote: (bid, ask) of a symbol now; None for one that is not listed.
        now: UTC nanoseconds. cash: at the start. shorts: whether more may be sold than is held.
        exchange: where it trades, instead of one of its own at `quote`. fees: sales cost the regulators' fees, at
            once, or billed together when the day has ended.
        dedupes: the same key twice is refused; otherwise it is two orders.

    blocked: why it may not trade, "" where it may. moves: cash that came or went without an order.
    """

    def __init__(
        self,
        quote: Callable[[str], tuple[float, float] | None],
        now: Callable[[], int],
        *,
        cash: float = 100_000.0,
        shorts: bool = False,
        faults: BrokerFaults | None = None,
        exchange: Exchange | None = None,
        fees: Literal["", "at once", "day end"] = "",
        dedupes: bool = True,
    ) -> None:
        self.cash = self.cash_at_start = Decimal(str(cash))
        self.positions: dict[str, Decimal] = {}
        self.orders: dict[str, VenueOrder] = {}
        self.faults = faults or BrokerFaults()
        self.listeners: list[Listener] = []
        self.now = now
        self.blocked = ""
        self.moves: list[CashMove] = []
        self._owed, self._bill_at = ZERO, 0
        self.exchange = exchange or Exchange(OpenFloor(quote))
        self.exchange.venues.append(self)
        self._keys: dict[str, VenueOrder] = {}
        self._put: dict[str, tuple[float, float]] = {}
        self._shorts, self._fees, self._dedupes = shorts, fees, dedupes

    def put_price(self, symbol: str, bid: float, ask: float) -> None:
        """Let the symbol trade here from now on."""
        self._put[symbol] = (bid, ask)
        self.step()

    def price(self, symbol: str) -> tuple[Decimal, Decimal] | None:
        """(bid, ask) now; None where the symbol is not listed."""
        told = self._put.get(symbol) or self.exchange.floor.quote(symbol)
        return None if told is None else (Decimal(str(round(told[0], 4))), Decimal(str(round(told[1], 4))))

    def by_key(self, key: str) -> VenueOrder | None:
        """The order a client named so."""
        return self._keys.get(key)

    def held_for_sells(self, symbol: str) -> Decimal:
        """Shares that open sell orders hold; a pair holds them once."""
        sells = [o for o in self.orders.values() if o.symbol == symbol and o.side == "sell" and o.is_open]
        return sum((o.left for o in sells if not o.parent), ZERO)

    def check(self, order: VenueOrder) -> None:
        """
        Raises:
            Refusal: the venue would not take it.
        """
        if self.blocked:
            raise Refusal("blocked", self.blocked)
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
                held += order.left * (order.limit or order.stop or (told[1] if told else ZERO))
        return self.cash - held

    def submit(self, order: VenueOrder, partner: VenueOrder | None = None) -> VenueOrder:
        """Take an order, and the one that is cancelled when it fills.

        Raises:
            Refusal: it is not taken.
        """
        self.step()
        if self._dedupes and order.key and order.key in self._keys:
            raise Refusal("duplicate")
        order.fate = "" if order.by_hand else self.faults.of_order(order.symbol)
        if order.fate in REFUSED:
            raise Refusal(order.fate.removeprefix("no-"))
        self.check(order)
        if order.life in ("day", "gfd"):
            order.good_until = self.exchange.floor.day_end()
        self._take(order)
        if partner is not None:
            order.pair, partner.pair, partner.parent = partner.id, order.id, order.id
            partner.good_until = order.good_until
            self._take(partner)
        self._tell("new", order)
        if order.fate == "early-fill":
            self.work(order)
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

    def step(self, asked: bool = True) -> None:
        """Let happen what is due, here and in every account of the exchange."""
        self.exchange.step(asked)

    def settle(self, asked: bool = True) -> None:
        """Let cancels, rejections and the ends of days happen."""
        if self._owed and self.exchange.floor.now() > self._bill_at:
            self.bill()
        for order in list(self.orders.values()):
            if order.status == "cancelling":
                self._settle_cancel(order, asked)
            elif order.is_open and order.fate == "late-reject":
                self._end(order, "rejected", "rejected")
            elif order.is_open and self.exchange.floor.now() > order.good_until:
                self._end(order, "expired", "expired")
            elif order.status == "cancelled" and order.fate == "ghost-fill" and asked and order.left > ZERO:
                self.fill(order.id, float(order.left))

    def work(self, order: VenueOrder) -> None:
        """Let a resting order trade, as far as the market goes."""
        if order.status == "new":
            order.status, order.updated = "working", self.now()
        told, floor = self.price(order.symbol), self.exchange.floor
        if order.fate in RESTS or told is None or not floor.trades(order.symbol) or order.reached(told) is None:
            return
        part = order.left
        if order.fate == "partial":
            part = max(order.quantity // 2, order.quantity / 4) if not order.executions else ZERO
        elif order.fate == "split" and len(order.executions) < 2:
            part = max(order.left // 3, min(order.left, Decimal(1)))
        shown = floor.shown(order.symbol, order.side)
        part = part if shown is None else min(part, shown)
        if part > ZERO:
            floor.take(order.symbol, order.side, part)
            self.fill(order.id, float(part))

    def fill(self, order_id: str, quantity: float | None = None, price: float | None = None) -> Execution:
        """Execute a part of an order, or what is left of it, at a price or the quote."""
        order = self.orders[order_id]
        left = order.left
        part = left if quantity is None else min(Decimal(str(quantity)), left)
        told = self.price(order.symbol) or (ZERO, ZERO)
        at = Decimal(str(price)) if price is not None else order.reached(told) or told[order.side == "buy"]
        fee = fee_of(order.side, part, at) if self._fees else ZERO
        if self._fees == "day end":
            self._owed, self._bill_at = self._owed + fee, self.exchange.floor.day_end()
            fee = ZERO
        done = Execution(new_id(), at, part, self.now(), fee)
        order.executions.append(done)
        self._move(order, part, at)
        self.cash -= done.fee
        ended = order.status in ("cancelled", "expired")
        if part == left and not ended:
            order.status = "filled"
        elif order.status != "cancelling" and not ended:
            order.status = "partial"
        order.updated = self.now()
        self._tell("fill" if part == left else "partial_fill", order, done)
        if order.pair and self.orders[order.pair].is_open:
            self._end(self.orders[order.pair], "cancelled", "canceled")
        return done

    def move_cash(self, kind: MoveKind, amount: Decimal, symbol: str = "") -> CashMove:
        """Let cash come (or go, where negative) without an order."""
        move = CashMove(new_id(), kind, amount.quantize(Decimal("0.01")), self.now(), symbol)
        self.moves.append(move)
        self.cash += move.amount
        return move

    def bill(self) -> None:
        """The day has ended: the fees of its sales are due."""
        if self._owed:
            owed, self._owed = self._owed, ZERO
            self.move_cash("fee", -owed)

    def bust(self, order_id: str) -> Execution:
        """Take the last execution of an order back: the exchange says that it never was."""
        order = self.orders[order_id]
        done = order.executions.pop()
        self._move(order, -done.quantity, done.price)
        self.cash += done.fee
        order.updated = self.now()
        self._tell("trade_bust", order, done)
        return done

    def split(self, symbol: str, ratio: int) -> None:
        """`ratio` shares for each, overnight; open orders of the symbol are cancelled, as brokers do."""
        for order in list(self.orders.values()):
            if order.symbol == symbol and order.is_open:
                self._end(order, "cancelled", "canceled")
        if symbol in self.positions:
            self.positions[symbol] *= ratio

    def expire(self, order_id: str) -> None:
        """The order's day is over."""
        self._end(self.orders[order_id], "expired", "expired")

    def _take(self, order: VenueOrder) -> None:
        self.orders[order.id] = order
        if order.key:
            self._keys[order.key] = order

    def _move(self, order: VenueOrder, part: Decimal, at: Decimal) -> None:
        signed = part if order.side == "buy" else -part
        self.positions[order.symbol] = self.positions.get(order.symbol, ZERO) + signed
        if not self.positions[order.symbol]:
            del self.positions[order.symbol]
        self.cash -= signed * at

    def _settle_cancel(self, order: VenueOrder, asked: bool) -> None:
        if order.fate == "slow-cancel" and order.patience < SLOW_STEPS:
            order.patience += asked
        elif order.fate == "late-fill":
            self.fill(order.id)
        else:
            self._end(order, "cancelled", "canceled")

    def _end(self, order: VenueOrder, status: Status, event: str) -> None:
        order.status, order.updated = status, self.now()
        self._tell(event, order)
        if order.pair and self.orders[order.pair].is_open:
            self._end(self.orders[order.pair], status, event)

    def _tell(self, event: str, order: VenueOrder, execution: Execution | None = None) -> None:
        for listener in self.listeners:
            listener(event, order, execution)
