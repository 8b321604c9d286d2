"""What a stream promises, one promise a test: refusals, limits, waits, silence, slow readers, proven losses."""

import asyncio
import contextlib
import logging

import pytest

from data.calendar import MINUTE_NS, SECOND_NS
from data.errors import AuthError, UsageError
from data.events import Bar, BookDelta, BookSnapshot, Gap, Quote, Trade
from data.sources import alpaca, polygon
from data.sources.http import Patience
from live.sandbox.faults import Faults
from live.sandbox.server import Sandbox
from live.sandbox.terms import Terms

VENDORS = {"alpaca": (alpaca, {"feed": "iex"}), "polygon": (polygon, {"cluster": "stocks"})}
QUICK = Patience(attempts=3, first_s=0.001, longest_s=0.01, timeout_s=30.0)
each_vendor = pytest.mark.parametrize("name", VENDORS)


@contextlib.asynccontextmanager
async def live(market, faults="", speed=120.0, **terms):
    sandbox = Sandbox(market, speed=speed, live=True, faults=Faults.parse(faults), terms=Terms(**terms))
    await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.stop()


def open_stream(name, sandbox, settings, symbols=("AAPL",), channels=("trades", "quotes", "bars"), **more):
    vendor, own = VENDORS[name]
    return vendor.stream(symbols, channels, settings=settings, wall=sandbox.clock, patience=QUICK, **{**own, **more})


@contextlib.asynccontextmanager
async def listening(name, market, settings_of, faults="", speed=120.0, terms=None, **more):
    async with (
        live(market, faults, speed, **(terms or {})) as sandbox,
        open_stream(name, sandbox, settings_of(sandbox), **more) as events,
    ):
        yield sandbox, events


async def first(stream, wanted, seconds=60.0):
    """The first event for which `wanted` is true."""
    async with asyncio.timeout(seconds):
        async for event in stream:
            if wanted(event):
                return event
    raise AssertionError("the stream ended")


@each_vendor
def test_a_wrong_key_ends_the_stream_with_an_auth_error(name, day_market, settings_of):
    async def scene():
        async with live(day_market) as sandbox:
            settings = settings_of(sandbox, APCA_API_SECRET_KEY="hunter2", MASSIVE_API_KEY="hunter2")
            async with open_stream(name, sandbox, settings) as events:
                await first(events, lambda event: True)

    with pytest.raises(AuthError, match="refuses") as caught:
        asyncio.run(scene())
    assert "hunter2" not in str(caught.value)


@each_vendor
def test_no_log_at_any_level_holds_the_key(name, day_market, settings_of, caplog):
    caplog.set_level(logging.DEBUG)

    async def scene():
        async with listening(name, day_market, settings_of) as (_, events):
            await first(events, lambda event: isinstance(event, Trade))
            assert "sandbox-" not in repr(events) + repr(events._dialect)

    asyncio.run(scene())
    ours = [record for record in caplog.records if record.name != "websockets.server"]  # the sandbox's own side
    assert not any("sandbox-key" in record.getMessage() or "sandbox-secret" in record.getMessage() for record in ours)


@each_vendor
def test_a_plan_without_the_stream_ends_it_with_an_auth_error(name, day_market, settings_of):
    async def scene():
        async with live(day_market, plan="basic") as sandbox:
            more = {"feed": "sip"} if name == "alpaca" else {}
            async with open_stream(name, sandbox, settings_of(sandbox), **more) as events:
                await first(events, lambda event: True)

    with pytest.raises(AuthError, match=r"subscription|plan"):
        asyncio.run(scene())


@each_vendor
def test_more_symbols_than_the_vendor_s_limit_end_the_stream(name, day_market, settings_of):
    async def scene():
        async with live(day_market, alpaca_symbols=2, polygon_symbols=1) as sandbox:
            stream = open_stream(name, sandbox, settings_of(sandbox), ("AAPL", "MSFT"), plan_symbols=0)
            async with stream as events:
                await first(events, lambda event: True)

    with pytest.raises(UsageError, match=r"refuses the stream: (symbol limit|your plan is limited)"):
        asyncio.run(scene())


def test_the_plan_s_symbols_are_counted_before_anything_is_sent(day_market, serve, settings_of):
    settings = settings_of(serve(day_market))
    with pytest.raises(UsageError, match="6 symbols asked for; the plan allows a stream of 5"):
        polygon.stream([f"S{i}" for i in range(6)], settings=settings)
    with pytest.raises(UsageError, match="32 channels of trades and quotes asked for; the plan allows 30"):
        alpaca.stream([f"S{i}" for i in range(16)], settings=settings)
    minutes = alpaca.stream([f"S{i}" for i in range(400)], ["bars"], settings=settings)  # those are not counted
    asyncio.run(minutes.aclose())


