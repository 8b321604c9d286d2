"""Cards of orders that go as they should: market, limit, stop and target."""

from __future__ import annotations

from typing import Any

from live.core.events import Fill, OrderAccepted, OrderCancelled, OrderExpired
from tests.contracts.cards import (
    FLAT,
    HOLDS,
    card,
    hold,
    key,
    limit,
    nan,
    never,
    order_of,
    orders,
    protect,
    shares,
    standing,
    submit,
)


@card(
    "1.1",
    "market buy",
    given=FLAT,
    do="submit a market buy of 4",
    events="accepted, fill",
    passes="one order, 4 shares booked once at the venue's price",
)
def _(case: Any) -> None:
    case.do(submit(case))
    case.until(lambda: case.of(Fill))
    case.poll(3)
    assert case.of(OrderAccepted)
    assert [(f.quantity, f.price) for f in case.of(Fill)] == [(4.0, 100.02)]
    assert len(orders(case)) == 1


@card(
    "1.2",
    "market sell closes",
    given=HOLDS,
    do="submit a market sell of 4",
    events="accepted, fill",
    passes="the venue is flat",
)
def _(case: Any) -> None:
    hold(case)
    case.do(submit(case, side="sell"))
    case.until(lambda: shares(case) == 4.0)
    assert case.venue.positions == {}


@card(
    "1.3",
    "marketable limit",
    given=FLAT,
    do="submit a buy limited above the ask",
    events="accepted, fill",
    passes="filled at the ask, the limit is the venue's own",
)
def _(case: Any) -> None:
    case.do(limit(case, 100.5))
    case.until(lambda: shares(case) == 4.0)
    assert [fill.price for fill in case.of(Fill)] == [100.02]
    assert float(order_of(case).limit) == 100.5


@card(
    "2.1",
    "resting limit",
    given=FLAT,
    do="submit a buy limited below the bid; let the market come to it",
    events="accepted, fill",
    passes="nothing is filled before the price is reached, all after",
)
def _(case: Any) -> None:
    case.do(limit(case, 99.0))
    case.poll(5)
    assert not case.of(Fill)
    case.venue.put_price("AAPL", 98.9, 98.95)
    case.until(lambda: shares(case) == 4.0)
    assert case.of(Fill)[0].price == 98.95


@card(
    "2.2",
    "day is said",
    given=FLAT,
    do="submit a limit and a protection",
    events="accepted",
    passes="entries and exits are good for the day, protections until cancelled, at the venue",
)
def _(case: Any) -> None:
    hold(case)
    case.do(limit(case, 99.0))
    case.do(protect(case))
    case.until(lambda: order_of(case, 9) is not None)
    assert order_of(case).life in ("day", "gfd")
    assert order_of(case, 9).life == "gtc"


@card(
    "2.3",
    "end of day",
    given="a limit order rests",
    do="let the venue's day end",
    events="expired",
    passes="it is over, with nothing filled",
)
def _(case: Any) -> None:
    case.do(limit(case, 99.0))
    case.until(lambda: case.of(OrderAccepted))
    case.venue.expire(order_of(case).id)
    # The official and the private route tell an expired order as a cancelled one.
    case.until(lambda: case.of(OrderExpired) or case.of(OrderCancelled))
    assert not case.of(Fill)


@card(
    "2.4",
    "immediate or cancel, fill or kill",
    given=FLAT,
    do="-",
    events="-",
    passes="-",
    skip=never("no order of ours is either"),
)
def _(case: Any) -> None:
    raise AssertionError


@card(
    "3.1",
    "stop",
    given=HOLDS,
    do="protect with a stop; let the market fall through it",
    events="accepted, fill",
    passes="sold once, at the market below the stop",
    skip=lambda sheet: "" if sheet.standing_stops else "keeps no stops",
)
def _(case: Any) -> None:
    hold(case)
    case.do(protect(case))
    case.poll(3)
    assert not case.of(Fill, key(9))
    case.venue.put_price("AAPL", 89.0, 89.02)
    case.until(lambda: shares(case, 9) == 4.0)
    assert case.venue.positions == {}


@card(
    "3.2",
    "target",
    given=HOLDS,
    do="protect with a target alone; let the market rise to it",
    events="accepted, fill",
    passes="sold once, at the target or better",
)
def _(case: Any) -> None:
    hold(case)
    case.do(protect(case, stop=nan, target=110.0))
    case.venue.put_price("AAPL", 110.5, 110.52)
    case.until(lambda: shares(case, 9) == 4.0)
    assert case.of(Fill, key(9))[0].price >= 110.0


@card(
    "3.3",
    "stop and target, one cancels the other",
    given=HOLDS,
    do="protect with both; let the target be met",
    events="accepted, fill",
    passes="sold once; the stop stands no more",
    skip=lambda sheet: "" if sheet.pairs else "one sell order holds the shares: only the stop stands",
)
def _(case: Any) -> None:
    hold(case)
    case.do(protect(case, target=110.0))
    case.venue.put_price("AAPL", 110.5, 110.52)
    case.until(lambda: shares(case, 9) == 4.0)
    assert not standing(case)
    assert case.venue.positions == {}


@card(
    "3.4",
    "stop limit",
    given=HOLDS,
    do="-",
    events="-",
    passes="-",
    skip=never("no order of ours is one: a stop must leave"),
)
def _(case: Any) -> None:
    raise AssertionError
