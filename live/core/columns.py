"""A row as the strategy sees it, `Bars` and `Book` of shape (1, N), and as the position rule sees it, a flat list.

This is the hot path of a decision: one block of memory per row, everything else a view of it.
"""

from __future__ import annotations

from struct import pack
from typing import Any

import numpy as np

from data.errors import DataError
from data.rows import Row
from data.types import FEATURES, PRICES, Bars, Book
from strategies.common.position import (
    CLOSE,
    COVER,
    ENTER,
    FIELDS,
    HIGH,
    LEAVE,
    LOW,
    OPEN,
    SHORT,
    SIZE,
    SPREAD,
    STOP_AT,
    TARGET_AT,
    TRAIL_AT,
    VOLUME,
    nan,
)
from strategies.types import Signals

_PRICED = len(PRICES)
_FEATURES = len(FEATURES)
_SPREAD = FEATURES.index("spread")


def columns_of(row: Row, symbols: tuple[str, ...]) -> tuple[Bars, Book | None]:
    """`row` as read-only columns (1, N), no book where it has none.

    Raises:
        DataError: the row does not hold one number per symbol.
    """
    count = len(symbols)
    lists = [row.open, row.high, row.low, row.close, row.volume]
    if row.book is not None:
        lists += row.book
        if len(lists) != _PRICED + _FEATURES:
            raise DataError(f"row {row.ts} has {len(row.book)} book features, expected {_FEATURES}")
    flat: list[float] = []
    for values in lists:
        if len(values) != count:
            raise DataError(f"row {row.ts} has {len(values)} numbers for {count} symbols; it is not of this feed")
        flat += values
    # Arrays over packed bytes: several times faster than np.array of lists, and read-only by nature.
    table = np.frombuffer(pack(f"{len(flat)}d", *flat)).reshape(len(lists), 1, count)
    times = pack("qqdd", row.ts, row.session, row.since_open, row.to_close)
    whole = np.frombuffer(times, np.int64, 2)
    seconds = np.frombuffer(times, np.float64, 2, 16)
    views = list(table)
    bars: Bars = object.__new__(Bars)
    bars.__dict__.update(
        symbols=symbols,
        ts=whole[:1],
        open=views[0],
        high=views[1],
        low=views[2],
        close=views[3],
        volume=views[4],
        session=whole[1:],
        since_open=seconds[:1],
        to_close=seconds[1:],
    )
    if row.book is None:
        return bars, None
    book: Book = object.__new__(Book)
    book.__dict__.update(zip(FEATURES, views[_PRICED:], strict=True), symbols=symbols)
    return bars, book


def put(x: list[float], row: Row, signals: Signals, count: int) -> None:
    """Write prices and signals of a row into the rule's list `x`, FIELDS numbers per symbol."""
    x[OPEN::FIELDS] = row.open
    x[HIGH::FIELDS] = row.high
    x[LOW::FIELDS] = row.low
    x[CLOSE::FIELDS] = row.close
    x[VOLUME::FIELDS] = row.volume
    x[SPREAD::FIELDS] = [nan] * count if row.book is None else row.book[_SPREAD]
    x[ENTER::FIELDS] = _one(signals.entries)
    x[LEAVE::FIELDS] = _one(signals.exits)
    for field, column, empty in (
        (SHORT, signals.short_entries, 0.0),
        (COVER, signals.short_exits, 0.0),
        (SIZE, signals.size, nan),
        (STOP_AT, signals.stop, nan),
        (TARGET_AT, signals.target, nan),
        (TRAIL_AT, signals.trail, nan),
    ):
        x[field::FIELDS] = [empty] * count if column is None else _one(column)


def _one(column: Any) -> list[float]:
    """The only row of a (1, N) column; True counts as 1.0 in every comparison of the rule."""
    values: list[float] = column[0].tolist()
    return values
