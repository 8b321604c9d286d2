"""Plays the market to every connected client, in the tape's time, with the faults of the plan."""

from __future__ import annotations

import asyncio
import http
from collections import deque

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from data.calendar import SECOND_NS
from live.sandbox.alpaca_stream import AlpacaSession
from live.sandbox.clock import SandboxClock
from live.sandbox.faults import Faults
from live.sandbox.feed import Print, feed
from live.sandbox.market import Market
from live.sandbox.polygon_stream import PolygonSession
from live.sandbox.session import Session, Slots
from live.sandbox.terms import Terms

ALPACA = ("v2/iex", "v2/sip", "v2/delayed_sip", "v2/test", "v1beta1/boats", "v1beta1/overnight", "v1beta3/crypto/us")
POLYGON = ("stocks", "crypto")
PACE_S = 0.004  # of the wall: how often what became due is sent
LEAP_NS = 600 * SECOND_NS


class StreamServer:
    """Every vendor's stream on one port; the path says which."""

    def __init__(
        self, market: Market, terms: Terms, faults: Faults, clock: SandboxClock, *, skip_closed: bool, compress: bool
    ) -> None:
        self.sessions: set[Session] = set()
        self.connections = 0
        self.done = asyncio.Event()
        self._market = market
        self._terms = terms
        self._faults = faults
        self._clock = clock
        self._slots = Slots(clock)
        self._owed: dict[str, deque[str]] = {}
        self._skip_closed = skip_closed
        self._compression = "deflate" if compress else None
        self._server: Server | None = None
        self._player: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, *, play: bool) -> int:
        """Listen, and play if the market is live; the port in use."""
        self._server = await serve(
            self._serve, host, port, process_request=_known_path, compression=self._compression, max_size=None
        )
        if play:
            self._player = asyncio.create_task(self._play())
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        """Stop playing and close every connection."""
        if self._player is not None:
            self._player.cancel()
            await asyncio.gather(self._player, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, wire: ServerConnection) -> None:
        path = _path(wire.request)
        dialect = AlpacaSession if path in ALPACA else PolygonSession
        session = dialect(wire, path, self._market, self._terms, self._clock, self._slots)
        self.sessions.add(session)
        self.connections += 1
        try:
            await session.run()
        finally:
            self.sessions.discard(session)

    async def _play(self) -> None:
        begin, end = self._clock.now(), self._market.last_ns + 120 * SECOND_NS
        moments = list(self._faults.moments((end - begin) / SECOND_NS))[::-1]
        batch: list[Print] = []
        for each in feed(self._market, self._faults, begin, end):
            if each.due > self._clock.now():
                self._offer(batch)
                batch = []
                if self._skip_closed and each.due - self._clock.now() > LEAP_NS:
                    self._clock.jump(each.due - SECOND_NS)
                while each.due > (now := self._clock.now()):
                    await self._due_moments(moments, begin, now)
                    self._offer(())
                    await asyncio.sleep(min(max((each.due - now) / SECOND_NS / self._clock.speed, PACE_S), 0.25))
            elif len(batch) >= 2_000:  # behind: let the others run
                self._offer(batch)
                batch = []
                await self._due_moments(moments, begin, each.due)
                await asyncio.sleep(0)
            batch.append(each)
        self._offer(batch)
        self.done.set()

    def _offer(self, batch: list[Print] | tuple[()]) -> None:
        prints = self._spoiled(batch) if batch else batch
        for session in self.sessions:
            session.offer(prints)

    def _spoiled(self, batch: list[Print]) -> list[Print]:
        """The batch with trades and quotes dropped, doubled and swapped as the plan has it."""
        out: list[Print] = []
        swap = False
        for each in batch:
            if each.kind not in ("trade", "quote"):
                out.append(each)
                continue
            number = each.ordinal + 1
            if self._faults.of_message("ws.drop", number):
                self._faults.note(each.at, "ws.drop", f"{each.kind} {each.symbol} {number}")
                continue
            out.append(each)
            if swap:
                out[-1], out[-2] = out[-2], out[-1]
                swap = False
            elif self._faults.of_message("ws.reorder", number):
                self._faults.note(each.at, "ws.reorder", f"{each.kind} {each.symbol} {number}")
                swap = len(out) > 0
            if self._faults.of_message("ws.duplicate", number):
                self._faults.note(each.at, "ws.duplicate", f"{each.kind} {each.symbol} {number}")
                out.append(each)
        return out

    async def _due_moments(self, moments: list[tuple[float, str]], begin: int, now: int) -> None:
        """Let the moments happen whose time has come; they are sorted, the next one last.

        One that the plan names by its second waits until somebody is served, and comes to every endpoint that has been
        served: to one that is away just then as soon as it is back. A slow client does not escape it.
        """
        served = [each for each in self.sessions if each.is_served]
        for session in served:
            self._owed.setdefault(session.endpoint, deque())
        while moments and begin + moments[-1][0] * SECOND_NS <= now:
            if not self._faults.is_scripted(*moments[-1]):
                name = moments.pop()[1]
                for session in [each for each in self.sessions if each.ready]:
                    await self._happen(name, session)
                continue
            if not self._owed:
                return
            name = moments.pop()[1]
            for owed in self._owed.values():
                owed.append(name)
        for session in served:
            if owed := self._owed[session.endpoint]:
                await self._happen(owed.popleft(), session)

    async def _happen(self, name: str, session: Session) -> None:
        self._faults.note(self._clock.now(), name, session.endpoint)
        await session.fault(name)


def _path(request: Request | None) -> str:
    return "" if request is None else request.path.partition("?")[0].strip("/")


def _known_path(wire: ServerConnection, request: Request) -> Response | None:
    if _path(request) in (*ALPACA, *POLYGON):
        return None
    return wire.respond(http.HTTPStatus.NOT_FOUND, "there is no such stream\n")
