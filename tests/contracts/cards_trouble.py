"""Cards of lost answers, restarts, closed markets and the same order twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from live.brokers.base import Known
from live.core.events import (
    Fill,
    OrderAccepted,
    OrderCancelled,
    OrderQuarantined,
    OrderRefused,
    OrderSent,
    OrderUnknown,
)
from tests.contracts.cards import (
    FLAT,
    HOLDS,
    cancel,
    card,
    hold,
    limit,
    order_of,
    orders,
    protect,
    shares,
    standing,
    submit,
)


@card(
    "8.1",
    "submit done, answer lost",
    given="the connection breaks after the order was taken",
    do="submit a market buy",
    events="unknown, accepted, fill",
    passes="one order, never called refused, filled once",
)
def _(case: Any) -> None:
    case.venue.faults.add("place.lost@1")
    assert isinstance(case.do(submit(case))[0], OrderUnknown)
    case.until(lambda: shares(case) == 4.0)
    case.poll(5)
    assert len(orders(case)) == 1
    assert not case.of(OrderRefused)


@card(
    "8.2",
    "submit never arrived",
    given="the connection breaks before the order was read",
    do="submit a market buy",
    events="unknown, then sent again under its key and fill; or quarantined",
    passes="one order where the broker dedupes; none and a person called where it does not",
)
def _(case: Any) -> None:
    case.venue.faults.add("place.drop@1")
    case.do(submit(case))
    if case.desk.capabilities.dedupes == "no":
        case.until(lambda: case.of(OrderQuarantined), times=120)
        assert not orders(case)
    else:
        case.until(lambda: shares(case) == 4.0, times=60)
        assert [event.attempt for event in case.of(OrderSent)] == [2]
        assert len(orders(case)) == 1


@card(
    "8.3",
    "cancel done, answer lost",
    given="a limit order rests; the answer to its cancel is lost",
    do="cancel it",
    events="cancelled",
    passes="cancelled once, by the venue's word",
)
def _(case: Any) -> None:
    case.do(limit(case, 99.0))
    case.until(lambda: case.of(OrderAccepted))
    case.venue.faults.add("cancel.lost@1")
    case.do(cancel(case))
    case.until(lambda: case.of(OrderCancelled))
    assert order_of(case).status == "cancelled"


@card(
    "8.4",
    "replace with both answers lost",
    given="a stop stands; the answers to its cancel and to the new order are lost",
    do="protect again with a higher stop",
    events="(none of its own)",
    passes="one sell order stands, at the new level",
)
def _(case: Any) -> None:
    hold(case)
    case.do(protect(case))
    case.poll(3)
    case.venue.faults.add("cancel.lost@1,place.lost@1")
    case.do(protect(case, stop=95.0, amends=True))
    case.until(lambda: [float(order.stop) for order in standing(case)] == [95.0], times=60)
    case.poll(10)
    assert len(standing(case)) == 1


@card(
    "9.1",
    "restart with an open order",
    given="a limit order rests",
    do="start again; let it fill",
    events="accepted, fill",
    passes="the same order is taken up; nothing is sent again",
)
def _(case: Any) -> None:
    command = limit(case, 99.0)
    case.do(command)
    case.until(lambda: case.of(OrderAccepted))
    case.restarted([Known(command)])
    case.venue.put_price("AAPL", 98.9, 98.95)
    case.until(lambda: shares(case) == 4.0)
    assert len(orders(case)) == 1


@card(
    "9.2",
    "filled while away",
    given="a limit order rests, half of it filled and booked",
    do="fill the rest while nobody listens; start again",
    events="fill",
    passes="only the rest is told",
)
def _(case: Any) -> None:
    command = limit(case, 99.0)
    case.do(command)
    case.until(lambda: case.of(OrderAccepted))
    case.venue.fill(order_of(case).id, 1.0, 98.0)
    case.until(lambda: shares(case) == 1.0)
    (first,) = case.of(Fill)
    case.desk.close()
    case.venue.fill(order_of(case).id, 3.0, 98.5)
    case.restarted([Known(command, 1.0, 98.0, (first.execution_id,))])
    case.until(lambda: shares(case) == 3.0)
    case.poll(3)
    assert len(case.of(Fill)) == 1


@card(
    "9.3",
    "restart with a position",
    given=HOLDS,
    do="start again; ask for the books",
    events="(none)",
    passes="the books say 4 shares and the venue's cash",
)
def _(case: Any) -> None:
    hold(case)
    case.restarted()
    books = case.desk.books()
    assert books.positions == {"AAPL": 4.0}
    assert books.cash == float(case.venue.cash)


@card(
    "9.4",
    "restart with a short position",
    given="the account is short 4 shares",
    do="start again; ask for the books",
    events="(none)",
    passes="the books say minus 4",
    skip=lambda sheet: "" if sheet.shorts else "sells only what is held",
)
def _(case: Any) -> None:
    case.venue._shorts = True
    case.do(submit(case, side="sell", reason="entry"))
    case.until(lambda: shares(case) == 4.0)
    case.restarted()
    assert case.desk.books().positions == {"AAPL": -4.0}


@card(
    "9.5",
    "traded by hand",
    given="a person bought a share and left an order, behind our back",
    do="ask for the books",
    events="(none)",
    passes="both are in the books, so that nobody trades over them",
)
def _(case: Any) -> None:
    from decimal import Decimal

    from live.sandbox.broker_engine import VenueOrder, new_id

    for number, price in ((1, None), (2, Decimal(50))):
        kind: Any = "market" if price is None else "limit"
        case.venue.submit(
            VenueOrder(
                new_id(), f"hand-{number}", "AAPL", "buy", kind, Decimal(1), case.clock.now(), price, by_hand=True
            )
        )
    case.venue.step()
    books = case.desk.books()
    assert books.positions == {"AAPL": 1.0}
    assert len(books.open_orders) == 1


@card(
    "10.1",
    "halt",
    given="trading in the symbol is halted",
    do="submit a market buy; let trading resume",
    events="accepted, fill",
    passes="nothing is filled in the halt; one fill after it",
)
def _(case: Any) -> None:
    case.venue.exchange.floor.trades = lambda _symbol: False
    case.do(submit(case))
    case.poll(5)
    assert not case.of(Fill)
    del case.venue.exchange.floor.trades
    case.until(lambda: shares(case) == 4.0)
    assert len(orders(case)) == 1


@card(
    "10.2",
    "maintenance",
    given="an order is out; the broker answers 503 for a while",
    do="wait",
    events="fill",
    passes="the order is not given up, and not sent again",
)
def _(case: Any) -> None:
    case.venue.faults.add("order.hold@1")
    case.do(submit(case))
    case.until(lambda: case.of(OrderAccepted))
    case.venue.faults.add("look.503@1-3")
    case.venue.fill(order_of(case).id)
    case.until(lambda: shares(case) == 4.0, times=200)
    assert len(orders(case)) == 1
    assert not case.of(OrderRefused)


@card(
    "11.1",
    "the same order twice",
    given=FLAT,
    do="submit an order; start again; submit it again",
    events="accepted, fill",
    passes="one order at the venue, never called refused",
)
def _(case: Any) -> None:
    command = submit(case)
    case.do(command)
    case.until(lambda: shares(case) == 4.0)
    case.restarted()
    case.do(command)
    case.poll(5)
    assert len(orders(case)) == 1
    assert not case.of(OrderRefused)


@card(
    "12.1",
    "a fee, a dividend, a deposit",
    given="an account that is flat",
    do="let cash go and come without an order, then look at the books",
    events="(none)",
    passes="where the broker lists such moves, its list adds up to what cash has moved; elsewhere it has none",
)
def _(case: Any) -> None:
    before = case.desk.books()
    fee = Decimal("-0.31") if case.name == "alpaca" else Decimal(0)  # of the others, only executions tell of fees
    moves = (("fee", fee), ("dividend", Decimal("12.34")), ("deposit", Decimal(1000)), ("withdrawal", Decimal(-500)))
    for kind, dollars in moves:
        if dollars:
            case.venue.move_cash(kind, dollars, "AAPL" if kind == "dividend" else "")
    told = case.desk.books()
    assert round(told.cash - before.cash, 2) == float(sum(dollars for _, dollars in moves))
    if case.name == "robinhood":
        assert told.moves is None
        return
    assert {move.kind: move.amount for move in told.moves} == {kind: float(d) for kind, d in moves if d}
    assert len({move.evidence for move in told.moves}) == len(told.moves)
