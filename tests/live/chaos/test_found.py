"""What schedules have found, each as small as it gets."""

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent))

from simulation.disk import Disk, DiskSystem  # the folder is put on the path above

from data.errors import JournalError, UnavailableError
from live.brokers.alpaca import CAPABILITIES
from live.brokers.base import Known
from live.brokers.wire import Busy, Lost, NotSent, Refused
from live.brokers.wire_budget import Budget
from live.brokers.wire_desk import Desk
from live.brokers.wire_orders import Done, Seen, key_of
from live.core.commands import Cancel, Protect, Submit
from live.core.events import OrderRefused, OrderSent, OrderUnknown, Timer
from live.header import Feed, JournalHeader, built
from live.journal import SqliteJournal
from live.steady import SteadyClock

NAN = float("nan")


class Clock:
    ns = 10**18

    def now(self):
        return self.ns

    def sleep(self, seconds):
        self.ns += int(seconds * 1e9)


class Route:
    """A broker whose answers are said by the test: `answers` for places, `found` for looks."""

    capabilities = CAPABILITIES
    place_requests = 1

    def __init__(self):
        self.answers, self.found, self.asked, self.placed = [], {}, [], []

    def open(self):
        pass

    def place(self, ticket):
        self.asked.append("place")
        self.placed.append((ticket.key, ticket.quantity))
        answer = self.answers.pop(0) if self.answers else seen(ticket)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cancel(self, ticket):
        self.asked.append("cancel")

    def look(self, tickets):
        self.asked.append("look")
        if isinstance(self.found, Exception):
            raise self.found
        return {key: told for key, told in self.found.items() if key in {ticket.key for ticket in tickets}}

    def books(self):
        try:
            raise Busy("HTTP 429", 20.0)
        except Busy as busy:
            raise UnavailableError(f"no books ({busy})") from None

    def pushed(self):
        return []

    def stream_was_down(self):
        return True

    def deaf(self):
        return ""


def seen(ticket, status="working", filled=0.0, price=10.0, done=None):
    return Seen(
        f"v-{ticket.key[:4]}", ticket.key, "AAA", ticket.command.side, "limit", ticket.quantity, status, filled, price,
        1, done=done,
    )  # fmt: skip


@pytest.fixture
def route():
    return Route()


@pytest.fixture
def desk(route):
    return Desk(route, Clock())


def turn(desk, seconds=1.0):
    desk.clock.sleep(seconds)
    return desk.poll()


def entry(desk, key="one"):
    return Submit(key, desk.now(), "AAA", "buy", 10.0, "entry", "row", "limit", 10.0)


def protect(key, quantity, *, ts=1, amends=False, filled=0.0, stop=9.0):
    return Protect(key, ts, "AAA", "sell", quantity, stop, NAN, amends=amends, filled=filled)


def test_a_cancel_is_not_asked_again_before_a_look_has_shown_the_order_alive(desk, route):
    desk.handle(entry(desk))
    route.found = Lost("no list", 502)
    desk.budget = Budget(0, desk.clock)
    desk.handle(Cancel("one", desk.now(), "AAA"))
    for _ in range(5):
        turn(desk, 4.0)
    assert route.asked.count("cancel") == 1
    route.found = {"one": Seen("v-one", "one", "AAA", "buy", "limit", 10.0, "working", 0.0, 0.0, 1)}
    for _ in range(300):
        turn(desk, 4.0)
    assert route.asked.count("cancel") > 1


def test_the_books_heed_retry_after(desk):
    with pytest.raises(UnavailableError):
        desk.books()
    assert desk.hold_s() == pytest.approx(20.0)


def test_an_order_taken_back_between_its_mark_and_the_wire_stays_here(desk, route):
    route.answers = [Lost("cut")]
    desk.handle(entry(desk))
    events = []
    while not any(isinstance(event, OrderSent) for event in events):
        events = turn(desk)
    desk.handle(Cancel("one", desk.now(), "AAA"))
    told = [event for _ in range(5) for event in turn(desk)]
    assert route.asked.count("place") == 1
    assert any(isinstance(event, OrderUnknown) for event in told)  # it was marked as sent: it must not stay so


