"""What waits between a socket and its reader: bounded, in order, quotes giving way to newer ones when it is full."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from data.events import BookSnapshot, MarketEvent, Quote

CONFLATED = (Quote, BookSnapshot)
"""A newer one makes an older one of the same symbol worthless; of everything else each one counts."""


class Outlet:
    """At most `limit` events, and one quote and one book a symbol more. conflated: how many quotes gave way."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.conflated = 0
        self._events: OrderedDict[int, MarketEvent] = OrderedDict()
        self._newest: dict[tuple[type, str], int] = {}
        self._number = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: MarketEvent) -> None:
        """Take an event; never waits. When full, a quote replaces the one of its symbol that still waits."""
        if isinstance(event, CONFLATED):
            key = (type(event), event.symbol)
            if len(self._events) >= self.limit and (older := self._newest.get(key)) is not None:
                del self._events[older]
                self.conflated += 1
            self._newest[key] = self._number
        self._events[self._number] = event
        self._number += 1
        self._filled.set()
        if len(self._events) >= self.limit:
            self._room.clear()

    async def room(self) -> None:
        """Return when there is room again; a reader that never comes back holds the socket up, not the memory."""
        await self._room.wait()

    async def get(self) -> MarketEvent:
        """The oldest event, as soon as there is one."""
        while not self._events:
            self._filled.clear()
            await self._filled.wait()
        number, event = self._events.popitem(last=False)
        if isinstance(event, CONFLATED):
            key = (type(event), event.symbol)
            if self._newest.get(key) == number:
                del self._newest[key]
        if len(self._events) < self.limit:
            self._room.set()
        return event