@each_vendor
def test_a_second_stream_with_the_key_is_refused_here(name, day_market, serve, settings_of):
    vendor, own = VENDORS[name]
    settings = settings_of(serve(day_market))
    held = vendor.stream(["AAPL"], settings=settings, **own)
    with pytest.raises(UsageError, match=r"allows one connection to .* and process \d+ has it"):
        vendor.stream(["MSFT"], settings=settings, **own)
    asyncio.run(held.aclose())
    asyncio.run(vendor.stream(["MSFT"], settings=settings, **own).aclose())


@pytest.mark.parametrize(
    ("name", "channels", "sentence"),
    [
        ("alpaca", ["books"], "Alpaca has no channel 'books' on iex"),
        ("alpaca", ["second_bars"], "Alpaca has no channel 'second_bars'"),
        ("polygon", ["statuses"], "Polygon has no channel 'statuses' in stocks"),
    ],
)
def test_a_channel_that_the_vendor_has_not_is_refused(name, channels, sentence, day_market, serve, settings_of):
    vendor, own = VENDORS[name]
    with pytest.raises(UsageError, match=sentence):
        vendor.stream(["AAPL"], channels, settings=settings_of(serve(day_market)), **own)


@each_vendor
def test_an_error_of_the_reader_reaches_the_reader(name, day_market, settings_of):
    async def scene():
        async with live(day_market) as sandbox, open_stream(name, sandbox, settings_of(sandbox)) as events:
            async for _ in events:
                raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        asyncio.run(scene())


@each_vendor
def test_a_taken_connection_is_waited_for_and_not_hammered(name, day_market, settings_of):
    async def scene():
        held = {"taken_s": 60.0}
        async with listening(name, day_market, settings_of, "ws.limit@20s", 100.0, held) as (sandbox, events):
            gaps = []
            while not (gaps and "is back" in gaps[-1].reason and sandbox.faults.injected):
                gaps.append(await first(events, lambda event: isinstance(event, Gap)))
            await first(events, lambda event: isinstance(event, Quote))
            return gaps[-2:], sandbox.faults.injected[0].ts, events.stats, sandbox.streams.connections

    (loss, back), taken, stats, connections = asyncio.run(scene())
    assert loss.start_ts <= loss.end_ts <= loss.recv_ts < taken + 60 * SECOND_NS  # told while it is still taken
    assert back.start_ts == loss.start_ts <= taken
    assert back.end_ts >= taken + 60 * SECOND_NS
    assert all(wait >= 1.0 for wait in stats.waits)
    assert connections == len(stats.waits) + 1  # none without a wait before it
    assert connections <= 8


def test_waits_are_spread_by_the_seed_alone(day_market, settings_of):
    async def waits(seed):
        terms = ("alpaca", day_market, settings_of, "ws.limit@10s", 200.0, {"taken_s": 30.0})
        async with listening(*terms, seed=seed) as (_, events):
            await first(events, lambda event: len(events.stats.waits) > 0)
            return events.stats.waits[:1]

    assert asyncio.run(waits(1)) == asyncio.run(waits(1)) != asyncio.run(waits(2))


def test_silence_while_the_exchange_is_open_is_a_gap_after_ten_seconds(day_market, settings_of):
    async def scene():
        async with listening("alpaca", day_market, settings_of, "ws.stall@40s", 20.0) as (sandbox, events):
            last = 0
            async with asyncio.timeout(60):
                async for event in events:
                    if isinstance(event, Gap) and event.reason == "no data came":
                        break
                    last = event.recv_ts
            await first(events, lambda event: isinstance(event, Trade))
            return last, event, sandbox.faults.injected[0].ts, events.stats.stalls

    last, gap, stalled, stalls = asyncio.run(scene())
    assert stalls == 1
    assert last <= gap.start_ts <= gap.end_ts - 10 * SECOND_NS
    assert stalled < gap.end_ts


class Slow:
    """A clock whose waits end late: the process did not run meanwhile. `late` seconds, of each in turn."""

    def __init__(self, *late):
        self.ns, self.late = 1_704_211_200 * SECOND_NS, list(late)  # a Wednesday's noon in New York

    def now(self):
        return self.ns

    async def pause(self, seconds):
        self.ns += int((seconds + (self.late.pop(0) if self.late else 0.0)) * SECOND_NS)
        await asyncio.sleep(0)


