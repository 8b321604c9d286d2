"""Robinhood's quotes and price book: the private REST dialect, and the official tools' answers as plain JSON.

The official route speaks MCP; here its two market-data tools are answered at `POST /mcp/tools/<tool>` with the
tool's arguments as JSON and the tool's structured result, without the protocol around it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from live.sandbox.alpaca_rest import stamp
from live.sandbox.http import Request, Response, Routes, answer
from live.sandbox.market import Market
from live.sandbox.terms import Terms

API = "https://api.robinhood.com"
BOOKS_A_CALL = 4


class RobinhoodRest:
    """Serves `market` up to `horizon()`, the instant that counts as now."""

    def __init__(self, market: Market, terms: Terms, horizon: Callable[[], int]) -> None:
        self._market = market
        self._terms = terms
        self._horizon = horizon
        self._symbols = {instrument_id(symbol): symbol for symbol in market.symbols}

    def add_to(self, routes: Routes) -> None:
        """Register every path."""
        routes.add("GET", "/quotes/", self._quotes)
        routes.add("GET", "/instruments/", self._instruments)
        routes.add("GET", "/marketdata/quotes/{instrument}/", self._quote_of)
        routes.add("GET", "/marketdata/pricebook/snapshots/{instrument}/", self._pricebook)
        routes.add("POST", "/mcp/tools/get_equity_quotes", self._tool_quotes)
        routes.add("POST", "/mcp/tools/get_equity_price_book", self._tool_books)

    def _quotes(self, request: Request) -> Response:
        symbols = request.query.get("symbols", "").split(",")
        return answer({"results": [self._quote(symbol) for symbol in symbols]})

    def _instruments(self, request: Request) -> Response:
        symbol = request.query.get("symbol", "")
        found = [_instrument(symbol)] if self._market.has(symbol) else []
        return answer({"next": None, "previous": None, "results": found})

    def _quote_of(self, _request: Request, instrument: str) -> Response:
        quote = self._quote(self._symbols.get(instrument, ""))
        return answer(quote) if quote is not None else answer({"detail": "Not found."}, 404)

    def _pricebook(self, request: Request, instrument: str) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        if self._terms.plan != "full":
            return answer({"detail": "You do not have permission to perform this action."}, 403)
        symbol = self._symbols.get(instrument, "")
        book = self._market.book(symbol, self._horizon()) if symbol else None
        if book is None:
            return answer({"detail": "Not found."}, 404)
        at, bids, asks = book
        sides = {
            name: [
                {"price": {"amount": f"{price:.2f}", "currency_code": "USD"}, "quantity": int(size)}
                for price, size in side
            ]
            for name, side in (("asks", asks), ("bids", bids))
        }
        return answer({**sides, "instrument_id": instrument, "updated_at": stamp(at)})

    def _tool_quotes(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        symbols = (request.json() or {}).get("symbols", [])
        missing = [symbol for symbol in symbols if not self._market.has(symbol)]
        if missing:  # one unknown ticker fails the whole call
            return answer({"error": 'API error 404: {"missing_instruments":' + f'["{missing[0]}"]' + "}"}, 404)
        results = [{"quote": self._quote(symbol), "close": None} for symbol in symbols]
        return answer({"data": {"results": results}})

    def _tool_books(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        symbols = (request.json() or {}).get("symbols", [])
        if not 0 < len(symbols) <= BOOKS_A_CALL:
            return answer({"error": f"symbols: between 1 and {BOOKS_A_CALL} are allowed"}, 400)
        books = []
        for symbol in symbols:
            book = self._market.book(symbol, self._horizon()) if self._market.has(symbol) else None
            if book is None:
                continue
            at, *sides = book
            bids, asks = ([{"price": f"{price:.2f}", "quantity": size} for price, size in side] for side in sides)
            books.append({"symbol": symbol, "updated_at": stamp(at), "asks": asks, "bids": bids})
        return answer({"data": {"books": books}})

    def _refused(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        return None if self._terms.knows(key) else answer({"detail": "Incorrect authentication credentials."}, 401)

    def _quote(self, symbol: str) -> dict[str, Any] | None:
        """None for an unknown symbol: the private route lists it as null."""
        if not self._market.has(symbol):
            return None
        quote, trade = self._market.quote(symbol, self._horizon()), self._market.trade(symbol, self._horizon())
        if quote is None or trade is None:
            return None
        at, bid, ask, bid_size, ask_size = quote
        return {
            "symbol": symbol,
            "bid_price": f"{bid:.6f}",
            "bid_size": int(bid_size),
            "ask_price": f"{ask:.6f}",
            "ask_size": int(ask_size),
            "last_trade_price": f"{trade[2]:.6f}",
            "last_extended_hours_trade_price": None,
            "previous_close": f"{trade[2]:.6f}",
            "adjusted_previous_close": f"{trade[2]:.6f}",
            "trading_halted": False,
            "has_traded": True,
            "state": "active",
            "venue_bid_time": stamp(at),
            "venue_ask_time": stamp(at),
            "venue_last_trade_time": stamp(trade[1]),
            "updated_at": stamp(max(at, trade[1])),
            "instrument": f"{API}/instruments/{instrument_id(symbol)}/",
            "instrument_id": instrument_id(symbol),
        }


def instrument_id(symbol: str) -> str:
    """A UUID of its own for each symbol, the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{symbol}.sandbox"))


def _instrument(symbol: str) -> dict[str, Any]:
    return {
        "id": instrument_id(symbol),
        "url": f"{API}/instruments/{instrument_id(symbol)}/",
        "symbol": symbol,
        "simple_name": symbol,
        "name": symbol,
        "type": "stock",
        "state": "active",
        "tradeable": True,
        "tradability": "tradable",
        "fractional_tradability": "tradable",
        "min_tick_size": None,
    }
