"""Reconciliation: evidence first, then the books; what open orders explain is pending, anything else halts."""

import msgspec
import pytest

from live.core.commands import Alert, Cancel, Protect, Submit
from live.core.core import Core
from live.core.events import (
    Fill,
    Operator,
    OrderAccepted,
    OrderCancelled,
    OrderSeen,
    OrderSent,
    OrderUnknown,
    PersonSays,
    Snapshot,
    Timer,
)
from live.core.orders import State
from live.core.plan import Plan
from strategies.common.costs import Costs
from strategies.common.rule import Rule

SECOND = 1_000_000_000
FLAT, BUY, SELL, SHORT = 0, 1, 2, 3
NOW = 300 * SECOND


@pytest.fixture
def core_of(scripted):
    def make(rule=None, **options):
        rule = rule or Rule(size=0.5)
        return Core(Plan.of(scripted, ["AAA"], rule=rule, costs=Costs.free(), clock="1m", **options), scripted)

    return make


def quiet(price, *says):
    return [(price, price, price, price, said) for said in says]


def only(commands, kind):
    (found,) = [command for command in commands if isinstance(command, kind)]
    return found


def snapshot(positions=None, cash=100_000.0, **more):
    return Snapshot(NOW, "start", positions or {}, cash, **more)


def sent(core, rows):
    """A core whose entry of 500 shares left; nothing is known of it."""
    submit = only(core.step(rows(quiet(100.0, BUY))[0]), Submit)
    core.step(OrderSent(submit.ts, submit.order_id))
    return submit.order_id


def lost(core, rows):
    key = sent(core, rows)
    core.step(OrderUnknown(61 * SECOND, key, "timed out after 5.0 s"))
    return key


def state_of(core, key):
    return core.orders[key].state


def test_equal_books_are_said_once(core_of, rows):
    core = core_of(broker="acme")
    assert only(core.step(snapshot()), Alert).name == "reconciled"
    assert core.step(snapshot()) == []
    assert core.findings.differences == []


def test_on_paper_equal_books_say_nothing(core_of):
    assert core_of().step(snapshot()) == []


DIFFERENT = {
    "a position of theirs": ({"positions": {"AAA": 5.0}}, "AAA: we hold 0, the broker 5"),
    "a symbol that is not ours": ({"positions": {"ZZZ": 5.0}}, "ZZZ: we do not trade it, the broker holds 5"),
    "cash": ({"cash": 99_999.0}, "cash: we have 100000.00, the broker 99999.00"),
    "an order that is not ours": ({"orders": [OrderSeen("x", "working")]}, "order x works at the broker"),
    "a fill that is not ours": ({"fills": [Fill(1, "x", "e", 1.0, 1.0, 0.0)]}, "is of order x, not ours"),
}