def test_an_entry_that_waits_for_room_in_the_budget_stays_here_when_a_halt_comes_meanwhile(desk, route):
    desk.budget.hold(3.0)

    def sleep(seconds):
        Clock.sleep(desk.clock, seconds)
        desk.recall("one")  # as a session does, while this thread waits

    desk.clock.sleep = sleep
    (told,) = desk.handle(entry(desk))
    assert isinstance(told, OrderRefused)
    assert "taken back" in told.reason
    assert "place" not in route.asked


def test_after_a_restart_an_entry_that_was_asked_back_does_not_leave_before_its_cancel_is_heard(desk, route):
    desk.recall("one")
    desk.open([Known(entry(desk))])
    told = [event for _ in range(12) for event in turn(desk)]
    assert not any(isinstance(event, OrderSent) for event in told)
    assert "place" not in route.asked


@pytest.mark.parametrize(("held_s", "tries"), [(1.0, 2), (40.0, 1)])
def test_an_order_is_not_sent_again_when_the_broker_may_have_forgotten_its_key(desk, route, held_s, tries):
    desk.capabilities = replace(CAPABILITIES, dedupes="refuses", key_window_s=30.0)
    route.answers = [Lost("cut")]
    desk.handle(protect("one", 10.0))
    events = []
    while not any(isinstance(event, OrderSent) for event in events):
        events = turn(desk)
    desk.budget.hold(held_s)
    told = [event for _ in range(60) for event in turn(desk)]
    assert route.asked.count("place") == tries
    if tries == 1:
        assert any(isinstance(event, OrderUnknown) and "forget" in event.reason for event in told)


def test_a_changed_protection_asks_for_what_is_left_when_a_fill_came_before_it(desk, route):
    first = protect("guard", 50.0)
    desk.handle(first)
    route.found = {"guard": seen(desk._tickets["guard"], filled=44.0, done=(Done("a", 44.0, 9.0),))}
    turn(desk, 3.0)
    changed = protect("guard", 50.0, ts=2, amends=True, filled=0.0, stop=9.5)  # said before the fill was heard of
    route.found = {"guard": seen(desk._tickets["guard"], "cancelled", filled=44.0, done=(Done("a", 44.0, 9.0),))}
    desk.handle(changed)
    for _ in range(5):
        turn(desk, 3.0)
    assert route.placed == [("guard", 50.0), (key_of(changed), 6.0)]


def test_a_protection_that_never_left_shrinks_with_a_late_fill(desk, route):
    desk.handle(protect("guard", 50.0))
    ticket = desk._tickets["guard"]
    route.found = {"guard": seen(ticket, "cancelled")}
    route.answers = [NotSent("no route")]
    changed = protect("guard", 50.0, ts=2, amends=True, stop=9.5)
    desk.handle(changed)
    turn(desk, 0.1)
    ticket.filled = 20.0  # as the broker tells after it had said that the order was over
    for _ in range(5):
        turn(desk, 3.0)
    assert route.placed[-1] == (key_of(changed), 30.0)


def test_a_change_that_waited_behind_a_refused_protection_is_not_sent(desk, route):
    route.answers = [Refused("no")]
    (told,) = desk.handle(protect("guard", 50.0))
    assert isinstance(told, OrderRefused)
    assert desk.handle(protect("guard", 40.0, ts=2, amends=True)) == []  # the refused order would be there after all
    assert [event for _ in range(5) for event in turn(desk)] == []
    assert route.placed == [("guard", 50.0)]


