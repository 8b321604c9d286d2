"""The process of `python -m data stream`: a vendor's stream in, frames of rows and of the feed's standing out.

Nothing is in it but a stream, a row builder and their libraries: no pandas, pyarrow or numba. What needs those (the
rows before the feed began, the bars of a gap) is asked of processes that end again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from data.calendar import parse_clock
from data.errors import OnetapeError, UsageError
from data.events import NONE, BookSnapshot, Gap, MarketEvent, Quote, Status
from data.feed_rows import Asked, LiveRows
from data.feed_saved import keep, load
from data.feed_status import BookWatch, Heartbeat, Touches, level_of, trading_of
from data.feed_warm import Question, fetch
from data.rowbuilder import Output, RowBuilder
from data.rowbuilder_state import P_START, PENDING, START
from data.rows import BookSnap, FeedNews, Header, Trading, decode_books, encode
from data.settings import CHECKOUT, Settings, load_settings
from data.sources.backfill_apart import apart
from data.sources.base import Clock, load_vendor
from data.sources.rehearsal import RehearsalClock, clock_of
from data.sources.stream import Stream
from data.sources.stream_hours import AlwaysOpen, Hours

TICK_S = 0.02
TOUCH_S = 0.25
KEEP_S = 5.0
BACKLOG = 1 << 20
"""Bytes that may wait for the reader before touches and signs of life are left out."""
RULES = {"alpaca": "alpaca_crypto", "polygon": "polygon_xl2"}
_LENGTH = struct.Struct("<I")


class Options(msgspec.Struct, frozen=True):
    """What is streamed; as the command's options."""

    source: str
    symbols: list[str]
    clock: str
    channels: list[str]
    hours: str
    feed: str
    book: bool = False
    warm: int = 0
    warm_from: str = ""
    adjustment: str = "split"
    state: str = ""
    wait_s: float = 0.25
    patience_s: float = 30.0
    plan_symbols: int = -1
    rate: int = 0


def become(options: Options) -> NoReturn:
    """Replace this process by one that streams."""
    sys.stdout.flush()
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
    told = msgspec.json.encode(options).decode()
    os.execve(sys.executable, [sys.executable, "-m", "data.feed_process", told], os.environ | {"PYTHONPATH": path})  # noqa: S606


def main(told: str) -> int:
    """Stream until SIGINT, SIGTERM, the reader's end or a refusal; the exit code."""
    try:
        return asyncio.run(_run(msgspec.json.decode(told, type=Options)))
    except OnetapeError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


