"""A session is journaled, replayed and resumed: the same rows give the same bytes, or the first difference is named."""

import msgspec
import pytest

from data.errors import JournalError
from live.core.core import Core
from live.core.events import Operator, OrderSent, Row, Timer, decode_event, encode
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import MEMORY, SqliteJournal, steps
from live.replay import replay
from live.session_paper import PaperSession as Session
from strategies.common.costs import Costs
from strategies.common.rule import Rule

FLAT, BUY, SELL, SHORT = 0, 1, 2, 3
RULE = Rule(size=0.5, stops="touch", shorts=True)
nan = float("nan")


@pytest.fixture
def day(rows):
    """Entries, a touched target, a touched stop, a reversal, an expiry and an exit that has to wait."""
    says = [FLAT, BUY, SELL, FLAT, BUY, FLAT, FLAT, SHORT, FLAT, BUY, FLAT, SELL, BUY, FLAT, SELL, FLAT, FLAT]
    lines = []
    for i, said in enumerate(says):
        at = 100.0 + i % 3
        lines.append((nan if i in (10, 15) else at, at + 1.5, at - 0.8, at + 0.3, said))
    return rows(lines)


def fill_up(session, day):
    for row in day:
        session.row(row)
    return session


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.journal"


@pytest.fixture
def file_session(path, scripted, session_of):
    """A session on a file: created, or opened and gone through again."""

    def make(rule=RULE, costs=None, tell=lambda _: None):
        if path.exists():
            session = session_of(rule, journal=SqliteJournal.open(path), costs=costs, tell=tell)
            session.resume()
            return session
        plan = Plan.of(scripted, ["AAA"], rule=rule, costs=costs or Costs.free(), clock="1m")
        journal = SqliteJournal.create(path, JournalHeader(plan, Feed("test", True, ""), built()))
        return session_of(rule, journal=journal, costs=costs, tell=tell)

    return make


def commands_of(path):
    journal = SqliteJournal.open(path)
    try:
        return [body for step in steps(journal) for body in step.commands]
    finally:
        journal.close()


def events_of(path):
    journal = SqliteJournal.open(path)
    try:
        return [step.event for step in steps(journal)]
    finally:
        journal.close()


def replayed(path, scripted):
    journal = SqliteJournal.open(path)
    try:
        return replay(Core(journal.header.plan, scripted), journal)
    finally:
        journal.close()


def test_the_day_has_what_it_is_for(session_of, day):
    session = fill_up(session_of(RULE), day)
    kinds = {order.kind for order in session.core.orders.values()}
    states = {order.state for order in session.core.orders.values()}
    assert kinds == {"market", "protect"}
    assert {"filled", "cancelled", "expired"} <= states
    assert session.differences() == []


def test_an_event_is_in_the_journal_before_the_core_sees_it(session_of, day):
    session = session_of(RULE)
    seen = []
    step = session.core.step

    def watching(event):
        seen.append(list(session.journal.read())[-1].body == encode(event))
        return step(event)

    session.core.step = watching
    fill_up(session, day)
    assert len(seen) > len(day)
    assert all(seen)


def test_a_command_is_durable_before_the_broker_sees_it(file_session, path, day):
    session = file_session()
    durable = []
    handle = session.broker.handle

    def watching(command):
        durable.append(encode(command) in commands_of(path))
        return handle(command)

    session.broker.handle = watching
    fill_up(session, day)
    assert len(durable) > 5
    assert all(durable)


def test_sending_is_durable_before_the_broker_sees_an_order(file_session, path, day):
    session = file_session()
    marked = []
    handle = session.broker.handle

    def watching(command):
        if hasattr(command, "quantity") and not getattr(command, "amends", False):
            marked.append(encode(OrderSent(command.ts, command.order_id)) in events_of(path))
        return handle(command)

    session.broker.handle = watching
    fill_up(session, day)
    assert len(marked) > 3
    assert all(marked)


def test_a_replayed_journal_gives_the_same_commands_and_state(file_session, path, scripted, day):
    session = fill_up(file_session(), day)
    session.tell(Operator(day[-1].ts + 1, "flatten", "ada"))
    session.tell(Timer(day[-1].ts + 10**12))
    session.close()
    done = replayed(path, scripted)
    assert done.digest == session.core.digest()
    assert done.rows == len(day)
    assert done.digests == 1
    assert done.commands == len(commands_of(path)) > 10


def rewritten(path, change):
    """The journal at `path` again, its records changed by `change` and chained anew: a forger with our code."""
    journal = SqliteJournal.open(path)
    records, header = list(journal.read()), journal.header
    journal.close()
    path.unlink()
    new = SqliteJournal.create(path, header)
    for record in records[1:]:
        new._append(record.kind, change(record))
    new.close()


def test_a_forged_command_is_named(file_session, path, scripted, day):
    fill_up(file_session(), day).close()
    forged = []

    def double(record):
        if record.kind == "command" and not forged:
            command = msgspec.msgpack.decode(record.body)
            command["quantity"] *= 2
            forged.append(record.seq)
            return msgspec.msgpack.encode(command)
        return record.body

    rewritten(path, double)
    with pytest.raises(JournalError, match=rf"record {forged[0] - 1} \(row .*\): command 1 differs.*Submit"):
        replayed(path, scripted)


