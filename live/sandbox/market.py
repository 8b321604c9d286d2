"""What the sandbox's vendors know: trades, quotes, bars and books of a few symbols, by time.

A `Market` is columns of a tape, of a recording of events, or of a simulation. Times are UTC nanoseconds; bars begin
at `start`, as vendors stamp them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from data.calendar import DAY_SECONDS, SECOND_NS, session_columns
from data.errors import UsageError
from data.events import Level
from data.types import Floats, Ints

LEVELS = 10
TICK = 0.01


class Trades(NamedTuple):
    """(T,) columns; a trade's id is its position plus one."""

    ts: Ints
    price: Floats
    size: Floats

    def cut(self, part: Any) -> Trades:
        """Those of a slice or a mask."""
        return Trades(self.ts[part], self.price[part], self.size[part])


class Quotes(NamedTuple):
    """(T,) columns, sizes in shares."""

    ts: Ints
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats


class BarColumns(NamedTuple):
    """(T,) columns; `trades` counts, `vwap` is their mean price by size."""

    start: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    trades: Ints
    vwap: Floats


class SymbolTape(NamedTuple):
    """All of one symbol. halts: (start, end) in which it did not trade. bars: by the minute, or the tape's clock."""

    trades: Trades
    quotes: Quotes
    bars: BarColumns
    halts: tuple[tuple[int, int], ...] = ()


class Market:
    """The tapes of some symbols, each made when it is first asked for.

    Args:
        symbols: in the tape's order. make: gives a symbol's tape.
        bar_s: seconds of the tape's own bars; others are made of them. source: where the tape came from.
    """

    def __init__(self, symbols: tuple[str, ...], make: Callable[[str], SymbolTape], bar_s: int, source: str) -> None:
        self.symbols = symbols
        self.bar_s = bar_s
        self.source = source
        self._make = make
        self._tapes: dict[str, SymbolTape] = {}
        self._bars: dict[tuple[str, int], BarColumns] = {}

    def tape(self, symbol: str) -> SymbolTape:
        """Everything of a symbol that `has` it."""
        if symbol not in self._tapes:
            self._tapes[symbol] = self._make(symbol)
        return self._tapes[symbol]

    def has(self, symbol: str) -> bool:
        """Whether the symbol is listed here."""
        return symbol in self.symbols

    @property
    def first_ns(self) -> int:
        """The first instant anything happens."""
        return min(_edge(self.tape(symbol), 0) for symbol in self.symbols)

    @property
    def last_ns(self) -> int:
        """The last one."""
        return max(_edge(self.tape(symbol), -1) for symbol in self.symbols)

    def session_start(self, number: int) -> int | None:
        """Half a minute before the first trade of the tape's session of this number; None for the first.

        Raises:
            UsageError: the tape has fewer sessions.
        """
        if number == 0:
            return None
        ts = np.concatenate([self.tape(symbol).trades.ts for symbol in self.symbols])
        session, _, _ = session_columns(ts, "1m")
        days = np.unique(session)
        if number >= len(days):
            raise UsageError(f"the tape has {len(days)} sessions; {number} of them cannot be history already")
        return int(ts[session == days[number]].min()) - 30 * SECOND_NS

    def bars(self, symbol: str, seconds: int) -> BarColumns:
        """Bars of so many seconds; those of a day are stamped New York's midnight, shorter ones the full interval."""
        base = self.tape(symbol).bars
        if seconds == self.bar_s:
            return base
        if (symbol, seconds) not in self._bars:
            if seconds < self.bar_s:
                self._bars[symbol, seconds] = bars_of_trades(self.tape(symbol).trades, seconds)
            else:
                self._bars[symbol, seconds] = _coarser(base, seconds)
        return self._bars[symbol, seconds]

    def quote(self, symbol: str, ts: int) -> tuple[int, float, float, float, float] | None:
        """(ts, bid, ask, bid size, ask size) as it stood at `ts`; None before the first."""
        quotes = self.tape(symbol).quotes
        i = int(np.searchsorted(quotes.ts, ts, side="right")) - 1
        if i < 0:
            return None
        return (int(quotes.ts[i]), *(float(column[i]) for column in quotes[1:]))  # type: ignore[return-value]

    def trade(self, symbol: str, ts: int) -> tuple[int, int, float, float] | None:
        """(position, ts, price, size) of the last trade at `ts`; None before the first."""
        trades = self.tape(symbol).trades
        i = int(np.searchsorted(trades.ts, ts, side="right")) - 1
        return None if i < 0 else (i, int(trades.ts[i]), float(trades.price[i]), float(trades.size[i]))

    def book(self, symbol: str, ts: int) -> tuple[int, tuple[Level, ...], tuple[Level, ...]] | None:
        """(ts, bids, asks) around the quote at `ts`: its sizes at the top, deterministic ones behind."""
        quote = self.quote(symbol, ts)
        if quote is None:
            return None
        at, bid, ask, bid_size, ask_size = quote
        return at, _ladder(bid, bid_size, -TICK), _ladder(ask, ask_size, TICK)


def bars_of_trades(trades: Trades, seconds: int) -> BarColumns:
    """Bars of every interval in which there was a trade."""
    step = seconds * SECOND_NS
    start = trades.ts // step * step
    first = np.flatnonzero(np.concatenate([[True], np.diff(start) != 0])) if len(start) else np.empty(0, np.int64)
    if not len(first):
        nothing = np.empty(0)
        return BarColumns(start, *(nothing,) * 5, np.empty(0, np.int64), nothing)
    last = np.concatenate([first[1:], [len(start)]]) - 1
    volume = np.add.reduceat(trades.size, first)
    paid = np.add.reduceat(trades.price * trades.size, first)
    return BarColumns(
        start[first],
        trades.price[first],
        np.maximum.reduceat(trades.price, first),
        np.minimum.reduceat(trades.price, first),
        trades.price[last],
        volume,
        last - first + 1,
        np.round(paid / volume, 6),
    )


def _coarser(base: BarColumns, seconds: int) -> BarColumns:
    if seconds == DAY_SECONDS:
        # New York's midnight lies nine and a half hours before the open, whatever the season.
        _, since_open, _ = session_columns(base.start, "1m")
        opens = base.start - (since_open * SECOND_NS).astype(np.int64)
        key = opens - (9 * 60 + 30) * 60 * SECOND_NS
    else:
        key = base.start // (seconds * SECOND_NS) * (seconds * SECOND_NS)
    first = np.flatnonzero(np.concatenate([[True], np.diff(key) != 0]))
    last = np.concatenate([first[1:], [len(key)]]) - 1
    volume = np.add.reduceat(base.volume, first)
    return BarColumns(
        key[first],
        base.open[first],
        np.maximum.reduceat(base.high, first),
        np.minimum.reduceat(base.low, first),
        base.close[last],
        volume,
        np.add.reduceat(base.trades, first),
        np.round(np.add.reduceat(base.vwap * base.volume, first) / volume, 6),
    )


def _ladder(best: float, size: float, tick: float) -> tuple[Level, ...]:
    if not best > 0.0:
        return ()
    return tuple((round(best + tick * i, 4), float(size + 100 * (i * 7 % 5))) for i in range(LEVELS))


def _edge(tape: SymbolTape, position: int) -> int:
    edges = [int(column[position]) for column in (tape.trades.ts, tape.quotes.ts, tape.bars.start) if len(column)]
    return (min if position == 0 else max)(edges)


def kept(tapes: Mapping[str, SymbolTape], bar_s: int, source: str) -> Market:
    """A market of tapes that are at hand."""
    return Market(tuple(tapes), tapes.__getitem__, bar_s, source)
