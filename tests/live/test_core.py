"""The core alone: what it answers to events that paper never sends, and to those that come twice, late or wrong."""

import msgspec
import numpy as np
import pytest

from data.errors import DataError, JournalError
from data.rows import Row
from live.core.columns import columns_of
from live.core.commands import Alert, Cancel, Protect, Submit
from live.core.core import Core
from live.core.events import (
    Fill,
    Operator,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderSent,
    OrderUnknown,
    Timer,
)
from live.core.orders import State
from live.core.plan import Plan
from strategies.common.costs import Costs
from strategies.common.rule import Rule

SECOND = 1_000_000_000
FLAT, BUY, SELL, SHORT = 0, 1, 2, 3


@pytest.fixture
def core_of(scripted):
    def make(rule=None, symbols=("AAA",)):
        plan = Plan.of(scripted, list(symbols), rule=rule or Rule(size=0.5), costs=Costs.free(), clock="1m")
        return Core(plan, scripted)

    return make


def quiet(price, says, count=1):
    return [(price, price, price, price, says)] * count


def only(commands, kind):
    (found,) = [command for command in commands if isinstance(command, kind)]
    return found


def sent_and_accepted(core, command):
    assert core.step(OrderSent(command.ts, command.order_id)) == []
    assert core.step(OrderAccepted(command.ts, command.order_id)) == []


def entered(core, rows):
    """A core that bought at 100; (the entry, what the fill was answered with)."""
    submit = only(core.step(rows(quiet(100.0, BUY))[0]), Submit)
    sent_and_accepted(core, submit)
    return submit, core.step(Fill(90 * SECOND, submit.order_id, "x1", submit.quantity, 100.0, 1.0))


def test_an_entry_is_sized_by_the_rule_and_good_for_one_row(core_of, rows):
    core = core_of()
    submit = only(core.step(rows(quiet(100.0, BUY))[0]), Submit)
    # half of 100,000 at 100 a share
    assert (submit.side, submit.quantity, submit.reason, submit.good_for) == ("buy", 500.0, "entry", "row")
    assert core.orders[submit.order_id].state is State.JOURNALED


def test_a_fill_is_booked_and_an_execution_told_twice_is_one(core_of, rows):
    core = core_of()
    submit, _ = entered(core, rows)
    before = core.digest()
    assert core.positions == [500.0]
    assert core.cash == 100_000.0 - 500 * 100.0 - 1.0
    assert core.step(Fill(91 * SECOND, submit.order_id, "x1", submit.quantity, 100.0, 1.0)) == []
    assert core.positions == [500.0]
    assert core.counts.duplicate_fills == 1
    assert core.digest() != before  # the count is part of the state


def test_fills_in_parts_make_one_position_at_the_average_price(core_of, rows):
    core = core_of()
    submit = only(core.step(rows(quiet(100.0, BUY))[0]), Submit)
    sent_and_accepted(core, submit)
    core.step(Fill(61 * SECOND, submit.order_id, "x1", 200.0, 100.0, 0.0))
    assert core.orders[submit.order_id].state is State.PARTIAL
    core.step(Fill(62 * SECOND, submit.order_id, "x2", 300.0, 101.0, 0.0))
    assert core.orders[submit.order_id].state is State.FILLED
    assert core.positions == [500.0]
    assert core.cash == 100_000.0 - 200 * 100.0 - 300 * 101.0


def test_the_rest_of_a_partly_filled_entry_expires_and_the_position_stays(core_of, rows):
    core = core_of()
    first, second = rows(quiet(100.0, BUY) + quiet(100.0, SELL))
    submit = only(core.step(first), Submit)
    sent_and_accepted(core, submit)
    core.step(Fill(61 * SECOND, submit.order_id, "x1", 200.0, 100.0, 0.0))
    core.step(OrderExpired(62 * SECOND, submit.order_id))
    assert core.orders[submit.order_id].state is State.EXPIRED
    assert only(core.step(second), Submit).quantity == 200.0