def test_after_a_restart_a_protection_is_not_sent_again_beside_the_one_it_replaced(desk, route):
    first, changed = protect("guard", 50.0), protect("guard", 50.0, ts=2, amends=True, stop=9.5)
    desk.clock.ns += 10**12
    desk.open([Known(first), Known(changed)])
    route.found = {"guard": seen(desk._tickets["guard"])}
    for _ in range(20):
        turn(desk, 3.0)
    assert "place" not in route.asked
    route.found = {"guard": seen(desk._tickets["guard"], "cancelled")}
    for _ in range(20):
        turn(desk, 3.0)
    assert [key for key, _ in route.placed] in ([], [key_of(changed)])


@pytest.fixture
def header():
    from simulation.world import toy

    from live.core.plan import Plan

    return JournalHeader(Plan.of(toy(), ["AAA"]), Feed("test", True, ""), built())


def test_a_runner_that_was_taken_over_knows_it_before_it_asks_for_anything(header, tmp_path):
    first = SqliteJournal.create(tmp_path / "a.journal", header)
    first.check_writer()
    second = SqliteJournal.open(tmp_path / "a.journal")
    list(second.read())
    second.append_event(Timer(1))
    second.commit()
    second.check_writer()
    with pytest.raises(JournalError, match="taken over"):
        first.check_writer()


def test_a_reading_that_began_before_a_write_does_not_wind_the_journal_back(header, tmp_path):
    journal = SqliteJournal.create(tmp_path / "a.journal", header)
    journal.append_event(Timer(1))
    journal.commit()
    reading = journal.read()
    next(reading)
    journal.append_event(Timer(2))
    journal.commit()
    list(reading)
    journal.append_event(Timer(3))
    journal.commit()
    assert sum(record.kind == "event" for record in journal.read()) == 3


def test_time_goes_on_when_the_wall_clock_is_set_back():
    wall, since_boot = [1_000], [0]
    clock = SteadyClock(lambda: wall[0], lambda: since_boot[0])
    since_boot[0], wall[0] = 50, 10
    assert clock.now() == 1_050


def test_the_disk_loses_what_was_not_synced_and_keeps_what_was(header, tmp_path):
    import random

    system = DiskSystem(tmp_path)
    try:
        for seed in range(20):
            system.mounted = Disk()
            journal = SqliteJournal.create(system.journal, header)
            journal.append_event(Timer(1))
            journal.commit()
            assert system.mounted.holds(header.plan.source_hash.encode())
            journal.append_event(Timer(2))
            system.mounted.power_loss(random.Random(seed), torn=True)
            again = SqliteJournal.open(system.journal)
            assert sum(record.kind == "event" for record in again.read()) == 1
            system.mounted = Disk()
            for each in (journal, again):
                each._db.close()
    finally:
        system.close()


def test_a_new_host_has_what_the_copy_held_and_the_old_one_writes_no_more(header, tmp_path):
    system = DiskSystem(tmp_path)
    try:
        disk = system.mounted = Disk()
        old = SqliteJournal.create(system.journal, header)
        copy = disk.backup()
        old.append_event(Timer(1))
        old.commit()
        disk.restore(copy)
        old.append_event(Timer(2))
        old.commit()
        new = SqliteJournal.open(system.journal)
        assert [record.kind for record in new.read()] == ["header"]
        new.close()
    finally:
        system.mounted = Disk()
        system.close()


def test_a_log_that_is_folded_in_is_in_the_file_alone_and_reads_the_same(header, tmp_path):
    system = DiskSystem(tmp_path)
    try:
        disk = system.mounted = Disk()
        journal = SqliteJournal.create(system.journal, header)
        journal.append_event(Timer(1))
        journal.commit()
        disk.kill()
        disk.fold(str(system.journal))
        assert [name for name, file in disk.files.items() if file.content] == [str(system.journal)]
        journal = SqliteJournal.open(system.journal)
        assert [record.kind for record in journal.read()] == ["header", "event"]
        journal.close()
    finally:
        system.mounted = Disk()
        system.close()
