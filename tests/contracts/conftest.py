"""Every broker in front of its own sandbox, and a clock that only tests move."""

import contextlib
import time
import urllib.error
import urllib.request

import pytest

from data.settings import Secret
from live.brokers.alpaca import AlpacaRoute
from live.brokers.robinhood import RobinhoodRoute
from live.brokers.robinhood_grant import Grant
from live.brokers.robinhood_private import broker as private_desk
from live.brokers.wire_budget import Budget
from live.brokers.wire_desk import Desk
from live.brokers.wire_route import Patience
from live.login import authorize, keep_token
from live.sandbox.broker_alpaca import AlpacaBroker
from live.sandbox.broker_engine import Venue
from live.sandbox.broker_faults import BrokerFaults
from live.sandbox.broker_http import on_a_thread
from live.sandbox.robinhood_mcp import RobinhoodAgent
from live.sandbox.robinhood_private import RobinhoodPrivate

PRICES = {"AAPL": (100.0, 100.02), "MSFT": (50.0, 50.02)}
PATIENCE = Patience(look_s=0.5, look_behind_stream_s=5.0, settle_step_s=0.2, cancel_again_s=1.0)


class TestClock:
    """Moves only when it is told to, or slept on."""

    __test__ = False

    def __init__(self):
        self.ns = time.time_ns()

    def now(self):
        return self.ns

    def sleep(self, seconds):
        self.ns += int(seconds * 1e9)

    async def pause(self, seconds):
        self.sleep(seconds)


class Case:
    """One broker: its desk, its sandbox, and everything that the desk has said."""

    def __init__(self, name, desk, box, venue, clock, make):
        self.name, self.desk, self.box, self.venue, self.clock, self._make = name, desk, box, venue, clock, make
        self.events = []

    def do(self, command):
        told = self.desk.handle(command)
        self.events += told
        return told

    def poll(self, times=1, seconds=1.0):
        for _ in range(times):
            self.clock.sleep(seconds)
            self.events += self.desk.poll()

    def until(self, condition, times=30, seconds=1.0):
        """Poll until it holds."""
        for _ in range(times):
            if condition():
                return
            self.poll(1, seconds)
            time.sleep(0.01)  # a stream is another thread
        assert condition(), self.events

    def of(self, kind, order_id=None):
        return [e for e in self.events if isinstance(e, kind) and order_id in (None, e.order_id)]

    def restarted(self, known=()):
        """The same account after a crash."""
        self.desk.close()
        self.desk, self.events = self._make(), []
        self.desk.open(known)
        return self


def consent(page):
    """What a user's browser does with the login page: the address it ends up at."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_args):
            return None

    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay).open(page, timeout=60)
    except urllib.error.HTTPError as redirected:
        with redirected:
            return redirected.headers["Location"]
    raise AssertionError(page)


@contextlib.contextmanager
def robinhood(venue, clock, tmp_path, **quirks):
    box = RobinhoodAgent(venue, **quirks)
    with on_a_thread(box.start, box.stop):
        shown, path = [], tmp_path / "rh.grant"
        authorize(
            path, command="x", url=box.url, paste=True, show=shown.append,
            ask=lambda _: consent(shown[-1].partition("\n")[2]),
        )  # fmt: skip

        def make():
            return Desk(RobinhoodRoute(Grant(path, "x"), clock, read_s=1.0), clock, PATIENCE)

        yield make, box


@contextlib.contextmanager
def alpaca(venue, clock, tmp_path, **quirks):
    box = AlpacaBroker(venue)
    with on_a_thread(box.start, box.stop):
        for name, value in quirks.items():
            setattr(box.updates, name, value)

        def make():
            route = AlpacaRoute(
                box.http_url, Secret("sandbox-key"), Secret("sandbox-secret"), "paper", box.ws_url, read_s=1.0
            )
            return Desk(route, clock, PATIENCE)

        yield make, box


@contextlib.contextmanager
def private(venue, clock, tmp_path):
    box = RobinhoodPrivate(venue)
    keep_token(tmp_path / "rh.token", box.token)
    with on_a_thread(box.start, box.stop):

        def make():
            return private_desk(
                tmp_path / "rh.token", "x", unofficial=True, clock=clock, patience=PATIENCE, base=box.http_url,
                say=lambda _: None,
            )  # fmt: skip

        yield make, box


OPENERS = {
    "robinhood": robinhood,
    "robinhood without ref_id": lambda *args: robinhood(*args, echo=False, sse=True, opaque=False),
    "alpaca": alpaca,
    "robinhood private": private,
    "alpaca, each update twice": lambda *args: alpaca(*args, twice=True),
    "alpaca, updates out of order": lambda *args: alpaca(*args, reorder=True),
    "alpaca, no updates at all": lambda *args: alpaca(*args, mute=True),
}


BROKERS = {"alpaca": "alpaca", "robinhood": "robinhood", "robinhood_private": "robinhood private"}


@contextlib.contextmanager
def opened(name, opener, tmp_path, monkeypatch):
    """A case of that name, its desk open in front of a fresh sandbox."""
    for each in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(each, "127.0.0.1,localhost")
    clock = TestClock()
    venue = Venue(PRICES.get, clock.now, faults=BrokerFaults())
    with OPENERS[opener](venue, clock, tmp_path) as (make, box):

        def fresh():
            desk = make()
            desk.budget = Budget(0, clock)
            return desk

        desk = fresh()
        desk.open()
        made = Case(name, desk, box, venue, clock, fresh)
        yield made
        made.desk.close()


@pytest.fixture(params=OPENERS)
def case(request, tmp_path, monkeypatch):
    """Every way in which a broker may answer."""
    with opened(request.param, request.param, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(params=BROKERS)
def broker(request, tmp_path, monkeypatch):
    """Each broker once, at its best."""
    with opened(request.param, BROKERS[request.param], tmp_path, monkeypatch) as made:
        yield made
