"""The table of transitions is the specification of an order's life."""

import uuid

import pytest

from live.core.orders import FILLABLE, LEGAL, OPEN, Order, State, order_id

LIVES = {
    "accepted, working, filled": ("sending", "acked", "working", "filled"),
    "filled before the answer": ("sending", "filled"),
    "in parts": ("sending", "acked", "partial", "partial", "filled"),
    "refused at once": ("sending", "refused"),
    "thrown out after it was accepted": ("sending", "acked", "rejected"),
    "answer lost, then found working": ("sending", "unknown", "working", "filled"),
    "answer lost, sent again with the same key": ("sending", "unknown", "sending", "acked"),
    "answer lost, found never to have arrived": ("sending", "unknown", "refused"),
    "answer lost for good, a person finds it": ("sending", "unknown", "quarantined", "filled"),
    "a fill overtakes the cancel": ("sending", "acked", "cancelled", "filled"),
    "expired before it was sent": ("expired",),
}
DEATHS = {
    "a filled order changes no more": ("sending", "filled", "cancelled"),
    "a refused order is not filled": ("sending", "refused", "filled"),
    "a lost answer is not a refusal by the clock": ("sending", "unknown", "planned"),
    "nothing is acknowledged before it was sent": ("acked",),
    "an order is not quarantined without having been unknown": ("sending", "quarantined"),
    "a cancelled order does not come back to work": ("sending", "acked", "cancelled", "working"),
    "an accepted order is not refused, it is rejected": ("sending", "acked", "refused"),
}


def walk(names):
    order = Order("id", 0, "market", "buy", 1.0, "entry", 0, state=State.JOURNALED)
    for name in names:
        if not order.may(State(name)):
            return name
        order.state = State(name)
    return None


@pytest.mark.parametrize("names", LIVES.values(), ids=LIVES)
def test_a_life_is_legal(names):
    assert walk(names) is None


@pytest.mark.parametrize("names", DEATHS.values(), ids=DEATHS)
def test_a_life_ends_there(names):
    assert walk(names) == names[-1]


def test_the_table_has_a_line_for_every_state_and_every_state_can_be_reached():
    assert set(LEGAL) == set(State)
    reached, edge = {State.PLANNED}, [State.PLANNED]
    while edge:
        new = [state for state in LEGAL[edge.pop()] if state not in reached]
        reached.update(new)
        edge += new
    assert reached == set(State)


def test_every_open_state_can_still_end():
    ends = {State.FILLED, State.CANCELLED, State.EXPIRED, State.REFUSED, State.REJECTED}
    for state in OPEN:
        reached, edge = set(), [state]
        while edge:
            new = [after for after in LEGAL[edge.pop()] if after not in reached]
            reached.update(new)
            edge += new
        assert reached & ends, state


def test_nothing_is_filled_that_was_never_sent():
    assert not {State.PLANNED, State.CHECKED, State.JOURNALED, State.REFUSED, State.FILLED} & set(FILLABLE)


def test_an_id_is_a_version_5_uuid_of_what_the_order_is_for():
    given = ("paper", "f00d", "AAA", 60, "market")
    one = order_id(*given)
    assert uuid.UUID(one).version == 5
    assert order_id(*given) == one
    for place, other in enumerate(("live", "beef", "BBB", 61, "protect")):
        assert order_id(*given[:place], other, *given[place + 1 :]) != one
