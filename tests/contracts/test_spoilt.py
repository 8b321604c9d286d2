"""Answers that are not what they should be (F11, F12): an error of ours or the truth, and never a guess."""

import pytest

from data.errors import OnetapeError
from live.core.events import Fill, OrderRefused
from live.sandbox.broker_faults import SPOILT
from tests.contracts.cards import orders, shares, submit


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_answer_makes_no_second_order_and_no_refusal_to_place(broker, fault):
    broker.venue.faults.add(f"place.{fault}@1")
    broker.do(submit(broker))
    broker.until(lambda: shares(broker) == 4.0, times=60)
    broker.poll(3)
    assert len(orders(broker)) == 1
    assert not broker.of(OrderRefused)
    assert sum(fill.quantity for fill in broker.of(Fill)) == 4.0


@pytest.mark.parametrize("fault", SPOILT)
def test_nothing_ends_and_nothing_untrue_is_booked_by_a_spoilt_look(broker, fault):
    broker.venue.faults.add("order.hold@1")
    broker.do(submit(broker))
    broker.venue.faults.add(f"look.{fault}@1-4,review.{fault}@1-4")
    broker.poll(4)
    assert not broker.of(Fill)
    assert not broker.of(OrderRefused)
    broker.venue.fill(next(iter(broker.venue.orders)))
    broker.until(lambda: shares(broker) == 4.0, times=200)
    assert [fill.price for fill in broker.of(Fill)] == [100.02]


@pytest.mark.parametrize("fault", SPOILT)
def test_spoilt_positions_and_cash_are_an_error_or_the_truth_of_the_books(broker, fault):
    broker.do(submit(broker))
    broker.until(lambda: shares(broker) == 4.0)
    broker.venue.faults.add(f"look.{fault}@1-9")
    try:
        books = broker.desk.books()
    except OnetapeError:
        return
    assert books.positions == {"AAPL": 4.0}
    assert books.cash == float(broker.venue.cash)


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_answer_only_puts_off_the_start(broker, fault):
    """A broken answer says nothing of the account: the start is tried again, not given up as a wrong configuration."""
    broker.desk.close()
    broker.venue.faults.add(f"look.{fault}@1-9")
    code = code_of(broker.restarted)
    if broker.name == "robinhood" and fault in ("nan", "huge"):
        assert code == 78  # another account's number, as far as anyone can tell: a person looks
    else:
        assert code in (0, 6)


def code_of(start):
    """The exit code of what a start raises, 0 where it does not."""
    try:
        start()
    except OnetapeError as error:
        return error.exit_code
    return 0
