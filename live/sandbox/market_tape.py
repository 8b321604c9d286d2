"""Markets made of a tape's rows, of recorded events, or of a seed.

A row says no more than open, high, low, close and volume; the trades that the sandbox makes of it print exactly
those, in the order open, the nearer extreme, the other, close, so that bars built from its stream are the tape's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data.calendar import SECOND_NS, parse_clock
from data.errors import UsageError
from data.events import MarketEvent, Quote, Trade
from data.tape import read_tape
from data.types import Bars, Book
from live.sandbox.market import BarColumns, Market, Quotes, SymbolTape, Trades, bars_of_trades, kept

PLACES = (1, 20, 40, 59)  # sixtieths of a row at which its four trades print
HALT_ROWS = 5
LIVELY_ROWS = 40_000  # up to so many rows quotes move every two seconds; a longer tape is for pulls, and one a row does
FLICKER = 30


def market_of_rows(bars: Bars, book: Book | None = None, clock: str = "1m", source: str = "tape") -> Market:
    """A market whose minute bars, built from its trades, are these rows.

    Raises:
        UsageError: a book with other rows than the bars.
    """
    if book is not None and len(book) != len(bars):
        raise UsageError(f"book has {len(book)} rows beside {len(bars)} of bars; both need the same")
    width = np.full(len(bars), parse_clock(clock) * SECOND_NS, dtype=np.int64)
    if clock == "1d":
        width = (bars.since_open * SECOND_NS).astype(np.int64)
    begin = bars.ts - width

    def make(symbol: str) -> SymbolTape:
        i = bars.symbols.index(symbol)
        known = np.isfinite(bars.close[:, i]) & (bars.volume[:, i] > 0)
        prices = [column[known, i] for column in (bars.open, bars.high, bars.low, bars.close)]
        trades = _trades(begin[known], width[known], prices, bars.volume[known, i])
        day_start = begin[known]
        if clock == "1d":
            day_start = day_start - (9 * 60 + 30) * 60 * SECOND_NS
        counts, vwap = _counted(trades, len(prices[0]))
        opens, highs, lows, closes = prices
        columns = BarColumns(day_start, opens, highs, lows, closes, bars.volume[known, i], counts, vwap)
        return SymbolTape(trades, _quotes(begin, width, book, i, trades), columns, _halts(bars, known, begin))

    return Market(bars.symbols, make, parse_clock(clock), source)


def market_of_tape(path: Path | str) -> Market:
    """A market of a recorded or simulated tape.

    Raises:
        DataError: there is no such tape, or it is damaged.
    """
    header, bars, book = read_tape(path)
    return market_of_rows(bars, book if book.present else None, header.clock, header.source)


def market_of_events(events: Iterable[MarketEvent], source: str = "events") -> Market:
    """A market of recorded trades and quotes; its bars are built from the trades.

    Raises:
        UsageError: there is no trade among the events.
    """
    trades: dict[str, list[tuple[int, float, float]]] = {}
    quotes: dict[str, list[tuple[int, float, float, float, float]]] = {}
    for event in events:
        if isinstance(event, Trade):
            trades.setdefault(event.symbol, []).append((event.venue_ts, event.price, event.size))
        elif isinstance(event, Quote):
            row = (event.venue_ts, event.bid, event.ask, event.bid_size, event.ask_size)
            quotes.setdefault(event.symbol, []).append(row)
    if not trades:
        raise UsageError("the events hold no trade; the sandbox needs at least one")
    tapes = {}
    for symbol, prints in trades.items():
        ts, price, size = (np.array(column) for column in zip(*sorted(prints), strict=True))
        columns = Trades(ts.astype(np.int64), price.astype(float), size.astype(float))
        told = quotes.get(symbol)
        if told:
            at, *rest = (np.array(column) for column in zip(*sorted(told), strict=True))
            quoted = Quotes(at.astype(np.int64), *(column.astype(float) for column in rest))
        else:
            quoted = _around(columns)
        tapes[symbol] = SymbolTape(columns, quoted, bars_of_trades(columns, 60))
    return kept(tapes, 60, source)


def market_of_seed(seed: int = 7, symbols: Iterable[str] = ("AAPL", "MSFT"), sessions: int = 2) -> Market:
    """A seeded random walk over some sessions of 2024, by the minute."""
    from data.sources.random_walk import random_bars

    bars, book = random_bars(sessions * 390, list(symbols), seed, "1m", start=20240102)
    return market_of_rows(bars, book, "1m", f"random walk, seed {seed}")


def _trades(begin: Any, width: Any, prices: list[Any], volume: Any) -> Trades:
    """Four trades a row: (4 T,) columns."""
    opens, highs, lows, closes = prices
    rising = closes >= opens
    price = np.stack([opens, np.where(rising, lows, highs), np.where(rising, highs, lows), closes], axis=1)
    ts = np.stack([begin + width * place // 60 for place in PLACES], axis=1)
    quarter = np.where(volume >= len(PLACES), np.floor(volume / 4), volume / 4)
    size = np.stack([quarter, quarter, quarter, volume - 3 * quarter], axis=1)
    return Trades(ts.ravel(), price.ravel(), size.ravel())


def _counted(trades: Trades, rows: int) -> tuple[Any, Any]:
    size, price = trades.size.reshape(rows, 4), trades.price.reshape(rows, 4)
    return np.full(rows, 4, dtype=np.int64), np.round((size * price).sum(axis=1) / size.sum(axis=1), 6)


def _quotes(begin: Any, width: Any, book: Book | None, i: int, trades: Trades) -> Quotes:
    """What the book showed at a row's close is quoted as the next row begins, and flickers in size until the next.

    Without a book, around the trades.
    """
    if book is None or not book.present:
        return _around(trades)
    shown = [column[:, i] for column in (book.bid, book.ask, book.bid_size, book.ask_size)]
    shown = [np.concatenate([column[:1], column[:-1]]) for column in shown]  # the first row has only its own
    known = np.isfinite(shown[0]) & np.isfinite(shown[1])
    columns = [column[known] for column in shown]
    at = begin[known]
    if len(begin) > LIVELY_ROWS:
        return Quotes(at, *columns)
    step = width[known] // FLICKER
    turn = np.arange(FLICKER)
    times = (at[:, None] + step[:, None] * turn).ravel()
    bid, ask, bid_size, ask_size = (np.repeat(column, FLICKER) for column in columns)
    wave = np.tile(100.0 * (turn % 5), len(at))
    order = np.argsort(times, kind="stable")
    return Quotes(times[order], bid[order], ask[order], (bid_size + wave)[order], (ask_size + wave[::-1])[order])


def _around(trades: Trades) -> Quotes:
    sizes = np.full(len(trades.ts), 100.0)
    return Quotes(trades.ts + 1, trades.price - 0.01, trades.price + 0.01, sizes, sizes)


def _halts(bars: Bars, known: Any, begin: Any) -> tuple[tuple[int, int], ...]:
    """Five rows and more of a session without a price, between rows that have one."""
    found = []
    edges = np.flatnonzero(np.diff(np.concatenate([[1], known.astype(np.int8), [1]])))
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        inside = a > 0 and b < len(known) and bars.session[a - 1] == bars.session[b]
        if inside and b - a >= HALT_ROWS:
            found.append((int(begin[a]), int(bars.ts[b - 1])))
    return tuple(found)
