"""How often the disk is waited for: counted, for it is what an order's way takes on any machine."""

import itertools
import random

import apsw
import pytest

from data.rows import Row
from live.brokers.alpaca import CAPABILITIES
from live.brokers.wire_desk import Desk
from live.brokers.wire_orders import Seen
from live.core.core import Core
from live.core.events import Timer
from live.core.facts import GATES
from live.core.limits import DEFAULTS
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import MOST_PAGES, REST_PAGES, SqliteJournal
from live.session_venue import VenueSession
from strategies.common.costs import Costs
from strategies.common.rule import Rule

NAMES = ("AAA", "BBB", "CCC")
MINUTE = 60_000_000_000
BUY, SELL, NOTHING = 1.0, 2.0, 0.0


class Counting(apsw.VFS):
    """The system's files, and how often each was synced; `log` and `file` of the one journal of a test."""

    def __init__(self, name):
        self.log = self.file = 0
        self.below = apsw.vfs_names()[0]
        super().__init__(name, self.below, makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return Counted(self, path, flags)


class Counted(apsw.VFSFile):
    def __init__(self, system, path, flags):
        self._system, self._is_log = system, bool(path) and path.endswith("-wal")
        super().__init__(system.below, path, flags)

    def xSync(self, flags):  # noqa: N802
        if self._is_log:
            self._system.log += 1
        else:
            self._system.file += 1
        super().xSync(flags)


@pytest.fixture
def disk():
    system = Counting(f"counting-{random.random()}")
    yield system
    system.unregister()


class Clock:
    ns = 10**18

    def now(self):
        return self.ns

    def sleep(self, seconds):
        self.ns += int(seconds * 1e9)


class Route:
    """A broker that fills at once; `syncs` is what the disk had been asked as each order came."""

    capabilities = CAPABILITIES
    place_requests = 1

    def __init__(self, disk):
        self._disk, self.syncs = disk, []

    def open(self):
        pass

    def close(self):
        pass

    def place(self, ticket):
        self.syncs.append(self._disk.log)
        return self._seen(ticket)

    def look(self, tickets):
        return {ticket.key: self._seen(ticket) for ticket in tickets}

    def books(self):
        from live.brokers.base import Books

        return Books({}, 100_000.0, [], equity=100_000.0, settled_cash=100_000.0, clock_skew_ms=0.0)

    def pushed(self):
        return []

    def stream_was_down(self):
        return False

    def deaf(self):
        return ""

    def _seen(self, ticket):
        key = ticket.key
        return Seen(f"v-{key}", key, ticket.symbol, ticket.command.side, "market", ticket.quantity, "filled",
                    ticket.quantity, 100.0, 1)  # fmt: skip


@pytest.fixture
def session(disk, scripted, tmp_path):
    """A session with open gates whose broker has been asked all that there is to ask."""
    limits = {name: value for name, value in DEFAULTS.items() if name in ("max_order_usd", "max_positions")}
    plan = Plan.of(
        scripted, list(NAMES), account="a", rule=Rule(size=0.1), costs=Costs.free(), clock="1m", broker="alpaca",
        limits=limits | {"max_order_usd": 1e9},
    )  # fmt: skip
    journal = SqliteJournal.create(tmp_path / "a.journal", JournalHeader(plan, Feed("test", True, ""), built()))
    clock = Clock()
    session = VenueSession(Core(plan, scripted), Desk(Route(disk), clock), journal, clock=clock)
    assert session.begin() == []
    for name in GATES:
        session.gate(name, "")
    session.pump()
    assert not session.core.desk.tally.state.closed
    yield session
    session.close()


def row(number, *says):
    price = [100.0] * len(NAMES)
    return Row((number + 1) * MINUTE, 20250102, 3600.0, 10_000.0, price, price, price, price, list(says))


def counted(disk, work):
    """(syncs of the log, of the file) that it took."""
    log, file = disk.log, disk.file
    work()
    return disk.log - log, disk.file - file


def test_a_row_without_orders_is_one_sync(session, disk):
    for number in range(5):
        bar = row(number, NOTHING, NOTHING, NOTHING)
        assert counted(disk, lambda bar=bar: session.row(bar)) == (1, 0)
        assert counted(disk, session.pump) == (0, 0)


def test_an_order_leaves_after_one_sync_of_row_intent_and_mark_and_its_answer_is_another(session, disk):
    for number, says in enumerate([BUY, SELL, BUY, SELL]):
        bar, before = row(number, says, NOTHING, NOTHING), disk.log
        assert counted(disk, lambda bar=bar: session.row(bar)) == (0, 0)
        call = session.next_call()
        assert call.command.symbol == "AAA"
        result = call.run(session.broker)
        assert session.broker.route.syncs[-1] - before == 1
        assert counted(disk, lambda call=call, result=result: session.done(call, result)) == (1, 0)
        assert counted(disk, session.pump) == (0, 0)


def test_every_further_order_of_a_row_is_one_sync_more(session, disk):
    for number, says in enumerate([BUY, SELL]):
        bar, before = row(number, says, says, says), disk.log
        session.row(bar)
        session.pump()
        assert [count - before for count in session.broker.route.syncs[-3:]] == [1, 2, 3]
        assert disk.log - before == 4  # the last answer's own
        assert all(order.is_over for order in session.core.orders.values())


def test_polls_without_news_ask_nothing_of_the_disk(session, disk):
    def polls():
        for _ in range(3):
            session.clock.sleep(1.1)
            session.pump()

    assert counted(disk, polls) == (0, 0)


def test_the_log_is_folded_in_when_nobody_waits_and_never_on_an_orders_way(session, disk):
    folded = 0
    for number, says in enumerate(itertools.islice(itertools.cycle([BUY, SELL]), 200)):
        before = disk.file
        session.row(row(number, says, says, says))
        while (call := session.next_call()) is not None:
            assert disk.file == before
            session.done(call, call.run(session.broker))
        folded += disk.file > before
    assert folded >= 2
    assert session.journal._logged < 2 * REST_PAGES


def test_a_log_that_never_rests_is_folded_in_all_the_same(session, disk):
    journal, before = session.journal, disk.file
    for number in range(2 * MOST_PAGES):
        session.tell(Timer(number))
    assert disk.file > before
    assert journal._logged <= MOST_PAGES + 10


def test_a_reader_does_not_keep_the_log_from_being_folded_in_later(session, disk, tmp_path):
    reader = apsw.Connection(str(tmp_path / "a.journal"), flags=apsw.SQLITE_OPEN_READONLY)
    reading = reader.execute("SELECT seq FROM record")
    next(reading)
    for number in range(REST_PAGES):
        session.tell(Timer(number))
    session.journal.rest()
    grown = session.journal._logged
    session.tell(Timer(REST_PAGES))
    assert counted(disk, session.journal.rest) == (0, 0)  # not again for every commit
    reader.close()
    for number in range(REST_PAGES):
        session.tell(Timer(REST_PAGES + 1 + number))
    session.journal.rest()
    session.tell(Timer(MINUTE))
    assert session.journal._logged < grown


def test_a_full_disk_at_a_rest_stops_trading(session, monkeypatch):
    from data.errors import JournalError

    monkeypatch.setattr("live.journal.REST_PAGES", 1)
    session.tell(Timer(1))
    monkeypatch.setattr(Counted, "xWrite", _full)
    with pytest.raises(JournalError, match=r"a\.journal: .*; trading stops"):
        session.journal.rest()
    monkeypatch.undo()


def _full(self, *_args):
    raise apsw.FullError("the disk is full")
