"""The read model: what is told of an account is what its files say, and only what is new is read."""

import math
import shutil

import apsw
import pytest

from data.errors import ConfigError
from data.rows import Row
from live.control import FeedState, Word
from live.core.commands import Alert, Cancel, Denied, Protect, Submit
from live.core.events import (
    Fill,
    OrderAccepted,
    OrderCancelled,
    OrderQuarantined,
    OrderRefused,
    OrderSeen,
    OrderSent,
    OrderUnknown,
    PersonSays,
    Snapshot,
    Timer,
)
from live.watch.roster import Roster
from live.watch.story import KEPT_ORDERS, Held, Story
from live.watch.tail import Tail, tag_of
from live.watch.view import Watch

nan = float("nan")


def row(ts, *closes):
    nothing = [nan] * len(closes)
    return Row(ts, 20260921, 60.0, 600.0, nothing, nothing, nothing, list(closes), nothing)


def submit(key, quantity=10.0, symbol="AAA", side="buy", ts=1):
    return Submit(key, ts, symbol, side, quantity, "entry", "row")


def written(journal, *messages):
    for message in messages:
        if isinstance(message, Submit | Protect | Cancel | Denied | Alert):
            journal.append_commands([message])
        else:
            journal.append_event(message)
    journal.commit()


def told(story, key):
    return [line.what for line in story.orders[key].history]


def test_an_account_that_never_ran_is_told_with_nothing(desk):
    desk.account()
    (view,) = Watch([desk.folder], desk.clock).look()
    assert (view.name, view.state, view.status, view.problem) == ("desk", "never run", None, "")
    assert math.isnan(view.age_s)
    assert view.positions() == []


def test_states_are_told_worst_first(desk):
    watch = Watch([desk.account()], desk.clock)

    def state():
        return watch.look()[0].state

    desk.says()
    assert state() == "running"
    desk.control().say(Word("halt", "ann", "news"))
    assert state() == "halted"
    assert watch.look()[0].halted == "halt by ann: news"
    desk.control().say(Word("resume", "ann"))
    assert state() == "running"
    desk.says(halted="day_loss_pct=3.1 limit=3")
    assert state() == "halted"
    desk.pass_(11)
    assert state() == "silent"
    desk.says(ended=True)
    desk.pass_(3600)
    assert state() == "ended"
    desk.control().status_file.write_text("{")
    assert state() == "problem"
    assert "desk.status cannot be read" in watch.look()[0].problem


def test_the_age_of_a_status_is_that_of_what_was_said(desk):
    watch = Watch([desk.account()], desk.clock)
    desk.says(said=desk.now - 4_000_000_000)
    assert watch.look()[0].age_s == 4.0


def test_an_order_is_told_with_its_history(desk):
    journal = desk.journal()
    written(
        journal, row(1, 50.0, 20.0), submit("a"), OrderSent(1, "a"), OrderAccepted(2, "a"),
        OrderAccepted(3, "a", working=True), Fill(4, "a", "e1", 4.0, 50.0, 0.1), Fill(4, "a", "e1", 4.0, 50.0, 0.1),
        Fill(5, "a", "e2", 6.0, 51.0, 0.2), row(6, 52.0, 20.0),
    )  # fmt: skip
    tail = Tail(desk.state / "desk.journal")
    assert tail.look()
    order = tail.story.orders["a"]
    assert told(tail.story, "a") == ["planned", "sent", "acked", "working", "partial +4 at 50", "filled +6 at 51"]
    assert (order.state, order.filled, order.price, order.fee) == ("filled", 10.0, 50.6, pytest.approx(0.3))
    assert tail.story.fills == 2
    assert tail.story.closes == {"AAA": 52.0, "BBB": 20.0}
    assert tail.story.held["AAA"] == Held(10.0, 50.6)
    journal.close()


