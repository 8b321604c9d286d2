"""Hours of stream with every fault on: what came is the tape's, once; what did not come lies in a marked gap.

And the rows that `LiveRows` builds from what came, with history asked for the minutes of gaps, against the batch build
over the whole tape. What must be equal, bit for bit:

* every row is there, once, in order: none is missing, none is made up, from the first whole minute on;
* prices and volume of every row, as they are known at the end (a trade that came late, or was dropped by the vendor
  and missed only by its minute's bar, revises its row), inside and outside of gaps: the vendor's history has every
  minute, so no gap may be left;
* prices and volume as they were first given out, where no gap touches the row and nothing in it came later than the
  row waits;
* the book features of these same rows, where no quote or trade of the symbol was dropped, doubled or overtaken by the
  plan of faults in this row or the one before it (a dropped quote leaves no mark: only the plan knows of it).
"""

import asyncio
import os
import struct
from dataclasses import dataclass, field

import numpy as np
import pytest

from data.calendar import MINUTE_NS, SECOND_NS, session_columns
from data.errors import OnetapeError
from data.events import Bar, Gap, Quote, Trade
from data.feed_rows import OVERTAKE_NS, LiveRows
from data.rowbuilder import RowBuilder
from data.rowbuilder_batch import rows_from_events
from data.rows import Revision, Row, rows_of
from data.sources import alpaca, alpaca_backfill, polygon, polygon_backfill
from data.sources.http import Patience
from data.sources.polygon_http import load_package
from data.sources.stream_dialect import StreamStats
from data.types import Bars
from live.sandbox.faults import Faults
from live.sandbox.market_tape import market_of_rows
from live.sandbox.server import Sandbox

QUICK = Patience(attempts=5, first_s=0.001, longest_s=0.01, timeout_s=30.0)
SYMBOLS = ("AAA", "BBB")
MESSAGES = "ws.drop=0.004,ws.drop@50,ws.duplicate=0.05,ws.reorder=0.03"
SHORT = (
    f"{MESSAGES},ws.cut@200s,ws.stall@500s,ws.close@900s,ws.lost@1200s,ws.slow@1500s,ws.garbage@1650s,ws.limit@1800s,"
    "ws.stale@2300s"
)
LONG = (
    f"{MESSAGES},429=0.05,500=0.05,ws.cut=1/h,ws.stall=0.5/h,ws.close=0.5/h,ws.lost=0.5/h,ws.slow=0.3/h,ws.garbage=1/h,"
    "ws.limit=0.5/h,ws.stale=0.5/h;seed=24"
)


def round_the_clock(minutes):
    """A market that never closes, from midnight UTC of a Wednesday on."""
    rng = np.random.default_rng(5)
    shape = (minutes, len(SYMBOLS))
    ts = 1_704_240_000 * SECOND_NS + np.arange(1, minutes + 1) * MINUTE_NS
    close = 100.0 + np.cumsum(rng.integers(-5, 6, shape), axis=0) / 100.0
    open_ = np.vstack([close[:1], close[:-1]])
    high, low = np.maximum(open_, close) + 0.05, np.minimum(open_, close) - 0.05
    volume = rng.integers(4, 400, shape).astype(float) * 4.0
    bars = Bars(SYMBOLS, ts, open_, high, low, close, volume, *session_columns(ts, "1m"))
    return market_of_rows(bars)


WAIT_S = 60.0
HELD_S = 4 * 3_600.0
GRACE_NS = 20 * MINUTE_NS
"""How long after the end bars may still be filled in: seconds of a machine that is busy with something else."""


def builder():
    """Waits for a minute: at hundreds of times the wall's speed every message is late."""
    return RowBuilder(SYMBOLS, "1m", hours="always", wait_s=WAIT_S, revise_s=HELD_S, conditions=False)


def minute_of(ts):
    """The close of the minute of an instant."""
    return ts // MINUTE_NS * MINUTE_NS + MINUTE_NS


