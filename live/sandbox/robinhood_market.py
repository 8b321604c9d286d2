"""What Robinhood's agentic server tells of the market: quotes, the price book, what may be traded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from live.sandbox.broker_engine import Refusal, Venue
from live.sandbox.robinhood_tools import stamp

Levels = Sequence[tuple[float, float]]
BookOf = Callable[[str], tuple[int, Levels, Levels] | None]
BOOKS_A_CALL = 4
LEVELS = 5
TICK = Decimal("0.01")


class MarketTools:
    """The tools that only read the market.

    books: (ts, bids, asks) of a symbol, best first; without it a ladder of round sizes around the quote.
    """

    def __init__(self, venue: Venue, books: BookOf | None = None) -> None:
        self._venue = venue
        self._book = books or self._ladder

    def quotes(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One unknown ticker fails the whole call."""
        results = []
        for symbol in asked["symbols"] or ():
            if (told := self._venue.price(symbol)) is None:
                raise Refusal("symbol", symbol)
            quote = {"symbol": symbol, "bid_price": f"{told[0]:.6f}", "ask_price": f"{told[1]:.6f}", "state": "active"}
            quote |= {"last_trade_price": f"{told[0]:.6f}", "venue_last_trade_time": stamp(self._venue.now())}
            results.append({"quote": quote, "close": None})
        return {"results": results}

    def books(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Up to four books."""
        symbols = asked["symbols"] or ()
        if not 0 < len(symbols) <= BOOKS_A_CALL:
            raise ValueError(f"symbols: between 1 and {BOOKS_A_CALL} are allowed")
        books = []
        for symbol in symbols:
            if self._venue.price(symbol) is None:
                raise Refusal("symbol", symbol)
            if (told := self._book(symbol)) is None:
                continue
            bids, asks = (
                [{"price": f"{price:.2f}", "quantity": int(size)} for price, size in side] for side in told[1:]
            )
            books.append({"symbol": symbol, "updated_at": stamp(told[0]), "asks": asks, "bids": bids})
        return {"books": books}

    def tradability(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Those that are listed; the others are left out."""
        return {
            "results": [
                {"symbol": symbol, "tradeable": True, "fractional_tradability": "tradable", "state": "active"}
                for symbol in asked["symbols"] or ()
                if self._venue.price(symbol) is not None
            ]
        }

    def _ladder(self, symbol: str) -> tuple[int, Levels, Levels] | None:
        if (told := self._venue.price(symbol)) is None:
            return None
        bids, asks = (
            [(float(at + sign * TICK * i), 100.0 * (i + 1)) for i in range(LEVELS)]
            for at, sign in zip(told, (-1, 1), strict=True)
        )
        return self._venue.now(), bids, asks
