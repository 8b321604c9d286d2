"""The sandbox's matching engine: who trades first, how much there is, when nothing trades, what fates do."""

from decimal import Decimal

import numpy as np
import pytest

from data.calendar import MINUTE_NS, session_of
from data.errors import UsageError
from live.sandbox.broker_engine import Exchange, Refusal, Venue, VenueOrder, new_id
from live.sandbox.broker_faults import FATES, REFUSED, BrokerFaults
from live.sandbox.broker_fees import fee_of
from live.sandbox.broker_floor import TapeFloor
from live.sandbox.broker_plan import divided
from live.sandbox.broker_spoil import spoilt
from live.sandbox.faults import Faults
from live.sandbox.market import Quotes, SymbolTape, Trades, bars_of_trades, kept

DAY = session_of(20240102)


class Clock:
    """Moves only when it is told to."""

    def __init__(self):
        self.ns = DAY.open_ns + MINUTE_NS

    def now(self):
        return self.ns


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def market():
    """AAA at 10.00 to 10.02, 100 shares on either side, quoted anew every minute; halted from 10:00 to 10:05."""
    at = DAY.open_ns + np.arange(1, 390, dtype=np.int64) * MINUTE_NS
    trades = Trades(at, np.full(len(at), 10.01), np.full(len(at), 100.0))
    quotes = Quotes(at, *(np.full(len(at), value) for value in (10.0, 10.02, 100.0, 100.0)))
    halt = (DAY.open_ns + 30 * MINUTE_NS, DAY.open_ns + 35 * MINUTE_NS)
    return kept({"AAA": SymbolTape(trades, quotes, bars_of_trades(trades, 60), (halt,))}, 60, "test")


@pytest.fixture
def venues(market, clock):
    """Two accounts in one market that shows as much as its tape does."""
    floor = TapeFloor(market, clock.now, deep=1.0)
    exchange = Exchange(floor)
    return [Venue(floor.quote, clock.now, exchange=exchange, fees="at once") for _ in range(2)]


def order(clock, side="buy", quantity=50, limit=None, key="", **more):
    kind = "market" if limit is None else "limit"
    price = None if limit is None else Decimal(str(limit))
    return VenueOrder(new_id(), key, "AAA", side, kind, Decimal(quantity), clock.now(), price, **more)


def test_orders_trade_by_price_then_time_over_all_accounts(venues, clock):
    one, two = venues
    clock.ns = DAY.open_ns + 31 * MINUTE_NS  # halted: all of them wait
    worse = one.submit(order(clock, quantity=80, limit=10.02))
    clock.ns += 1
    better = two.submit(order(clock, quantity=80, limit=10.05))
    clock.ns += 1
    market = one.submit(order(clock, quantity=10))
    clock.ns = DAY.open_ns + 35 * MINUTE_NS
    one.step()
    assert (market.filled, better.filled, worse.filled) == (10, 80, 10)  # a hundred shares are shown
    clock.ns += MINUTE_NS  # and the next quote shows a hundred more
    one.step()
    assert worse.filled == 80


def test_what_one_account_takes_is_gone_for_the_other(venues, clock):
    one, two = venues
    first, second = one.submit(order(clock, quantity=70)), two.submit(order(clock, quantity=70))
    two.step()
    assert (first.filled, second.filled) == (70, 30)
    assert (first.status, second.status) == ("filled", "partial")


def test_nothing_trades_in_a_halt_and_all_of_it_after(venues, clock):
    (one, _) = venues
    clock.ns = DAY.open_ns + 31 * MINUTE_NS
    placed = one.submit(order(clock))
    one.step()
    assert (placed.status, placed.filled) == ("working", 0)
    clock.ns = DAY.open_ns + 36 * MINUTE_NS
    one.step()
    assert placed.status == "filled"


def test_a_day_order_ends_with_the_day_and_one_till_cancelled_does_not(venues, clock):
    (one, _) = venues
    day = one.submit(order(clock, limit=9.0, life="gfd"))
    stays = one.submit(order(clock, limit=9.0, life="gtc"))
    clock.ns = DAY.close_ns + 1
    one.step()
    assert (day.status, stays.status) == ("expired", "working")