@pytest.mark.parametrize(("what", "sentence"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_nothing_explains_halts_with_both_sides(core_of, what, sentence):
    core = core_of()
    alert = only(core.step(snapshot(**what)), Alert)
    assert (alert.level, alert.name) == ("critical", "books.differ")
    assert sentence in alert.text
    assert sentence in core.halted
    assert sentence in core.findings.differences[0]


def test_cash_within_its_limits_is_the_same(core_of):
    limits = {"max_cash_difference_usd": 5.0, "max_cash_difference_pct": 0.001}
    assert core_of(limits=limits).step(snapshot(cash=99_995.0)) == []
    assert core_of(limits=limits).step(snapshot(cash=99_994.9)) != []


@pytest.mark.parametrize("held", [0.0, 200.0, 500.0])
def test_a_position_that_an_unknown_order_explains_is_pending(core_of, rows, held):
    core = core_of()
    key = lost(core, rows)
    core.step(snapshot({"AAA": held}, cash=100_000.0 - 100 * held))
    assert core.findings.differences == []
    assert any(key in line for line in core.findings.pending)
    assert state_of(core, key) is State.UNKNOWN
    assert core.halted == ""


@pytest.mark.parametrize("held", [-1.0, 501.0])
def test_a_position_beyond_what_the_order_can_make_is_a_difference(core_of, rows, held):
    core = core_of()
    lost(core, rows)
    core.step(snapshot({"AAA": held}))
    assert core.findings.differences


def test_a_list_that_does_not_show_an_order_proves_nothing(core_of, rows):
    core = core_of()
    key = lost(core, rows)
    for _ in range(10):
        core.step(snapshot())
    assert state_of(core, key) is State.UNKNOWN


def test_an_order_that_was_on_the_wire_when_we_stopped_becomes_unknown(core_of, rows):
    core = core_of()
    key = sent(core, rows)
    assert only(core.step(snapshot()), Alert).name == "order.unknown"
    assert state_of(core, key) is State.UNKNOWN


EVIDENCE = {
    "it works": ({"orders": True, "status": "working"}, State.WORKING),
    "it was cancelled": ({"orders": True, "status": "cancelled"}, State.CANCELLED),
    "it was thrown out": ({"orders": True, "status": "rejected"}, State.REJECTED),
    "it never arrived": ({"absent": True}, State.REFUSED),
}


@pytest.mark.parametrize(("said", "state"), EVIDENCE.values(), ids=EVIDENCE)
def test_evidence_ends_the_doubt(core_of, rows, said, state):
    core = core_of()
    key = lost(core, rows)
    orders = [OrderSeen(key, said["status"], 0.0)] if "orders" in said else []
    core.step(snapshot(orders=orders, absent=[key] if "absent" in said else []))
    assert state_of(core, key) is state
    assert core.findings.differences == []


def test_a_fill_that_was_missed_is_booked_once(core_of, rows):
    core = core_of()
    key = lost(core, rows)
    fill = Fill(62 * SECOND, key, "x1", 500.0, 100.0, 0.0)
    for _ in range(2):
        core.step(snapshot({"AAA": 500.0}, 50_000.0, orders=[OrderSeen(key, "filled", 500.0)], fills=[fill]))
    assert (core.positions, core.cash) == ([500.0], 50_000.0)
    assert state_of(core, key) is State.FILLED
    assert core.findings.differences == []


def test_an_end_waits_for_the_fills_it_counts(core_of, rows):
    core = core_of()
    key = lost(core, rows)
    core.step(snapshot({"AAA": 200.0}, 80_000.0, orders=[OrderSeen(key, "cancelled", 200.0)]))
    assert state_of(core, key) is State.UNKNOWN
    assert "200 shares are filled whose executions did not come" in core.findings.pending[0]
    fill = Fill(62 * SECOND, key, "x1", 200.0, 100.0, 0.0)
    core.step(snapshot({"AAA": 200.0}, 80_000.0, orders=[OrderSeen(key, "cancelled", 200.0)], fills=[fill]))
    assert state_of(core, key) is State.CANCELLED
    assert core.positions == [200.0]


def test_an_order_that_the_broker_took_and_then_never_had_is_a_difference(core_of, rows):
    core = core_of()
    key = sent(core, rows)
    core.step(OrderAccepted(61 * SECOND, key))
    core.step(snapshot(absent=[key]))
    assert "the broker has never had it" in core.findings.differences[0]


def test_an_order_without_evidence_is_alarmed_then_quarantined_for_a_person(core_of, rows):
    core = core_of(limits={"unknown_alarm_s": 30.0, "unknown_page_s": 300.0})
    key = lost(core, rows)
    heard = [(age, c.name) for age in (30, 31, 300, 301, 400) for c in core.step(Timer((61 + age) * SECOND))]
    assert heard == [(31, "order.unknown"), (300, "feed.silent"), (301, "order.quarantined")]
    assert state_of(core, key) is State.QUARANTINED
    assert [alert.name for alert in core.step(PersonSays(NOW, key, "never arrived", ""))] == ["person.ignored"]
    assert state_of(core, key) is State.QUARANTINED
    alert = only(core.step(PersonSays(NOW, key, "never arrived", "ada")), Alert)
    assert alert.text.endswith("never arrived, says ada")
    assert state_of(core, key) is State.REFUSED
    assert [alert.name for alert in core.step(PersonSays(NOW, key, "cancelled", "ada"))] == ["person.ignored"]


def test_a_quarantined_order_is_still_believed_when_it_fills(core_of, rows):
    core = core_of()
    key = lost(core, rows)
    core.step(Timer(1_000 * SECOND))
    core.step(snapshot({"AAA": 500.0}, 50_000.0, fills=[Fill(NOW, key, "x", 500.0, 100.0, 0.0)]))
    assert core.positions == [500.0]
    assert core.findings.differences == []


def found_at(core, after_s, **more):
    """What a comparison finds so many seconds after NOW, where the broker has 200 shares that we know nothing of."""
    core.step(msgspec.structs.replace(snapshot({"AAA": 200.0}, 80_000.0, **more), ts=NOW + after_s * SECOND))
    return [line for line in core.findings.differences if not line.startswith("cash")]


DIFFERS = ["AAA: we hold 0, the broker 200"]


def test_a_gap_that_an_order_explains_is_a_difference_where_it_stays(core_of, rows):
    core = core_of()
    key = sent(core, rows)
    core.step(OrderAccepted(61 * SECOND, key))
    works = [OrderSeen(key, "working")]
    assert found_at(core, 0, orders=works) == []
    assert found_at(core, 14, orders=works) == []
    assert found_at(core, 15, orders=works) == DIFFERS


def test_a_gap_lasts_longer_where_the_list_does_not_show_the_order_that_explains_it(core_of, rows):
    core = core_of()
    key = sent(core, rows)
    core.step(OrderAccepted(61 * SECOND, key))
    assert found_at(core, 0) == found_at(core, 15) == found_at(core, 59) == []
    assert found_at(core, 60) == DIFFERS


def test_an_order_that_has_not_left_makes_no_gap_last_longer(core_of, rows):
    core = core_of()
    key = sent(core, rows)
    core.step(OrderAccepted(61 * SECOND, key))
    waiting = msgspec.structs.replace(core.orders[key], order_id="waits", state=State.JOURNALED)
    core.desk.tally.state.open.append(waiting)
    core.orders["waits"] = waiting
    works = [OrderSeen(key, "working")]
    assert found_at(core, 0, orders=works) == []
    assert found_at(core, 15, orders=works) == DIFFERS


# --- nothing goes out against an order that may still fill ----------------------------------------------------------


TOUCH = Rule(size=0.5, stops="touch", shorts=True)


def guarded(core, rows):
    """A core that holds 500 shares under a standing stop; the protection."""
    key = sent(core, rows)
    guard = only(core.step(Fill(62 * SECOND, key, "x", 500.0, 100.0, 0.0)), Protect)
    core.step(OrderSent(guard.ts, guard.order_id))
    core.step(OrderAccepted(guard.ts, guard.order_id, working=True))
    return guard


def test_an_exit_waits_for_the_end_of_its_protection(core_of, rows):
    core = core_of(TOUCH, async_cancels=True)
    guard = guarded(core, rows)
    _, second, third = rows(quiet(100.0, BUY, SELL, FLAT))
    (cancel,) = core.step(second)
    assert (type(cancel), cancel.order_id) == (Cancel, guard.order_id)
    assert core.step(third) == []
    submit = only(core.step(OrderCancelled(third.ts + 1, guard.order_id)), Submit)
    assert (submit.side, submit.quantity, submit.reason) == ("sell", 500.0, "exit")


def test_a_protection_that_fills_instead_leaves_only_the_rest(core_of, rows):
    core = core_of(TOUCH, async_cancels=True)
    guard = guarded(core, rows)
    core.step(rows(quiet(100.0, BUY, SELL))[1])
    assert core.step(Fill(121 * SECOND, guard.order_id, "p", 200.0, 99.0, 0.0, "stop")) == []
    submit = only(core.step(OrderCancelled(122 * SECOND, guard.order_id)), Submit)
    assert submit.quantity == 300.0


def test_a_protection_that_fills_whole_leaves_nothing_to_send(core_of, rows):
    core = core_of(TOUCH, async_cancels=True)
    guard = guarded(core, rows)
    _, second, third = rows(quiet(100.0, BUY, SELL, BUY))
    core.step(second)
    assert core.step(Fill(121 * SECOND, guard.order_id, "p", 500.0, 99.0, 0.0, "stop")) == []
    assert core.positions == [0.0]
    assert only(core.step(third), Submit).side == "buy"


def test_a_flatten_waits_for_the_end_of_the_protection_too(core_of, rows):
    core = core_of(TOUCH, async_cancels=True)
    guard = guarded(core, rows)
    assert [type(c) for c in core.step(Operator(70 * SECOND, "flatten", "ada"))] == [Cancel, Alert]
    assert [type(c) for c in core.step(Operator(71 * SECOND, "flatten", "ada"))] == [Alert]
    assert only(core.step(OrderCancelled(72 * SECOND, guard.order_id)), Submit).reason == "operator"


def test_a_cancel_without_an_end_is_alarmed(core_of, rows):
    core = core_of(TOUCH, async_cancels=True)
    guarded(core, rows)
    core.step(rows(quiet(100.0, BUY, SELL))[1])
    assert [alert.name for alert in core.step(Timer(400 * SECOND))] == ["feed.silent", "cancel.silent"]


def test_an_exit_waits_where_the_answer_to_its_protection_was_lost(core_of, rows):
    core = core_of(TOUCH)
    guard = guarded(core, rows)
    core.step(OrderUnknown(70 * SECOND, guard.order_id, "cut"))
    (cancel,) = core.step(rows(quiet(100.0, BUY, SELL))[1])
    assert cancel.order_id == guard.order_id
    assert only(core.step(OrderCancelled(130 * SECOND, guard.order_id)), Submit).quantity == 500.0
