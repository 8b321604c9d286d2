"""The picture of the bars that a model is shown: compact, scaled, and made from rows that were known.

`picture_of` is handed rows that end at the row in question: it cannot look ahead because it has nothing to look at.
Prices are an index with the last close at 100, volumes multiples of the window's median, so that an anonymous picture
is the named one without its name, price level and date.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from data.calendar import utc
from data.door import did_you_mean
from data.errors import DataError, UsageError
from data.types import Bars

ROWS = 60
FEWEST = 5
BASE = 100.0


class Picture(NamedTuple):
    """text: JSON, the same bytes for the same rows. ts: close of its last row. last: its close, dollars."""

    symbol: str
    ts: int
    last: float
    text: str


def picture_at(bars: Bars, t: int, symbol: str, clock: str, *, rows: int = ROWS, anonymous: bool = False) -> Picture:
    """The picture at row `t`: the rows up to it are cut out first, then pictured.

    Raises:
        UsageError: a row or symbol that is not there.
        DataError: as `picture_of`.
    """
    if not 0 <= t < len(bars):
        raise UsageError(f"row {t} is not one of {len(bars)}")
    return picture_of(bars.rows(max(t + 1 - rows, 0), t + 1), symbol, clock, anonymous=anonymous)


def picture_of(known: Bars, symbol: str, clock: str, *, anonymous: bool = False) -> Picture:
    """The picture of one symbol in `known`, whose last row is the present.

    Args:
        known: (T, N), nothing later than the row in question.
        anonymous: without ticker, price level and date.

    Raises:
        UsageError: no such symbol.
        DataError: no price on the last row, or fewer than five rows with a price.
    """
    if symbol not in known.symbols:
        raise UsageError(f"the rows have no symbol {symbol!r}{did_you_mean(symbol, known.symbols)}")
    j = known.symbols.index(symbol)
    close = known.close[:, j]
    priced = np.isfinite(close)
    if not len(known) or not priced[-1]:
        when = utc(int(known.ts[-1])) if len(known) else "none"
        raise DataError(f"{symbol} has no price on the last row ({when}); a picture ends with a price")
    if priced.sum() < FEWEST:
        raise DataError(f"{symbol} has {int(priced.sum())} rows with a price; a picture needs {FEWEST}")
    last = float(close[-1])
    scale = BASE / last
    traded = known.volume[:, j][known.volume[:, j] > 0.0]
    usual = float(np.median(traded)) if len(traded) else 1.0
    days = np.unique(known.session, return_inverse=True)[1]
    prices = [getattr(known, name)[:, j] for name in ("open", "high", "low", "close")]
    picture: dict[str, Any] = {
        "clock": clock,
        "columns": ["session", "open", "high", "low", "close", "volume"],
        "rows": [
            [
                int(days[t] - days[-1]),
                *_scaled([p[t] for p in prices], scale, 3),
                *_scaled([known.volume[t, j]], 1.0 / usual, 2),
            ]
            if priced[t]
            else [int(days[t] - days[-1]), None, None, None, None, 0.0]
            for t in range(len(known))
        ],
        "minutes_since_open": None if clock == "1d" else round(float(known.since_open[-1]) / 60.0, 1),
        "minutes_to_close": None if clock == "1d" else round(float(known.to_close[-1]) / 60.0, 1),
    }
    if not anonymous:
        picture |= {"symbol": symbol, "last_close": last, "time": utc(int(known.ts[-1]))}
    return Picture(symbol, int(known.ts[-1]), last, json.dumps(picture, separators=(",", ":"), allow_nan=False))


def _scaled(values: list[Any], scale: float, digits: int) -> list[float | None]:
    return [round(float(v) * scale, digits) if np.isfinite(v) else None for v in values]
