"""The sign of life, the watchdog that reads it, and a person's word on an order nobody tells of."""

import json
import time

import pytest

from data.door import call
from data.settings import Settings
from live import watchdog as module
from live.__main__ import app
from live.account import load_account
from live.control import Control, Listener, Resolved
from live.core.commands import Submit
from live.core.events import OrderSent, OrderUnknown
from live.core.facts import GATES
from live.core.orders import State
from live.day_trades import DayTrades
from live.heartbeat import Heart, read_beat
from live.lock import held
from live.opening import open_live
from live.risk_limits import proposed
from live.sandbox.broker_alpaca import AlpacaBroker
from live.sandbox.broker_engine import Venue
from live.sandbox.broker_faults import BrokerFaults
from live.sandbox.broker_http import on_a_thread
from live.status import status_of
from live.steady import SteadyClock
from live.watchdog import look

SECOND = 1_000_000_000
BUY, FLAT, SELL = (100.0, 100.0, 100.0, 100.0, 1), (100.0, 100.0, 100.0, 100.0, 0), (100.0, 100.0, 100.0, 100.0, 2)
SCRIPT = '''"""The volume of a row says what is wanted: 1 buy, 2 sell."""
from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars) -> Signals:
    said = bars.volume + 0.0 * sma(bars.close, 1)
    return Signals(said == 1, said == 2)
'''


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture
def paper(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(f'name = "a"\nstrategy = "momentum"\nstate = "{tmp_path}/state"\n')
    return load_account(path)


def test_a_heart_beats_three_times_in_its_period_and_says_goodbye(tmp_path):
    heart = Heart(tmp_path / "a.heartbeat", 30.0)
    assert heart.beat(100 * SECOND) == ""
    heart.beat(105 * SECOND)
    assert read_beat(tmp_path / "a.heartbeat").said == 100 * SECOND
    heart.beat(110 * SECOND)
    assert read_beat(tmp_path / "a.heartbeat").said == 110 * SECOND
    heart.beat(111 * SECOND, ended=True)
    assert read_beat(tmp_path / "a.heartbeat").ended
    assert "cannot be written" in Heart(tmp_path / "none" / "a.heartbeat", 30.0).beat(100 * SECOND)
    assert read_beat(tmp_path / "nothing") is None


def test_a_runner_that_lives_or_said_goodbye_is_left_alone(paper):
    assert look(paper, 0, 120.0) is None
    paper.state.mkdir()
    heart = Heart(paper.state / "a.heartbeat", 30.0)
    heart.beat(100 * SECOND)
    assert look(paper, 200 * SECOND, 120.0) is None
    assert "nothing to cancel" in look(paper, 300 * SECOND, 120.0).text
    heart.beat(300 * SECOND, ended=True)
    assert look(paper, 900 * SECOND, 120.0) is None


@pytest.fixture
def alpaca(tmp_path, monkeypatch):
    """An Alpaca account whose runner died with an entry at the venue: (account, venue)."""
    venue = Venue({"AAA": (100.0, 100.02)}.get, time.time_ns, faults=BrokerFaults("order.hold@1"))
    box = AlpacaBroker(venue)
    (tmp_path / "said.py").write_text(SCRIPT)
    path = tmp_path / "a.toml"
    limits = proposed().replace("max_order_usd = 2_500.0", "max_order_usd = 1e9")
    for name in ("max_order_depth_pct", "max_order_volume_pct"):
        limits = limits.replace(f"{name} = ", f"{name} = 1e9 # ")
    path.write_text(
        f'name = "a"\nstrategy = "said.py"\nbroker = "alpaca"\nstate = "{tmp_path}/state"\nsymbols = ["AAA"]\n'
        f'feed = "alpaca"\n{limits}'
    )
    with on_a_thread(box.start, box.stop):
        settings = Settings(
            apca_api_key_id=secret("sandbox-key"), apca_api_secret_key=secret("sandbox-secret"),
            apca_api_base_url=box.http_url,
        )  # fmt: skip
        monkeypatch.setattr(module, "load_settings", lambda: settings)
        yield load_account(path), venue, settings


def secret(value):
    from data.settings import Secret

    return Secret(value)


def test_the_watchdog_cancels_the_entry_of_a_dead_runner_and_halts(alpaca, rows, monkeypatch):
    import asyncio

    account, venue, settings = alpaca
    monkeypatch.setattr("live.core.gatekeeper.check", lambda request, *_: approved(request))
    session = asyncio.run(open_live(account, settings, SteadyClock(), account.journal))
    session.pump()
    for name in GATES:
        session.gate(name, "")
    session.row(rows([BUY])[0])
    session.pump()
    assert [order.status for order in venue.orders.values()] in (["new"], ["working"])
    session.broker.close()
    session.journal._let_go()
    Heart(account.state / "a.heartbeat", 30.0).beat(100 * SECOND)
    with held(account.lock, account.name):
        assert look(account, 1_000 * SECOND, 120.0).code == 4
    said = look(account, 1_000 * SECOND, 120.0)
    assert (said.code, said.text) == (
        0, "a: silent for 900 s; no entry order is left at the broker, and it is halted",
    )  # fmt: skip
    assert [order.status for order in venue.orders.values()] == ["cancelled"]


def approved(request):
    from live.core.risk import Approved

    return Approved(request.order_id)


def test_a_person_says_what_became_of_an_order(session_of, rows, tmp_path):
    session = session_of()
    submit = next(c for c in session.core.step(rows([BUY])[0]) if isinstance(c, Submit))
    session.core.step(OrderSent(61 * SECOND, submit.order_id))
    session.core.step(OrderUnknown(62 * SECOND, submit.order_id, "lost"))
    control = Control(tmp_path, "a")
    control.resolve(Resolved(submit.order_id, "never arrived", "Ada"))
    Listener(control, session, lambda: status_of(session)).look()
    assert session.core.orders[submit.order_id].state is State.REFUSED
    assert list(control.resolved()) == []


def test_the_door_resolves_only_with_a_name_and_a_known_outcome(paper, capsys):
    assert call(app, ["resolve", str(paper.path), "o1", "lost", "--who", "Ada"]) == 2
    assert call(app, ["resolve", str(paper.path), "o1", "cancelled"]) == 2
    assert "only a person with a name" in capsys.readouterr().err
    assert call(app, ["resolve", str(paper.path), "o1", "never-arrived", "--who", "Ada"]) == 0
    assert "not running" in capsys.readouterr().out
    (said,) = Control(paper.state, "a").resolved()
    assert (said.order_id, said.outcome, said.who) == ("o1", "never arrived", "Ada")


def test_day_trades_are_counted_by_closing_order_and_session(session_of, rows):
    session, trades = session_of(), DayTrades()
    take = session._decide

    def watched(event):
        commands = take(event)
        trades.take(event, session.core)
        return commands

    session._decide = watched
    for row in rows([BUY, FLAT, SELL, FLAT, BUY, FLAT, SELL, FLAT]):
        session.row(row)
    assert trades.count() == 2


def test_the_status_says_what_is_used_of_every_limit(session_of, rows):
    session = session_of(limits={"max_positions": 4, "max_gross_pct": 100.0, "max_messages_day": 10})
    for row in rows([BUY, FLAT]):
        session.row(row)
    told = status_of(session)
    assert (told.headroom["max_positions"].used, told.headroom["max_positions"].limit) == (1.0, 4.0)
    assert told.headroom["max_gross_pct"].used == pytest.approx(50.0, abs=0.5)
    assert told.headroom["max_messages_day"].used >= 1.0
    assert told.rss_mb > 10.0
    assert json.loads(json.dumps(told.positions)) == {"AAA": 500.0}