class Feed:
    """One live feed: its stream, its rows and what was said of them.

    Args:
        out: takes frames. stream: of the vendor, not yet connected. asking: history's bars of a gap.
    """

    def __init__(self, options: Options, settings: Settings, clock: Clock, stream: Stream, out: asyncio.WriteTransport):
        self.options, self.settings, self.clock, self.stream, self.out = options, settings, clock, stream, out
        book = RULES[options.source] if "books" in options.channels else "robinhood"
        crypto = options.feed == "crypto"
        builder = RowBuilder(
            options.symbols,
            options.clock,
            hours=options.hours,  # type: ignore[arg-type]  # checked there
            wait_s=min(options.wait_s, parse_clock(options.clock)),
            conditions=not crypto,
            book=book,
        )
        self.rows = LiveRows(builder, options.patience_s, from_bars="trades" not in options.channels)
        self.touches, self.heartbeat = Touches(), Heartbeat()
        self.books = BookWatch(options.symbols if options.book else ())
        self.since = 0
        self.begun = self.ever = False
        self.notes: list[str] = []
        self._hours = AlwaysOpen() if crypto else Hours()
        self._ask = apart(options.source, options.feed, settings, clock, options.rate)
        self._asks: set[asyncio.Task[None]] = set()

    def send(self, messages: list[Any] | Output) -> None:
        """Write frames; never waits."""
        for message in messages:
            self.out.write(encode(message))

    async def open(self) -> None:
        """Say who this is, and the rows that are history already."""
        options, now = self.options, self.clock.now()
        path = Path(options.state) if options.state else None
        if path is not None and (why := load(path, self.rows, now)):
            self.notes.append(why)
        warm = []
        if options.warm:
            # A restored builder gives out what follows its own row; history is what lies before.
            builder = self.rows.builder
            until = builder.g[P_START if builder.g[PENDING] else START] if builder.begun else now
            place = options.warm_from or options.source
            terms = (options.symbols, options.clock, options.hours, options.warm, until, place, options.feed)
            warm = await fetch(Question(*terms, options.adjustment), self.settings)
        self.since = warm[-1].ts if warm else self.clock.now()
        simulated = self.settings.rehearsal is not None
        name = f"{options.source} {options.feed}"
        self.send([Header(options.symbols, options.clock, name, simulated, "", 0, len(warm)), *warm])
        self.send([Trading(self.clock.now(), symbol, "quiet", "no word of it yet") for symbol in options.symbols])
        self.say()

    async def listen(self) -> None:
        """Every event of the stream, until it refuses."""
        async for event in self.stream:
            self.begin()
            self.hear(event)

    def begin(self) -> None:
        """The stream is whole for the first time."""
        if not self.begun and self.stream.whole_since:
            self.begun = self.ever = True
            self.send(self.rows.begin(self.since, self.stream.whole_since))

    def hear(self, event: MarketEvent) -> None:
        """Take in one event and send what is known because of it."""
        if isinstance(self.clock, RehearsalClock):
            self.clock.keep_up(event.venue_ts)
        self.send(self.rows.take(event))
        if type(event) is Quote:
            self.touches.add(event)
        elif type(event) is Status and (said := trading_of(event)) is not None:
            self.send([said])

    def see(self, snap: BookSnap) -> None:
        """Take in a book that came by standard input."""
        now = self.clock.now()
        levels = tuple(map(tuple, snap.bids)), tuple(map(tuple, snap.asks))
        book = BookSnapshot(snap.symbol, snap.venue_ts or snap.ts, now, *levels, NONE)  # type: ignore[arg-type]
        if self.books.came(book) and self.begun:
            self.send(self.rows.put(book))

    async def beat(self) -> None:
        """Whatever goes by time: rows that close, questions to history, touches, signs of life, the state on disk."""
        loop = asyncio.get_running_loop()
        touched = kept = loop.time()
        while True:
            await asyncio.sleep(TICK_S)
            self.begin()
            now = self.clock.now()
            if (self.begun or self.rows.lost) and self.stream.is_idle:
                self.send(self.rows.tick(now))
            if (asked := self.rows.wants(now)) is not None:
                task = asyncio.create_task(self.ask(asked))
                self._asks.add(task)
                task.add_done_callback(self._asks.discard)
            self.age(now)
            wall = loop.time()
            if wall - touched >= TOUCH_S:
                touched = wall
                touches = self.touches.take()
                if self.out.get_write_buffer_size() < BACKLOG:
                    self.send(touches)
            self.say()
            if self.options.state and self.begun and wall - kept >= KEEP_S:
                kept = wall
                self.keep()

    def age(self, now: int) -> None:
        """Books that came by standard input and are too old now: quotes take their place."""
        for symbol in self.books.overdue(now):
            self.send(self.rows.put(Gap(symbol, 0, now, now, now, "its books do not come any more")))
            if (quote := self.touches.last(symbol)) is not None:
                self.send(self.rows.put(msgspec.structs.replace(quote, recv_ts=now)))

    async def ask(self, asked: Asked) -> None:
        """The bars of a gap, from history."""
        bars = None
        with contextlib.suppress(OnetapeError):
            bars = await asyncio.to_thread(self._ask, self.options.symbols, asked.start, asked.end)
        self.send(self.rows.filled(asked, bars, self.clock.now()))

    def say(self) -> None:
        """How the feed stands: what changed, and the rest once a second."""
        loop, now = asyncio.get_running_loop(), self.clock.now()
        news = [self.news(now)]
        if self.options.book:
            news.append(self.books.news(now))
        if self.out.get_write_buffer_size() < BACKLOG:
            self.send([each for each in news if self.heartbeat.is_due(each, loop.time())])

    def news(self, now: int) -> FeedNews:
        """How the stream stands."""
        stream, rows, name = self.stream, self.rows, self.options.source
        age = (now - stream.heard) / 1e9 if stream.heard else -1.0
        if not stream.whole_since:
            reason = stream.stats.last_loss or "not connected yet"
            return FeedNews(now, name, "stale" if self.ever else "absent", "none", age, rows.gaps, reason)
        reasons = self.notes[:]
        if self._hours.open_since(now) is None:
            reasons.append("the exchange is closed")
        if rows.holds:
            reasons.append("a row waits for history")
        if rows.unfilled:
            reasons.append(f"{rows.unfilled} minutes of gaps are not in history")
        return FeedNews(now, name, "fresh", level_of(self.options.channels), age, rows.gaps, "; ".join(reasons))

    def keep(self) -> None:
        """Put the state on the disk."""
        keep(Path(self.options.state), self.rows)


