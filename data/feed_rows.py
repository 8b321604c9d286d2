"""Live events to rows that may be believed: a minute that was not received whole waits for its vendor's own bar.

    rows = LiveRows(RowBuilder(["AAPL"], "1m"))
    rows.begin(warm_until, now)
    for event in stream: send(rows.take(event))
    ... while nothing comes: send(rows.tick(now))
    while (asked := rows.wants(now)):           # ask the vendor's history, then
        send(rows.filled(asked, bars, now))

The builder's clock does not pass the close of a row while one of its minutes is touched by a `Gap` and has no bar
yet: what comes meanwhile waits, in order, and is given to the builder with the time at which it came. So a row behind
a gap is late and right. The bar comes with the stream, or history is asked for it: when the minute is over, and twice
more, for vendors publish late. After `patience_s` the row goes out as it is and counts as `unfilled`. A loss that only
shows later, when a bar holds more than came, revises the row that was given out.

Rows shorter than a minute, and those that end by volume or trades, have no bar to wait for: they go out as they are.
Time is an argument everywhere; the same calls give the same rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from data.calendar import MINUTE_NS, SECOND_NS
from data.errors import UsageError
from data.events import Bar, Gap, MarketEvent, Status, Trade
from data.rowbuilder import Output, RowBuilder
from data.rowbuilder_state import CLOSE, START, STEP

ASKED_AFTER_S = (2.0, 5.0, 12.0)
"""Seconds after a minute's close at which history is asked for it; what the last answer lacks did not trade."""
AGAIN_S = 5.0
OVERTAKE_NS = 5 * SECOND_NS
"""A minute that was over for less than this when the feed was lost counts as lost, too: messages overtake each other,
and its bar, by which a dropped trade would have been noticed, had not come or not been compared."""
REMEMBERED_NS = 90 * MINUTE_NS
BARS_WAIT_S = 5.0
NEVER = 1 << 62

Prices = tuple[float, float, float, float, float]


class Asked(NamedTuple):
    """Minutes whose bars history is asked for: those that close after `start` and until `end`, ns."""

    start: int
    end: int
    now: int


@dataclass
class WaitingMinute:
    """A minute that was not received whole. symbols: that lack it. due: when history is to be asked, ns; `NEVER`."""

    symbols: set[str]
    due: int
    deadline: int
    asking: bool = False
    settled: bool = False