class Silent:
    """A connection that is there and says nothing. ended: when it was given up."""

    def __init__(self, clock):
        self.transport, self.ended = self, 0
        self.abort = lambda: setattr(self, "ended", clock.now())


@pytest.mark.parametrize(
    ("late", "ends"),
    [((), 11.0), ((3_600.0,), 10.0 + 3_600.0), ((40.0, 0.0, 40.0), 9.0 + 80.0), ((0.5,) * 30, 10.5)],
    ids=["on time", "asleep for an hour", "held up twice", "always a little late"],
)
def test_time_in_which_the_process_did_not_run_is_no_silence(late, ends, day_market, serve, settings_of):
    async def scene():
        stream = alpaca.stream(["AAPL"], settings=settings_of(serve(day_market)), wall=clock, patience=QUICK)
        stream._mark_whole()
        await stream._watch(wire)
        await stream.aclose()

    clock = Slow(*late)
    began, wire = clock.now(), Silent(clock)
    asyncio.run(scene())
    assert (wire.ended - began) / SECOND_NS == ends


@each_vendor
def test_every_channel_becomes_its_event(name, day_market, settings_of):
    async def scene():
        channels = ["trades", "quotes", "bars", "bands"]
        channels += ["updated_bars", "daily_bars"] if name == "alpaca" else ["second_bars"]
        found = {}

        def is_last(event):
            extra = f" {event.interval}{' updated' * event.updated}" if isinstance(event, Bar) else ""
            found.setdefault(type(event).__name__ + extra, event)
            return set(found) >= {"Trade", "Quote", "Bar 1m", "Status"} | more

        asked = {"symbols": ("MSFT",), "channels": channels}
        async with listening(name, day_market, settings_of, "ws.late=0.3;seed=1", **asked) as (_, events):
            await first(events, is_last)
        return found

    more = {"Bar 1m updated", "Bar 1d updated"} if name == "alpaca" else {"Bar 1s"}
    found = asyncio.run(scene())
    tape = day_market.tape("MSFT")
    trade, bar, bands = found["Trade"], found["Bar 1m"], found["Status"]
    assert trade.price == tape.trades.price[int(trade.trade_id) - 1]
    assert trade.venue_ts == tape.trades.ts[int(trade.trade_id) - 1]
    assert bar.venue_ts % MINUTE_NS == 0
    assert bar.venue_ts - MINUTE_NS in tape.bars.start
    assert not bar.extended
    assert bands.state == "bands"
    assert bands.limit_down < trade.price < bands.limit_up


def test_crypto_books_of_alpaca_are_a_snapshot_then_changes_and_of_polygon_snapshots(day_market, settings_of):
    async def scene():
        async with live(day_market) as sandbox:
            settings, books = settings_of(sandbox), {}
            for name, more in (("alpaca", {"feed": "crypto"}), ("polygon", {"cluster": "crypto"})):
                kinds = books.setdefault(name, [])
                async with open_stream(name, sandbox, settings, ("AAPL",), ("books",), **more) as events:
                    while len(kinds) < 3:
                        kinds.append(await first(events, lambda event: isinstance(event, BookSnapshot | BookDelta)))
            return books

    books = asyncio.run(scene())
    assert [type(each) for each in books["alpaca"]] == [BookSnapshot, BookDelta, BookDelta]
    assert [type(each) for each in books["polygon"]] == [BookSnapshot] * 3
    book = books["polygon"][0]
    assert book.bids[0][0] < book.asks[0][0]
    assert list(book.bids) == sorted(book.bids, reverse=True)
    assert all(price > 0 for each in books["alpaca"] for price, _ in (*each.bids, *each.asks))


def test_a_reader_that_stops_reading_stops_the_socket_and_not_the_memory(day_market, settings_of):
    async def scene():
        async with listening("polygon", day_market, settings_of, speed=600.0, limit=50) as (sandbox, events):
            await first(events, lambda event: True)
            while len(events._outlet) < events._outlet.limit:  # noqa: ASYNC110  # of a task of the stream's own
                await asyncio.sleep(0.01)
            stalls, full = events.stats.stalls, sandbox.clock.now()
            while sandbox.clock.now() < full + 600 * SECOND_NS:  # a second of ours, sixty times what a stall takes
                await asyncio.sleep(0.05)
                assert len(events._outlet) <= 50 + 250  # one frame more than the limit
            return events.stats.stalls - stalls

    assert asyncio.run(scene()) == 0  # the silence was ours
