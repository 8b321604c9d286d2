"""What a stream promises, one promise a test: refusals, limits, waits, silence, slow readers, proven losses."""

import asyncio
import contextlib
import logging
import time

import pytest

from data.calendar import MINUTE_NS, SECOND_NS
from data.errors import AuthError, UsageError
from data.events import Bar, BookDelta, BookSnapshot, Gap, Quote, Status, Trade
from data.sources import alpaca, polygon
from data.sources.http import Patience
from data.sources.stream_checks import Audit, Recent
from data.sources.stream_hours import Hours
from data.sources.stream_queue import Outlet
from live.sandbox.faults import Faults
from live.sandbox.server import Sandbox
from live.sandbox.terms import Terms

VENDORS = {"alpaca": (alpaca, {"feed": "iex"}), "polygon": (polygon, {"cluster": "stocks"})}
QUICK = Patience(attempts=3, first_s=0.001, longest_s=0.01, timeout_s=2.0)
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


async def first(stream, wanted, seconds=10.0):
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
            loss = await first(events, lambda event: isinstance(event, Gap))
            back = await first(events, lambda event: isinstance(event, Gap))
            await first(events, lambda event: isinstance(event, Quote))
            return loss, back, events.stats, sandbox.streams.connections

    loss, back, stats, connections = asyncio.run(scene())
    assert loss.end_ts - loss.start_ts < 30 * SECOND_NS
    assert back.start_ts == loss.start_ts
    assert back.end_ts - back.start_ts > 50 * SECOND_NS
    assert all(wait >= 1.0 for wait in stats.waits)
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
            gap = await first(events, lambda event: isinstance(event, Gap) and event.reason == "no data came")
            await first(events, lambda event: isinstance(event, Trade))
            return gap, sandbox.faults.injected[0].ts, events.stats.stalls

    gap, stalled, stalls = asyncio.run(scene())
    assert stalls == 1
    assert 10.0 <= (gap.end_ts - gap.start_ts) / SECOND_NS < 30.0
    assert abs(gap.start_ts - stalled) < 10 * SECOND_NS


def test_silence_at_night_is_no_gap():
    hours = Hours()
    night, noon, early = 1_704_250_800, 1_704_211_200, 1_720_027_800
    assert hours.open_since(night * SECOND_NS) is None  # 2024-01-03 03:00 UTC
    assert hours.open_since(noon * SECOND_NS) == 1_704_205_800 * SECOND_NS
    assert hours.open_since(early * SECOND_NS) is None  # 2024-07-03 13:30 New York: closed at 13:00
    assert hours.is_extended(1_704_205_800 * SECOND_NS)  # the bar that closes as the session opens
    assert not hours.is_extended(1_704_229_200 * SECOND_NS)  # the one that closes with it


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


def test_a_slow_reader_gets_the_newest_quote_and_every_trade():
    async def scene():
        outlet = Outlet(limit=4)
        for i in range(10):
            outlet.put(Quote("A", i, i, 1.0, 2.0, float(i), 1.0))
            if i % 3 == 0:
                outlet.put(Trade("A", i, i, 1.0, float(i)))
        assert len(outlet) <= 4 + 3
        room = asyncio.ensure_future(outlet.room())
        await asyncio.sleep(0)
        assert not room.done()
        got = [await outlet.get() for _ in range(len(outlet))]
        await room
        return outlet.conflated, got

    conflated, got = asyncio.run(scene())
    assert [each.size for each in got if isinstance(each, Trade)] == [0.0, 3.0, 6.0, 9.0]
    assert next(each for each in reversed(got) if isinstance(each, Quote)).bid_size == 9.0
    assert conflated == 10 - sum(isinstance(each, Quote) for each in got)
    assert [each.venue_ts for each in got] == sorted(each.venue_ts for each in got)


def test_doubles_are_found_across_a_bounded_past():
    recent = Recent(remembered=100)
    trades = [Trade("A", i, i, 1.0, 1.0, trade_id=str(i), exchange="V") for i in range(1_000)]
    assert not any(recent.is_double(each) for each in trades)
    assert all(recent.is_double(each) for each in trades[-100:])
    assert not recent.is_double(trades[0])  # long forgotten
    quote = Quote("A", 1, 1, 1.0, 2.0, 1.0, 1.0)
    assert [recent.is_double(quote), recent.is_double(quote)] == [False, True]