@dataclass
class Heard:
    """What one client received. gaps: (symbol, start, end) of all that were marked, by what had come before."""

    trades: dict = field(default_factory=dict)
    bars: dict = field(default_factory=dict)
    doubles: int = 0
    gaps: list = field(default_factory=list)
    began: int = 0
    stats: StreamStats | None = None
    rows: LiveRows = field(default_factory=lambda: LiveRows(builder(), patience_s=1e6))
    out: list = field(default_factory=list)
    late: set = field(default_factory=set)

    def build(self, event):
        """The event into rows; notes minutes in which something came later than a row waits."""
        if not self.rows.builder.begun:
            self.out += self.rows.begin(event.recv_ts, event.recv_ts)
        if isinstance(event, Trade | Quote) and event.recv_ts - event.venue_ts > WAIT_S * SECOND_NS / 2:
            self.late.add((event.symbol, minute_of(event.venue_ts)))
        self.out += self.rows.take(event)

    def take(self, event):
        if isinstance(event, Trade):
            self.began = self.began or event.recv_ts
            mark = (event.symbol, int(event.trade_id))
            self.doubles += mark in self.trades
            self.trades[mark] = (event.venue_ts, event.price, event.size)
            self._last = event.venue_ts
        elif isinstance(event, Bar):
            self.doubles += (event.symbol, event.venue_ts) in self.bars
            self.bars[event.symbol, event.venue_ts] = (event.open, event.high, event.low, event.close, event.volume)
        elif isinstance(event, Gap):
            assert event.start_ts <= event.end_ts <= event.recv_ts
            start = event.start_ts if event.symbol else min(event.start_ts, getattr(self, "_last", event.start_ts))
            assert "could not be had" not in event.reason, event.reason
            self.gaps.append((event.symbol, start, event.end_ts))

    def is_marked(self, symbol, ts, before=0):
        """Whether the minute of an instant is touched by a gap, which begins `before` ns earlier than marked."""
        minute = ts // MINUTE_NS * MINUTE_NS
        return any(
            each in ("", symbol) and start - before < minute + MINUTE_NS and end >= minute
            for each, start, end in self.gaps
        )


def is_all_there(heard, market, end):
    """Whether every symbol trades behind the end, and every minute bar before it came, by the stream or filled in."""
    for symbol in SYMBOLS:
        closes = (market.tape(symbol).bars.start + MINUTE_NS).tolist()
        wanted = {(symbol, close) for close in closes if heard.began + MINUTE_NS < close < end}
        if not wanted <= heard.bars.keys() or not any(
            name == symbol and ts >= end for (name, _), (ts, *_) in reversed(heard.trades.items())
        ):
            return False
    return True


async def listen(market, minutes, speed, faults, settings_of, watch=lambda heard: None):
    from alpaca.data.historical import StockHistoricalDataClient  # noqa: F401  # pandas takes minutes of this tape

    load_package()
    sandbox = Sandbox(market, speed=speed, live=True, faults=Faults.parse(faults))
    sandbox.clock.start_ns -= 30 * SECOND_NS
    await sandbox.start()
    end = market.first_ns // MINUTE_NS * MINUTE_NS + minutes * MINUTE_NS
    heard = {"alpaca": Heard(), "polygon": Heard()}
    common = {"settings": settings_of(sandbox), "wall": sandbox.clock, "seed": 3, "patience": QUICK}
    channels = ["trades", "quotes", "bars"]
    streams = {
        "alpaca": alpaca.stream(SYMBOLS, channels, feed="test", **common),
        "polygon": polygon.stream(SYMBOLS, channels, cluster="crypto", requests_a_minute=1000, **common),
    }

    settings, terms = settings_of(sandbox), (sandbox.clock, QUICK)
    histories = {
        "alpaca": alpaca_backfill.backfill_of(settings, "test", *terms, requests_a_minute=10_000),
        "polygon": polygon_backfill.backfill_of(settings, "crypto", *terms, requests_a_minute=10_000),
    }

    async def fill(name):
        """What the rows ask of history, through the vendor's own SDK."""
        rows, clock = heard[name].rows, sandbox.clock
        while True:
            await asyncio.sleep(0.02)
            if rows.builder.begun and streams[name].is_idle:
                heard[name].out += rows.tick(clock.now())
            if (asked := rows.wants(clock.now())) is not None:
                try:
                    bars = await asyncio.to_thread(histories[name], SYMBOLS, asked.start, asked.end)
                except OnetapeError:
                    bars = None
                heard[name].out += rows.filled(asked, bars, clock.now())

    async def read(name):
        async with streams[name] as events:
            async for event in events:
                heard[name].take(event)
                heard[name].build(event)
                watch(heard)
                if event.recv_ts >= end and (is_all_there(heard[name], market, end) or event.recv_ts > end + GRACE_NS):
                    heard[name].stats = events.stats
                    return

    fills = [asyncio.create_task(fill(name)) for name in streams]
    try:
        async with asyncio.timeout(minutes * 60 / speed * 3 + 120):
            await asyncio.gather(*map(read, streams))
            while any(each.rows.holds or each.rows.minutes for each in heard.values()):
                assert not any(task.done() for task in fills), [task.exception() for task in fills if task.done()]
                await asyncio.sleep(0.02)
    finally:
        for task in fills:
            task.cancel()
        await asyncio.gather(*fills, return_exceptions=True)
        await sandbox.stop()
    return sandbox, heard, end


