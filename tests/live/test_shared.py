"""Where the books differ: nothing leaves a share that the broker does not have, and what both have can be left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.core.commands import Alert, Cancel, Denied, Protect, Submit
from live.core.core import Core
from live.core.events import Fill, Operator, OrderAccepted, OrderCancelled, OrderSent, Snapshot
from live.core.plan import Plan
from live.core.shared import Shared, both
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from tests.live.test_reconcile import BUY, FLAT, SECOND, SELL, SHORT, only, quiet

HELD = 500.0


class Account:
    """A core that holds 500 shares of AAA, long or short; `compare` tells it what the broker has."""

    def __init__(self, scripted, rows, says, *, stops="close", shorts=False):
        rule = Rule(size=0.5, stops=stops, shorts=shorts)
        plan = Plan.of(scripted, ["AAA"], rule=rule, costs=Costs.free(), clock="1m")
        self.core, self.rows = Core(plan, scripted), iter(rows(quiet(100.0, *says)))
        entry = only(self.row(), Submit)
        self.sign = 1.0 if entry.side == "buy" else -1.0
        assert self.fill(entry, HELD) is not None

    def row(self):
        return self.core.step(next(self.rows))

    def fill(self, order, quantity, price=100.0):
        ts = self.core.last_ts + SECOND
        if self.core.orders[order.order_id].state.value == "journaled":
            self.core.step(OrderSent(ts, order.order_id))
        name = f"e{len(self.core.orders[order.order_id].executions)}-{order.order_id}"
        self.filled = self.core.step(Fill(ts, order.order_id, name, quantity, price, 0.0))
        return self.filled

    def compare(self, theirs, ts=0):
        held = {"AAA": theirs} if theirs else {}
        cash = self.core.cash
        return self.core.step(Snapshot(self.core.last_ts + 2 * SECOND + ts, "timer", held, cash))


@pytest.fixture
def account(scripted, rows):
    return lambda *says, **more: Account(scripted, rows, says, **more)


@pytest.mark.parametrize(("theirs", "leaves"), [(500.0, 500.0), (700.0, 500.0), (300.0, 300.0), (1.0, 1.0)])
def test_an_exit_is_for_what_both_sides_have(account, theirs, leaves):
    made = account(BUY, SELL)
    made.compare(theirs)
    assert only(made.row(), Submit).quantity == leaves


@pytest.mark.parametrize("theirs", [0.0, -500.0, 0.4])
def test_an_exit_of_what_the_broker_does_not_have_is_refused_and_told(account, theirs):
    made = account(BUY, SELL)
    made.compare(theirs)
    answer = made.row()
    assert only(answer, Denied).code == "R28.books"
    told = [command for command in answer if isinstance(command, Alert)]
    assert [(alert.name, alert.level) for alert in told] == [("exit.refused", "critical")]
    assert f"broker={theirs:g}" in told[0].text
    assert not any(isinstance(command, Submit) for command in answer)


def test_a_short_is_covered_by_no_more_than_the_broker_is_short_of(account):
    made = account(SHORT, 4, shorts=True)
    made.compare(-200.0)
    cover = only(made.row(), Submit)
    assert (cover.side, cover.quantity) == ("buy", 200.0)


def test_a_flatten_is_held_to_it_as_well(account):
    made = account(BUY, FLAT)
    made.compare(300.0)
    assert only(made.core.step(Operator(made.core.last_ts, "flatten", "ada")), Submit).quantity == 300.0


def test_after_both_sides_shares_are_left_the_rest_stays(account):
    made = account(BUY, SELL, SELL)
    made.compare(300.0)
    made.fill(only(made.row(), Submit), 300.0)
    assert only(made.row(), Denied).code == "R28.books"
    assert made.core.positions == [200.0]


def test_books_that_agree_again_let_the_whole_go(account):
    made = account(BUY, FLAT, SELL)
    made.compare(300.0)
    made.row()
    made.compare(500.0)
    assert only(made.row(), Submit).quantity == 500.0


def test_an_exit_that_waits_for_more_than_the_broker_has_is_asked_back_and_goes_again_for_less(account):
    made = account(BUY, SELL)
    leaving = only(made.row(), Submit)
    made.core.step(OrderSent(made.core.last_ts, leaving.order_id))
    made.core.step(OrderAccepted(made.core.last_ts, leaving.order_id, working=True))
    assert not made.compare(300.0)  # the exit itself may have done that, once
    answer = made.compare(300.0, ts=120 * SECOND)
    assert only(answer, Cancel).order_id == leaving.order_id
    again = only(made.core.step(OrderCancelled(made.core.last_ts + 30 * SECOND, leaving.order_id)), Submit)
    assert (again.side, again.quantity) == ("sell", 300.0)


@pytest.mark.parametrize(("theirs", "stands"), [(300.0, 300.0), (0.0, None)])
def test_a_protection_shrinks_to_what_the_broker_has(account, theirs, stands):
    made = account(BUY, FLAT, stops="touch")
    first = only(made.filled, Protect)
    assert first.quantity == 500.0
    answer = made.compare(theirs)
    if stands is None:
        assert only(answer, Cancel).order_id == first.order_id
    else:
        assert only(answer, Protect).quantity == stands


def test_the_state_after_a_difference_is_part_of_the_digest(account):
    one, other = account(BUY, FLAT), account(BUY, FLAT)
    one.compare(300.0)
    other.compare(300.0)
    assert one.core.digest() == other.core.digest()
    other.core.desk.shared.theirs[0] = 299.0
    assert one.core.digest() != other.core.digest()


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_what_both_have_is_never_more_than_either_has(ours, theirs):
    room = both(ours, theirs)
    assert 0.0 <= room <= min(abs(ours), abs(theirs))
    assert both(theirs, ours) == both(-ours, -theirs) == room


@given(st.floats(-1e6, 1e6), st.lists(st.floats(-1e4, 1e4)))
def test_fills_since_the_comparison_never_make_more_room(theirs, fills):
    shared = Shared()
    assert shared.compared({0: theirs}) == [0]
    held = abs(theirs)
    for fill in fills:
        before = shared.room(0, 1e9 if theirs > 0 else -1e9)
        shared.filled(0, fill)
        assert shared.room(0, 1e9 if theirs > 0 else -1e9) <= max(before, 0.0) <= held
    assert shared.compared({}) == [0]
    assert shared.room(0, theirs) == held
