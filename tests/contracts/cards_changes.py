"""Cards of orders that are changed, taken back, broken up or refused."""

from __future__ import annotations

from typing import Any

from live.core.events import Fill, OrderAccepted, OrderCancelled, OrderRefused
from tests.contracts.cards import (
    FLAT,
    cancel,
    card,
    hold,
    limit,
    never,
    order_of,
    orders,
    protect,
    shares,
    standing,
    submit,
)


@card(
    "4.1",
    "changed protection",
    given="a stop stands",
    do="protect again with a higher stop",
    events="(none of its own)",
    passes="one sell order stands, at the new level, never two",
)
def _(case: Any) -> None:
    hold(case)
    case.do(protect(case))
    case.poll(3)
    case.do(protect(case, stop=95.0, amends=True))
    case.until(lambda: [float(order.stop) for order in standing(case)] == [95.0])
    assert len(standing(case)) == 1


@card(
    "4.2",
    "changed protection that was met meanwhile",
    given="a stop stands",
    do="let it fill, then change it",
    events="fill",
    passes="nothing more is sold than was held",
)
def _(case: Any) -> None:
    hold(case)
    case.do(protect(case))
    case.poll(2)
    case.venue.put_price("AAPL", 89.0, 89.02)
    case.do(protect(case, stop=95.0, amends=True))
    case.until(lambda: case.venue.positions == {})
    case.poll(10)
    assert sum(float(order.filled) for order in orders(case) if order.side == "sell") == 4.0


@card(
    "5.1",
    "cancel",
    given="a limit order rests",
    do="cancel it",
    events="accepted, cancelled",
    passes="cancelled only once the venue says so",
)
def _(case: Any) -> None:
    case.do(limit(case, 99.0))
    case.until(lambda: case.of(OrderAccepted))
    case.do(cancel(case))
    case.until(lambda: case.of(OrderCancelled))
    assert order_of(case).status == "cancelled"


@card(
    "5.2",
    "cancel twice",
    given="a cancel was confirmed",
    do="cancel again",
    events="(none)",
    passes="nothing is told a second time",
)
def _(case: Any) -> None:
    case.do(limit(case, 99.0))
    case.until(lambda: case.of(OrderAccepted))
    case.do(cancel(case))
    case.until(lambda: case.of(OrderCancelled))
    case.do(cancel(case))
    case.poll(5)
    assert len(case.of(OrderCancelled)) == 1


@card(
    "5.3",
    "cancel what is filled",
    given="an order was filled",
    do="cancel it",
    events="fill",
    passes="it stays filled; no cancel is told",
)
def _(case: Any) -> None:
    case.do(submit(case))
    case.until(lambda: shares(case) == 4.0)
    case.do(cancel(case))
    case.poll(5)
    assert not case.of(OrderCancelled)
    assert order_of(case).status == "filled"


@card(
    "5.4",
    "cancel against fill",
    given="an order rests that will fill as it is cancelled",
    do="cancel it",
    events="accepted, fill",
    passes="the fill is booked; no cancel is told",
)
def _(case: Any) -> None:
    case.venue.faults.add("order.late-fill@1")
    case.do(submit(case))
    case.until(lambda: case.of(OrderAccepted))
    case.do(cancel(case))
    case.until(lambda: shares(case) == 4.0)
    case.poll(3)
    assert not case.of(OrderCancelled)


@card(
    "6.1",
    "fraction of a share",
    given=FLAT,
    do="submit a market buy of 0.5",
    events="accepted, fill",
    passes="0.5 shares at the venue",
    skip=lambda sheet: "" if sheet.fractional else "whole shares only",
)
def _(case: Any) -> None:
    case.do(submit(case, quantity=0.5))
    case.until(lambda: shares(case) == 0.5)
    assert float(case.venue.positions["AAPL"]) == 0.5


@card("6.2", "notional", given=FLAT, do="-", events="-", passes="-", skip=never("every order of ours is in shares"))
def _(case: Any) -> None:
    raise AssertionError


def refused(case: Any, command: Any) -> OrderRefused:
    case.do(command)
    case.until(lambda: case.of(OrderRefused, command.order_id))
    (no,) = case.of(OrderRefused, command.order_id)
    assert not case.of(Fill, command.order_id)
    return no


@card(
    "7.1",
    "not enough cash",
    given=FLAT,
    do="submit a buy of more than the cash",
    events="refused",
    passes="refused with the broker's reason; the venue has no order",
)
def _(case: Any) -> None:
    no = refused(case, submit(case, quantity=50_000.0))
    assert no.reason
    assert not no.late
    assert not orders(case)


@card(
    "7.2",
    "not enough shares",
    given=FLAT,
    do="submit a sell",
    events="refused",
    passes="refused; the venue has no order",
)
def _(case: Any) -> None:
    refused(case, submit(case, side="sell"))
    assert not orders(case)


@card(
    "7.3",
    "unknown symbol",
    given=FLAT,
    do="submit a buy of NONE",
    events="refused",
    passes="refused; the venue has no order",
)
def _(case: Any) -> None:
    refused(case, submit(case, symbol="NONE"))
    assert not orders(case)


@card(
    "7.4",
    "late reject",
    given="the venue throws an accepted order out",
    do="submit a market buy",
    events="accepted, refused late",
    passes="told as late; nothing is booked",
)
def _(case: Any) -> None:
    case.venue.faults.add("order.late-reject@1")
    assert refused(case, submit(case)).late


@card(
    "7.5",
    "account restricted",
    given="the broker lets the account trade no more",
    do="submit a market buy",
    events="refused",
    passes="refused; the venue has no order",
)
def _(case: Any) -> None:
    case.venue.blocked = "account is restricted from trading"
    refused(case, submit(case))
    assert not orders(case)