def check(heard, market, end):
    for symbol in SYMBOLS:
        tape = market.tape(symbol)
        for i, (ts, price, size) in enumerate(zip(*(column.tolist() for column in tape.trades), strict=True)):
            told = heard.trades.get((symbol, i + 1))
            if told is not None:
                assert told == (ts, price, size)
            elif heard.began + MINUTE_NS < ts < end - 2 * MINUTE_NS:
                assert heard.is_marked(symbol, ts), f"trade {i + 1} of {symbol} is missing and no gap says so"
        lost = 0
        for row in zip(*(column.tolist() for column in tape.bars), strict=True):
            close = row[0] + MINUTE_NS
            if heard.began + MINUTE_NS < close < end - 4 * MINUTE_NS:
                lost += (symbol, close) not in heard.bars
                assert heard.bars.get((symbol, close), row[1:6]) == row[1:6]
        assert lost == 0, f"{lost} minute bars of {symbol} were neither sent nor filled in"
        last = max(ts for (name, _), (ts, _, _) in heard.trades.items() if name == symbol)
        assert last > end - 2 * MINUTE_NS, f"{symbol} fell silent: a subscription was lost"
    assert heard.doubles == 0
    assert heard.stats.doubles > 0
    assert all(wait >= 1.0 for wait in heard.stats.waits)


def bits(values):
    return [b"nan" if value != value else struct.pack("<d", value) for value in values]