async def _run(options: Options) -> int:
    settings = load_settings()
    clock = clock_of(settings.rehearsal)
    vendor: Any = load_vendor(options.source)
    more: Any = {"cluster" if options.source == "polygon" else "feed": options.feed, "backfill": "no"}
    if options.plan_symbols >= 0:
        more["plan_symbols"] = options.plan_symbols
    stream = vendor.stream(options.symbols, options.channels, settings=settings, wall=clock, **more)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    out, _ = await loop.connect_write_pipe(lambda: _Reader(stop), os.fdopen(os.dup(sys.stdout.fileno()), "wb", 0))
    feed = Feed(options, settings, clock, stream, out)
    async with stream:
        stopped = asyncio.create_task(stop.wait())
        opened = asyncio.create_task(feed.open())
        try:
            await asyncio.wait({opened, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if opened.done():
                opened.result()
                tasks = [asyncio.create_task(feed.listen()), asyncio.create_task(feed.beat())]
                if options.book:
                    tasks.append(asyncio.create_task(_read_books(feed)))
                await _first_failure(tasks, stopped)
        finally:
            opened.cancel()
            stopped.cancel()
        if options.state and feed.begun:
            feed.keep()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5.0):
            while out.get_write_buffer_size() and not out.is_closing():  # noqa: ASYNC110  # the transport has no word for it
                await asyncio.sleep(0.01)
    return 0


async def _first_failure(tasks: list[asyncio.Task[None]], stopped: asyncio.Task[Any]) -> None:
    """Return when told to stop; what a task raises is raised here."""
    try:
        pending: set[asyncio.Task[Any]] = {*tasks, stopped}
        while not stopped.done() and len(pending) > 1:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read_books(feed: Feed) -> None:
    """Books from standard input until it ends; a bad frame ends the feed."""
    import io

    reader = asyncio.StreamReader(limit=BACKLOG)
    loop = asyncio.get_running_loop()
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    except (ValueError, OSError):
        raise UsageError("--book reads books from standard input, which is no pipe here; leave it out") from None
    while True:
        try:
            head = await reader.readexactly(_LENGTH.size)
            body = await reader.readexactly(_LENGTH.unpack(head)[0])
        except asyncio.IncompleteReadError:
            return
        for snap in decode_books(io.BytesIO(head + body)):
            feed.see(snap)


class _Reader(asyncio.Protocol):
    """Who reads our frames; when they leave, so do we."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def connection_lost(self, _: Exception | None) -> None:
        self._stop.set()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
