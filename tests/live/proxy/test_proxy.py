"""Faults on real sockets (F05 to F13): no duplicate, no order called refused that the broker has, every call ends."""

import uuid

import pytest

from live.core.commands import Cancel, Submit
from live.core.events import Fill, OrderAccepted, OrderCancelled, OrderExpired, OrderQuarantined, OrderRefused
from tests.live.proxy.proxy import MODES, scripted, seeded

ENDS = (OrderRefused, OrderCancelled, OrderExpired)


def key(number):
    return str(uuid.UUID(int=number))


def submit(line, number=1, side="buy", quantity=4.0, symbol="AAPL", reason="entry"):
    return Submit(key(number), line.clock.now(), symbol, side, quantity, reason, "row" if reason == "entry" else "fill")


def shares(line, number):
    return sum(fill.quantity for fill in line.of(Fill, key(number)))


def audit(line, sent):
    """The broker's own record against everything the desk has said."""
    orders = {}
    for order in line.venue.orders.values():
        assert order.key not in orders, f"{order.key} is two orders at the broker"
        orders[order.key] = order
    assert set(orders) <= {command.order_id for command in sent}
    for command in sent:
        order = orders.get(command.order_id)
        told = [e for e in line.events if isinstance(e, ENDS) and e.order_id == command.order_id]
        if order is None:
            assert not line.of(Fill, command.order_id)
        elif any(isinstance(e, OrderRefused) and not e.late for e in told):
            raise AssertionError(f"the broker has {command.order_id}, and it was called refused: {told}")
        ids = [fill.execution_id for fill in line.of(Fill, command.order_id)]
        assert len(ids) == len(set(ids))
    return orders


@pytest.mark.parametrize("mode", MODES)
def test_one_order_through_one_fault_is_one_order_or_provably_none(line, mode):
    line.wire.plan = scripted(mode, 1)
    command = submit(line)
    line.do(command)
    assert line.wire.done[mode] == 1
    line.poll(90)  # longer than any patience
    orders = audit(line, [command])
    if key(1) in orders:
        assert shares(line, 1) == 4.0
        assert not line.of(OrderRefused)
    else:  # it never arrived, so somebody is told: refused by proof, or a person is asked
        assert line.of(OrderRefused) or line.of(OrderQuarantined)


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_line_duplicates_nothing_loses_nothing_and_invents_no_refusal(line, seed):
    quick = tuple(mode for mode in MODES if mode not in ("drip", "drip-head", "black-hole", "silent"))
    line.wire.plan = seeded(seed, 0.4, quick)
    sent = []
    for number in range(1, 17):
        command = submit(line, number, symbol=("AAPL", "MSFT")[number % 2], quantity=float(number))
        sent.append(command)
        line.do(command)
        line.poll(2)
    line.wire.plan = lambda _: ""
    line.poll(100)
    orders = audit(line, sent)
    assert sum(line.wire.done.values()) >= 5, "the line was not bad at all"
    for command in sent:
        if command.order_id in orders:
            assert shares(line, int(uuid.UUID(command.order_id))) == float(orders[command.order_id].filled)
    held = {symbol: float(quantity) for symbol, quantity in line.venue.positions.items()}
    assert line.call(line.desk.books).positions == held


@pytest.mark.parametrize("mode", ["cut", "drop", "silent", "503", "504-after"])
def test_a_cancel_whose_answer_is_lost_is_believed_only_when_the_broker_says_so(line, mode):
    line.venue.faults.add("order.hold@1")
    command = submit(line)
    line.do(command)
    line.until(lambda: line.of(OrderAccepted))
    hits = []

    def plan(asked):
        cancels = asked.method == "DELETE" or b"cancel" in asked.raw
        if cancels and not hits:
            hits.append(asked)
            return mode
        return ""

    line.wire.plan = plan
    line.do(Cancel(key(1), line.clock.now(), "AAPL"))
    assert line.wire.done[mode] == 1
    if not any(order.status in ("cancelling", "cancelled") for order in line.venue.orders.values()):
        assert not line.of(OrderCancelled)
    line.until(lambda: line.of(OrderCancelled))
    assert [order.status for order in line.venue.orders.values()] == ["cancelled"]


def test_a_broker_that_cannot_be_reached_has_no_order_and_none_is_claimed(line):
    line.wire.plan = lambda _: "refuse"
    command = submit(line)
    line.do(command)
    line.poll(3)
    assert not line.venue.orders
    assert not line.of(Fill)
    line.wire.plan = lambda _: ""
    line.poll(90)
    orders = audit(line, [command])
    assert not orders or shares(line, 1) == 4.0


def test_an_update_stream_that_is_cut_or_frozen_loses_no_fill(line):
    if line.name != "alpaca":
        pytest.skip("this broker is asked: it has no stream")
    line.wire.freeze_sockets()
    line.do(submit(line, 1))
    line.until(lambda: shares(line, 1) == 4.0)  # the stream says nothing, so it is asked for
    line.wire.freeze_sockets(False)
    line.wire.cut_sockets()
    line.do(submit(line, 2, symbol="MSFT"))
    line.until(lambda: shares(line, 2) == 4.0)
    audit(line, [submit(line, 1), submit(line, 2)])
