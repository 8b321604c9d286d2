"""The wire itself, spoken by hand: what the vendors' manuals say a server answers."""

import asyncio
import contextlib
import json
import urllib.error
import urllib.request

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from data.sources.random_walk import random_bars
from live.sandbox.faults import Faults
from live.sandbox.market_tape import market_of_events, market_of_rows
from live.sandbox.server import Sandbox, running
from live.sandbox.terms import Terms

AUTH = {"action": "auth", "key": "sandbox-key", "secret": "sandbox-secret"}


@pytest.fixture(scope="module")
def market():
    return market_of_rows(*random_bars(390, ("AAPL", "MSFT"), 7, "1m", start=20240102))


@contextlib.asynccontextmanager
async def wire(market, path, speed=60.0, faults="", headers=None, **terms):
    sandbox = Sandbox(market, speed=speed, live=True, terms=Terms(**terms), faults=Faults.parse(faults))
    await sandbox.start()
    try:
        async with connect(f"{sandbox.ws_url}/{path}", proxy=None, additional_headers=headers or {}) as socket:
            yield sandbox, socket
    finally:
        await sandbox.stop()


async def say(socket, told):
    await socket.send(told if isinstance(told, str) else json.dumps(told))
    return json.loads(await socket.recv())


SCRIPTS = {
    "a wrong key": ([{**AUTH, "secret": "x"}], 402, {}),
    "subscribing before logging in": ([{"action": "subscribe", "trades": ["AAPL"]}], 401, {}),
    "logging in twice": ([AUTH, AUTH], 403, {}),
    "too many symbols": (
        [AUTH, {"action": "subscribe", "trades": ["A", "B"], "quotes": ["A"]}],
        405,
        {"alpaca_symbols": 2},
    ),
    "a plan without the feed": ([AUTH, {"action": "subscribe", "trades": ["A"]}], 409, {"plan": "basic"}),
    "a channel that is none": ([AUTH, {"action": "subscribe", "candles": ["A"]}], 410, {}),
    "nothing": ([AUTH, {"action": "subscribe"}], 400, {}),
    "not a message": ([AUTH, "{"], 400, {}),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_alpaca_answers_a_mistake_with_its_code(market, script):
    messages, code, terms = SCRIPTS[script]

    async def scene():
        async with wire(market, "v2/sip", **terms) as (_, socket):
            assert json.loads(await socket.recv()) == [{"T": "success", "msg": "connected"}]
            for message in messages:
                last = await say(socket, message)
            return last

    ((error),) = asyncio.run(scene())
    assert (error["T"], error["code"]) == ("error", code)


def test_alpaca_says_who_was_late_and_who_came_second(market):
    async def scene():
        async with wire(market, "v2/iex", auth_s=60.0) as (sandbox, socket):
            await socket.recv()
            assert await say(socket, AUTH) == [{"T": "success", "msg": "authenticated"}]
            async with connect(f"{sandbox.ws_url}/v2/iex", proxy=None) as second:
                await second.recv()
                assert (await say(second, AUTH))[0]["code"] == 406
        async with wire(market, "v2/iex", auth_s=0.1) as (_, late):
            await late.recv()
            assert json.loads(await late.recv())[0]["code"] == 404
            with pytest.raises(ConnectionClosed):
                await late.recv()

    asyncio.run(scene())


def test_alpaca_in_json_and_in_msgpack_says_the_same(market):
    async def bars(headers, read, write):
        async with wire(market, "v2/iex", 600.0, headers=headers) as (_, socket):
            await socket.recv()
            await socket.send(write(AUTH))
            await socket.recv()
            await socket.send(write({"action": "subscribe", "bars": ["*"]}))
            assert read(await socket.recv())[0]["bars"] == ["*"]
            found = {}
            while len(found) < 8:
                found |= {
                    (each["S"], str(each["t"])[:16].replace("T", " ")): each for each in read(await socket.recv())
                }
            return found

    told = asyncio.run(bars({}, json.loads, json.dumps))
    packed = asyncio.run(bars({"Content-Type": "application/msgpack"}, msgspec.msgpack.decode, msgspec.msgpack.encode))
    assert len(set(told) & set(packed)) >= 2
    for mark in set(told) & set(packed):
        assert told[mark] | {"t": ""} == packed[mark] | {"t": ""}
        assert told[mark]["t"] == packed[mark]["t"].isoformat().replace("+00:00", ".000000000Z")
        assert next(iter(told[mark])) == "T"


def test_a_slow_reader_is_told_and_closed(market):
    async def scene():
        async with wire(market, "stocks", 1000.0, "ws.slow@60s") as (_, socket):
            await socket.recv()
            await say(socket, {"action": "auth", "params": "sandbox-key"})
            await say(socket, {"action": "subscribe", "params": "Q.*"})
            told = []
            with contextlib.suppress(ConnectionClosed):
                while True:
                    told += json.loads(await socket.recv())
            return told[-1]["status"], socket.close_code

    assert asyncio.run(scene()) == ("slow_consumer", 1000)


def test_an_unknown_path_is_not_a_stream(market):
    from websockets.exceptions import InvalidStatus

    async def scene():
        async with wire(market, "v3/nothing"):
            pass

    with pytest.raises(InvalidStatus, match="404"):
        asyncio.run(scene())


def ask(sandbox, path, **headers):
    request = urllib.request.Request(sandbox.http_url + path, headers=headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


KEYS = {"APCA-API-KEY-ID": "sandbox-key", "APCA-API-SECRET-KEY": "sandbox-secret"}
BEARER = {"Authorization": "Bearer sandbox-key"}
PATHS = {
    "alpaca without a key": ("/v2/stocks/bars?symbols=AAPL", {}, 401, "message"),
    "alpaca without symbols": ("/v2/stocks/bars", KEYS, 400, "message"),
    "alpaca with a bad symbol": ("/v2/stocks/bars?symbols=aapl!", KEYS, 400, "message"),
    "alpaca with a bad timeframe": ("/v2/stocks/bars?symbols=AAPL&timeframe=1Sec", KEYS, 400, "message"),
    "alpaca's empty bars": ("/v2/stocks/bars?symbols=ZZZ&start=2024-01-01", KEYS, 200, "bars"),
    "alpaca's latest quote": ("/v2/stocks/quotes/latest?symbols=AAPL", KEYS, 200, "quotes"),
    "alpaca's snapshots": ("/v2/stocks/snapshots?symbols=AAPL", KEYS, 200, "AAPL"),
    "alpaca's crypto book, without a key": ("/v1beta3/crypto/us/latest/orderbooks?symbols=AAPL", {}, 200, "orderbooks"),
    "polygon without a key": ("/v2/last/nbbo/AAPL", {}, 401, "error"),
    "polygon with the key in the query": ("/v2/last/nbbo/AAPL?apiKey=sandbox-key", {}, 200, "results"),
    "polygon's last trade": ("/v2/last/trade/AAPL", BEARER, 200, "results"),
    "polygon's day before": ("/v2/aggs/ticker/AAPL/prev", BEARER, 200, "results"),
    "polygon's snapshot": ("/v2/snapshot/locale/us/markets/stocks/tickers/AAPL", BEARER, 200, "ticker"),
    "polygon's crypto book": ("/v2/snapshot/locale/global/markets/crypto/tickers/X:AAPL/book", BEARER, 200, "data"),
    "polygon of nobody": ("/v2/last/trade/ZZZ", BEARER, 404, "message"),
    "polygon the wrong way round": ("/v2/aggs/ticker/AAPL/range/1/day/2024-01-09/2024-01-02", BEARER, 400, "error"),
    "robinhood's instrument": ("/instruments/?symbol=AAPL", {}, 200, "results"),
    "robinhood's book without a session": ("/marketdata/pricebook/snapshots/x/", {}, 401, "detail"),
    "nothing": ("/v9/nothing", KEYS, 404, "message"),
}


@pytest.fixture(scope="module")
def sandbox(market):
    with running(Sandbox(market)) as served:
        yield served


@pytest.mark.parametrize("case", PATHS)
def test_rest_answers(sandbox, case):
    path, headers, status, field = PATHS[case]
    found, body = ask(sandbox, path, **headers)
    assert (found, field in body) == (status, True), body


def test_pages_of_both_vendors_join_without_a_seam(sandbox, market):
    path, rows, token = "/v2/stocks/bars?symbols=AAPL,MSFT&timeframe=1Min&start=2024-01-02&limit=137", [], ""
    while token is not None:
        _, body = ask(sandbox, f"{path}&page_token={token}" if token else path, **KEYS)
        rows += [(symbol, each["t"]) for symbol, found in body["bars"].items() for each in found]
        token = body["next_page_token"]
    assert len(rows) == len(set(rows)) == 2 * 390
    path, times = "/v2/aggs/ticker/AAPL/range/5/minute/2024-01-02/2024-01-02?limit=100", []
    while path:
        _, body = ask(sandbox, path, **BEARER)
        assert len(body["results"]) <= 20  # the limit counts the minutes looked at
        times += [each["t"] for each in body["results"]]
        path = body.get("next_url", "").removeprefix("https://api.polygon.io")
    assert times == sorted(set(times))
    assert len(times) == 78


def test_a_live_market_knows_nothing_later_than_now(market):
    with running(Sandbox(market, live=True, begin_ns=market.first_ns + 3600 * 10**9)) as served:
        path = "/v2/stocks/bars?symbols=AAPL&timeframe=1Min&start=2024-01-02&limit=1000"
        bars = ask(served, path, **KEYS)[1]["bars"]["AAPL"]
        trades = ask(served, "/v2/stocks/trades?symbols=AAPL&start=2024-01-02&limit=1000", **KEYS)[1]["trades"]["AAPL"]
    assert len(bars) == 60
    assert bars[-1]["t"] == "2024-01-02T15:29:00.000000000Z"
    assert trades[-1]["t"] <= "2024-01-02T15:30:02"


def test_a_recording_of_events_is_served_as_it_was(market):
    from data.events import Quote, Trade

    ts = 1_704_205_800 * 10**9
    events = [Trade("X", ts + i * 10**9, ts, 10.0 + i, 5.0 + i, trade_id=str(i)) for i in range(90)]
    events.insert(3, Quote("X", ts + 5, ts, 9.0, 11.0, 100.0, 200.0))
    recorded = market_of_events(events)
    with running(Sandbox(recorded)) as served:
        body = ask(served, "/v2/stocks/bars?symbols=X&timeframe=1Min&start=2024-01-02", **KEYS)[1]["bars"]["X"]
        quote = ask(served, "/v2/stocks/quotes/latest?symbols=X", **KEYS)[1]["quotes"]["X"]
    assert [(bar["o"], bar["h"], bar["l"], bar["c"], bar["n"]) for bar in body] == [
        (10.0, 69.0, 10.0, 69.0, 60),
        (70.0, 99.0, 70.0, 99.0, 30),
    ]
    assert (quote["bp"], quote["bs"], quote["as"]) == (9.0, 1, 2)


def test_a_halt_of_the_tape_is_told_to_alpaca_s_clients_as_it_begins_and_ends():
    from live.sandbox.feed import feed

    bars, book = random_bars(20 * 390, ("AAPL", "MSFT"), 7, "1m", gaps=True, start=20240102)
    halted = market_of_rows(bars, book)
    told = [each for each in feed(halted, Faults(), halted.first_ns, halted.last_ns) if each.kind == "status"]
    assert len(told) >= 2
    for symbol in halted.symbols:
        own = [each for each in told if each.symbol == symbol]
        assert [each.values for each in own] == [(0.0,), (1.0,)] * (len(own) // 2)
        for halt, resumption in zip(own[::2], own[1::2], strict=True):
            trades = halted.tape(symbol).trades.ts
            assert not ((trades > halt.at) & (trades < resumption.at)).any()


def test_a_feed_is_in_order_and_whole_wherever_it_begins(market):
    from live.sandbox.feed import feed

    whole = list(feed(market, Faults(), market.first_ns, market.last_ns + 60 * 10**9))
    assert [each.due for each in whole] == sorted(each.due for each in whole)
    for kind, count in (("trade", 4 * 390 * 2), ("bar", 390 * 2), ("day", 390 * 2)):
        assert sum(each.kind == kind for each in whole) == count
    middle = market.first_ns + 47 * 60 * 10**9
    part = [each for each in feed(market, Faults(), middle, market.last_ns) if each.kind in ("trade", "bar")]
    assert part == [each for each in whole if each.kind in ("trade", "bar") and middle <= each.due <= market.last_ns]
    assert whole[-1].values[4] == market.tape(whole[-1].symbol).bars.volume.sum()  # the day's bar, complete
