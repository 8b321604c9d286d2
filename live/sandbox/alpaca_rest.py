"""Alpaca's market-data REST: bars, trades and quotes with page tokens, latest values, crypto order books."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from data.calendar import DAY_SECONDS, SECOND_NS
from data.events import Level
from live.sandbox.http import Handler, Request, Response, Routes, answer
from live.sandbox.market import Market
from live.sandbox.terms import Terms

MOST_ROWS = 10_000
DEFAULT_ROWS = 1_000
ROUND_LOT = 100
UNITS = {"Min": 60, "T": 60, "Hour": 3_600, "H": 3_600, "Day": DAY_SECONDS, "D": DAY_SECONDS}
RECENT_NS = 15 * 60 * SECOND_NS
Columns = Callable[[str, "Range"], tuple[Any, Callable[[Any], list[dict[str, Any]]]]]


class Range(NamedTuple):
    """The part of time a request asks for. seconds: of its bars."""

    start_ns: int
    end_ns: int
    seconds: int


class AlpacaRest:
    """Serves `market` up to `horizon()`, the instant that counts as now."""

    def __init__(self, market: Market, terms: Terms, horizon: Callable[[], int]) -> None:
        self._market = market
        self._terms = terms
        self._horizon = horizon

    def add_to(self, routes: Routes) -> None:
        """Register every path."""
        for kind, columns in (("bars", self._bars), ("trades", self._trades), ("quotes", self._quotes)):
            routes.add("GET", f"/v2/stocks/{kind}", self._history(kind, columns))
            routes.add("GET", f"/v1beta3/crypto/us/{kind}", self._history(kind, columns, crypto=True))
            routes.add("GET", f"/v2/stocks/{kind}/latest", self._latest(kind))
            routes.add("GET", f"/v1beta3/crypto/us/latest/{kind}", self._latest(kind, crypto=True))
        routes.add("GET", "/v1beta3/crypto/us/latest/orderbooks", self._latest("orderbooks", crypto=True))
        routes.add("GET", "/v2/stocks/snapshots", self._snapshots)

    def refused(self, request: Request, crypto: bool = False) -> Response | None:
        """The answer to a request without our key; crypto needs none."""
        key = request.headers.get("apca-api-key-id", "")
        if (crypto and not key) or self._terms.knows(key, request.headers.get("apca-api-secret-key", "")):
            return None
        return answer({"message": "unauthorized."}, 401)

    def _history(self, kind: str, columns: Columns, crypto: bool = False) -> Handler:
        def handle(request: Request) -> Response:
            if (refused := self.refused(request, crypto)) is not None:
                return refused
            try:
                asked = self._range(request)
                symbols = _symbols(request)
                limit = self._terms.page(int(request.query.get("limit") or DEFAULT_ROWS), MOST_ROWS)
                position, offset = _position(request.query.get("page_token"))
            except (ValueError, binascii.Error) as error:
                return answer({"message": str(error)}, 400)
            if denied := self._denied(request, kind, asked, crypto):
                return answer({"code": 42210000, "message": denied}, 403)
            page: dict[str, Any] = {}
            token: str | None = None
            while limit > 0 and position < len(symbols):
                symbol = symbols[position]
                if not self._market.has(symbol):
                    position, offset = position + 1, 0
                    continue
                index, render = columns(symbol, asked)
                if request.query.get("sort") == "desc":
                    index = index[::-1]
                part = index[offset : offset + limit]
                if len(part):
                    page[symbol] = render(part)
                limit -= len(part)
                offset += len(part)
                if offset < len(index):
                    token = base64.urlsafe_b64encode(f"{position}|{offset}".encode()).decode()
                    break
                position, offset = position + 1, 0
            if token is None and position < len(symbols):
                token = base64.urlsafe_b64encode(f"{position}|0".encode()).decode()
            return answer({kind: page, "next_page_token": token})

        return handle

    def _range(self, request: Request) -> Range:
        now = self._horizon()
        begin = _instant(request.query.get("start"), now // (DAY_SECONDS * SECOND_NS) * DAY_SECONDS * SECOND_NS)
        end = _instant(request.query.get("end"), now)
        if begin > end:
            raise ValueError("start should not be after end")
        return Range(begin, min(end, now), _seconds(request.query.get("timeframe", "1Min")))

    def _denied(self, request: Request, kind: str, asked: Range, crypto: bool) -> str:
        if self._terms.plan == "full" or crypto or request.query.get("feed", "sip") != "sip":
            return ""
        if kind != "bars" or asked.end_ns > self._horizon() - RECENT_NS:
            return "subscription does not permit querying recent SIP data"
        return ""

    def _bars(self, symbol: str, asked: Range) -> tuple[Any, Callable[[Any], list[dict[str, Any]]]]:
        bars = self._market.bars(symbol, asked.seconds)
        width = 0 if asked.seconds == DAY_SECONDS else asked.seconds * SECOND_NS
        whole = bars.start + width <= self._horizon()
        index = np.flatnonzero((bars.start >= asked.start_ns) & (bars.start <= asked.end_ns) & whole)

        def render(part: Any) -> list[dict[str, Any]]:
            rows = zip(
                stamps(bars.start[part]),
                *(column[part].tolist() for column in bars[1:]),
                strict=True,
            )
            return [
                {"t": t, "o": o, "h": h, "l": low, "c": c, "v": number(v), "n": n, "vw": vw}
                for t, o, h, low, c, v, n, vw in rows
            ]

        return index, render

    def _trades(self, symbol: str, asked: Range) -> tuple[Any, Callable[[Any], list[dict[str, Any]]]]:
        trades = self._market.tape(symbol).trades
        index = _between(trades.ts, asked)

        def render(part: Any) -> list[dict[str, Any]]:
            columns = (part, trades.price[part], trades.size[part])
            rows = zip(stamps(trades.ts[part]), *(column.tolist() for column in columns), strict=True)
            return [{"t": t, "x": "V", "p": p, "s": number(s), "c": ["@"], "i": i + 1, "z": "C"} for t, i, p, s in rows]

        return index, render

    def _quotes(self, symbol: str, asked: Range) -> tuple[Any, Callable[[Any], list[dict[str, Any]]]]:
        quotes = self._market.tape(symbol).quotes
        index = _between(quotes.ts, asked)

        def render(part: Any) -> list[dict[str, Any]]:
            rows = zip(stamps(quotes.ts[part]), *(column[part].tolist() for column in quotes[1:]), strict=True)
            return [{"t": t, **quote_fields(bid, ask, bs, size)} for t, bid, ask, bs, size in rows]

        return index, render

    def _latest(self, kind: str, crypto: bool = False) -> Handler:
        def handle(request: Request) -> Response:
            if (refused := self.refused(request, crypto)) is not None:
                return refused
            now = self._horizon()
            try:
                symbols = _symbols(request)
            except ValueError as error:
                return answer({"message": str(error)}, 400)
            found = {symbol: self._last(kind, symbol, now) for symbol in symbols if self._market.has(symbol)}
            return answer({kind: {symbol: value for symbol, value in found.items() if value is not None}})

        return handle

    def _snapshots(self, request: Request) -> Response:
        if (refused := self.refused(request)) is not None:
            return refused
        now = self._horizon()
        names = {"latestTrade": "trades", "latestQuote": "quotes", "minuteBar": "bars"}
        return answer(
            {
                symbol: {name: self._last(kind, symbol, now) for name, kind in names.items()}
                for symbol in request.query.get("symbols", "").split(",")
                if self._market.has(symbol)
            }
        )

    def _last(self, kind: str, symbol: str, now: int) -> dict[str, Any] | None:
        if kind == "orderbooks":
            book = self._market.book(symbol, now)
            return None if book is None else {"t": stamp(book[0]), "b": levels(book[1]), "a": levels(book[2])}
        columns = {"bars": self._bars, "trades": self._trades, "quotes": self._quotes}[kind]
        index, render = columns(symbol, Range(0, now, 60))
        return render(index[-1:])[0] if len(index) else None


def quote_fields(bid: float, ask: float, bid_size: float, ask_size: float, lot: int = ROUND_LOT) -> dict[str, Any]:
    """A quote but for its time; sizes in whole round lots, as Alpaca gives them for stocks."""
    return {
        "bx": "V",
        "bp": bid,
        "bs": _lots(bid_size, lot),
        "ax": "V",
        "ap": ask,
        "as": _lots(ask_size, lot),
        "c": ["R"],
        "z": "C",
    }


def _lots(size: float, lot: int) -> float:
    return number(size) if lot == 1 else max(int(size // lot), 1)


def levels(side: tuple[Level, ...]) -> list[dict[str, float]]:
    """One side of a crypto book."""
    return [{"p": price, "s": size} for price, size in side]


def number(value: float) -> float | int:
    """Whole numbers as JSON integers, as vendors write sizes."""
    return int(value) if value == int(value) else value


def stamp(ts: int) -> str:
    """RFC 3339 with nanoseconds."""
    return stamps(np.array([ts]))[0]


def stamps(ts: Any) -> list[str]:
    """The same for an array."""
    return [f"{each}Z" for each in np.datetime_as_string(ts.astype("datetime64[ns]")).tolist()]


def _between(ts: Any, asked: Range) -> Any:
    return np.arange(np.searchsorted(ts, asked.start_ns), np.searchsorted(ts, asked.end_ns, side="right"))


def _symbols(request: Request) -> list[str]:
    symbols = [each for each in request.query.get("symbols", "").split(",") if each]
    if not symbols:
        raise ValueError("symbols is required")
    for symbol in symbols:
        if not symbol.replace(".", "").replace("/", "").isalnum() or symbol != symbol.upper():
            raise ValueError(f"invalid symbol: {symbol}")
    return sorted(symbols)


def _position(token: str | None) -> tuple[int, int]:
    if not token:
        return 0, 0
    position, _, offset = base64.urlsafe_b64decode(token).decode().partition("|")
    return int(position), int(offset)


def _seconds(timeframe: str) -> int:
    unit = timeframe.lstrip("0123456789")
    if unit not in UNITS:
        raise ValueError(f"invalid timeframe: {timeframe}")
    return int(timeframe[: -len(unit)] or 1) * UNITS[unit]


def _instant(text: str | None, default: int) -> int:
    if not text:
        return default
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return int(moment.timestamp()) * SECOND_NS + moment.microsecond * 1_000
