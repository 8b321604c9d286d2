"""The paper broker's own promises. That its fills are the backtest's is in tests/test_parity.py."""

import pytest

from live.brokers.paper import PaperBroker
from live.core.commands import Cancel, Protect, Submit
from live.core.events import Fill, OrderAccepted, OrderCancelled, OrderExpired, OrderRefused
from strategies.common.costs import Costs

nan = float("nan")


@pytest.fixture
def broker():
    return PaperBroker(("AAA", "BBB"), Costs.free(), 1_000.0)


@pytest.fixture
def rows(bars_of):
    from data.rows import rows_of

    return lambda lines: list(rows_of(bars_of(lines, ("AAA", "BBB"))))


def submit(order_id="o1", symbol="AAA", side="buy", quantity=2.0, good_for="row"):
    return Submit(order_id, 60, symbol, side, quantity, "entry", good_for)


def price(opening, high=None, low=None):
    return (opening, high or opening, low or opening, opening, 0)


def test_an_order_is_accepted_and_filled_at_the_next_open(broker, rows):
    assert broker.handle(submit()) == [OrderAccepted(60, "o1")]
    (row,) = rows([price(100.0)])
    assert list(broker.on_row(row)) == [Fill(row.ts, "o1", "o1/1", 2.0, 100.0, 0.0)]
    assert list(broker.on_row(row)) == []
    assert (broker.books().positions, broker.books().cash) == ({"AAA": 2.0}, 800.0)


def test_the_same_key_twice_is_one_order(broker, rows):
    first = broker.handle(submit())
    assert broker.handle(submit()) == first
    assert len(list(broker.on_row(rows([price(100.0)])[0]))) == 1
    broker.handle(submit())  # late: long filled
    assert list(broker.on_row(rows([price(100.0)])[0])) == []


def test_a_second_order_of_a_symbol_is_refused_while_one_waits(broker):
    broker.handle(submit())
    (answer,) = broker.handle(submit("o2"))
    assert isinstance(answer, OrderRefused)
    assert broker.books().open_orders == ["o1"]


def test_an_entry_expires_where_its_symbol_does_not_open_and_an_exit_waits(broker, rows):
    first, second = rows([price(nan), price(99.0)])
    broker.handle(submit("o1", "AAA"))
    broker.handle(submit("o2", "BBB", good_for="fill"))
    assert list(broker.on_row(first)) == [OrderExpired(first.ts, "o1")]
    assert [event.order_id for event in broker.on_row(second)] == ["o2"]


def test_a_cancel_is_confirmed_and_one_too_late_is_not(broker, rows):
    broker.handle(submit())
    assert broker.handle(Cancel("o1", 60, "AAA")) == [OrderCancelled(60, "o1")]
    assert broker.handle(Cancel("o1", 60, "AAA")) == []
    assert list(broker.on_row(rows([price(100.0)])[0])) == []


def protect(stop, target, quantity=2.0, side="sell", amends=False):
    return Protect("p1", 60, "AAA", side, quantity, stop, target, amends=amends)


@pytest.mark.parametrize(
    ("row", "leg", "at"),
    [
        (price(100.0, 101.0, 97.9), "stop", 98.0),
        (price(97.0, 99.0, 96.0), "stop", 97.0),
        (price(100.0, 104.0, 99.0), "target", 103.0),
        (price(105.0, 106.0, 104.0), "target", 105.0),
        (price(100.0, 104.0, 97.0), "stop", 98.0),
    ],
    ids=["the stop", "a gap under the stop", "the target", "a gap over the target", "both: the stop comes first"],
)
def test_standing_protection_fills_inside_the_row(broker, rows, row, leg, at):
    before, after = rows([price(100.0), row])
    broker.handle(submit())
    list(broker.on_row(before))
    assert broker.handle(protect(98.0, 103.0)) == [OrderAccepted(60, "p1", working=True)]
    (fill,) = broker.on_row(after)
    assert (fill.order_id, fill.quantity, fill.price, fill.leg) == ("p1", 2.0, at, leg)
    assert broker.books().positions == {}
    assert broker.books().open_orders == []


def test_protection_given_while_a_row_goes_on_works_in_that_row(broker, rows):
    """The fill at the open is answered before the row's range is looked at."""
    broker.handle(submit())
    (row,) = rows([price(100.0, 101.0, 90.0)])
    events = broker.on_row(row)
    assert next(events).order_id == "o1"
    broker.handle(protect(98.0, nan))
    assert next(events).price == 98.0


def test_an_amended_protection_has_new_levels_and_the_same_key(broker, rows):
    broker.handle(submit())
    before, after = rows([price(100.0), price(100.0, 100.0, 98.5)])
    list(broker.on_row(before))
    broker.handle(protect(98.0, nan))
    assert broker.handle(protect(99.0, nan, amends=True)) == []
    assert [fill.price for fill in broker.on_row(after)] == [99.0]


@pytest.mark.parametrize("wrong", [protect(98.0, nan, quantity=3.0), protect(98.0, nan, side="buy")])
def test_protection_that_does_not_fit_the_position_is_refused(broker, rows, wrong):
    broker.handle(submit())
    list(broker.on_row(rows([price(100.0)])[0]))
    (answer,) = broker.handle(wrong)
    assert isinstance(answer, OrderRefused)


def limited(side, limit, good_for):
    return Submit("o1", 60, "AAA", side, 2.0, "entry", good_for, "limit", limit)


@pytest.mark.parametrize(
    ("limit", "line", "filled"),
    [(101.0, price(100.0), 100.0), (100.0, price(101.0, 102.0, 99.0), 100.0), (98.0, price(101.0, 102.0, 99.0), None)],
)
def test_a_buy_with_a_limit_never_pays_more_and_expires_where_it_is_not_reached(broker, rows, limit, line, filled):
    broker.handle(limited("buy", limit, "row"))
    (row,) = rows([line])
    (event,) = broker.on_row(row)
    if filled is None:
        assert event == OrderExpired(row.ts, "o1")
    else:
        assert event == Fill(row.ts, "o1", "o1/1", 2.0, filled, 0.0)


def test_a_sale_with_a_limit_waits_until_it_is_reached(broker, rows):
    broker.handle(limited("sell", 105.0, "fill"))
    below, above = rows([price(100.0, 104.0, 99.0), price(103.0, 106.0, 102.0)])
    assert list(broker.on_row(below)) == []
    assert list(broker.on_row(above)) == [Fill(above.ts, "o1", "o1/1", 2.0, 105.0, 0.0)]
