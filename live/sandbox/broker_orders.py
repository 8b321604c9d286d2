"""An order as the venue has it, its executions, and the venue's no."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple

Side = Literal["buy", "sell"]
Kind = Literal["market", "limit", "stop", "stop_limit"]
Status = Literal["new", "working", "partial", "filled", "cancelling", "cancelled", "expired", "rejected"]
OPEN: tuple[Status, ...] = ("new", "working", "partial", "cancelling")
ZERO = Decimal(0)


class Refusal(Exception):  # noqa: N818  # an answer, not a failure
    """The venue says no. why: one of `duplicate`, `cash`, `shares`, `symbol`, `late`, `unknown`, `shape`, `blocked`."""

    def __init__(self, why: str, text: str = "") -> None:
        super().__init__(text or why)
        self.why = why


class Execution(NamedTuple):
    """One fill as the venue has it. fee: dollars."""

    id: str
    price: Decimal
    quantity: Decimal
    ts: int
    fee: Decimal = ZERO


MoveKind = Literal["fee", "dividend", "deposit", "withdrawal"]


class CashMove(NamedTuple):
    """Cash that came (or, where negative, went) without an order."""

    id: str
    kind: MoveKind
    amount: Decimal
    ts: int
    symbol: str = ""


@dataclass
class VenueOrder:
    """One order as the venue has it. key: what the client named it. pair: another that ends when this one fills.

    fate: what `BrokerFaults` has in mind for it; patience: how far that has come. by_hand: a person placed it, not the
    program. good_until: when its day is over, UTC nanoseconds.
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
    by_hand: bool = False
    good_until: int = 2**62
    triggered: bool = False

    @property
    def filled(self) -> Decimal:
        """Shares done."""
        return sum((each.quantity for each in self.executions), ZERO)

    @property
    def left(self) -> Decimal:
        """Shares not done."""
        return self.quantity - self.filled

    @property
    def average(self) -> Decimal | None:
        """Their price; None before the first."""
        if not self.executions:
            return None
        return sum((each.quantity * each.price for each in self.executions), ZERO) / self.filled

    @property
    def fees(self) -> Decimal:
        """Dollars paid for them."""
        return sum((each.fee for each in self.executions), ZERO)

    @property
    def is_open(self) -> bool:
        """More may happen to it."""
        return self.status in OPEN

    @property
    def urgency(self) -> tuple[int, Decimal, int]:
        """Orders of one side trade in this order: at the market first, then the better price, then the earlier."""
        if self.limit is None:
            return 0, ZERO, self.created
        return 1, -self.limit if self.side == "buy" else self.limit, self.created

    def reached(self, told: tuple[Decimal, Decimal]) -> Decimal | None:
        """The price at which it trades at this quote; None while it rests. A stop that was met stays so."""
        bid, ask = told
        at = ask if self.side == "buy" else bid
        if self.stop is not None and not self.triggered:
            if (at < self.stop) if self.side == "buy" else (at > self.stop):
                return None
            self.triggered = True
        if self.limit is not None and ((at > self.limit) if self.side == "buy" else (at < self.limit)):
            return None
        return at


def new_id() -> str:
    """The venue's own name for an order."""
    return str(uuid.uuid4())
