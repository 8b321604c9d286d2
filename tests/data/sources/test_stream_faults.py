"""Hours of stream with every fault on: what came is the tape's, once; what did not come lies in a marked gap."""

import asyncio
import os
from dataclasses import dataclass, field

import numpy as np
import pytest

from data.calendar import MINUTE_NS, SECOND_NS, session_columns
from data.events import Bar, Gap, Trade
from data.sources import alpaca, polygon
from data.sources.http import Patience
from data.sources.stream_dialect import StreamStats
from data.types import Bars
from live.sandbox.faults import Faults
from live.sandbox.market_tape import market_of_rows
from live.sandbox.server import Sandbox

QUICK = Patience(attempts=5, first_s=0.001, longest_s=0.01, timeout_s=5.0)
SYMBOLS = ("AAA", "BBB")
MESSAGES = "ws.drop=0.004,ws.drop@50,ws.duplicate=0.05,ws.reorder=0.03"
SHORT = (
    f"{MESSAGES},ws.cut@90s,ws.stall@150s,ws.close@240s,ws.lost@300s,ws.slow@400s,ws.garbage@430s,ws.limit@460s,"
    "ws.stale@620s"
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


@dataclass
class Heard:
    """What one client received. gaps: (symbol, start, end) of all that were marked, by what had come before."""

    trades: dict = field(default_factory=dict)
    bars: dict = field(default_factory=dict)
    doubles: int = 0
    gaps: list = field(default_factory=list)
    began: int = 0
    stats: StreamStats | None = None

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

    def is_marked(self, symbol, ts):
        """Whether the minute of an instant is touched by a gap."""
        minute = ts // MINUTE_NS * MINUTE_NS
        return any(
            each in ("", symbol) and start < minute + MINUTE_NS and end >= minute for each, start, end in self.gaps
        )


async def listen(market, minutes, speed, faults, settings_of, watch=lambda heard: None):
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

    async def read(name):
        async with streams[name] as events:
            async for event in events:
                heard[name].take(event)
                watch(heard)
                if event.recv_ts >= end:
                    heard[name].stats = events.stats
                    return

    try:
        async with asyncio.timeout(minutes * 60 / speed * 3 + 30):
            await asyncio.gather(*map(read, streams))
    finally:
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


def test_quarter_of_an_hour_with_every_fault_loses_nothing_unmarked(settings_of):
    market = round_the_clock(20)
    sandbox, heard, end = asyncio.run(listen(market, 15, 120.0, SHORT, settings_of))
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
    for each in heard.values():
        check(each, market, end)
        assert each.stats.stalls >= 2
        assert each.stats.backfilled > 0
        assert each.stats.bad > 0


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_day_and_night_with_every_fault_in_flat_memory(settings_of):
    """24 hours of the tape at 300 times the wall's speed; `ONETAPE_SPEED` sets another."""
    psutil = pytest.importorskip("psutil")
    market = round_the_clock(24 * 60)
    process, sizes = psutil.Process(), []
    begin = market.first_ns

    def watch(heard):
        last = max(getattr(each, "_last", 0) for each in heard.values())
        if last > begin + (len(sizes) + 1) * 60 * MINUTE_NS:
            sizes.append(process.memory_info().rss / 2**20)

    speed = float(os.environ.get("ONETAPE_SPEED", "300"))
    _, heard, end = asyncio.run(listen(market, 24 * 60 - 5, speed, LONG, settings_of, watch))
    for each in heard.values():
        check(each, market, end)
    assert max(sizes[-3:]) - max(sizes[4:7]) < 24.0, sizes  # megabytes, most of them this test's own lists
