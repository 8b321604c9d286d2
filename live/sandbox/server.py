"""The sandbox itself: every vendor and every broker on loopback, over one market and one clock."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from data.sources.rehearsal import told
from live.sandbox.alpaca_rest import AlpacaRest
from live.sandbox.clock import SandboxClock
from live.sandbox.faults import Faults
from live.sandbox.http import HttpServer, Request, Response, Routes, answer
from live.sandbox.market import Market
from live.sandbox.openai_rest import OpenAiRest
from live.sandbox.polygon_rest import PolygonRest
from live.sandbox.robinhood_rest import RobinhoodRest
from live.sandbox.streams import StreamServer
from live.sandbox.terms import Terms

FOREVER_NS = 2**62


class Sandbox:
    """A market on loopback, with its brokers.

    Args:
        market: what is served. speed: how many times as fast as the wall.
        live: time goes on from `begin_ns` (default: the tape's first instant), streams play and REST knows nothing
            later than now. Otherwise the whole tape is history.
        skip_closed: leap over times in which nothing happens for ten minutes.
        brokers: serve Alpaca's and Robinhood's trading, too. broker_faults, cash, stamps: see `broker_house.House`.

    `http_url`, `ws_url` and `control_url` are known once it has started; the last one is never faulty: `/record` is the
    judge's word so far, `/clock` the tape's time; after a POST to `/close` nothing trades or goes wrong any more, so
    that everything can be learnt. `routes` may be given further paths before that.
    """

    def __init__(
        self,
        market: Market,
        *,
        speed: float = 1.0,
        faults: Faults | None = None,
        terms: Terms | None = None,
        live: bool = False,
        begin_ns: int | None = None,
        skip_closed: bool = False,
        compress: bool = False,
        brokers: bool = False,
        broker_faults: str = "",
        cash: float = 100_000.0,
        stamps: str = "tape",
    ) -> None:
        self.market = market
        self.faults = faults or Faults()
        self.terms = terms or Terms()
        self.live = live
        self.http_url = self.ws_url = self.control_url = ""
        self.clock = SandboxClock((begin_ns or market.first_ns) if live else market.last_ns, speed)
        self.routes = Routes()
        for rest in (AlpacaRest, PolygonRest, RobinhoodRest):
            rest(market, self.terms, self._horizon).add_to(self.routes)
        self.openai = OpenAiRest()
        self.openai.add_to(self.routes)
        self.http = HttpServer(self.routes, self.faults, self.clock)
        control = Routes()
        control.add("GET", "/record", self._record)
        control.add("GET", "/clock", self._clock)
        control.add("POST", "/close", self._close)
        self.control = HttpServer(control, Faults(), self.clock)
        self.streams = StreamServer(
            market, self.terms, self.faults, self.clock, skip_closed=skip_closed, compress=compress
        )
        self.house = None
        if brokers:
            from live.sandbox.broker_house import House

            self.house = House(
                market, self.clock, self.terms, faults=broker_faults, cash=cash, stamps=stamps, horizon=self._horizon
            )

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen on `port` and those after it (0: any), and let time begin."""
        self.clock.restart()
        self.http_url = f"http://{host}:{await self.http.start(host, port)}"
        self.ws_url = f"ws://{host}:{await self.streams.start(host, port + 1 if port else 0, play=self.live)}"
        self.control_url = f"http://{host}:{await self.control.start(host, port + 2 if port else 0)}"
        if self.house is not None:
            await self.house.start(port + 3 if port else 0)

    async def stop(self) -> None:
        """Close every port and every connection."""
        if self.house is not None:
            await self.house.stop()
        await self.streams.stop()
        await self.http.stop()
        await self.control.stop()

    def environment(self) -> dict[str, str]:
        """The variables with which a program meets this market instead of the vendors."""
        return {
            "APCA_API_KEY_ID": self.terms.key,
            "APCA_API_SECRET_KEY": self.terms.secret,
            "APCA_API_DATA_URL": self.http_url,
            "APCA_API_STREAM_URL": self.ws_url,
            "MASSIVE_API_KEY": self.terms.key,
            "MASSIVE_BASE_URL": self.http_url,
            "MASSIVE_STREAM_URL": self.ws_url,
            "OPENAI_API_KEY": self.terms.key,
            "OPENAI_BASE_URL": f"{self.http_url}/v1",
            "SANDBOX_URL": self.control_url,
            **({"ONETAPE_REHEARSAL": told(self.clock, self.clock.speed)} if self.live else {}),
            **(self.house.environment() if self.house is not None else {}),
            "no_proxy": "127.0.0.1,localhost",
        }

    def record(self) -> dict[str, Any]:
        """What the market and the brokers say happened: the judge of every client."""
        body = {
            "clock": {"start": self.clock.start_ns, "now": self.clock.now(), "speed": self.clock.speed},
            "market": {
                "source": self.market.source,
                "symbols": list(self.market.symbols),
                "requests": self.http.requests,
                "faults": [{"ts": each.ts, "name": each.name, "what": each.what} for each in self.faults.injected],
            },
        }
        return body | ({"brokers": self.house.record()} if self.house is not None else {})

    def _record(self, _request: Request) -> Response:
        return answer(self.record())

    def _clock(self, _request: Request) -> Response:
        listening = sum(session.ready for session in self.streams.sessions)
        done = self.streams.done.is_set()
        return answer({"now": self.clock.now(), "speed": self.clock.speed, "done": done, "listening": listening})

    def _close(self, _request: Request) -> Response:
        if self.house is not None:
            self.house.close()
        return answer({})

    def _horizon(self) -> int:
        return self.clock.now() if self.live else FOREVER_NS


@contextlib.contextmanager
def running(sandbox: Sandbox, port: int = 0) -> Iterator[Sandbox]:
    """The sandbox served by a thread of its own, for programs and SDKs that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sandbox.start(port), loop).result(10)
        yield sandbox
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
