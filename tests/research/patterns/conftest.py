"""OpenAI on loopback for the real SDK, and small markets to ask about."""

import asyncio
import threading

import numpy as np
import pytest

from data.calendar import row_times, session_columns, sessions_from
from data.settings import Secret
from data.sources.base import WallClock
from data.types import Bars
from live.sandbox.faults import Faults
from live.sandbox.http import HttpServer, Routes
from live.sandbox.openai_rest import OpenAiRest
from research.patterns.advisor import Advisor
from research.patterns.cache import SqliteCache
from research.patterns.client import Client
from research.patterns.journal import Journal
from research.patterns.models import PICO, model_of

KEY = "sk-test-7f3a9c51d2e84b60-never-shown"


class Clock:
    """Time that stands at `at` and moves 5 ms at every look."""

    def __init__(self, at=1_790_000_000_000_000_000):  # 2026-09-21
        self.at = at

    def now(self):
        self.at += 5_000_000
        return self.at


class Server:
    """The sandbox's OpenAI in a thread of its own."""

    def __init__(self, script=(), faults="", cached=0):
        self.rest = OpenAiRest(script, cached=cached)
        routes = Routes()
        self.rest.add_to(routes)
        self.http = HttpServer(routes, Faults.parse(faults), WallClock())
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        port = asyncio.run_coroutine_threadsafe(self.http.start("127.0.0.1", 0), self.loop).result(10)
        self.url = f"http://127.0.0.1:{port}/v1"

    def close(self):
        asyncio.run_coroutine_threadsafe(self.http.stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def served():
    """`served(script, faults)`: a server; all are closed afterwards."""
    servers = []

    def start(script=(), faults="", cached=0):
        servers.append(Server(script, faults, cached))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def desk(tmp_path):
    """`desk(server, ...)`: an advisor on that server, with its journal and cache in a folder of its own."""
    clients = []

    def make(server, *, dollars=5.0, clock=None, api="chat", timeout_s=60.0, model="gpt-4o-mini", cache=None, **terms):
        clock = clock or Clock()
        client = Client(Secret(KEY), clock, base_url=server.url, timeout_s=timeout_s)
        clients.append(client)
        journal = Journal(tmp_path / "notes.sqlite")
        kept = cache or SqliteCache(tmp_path / "cache.sqlite")
        limit = int(dollars * PICO)
        return Advisor(model_of(model, **terms), client, kept, journal, limit=limit, clock=clock, api=api), journal

    yield make
    for client in clients:
        client.close()


def daily(closes, symbols=("AAA",), start="2024-06-03", volume=None):
    """Daily bars with these closes, (T,) or (T, N); open is the close before, high and low lie a half beside."""
    close = np.asarray(closes, dtype=float).reshape(len(closes), -1)
    days = sessions_from(start, len(close))
    ts = row_times(days, "1d")
    session, since_open, to_close = session_columns(ts, "1d")
    opening = np.vstack([close[:1], close[:-1]])
    opening = np.where(np.isnan(close), np.nan, np.where(np.isnan(opening), close, opening))
    high, low = np.maximum(opening, close) + 0.5, np.minimum(opening, close) - 0.5
    volumes = np.full(close.shape, 1000.0) if volume is None else np.asarray(volume, float).reshape(close.shape)
    return Bars(tuple(symbols), ts, opening, high, low, close, volumes, session, since_open, to_close)


@pytest.fixture
def daily_bars():
    """`daily_bars(closes)`: see `daily`."""
    return daily


@pytest.fixture
def said():
    """`said(bias="down", confidence=0.9)`: the JSON of an answer."""

    def answer(
        bias="down", confidence=0.9, pattern="double_top", support=95.0, resistance=104.5, reasons=("Two equal highs.",)
    ):
        import json

        levels = {"support": support, "resistance": resistance}
        told = {"pattern": pattern, "bias": bias, "levels": levels, "confidence": confidence, "reasons": list(reasons)}
        return json.dumps(told)

    return answer