def test_an_order_after_the_close_waits_for_the_next_open(venues, clock, market):
    (one, _) = venues
    clock.ns = DAY.close_ns + MINUTE_NS
    placed = one.submit(order(clock))
    one.step()
    assert placed.filled == 0
    assert placed.good_until == session_of(20240103).close_ns


def test_a_sale_costs_the_regulators_fees(venues, clock):
    (one, _) = venues
    one.submit(order(clock))
    one.step()
    sold = one.submit(order(clock, side="sell"))
    one.step()
    # 50 * 10 * 27.80 / 1,000,000 = 0.0139 -> 0.02; 50 * 0.000166 = 0.0083 -> 0.01
    assert sold.fees == Decimal("0.03")
    assert one.cash == Decimal(100000) - 50 * Decimal("10.02") + 50 * Decimal("10.00") - Decimal("0.03")
    assert fee_of("sell", Decimal(1_000_000), Decimal(1)) == Decimal("27.80") + Decimal("8.30")


def test_a_taken_back_execution_and_a_split_leave_the_books_whole(venues, clock):
    (one, _) = venues
    placed = one.submit(order(clock))
    one.step()
    one.bust(placed.id)
    assert (one.positions, one.cash) == ({}, Decimal(100000))
    one.submit(order(clock))
    one.step()
    rests = one.submit(order(clock, side="sell", limit=11.0, life="gtc"))
    one.split("AAA", 2)
    assert one.positions == {"AAA": Decimal(100)}
    assert rests.status == "cancelled"


def last(venue):
    return list(venue.orders.values())[-1]


@pytest.mark.parametrize("fate", [fate for fate in FATES if fate not in (*REFUSED, "lag")])
def test_every_fate_ends_with_books_that_are_the_sum_of_executions(venues, clock, fate):
    (one, _) = venues
    one.faults.add(f"order.{fate}@1")
    placed = one.submit(order(clock, quantity=9, key="k"))
    for _ in range(4):
        clock.ns += MINUTE_NS
        one.step()
    if placed.is_open:
        one.cancel(placed.id)
        for _ in range(8):
            one.step()
    assert not placed.is_open
    paid = sum((each.quantity * each.price for each in placed.executions), Decimal(0))
    assert one.cash == Decimal(100000) - paid
    assert one.positions.get("AAA", 0) == placed.filled <= placed.quantity
    expected = {"partial": 4, "split": 9, "early-fill": 9, "late-fill": 9, "ghost-fill": 9}  # of 9 shares
    assert placed.filled == expected.get(fate, 0)


@pytest.mark.parametrize("fate", REFUSED)
def test_every_reason_to_refuse_can_be_asked_for(venues, clock, fate):
    (one, _) = venues
    one.faults.add(f"order.{fate}@1")
    with pytest.raises(Refusal) as no:
        one.submit(order(clock))
    assert no.value.why == fate.removeprefix("no-")
    assert not one.orders


def test_the_same_seed_gives_the_same_faults():
    def drawn(seed):
        faults = BrokerFaults(f"any.503=0.3,stream.cut=2/h;seed={seed}")
        return [faults.of_request("look") for _ in range(50)], list(faults.moments(36_000.0))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert 5 < len(drawn(1)[1]) < 50  # twice an hour, for ten hours


def test_one_plan_is_divided_between_market_and_brokers():
    plans = divided("harsh,ws.cut@90s,place.hang@2;seed=3")
    assert "ws.cut@90s" in plans.market
    assert "place.hang@2" in plans.brokers
    Faults.parse(plans.market)
    assert BrokerFaults(plans.brokers).seed == 3
    for wrong in ("place.lost@90s", "stream.cut@1", "account.lost=1/h", "order.429@1", "place.lost"):
        with pytest.raises(UsageError):
            BrokerFaults(wrong)


def test_a_spoilt_answer_is_spoilt_where_its_values_are():
    body = (
        b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\\"data\\":{\\"cash\\":\\"1.5\\"}}"}]}}'
    )
    assert b'\\"cash\\":\\"NaN\\"' in spoilt("nan", body)
    assert spoilt("null", body) == b"null"
    assert b'"jsonrpc":"2.0"' in spoilt("error-inside", body)
    assert spoilt("missing", b'{"a":1,"b":"2"}') == b'{"b":"2"}'
    assert spoilt("type", b'{"a":1,"b":"x"}') == b'{"a":["what"],"b":"x"}'
