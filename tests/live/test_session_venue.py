"""A session with a broker over a network, driven step by step: what is durable when, and what a restart takes up."""

import time

import pytest

from data.rows import rows_of
from data.settings import Secret
from live.brokers.alpaca import AlpacaRoute
from live.brokers.wire_desk import Desk
from live.brokers.wire_route import Patience
from live.core.commands import Submit, decode_command
from live.core.core import Core
from live.core.events import Operator, OrderSent, decode_event
from live.core.facts import GATES
from live.core.limits import DEFAULTS
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import SqliteJournal, steps
from live.points import POINTS
from live.sandbox.broker_alpaca import AlpacaBroker
from live.sandbox.broker_engine import Venue
from live.sandbox.broker_faults import BrokerFaults
from live.sandbox.broker_http import on_a_thread
from live.session_venue import VenueSession, at_once
from strategies.common.costs import Costs
from strategies.common.rule import Rule

BUY, SELL, NOTHING = 1.0, 2.0, 0.0
FREE = {name: value for name, value in DEFAULTS.items() if name in ("max_order_usd", "max_positions")} | {
    "max_order_usd": 1e9
}


class Hand:
    """A clock that is set by hand."""

    def __init__(self):
        self.ts = time.time_ns()

    def now(self):
        return self.ts

    def sleep(self, seconds):
        self.ts += int(seconds * 1e9)

    async def pause(self, seconds):
        self.sleep(seconds)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture
def venue():
    return Venue({"AAA": (100.0, 100.02)}.get, time.time_ns, faults=BrokerFaults())


@pytest.fixture
def box(venue):
    box = AlpacaBroker(venue)
    with on_a_thread(box.start, box.stop):
        yield box


@pytest.fixture
def clock():
    return Hand()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.journal"


@pytest.fixture
def start(box, clock, path, scripted):
    """`start()`: a session on the journal, begun; the one before is thrown away as it is, as a crash does."""
    begun = []

    def make(mark=lambda _: None, *, begin=True, patience=None, delay_s=at_once):
        for session in begun:
            session.broker.close()
            session.journal._let_go()
        begun.clear()
        plan = Plan.of(
            scripted, ["AAA"], account="a", rule=Rule(size=0.1), costs=Costs.free(), clock="1m",
            broker="alpaca", limits=FREE, async_cancels=True,
        )  # fmt: skip
        header = JournalHeader(plan, Feed("test", True, ""), built())
        journal = SqliteJournal.open(path) if path.exists() else SqliteJournal.create(path, header)
        route = AlpacaRoute(box.http_url, Secret("sandbox-key"), Secret("sandbox-secret"), "paper", box.ws_url)
        broker = Desk(route, clock, patience or Patience(look_behind_stream_s=1.0))
        session = VenueSession(Core(plan, scripted), broker, journal, clock=clock, mark=mark, delay_s=delay_s)
        begun.append(session)
        if begin:
            assert session.begin() == []
            open_gates(session)
        return session

    yield make
    for session in begun:
        session.broker.close()
        session.journal.close()


def open_gates(session):
    for name in GATES:
        if name not in ("reconciled", "orders"):
            session.gate(name, "")
    settle(session, lambda: not session.core.desk.tally.state.closed)


def settle(session, until, seconds=20):
    """Let time pass until it is so."""
    for _ in range(int(seconds / 0.25)):
        session.clock.sleep(0.25)
        session.pump()
        if until():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to be")


def market(bars_of, says):
    return list(rows_of(bars_of([(100.0, 100.1, 99.9, 100.0, say) for say in says], ("AAA",))))


def sent_orders(path):
    """(order ids submitted, order ids marked as sent) of the journal's file, as another process would read it."""
    journal = SqliteJournal.open(path)
    submitted, sent = [], []
    for step in steps(journal):
        event = decode_event(step.event)
        sent += [event.order_id] if isinstance(event, OrderSent) else []
        submitted += [c.order_id for c in map(decode_command, step.commands) if isinstance(c, Submit)]
    journal.close()
    return submitted, sent


