"""The vendors' own SDKs, unmodified, trade with the sandbox's brokers."""

import asyncio
import contextlib
import threading
import time
import urllib.parse
import urllib.request

import msgspec
import pytest

KEYS = ("sandbox-key", "sandbox-secret")


def test_alpaca_py_places_lists_fills_and_cancels(alpaca, venue):
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, OrderStatus, TimeInForce
    from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest

    client = TradingClient(*KEYS, paper=True, url_override=alpaca.http_url)
    asked = MarketOrderRequest(
        symbol="AAPL", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, client_order_id="one"
    )
    placed = client.submit_order(asked)
    assert (placed.client_order_id, placed.status) == ("one", OrderStatus.ACCEPTED)
    done = client.get_order_by_client_id("one")
    assert (done.status, done.filled_qty, done.filled_avg_price) == (OrderStatus.FILLED, "3", "100.02")
    assert [(p.symbol, p.qty) for p in client.get_all_positions()] == [("AAPL", "3")]
    with pytest.raises(APIError) as twice:
        client.submit_order(asked)
    assert (twice.value.status_code, twice.value.code) == (422, 40010001)
    rests = client.submit_order(
        LimitOrderRequest(symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=90)
    )
    client.cancel_order_by_id(rests.id)
    assert client.get_order_by_id(rests.id).status == OrderStatus.CANCELED
    account = client.get_account()
    assert account.cash == "99699.94"  # 100,000 - 3 * 100.02
    assert account.daytrade_count is None


