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
        httpx2.AsyncClient(auth=provider, timeout=5) as http,
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
        opener.open(url, timeout=5)
    except urllib.error.HTTPError as redirected:
        with redirected:
            return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(redirected.headers["Location"]).query))
    raise AssertionError(url)


def _until(condition, seconds=8.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
