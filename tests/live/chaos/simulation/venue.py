"""The exchange: takes orders, fills them as it likes, and keeps the one record that is believed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from .clock import Timeline
from .market import Market

Status = Literal["pending", "working", "filled", "cancelled", "expired", "rejected"]
ENDED = ("filled", "cancelled", "expired", "rejected")


class No(Exception):  # noqa: N818  # an answer
    """The venue's documented refusal. why: duplicate, shares, cash, halted, restricted."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the venue says no: {why}")
        self.why = why


@dataclass(frozen=True)
class Body:
    """What an order says, as it came over the wire."""

    symbol: str
    side: str
    quantity: float
    kind: str
    limit: float = 0.0
    stop: float = float("nan")
    target: float = float("nan")
    reduces: bool = False


@dataclass(frozen=True)
class Execution:
    """One fill."""

    id: str
    ts: int
    quantity: float
    price: float
    leg: Literal["", "stop", "target"] = ""


@dataclass
class Order:
    """One order in the venue's record. visible: when lists begin to show it."""

    id: str
    key: str
    body: Body
    created: int
    visible: int
    status: Status = "pending"
    ended: int = 0
    asked_back: int = 0
    busted: bool = False
    by_hand: bool = False
    executions: list[Execution] = field(default_factory=list)

    @property
    def filled(self) -> float:
        """Shares done."""
        return sum(each.quantity for each in self.executions)

    @property
    def left(self) -> float:
        """Shares to do."""
        return self.body.quantity - self.filled

    @property
    def sign(self) -> float:
        """1 for a buy."""
        return 1.0 if self.body.side == "buy" else -1.0


@dataclass(frozen=True)
class Receipt:
    """One order as it came in, whatever became of it. left: when its request left the process. durable: by then the
    journal's synced bytes held its intent. held: the position then."""

    ts: int
    left: int
    key: str
    body: Body
    taken: bool
    durable: bool
    life: int
    held: float = 0.0


