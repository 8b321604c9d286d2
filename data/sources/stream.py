"""A vendor's stream that does not lie about what it missed.

The SDKs' stream clients lose subscriptions after a reconnect, reconnect without pause, or stay connected to silence.
This one speaks the same wire format on `websockets` and `msgspec`, at a tenth of their memory:

* every connection logs in, subscribes, and counts as whole only when the vendor has confirmed every subscription;
* silence of ten seconds while the exchange is open ends a connection, whatever its pings say; symbols that were seen
  to pause for longer are given half as long again as their longest pause; time in which this process itself did not
  run is no silence, for what came meanwhile has yet to be read;
* it waits 1, 2, 4 ... 30 s between attempts, spread by a seeded draw, and never less;
* a loss is a `Gap` event at once, and a second one with its whole length when the feed is back; minute bars of that
  time are asked for by REST and follow;
* doubles are dropped and counted, a reader that is slow gets the newest quotes, and what fails is raised to it.

    async with alpaca.stream(["AAPL"], ["trades", "bars"]) as events:
        async for event in events: ...
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

from data.calendar import MINUTE_NS, SECOND_NS
from data.errors import OnetapeError
from data.events import Gap, MarketEvent
from data.sources.base import Clock
from data.sources.stream_checks import Audit, Recent
from data.sources.stream_dialect import Backfill, Dialect, Lost, StreamStats
from data.sources.stream_hours import Hours
from data.sources.stream_queue import Outlet

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
ENTER_S = 15.0
HEALTHY_NS = 60 * SECOND_NS
LONGEST_STALL_S = 300.0
LOOKS = 10  # how often a silence is looked at before it counts as one
FORGET = 0.999  # of the longest pause, with every frame: one hiccup must not blunt the watch for good
BACKFILL_AFTER_S = 2.0
BACKFILL_FROM_NS = 2 * MINUTE_NS
LOCAL = ("127.0.0.1", "localhost", "::1")


class Stream:
    """An async iterator of events, with `stats`; use it with `async with`, or `aclose` it.

    Args:
        dialect: the vendor's. clock: of all waits and of `recv_ts`. hours: when silence is suspicious.
        seed: of the spread of waits. limit: events that may wait for the reader.
        backfill: how to get the minute bars of a gap; None where bars are not subscribed.
        release: called when the stream is closed.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        clock: Clock,
        hours: Hours,
        seed: int = 0,
        limit: int = 100_000,
        backfill: Backfill | None = None,
        audit: bool = False,
        release: Callable[[], None] | None = None,
    ) -> None:
        self._dialect = dialect
        self._clock = clock
        self._hours = hours
        self._chance = random.Random(seed)
        self._outlet = Outlet(limit)
        self._recent = Recent()
        self._audit = Audit() if audit else None
        self._backfill = backfill
        self._release = release
        self._stats = StreamStats()
        self._task: asyncio.Task[None] | None = None
        self._fills: set[asyncio.Task[None]] = set()
        self._last_good = self._heard = self._whole = 0
        self._lost_at = self._missing_from = self._newest = 0
        self._quiet = 0
        self._looked = self._silent_ns = self._longest_ns = 0
        self._stalled = False

    @property
    def stats(self) -> StreamStats:
        """What happened so far."""
        self._stats.conflated = self._outlet.conflated
        self._stats.doubles = self._recent.doubles
        self._stats.bad = self._dialect.bad
        return self._stats

    @property
    def whole_since(self) -> int:
        """Since when everything subscribed comes, ns of the clock; 0 while the feed is lost, or not there yet."""
        return self._whole

    @property
    def heard(self) -> int:
        """When it last said something, ns of the clock; 0 before it ever did."""
        return self._heard

    @property
    def is_idle(self) -> bool:
        """Nothing waits for the reader."""
        return not len(self._outlet)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MarketEvent:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"{self._dialect.venue} stream")
        waiting = asyncio.ensure_future(self._outlet.get()) if not len(self._outlet) else None
        if waiting is None:
            return await self._outlet.get()
        try:
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            await self._task  # raises what ended it
            raise StopAsyncIteration
        finally:
            waiting.cancel()

    async def aclose(self) -> None:
        """End the connection and everything that belongs to it."""
        tasks = [task for task in (self._task, *self._fills) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._release is not None:
            self._release()
            self._release = None

    async def _run(self) -> None:
        from websockets.exceptions import WebSocketException

        attempt = 0
        while True:
            entered = self._clock.now()
            try:
                await self._connection()
            except Lost as lost:
                reason, least = str(lost), lost.after_s
            except TimeoutError:
                reason, least = "the vendor did not confirm in time", 0.0
            except (OSError, WebSocketException) as error:
                reason, least = "no data came" if self._stalled else _plain(error), 0.0
            self._mark_loss(reason)
            attempt = 1 if self._clock.now() - entered > HEALTHY_NS else attempt + 1
            wait = min(FIRST_WAIT_S * 2.0 ** (attempt - 1), LONGEST_WAIT_S)
            wait = max(wait * (1.0 + 0.5 * self._chance.random()), least)
            self._stats.waits = [*self._stats.waits[-99:], wait]
            await self._clock.pause(wait)

    async def _connection(self) -> None:
        """One connection, until it is lost."""
        from websockets.asyncio.client import connect

        self._stalled = False
        local = urlsplit(self._dialect.url).hostname in LOCAL
        async with connect(
            self._dialect.url,
            additional_headers=self._dialect.headers,
            max_size=None,
            open_timeout=ENTER_S,
            close_timeout=1,
            logger=_wire_log(),
            proxy=None if local else True,  # else loopback would go to the proxy that the environment names
        ) as wire:
            self._stats.connects += 1
            async with asyncio.timeout(ENTER_S):
                early = await self._dialect.enter(wire, self._clock)
            self._mark_whole()
            self._take(early)
            watch = asyncio.create_task(self._watch(wire))
            try:
                async for frame in wire:
                    self._take(self._dialect.read(frame, self._clock.now()))
                    await self._outlet.room()
            finally:
                watch.cancel()
            raise Lost("no data came" if self._stalled else "the vendor closed the connection")

    async def _watch(self, wire: Any) -> None:
        """End a connection that is silent while the exchange is open; after each one that was, wait twice as long."""
        least = self._dialect.stall_s * 2.0**self._quiet
        while True:
            await self._clock.pause(self._dialect.stall_s / LOOKS)
            now = self._clock.now()
            stall_s = min(max(least, 1.5 * self._longest_ns / SECOND_NS), LONGEST_STALL_S)
            self._silent_ns, self._looked = self._silence(now), now
            if self._hours.open_since(now) is None or len(self._outlet) >= self._outlet.limit:
                self._silent_ns = 0  # nobody has anything to say, or we do not listen
            if self._silent_ns > stall_s * SECOND_NS:
                self._stalled = True
                self._stats.stalls += 1
                self._quiet += 1
                wire.transport.abort()
                return

    def _silence(self, now: int) -> int:
        """For how long nothing came, ns: of the time since the last look only what a process that runs takes for it."""
        most = int(2.0 * self._dialect.stall_s / LOOKS * SECOND_NS)
        return self._silent_ns + min(now - self._looked, most)

    def _take(self, events: list[MarketEvent]) -> None:
        now = self._clock.now()
        if events:
            opened = self._hours.open_since(now)
            if opened is not None and self._last_good >= opened:
                self._longest_ns = max(int(self._longest_ns * FORGET), self._silence(now))
            self._last_good = self._heard = self._looked = now
            self._quiet = self._silent_ns = 0
        for event in events:
            if self._recent.is_double(event):
                continue
            self._newest = max(self._newest, event.venue_ts)
            if self._audit is not None:
                self._audit.add(event)
            self._put(event)
        if self._audit is not None:
            for gap in self._audit.losses(now, self._dialect.venue):
                self._put(gap)

    def _put(self, event: MarketEvent) -> None:
        self._stats.events += 1
        self._stats.gaps += isinstance(event, Gap)
        self._outlet.put(event)

    def _mark_loss(self, reason: str) -> None:
        self._stats.last_loss = reason
        self._whole = 0
        if self._last_good and not self._lost_at:
            now = self._clock.now()
            self._lost_at = self._last_good
            # A feed that runs late had not said all that happened until then: delayed_sip is a quarter of an hour late.
            self._missing_from = min(self._last_good, self._newest or self._last_good)
            self._put(Gap("", 0, now, self._last_good, now, reason, self._dialect.venue))

    def _mark_whole(self) -> None:
        now = self._clock.now()
        if self._audit is not None:
            self._audit.restart(now, self._missing_from if self._lost_at else 0)
        if self._lost_at:
            reason = f"the feed is back; it was lost because {self._stats.last_loss}"
            self._put(Gap("", 0, now, self._lost_at, now, reason, self._dialect.venue))
            if self._backfill is not None:
                task = asyncio.create_task(self._fill(self._missing_from, now))
                self._fills.add(task)
                task.add_done_callback(self._fills.discard)
        self._last_good = self._whole = self._heard = self._looked = now
        self._lost_at = self._silent_ns = 0

    async def _fill(self, start: int, end: int) -> None:
        """Minute bars that closed in a gap."""
        assert self._backfill is not None  # noqa: S101  # the caller asked
        await self._clock.pause(BACKFILL_AFTER_S)
        # A bar comes some time after its minute, so the ones before the loss may be missing too.
        first = start // MINUTE_NS * MINUTE_NS - BACKFILL_FROM_NS
        try:
            bars = await asyncio.to_thread(self._backfill, self._dialect.symbols, first, end)
        except Exception as error:  # noqa: BLE001  # whatever an SDK raises, the stream goes on and the gap stays marked
            told = str(error) if isinstance(error, OnetapeError) else type(error).__name__
            reason = f"the bars of a gap could not be had: {told}"
            self._put(Gap("", 0, self._clock.now(), first, end, reason, self._dialect.venue))
            return
        for bar in sorted(bars, key=lambda each: each.venue_ts):
            if not self._recent.has(bar) and not self._recent.is_double(bar):
                self._stats.backfilled += 1
                self._put(bar)
                if self._audit is not None:
                    self._audit.add(bar)


def _wire_log() -> logging.Logger:
    """A logger that never reaches DEBUG, where `websockets` writes out every frame, the one with the key included."""
    log = logging.getLogger("data.sources.stream.wire")
    log.setLevel(logging.INFO)
    return log


def _plain(error: Exception) -> str:
    """Why a connection ended, in words that hold nothing we sent."""
    received = getattr(error, "rcvd", None)
    if received is not None:
        return f"the vendor closed the connection ({received.code})"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the vendor answered HTTP {status}"
    return "the connection broke"
