"""The queue to the broker: who goes first, what expires, what is taken back, and what a journal makes of it again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.core.commands import Cancel, Protect, Submit
from live.dispatch import Dispatch

SECOND = 1_000_000_000
NAN = float("nan")


def submit(key, reason="entry"):
    return Submit(key, 0, "AAA", "buy", 1.0, reason, "row" if reason == "entry" else "fill")


def protect(key, quantity=1.0, *, amends=False):
    return Protect(key, 0, "AAA", "sell", quantity, 90.0, NAN, amends=amends)


def now(_priority):
    return 0.0


def test_exits_go_before_entries_and_each_kind_in_order():
    queue = Dispatch(20.0)
    for command in (submit("a"), submit("b", "exit"), protect("c"), submit("d"), Cancel("e", 0, "AAA")):
        queue.put(command, 0)
    assert [queue.take(now).order_id for _ in range(5)] == ["b", "c", "e", "a", "d"]
    assert queue.take(now) is None


def test_an_entry_waits_where_the_budget_has_room_for_exits_only():
    queue = Dispatch(20.0)
    queue.put(submit("a"), 0)
    wait = {"exit": 0.0, "entry": 3.0, "poll": 9.0}.get
    assert queue.take(wait) is None
    assert queue.due_s(wait) == 3.0
    queue.put(submit("b", "stop"), 0)
    assert queue.take(wait).order_id == "b"


def test_entries_expire_and_exits_never():
    queue = Dispatch(20.0)
    queue.put(submit("a"), 0)
    queue.put(submit("b", "exit"), 0)
    assert queue.expired(20 * SECOND - 1) == []
    assert [command.order_id for command in queue.expired(20 * SECOND)] == ["a"]
    assert len(queue) == 1


def test_a_cancel_takes_back_what_waits_and_otherwise_goes_out():
    queue = Dispatch(20.0)
    queue.put(submit("a"), 0)
    assert queue.put(Cancel("a", 0, "AAA"), 0) == submit("a")
    assert len(queue) == 0
    queue.put(protect("b", amends=True), 0)
    assert queue.put(Cancel("b", 0, "AAA"), 0) is None
    assert isinstance(queue.take(now), Cancel)


def test_a_changed_protection_takes_the_place_of_a_change_that_waits():
    queue = Dispatch(20.0)
    queue.put(protect("a"), 0)
    queue.put(protect("a", 2.0, amends=True), 0)
    queue.put(protect("a", 3.0, amends=True), 0)
    assert [queue.take(now).quantity for _ in range(2)] == [1.0, 3.0]


@given(
    st.lists(st.tuples(st.sampled_from(["entry", "exit", "reversal", "stop"]), st.integers(0, 9)), max_size=20),
    st.integers(0, 9),
)
def test_nothing_that_takes_risk_goes_before_its_time_and_exits_have_none(orders, at):
    queue = Dispatch(20.0)
    for number, (reason, not_before) in enumerate(orders):
        queue.put(submit(str(number), reason), 0, not_before * SECOND)
    out = []
    while (command := queue.take(now, at * SECOND)) is not None:
        out.append(int(command.order_id))
    early = [n for n, (reason, t) in enumerate(orders) if reason in ("entry", "reversal") and t > at]
    assert sorted([*out, *early]) == list(range(len(orders)))
    assert queue.due_s(now, at * SECOND) == (min(orders[n][1] for n in early) - at if early else None)


@given(st.lists(st.tuples(st.sampled_from(["entry", "exit", "reversal", "stop"]), st.integers(0, 40)), max_size=30))
def test_nothing_stale_is_ever_given_out_and_nothing_is_lost(orders):
    queue = Dispatch(20.0)
    for number, (reason, born) in enumerate(orders):
        queue.put(submit(str(number), reason), born * SECOND)
    gone = {command.order_id for command in queue.expired(30 * SECOND)}
    out = []
    while (command := queue.take(now)) is not None:
        out.append(command.order_id)
    assert sorted([*gone, *out], key=int) == [str(number) for number in range(len(orders))]
    for number, (reason, born) in enumerate(orders):
        stale = reason in ("entry", "reversal") and born + 20 <= 30
        assert (str(number) in gone) == stale
    entries = [orders[int(key)][0] in ("entry", "reversal") for key in out]
    assert entries == sorted(entries)


@pytest.mark.parametrize("kind", ["exit", "entry"])
def test_the_wait_of_an_empty_queue_is_none(kind):
    assert Dispatch(20.0).due_s({kind: 1.0}.get) is None