def truth_of(name, market, end):
    """The rows of the batch build over the true tape, as this vendor would have told it."""

    def size_of(shares):
        return max(shares // 100, 1) * 100.0 if name == "alpaca" else shares  # Alpaca tells whole lots

    events = []
    for symbol in SYMBOLS:
        tape = market.tape(symbol)
        for i, (ts, *values) in enumerate(zip(*(column.tolist() for column in tape.trades), strict=True)):
            events.append(Trade(symbol, ts, ts, *values, aggressor=SIDE_OF[name], trade_id=str(i + 1)))
        for ts, bid, ask, *sizes in zip(*(column.tolist() for column in tape.quotes), strict=True):
            ts = ts // NS_OF[name] * NS_OF[name]
            events.append(Quote(symbol, ts, ts, bid, ask, *map(size_of, sizes)))
    events.sort(key=lambda each: (each.recv_ts, type(each) is Quote))
    built = rows_from_events([each for each in events if each.recv_ts < end], SYMBOLS, "1m", hours="always")
    return {row.ts: row for row in rows_of(built.bars, built.book)}


NS_OF = {"alpaca": 1, "polygon": 1_000_000}
SIDE_OF = {"alpaca": "", "polygon": "sell"}  # the crypto cluster says who crossed the spread


def check_rows(name, heard, market, end, injected):
    """See the first lines of this file."""
    truth = truth_of(name, market, end)
    first = minute_of(heard.began) + MINUTE_NS
    given = [each for each in heard.out if isinstance(each, Row)]
    last = min(given[-1].ts, minute_of(end) - 5 * MINUTE_NS)
    assert last > end - 10 * MINUTE_NS
    times = [row.ts for row in given]
    wanted = [ts for ts in truth if first <= ts <= last]
    assert times == sorted(set(times))
    assert [ts for ts in times if first <= ts <= last] == wanted
    assert heard.rows.unfilled == 0

    revised = {each.row.ts for each in heard.out if isinstance(each, Revision)}
    known = {row.ts: row for row in given} | {each.row.ts: each.row for each in heard.out if isinstance(each, Revision)}
    seen = {row.ts: row for row in given}
    # The rows are careful: they count a gap from some seconds earlier on.
    touched = {ts for ts in wanted if any(heard.is_marked(symbol, ts - 1, OVERTAKE_NS) for symbol in SYMBOLS)}
    spoiled = {(symbol, minute_of(at)) for at, symbol in injected}
    first_given = features = 0
    for ts in wanted:
        for column in ("open", "high", "low", "close", "volume"):
            assert bits(getattr(known[ts], column)) == bits(getattr(truth[ts], column)), (ts, column)
        if ts in touched or any((symbol, ts) in heard.late for symbol in SYMBOLS):
            continue
        assert ts not in revised
        first_given += 1
        if ts - MINUTE_NS in touched or ts - MINUTE_NS not in seen:
            continue
        for j, symbol in enumerate(SYMBOLS):
            if {(symbol, ts), (symbol, ts - MINUTE_NS)} & (spoiled | heard.late):
                continue
            features += 1
            shown = [column[j] for column in seen[ts].book]
            assert bits(shown) == bits([column[j] for column in truth[ts].book]), (ts, symbol)
    return len(wanted), len(touched), first_given, features


def test_an_hour_with_every_fault_loses_nothing_unmarked_and_gives_the_rows_of_the_tape(settings_of):
    market = round_the_clock(90)
    sandbox, heard, end = asyncio.run(listen(market, 50, 150.0, SHORT, settings_of))
    assert {each.name for each in sandbox.faults.injected} >= {
        "ws.cut",
        "ws.stall",
        "ws.close",
        "ws.lost",
        "ws.slow",
        "ws.garbage",
        "ws.limit",
        "ws.drop",
        "ws.duplicate",
    }
    spoiled = spoiled_of(sandbox)
    for name, each in heard.items():
        check(each, market, end)
        rows, touched, *_ = check_rows(name, each, market, end, spoiled)
        assert rows > 40
        assert touched > 5
        assert each.stats.stalls >= 2
        assert each.stats.backfilled > 0
        assert each.stats.bad > 0


def spoiled_of(sandbox):
    """(venue time, symbol) of every trade and quote that the plan dropped, doubled or let be overtaken."""
    names = ("ws.drop", "ws.duplicate", "ws.reorder")
    return {(each.ts, each.what.split()[1]) for each in sandbox.faults.injected if each.name in names}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_day_and_night_with_every_fault_in_flat_memory(settings_of):
    """24 hours of the tape at 200 times the wall's speed; `ONETAPE_SPEED` sets another."""
    psutil = pytest.importorskip("psutil")
    market = round_the_clock(24 * 60)
    process, sizes = psutil.Process(), []
    begin = market.first_ns

    def watch(heard):
        last = max(getattr(each, "_last", 0) for each in heard.values())
        if last > begin + (len(sizes) + 1) * 60 * MINUTE_NS:
            sizes.append(process.memory_info().rss / 2**20)

    speed = float(os.environ.get("ONETAPE_SPEED", "200"))
    sandbox, heard, end = asyncio.run(listen(market, 24 * 60 - 30, speed, LONG, settings_of, watch))
    spoiled = spoiled_of(sandbox)
    for name, each in heard.items():
        check(each, market, end)
        rows, touched, first_given, features = check_rows(name, each, market, end, spoiled)
        assert rows > 1_400
        assert touched > 20
        assert first_given > 500
        assert features > 100
    assert max(sizes[-3:]) - max(sizes[4:7]) < 24.0, sizes  # megabytes, most of them this test's own lists
