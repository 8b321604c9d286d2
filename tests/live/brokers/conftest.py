"""A venue at fixed prices behind each broker's sandbox."""

import time

import pytest

from live.login import authorize
from live.sandbox.broker_alpaca import AlpacaBroker
from live.sandbox.broker_engine import Venue
from live.sandbox.broker_faults import BrokerFaults
from live.sandbox.broker_http import on_a_thread
from live.sandbox.robinhood_mcp import RobinhoodAgent

PRICES = {"AAPL": (100.0, 100.02), "MSFT": (50.0, 50.02)}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture
def venue():
    return Venue(PRICES.get, time.time_ns, faults=BrokerFaults())


@pytest.fixture
def alpaca(venue):
    box = AlpacaBroker(venue)
    with on_a_thread(box.start, box.stop):
        yield box


@pytest.fixture
def agent(venue):
    box = RobinhoodAgent(venue)
    with on_a_thread(box.start, box.stop):
        yield box


@pytest.fixture
def log_in(agent, tmp_path):
    """`log_in()`: the grant file of a user who consented."""

    def make(consent, path=tmp_path / "rh.grant", **more):
        shown = []
        pasted = lambda _: consent(shown[-1].partition("\n")[2])  # noqa: E731
        authorize(path, command="the login", url=agent.url, paste=True, show=shown.append, ask=pasted, **more)
        return path

    return make