class Venue:
    """One account at one exchange.

    Args:
        dedupes: see `live.brokers.base.Capabilities`. visible_s: the longest until a list shows an order.
        remembers_s: for how long a key is known again; the same key later makes another order.
        wild: chances of what it may do: partial, early, late_fill, late_reject, expire, slow_cancel, bust.
    """

    def __init__(
        self,
        timeline: Timeline,
        market: Market,
        chance: random.Random,
        *,
        cash: float,
        dedupes: str,
        shorts: bool,
        visible_s: float,
        remembers_s: float,
        wild: dict[str, float],
    ) -> None:
        self.timeline, self.market, self.chance = timeline, market, chance
        self.cash, self.shorts, self.dedupes, self.visible_s, self.wild = cash, shorts, dedupes, visible_s, wild
        self.remembers_s = remembers_s
        self.positions: dict[str, float] = {}
        self.orders: list[Order] = []
        self.receipts: list[Receipt] = []
        self.cancels: list[tuple[int, str]] = []
        self.requests: list[tuple[int, int, str, int]] = []
        """(arrived, left, kind, life) of each."""
        self.by_hand: list[tuple[int, str]] = []
        self.restricted = False
        self.frozen = False
        self.listeners: list[Any] = []
        self._executed = 0
        self.met: Callable[[str, Order], None] = lambda _fault, _order: None

    # --- requests -------------------------------------------------------------------------------------------------

    def submit(self, key: str, body: Body, *, left: int, durable: bool, life: int) -> Order:
        """Take an order.

        Raises:
            No: it is not taken.
        """
        now = self.timeline.now
        since = now - self.remembers_s * 1e9
        old = next((order for order in self.orders if order.key == key and order.created >= since), None)
        why, held = self._against(body, old), self.positions.get(body.symbol, 0.0)
        self.receipts.append(Receipt(now, left, key, body, not why, durable, life, held))
        if why == "known":
            assert old is not None
            return old
        if why:
            raise No(why)
        visible = now + int(self.chance.random() ** 3 * self.visible_s * 1e9)
        order = Order(f"v{len(self.orders)}", key, body, now, visible)
        self.orders.append(order)
        if self._rolls("early"):
            self.work(order)
        else:
            self.timeline.after(self.chance.uniform(0.05, 1.5), lambda: self._begin(order))
        return order

    def _against(self, body: Body, old: Order | None) -> str:
        if old is not None and self.dedupes == "refuses":
            return "duplicate"
        if old is not None and self.dedupes == "returns first":
            return "known"
        if self.restricted and not body.reduces:
            return "restricted"
        if not self.market.is_open(self.timeline.now):
            return "closed"
        held = self.positions.get(body.symbol, 0.0)
        if body.side == "sell" and not self.shorts and body.quantity > held - self.selling(body.symbol) + 1e-9:
            return "shares"
        if body.side == "buy" and body.quantity * self.market.mid(body.symbol, self.timeline.now) > self.cash * 2.0:
            return "cash"
        return ""

    def selling(self, symbol: str) -> float:
        """Shares that open sell orders hold."""
        return sum(
            order.left
            for order in self.orders
            if order.body.symbol == symbol and order.body.side == "sell" and order.status not in ENDED
        )

    def cancel(self, order_id: str) -> str:
        """Take a wish to cancel; "" or why it comes too late."""
        order = next((each for each in self.orders if each.id == order_id), None)
        self.cancels.append((self.timeline.now, order_id))
        if order is None:
            return "no such order"
        if order.status in ENDED:
            return "it has ended"
        if not order.asked_back:
            order.asked_back = self.timeline.now
            wait = self.chance.uniform(4.0, 12.0) if self._rolls("slow_cancel") else self.chance.uniform(0.0, 1.0)
            self.timeline.after(wait, lambda: self._cancelled(order))
        return ""

    # --- what happens by itself -----------------------------------------------------------------------------------

    def work(self, order: Order) -> None:
        """Let an order trade, as far as the market goes and it pleases; then again a little later."""
        if order.status in ENDED:
            return
        now = self.timeline.now
        if not self.market.is_open(now):
            if order.body.kind not in ("stop", "pair"):
                self.end(order, "expired")
            return
        if order.status == "working" and not order.executions and self._rolls("late_reject"):
            self.met("F22", order)
            self.end(order, "rejected")
            return
        price, leg = self._price(order)
        if price > 0.0 and not self.frozen and not self.market.is_halted(order.body.symbol, now):
            left = order.left
            whole = left <= 1.0 or not self._rolls("partial")
            self.fill(order, left if whole else float(self.chance.randint(1, int(left))), price, leg)
        elif order.status == "pending":
            self.status(order, "working")
        if order.status not in ENDED:
            self.timeline.after(self.chance.uniform(0.5, 4.0), lambda: self.work(order))

    def _begin(self, order: Order) -> None:
        if order.status in ENDED:  # cancelled on its way
            return
        if self._rolls("late_reject") and not order.executions:
            self.met("F22", order)
            self.end(order, "rejected")
        elif self._rolls("expire") and not order.executions:
            self.met("F22", order)
            self.end(order, "expired")
            self._may_fill_late(order)
        else:
            self.work(order)

    def _price(self, order: Order) -> tuple[float, Literal["", "stop", "target"]]:
        """Where it would trade now, 0 for nowhere, and which of a protection's levels that is."""
        body = order.body
        bid, ask = self.market.quote(body.symbol, self.timeline.now)
        buy = body.side == "buy"
        at = ask if buy else bid
        if body.kind in ("stop", "pair") and ((at >= body.stop) if buy else (at <= body.stop)):
            return at, "stop"
        if body.kind == "pair" and ((at <= body.target) if buy else (at >= body.target)):
            return at, "target"
        if body.kind == "limit" and ((at <= body.limit) if buy else (at >= body.limit)):
            return at, ""
        return (at, "") if body.kind == "market" else (0.0, "")

    def fill(self, order: Order, quantity: float, price: float, leg: Literal["", "stop", "target"] = "") -> None:
        """An execution."""
        self._executed += 1
        self.met("F21", order)
        done = Execution(f"x{order.id}.{self._executed}", self.timeline.now, quantity, price, leg)
        order.executions.append(done)
        self._move(order.body.symbol, order.sign * quantity, price)
        if order.status not in ENDED:
            order.status = "filled" if order.left < 1e-9 else "working"
            order.ended = self.timeline.now if order.status == "filled" else 0
        self._tell(order, done)
        if self._rolls("bust"):
            self.timeline.after(self.chance.uniform(0.5, 20.0), lambda: self._bust(order, done))

    def status(self, order: Order, status: Status) -> None:
        """The order is in another state."""
        order.status = status
        self._tell(order, None)

    def end(self, order: Order, status: Status) -> None:
        """The order is over."""
        order.ended = self.timeline.now
        self.status(order, status)

    def hand_trade(self, symbol: str, quantity: float) -> None:
        """A person trades in the broker's app."""
        self._move(symbol, quantity, self.market.mid(symbol, self.timeline.now))
        self.by_hand.append((self.timeline.now, f"{quantity:g} {symbol}"))

    def hand_order(self, symbol: str, quantity: float) -> None:
        """A person leaves an order in the broker's app, far from the market."""
        body = Body(symbol, "buy", quantity, "limit", limit=1.0)
        now = self.timeline.now
        self.orders.append(Order(f"h{len(self.orders)}", f"hand-{now}", body, now, now, "working", by_hand=True))
        self.by_hand.append((now, f"an order for {quantity:g} {symbol}"))

    def _cancelled(self, order: Order) -> None:
        if order.status in ENDED:
            return
        self.end(order, "cancelled")
        self._may_fill_late(order)

    def _may_fill_late(self, order: Order) -> None:
        """A fill that overtook the end of its order, told of behind it."""
        left, price = order.left, self.market.mid(order.body.symbol, self.timeline.now)
        if self._rolls("late_fill"):
            part = float(self.chance.randint(1, max(int(left), 1)))
            self.timeline.after(self.chance.uniform(0.2, 8.0), lambda: self.fill(order, min(part, left), price))

    def _bust(self, order: Order, done: Execution) -> None:
        order.executions.remove(done)
        order.busted = True
        self._move(order.body.symbol, -order.sign * done.quantity, done.price)
        self.by_hand.append((self.timeline.now, f"execution {done.id} taken back"))

    def _move(self, symbol: str, quantity: float, price: float) -> None:
        held = self.positions.get(symbol, 0.0) + quantity
        self.positions[symbol] = held
        if held == 0.0:
            del self.positions[symbol]
        self.cash -= quantity * price

    def _rolls(self, name: str) -> bool:
        return name in self.wild and not self.frozen and self.chance.random() < self.wild[name]

    def _tell(self, order: Order, done: Execution | None) -> None:
        for listener in self.listeners:
            listener(order, done)
