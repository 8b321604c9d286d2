"""What every broker promises: the venue's own record is the judge, never ours.

The paper broker has no wire, so of these it keeps what can be kept without one: the last tests here.
"""

import importlib
import uuid

import msgspec
import pytest

from live.brokers import broker_names
from live.brokers.base import Capabilities, Known, unsupported
from live.brokers.paper import PaperBroker
from live.core.commands import Cancel, Protect, Submit
from live.core.events import (
    Fill,
    OrderAccepted,
    OrderCancelled,
    OrderQuarantined,
    OrderRefused,
    OrderSent,
    OrderUnknown,
)
from strategies.common.costs import Costs

nan = float("nan")
LOST = ("lost", "500-after", "502-after", "malformed", "cut")


def key(number):
    return str(uuid.UUID(int=number))


def submit(case, number=1, side="buy", quantity=4.0, symbol="AAPL", reason="entry"):
    return Submit(key(number), case.clock.now(), symbol, side, quantity, reason, "row" if reason == "entry" else "fill")


def protect(case, number=9, quantity=4.0, stop=90.0, target=nan, **more):
    return Protect(key(number), case.clock.now(), "AAPL", "sell", quantity, stop, target, **more)


def shares(case, number=1):
    return sum(fill.quantity for fill in case.of(Fill, key(number)))


def held(case, quantity=4.0):
    """Hold a position, as an order of ours bought it."""
    case.do(submit(case, quantity=quantity))
    case.until(lambda: shares(case) == quantity)


def test_an_order_is_accepted_once_and_filled_once(case):
    case.do(submit(case))
    case.until(lambda: case.of(Fill))
    case.poll(5)
    assert not case.of(OrderUnknown)
    assert 1 <= len(case.of(OrderAccepted)) <= 2  # the second says that it is working
    assert [(f.quantity, f.price) for f in case.of(Fill)] == [(4.0, 100.02)]
    assert len(case.venue.orders) == 1


def test_a_documented_no_is_a_refusal(case):
    (no,) = case.do(submit(case, quantity=50_000.0))
    assert isinstance(no, OrderRefused)
    assert not no.late
    assert not case.venue.orders


def test_an_unknown_symbol_is_refused(case):
    told = case.do(submit(case, symbol="NONE"))
    assert [type(e) for e in told] == [OrderRefused]


def test_an_order_thrown_out_after_it_was_accepted_is_a_late_refusal(case):
    case.venue.faults.add("order.late-reject@1")
    case.do(submit(case))
    case.until(lambda: case.of(OrderRefused))
    assert case.of(OrderRefused)[0].late
    assert not case.of(Fill)


def test_parts_of_an_order_are_fills_of_their_own(case):
    case.venue.faults.add("order.hold@1")
    case.do(submit(case))
    order = next(iter(case.venue.orders.values()))
    case.venue.fill(order.id, 1.0, 100.0)
    case.until(lambda: shares(case) == 1.0)
    case.venue.fill(order.id, 3.0, 101.0)
    case.until(lambda: shares(case) == 4.0)
    assert [(f.quantity, f.price) for f in case.of(Fill)] == [(1.0, 100.0), (3.0, 101.0)]
    assert len({f.execution_id for f in case.of(Fill)}) == 2


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_is_unknown_until_the_broker_tells(case, fault):
    case.venue.faults.add(f"place.{fault}@1")
    told = case.do(submit(case))
    assert isinstance(told[0], OrderUnknown)
    case.until(lambda: shares(case) == 4.0)
    case.poll(5)
    assert not case.of(OrderRefused)
    assert len(case.of(Fill)) == 1
    assert len(case.venue.orders) == 1