@pytest.mark.parametrize(
    ("events", "state", "last"),
    [
        ([OrderRefused(2, "a", "no shares")], "refused", "refused: no shares"),
        ([OrderAccepted(2, "a"), OrderRefused(3, "a", "halted", late=True)], "rejected", "rejected: halted"),
        ([OrderUnknown(2, "a", "timeout")], "unknown", "unknown: timeout"),
        ([OrderUnknown(2, "a", "timeout"), OrderQuarantined(9, "a", "old")], "quarantined", "quarantined: old"),
        ([Cancel("a", 2, "AAA"), OrderCancelled(3, "a")], "cancelled", "cancelled"),
        ([OrderUnknown(2, "a", "x"), PersonSays(3, "a", "never arrived", "ann")], "refused",
         "refused: ann says never arrived"),
        ([OrderUnknown(2, "a", "x"), Snapshot(3, "timer", {}, 1.0, [OrderSeen("a", "working")])], "working",
         "working: in the broker's record"),
        ([OrderUnknown(2, "a", "x"), Snapshot(3, "timer", {}, 1.0, absent=["a"])], "refused",
         "refused: it never arrived"),
        ([Snapshot(3, "timer", {}, 1.0, fills=[Fill(2, "a", "e", 10.0, 5.0, 0.0)])], "filled", "filled +10 at 5"),
        ([OrderCancelled(3, "a"), Fill(2, "a", "e", 10.0, 5.0, 0.0)], "filled", "filled +10 at 5"),
    ],
)  # fmt: skip
def test_what_becomes_of_an_order(desk, events, state, last):
    journal = desk.journal()
    written(journal, submit("a"), OrderSent(1, "a"), *events)
    tail = Tail(desk.state / "desk.journal")
    tail.look()
    assert tail.story.orders["a"].state == state
    assert told(tail.story, "a")[-1] == last
    journal.close()


def test_protections_denials_and_alerts_are_told(desk):
    journal = desk.journal()
    written(
        journal, Timer(1), Protect("p", 1, "AAA", "sell", 5.0, 49.0, nan), OrderSent(1, "p"), Timer(2),
        Protect("p", 2, "AAA", "sell", 4.0, 49.5, 52.0, amends=True),
        Denied("d", 3, "BBB", "sell", 7.0, "entry", "R02.order_notional", "notional=3 limit=2"),
        Alert(3, "critical", "order.unknown", "order u has been unknown for 30 s"),
    )  # fmt: skip
    tail = Tail(desk.state / "desk.journal")
    tail.look()
    assert told(tail.story, "p") == ["planned (stop 49)", "sent", "moved to stop 49.5, target 52"]
    assert tail.story.orders["p"].quantity == -4.0
    assert tail.story.orders["d"].state == "denied"
    assert tail.story.alerted == {("order.unknown", "critical"): 1}
    journal.close()


def test_a_second_look_reads_only_what_is_new(desk, monkeypatch):
    journal = desk.journal()
    written(journal, submit("a"), OrderSent(1, "a"))
    tail = Tail(desk.state / "desk.journal")
    assert tail.look()
    assert not tail.look()
    taken = []
    monkeypatch.setattr(tail, "_take", lambda kind, body: taken.append(kind))
    written(journal, Timer(2), row(3, 1.0, 2.0), Timer(4))
    assert tail.look()
    assert taken == ["event", "event"]  # the row is not decoded on the way
    assert tail.story.closes == {"AAA": 1.0, "BBB": 2.0}
    journal.close()


def test_reading_never_keeps_the_writer_from_its_work(desk):
    """A reader between every two writes, and one whose connection is open while the journal closes."""
    journal = desk.journal()
    tail = Tail(desk.state / "desk.journal")
    for i in range(300):
        written(journal, submit(f"o{i}"), OrderSent(i, f"o{i}"))
        tail.look()
    assert tail.story.attempts == 300
    other = apsw.Connection(str(tail.path), flags=apsw.SQLITE_OPEN_READONLY)
    other.execute("SELECT count(*) FROM record").fetchall()
    journal.close()
    other.close()
    assert not tail.problem
    reopened = type(journal).open(tail.path)
    assert len(list(reopened.read())) == 601
    reopened.close()