def test_alpaca_py_posts_an_order_again_after_a_504_and_only_the_key_saves_it(alpaca, venue):
    """Why our adapter does not send orders through the SDK: it repeats them where it should ask."""
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import MarketOrderRequest

    client = TradingClient(*KEYS, paper=True, url_override=alpaca.http_url)
    client._retry_wait = 0
    venue.faults.add("place.504-after@1")
    asked = MarketOrderRequest(symbol="AAPL", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    client.submit_order(asked)
    assert len(venue.orders) == 2
    venue.faults.add("place.504-after@1")
    asked.client_order_id = "mine"
    with pytest.raises(APIError, match="must be unique"):
        client.submit_order(asked)
    assert len(venue.orders) == 3


def test_alpacas_trade_updates_reach_the_sdks_stream(alpaca, venue):
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import MarketOrderRequest
    from alpaca.trading.stream import TradingStream

    heard = []

    async def listen(update):
        heard.append((str(getattr(update.event, "value", update.event)), update.order.client_order_id, update.price))

    stream = TradingStream(*KEYS, paper=True, url_override=alpaca.ws_url)
    stream.subscribe_trade_updates(listen)
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    _until(lambda: alpaca.updates.listening)
    client = TradingClient(*KEYS, paper=True, url_override=alpaca.http_url)
    client.submit_order(
        MarketOrderRequest(symbol="MSFT", qty=2, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, client_order_id="k")
    )
    client.get_order_by_client_id("k")
    _until(lambda: len(heard) == 2)
    assert heard == [("new", "k", None), ("fill", "k", 50.02)]
    stream.stop()
    thread.join(10)


class Store:
    """Where the SDK keeps its tokens."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


@contextlib.asynccontextmanager
async def connected(agent, store):
    """The SDK's client behind the SDK's own authorization; the user consents at once."""
    import httpx2
    from mcp import Client
    from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.auth import OAuthClientMetadata

    back = []

    async def redirect(url):
        back.append(await asyncio.to_thread(_consent, url))

    async def callback():
        return AuthorizationCodeResult(code=back[-1]["code"], state=back[-1]["state"])

    metadata = OAuthClientMetadata(client_name="t", redirect_uris=["http://127.0.0.1:8765/callback"], scope="internal")
    provider = OAuthClientProvider(agent.url, metadata, store, redirect, callback)
    async with (
        httpx2.AsyncClient(auth=provider, timeout=60) as http,
        Client(streamable_http_client(agent.url, http_client=http), mode="legacy") as client,
    ):
        yield client


@pytest.mark.parametrize("sse", [False, True])
def test_the_mcp_sdk_logs_in_lists_tools_and_trades(agent, venue, sse):
    agent.sse = sse

    async def trade():
        store = Store()
        async with connected(agent, store) as client:
            names, cursor = [], None
            while True:
                page = await client.list_tools(cursor=cursor)
                names += [tool.name for tool in page.tools]
                if (cursor := page.next_cursor) is None:
                    break
            order = {"account_number": agent.number, "symbol": "AAPL", "side": "buy", "type": "market"}
            order |= {"quantity": "2", "ref_id": "r1"}
            first = await client.call_tool("place_equity_order", order)
            again = await client.call_tool("place_equity_order", order)
            wrong = await client.call_tool("place_equity_order", order | {"quantity": 2})
            return names, first, again, wrong, store

    names, first, again, wrong, store = asyncio.run(trade())
    assert names == list(agent.schemas)
    assert msgspec.json.decode(first.content[0].text)["data"]["order"]["state"] == "unconfirmed"
    assert again.content[0].text == 'API error 409: {"detail":"Reference ID must be unique."}'
    assert wrong.is_error
    assert "must be" in wrong.content[0].text
    assert len(venue.orders) == 1
    assert store.tokens.refresh_token


def _consent(url):
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_args):
            return None

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)
    try:
        opener.open(url, timeout=60)
    except urllib.error.HTTPError as redirected:
        with redirected:
            return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(redirected.headers["Location"]).query))
    raise AssertionError(url)


def _until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- one server for everything --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box():
    """A tape served as every vendor and every broker at once; an hour of it passes in a few seconds."""
    from data.sources.random_walk import random_bars
    from live.sandbox.market_tape import market_of_rows
    from live.sandbox.server import Sandbox, running

    market = market_of_rows(*random_bars(390, ("AAPL", "MSFT"), 7, "1m", start=20240102))
    begin = market.first_ns + 60_000_000_000
    with running(Sandbox(market, speed=5.0, live=True, begin_ns=begin, brokers=True, stamps="wall")) as made:
        yield made


def test_one_server_is_alpaca_for_data_and_for_trading(box):
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.requests import StockLatestQuoteRequest
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import MarketOrderRequest
    from alpaca.trading.stream import TradingStream

    heard = []

    async def listen(update):
        heard.append((str(getattr(update.event, "value", update.event)), update.order.client_order_id))

    told = box.environment()
    keys = (told["APCA_API_KEY_ID"], told["APCA_API_SECRET_KEY"])
    # REST and stream are on one port, as they are on one host at the vendor.
    stream = TradingStream(*keys, paper=True, url_override=f"ws{told['APCA_API_BASE_URL'].removeprefix('http')}/stream")
    stream.subscribe_trade_updates(listen)
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    try:
        _until(lambda: box.house.alpaca.updates.listening)
        data = StockHistoricalDataClient(*keys, url_override=told["APCA_API_DATA_URL"])
        quote = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))["AAPL"]
        client = TradingClient(*keys, paper=True, url_override=told["APCA_API_BASE_URL"])
        client.submit_order(
            MarketOrderRequest(
                symbol="AAPL", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, client_order_id="all-in-one"
            )
        )
        _until(lambda: ("fill", "all-in-one") in heard)  # it trades as time goes on: nobody has to ask
    finally:
        stream.stop()
        thread.join(10)
    filled = client.get_order_by_client_id("all-in-one")
    assert abs(float(filled.filled_avg_price) / quote.ask_price - 1.0) < 0.05
    assert [(p.symbol, p.qty) for p in client.get_all_positions()] == [("AAPL", "3")]


def test_one_server_is_robinhood_for_robin_stocks(box, tmp_path, capsys):
    from requests.adapters import HTTPAdapter
    from robin_stocks import robinhood as rh
    from robin_stocks.robinhood.globals import SESSION

    told = box.environment()

    class Detour(HTTPAdapter):
        def send(self, request, *args, **options):
            request.url = request.url.replace("https://api.robinhood.com", told["ROBINHOOD_API_URL"])
            return super().send(request, *args, **options)

    SESSION.mount("https://api.robinhood.com", Detour())
    try:
        login = rh.login(told["RH_USERNAME"], told["RH_PASSWORD"], pickle_path=str(tmp_path))
        assert login["access_token"] == box.house.private.token
        book = rh.get_pricebook_by_symbol("AAPL")
        assert float(book["asks"][0]["price"]["amount"]) > float(book["bids"][0]["price"]["amount"])
        assert float(rh.get_latest_price("AAPL", "ask_price")[0]) > 0
        placed = rh.order_buy_market("AAPL", 2, timeInForce="gfd")
        _until(lambda: rh.get_stock_order_info(placed["id"])["state"] == "filled")
        assert [row["quantity"] for row in rh.get_open_stock_positions()] == ["2.00000000"]
        rests = rh.order_buy_limit("AAPL", 1, 1.0, timeInForce="gtc")
        assert [row["id"] for row in rh.get_all_open_stock_orders()] == [rests["id"]]
        rh.cancel_stock_order(rests["id"])
        _until(lambda: not rh.get_all_open_stock_orders())
        sold = rh.order_sell_market("AAPL", 2, timeInForce="gfd")
        _until(lambda: rh.get_stock_order_info(sold["id"])["state"] == "filled")
        assert float(rh.get_stock_order_info(sold["id"])["fees"]) == 0.02  # a cent to each of the two regulators
        cash = float(rh.load_account_profile(info="portfolio_cash"))
        assert cash == float(box.record()["brokers"]["robinhood_private"]["cash"])
    finally:
        del SESSION.adapters["https://api.robinhood.com"]
        SESSION.headers.pop("Authorization", None)
        SESSION.close()
        rh.helper.set_login_state(False)
    assert told["RH_PASSWORD"] not in capsys.readouterr().out


def test_one_server_is_robinhoods_agentic_route(box):
    async def trade():
        async with connected(box.house.agent, Store()) as client:
            book = await client.call_tool("get_equity_price_book", {"symbols": ["AAPL"]})
            order = {"account_number": box.house.agent.number, "symbol": "AAPL", "side": "buy", "type": "market"}
            await client.call_tool("place_equity_order", order | {"quantity": "2", "ref_id": "m1"})
            asked = {"account_number": box.house.agent.number}
            while True:
                rows = _data(await client.call_tool("get_equity_orders", asked))["orders"]
                if rows[0]["state"] == "filled":
                    return _data(book)["books"][0], rows[0]
                await asyncio.sleep(0.02)

    book, row = asyncio.run(trade())
    assert len(book["bids"]) == len(book["asks"]) == 10  # the tape's own book, not a made-up one
    assert (row["ref_id"], row["cumulative_quantity"]) == ("m1", "2.000000")
    record = box.record()["brokers"]["robinhood"]
    assert [(order["key"], order["status"], order["filled"]) for order in record["orders"]] == [("m1", "filled", "2")]


def test_one_server_is_polygon_and_openai(box):
    import openai

    from data.sources.polygon_http import load_package

    told = box.environment()
    rest = load_package().RESTClient(told["MASSIVE_API_KEY"], base=told["MASSIVE_BASE_URL"], retries=0)
    bars = list(rest.list_aggs("AAPL", 1, "minute", "2024-01-02", "2024-01-02", adjusted=False))
    assert bars
    schema = {"type": "object", "properties": {"up": {"type": "boolean"}}, "required": ["up"]}
    strict = {"name": "said", "strict": True, "schema": schema | {"additionalProperties": False}}
    with openai.OpenAI(api_key=told["OPENAI_API_KEY"], base_url=told["OPENAI_BASE_URL"], max_retries=0) as client:
        said = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "up?"}],
            response_format={"type": "json_schema", "json_schema": strict},
        )
    assert set(msgspec.json.decode(said.choices[0].message.content)) == {"up"}


def _data(result):
    return msgspec.json.decode(result.content[0].text)["data"]
