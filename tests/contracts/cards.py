"""Conformance cards: what every broker must be able to do for us, one card each, after Nautilus's and LEAN's lists.

A card says what must hold before, what is done, which events follow and when it is passed. `play` does it to a case of
`conftest.py`, a broker of ours in front of its sandbox; the venue's own record judges. The cards themselves are in
`cards_orders`, `cards_changes` and `cards_trouble`, which put them into `CARDS`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from live.brokers.base import Capabilities
from live.core.commands import Cancel, Protect, Submit
from live.core.events import Fill

nan = float("nan")
GROUPS = {
    1: "market and marketable limit",
    2: "limit, and how long it is good",
    3: "stop and target",
    4: "replace",
    5: "cancel",
    6: "fractions and notional",
    7: "rejects",
    8: "ambiguous submit, cancel, replace",
    9: "restart",
    10: "session and halt",
    11: "duplicate key",
    12: "cash without an order",
}


class Card(NamedTuple):
    """One card. skip: why a broker of these capabilities is not asked, "" where it is."""

    number: str
    title: str
    prerequisite: str
    action: str
    events: str
    passes: str
    play: Callable[[Any], None]
    skip: Callable[[Capabilities], str]

    @property
    def group(self) -> int:
        """Its group of `GROUPS`."""
        return int(self.number.partition(".")[0])


CARDS: list[Card] = []


def card(
    number: str,
    title: str,
    *,
    given: str,
    do: str,
    events: str,
    passes: str,
    skip: Callable[[Capabilities], str] = lambda _: "",
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Make a card of a function that plays it."""

    def keep(play: Callable[[Any], None]) -> Callable[[Any], None]:
        CARDS.append(Card(number, title, given, do, events, passes, play, skip))
        return play

    return keep


def never(reason: str) -> Callable[[Capabilities], str]:
    """Skipped for every broker."""
    return lambda _: reason


def key(number: int = 1) -> str:
    return str(uuid.UUID(int=number))


def submit(case: Any, number: int = 1, side: Any = "buy", quantity: float = 4.0, **more: Any) -> Submit:
    reason = more.pop("reason", "entry" if side == "buy" else "exit")
    good_for = "row" if reason == "entry" else "fill"
    symbol = more.pop("symbol", "AAPL")
    return Submit(key(number), case.clock.now(), symbol, side, quantity, reason, good_for, **more)


def limit(case: Any, price: float, number: int = 1, **more: Any) -> Submit:
    return submit(case, number, kind="limit", limit=price, **more)


def protect(case: Any, number: int = 9, stop: float = 90.0, target: float = nan, **more: Any) -> Protect:
    return Protect(key(number), case.clock.now(), "AAPL", "sell", more.pop("quantity", 4.0), stop, target, **more)


def cancel(case: Any, number: int = 1) -> Cancel:
    return Cancel(key(number), case.clock.now(), "AAPL")


def shares(case: Any, number: int = 1) -> float:
    return sum(fill.quantity for fill in case.of(Fill, key(number)))


def hold(case: Any, number: int = 100) -> None:
    """Four shares, bought by an order of ours."""
    case.do(submit(case, number))
    case.until(lambda: shares(case, number) == 4.0)


def orders(case: Any) -> list[Any]:
    """All that the venue ever had, a pair counted once."""
    return [order for order in case.venue.orders.values() if not order.parent]


def order_of(case: Any, number: int = 1) -> Any:
    return case.venue.by_key(key(number))


def standing(case: Any) -> list[Any]:
    return [order for order in orders(case) if order.is_open and order.side == "sell"]


FLAT = "the account is flat"
HOLDS = "the account holds 4 shares"