@dataclass
class LiveRows:
    """Rows of a live feed.

    Args:
        builder: fresh, or restored. patience_s: how long a row waits for history once its feed is back.
        from_bars: rows are made of the vendor's minute bars, and trades are not subscribed. A row then goes out once
        every symbol has its bar, or five seconds after its close: who has none did not trade.

    Attributes:
        gaps: losses so far. unfilled: minutes that went out without their bar. lost: since when the feed is, 0: it is
            not. newest: the venue's time of the newest event, ns. now: the newest receive time. first: start of the
            first row.
        queue, minutes, bars: what waits for a row to be filled, and with what. stood: minutes whose bar stands for
            their trades, also for those that come later.
    """

    builder: RowBuilder
    patience_s: float = 30.0
    from_bars: bool = False
    gaps: int = 0
    unfilled: int = 0
    lost: int = 0
    newest: int = 0
    now: int = 0
    first: int = 0
    _since: int = 0  # of what is lost, the first instant that has not been made good yet
    queue: deque[MarketEvent] = field(default_factory=deque)
    minutes: dict[int, WaitingMinute] = field(default_factory=dict)
    bars: dict[tuple[str, int], Prices] = field(default_factory=dict)
    stood: dict[tuple[str, int], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        step = self.builder.g[STEP]
        self.fills = not self.builder.counted and step % MINUTE_NS == 0
        if self.from_bars and not self.fills:
            raise UsageError(f"rows of {self.builder.clock} cannot be made of minute bars; stream trades, or take 1m")

    @property
    def holds(self) -> bool:
        """A row waits for history."""
        return bool(self.queue) or (bool(self.lost) and self.fills)

    def begin(self, since: int, now: int) -> Output:
        """The feed is whole from `now` on; rows begin with the one that holds `since`, which history must fill.

        Rows that were `resumed` go on where they stood.
        """
        self.now = max(self.now, now)
        if self.builder.begun:
            since, self.lost = self._since, 0
        else:
            self.builder.begin(since, since + 1)
            since = self.first = self.builder.g[START]
        self._touch(("",), since, now)
        return self._drain()

    def resumed(self, now: int) -> None:
        """The rows were restored as they stood at `self.now`; what came since is lost."""
        gap = Gap("", 0, now, self.now, now, "the feed was started again")
        self.now = now
        self._gap(gap)
        for minute in self.minutes.values():
            minute.deadline = max(minute.deadline, now + int(self.patience_s * SECOND_NS))
        self.queue.append(gap)

    def put(self, event: MarketEvent) -> Output:
        """Take in what did not come by the stream: a book that was asked for, or that it is too old."""
        self.now = max(self.now, event.recv_ts)
        self.queue.append(event)
        return self._drain()

    def take(self, event: MarketEvent) -> Output:
        """Take in one event of the stream; the rows that are known because of it."""
        self.now = max(self.now, event.recv_ts or event.venue_ts)
        kind = type(event)
        if kind is Gap:
            self._gap(event)  # type: ignore[arg-type]
        elif kind is Bar:
            self._remember(event)  # type: ignore[arg-type]
            return self._drain() if self.minutes or self.from_bars else []
        elif kind is not Status and event.venue_ts > self.newest:
            self.newest = event.venue_ts
        if self.queue or ((self.minutes or self.from_bars) and self.now >= self.builder.g[CLOSE]):
            self.queue.append(event)
            return self._drain()
        return self._give(event)

    def tick(self, now: int) -> Output:
        """It is `now` and everything received before has been taken in; the rows whose time is over."""
        self.now = max(self.now, now)
        if self.lost and self.fills:
            self._touch(("",), self._since, self.now)
        return self._drain()

    def wants(self, now: int) -> Asked | None:
        """What history is to be asked for now; to be answered by `filled`."""
        due = [close for close, minute in self.minutes.items() if not minute.asking and minute.due <= now]
        due = [close for close in due if self._lacks(close)]
        if not due:
            return None
        for close in due:
            self.minutes[close].asking = True
        return Asked(min(due) - MINUTE_NS, max(due), now)

    def filled(self, asked: Asked, bars: Iterable[Bar] | None, now: int) -> Output:
        """History's answer; None: there was none, and it is asked again."""
        self.now = max(self.now, now)
        for bar in bars or ():
            self._remember(bar)
        for close, minute in self.minutes.items():
            if not minute.asking or not asked.start < close <= asked.end:
                continue
            minute.asking = False
            if bars is None:
                minute.due = now + int(AGAIN_S * SECOND_NS)
                continue
            last = int(ASKED_AFTER_S[-1] * SECOND_NS)
            minute.settled = asked.now >= close + last
            later = (close + int(seconds * SECOND_NS) for seconds in ASKED_AFTER_S)
            minute.due = next((at for at in later if at > asked.now), close + last)
        return self._drain()

    def finish(self) -> Output:
        """The feed has ended: what waits, waits no more; the row that is open stays open."""
        for minute in self.minutes.values():
            minute.deadline = 0
        self.lost = 0
        return self._drain()

    def _gap(self, gap: Gap) -> None:
        """A loss begins, ends, or is learned of."""
        if gap.symbol or gap.end_ts < gap.recv_ts:
            self.gaps += 1
            self._touch((gap.symbol,), gap.start_ts, gap.end_ts)
        elif not self.lost:
            self.gaps += 1
            # What was on its way when the connection broke had happened before it.
            before = min(gap.start_ts, self.newest or gap.start_ts) - OVERTAKE_NS
            self.lost = self._since = max(before, 1)
            self._touch(("",), self._since, gap.end_ts)
        else:
            self._touch(("",), self._since, gap.end_ts)
            self.lost = 0

    def _touch(self, symbols: tuple[str, ...], start: int, end: int) -> None:
        """The minutes from `start` to `end` are not whole for these symbols; "": for all."""
        if not self.fills or not self.builder.begun:
            return
        named = set(self.builder.symbols) if "" in symbols else {each for each in symbols if each in self.builder.index}
        until = self.now + int(self.patience_s * SECOND_NS)
        for close in self._closes(max(start, self.first), end):
            minute = self.minutes.get(close)
            if minute is None:
                due = max(close + int(ASKED_AFTER_S[0] * SECOND_NS), self.now)
                self.minutes[close] = WaitingMinute(set(named), due, max(until, close + until - self.now))
            else:
                minute.symbols |= named
                minute.deadline = max(minute.deadline, until)
                minute.due = self.now if minute.due == NEVER else minute.due

    def _closes(self, start: int, end: int) -> Iterator[int]:
        """Closes of the minutes with rows that [start, end] touches."""
        opens, closes = self.builder.segments.opens, self.builder.segments.closes
        at = start // MINUTE_NS * MINUTE_NS
        while at < end:
            segment = bisect_right(closes, at)
            if segment == len(closes):
                return
            at = max(at, opens[segment])
            if at < end:
                yield at + MINUTE_NS
            at += MINUTE_NS

    def _remember(self, bar: Bar) -> None:
        if bar.interval != "1m" or bar.symbol not in self.builder.index:
            return
        if self.from_bars and self.builder.begun and bar.venue_ts <= self.builder.g[START]:
            self.minutes.setdefault(bar.venue_ts, WaitingMinute(set(), NEVER, 0)).symbols.add(bar.symbol)
        self.bars[bar.symbol, bar.venue_ts] = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        oldest = next(iter(self.bars))
        if oldest[1] < bar.venue_ts - REMEMBERED_NS and oldest[1] not in self.minutes:
            del self.bars[oldest]

    def _lacks(self, close: int) -> bool:
        """A symbol of this minute has no bar yet, and one may still come."""
        minute = self.minutes[close]
        return not minute.settled and any((symbol, close) not in self.bars for symbol in minute.symbols)

    def _waits(self, close: int) -> bool:
        """The row that holds this minute must wait for it."""
        return self._lacks(close) and (bool(self.lost) or self.now < self.minutes[close].deadline)

    def _drain(self) -> Output:
        """Give the builder what waits, and the time that has passed, as far as nothing holds it back."""
        out: Output = []
        if not self.builder.begun and not self.queue:
            return out
        self._settle_shown()
        while self.queue:
            event = self.queue[0]
            if not self._reach(event.recv_ts or event.venue_ts, out):
                return out
            out += self._give(self.queue.popleft())
        if self._reach(self.now, out):
            out += self.builder.advance(self.now)
        return out

    def _give(self, event: MarketEvent) -> Output:
        """To the builder; a trade that comes when the bar of its minute is there already is in that bar."""
        if self.stood and type(event) is Trade:
            minute = (event.venue_ts or event.recv_ts) // MINUTE_NS * MINUTE_NS
            if (event.symbol, minute + MINUTE_NS) in self.stood:
                return self.builder.advance(event.recv_ts or event.venue_ts)
        return self.builder.feed(event)

    def _reach(self, ts: int, out: Output) -> bool:
        """Close every row that is over at `ts`, its minutes filled; False where one must wait."""
        g = self.builder.g
        while (self.minutes or self.from_bars) and self.builder.begun and ts >= (close := g[CLOSE]):
            if self.from_bars:
                for each in self._closes(g[START], close):
                    wait = each + int(BARS_WAIT_S * SECOND_NS)
                    self.minutes.setdefault(each, WaitingMinute(set(self.builder.symbols), NEVER, wait))
            inside = sorted(each for each in self.minutes if each <= close)
            if any(map(self._waits, inside)):
                return False
            for each in inside:
                self._apply(each)
            out += self.builder.advance(close)
        return True

    def _settle_shown(self) -> None:
        """Minutes of rows that were given out: revised as soon as their bars are here."""
        start = self.builder.g[START]
        for close in [each for each in self.minutes if each <= start]:
            if not self._waits(close):
                self._apply(close)

    def _apply(self, close: int) -> None:
        """The bars of a minute take the place of its trades."""
        minute = self.minutes.pop(close)
        self._since = max(self._since, close)
        lacking = 0
        for symbol in self.builder.symbols:
            if symbol in minute.symbols:
                prices = self.bars.pop((symbol, close), None)
                if prices is not None:
                    self.builder.revised.replace_minute(self.builder.index[symbol], close, prices, self.now)
                    self.stood[symbol, close] = True
                else:
                    lacking += 1
        while self.stood and (oldest := next(iter(self.stood)))[1] < close - REMEMBERED_NS:
            del self.stood[oldest]
        self.unfilled += bool(lacking and not minute.settled and minute.due != NEVER)