def test_a_forged_row_is_found_by_the_commands_or_the_state(file_session, path, scripted, day):
    fill_up(file_session(), day).close()

    def dearer(record):
        event = decode_event(record.body) if record.kind == "event" else None
        if isinstance(event, Row) and event.ts == day[-1].ts:
            return encode(msgspec.structs.replace(event, close=[200.0]))
        return record.body

    rewritten(path, dearer)
    with pytest.raises(JournalError, match="the state is not"):
        replayed(path, scripted)


@pytest.mark.parametrize("cut", range(1, 17))
def test_a_session_that_stopped_after_any_row_goes_on_as_if_it_had_not(file_session, path, session_of, day, cut):
    whole = fill_up(session_of(RULE), day)
    first = fill_up(file_session(), day[:cut])
    first.close()
    second = file_session()
    assert (second.resumed, second.core.digest()) == (cut, first.core.digest())
    fill_up(second, day[cut:])
    assert second.core.digest() == whole.core.digest()
    assert second.differences() == []
    second.close()
    assert commands_of(path) == [body for step in steps(whole.journal) for body in step.commands]


class CrashError(Exception):
    """The process is gone."""


def crashing(session, method, at):
    """Let `session.journal.<method>` fail for good at its `at`-th call, before or after it has done its work."""
    calls = iter(range(10**6))
    inner = getattr(session.journal, method)

    def call(*arguments):
        number = next(calls)
        if number == at // 2:
            if at % 2:
                inner(*arguments)
            raise CrashError
        return inner(*arguments)

    setattr(session.journal, method, call)


@pytest.mark.parametrize("method", ["append_event", "append_commands", "commit"])
def test_a_crash_at_any_write_resumes_to_the_same_commands(file_session, path, session_of, day, method):
    whole = fill_up(session_of(RULE), day)
    wanted = [body for step in steps(whole.journal) for body in step.commands]
    crashes = 0
    for at in range(0, 400, 5 if method == "append_event" else 1):
        session = file_session()
        crashing(session, method, at)
        try:
            fill_up(session, day)
        except CrashError:
            crashes += 1
            session.journal._db.close()  # what was not committed is lost, as when a process is killed
        else:
            session.journal._db.close()
            break
        session = file_session()
        fill_up(session, [row for row in day if row.ts > session.core.last_ts])
        assert session.core.digest() == whole.core.digest()
        assert session.differences() == []
        session.close()
        assert commands_of(path) == wanted
        path.unlink()
    assert crashes > 8


def test_rows_that_are_not_those_of_the_journal_are_refused(file_session, path, day):
    """A crash between a row's fills and the row itself leaves a tail that the feed must give again."""
    for at in range(0, 200, 2):
        session = file_session()
        crashing(session, "append_event", at)
        with pytest.raises(CrashError):
            fill_up(session, day)
        session.journal._db.close()
        again = file_session()
        if again._next is not None:
            break
        again.close()
        path.unlink()
    row = next(row for row in day if row.ts > again.core.last_ts)
    other = msgspec.structs.replace(row, open=[77.0], low=[70.0])
    with pytest.raises(JournalError, match="differs: the journal has Fill"):
        again.row(other)


def test_what_people_said_is_resumed_in_its_place(file_session, path, session_of, day):
    first = fill_up(file_session(), day[:9])
    first.tell(Operator(day[8].ts + 1, "halt", "ada"))
    fill_up(first, day[9:12])
    first.tell(Operator(day[11].ts + 1, "resume", "ada"))
    first.close()
    second = file_session()
    assert second.core.digest() == first.core.digest()
    assert second.resumed == 12


def test_alerts_reach_whoever_listens(session_of, day):
    heard = []
    session = session_of(RULE, tell=heard.append)
    fill_up(session, day[:2])
    session.tell(Operator(day[1].ts, "halt"))
    assert [alert.name for alert in heard] == ["halted"]


def test_a_late_row_fills_nothing(session_of, day):
    session = fill_up(session_of(RULE), day[:2])
    cash = session.core.cash
    session.row(day[0])
    assert session.core.cash == cash
    assert session.core.counts.late_rows == 1


def test_a_group_of_events_is_one_transaction(scripted, session_of, day):
    commits = []
    for group in (1, 512):
        plan = Plan.of(scripted, ["AAA"], rule=RULE, costs=Costs.free(), clock="1m")
        journal = SqliteJournal.create(MEMORY, JournalHeader(plan, Feed("test", True, ""), built()))
        made = session_of(RULE, journal=journal)
        session = Session(made.core, made.broker, journal, group=group)
        counted, inner = [], journal.commit
        journal.commit = lambda counted=counted, inner=inner: (counted.append(1), inner())
        fill_up(session, day)
        commits.append(len(counted))
    assert commits[0] > len(day)
    assert commits[1] == 0


def test_an_exit_on_paper_whose_limit_was_left_behind_is_priced_anew(session_of, rows):
    session = session_of(
        Rule(size=0.5, stops="close"),
        params={"stop": 50.0, "target": 90.0},
        limits={"order_types": ["limit"], "collar_pct": 0.5, "hard_collar_pct": 2.0},
    )
    lines = [(100.0, 100.0, 100.0, 100.0, 1), (100.0, 100.0, 100.0, 100.0, 2), (90.0, 90.0, 90.0, 90.0, 0)]
    for row in rows([*lines, (89.0, 89.0, 89.0, 89.0, 0), (89.0, 89.0, 89.0, 89.0, 0)]):
        session.row(row)
    assert session.core.positions == [0.0]
    exits = [order for order in session.core.orders.values() if order.side == "sell"]
    assert [order.state.value for order in exits] == ["cancelled", "filled"]
