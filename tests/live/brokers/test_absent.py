"""An order that the broker's whole lists do not have, often and late enough, never arrived; nothing less says so."""

import pytest
from msgspec.structs import replace

from data.calendar import SECOND_NS
from data.sources.rehearsal import RehearsalClock
from live.brokers.base import Books, Known
from live.brokers.robinhood import CAPABILITIES
from live.brokers.wire import Duplicate, Lost
from live.brokers.wire_desk import Desk
from live.brokers.wire_route import Patience
from live.core.commands import Protect, Submit
from live.core.events import OrderQuarantined, OrderUnknown

T = 1_700_000_000 * SECOND_NS
ENTRY = Submit("k1", T, "AAPL", "buy", 10.0, "entry", "row")
STOP = Protect("k2", T, "AAPL", "sell", 10.0, 90.0, float("nan"), "stop", amends=False, filled=0.0)


class Clock:
    """Time that goes where it is told to."""

    def __init__(self):
        self.at = T

    def now(self):
        return self.at

    def sleep(self, seconds):
        self.at += int(seconds * SECOND_NS)


class Silent:
    """A broker that loses every answer, has no order, and shows what it is told to."""

    place_requests = 1
    capabilities = replace(CAPABILITIES, dedupes="no", requests_a_minute=0)

    def __init__(self, *, looks=True, likely=False, no=None):
        self.looks, self.likely, self.no, self.alive = looks, likely, no, []

    def open(self):
        pass

    def close(self):
        pass

    def place(self, ticket):
        raise self.no or Lost("the connection broke")

    def cancel(self, ticket):
        raise AssertionError("there is nothing to cancel")

    def look(self, tickets):
        if not self.looks:
            raise Lost("the connection broke")
        for ticket in tickets:
            ticket.likely = self.likely
        return {}

    def pushed(self):
        return []

    def stream_was_down(self):
        return False

    def deaf(self):
        return ""

    def books(self):
        return Books({}, 1_000.0, list(self.alive))


def waited(desk, clock, seconds):
    """Poll once a second for so long."""
    events = []
    for _ in range(seconds):
        clock.at += SECOND_NS
        events += desk.poll()
    return events


@pytest.fixture
def clock():
    return Clock()


def test_whole_lists_long_after_the_last_try_prove_that_an_order_never_arrived(clock):
    desk = Desk(Silent(), clock)
    assert [type(event) for event in desk.handle(ENTRY)] == [OrderUnknown]
    waited(desk, clock, 29)
    assert desk.books().absent == []  # a request may be held up, and a list may be an old copy
    waited(desk, clock, 9)
    assert desk.books().absent == ["k1"]
    assert desk.books().absent == []  # told once
    assert waited(desk, clock, 60) == []  # and nobody is called


@pytest.mark.parametrize(
    "route",
    [Silent(looks=False), Silent(likely=True), Silent(no=Duplicate("it is there"))],
    ids=["no list was whole", "one in the list may be it", "the broker knows its key"],
)
def test_nothing_less_proves_it_and_a_person_is_called(clock, route):
    desk = Desk(route, clock)
    desk.handle(ENTRY)
    events = waited(desk, clock, 50)
    assert desk.books().absent == []
    assert [type(event) for event in events if isinstance(event, OrderQuarantined)] == [OrderQuarantined]


def test_an_order_that_the_books_show_is_not_absent(clock):
    route = Silent()
    desk = Desk(route, clock)
    desk.handle(ENTRY)
    waited(desk, clock, 40)
    route.alive = ["k1"]
    assert desk.books().absent == []


def test_another_try_begins_the_wait_anew(clock):
    route = Silent()
    route.capabilities = replace(route.capabilities, dedupes="refuses")
    desk = Desk(route, clock, Patience(fresh_s=1_000.0))
    desk.handle(ENTRY)
    waited(desk, clock, 33)  # the second try left after some of these
    assert desk.books().absent == []
    waited(desk, clock, 15)
    assert desk.books().absent == ["k1"]


def test_a_protection_of_before_is_taken_up_once_and_its_absence_is_its_end(clock):
    desk = Desk(Silent(), clock)
    for _ in range(2):  # the first connection brought no books
        desk.open([Known(STOP)])
    waited(desk, clock, 40)
    assert desk.books().absent == ["k2"]
    assert waited(desk, clock, 5) == []


def test_one_look_that_fails_is_not_silence_and_two_in_a_row_are(clock):
    route = Silent(looks=False)
    desk = Desk(route, clock)
    desk.handle(ENTRY)
    waited(desk, clock, 2)
    assert desk.deaf == ""
    waited(desk, clock, 3)
    assert "does not say what became of our orders" in desk.deaf
    route.looks = True
    waited(desk, clock, 2)
    assert desk.deaf == ""


def test_what_waits_for_machines_waits_as_long_in_a_rehearsal_and_what_waits_for_venues_does_not():
    desk = Desk(Silent(), RehearsalClock(T, T, 60.0))
    assert (desk.patience.fresh_s, desk.patience.quarantine_s, desk.patience.deaf_s) == (1_200.0, 2_700.0, 180.0)
    assert (desk.patience.look_s, desk.patience.absent_s) == (Patience().look_s, Patience().absent_s)
    assert Patience().at(0.5) == Patience()
