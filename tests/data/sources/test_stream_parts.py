"""What a stream is made of, part by part: the queue, the checks, the hours, the reading of frames."""

import asyncio

import msgspec
import pytest

from data.calendar import MINUTE_NS, SECOND_NS
from data.events import Bar, Quote, Status, Trade
from data.sources.stream_checks import Audit, Recent
from data.sources.stream_hours import Hours
from data.sources.stream_queue import Outlet


def test_silence_at_night_is_no_gap():
    hours = Hours()
    night, noon, early = 1_704_250_800, 1_704_211_200, 1_720_027_800
    assert hours.open_since(night * SECOND_NS) is None  # 2024-01-03 03:00 UTC
    assert hours.open_since(noon * SECOND_NS) == 1_704_205_800 * SECOND_NS
    assert hours.open_since(early * SECOND_NS) is None  # 2024-07-03 13:30 New York: closed at 13:00
    assert hours.is_extended(1_704_205_800 * SECOND_NS)  # the bar that closes as the session opens
    assert not hours.is_extended(1_704_229_200 * SECOND_NS)  # the one that closes with it


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


def test_a_minute_that_was_over_before_a_gap_is_compared_with_the_bar_that_is_filled_in_after_it():
    audit = Audit()
    audit.restart(1)
    audit.add(Trade("A", MINUTE_NS, MINUTE_NS, 1.0, 10.0))
    lost = BAR.venue_ts + SECOND_NS
    audit.restart(lost + 20 * SECOND_NS, lost)
    audit.add(msgspec.structs.replace(BAR, recv_ts=lost + 22 * SECOND_NS))
    (found,) = audit.losses(10 * MINUTE_NS, "X")
    assert (found.symbol, found.start_ts, found.end_ts) == ("A", MINUTE_NS, 2 * MINUTE_NS)
    audit.add(msgspec.structs.replace(BAR, venue_ts=3 * MINUTE_NS))  # this one is the gap's
    assert audit.losses(10 * MINUTE_NS, "X") == []


def test_one_bad_item_does_not_take_its_neighbours_along():
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


def test_status_codes_of_both_tapes_are_told_apart():
    from data.sources.alpaca_wire import StatusMessage, status_of
    from live.sandbox.alpaca_stream import timestamp

    states = {
        code: status_of(StatusMessage("A", timestamp(0), code), 1).state for code in ("T", "H", "2", "3", "P", "?")
    }
    assert states == {"T": "trading", "H": "halted", "2": "halted", "3": "trading", "P": "paused", "?": "halted"}
    assert isinstance(status_of(StatusMessage("A", timestamp(0), "T"), 1), Status)
