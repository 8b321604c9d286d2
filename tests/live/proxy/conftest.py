"""Every broker of ours in front of its sandbox, with the faulty proxy between them: real sockets all the way."""

import contextlib
import threading
import time
import urllib.error
import urllib.request

import pytest

from data.settings import Secret
from live.brokers.alpaca import AlpacaRoute
from live.brokers.robinhood import RobinhoodRoute
from live.brokers.robinhood_grant import Grant
from live.brokers.robinhood_private import PrivateRoute
from live.brokers.wire_budget import Budget
from live.brokers.wire_desk import Desk
from live.brokers.wire_route import Patience
from live.login import authorize
from live.sandbox.broker_alpaca import AlpacaBroker
from live.sandbox.broker_engine import Venue
from live.sandbox.broker_faults import BrokerFaults
from live.sandbox.broker_http import on_a_thread
from live.sandbox.robinhood_mcp import RobinhoodAgent
from live.sandbox.robinhood_private import RobinhoodPrivate
from tests.live.proxy.proxy import Proxy

PRICES = {"AAPL": (100.0, 100.02), "MSFT": (50.0, 50.02)}
PATIENCE = Patience(look_s=0.5, look_behind_stream_s=5.0, settle_step_s=0.2, cancel_again_s=1.0)
READ_S = 0.4
HANGS_S = {"alpaca": 60.0, "robinhood": 90.0, "robinhood_private": 60.0}
"""Long after every deadline; the MCP session's own is 15 s after the time limit of a read."""
BROKERS = ("alpaca", "robinhood", "robinhood_private")


class Clock:
    """Moves only when it is told to, or slept on: the desk's patience costs no time here."""

    def __init__(self):
        self.ns = time.time_ns()

    def now(self):
        return self.ns

    def sleep(self, seconds):
        self.ns += int(seconds * 1e9)

    async def pause(self, seconds):
        self.sleep(seconds)


class Line:
    """One broker behind the proxy. events: all that the desk has said."""

    def __init__(self, name, desk, wire, venue, clock):
        self.name, self.desk, self.wire, self.venue, self.clock = name, desk, wire, venue, clock
        self.events = []

    def call(self, work):
        """What `work()` gives; fails where it is still running long after every deadline."""
        told = []

        def run():
            try:
                told.append(work())
            except BaseException as error:  # the test's to raise
                told.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(HANGS_S[self.name])
        if not told:
            self.wire.cut_all()  # or else the desk could not even be closed
            thread.join(HANGS_S[self.name])
            told = []
        assert told, f"a call through {self.name} does not end: the other side keeps it waiting for ever"
        if isinstance(told[0], BaseException):
            raise told[0]
        return told[0]

    def do(self, command):
        events = self.call(lambda: self.desk.handle(command))
        self.events += events
        return events

    def poll(self, times=1, seconds=1.0):
        for _ in range(times):
            self.clock.sleep(seconds)
            self.events += self.call(self.desk.poll)

    def until(self, condition, times=60, seconds=1.0):
        for _ in range(times):
            if condition():
                return
            self.poll(1, seconds)
            time.sleep(0.01)  # a stream is another thread
        assert condition(), self.events

    def of(self, kind, order_id=None):
        return [e for e in self.events if isinstance(e, kind) and order_id in (None, e.order_id)]


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
def opened(name, clock, folder):
    """(desk, proxy, venue) of one broker; the proxy spoils nothing until it is given a plan."""
    venue = Venue(PRICES.get, clock.now, faults=BrokerFaults())
    box = {"alpaca": AlpacaBroker, "robinhood": RobinhoodAgent, "robinhood_private": RobinhoodPrivate}[name](venue)
    with on_a_thread(box.start, box.stop):
        wire = Proxy(int((box.http_url if name != "robinhood" else box.origin).rpartition(":")[2]))
        with on_a_thread(wire.start, wire.stop):
            if name == "alpaca":
                route = AlpacaRoute(wire.origin, Secret("sandbox-key"), Secret("sandbox-secret"), "paper", "", READ_S)
            elif name == "robinhood":
                box.origin = wire.origin  # so that every address it gives leads through the proxy
                box.url = f"{wire.origin}/mcp/trading"
                shown = []
                authorize(
                    folder / "rh.grant", command="x", url=box.url, paste=True, show=shown.append,
                    ask=lambda _: consent(shown[-1].partition("\n")[2]),
                )  # fmt: skip
                route = RobinhoodRoute(Grant(folder / "rh.grant", "x"), clock, READ_S)
            else:
                route = PrivateRoute(Secret(box.token), "x", clock, wire.origin)
            desk = Desk(route, clock, PATIENCE)
            desk.budget = Budget(0, clock)
            desk.open()
            if name == "robinhood_private":
                _hurry(route)
            try:
                yield desk, wire, venue
            finally:
                desk.close()


def _hurry(route):
    """The private route's time limit is fixed; a test has not that long."""
    session = route._fence._session
    adapter = session.get_adapter("https://api.robinhood.com")
    send = type(adapter).__mro__[1].send

    def quick(request, *args, **options):
        options["timeout"] = (READ_S, READ_S)
        base = f"{route._base}"
        request.url = request.url.replace("https://api.robinhood.com", base)
        return send(adapter, request, *args, **options)

    adapter.send = quick


@pytest.fixture(params=BROKERS)
def line(request, tmp_path, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    clock = Clock()
    with opened(request.param, clock, tmp_path) as (desk, wire, venue):
        yield Line(request.param, desk, wire, venue, clock)