def test_a_closed_journal_where_nothing_may_be_written_is_read(desk, monkeypatch):
    journal = desk.journal()
    written(journal, submit("a"))
    journal.close()
    monkeypatch.setattr("live.watch.tail.os.access", lambda *_: False)
    tail = Tail(desk.state / "desk.journal")
    tail.look()
    assert (list(tail.story.orders), tail.problem) == (["a"], "")
    assert not list(desk.state.glob("desk.journal-*"))


def test_wide_rows_are_not_read_but_for_the_last(desk):
    symbols = tuple(f"S{i:03d}" for i in range(400))
    journal = desk.journal(symbols=symbols)
    for i in range(50):
        written(journal, row(i, *([float(i)] * 400)))
    written(journal, submit("a", symbol="S001"), Snapshot(60, "timer", dict.fromkeys(symbols, 1.0), 5.0))
    tail = Tail(desk.state / "desk.journal")
    tail.look()
    assert tail.story.closes["S399"] == 49.0
    assert tail.story.books.positions["S399"] == 1.0
    assert list(tail.story.orders) == ["a"]
    journal.close()


def test_another_journal_in_its_place_is_read_afresh(desk, tmp_path):
    journal = desk.journal()
    written(journal, submit("a"), submit("b"))
    journal.close()
    tail = Tail(desk.state / "desk.journal")
    tail.look()
    tail.path.rename(tmp_path / "old.journal")
    for rest in desk.state.glob("desk.journal-*"):
        rest.unlink()
    tail.look()
    assert not tail.story.orders
    journal = desk.journal()
    written(journal, submit("c"), submit("d"), submit("e"))
    journal.close()
    tail.look()
    assert list(tail.story.orders) == ["c", "d", "e"]


def test_records_of_newer_code_are_counted_and_passed_over(desk):
    journal = desk.journal()
    journal._append("event", b"\x81\xa4type\xa6future")
    written(journal, submit("a"))
    tail = Tail(desk.state / "desk.journal")
    tail.look()
    assert list(tail.story.orders) == ["a"]
    assert "1 records that cannot be read" in tail.problem
    journal.close()


def test_a_file_that_is_no_journal_is_a_problem_and_not_an_error(desk):
    desk.account()
    (desk.state / "desk.journal").write_bytes(b"nothing of a journal" * 400)
    (view,) = Watch([desk.folder], desk.clock).look()
    assert view.state == "problem"
    assert "desk.journal cannot be read" in view.problem


def test_a_journal_that_is_being_made_is_no_problem(desk):
    desk.account()
    watch = Watch([desk.folder], desk.clock)
    (desk.state / "desk.journal").touch()
    assert (watch.look()[0].state, watch.look()[0].problem) == ("never run", "")
    (desk.state / "desk.journal").unlink()
    journal = desk.journal()
    written(journal, submit("a"))
    assert list(watch.look()[0].story.orders) == ["a"]
    journal.close()


def test_positions_are_shown_against_the_broker(desk):
    desk.account()
    journal = desk.journal()
    written(
        journal, row(1, 50.0, 20.0), submit("a"), OrderSent(1, "a"), Fill(2, "a", "e1", 10.0, 50.0, 0.0),
        Snapshot(3, "timer", {"AAA": 9.0, "ZZZ": 1.0}, 1.0), submit("b", 5.0, "BBB", "sell", 4),
        Fill(5, "b", "e2", 5.0, 20.0, 0.0), row(6, 52.0, 19.0),
    )  # fmt: skip
    desk.says(positions={"AAA": 10.0, "BBB": -5.0})
    (view,) = Watch([desk.folder], desk.clock).look()
    lines = {line.symbol: line for line in view.positions()}
    assert (lines["AAA"].ours, lines["AAA"].broker, lines["AAA"].pnl, lines["AAA"].differs) == (10.0, 9.0, 20.0, True)
    assert (lines["BBB"].broker, lines["BBB"].pnl, lines["BBB"].differs) == (None, 5.0, False)  # filled since
    assert (lines["ZZZ"].ours, lines["ZZZ"].broker, lines["ZZZ"].differs) == (0.0, 1.0, True)
    journal.close()