@pytest.mark.parametrize("fault", ["500", "503", "drop"])
def test_an_order_that_never_arrived_is_sent_again_under_its_key_and_told_of_first(case, fault):
    case.venue.faults.add(f"place.{fault}@1")
    assert isinstance(case.do(submit(case))[0], OrderUnknown)
    assert not case.venue.orders
    if case.desk.capabilities.dedupes == "no":  # it might make a second order: a person is asked instead
        case.until(lambda: case.of(OrderQuarantined), times=90)
        assert case.venue.faults.counts["place"] == 1
        return
    case.until(lambda: case.of(OrderSent))
    assert not case.venue.orders, "told of, and not yet sent"
    case.until(lambda: shares(case) == 4.0)
    assert len(case.venue.orders) == 1
    assert [e.attempt for e in case.of(OrderSent)] == [2]


def test_an_entry_that_was_lost_too_long_ago_is_not_sent_again_and_a_person_is_called(case):
    case.venue.faults.add("place.drop@1,look.503@1-40")
    case.do(submit(case))
    case.poll(90)
    assert [type(e) for e in case.events] == [OrderUnknown, OrderQuarantined]
    case.poll(20)
    assert not case.venue.orders
    assert not case.of(OrderRefused), "not finding an order proves nothing"


def test_an_order_in_quarantine_is_believed_when_it_shows(case):
    case.venue.faults.add("place.lost@1,look.503@1-4")
    if case.desk.capabilities.order_stream:
        case.box.updates.silence(True)  # it would tell of the order at once
    case.do(submit(case))
    case.poll(80)
    assert case.of(OrderQuarantined)
    case.until(lambda: shares(case) == 4.0, times=160)


def test_the_same_key_twice_is_one_order_at_the_venue(case):
    order = submit(case)
    case.do(order)
    case.do(order)
    case.until(lambda: case.of(Fill))
    case.restarted()
    case.do(order)
    case.until(lambda: case.of(Fill))
    case.poll(5)
    assert len(case.venue.orders) == 1
    assert not case.of(OrderRefused)


@pytest.mark.parametrize("fault", ["429", "429-after"])
def test_a_busy_broker_gets_the_same_order_later(case, fault):
    case.venue.faults.add(f"place.{fault}@1")
    case.do(submit(case))
    assert not case.of(OrderRefused)
    if case.desk.capabilities.dedupes == "no" and not case.desk.capabilities.busy_is_refusal:
        assert case.of(OrderUnknown)
        return
    case.until(lambda: shares(case) == 4.0)
    assert len(case.venue.orders) == 1


def test_a_cancel_is_believed_when_the_broker_confirms_it(case):
    case.venue.faults.add("order.hold@1")
    case.do(submit(case))
    case.poll()
    case.do(Cancel(key(1), case.clock.now(), "AAPL"))
    case.until(lambda: case.of(OrderCancelled))
    assert len(case.of(OrderCancelled)) == 1
    assert next(iter(case.venue.orders.values())).status == "cancelled"


@pytest.mark.parametrize("fault", ["lost", "503", "drop", "429-after"])
def test_a_cancel_that_is_lost_is_asked_for_again(case, fault):
    case.venue.faults.add(f"order.hold@1,cancel.{fault}@1")
    case.do(submit(case))
    case.poll()
    case.do(Cancel(key(1), case.clock.now(), "AAPL"))
    case.until(lambda: case.of(OrderCancelled))
    assert len(case.of(OrderCancelled)) == 1


def test_a_fill_that_overtakes_the_cancel_is_a_fill(case):
    case.venue.faults.add("order.late-fill@1")
    case.do(submit(case))
    case.poll()
    case.do(Cancel(key(1), case.clock.now(), "AAPL"))
    case.until(lambda: shares(case) == 4.0)
    case.poll(5)
    assert not case.of(OrderCancelled)


def test_a_part_filled_before_the_cancel_is_told_before_the_end(case):
    case.venue.faults.add("order.partial@1")
    case.do(submit(case))
    case.poll(2)
    case.do(Cancel(key(1), case.clock.now(), "AAPL"))
    case.until(lambda: case.of(OrderCancelled))
    assert shares(case) == 2.0
    kinds = [type(e) for e in case.events]
    assert kinds.index(Fill) < kinds.index(OrderCancelled)