def test_a_day_of_orders_ends_with_the_brokers_books(start, venue, bars_of):
    session = start()
    for row in market(bars_of, [NOTHING, BUY, NOTHING, SELL, NOTHING]):
        session.row(row)
        settle(session, lambda: not [o for o in session.core.orders.values() if not o.is_over])
    assert [order.state.value for order in session.core.orders.values()] == ["filled", "filled"]
    assert session.core.positions == [0.0]
    assert session.core.cash == pytest.approx(float(venue.cash))
    session.reconcile("person")
    session.pump()
    assert session.core.findings.differences == []
    assert session.core.halted == ""


def test_nothing_leaves_before_it_is_durable(start, venue, bars_of, path):
    session = start()
    row = market(bars_of, [BUY])[0]
    session.row(row)
    assert session.queue == 1
    assert sent_orders(path) == ([], [])
    call = session.next_call()
    assert call.task == "handle"
    (key,) = session.core.orders
    assert sent_orders(path) == ([key], [key])
    assert venue.orders == {}
    session.done(call, call.run(session.broker))
    assert next(iter(venue.orders.values())).key == key


def test_what_has_to_wait_is_durable_while_it_waits_and_not_marked(start, bars_of, path):
    session = start()
    first, second = market(bars_of, [BUY, SELL])
    session.row(first)
    call = session.next_call()
    session.row(second)  # the call is under way
    submitted, sent = sent_orders(path)
    assert submitted == sent == list(session.core.orders)
    journal = SqliteJournal.open(path)
    assert decode_event(list(steps(journal))[-1].event).ts == second.ts
    journal.close()
    session.done(call, call.run(session.broker))


def test_two_rows_never_wait_for_one_commit(start, bars_of, path):
    session = start()
    for row in market(bars_of, [BUY, NOTHING]):
        session.row(row)
    submitted, sent = sent_orders(path)
    assert submitted == list(session.core.orders)
    assert sent == []


def test_a_row_that_was_not_durable_is_heard_again_and_nothing_has_left(start, venue, bars_of):
    session = start()
    (row,) = market(bars_of, [BUY])
    session.row(row)
    session = start()
    assert session.core.last_ts < row.ts
    assert venue.orders == {}
    session.row(row)
    settle(session, lambda: session.core.positions[0] > 0.0)
    assert len(venue.orders) == 1


def test_new_risk_waits_for_its_moment_and_an_exit_for_none(start, venue, clock, bars_of, path):
    moments = {}

    def delay_s(ts):
        return (moments.setdefault(ts, clock.now() + 1_400_000_000) - ts) / 1e9

    session = start(delay_s=delay_s)
    buy, sell = market(bars_of, [BUY, SELL])
    session.row(buy)
    (key,), sent = sent_orders(path)
    assert sent == []
    while clock.now() < moments[buy.ts]:
        session.pump()
        assert venue.orders == {}
        assert 0.0 <= session.due_s() <= (moments[buy.ts] - clock.now()) / 1e9 + 1e-3
        clock.sleep(0.25)
    session.pump()
    assert [order.key for order in venue.orders.values()] == [key]
    settle(session, lambda: session.core.positions[0] > 0.0)
    session.row(sell)
    assert clock.now() < moments[sell.ts]
    session.pump()
    assert len(venue.orders) == 2


def test_a_restart_does_not_forget_the_moment(start, venue, clock, bars_of):
    until = clock.now() + 6_000_000_000
    moment = {"delay_s": lambda ts: (until - ts) / 1e9}
    start(**moment).row(market(bars_of, [BUY])[0])
    session = start(begin=False, **moment)
    session.resume()
    assert session.queue == 1
    assert session.dispatch.take(lambda _: 0.0, until - 1_000_000) is None
    assert session.dispatch.take(lambda _: 0.0, until + 1_000_000) is not None


