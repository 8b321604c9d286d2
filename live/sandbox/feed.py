"""What the market prints, in the order in which a feed would carry it: built piece by piece, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from data.calendar import MINUTE_NS, SECOND_NS
from live.sandbox.faults import Faults
from live.sandbox.market import Market, SymbolTape, Trades, bars_of_trades

PIECE_NS = 10 * MINUTE_NS
BANDS_NS = 5 * MINUTE_NS
BAND = 0.05
LATE_NS, UPDATED_NS = 10 * SECOND_NS, 30 * SECOND_NS  # after the minute's end
RANK = {"bar": 0, "second": 0, "updated": 0, "day": 1, "status": 2, "bands": 2, "trade": 3, "quote": 4}


class Print(NamedTuple):
    """One message of a feed, due at an instant. at: the venue's time of it.

    kind and values: `trade` (price, size), `quote` (bid, ask, bid size, ask size), `bar`, `updated`, `day` and
    `second` (open, high, low, close, volume, trades, vwap; `at` is the start), `status` (1.0 trading, 0.0 halted),
    `bands` (up, down). ordinal: the position of a trade or quote in its tape.
    """

    due: int
    kind: str
    symbol: str
    at: int
    ordinal: int
    values: tuple[float, ...]


def feed(market: Market, faults: Faults, start_ns: int, end_ns: int) -> Iterator[Print]:
    """Everything due from `start_ns` to `end_ns`, both included, in order."""
    days = {symbol: _Day() for symbol in market.symbols}
    piece = start_ns // PIECE_NS * PIECE_NS
    held: list[Print] = []
    while piece <= end_ns:
        prints = held
        for symbol in market.symbols:
            prints += _piece(market.tape(symbol), symbol, piece, faults, days[symbol], second=market.bar_s <= 60)
        prints.sort(key=lambda each: (each.due, RANK[each.kind]))
        held = [each for each in prints if each.due >= piece + PIECE_NS]
        yield from (each for each in prints[: len(prints) - len(held)] if start_ns <= each.due <= end_ns)
        piece += PIECE_NS
        if not held and piece <= end_ns:
            piece = max(piece, _next(market, piece) // PIECE_NS * PIECE_NS)
    yield from (each for each in held if start_ns <= each.due <= end_ns)


def _piece(tape: SymbolTape, symbol: str, piece: int, faults: Faults, day: _Day, *, second: bool) -> Iterator[Print]:
    end = piece + PIECE_NS
    trades = tape.trades
    a, b = (int(np.searchsorted(trades.ts, edge)) for edge in (piece, end))
    late = set()
    for i in range(a, b):
        ts = int(trades.ts[i])
        due = ts
        if faults.of_message("ws.late", i + 1):
            due = ts // MINUTE_NS * MINUTE_NS + MINUTE_NS + LATE_NS
            late.add(i)
        yield Print(due, "trade", symbol, ts, i, (float(trades.price[i]), float(trades.size[i])))
    quotes = tape.quotes
    for i in range(*(int(np.searchsorted(quotes.ts, edge)) for edge in (piece, end))):
        ts = int(quotes.ts[i])
        values = (float(quotes.bid[i]), float(quotes.ask[i]), float(quotes.bid_size[i]), float(quotes.ask_size[i]))
        yield Print(ts, "quote", symbol, ts, i, values)
    if second:
        yield from _bars(trades.cut(slice(a, b)), symbol, a, late, day)
    for halt in tape.halts:
        for at, trading in zip(halt, (0.0, 1.0), strict=True):
            if piece <= at < end:
                yield Print(at, "status", symbol, at, 0, (trading,))
    for at in range(piece + (-piece) % BANDS_NS, end, BANDS_NS):
        if b > a:
            price = float(trades.price[a])
            yield Print(at, "bands", symbol, at, 0, (round(price * (1 + BAND), 2), round(price * (1 - BAND), 2)))


def _bars(part: Trades, symbol: str, first: int, late: set[int], day: _Day) -> Iterator[Print]:
    """Second and minute bars of a piece's trades, and the day's as it stands after each minute."""
    seconds = bars_of_trades(part, 1)
    for i, start in enumerate(seconds.start.tolist()):
        yield Print(start + SECOND_NS, "second", symbol, start, i, _values(seconds, i))
    whole = bars_of_trades(part, 60)
    early = np.array([first + i not in late for i in range(len(part.ts))], dtype=bool)
    told = bars_of_trades(part.cut(early), 60) if late else whole
    for i, start in enumerate(told.start.tolist()):
        yield Print(start + MINUTE_NS, "bar", symbol, start, i, _values(told, i))
    for i, start in enumerate(whole.start.tolist()):
        end = start + MINUTE_NS
        yield Print(end, "day", symbol, *day.add(start, _values(whole, i)))
        inside = slice(*(int(np.searchsorted(part.ts, edge)) for edge in (start, end)))
        if not early[inside].all():
            yield Print(end + UPDATED_NS, "updated", symbol, start, i, _values(whole, i))


class _Day:
    """A symbol's bar of the day so far."""

    def __init__(self) -> None:
        self._date = -1
        self._row: tuple[float, ...] = ()
        self._start = 0

    def add(self, start: int, row: tuple[float, ...]) -> tuple[int, int, tuple[float, ...]]:
        date = (start - 8 * 60 * MINUTE_NS) // (24 * 60 * MINUTE_NS)  # changes at 08:00 UTC, when nothing trades
        if date != self._date:
            self._date, self._row, self._start = date, row, start
        else:
            open_, high, low, _, volume, trades, vwap = self._row
            total = volume + row[4]
            mean = round((vwap * volume + row[6] * row[4]) / total, 6)
            self._row = (open_, max(high, row[1]), min(low, row[2]), row[3], total, trades + row[5], mean)
        return self._start, 0, self._row


def _values(bars: Any, i: int) -> tuple[float, ...]:
    return tuple(column[i].item() for column in bars[1:])


def _next(market: Market, after: int) -> int:
    """When something happens next."""
    found = []
    for symbol in market.symbols:
        tape = market.tape(symbol)
        for ts in (tape.trades.ts, tape.quotes.ts):
            i = int(np.searchsorted(ts, after))
            if i < len(ts):
                found.append(int(ts[i]))
    return min(found, default=after)