def test_a_stop_stands_and_fills_when_it_is_met(case):
    held(case)
    case.do(protect(case))
    case.poll(2)
    assert not case.of(Fill, key(9))
    case.venue.put_price("AAPL", 89.5, 89.52)
    case.until(lambda: shares(case, 9) == 4.0)
    assert case.of(Fill, key(9))[0].leg == "stop"
    assert not case.venue.positions


def test_a_changed_stop_takes_the_place_of_the_old_one(case):
    held(case)
    case.do(protect(case))
    case.poll(2)
    case.clock.sleep(60)
    case.do(protect(case, stop=95.0, amends=True))
    case.until(lambda: [str(o.stop) for o in case.venue.orders.values() if o.is_open] == ["95.00"])
    assert not case.of(OrderCancelled), "the protection as a whole goes on"
    case.venue.put_price("AAPL", 94.5, 94.52)
    case.until(lambda: shares(case, 9) == 4.0)


@pytest.mark.parametrize("fate", ["hold", "slow-cancel"])
def test_an_exit_waits_until_the_protection_lets_go_of_the_shares(case, fate):
    held(case)
    case.venue.faults.add(f"order.{fate}@1")
    case.do(protect(case))
    case.poll(2)
    case.do(Cancel(key(9), case.clock.now(), "AAPL"))
    case.do(submit(case, 2, "sell", reason="exit"))
    case.until(lambda: shares(case, 2) == 4.0)
    assert not case.of(OrderRefused)
    assert [e.order_id for e in case.of(OrderCancelled)] == [key(9)]
    stop, leave = list(case.venue.orders.values())[1:]
    assert (stop.status, leave.status) == ("cancelled", "filled")
    assert case.venue.faults.counts["place"] == 3, "nothing was tried while the shares were held"
    assert not case.venue.positions


def test_a_stop_that_fills_while_it_is_cancelled_leaves_nothing_to_sell(case):
    held(case)
    case.venue.faults.add("order.late-fill@1")
    case.do(protect(case))
    case.poll(2)
    case.do(Cancel(key(9), case.clock.now(), "AAPL"))
    case.do(submit(case, 2, "sell", reason="exit"))
    case.until(lambda: shares(case, 9) == 4.0)
    case.until(lambda: case.of(OrderRefused, key(2)))
    assert not case.venue.positions
    assert len(case.venue.orders) == 2


def test_fills_that_are_listed_later_than_the_end_come_before_it(case):
    case.venue.faults.add("order.lag@1")
    case.do(submit(case))
    case.until(lambda: shares(case) == 4.0)
    case.poll(3)
    assert [(f.quantity, f.price) for f in case.of(Fill)] == [(4.0, 100.02)]


def test_after_a_restart_every_fill_is_heard_and_none_twice(case):
    case.venue.faults.add("order.hold@1")
    order = submit(case)
    case.do(order)
    first = next(iter(case.venue.orders.values()))
    case.venue.fill(first.id, 1.0, 100.0)
    case.until(lambda: shares(case) == 1.0)
    before = case.of(Fill)[0]
    case.desk.close()
    case.venue.fill(first.id, 3.0, 102.0)
    case.restarted([Known(order, 1.0, 100.0, (before.execution_id,))])
    case.until(lambda: case.of(Fill))
    case.poll(3)
    assert [(f.quantity, f.price) for f in case.of(Fill)] == [(3.0, 102.0)]


def test_the_books_are_the_venues(case):
    held(case)
    case.venue.faults.add("order.hold@1")
    case.do(submit(case, 2, quantity=1.0))
    books = case.desk.books()
    assert books.positions == {"AAPL": 4.0}
    assert books.cash == pytest.approx(100_000 - 4 * 100.02)
    assert books.open_orders == [key(2)]