def test_an_order_that_never_left_expires_after_a_restart(start, venue, bars_of):
    session = start(delay_s=lambda _ts: 2e9)
    session.row(market(bars_of, [BUY])[0])
    session = start(begin=False)
    session.clock.sleep(60.0)
    assert session.begin() == []
    assert [order.state.value for order in session.core.orders.values()] in (["expired"], ["cancelled"])
    assert venue.orders == {}


def test_an_order_that_left_is_asked_for_after_a_restart(start, venue, bars_of):
    session = start()
    session.row(market(bars_of, [BUY])[0])
    call = session.next_call()
    call.run(session.broker)  # and the process dies before a word of it is written
    session = start()
    settle(session, lambda: session.core.positions[0] > 0.0)
    assert len(venue.orders) == 1
    assert session.core.positions == [float(venue.positions["AAA"])]


def test_a_halt_takes_back_what_still_waits(start, venue, bars_of):
    session = start()
    session.row(market(bars_of, [BUY])[0])
    session.tell(Operator(session.core.last_ts, "halt", "a person"))
    session.pump()
    assert venue.orders == {}
    assert [order.state.value for order in session.core.orders.values()] == ["cancelled"]


def test_a_hanging_broker_does_not_keep_a_halt_out_of_the_journal(start, venue, bars_of):
    session = start()
    row, later = market(bars_of, [BUY, BUY])
    session.row(row)
    hanging = session.next_call()
    session.tell(Operator(session.core.last_ts, "halt", "a person"))
    session.row(later)
    session.clock.sleep(10.0)
    assert session.next_call() is None
    assert session.core.halted
    assert "orders" in session.core.desk.tally.state.closed
    session.done(hanging, hanging.run(session.broker))  # it was handed over, and had not left yet
    assert venue.orders == {}
    assert [order.state.value for order in session.core.orders.values()] == ["refused"]


def test_another_account_at_the_broker_calls_a_person_at_once_and_only_once(start, box, venue, bars_of):
    session = start()
    told = []
    session._tell = told.append
    box.number = "another account"
    session.reconcile("timer")
    settle(session, lambda: session.broker.trouble)
    for _ in range(20):
        session.clock.sleep(1.0)
        session.pump()
    (alert,) = [alert for alert in told if alert.level == "critical"]
    assert alert.name == "gate.closed"
    assert "the account ending in ount" in alert.text
    session.row(market(bars_of, [BUY])[0])
    session.pump()
    assert venue.orders == {}


class Died(BaseException):
    pass


@pytest.mark.parametrize("point", [name for name in POINTS if name.split(".")[0] in (
    "row", "sending", "intent", "ack", "fill", "commit", "request", "poll", "snapshot", "books", "gate", "open",
    "resume", "cancel", "word", "day",
)])  # fmt: skip
def test_a_death_at_any_point_loses_and_doubles_nothing(start, venue, bars_of, point):
    says = [NOTHING, BUY, NOTHING, SELL, NOTHING]
    met, finished = [], []

    def die(name):
        if name == point and len(met) < 2 and not finished:
            met.append(name)
            if len(met) == 2 or point.startswith(("open", "resume", "day")):
                met.append(name)
                raise Died

    def run(session, rows):
        for row in rows:
            if row.ts > session.core.last_ts:
                session.row(row)
            settle(session, lambda: not [o for o in session.core.orders.values() if not o.is_over])

    rows = market(bars_of, says)
    try:
        session = start(die)
        run(session, rows)
        session.reconcile("timer")
        session.pump()
        session.tell(Operator(session.core.last_ts, "halt", "a person"))
    except Died:
        session = start()
        run(session, rows)
    finished.append(True)
    assert len({order.key for order in venue.orders.values()}) == len(venue.orders) <= 2
    assert session.core.positions == [float(venue.positions.get("AAA", 0))]
    assert session.core.cash == pytest.approx(float(venue.cash))
    session.reconcile("person")
    session.pump()
    assert session.core.findings.differences == []
