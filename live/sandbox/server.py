"""The sandbox itself: every vendor's REST on one port, every stream on another, over one market and one clock."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from live.sandbox.alpaca_rest import AlpacaRest
from live.sandbox.clock import SandboxClock
from live.sandbox.faults import Faults
from live.sandbox.http import HttpServer, Routes
from live.sandbox.market import Market
from live.sandbox.polygon_rest import PolygonRest
from live.sandbox.robinhood_rest import RobinhoodRest
from live.sandbox.streams import StreamServer
from live.sandbox.terms import Terms

FOREVER_NS = 2**62


class Sandbox:
    """A market on loopback.

    Args:
        market: what is served. speed: how many times as fast as the wall.
        live: time goes on from `begin_ns` (default: the tape's first instant), streams play and REST knows nothing
            later than now. Otherwise the whole tape is history.
        skip_closed: leap over times in which nothing happens for ten minutes.

    `http_url` and `ws_url` are known once it has started. `routes` may be given further paths before that.
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
    ) -> None:
        self.market = market
        self.faults = faults or Faults()
        self.terms = terms or Terms()
        self.live = live
        self.http_url = self.ws_url = ""
        self.clock = SandboxClock((begin_ns or market.first_ns) if live else market.last_ns, speed)
        self.routes = Routes()
        for rest in (AlpacaRest, PolygonRest, RobinhoodRest):
            rest(market, self.terms, self._horizon).add_to(self.routes)
        self.http = HttpServer(self.routes, self.faults, self.clock)
        self.streams = StreamServer(
            market, self.terms, self.faults, self.clock, skip_closed=skip_closed, compress=compress
        )

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen on `port` and the one after it (0: any two), and let time begin."""
        self.clock.restart()
        self.http_url = f"http://{host}:{await self.http.start(host, port)}"
        self.ws_url = f"ws://{host}:{await self.streams.start(host, port + 1 if port else 0, play=self.live)}"

    async def stop(self) -> None:
        """Close both ports and every connection."""
        await self.streams.stop()
        await self.http.stop()

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
            "no_proxy": "127.0.0.1,localhost",
        }

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