@pytest.mark.parametrize("fault", ["503", "cut", "429", "lost"])
def test_books_that_cannot_be_had_are_an_error_and_never_flat(case, fault):
    from data.errors import UnavailableError

    held(case)
    case.venue.faults.add(f"look.{fault}=1.0")
    with pytest.raises(UnavailableError):
        case.desk.books()


def test_forty_orders_through_a_bad_day_are_each_there_once(case):
    """Every fault at once, from a seed: what we heard is what the venue has."""
    plan = (
        "place.lost=0.08,place.503=0.05,place.502-after=0.05,place.cut=0.03,place.malformed=0.03,place.429-after=0.05,"
    )
    case.venue.faults = type(case.venue.faults)(plan + "look.503=0.1,look.cut=0.05,look.429=0.05;seed=5")
    for server in getattr(case.box, "_servers", None) or [case.box.http]:
        server._broker_faults = case.venue.faults
    for number in range(1, 41):
        case.do(submit(case, number, quantity=1.0 + number, symbol="MSFT" if number % 2 else "AAPL", reason="exit"))
        case.poll(2)
    case.poll(90)
    names = {o.key for o in case.venue.orders.values()}
    assert len(names) == len(case.venue.orders)
    heard = {key(n): shares(case, n) for n in range(1, 41) if shares(case, n)}
    assert heard == {o.key: float(o.filled) for o in case.venue.orders.values() if o.filled}
    resolved = (
        {e.order_id for e in case.of(OrderRefused)} | {e.order_id for e in case.of(OrderQuarantined)} | set(heard)
    )
    assert resolved == {key(n) for n in range(1, 41)}
    assert not ({e.order_id for e in case.of(OrderRefused)} & names)


# --- every broker, the paper one included ---------------------------------------------------------------------------


def test_every_broker_has_a_whole_capability_sheet():
    names = broker_names()
    assert names == ["alpaca", "paper", "robinhood", "robinhood_private"]
    for name in names:
        sheet = importlib.import_module(f"live.brokers.{name}").CAPABILITIES
        assert isinstance(sheet, Capabilities)
        assert sheet == msgspec.msgpack.decode(msgspec.msgpack.encode(sheet), type=Capabilities)
        assert sheet.dedupes == "no" or sheet.key_window_s > 0.0
        assert sheet.lookup_by_key or sheet.list_includes_closed, "else a lost order could never be found"


def test_a_rule_that_a_broker_cannot_keep_is_named_before_the_start():
    sheets = {name: importlib.import_module(f"live.brokers.{name}").CAPABILITIES for name in broker_names()}
    asked = {
        name: (bool(unsupported(sheet, touch=True, shorts=False)), bool(unsupported(sheet, touch=False, shorts=True)))
        for name, sheet in sheets.items()
    }
    assert asked == {
        "alpaca": (False, False),
        "paper": (False, False),
        "robinhood": (True, True),
        "robinhood_private": (True, True),
    }
    assert not any(unsupported(sheet, touch=False, shorts=False) for sheet in sheets.values())


@pytest.fixture
def paper():
    return PaperBroker(("AAPL",), Costs.free(), 100_000.0)


def paper_order(number=1, side="buy"):
    return Submit(key(number), 60, "AAPL", side, 4.0, "entry", "row")


def test_paper_takes_the_same_key_as_one_order(paper):
    first = paper.handle(paper_order())
    assert paper.handle(paper_order()) == first
    assert paper.books().open_orders == [key(1)]


def test_paper_refuses_what_does_not_fit(paper):
    paper.handle(paper_order())
    (no,) = paper.handle(paper_order(2))
    assert isinstance(no, OrderRefused)
    (no,) = paper.handle(Protect(key(9), 60, "AAPL", "sell", 4.0, 90.0, nan))
    assert isinstance(no, OrderRefused)


def test_paper_cancels_once(paper):
    paper.handle(paper_order())
    assert [type(e) for e in paper.handle(Cancel(key(1), 60, "AAPL"))] == [OrderCancelled]
    assert paper.handle(Cancel(key(1), 60, "AAPL")) == []
    assert paper.books().open_orders == []
