"""Price books polled as L2: four symbols a call, within a budget, with gaps where they do not come."""

import asyncio
import itertools

import pytest

from data.calendar import SECOND_NS
from data.errors import AuthError, DataError, UnavailableError, UsageError
from data.events import BookSnapshot, Gap
from data.sources.robinhood_book import books_of, stream


class FakeTime:
    """A clock that goes on only when somebody waits."""

    def __init__(self):
        self.ns = 1_704_205_800 * SECOND_NS

    def now(self):
        return self.ns

    def sleep(self, seconds):
        self.ns += int(seconds * SECOND_NS)

    async def pause(self, seconds):
        self.sleep(seconds)
        await asyncio.sleep(0)


def answer(symbols, stamp, size=100):
    book = {"asks": [{"price": "10.02", "quantity": size}, {"price": "10.01", "quantity": 5}]}
    book |= {"bids": [{"price": "9.99", "quantity": 7}, {"price": "10.00", "quantity": size}]}
    return {"data": {"books": [{"symbol": symbol, "updated_at": stamp, **book} for symbol in symbols]}}


async def take(events, count):
    found = []
    async for event in events:
        found.append(event)
        if len(found) == count:
            break
    await events.aclose()
    return found


def test_six_symbols_are_asked_for_four_and_two_at_a_time_within_the_budget():
    clock, calls = FakeTime(), []

    async def fetch(symbols):
        calls.append((clock.ns, len(symbols)))
        return answer(symbols, f"2024-01-02T14:30:{len(calls) % 60:02}.000000001Z")

    asyncio.run(take(stream([f"S{i}" for i in range(6)], fetch=fetch, wall=clock, requests_a_minute=30), 600))
    assert {count for _, count in calls} == {4, 2}
    for start, _ in calls:
        assert sum(start <= at < start + 60 * SECOND_NS for at, _ in calls) <= 30


def test_a_book_is_best_first_with_both_clocks_and_not_repeated():
    clock, told = FakeTime(), ["2024-01-02T14:29:59.123456789Z"] * 3 + ["2024-01-02T14:30:01Z"]

    async def fetch(symbols):
        return answer(symbols, told.pop(0) if len(told) > 1 else told[0])

    first, second = asyncio.run(take(stream(["A"], fetch=fetch, wall=clock), 2))
    assert isinstance(first, BookSnapshot)
    assert first.bids == ((10.0, 100.0), (9.99, 7.0))
    assert first.asks == ((10.01, 5.0), (10.02, 100.0))
    assert first.venue_ts == 1_704_205_799_123_456_789
    assert second.venue_ts == 1_704_205_801 * SECOND_NS
    assert second.recv_ts - first.recv_ts >= 6 * SECOND_NS  # two unchanged answers between them


def test_answers_that_do_not_come_are_a_gap_after_ten_seconds_and_then_its_whole_length():
    clock, calls = FakeTime(), []

    async def fetch(symbols):
        calls.append(clock.ns)
        if 2 <= len(calls) <= 7:
            raise UnavailableError("no")
        return answer(symbols, f"2024-01-02T14:30:{len(calls):02}Z")

    book, loss, back, again = asyncio.run(take(stream(["A"], fetch=fetch, wall=clock), 4))
    assert isinstance(book, BookSnapshot)
    assert isinstance(again, BookSnapshot)
    assert isinstance(loss, Gap)
    assert isinstance(back, Gap)
    assert 10 * SECOND_NS < loss.end_ts - loss.start_ts < 30 * SECOND_NS
    assert back.start_ts == loss.start_ts == book.recv_ts
    assert back.end_ts == again.recv_ts
    waits = [b - a for a, b in itertools.pairwise(calls[1:7])]
    assert all(b > a for a, b in itertools.pairwise(waits))  # 1, 2, 4, ... s


def test_a_session_that_is_over_and_a_tool_that_changed_end_it():
    async def refused(symbols):
        raise AuthError("log in again: python -m live login")

    async def changed(symbols):
        return {"data": {"snapshots": []}}

    for fetch, error in ((refused, AuthError), (changed, DataError)):
        with pytest.raises(error):
            asyncio.run(take(stream(["A"], fetch=fetch, wall=FakeTime()), 1))
    with pytest.raises(UsageError, match="above 0"):
        asyncio.run(take(stream(["A"], fetch=changed, wall=FakeTime(), every_s=0.0), 1))


def test_the_sandbox_s_books_are_read_from_both_routes(day_market, serve):
    import json
    import urllib.error
    import urllib.request

    from live.sandbox.robinhood_rest import instrument_id

    sandbox = serve(day_market)

    def ask(path, body=None, key="sandbox-key"):
        request = urllib.request.Request(
            f"{sandbox.http_url}{path}", data=body, headers={"Authorization": f"Bearer {key}"}
        )
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    tool = "/mcp/tools/get_equity_price_book"
    (book,) = books_of(ask(tool, b'{"symbols": ["AAPL"]}'), 1)
    private = ask(f"/marketdata/pricebook/snapshots/{instrument_id('AAPL')}/")
    (same,) = books_of({"books": [{"symbol": "AAPL", **private}]}, 1)
    assert book == same
    quote = ask("/quotes/?symbols=AAPL,NONE")["results"]
    assert float(quote[0]["bid_price"]) == book.bids[0][0]
    assert quote[1] is None
    for body, key, status in (
        (b'{"symbols": ["A","B","C","D","E"]}', "sandbox-key", 400),
        (b'{"symbols": ["AAPL"]}', "x", 401),
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(tool, body, key)
        assert caught.value.code == status
        caught.value.close()