BAR = Bar("A", 2 * MINUTE_NS, 2 * MINUTE_NS, "1m", 1.0, 1.0, 1.0, 1.0, 30.0, trades=3)
SIZES = {"all came": ([10, 10, 10], 0), "one is missing": ([10, 10], 1), "more came than count": ([10, 10, 10, 5], 0)}


@pytest.mark.parametrize("case", SIZES)
def test_a_bar_that_holds_more_than_came_proves_a_loss(case):
    sizes, losses = SIZES[case]
    audit = Audit()
    audit.restart(0)
    for i, size in enumerate(sizes):
        audit.add(Trade("A", MINUTE_NS + i, MINUTE_NS + i, 1.0, float(size)))
    audit.add(BAR)
    assert audit.losses(BAR.recv_ts, "X") == []  # its last trades may still come
    found = audit.losses(BAR.recv_ts + 3 * SECOND_NS, "X")
    assert len(found) == losses
    assert all((each.start_ts, each.end_ts) == (MINUTE_NS, 2 * MINUTE_NS) for each in found)


def test_a_bar_that_was_sent_is_not_filled_in_again_with_other_prices():
    recent = Recent()
    assert not recent.has(BAR)
    assert not recent.is_double(BAR)
    assert recent.has(Bar("A", BAR.venue_ts, 0, "1m", 2.0, 2.0, 2.0, 2.0, 31.0))


def test_a_minute_that_a_gap_touches_is_not_compared():
    audit = Audit()
    audit.restart(MINUTE_NS + 1)
    audit.add(BAR)
    assert audit.losses(10 * MINUTE_NS, "X") == []


def test_one_bad_item_does_not_take_its_neighbours_along():
    import msgspec

    from data.sources.alpaca_wire import read_frame as read_alpaca
    from data.sources.polygon_wire import read_frame as read_polygon
    from live.sandbox.alpaca_stream import timestamp

    good = {"T": "t", "S": "A", "p": 1.0, "s": 1, "t": timestamp(1_700_000_000_123_456_789)}
    frame = msgspec.msgpack.encode([good, {**good, "t": "a text"}, {"T": "news"}, good])
    assert [len(read_alpaca(frame)[0]), read_alpaca(frame)[1]] == [2, 2]
    told = {"ev": "T", "sym": "A", "p": 1.0, "t": 1_700_000_000_123}
    frame = msgspec.json.encode([told, {"ev": "NEW"}, {**told, "p": "x"}, told])
    assert [len(read_polygon(frame)[0]), read_polygon(frame)[1]] == [2, 2]
    assert read_polygon(b'{"ev": "status"}') == ([], 1)


def test_times_are_read_by_their_size_and_to_the_nanosecond():
    from data.sources.alpaca_wire import nanoseconds as of_msgpack
    from data.sources.polygon_wire import nanoseconds
    from live.sandbox.alpaca_stream import timestamp

    assert of_msgpack(timestamp(1_700_000_000_123_456_789)) == 1_700_000_000_123_456_789
    second = 1_700_000_000
    assert {nanoseconds(second * 10**n) for n in (0, 3, 6, 9)} == {second * SECOND_NS}


def test_a_reader_that_stops_reading_stops_the_socket_and_not_the_memory(day_market, settings_of):
    async def scene():
        async with listening("polygon", day_market, settings_of, speed=600.0, limit=50) as (_, events):
            await first(events, lambda event: True)
            began = time.monotonic()
            while time.monotonic() - began < 1.0:
                await asyncio.sleep(0.05)
                assert len(events._outlet) <= 50 + 250  # one frame more than the limit
            return events.stats.stalls

    assert asyncio.run(scene()) == 0  # the silence was ours


def test_status_codes_of_both_tapes_are_told_apart():
    from data.sources.alpaca_wire import StatusMessage, status_of
    from live.sandbox.alpaca_stream import timestamp

    states = {
        code: status_of(StatusMessage("A", timestamp(0), code), 1).state for code in ("T", "H", "2", "3", "P", "?")
    }
    assert states == {"T": "trading", "H": "halted", "2": "halted", "3": "trading", "P": "paused", "?": "halted"}
    assert isinstance(status_of(StatusMessage("A", timestamp(0), "T"), 1), Status)
