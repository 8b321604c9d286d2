"""One client's connection to a vendor's stream: what it may hear, what waits for it, and what went wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from data.calendar import SECOND_NS
from data.sources.base import Clock
from live.sandbox.feed import Print
from live.sandbox.market import Market
from live.sandbox.terms import Terms

FRAME = 200  # items of one frame at most
STALE_NS = 10 * SECOND_NS
STALE_FOR_NS = 60 * SECOND_NS


class Slots:
    """Who holds the one connection of each endpoint and key. lost: the next subscription is to be forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, Session] = {}
        self._taken: dict[str, int] = {}
        self.lost: set[str] = set()

    def take(self, endpoint: str, session: Session) -> bool:
        """False when another connection holds it, or a broken one still counts."""
        if endpoint in self._held or self._taken.get(endpoint, 0) > self._clock.now():
            return False
        self._held[endpoint] = session
        return True

    def leave(self, endpoint: str, session: Session) -> None:
        """The connection is over."""
        if self._held.get(endpoint) is session:
            del self._held[endpoint]

    def block(self, endpoint: str, seconds: float) -> None:
        """Count a broken connection as held for so long."""
        self._taken[endpoint] = self._clock.now() + int(seconds * SECOND_NS)


class Session(ABC):
    """A connection; a vendor's dialect says how to greet, what to obey and how a print is written."""

    def __init__(
        self, wire: ServerConnection, endpoint: str, market: Market, terms: Terms, clock: Clock, slots: Slots
    ) -> None:
        self.wire = wire
        self.endpoint = endpoint
        self.market = market
        self.terms = terms
        self.clock = clock
        self.slots = slots
        self.ready = False
        self.sent = 0
        self._silent = False
        self._stale_until = 0
        self._delayed: deque[Print] = deque()
        self._outbox: deque[Any] = deque()
        self._wake = asyncio.Event()

    @property
    def is_served(self) -> bool:
        """It has been told something, and goes on being told."""
        return self.ready and self.sent > 0 and not self._silent

    @abstractmethod
    async def greet(self) -> None:
        """Say what the vendor says first."""

    @abstractmethod
    async def obey(self, message: bytes | str) -> None:
        """Do what the client asks."""

    @abstractmethod
    async def late(self) -> None:
        """The client did not log in in time."""

    @abstractmethod
    async def too_slow(self) -> None:
        """The client does not read: tell it, and close."""

    @abstractmethod
    def item(self, each: Print) -> Any:
        """A print as the client gets it; None where it did not subscribe."""

    @abstractmethod
    def pack(self, items: list[Any]) -> bytes | str:
        """A frame of items."""

    async def run(self) -> None:
        """Serve the connection until it ends."""
        sender = asyncio.create_task(self._send())
        try:
            await self.greet()
            async with asyncio.timeout(self.terms.auth_s) as limit:
                while True:
                    await self.obey(await self.wire.recv())
                    if self.ready:
                        limit.reschedule(None)
        except TimeoutError:
            with contextlib.suppress(ConnectionClosed):
                await self.late()
        except ConnectionClosed:
            pass
        finally:
            self.slots.leave(self.endpoint, self)
            sender.cancel()

    def offer(self, prints: Iterable[Print]) -> None:
        """Take what the market printed; never waits."""
        if not self.ready or self._silent:
            return
        if self._stale_until or self._delayed:
            prints = self._delay(prints)
        for each in prints:
            if (item := self.item(each)) is not None:
                self._outbox.append(item)
        if self._outbox:
            self._wake.set()

    async def fault(self, name: str) -> None:
        """Let one of the moments of `live.sandbox.faults` happen to this connection."""
        if name == "ws.stall":
            self._silent = True
        elif name == "ws.stale":
            self._stale_until = self.clock.now() + STALE_FOR_NS
        elif name == "ws.close":
            await self.wire.close(1000)
        elif name == "ws.slow":
            await self.too_slow()
        elif name == "ws.garbage":
            with contextlib.suppress(ConnectionClosed):
                await self.wire.send("<html>bad gateway</html>")
        else:
            if name == "ws.limit":
                self.slots.block(self.endpoint, self.terms.taken_s)
            if name == "ws.lost":
                self.slots.lost.add(self.endpoint)
            self.slots.leave(self.endpoint, self)
            self.wire.transport.abort()

    def subscription_is_lost(self) -> bool:
        """Whether this subscription is the one to be accepted and forgotten."""
        if self.endpoint not in self.slots.lost:
            return False
        self.slots.lost.discard(self.endpoint)
        return True

    def _delay(self, prints: Iterable[Print]) -> list[Print]:
        """While the feed is stale everything is held back for ten seconds."""
        now = self.clock.now()
        self._delayed.extend(prints)
        hold = STALE_NS if now < self._stale_until else 0
        if not hold:
            self._stale_until = 0
        out = []
        while self._delayed and self._delayed[0].due + hold <= now:
            out.append(self._delayed.popleft())
        return out

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    if len(self._outbox) > self.terms.slow_frames:
                        await self.too_slow()
                        return
                    items = [self._outbox.popleft() for _ in range(min(FRAME, len(self._outbox)))]
                    await self.wire.send(self.pack(items))
                    self.sent += len(items)
