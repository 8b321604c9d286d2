"""Polygon's (Massive's) REST: aggregates with `next_url`, trades, quotes, last values, snapshots, the crypto book."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np

from data.calendar import DAY_SECONDS, NEW_YORK, SECOND_NS
from live.sandbox.alpaca_rest import number
from live.sandbox.http import Request, Response, Routes, answer
from live.sandbox.market import Market
from live.sandbox.terms import Terms

HOST = "https://api.polygon.io"
"""`next_url` names the vendor's own host, whoever was asked: a client must not follow it there."""
MS = 1_000_000
MOST_ROWS = 50_000
SPANS = {"second": 1, "minute": 60, "hour": 3_600, "day": DAY_SECONDS}


class PolygonRest:
    """Serves `market` up to `horizon()`, the instant that counts as now."""

    def __init__(self, market: Market, terms: Terms, horizon: Callable[[], int]) -> None:
        self._market = market
        self._terms = terms
        self._horizon = horizon

    def add_to(self, routes: Routes) -> None:
        """Register every path."""
        guarded = self._guarded
        routes.add("GET", "/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{begin}/{end}", guarded(self._aggs))
        routes.add("GET", "/v2/aggs/ticker/{ticker}/prev", guarded(self._previous))
        routes.add("GET", "/v3/trades/{ticker}", guarded(self._trades))
        routes.add("GET", "/v3/quotes/{ticker}", guarded(self._quotes))
        routes.add("GET", "/v2/last/trade/{ticker}", guarded(self._last_trade))
        routes.add("GET", "/v2/last/nbbo/{ticker}", guarded(self._last_quote))
        routes.add("GET", "/v2/snapshot/locale/us/markets/stocks/tickers/{ticker}", guarded(self._snapshot))
        routes.add("GET", "/v2/snapshot/locale/global/markets/crypto/tickers/{ticker}/book", guarded(self._book))

    def _guarded(self, handler: Callable[..., Response]) -> Callable[..., Response]:
        """`handler` behind the key, with its cursor unpacked and mistakes answered as the vendor does."""

        def handle(request: Request, **parts: str) -> Response:
            key = request.headers.get("authorization", "").removeprefix("Bearer ") or request.query.get("apiKey", "")
            if not self._terms.knows(key):
                return answer({"status": "ERROR", "request_id": "0", "error": "Unknown API Key"}, 401)
            try:
                if cursor := request.query.get("cursor"):
                    packed = dict(parse_qsl(base64.urlsafe_b64decode(cursor).decode()))
                    request = request._replace(query={**request.query, **packed})
                if parts.get("ticker", "").startswith("X:"):  # X:BTCUSD is the stream's BTC-USD
                    plain = {symbol.replace("-", ""): symbol for symbol in self._market.symbols}
                    parts["ticker"] = plain.get(parts["ticker"].removeprefix("X:"), parts["ticker"])
                return handler(request, **parts)
            except ValueError as error:
                return answer({"status": "ERROR", "request_id": "0", "error": str(error)}, 400)

        return handle

    def _aggs(self, request: Request, ticker: str, multiplier: str, timespan: str, begin: str, end: str) -> Response:
        if timespan not in SPANS:
            raise ValueError(f"'{timespan}' is not a valid timespan")
        seconds = int(multiplier) * SPANS[timespan]
        first, last = _milliseconds(begin), _milliseconds(end, end=True)
        if first > last:
            raise ValueError("'from' must not be after 'to'")
        asked = int(request.query.get("limit") or 5_000)
        # The limit counts the minutes (or days) looked at, not the rows returned.
        base = min(seconds, DAY_SECONDS if seconds >= DAY_SECONDS else 60)
        rows = max(self._terms.page(asked, MOST_ROWS) * base // seconds, 1)
        adjusted = request.query.get("adjusted", "true") != "false"
        envelope: dict[str, Any] = {"ticker": ticker, "adjusted": adjusted, "status": "OK", "request_id": "0"}
        if not self._market.has(ticker):
            return answer({**envelope, "queryCount": 0, "resultsCount": 0, "count": 0})
        bars = self._market.bars(ticker, seconds)
        width = 0 if seconds == DAY_SECONDS else seconds * SECOND_NS
        index = np.flatnonzero(
            (bars.start >= first * MS) & (bars.start <= last * MS) & (bars.start + width <= self._horizon())
        )
        part, more = self._page(request, index, rows)
        columns = zip((bars.start[part] // MS).tolist(), *(column[part].tolist() for column in bars[1:]), strict=True)
        results = [
            {"v": number(v), "vw": vw, "o": o, "c": c, "h": h, "l": low, "t": t, "n": n}
            for t, o, h, low, c, v, n, vw in columns
        ]
        return self._paged(request, envelope, results, more)

    def _trades(self, request: Request, ticker: str) -> Response:
        if self._terms.plan != "full":
            return _not_entitled()
        if not self._market.has(ticker):
            return answer({"status": "OK", "request_id": "0", "results": []})
        trades = self._market.tape(ticker).trades
        part, more = self._page(request, self._between(request, trades.ts), self._rows(request))
        columns = zip(part.tolist(), *(column[part].tolist() for column in trades), strict=True)
        results = [
            {
                "conditions": [],  # every trade is in the bars, so none is an odd lot's, which sets no price
                "exchange": 15,
                "id": str(i + 1),
                "participant_timestamp": ts,
                "price": price,
                "sequence_number": i + 1,
                "sip_timestamp": ts,
                "size": number(size),
                "tape": 3,
            }
            for i, ts, price, size in columns
        ]
        return self._paged(request, {"status": "OK", "request_id": "0"}, results, more)

    def _quotes(self, request: Request, ticker: str) -> Response:
        if self._terms.plan != "full":
            return _not_entitled()
        if not self._market.has(ticker):
            return answer({"status": "OK", "request_id": "0", "results": []})
        quotes = self._market.tape(ticker).quotes
        part, more = self._page(request, self._between(request, quotes.ts), self._rows(request))
        columns = zip(part.tolist(), *(column[part].tolist() for column in quotes), strict=True)
        results = [
            {
                "ask_exchange": 15,
                "ask_price": ask,
                "ask_size": number(ask_size),
                "bid_exchange": 15,
                "bid_price": bid,
                "bid_size": number(bid_size),
                "conditions": [1],
                "participant_timestamp": ts,
                "sequence_number": i + 1,
                "sip_timestamp": ts,
                "tape": 3,
            }
            for i, ts, bid, ask, bid_size, ask_size in columns
        ]
        return self._paged(request, {"status": "OK", "request_id": "0"}, results, more)

    def _rows(self, request: Request) -> int:
        return self._terms.page(int(request.query.get("limit") or 1_000), MOST_ROWS)

    def _between(self, request: Request, ts: Any) -> Any:
        """Positions between `timestamp.gte` and its like, newest first unless asked otherwise."""
        query = request.query
        kept = ts <= self._horizon()
        for name, compare in (("gte", np.greater_equal), ("gt", np.greater), ("lte", np.less_equal), ("lt", np.less)):
            if text := query.get(f"timestamp.{name}"):
                kept = kept & compare(ts, _milliseconds(text) * MS if "-" in text else int(text))
        index = np.flatnonzero(kept)
        return index if query.get("order") == "asc" else index[::-1]

    def _page(self, request: Request, index: Any, rows: int) -> tuple[Any, int]:
        """The page's positions, and where the next begins (0: there is none)."""
        if request.query.get("sort") == "desc":
            index = index[::-1]
        offset = int(request.query.get("offset") or 0)
        return index[offset : offset + rows], offset + rows if offset + rows < len(index) else 0

    def _paged(self, request: Request, envelope: dict[str, Any], results: list[Any], more: int) -> Response:
        told = {**envelope, "count": len(results), "resultsCount": len(results), "queryCount": len(results)}
        if results:
            told["results"] = results  # absent when empty, as the vendor leaves it out
        if more:
            query = {name: value for name, value in request.query.items() if name not in ("cursor", "apiKey")}
            cursor = base64.urlsafe_b64encode(urlencode({**query, "offset": str(more)}).encode()).decode()
            told["next_url"] = f"{HOST}{request.path}?cursor={cursor}"
        return answer(told)

    def _previous(self, _request: Request, ticker: str) -> Response:
        bars = self._market.bars(ticker, DAY_SECONDS) if self._market.has(ticker) else None
        if bars is None or not len(bars.start):
            return answer({"ticker": ticker, "status": "OK", "resultsCount": 0, "request_id": "0"})
        i = max(int(np.searchsorted(bars.start, self._horizon() - DAY_SECONDS * SECOND_NS)) - 1, 0)
        row = {"T": ticker, "o": bars.open[i], "h": bars.high[i], "l": bars.low[i], "c": bars.close[i]}
        row |= {"v": bars.volume[i], "vw": bars.vwap[i], "t": bars.start[i] // MS, "n": bars.trades[i]}
        plain = {name: value if isinstance(value, str) else value.item() for name, value in row.items()}
        return answer({"ticker": ticker, "status": "OK", "resultsCount": 1, "request_id": "0", "results": [plain]})

    def _last_trade(self, _request: Request, ticker: str) -> Response:
        last = self._market.trade(ticker, self._horizon()) if self._market.has(ticker) else None
        if last is None:
            return _not_found(ticker)
        i, ts, price, size = last
        row = {
            "T": ticker,
            "c": [],
            "i": str(i + 1),
            "p": price,
            "q": i + 1,
            "s": size,
            "t": ts,
            "x": 15,
            "y": ts,
            "z": 3,
        }
        return answer({"status": "OK", "request_id": "0", "results": row})

    def _last_quote(self, _request: Request, ticker: str) -> Response:
        quote = self._market.quote(ticker, self._horizon()) if self._market.has(ticker) else None
        if quote is None:
            return _not_found(ticker)
        ts, bid, ask, bid_size, ask_size = quote
        row = {"T": ticker, "P": ask, "S": ask_size, "X": 15, "p": bid, "s": bid_size, "x": 15}
        return answer({"status": "OK", "request_id": "0", "results": {**row, "t": ts, "y": ts, "q": 1, "z": 3}})

    def _snapshot(self, _request: Request, ticker: str) -> Response:
        quote = self._market.quote(ticker, self._horizon()) if self._market.has(ticker) else None
        trade = self._market.trade(ticker, self._horizon()) if quote is not None else None
        if quote is None or trade is None:
            return _not_found(ticker)
        last_quote = {"P": quote[2], "S": quote[4], "p": quote[1], "s": quote[3], "t": quote[0]}
        last_trade = {"c": [], "i": str(trade[0] + 1), "p": trade[2], "s": trade[3], "t": trade[1], "x": 15}
        row = {"ticker": ticker, "lastQuote": last_quote, "lastTrade": last_trade, "updated": quote[0]}
        return answer({"status": "OK", "request_id": "0", "ticker": row})

    def _book(self, _request: Request, ticker: str) -> Response:
        book = self._market.book(ticker, self._horizon()) if self._market.has(ticker) else None
        if book is None:
            return _not_found(ticker)
        at, bids, asks = book
        sides = {
            name: [{"p": price, "x": {"1": size}} for price, size in side]
            for name, side in (("bids", bids), ("asks", asks))
        }
        counts = {"bidCount": len(bids), "askCount": len(asks), "updated": at // MS}
        return answer({"status": "OK", "request_id": "0", "data": {"ticker": ticker, **sides, **counts}})


def _not_found(ticker: str) -> Response:
    return answer({"status": "NOT_FOUND", "request_id": "0", "message": f"no data for {ticker}"}, 404)


def _not_entitled() -> Response:
    said = "You are not entitled to this data. Please upgrade your plan"
    return answer({"status": "NOT_AUTHORIZED", "request_id": "0", "message": said}, 403)


def _milliseconds(text: str, end: bool = False) -> int:
    """Of a date (its New York midnight, or the end of that day) or of a number of milliseconds."""
    if text.isdigit():
        return int(text)
    day = dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), NEW_YORK)
    moment = day + dt.timedelta(days=1) if end else day
    return int(moment.timestamp()) * 1_000 - (1 if end else 0)
