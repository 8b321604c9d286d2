"""The rules of evidence where a sandbox cannot lead them: lists that lag, and second tries that prove nothing."""

import pytest

from live.brokers.alpaca import CAPABILITIES
from live.brokers.wire import Busy, Lost, NotSent, Refused
from live.brokers.wire_budget import Budget
from live.brokers.wire_desk import Desk
from live.core.commands import Submit
from live.core.events import OrderQuarantined, OrderRefused, OrderSent, OrderUnknown
from live.core.orders import LEGAL, State

STATES = {OrderSent: State.SENDING, OrderUnknown: State.UNKNOWN, OrderQuarantined: State.QUARANTINED}


class Clock:
    """Moves only when it is told to."""

    ns = 10**18

    def now(self):
        return self.ns

    def sleep(self, seconds):
        self.ns += int(seconds * 1e9)


class Stale:
    """A broker that took the first order, lost the answer, and does not list it."""

    capabilities = CAPABILITIES
    place_requests = 1

    def __init__(self, *answers):
        self.answers = list(answers)

    def place(self, ticket):
        raise self.answers.pop(0)

    def look(self, tickets):
        return {}

    def pushed(self):
        return []

    def stream_was_down(self):
        return False


@pytest.mark.parametrize(
    "second", [Refused("no cash: the first one took it"), NotSent("no route"), Busy("429"), Lost("x")]
)
def test_a_second_try_that_fails_says_nothing_of_the_first(second):
    clock = Clock()
    desk = Desk(Stale(Lost("cut"), second), clock)
    desk.budget = Budget(0, clock)
    events = desk.handle(Submit("one", clock.now(), "AAPL", "buy", 1.0, "entry", "row"))
    for _ in range(120):
        clock.sleep(1.0)
        events += desk.poll()
    assert not [e for e in events if isinstance(e, OrderRefused)]
    assert [type(e) for e in events] == [OrderUnknown, OrderSent, OrderUnknown, OrderQuarantined]
    state = State.SENDING
    for event in events:
        assert STATES[type(event)] in LEGAL[state]
        state = STATES[type(event)]


def test_a_first_try_that_never_left_is_dropped_when_it_is_too_old():
    clock = Clock()
    desk = Desk(Stale(*[NotSent("no route")] * 20), clock)
    desk.budget = Budget(0, clock)
    events = desk.handle(Submit("one", clock.now(), "AAPL", "buy", 1.0, "entry", "row"))
    for _ in range(60):
        clock.sleep(1.0)
        events += desk.poll()
    assert isinstance(events[-1], OrderRefused)
    assert {type(e) for e in events[:-1]} == {OrderSent}