def test_a_position_keeps_the_price_it_was_opened_at():
    held = Held()
    for quantity, price, after in ((10, 50, (10, 50)), (10, 60, (20, 55)), (-5, 70, (15, 55)), (-20, 40, (-5, 40))):
        held.add(quantity, price)
        assert (held.quantity, held.price) == after
    held.add(5, 30)
    assert held.quantity == 0.0


def test_execution_time_and_failures_are_counted_from_attempts():
    story = Story()
    for i in range(12):
        story.command(submit(f"o{i}"))
        story.event(OrderSent(1, f"o{i}"))
        story.event(Fill(1 + i * 1_000_000_000, f"o{i}", f"e{i}", 10.0, 1.0, 0.0))
    assert list(story.executions) == [float(i) for i in range(2, 12)]
    story.command(submit("lost"))
    story.event(OrderSent(0, "lost"))
    story.event(OrderUnknown(1, "lost", "timeout"))
    story.event(OrderUnknown(2, "lost", "still nothing"))
    assert (story.attempts, story.failures, sum(story.lately)) == (13, 1, 1)


def test_only_the_newest_orders_are_kept_and_every_open_one():
    story = Story()
    for i in range(KEPT_ORDERS + 100):
        story.command(submit(f"o{i}"))
        if i:
            story.event(Fill(1, f"o{i}", f"e{i}", 10.0, 1.0, 0.0))
    assert len(story.orders) == KEPT_ORDERS
    assert "o0" in story.orders
    assert f"o{KEPT_ORDERS + 99}" in story.orders
    assert story.fills == KEPT_ORDERS + 99


def test_accounts_are_found_in_folders_and_new_ones_as_they_come(desk):
    watch = Watch([desk.folder], desk.clock)
    assert watch.look() == []
    desk.account("b")
    stamp = watch.stamp()
    (desk.folder / "fleet.toml").write_text("max_gross_usd = 1\n")
    desk.account("a")
    assert watch.stamp() != stamp
    assert [view.name for view in watch.look()] == ["a", "b"]


def test_a_stamp_changes_with_journal_and_halt_but_not_with_a_status(desk):
    watch = Watch([desk.account()], desk.clock)
    journal = desk.journal()
    watch.look()
    stamps = [watch.stamp()]
    desk.says()
    assert watch.stamp() == stamps[0]
    written(journal, submit("a"))
    stamps.append(watch.stamp())
    desk.control().say(Word("halt", "ann"))
    stamps.append(watch.stamp())
    assert len(set(map(repr, stamps))) == 3
    journal.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = ", "bad.toml cannot be read"),
        ('name = "a/b"\nstrategy = "x"', "name must be letters"),
        ('name = "a"\nstrategy = 3', "strategy must be a text, got 3"),
    ],
)
def test_an_account_file_that_cannot_be_read_is_shown_as_one(desk, text, problem):
    (desk.folder / "bad.toml").write_text(text)
    (view,) = Watch([desk.folder], desk.clock).look()
    assert view.state == "problem"
    assert problem in view.problem


def test_two_files_of_one_account_are_told(desk):
    desk.account("a")
    shutil.copy(desk.folder / "a.toml", desk.folder / "b.toml")
    first, second = Watch([desk.folder], desk.clock).look()
    assert first.problem == ""
    assert "a.toml and b.toml both name 'a'" in second.problem


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        Roster([tmp_path / "nothing"])


def test_feeds_pass_through(desk):
    desk.account()
    feeds = [FeedState("hub", "stale", "L1", 7.5, 2)]
    desk.says(feeds=feeds)
    (view,) = Watch([desk.folder], desk.clock).look()
    assert view.status.feeds == feeds


def test_a_tag_is_read_without_decoding():
    from live.core.events import encode

    assert tag_of(encode(row(1, 2.0))) == b"row"
    assert tag_of(encode(Timer(1))) == b"timer"
    assert tag_of(b"") == b""
    assert tag_of(b"\x81\xa1a\x01") == b""