def test_a_fill_that_overtakes_its_cancel_is_booked(core_of, rows):
    core = core_of()
    submit = only(core.step(rows(quiet(100.0, BUY))[0]), Submit)
    sent_and_accepted(core, submit)
    core.step(OrderCancelled(61 * SECOND, submit.order_id))
    core.step(Fill(62 * SECOND, submit.order_id, "x1", 500.0, 100.0, 0.0))
    assert core.positions == [500.0]
    assert core.orders[submit.order_id].state is State.FILLED


STRANGE = {
    "an order that is not ours": lambda order: Fill(61 * SECOND, "nobody", "x1", 1.0, 100.0, 0.0),
    "more shares than were asked for": lambda order: Fill(61 * SECOND, order, "x1", 501.0, 100.0, 0.0),
    "no shares": lambda order: Fill(61 * SECOND, order, "x1", 0.0, 100.0, 0.0),
    "a price that is not one": lambda order: Fill(61 * SECOND, order, "x1", 500.0, float("nan"), 0.0),
    "a fee that is not one": lambda order: Fill(61 * SECOND, order, "x1", 500.0, 100.0, float("nan")),
    "the end of an order that is not ours": lambda order: OrderCancelled(61 * SECOND, "nobody"),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_what_contradicts_the_books_halts_and_changes_no_position(core_of, rows, strange):
    core = core_of()
    first, second = rows(quiet(100.0, BUY, 2))
    submit = only(core.step(first), Submit)
    sent_and_accepted(core, submit)
    alert = only(core.step(strange(submit.order_id)), Alert)
    assert (alert.level, alert.name) == ("critical", "books.contradiction")
    assert core.positions == [0.0]
    assert core.halted
    core.step(OrderExpired(62 * SECOND, submit.order_id))
    assert core.step(second) == []  # wants to buy again, may not


def test_a_fill_of_a_refused_order_halts(core_of, rows):
    core = core_of()
    submit = only(core.step(rows(quiet(100.0, BUY))[0]), Submit)
    core.step(OrderSent(61 * SECOND, submit.order_id))
    core.step(OrderRefused(61 * SECOND, submit.order_id, "no money"))
    core.step(Fill(62 * SECOND, submit.order_id, "x1", 500.0, 100.0, 0.0))
    assert core.halted
    assert core.positions == [0.0]


def test_a_refused_entry_frees_its_symbol_and_the_next_try_has_another_key(core_of, rows):
    core = core_of()
    first, second = rows(quiet(100.0, BUY, 2))
    submit = only(core.step(first), Submit)
    core.step(OrderSent(61 * SECOND, submit.order_id))
    assert only(core.step(OrderRefused(61 * SECOND, submit.order_id, "closed")), Alert).name == "order.refused"
    again = only(core.step(second), Submit)
    assert again.order_id != submit.order_id


@pytest.mark.parametrize("working", [False, True])
def test_the_refusal_of_an_order_that_was_taken_ends_it_though_the_desk_has_forgotten_that(core_of, rows, working):
    core = core_of()
    first, second = rows(quiet(100.0, BUY, 2))
    submit = only(core.step(first), Submit)
    core.step(OrderSent(61 * SECOND, submit.order_id))
    core.step(OrderAccepted(61 * SECOND, submit.order_id, working=working))
    core.step(OrderRefused(62 * SECOND, submit.order_id, "halted", late=False))  # as after a restart
    assert core.orders[submit.order_id].state is State.REJECTED
    assert only(core.step(second), Submit).order_id != submit.order_id


def test_an_unknown_order_blocks_its_symbol_until_evidence_comes(core_of, rows):
    core = core_of()
    one, two, three = rows(quiet(100.0, BUY, 3))
    submit = only(core.step(one), Submit)
    core.step(OrderSent(61 * SECOND, submit.order_id))
    assert only(core.step(OrderUnknown(66 * SECOND, submit.order_id, "timed out after 5.0 s")), Alert)
    assert only(core.step(two), Cancel).order_id == submit.order_id  # it is too late for it now, if it is anywhere
    assert core.orders[submit.order_id].state is State.UNKNOWN
    core.step(OrderRefused(130 * SECOND, submit.order_id, "never arrived"))
    assert only(core.step(three), Submit).order_id != submit.order_id


def test_an_unknown_order_alarms_once_and_no_timer_ends_it(core_of, rows):
    core = core_of()
    submit = only(core.step(rows(quiet(100.0, BUY))[0]), Submit)
    core.step(OrderSent(61 * SECOND, submit.order_id))
    core.step(OrderUnknown(62 * SECOND, submit.order_id, "timed out"))
    assert core.step(Timer(80 * SECOND)) == []
    assert [alert.level for alert in core.step(Timer(100 * SECOND))] == ["critical"]
    assert core.step(Timer(110 * SECOND)) == []
    assert core.orders[submit.order_id].state is State.UNKNOWN
    core.step(OrderQuarantined(200 * SECOND, submit.order_id, "no trace of it"))
    assert core.orders[submit.order_id].state is State.QUARANTINED


def test_a_silent_feed_is_told_of_once(core_of, rows):
    core = core_of()
    first, second = rows(quiet(100.0, FLAT, 2))
    core.step(first)
    assert core.step(Timer(first.ts + 180 * SECOND)) == []
    assert only(core.step(Timer(first.ts + 181 * SECOND)), Alert).name == "feed.silent"
    assert core.step(Timer(first.ts + 300 * SECOND)) == []
    core.step(second)
    assert only(core.step(Timer(second.ts + 181 * SECOND)), Alert).name == "feed.silent"


def test_a_row_that_comes_twice_or_late_is_not_decided_on(core_of, rows):
    core = core_of()
    first, second = rows(quiet(100.0, FLAT) + quiet(100.0, BUY))
    core.step(second)
    before = core.equity
    for late in (first, second):
        assert only(core.step(late), Alert).name == "row.late"
    assert core.counts.late_rows == 2
    assert core.counts.rows == 1
    assert core.equity == before


def test_a_row_of_another_feed_is_an_error(core_of, rows):
    with pytest.raises(DataError, match="2 numbers for 1 symbols"):
        core_of().step(rows(quiet(100.0, FLAT), ("AAA", "BBB"))[0])


def test_news_out_of_order_is_counted_and_changes_nothing(core_of, rows):
    core = core_of()
    submit, _ = entered(core, rows)
    for event in (
        OrderAccepted(91 * SECOND, submit.order_id),
        OrderExpired(91 * SECOND, submit.order_id),
        OrderSent(91 * SECOND, submit.order_id),
    ):
        assert core.step(event) == []
    assert core.orders[submit.order_id].state is State.FILLED
    assert core.counts.ignored == 3
    assert not core.halted


# --- halt, resume, flatten ------------------------------------------------------------------------------------------


def test_a_halt_cancels_the_waiting_entry_and_opens_nothing(core_of, rows):
    core = core_of()
    first, second, third = rows(quiet(100.0, BUY, 3))
    submit = only(core.step(first), Submit)
    sent_and_accepted(core, submit)
    assert only(core.step(Operator(61 * SECOND, "halt", "ada")), Cancel).order_id == submit.order_id
    core.step(OrderCancelled(61 * SECOND, submit.order_id))
    assert core.step(second) == []
    core.step(Operator(121 * SECOND, "resume", "ada"))
    assert only(core.step(third), Submit).reason == "entry"


def test_a_halted_core_still_leaves_positions(core_of, rows):
    core = core_of()
    entered(core, rows)
    core.step(Operator(91 * SECOND, "halt"))
    assert only(core.step(rows(quiet(100.0, FLAT) + quiet(100.0, SELL))[1]), Submit).reason == "exit"


def test_a_halted_reversal_only_leaves(core_of, rows):
    core = core_of(Rule(size=0.5, shorts=True))
    entered(core, rows)
    core.step(Operator(91 * SECOND, "halt"))
    submit = only(core.step(rows(quiet(100.0, FLAT) + quiet(100.0, SHORT))[1]), Submit)
    assert (submit.reason, submit.quantity) == ("exit", 500.0)


def test_flatten_leaves_every_position_at_once_and_only_once(core_of, rows):
    core = core_of()
    entered(core, rows)
    submit = only(core.step(Operator(91 * SECOND, "flatten", "ada", "lunch")), Submit)
    assert (submit.side, submit.quantity, submit.reason, submit.good_for) == ("sell", 500.0, "operator", "fill")
    assert "flatten by ada: lunch" in core.halted
    assert [type(command) for command in core.step(Operator(92 * SECOND, "flatten"))] == [Alert]
    sent_and_accepted(core, submit)
    core.step(Fill(93 * SECOND, submit.order_id, "x2", 500.0, 99.0, 0.0))
    assert core.positions == [0.0]


# --- standing protection --------------------------------------------------------------------------------------------


TOUCH = Rule(size=0.5, stops="touch")


def test_the_fill_of_an_entry_is_answered_with_its_protection(core_of, rows):
    _, answer = entered(core_of(TOUCH), rows)
    guard = only(answer, Protect)
    assert (guard.side, guard.quantity, guard.stop, guard.target) == ("sell", 500.0, 99.0, 102.0)
    assert not guard.amends


def test_an_exit_takes_the_protection_back_first(core_of, rows):
    core = core_of(TOUCH)
    _, answer = entered(core, rows)
    cancel, submit = core.step(rows(quiet(100.0, FLAT) + quiet(100.0, SELL))[1])
    assert (type(cancel), type(submit)) == (Cancel, Submit)
    assert cancel.order_id == only(answer, Protect).order_id


def test_a_refused_exit_puts_the_protection_back_under_a_new_key(core_of, rows):
    core = core_of(TOUCH)
    _, answer = entered(core, rows)
    _, submit = core.step(rows(quiet(100.0, FLAT) + quiet(100.0, SELL))[1])
    core.step(OrderSent(121 * SECOND, submit.order_id))
    guard = only(core.step(OrderRefused(121 * SECOND, submit.order_id, "busy")), Protect)
    assert (guard.stop, guard.quantity) == (99.0, 500.0)
    assert guard.order_id != only(answer, Protect).order_id


def test_a_protection_filled_in_part_stands_for_the_rest(core_of, rows):
    core = core_of(TOUCH)
    _, answer = entered(core, rows)
    guard = only(answer, Protect)
    sent_and_accepted(core, guard)
    assert core.step(Fill(95 * SECOND, guard.order_id, "p1", 200.0, 99.0, 0.0, "stop")) == []
    assert core.positions == [300.0]
    assert core.step(Fill(96 * SECOND, guard.order_id, "p2", 300.0, 99.0, 0.0, "stop")) == []
    assert core.positions == [0.0]
    assert core.orders[guard.order_id].state is State.FILLED


# --- what it is built on --------------------------------------------------------------------------------------------


def test_two_cores_with_the_same_events_have_the_same_digest(core_of, rows):
    one, two = core_of(TOUCH), core_of(TOUCH)
    assert entered(one, rows) == entered(two, rows)
    assert one.digest() == two.digest()
    one.step(Operator(91 * SECOND, "halt"))
    assert one.digest() != two.digest()


def test_a_core_refuses_a_strategy_whose_source_has_changed(scripted):
    plan = Plan.of(scripted, ["AAA"], clock="1m")
    with pytest.raises(JournalError, match="was written with"):
        Core(msgspec.structs.replace(plan, source_hash="0" * 64), scripted)


def test_a_row_becomes_read_only_columns_of_one_row():
    row = Row(60, 20250102, 1.0, 2.0, [1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, float("nan")],
              [[float(i), -float(i)] for i in range(13)])  # fmt: skip
    bars, book = columns_of(row, ("AAA", "BBB"))
    assert book is not None
    assert (bars.shape, len(book), bars.symbols) == ((1, 2), 1, ("AAA", "BBB"))
    assert (bars.ts.dtype, bars.session[0], bars.to_close[0]) == (np.int64, 20250102, 2.0)
    assert bars.close.tolist() == [[7.0, 8.0]]
    assert np.isnan(bars.volume[0, 1])
    assert (book.bid.tolist(), book.age.tolist()) == ([[0.0, -0.0]], [[12.0, -12.0]])
    for array in (bars.ts, bars.open, bars.volume, bars.to_close, book.spread):
        assert array.flags.f_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
