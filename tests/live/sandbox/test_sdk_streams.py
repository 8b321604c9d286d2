"""The vendors' own stream clients, unmodified, connect to the sandbox and receive from it."""

import asyncio
import contextlib

import pytest

from data.sources.polygon_http import load_package
from data.sources.random_walk import random_bars
from live.sandbox.faults import Faults
from live.sandbox.market import Market
from live.sandbox.market_tape import market_of_rows
from live.sandbox.server import Sandbox
from live.sandbox.terms import Terms


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture(scope="module")
def market() -> Market:
    return market_of_rows(*random_bars(390, ("AAPL", "MSFT"), 7, "1m", start=20240102))


@contextlib.asynccontextmanager
async def live(market, faults="", speed=120.0, **terms):
    sandbox = Sandbox(market, speed=speed, live=True, faults=Faults.parse(faults), terms=Terms(**terms))
    await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.stop()


async def until(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # it waits for others' objects to change
            await asyncio.sleep(0.01)


def alpaca_stream(sandbox, path="v2/iex", key="", **options):
    from alpaca.data.live import StockDataStream

    return StockDataStream(
        key or sandbox.terms.key, sandbox.terms.secret, url_override=f"{sandbox.ws_url}/{path}", **options
    )


@contextlib.asynccontextmanager
async def running(stream):
    task = asyncio.create_task(stream._run_forever())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stream.close()


@pytest.mark.parametrize("raw", [False, True])
def test_alpaca_py_receives_every_channel(market, raw):
    async def scene():
        heard = {name: [] for name in ("trades", "quotes", "bars", "updated", "daily")}

        def into(name):
            async def handler(item):
                heard[name].append(item)

            return handler

        async with live(market, "ws.late=0.3;seed=1") as sandbox:
            stream = alpaca_stream(sandbox, raw_data=raw)
            stream.subscribe_trades(into("trades"), "AAPL")
            stream.subscribe_quotes(into("quotes"), "AAPL", "MSFT")
            stream.subscribe_bars(into("bars"), "*")
            stream.subscribe_updated_bars(into("updated"), "AAPL")
            stream.subscribe_daily_bars(into("daily"), "AAPL")
            async with running(stream):
                await until(lambda: all(heard.values()))
        return heard

    heard = asyncio.run(scene())
    if raw:
        first = heard["trades"][0]
        assert first["t"].seconds * 10**9 + first["t"].nanoseconds in set(market.tape("AAPL").trades.ts.tolist())
    else:
        trade = heard["trades"][0]
        assert trade.price == market.tape("AAPL").trades.price[int(trade.id) - 1]
        assert {each.symbol for each in heard["quotes"]} <= {"AAPL", "MSFT"}
        assert heard["updated"][0].volume == pytest.approx(
            next(
                v
                for start, v in zip(market.tape("AAPL").bars.start, market.tape("AAPL").bars.volume, strict=True)
                if start == int(heard["updated"][0].timestamp.timestamp()) * 10**9
            )
        )


def test_alpaca_py_subscribes_to_nine_thousand_symbols_in_fragments(market):
    async def scene():
        async with live(market) as sandbox:
            stream = alpaca_stream(sandbox)
            bars = []

            async def on_bar(bar):
                bars.append(bar)

            stream.subscribe_bars(on_bar, "AAPL", *(f"S{i:05}" for i in range(9_000)))
            async with running(stream):
                await until(lambda: bars)
            return bars[0].symbol

    assert asyncio.run(scene()) == "AAPL"


def test_alpaca_py_reconnects_after_a_cut_and_is_refused_with_a_wrong_key(market, caplog):
    async def scene():
        async with live(market, "ws.cut@60s", speed=60.0) as sandbox:
            stream, trades = alpaca_stream(sandbox), []

            async def on_trade(trade):
                trades.append(trade)

            stream.subscribe_trades(on_trade, "AAPL")
            async with running(stream):
                await until(lambda: sandbox.streams.connections >= 2)
                seen = len(trades)
                await until(lambda: len(trades) > seen)
            wrong = alpaca_stream(sandbox, key="nobody")
            wrong.subscribe_trades(on_trade, "AAPL")
            async with running(wrong):
                await until(lambda: "auth failed" in caplog.text)

    asyncio.run(scene())


@pytest.mark.parametrize("package", ["massive", "polygon"])
def test_the_polygon_clients_receive_trades_quotes_bars_and_bands(market, package):
    async def scene():
        module = load_package(package)
        heard = {}

        async def processor(messages):
            for each in messages:
                heard.setdefault(each.event_type, []).append(each)

        async with live(market) as sandbox:
            client = module.WebSocketClient(
                api_key=sandbox.terms.key,
                feed=sandbox.ws_url.removeprefix("ws://"),
                secure=False,
                subscriptions=["T.AAPL", "Q.AAPL", "A.AAPL", "AM.AAPL", "LULD.AAPL"],
            )
            task = asyncio.create_task(client.connect(processor))
            await until(lambda: {"T", "Q", "A", "AM", "LULD"} <= set(heard))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.close()
        return heard

    heard = asyncio.run(scene())
    trade = heard["T"][0]
    assert trade.price == market.tape("AAPL").trades.price[int(trade.id) - 1]
    assert heard["AM"][0].open in market.tape("AAPL").bars.open


def test_a_second_abnormal_close_leaves_polygon_s_client_mute_for_good(market):
    """The hazard our own client exists for: connected, subscribed to nothing, and no error; before, without a pause."""

    async def scene():
        module = load_package("massive")
        heard = []

        async def processor(messages):
            heard.extend(messages)

        async with live(market, "ws.limit@30s", speed=60.0, taken_s=36_000.0) as sandbox:
            client = module.WebSocketClient(
                api_key=sandbox.terms.key,
                feed=sandbox.ws_url.removeprefix("ws://"),
                secure=False,
                subscriptions=["T.AAPL"],
                max_reconnects=None,
            )
            task = asyncio.create_task(client.connect(processor))
            await until(lambda: sandbox.faults.injected)
            # The key's connection counts as taken, and the client spins; then it counts no more.
            await until(lambda: sandbox.streams.connections > 5)
            sandbox.streams._slots.block("stocks", 0.0)
            await until(lambda: any(session.ready for session in sandbox.streams.sessions))
            seen, printed = len(heard), sandbox.clock.now()
            await until(lambda: sandbox.clock.now() > printed + 90 * 10**9)  # a minute and a half of trades
            mute = not task.done() and len(heard) == seen
            subscribed = set(client.subs)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.close()
            return mute, subscribed

    mute, subscribed = asyncio.run(scene())
    assert mute
    assert subscribed == set()


def test_the_polygon_client_learns_of_a_wrong_key_and_of_its_plan(market, caplog):
    async def scene():
        module = load_package("massive")
        async with live(market, polygon_symbols=1) as sandbox:
            feed = sandbox.ws_url.removeprefix("ws://")
            wrong = module.WebSocketClient(api_key="nobody", feed=feed, secure=False, subscriptions=["T.AAPL"])
            with pytest.raises(module.exceptions.AuthError, match="authentication failed"):
                await wrong.connect(lambda messages: None)
            many = module.WebSocketClient(
                api_key=sandbox.terms.key, feed=feed, secure=False, subscriptions=["T.AAPL", "T.MSFT"]
            )
            task = asyncio.create_task(many.connect(lambda messages: asyncio.sleep(0)))
            await until(lambda: "limited to 1 symbols" in caplog.text)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await many.close()

    asyncio.run(scene())
