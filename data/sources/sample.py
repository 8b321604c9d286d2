"""Five real US stocks, daily, 2000-03-01 to 2013-03-01 (FB from 2012-05-18), without a download.

Quandl's WIKI end-of-day prices, which their publisher gave to the public domain, as the package `bokeh-sampledata`
ships them: AAPL, FB, GOOG, IBM, MSFT. Prices and volume in the file are as printed; its adjusted close carries every
split and dividend, also later ones.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np

from data.calendar import Day, as_yyyymmdd, closes_of, parse_day, session_columns
from data.errors import UnavailableError, UsageError
from data.sources.base import Adjustment, check_symbols
from data.types import PRICES, Bars, Floats, Ints

NAME = "sample"
CLOCK = "1d"
SIMULATED = False


def symbols() -> tuple[str, ...]:
    """AAPL, FB, GOOG, IBM, MSFT."""
    return tuple(sorted(_columns()))


def load(
    symbols: Sequence[str] | None = None,
    start: Day | None = None,
    end: Day | None = None,
    adjustment: Adjustment = "all",
) -> Bars:
    """Daily rows, labelled by the close of their session; NaN before a symbol was listed.

    Args:
        symbols: default: all five. start, end: first and last session, both included; default: all.
        adjustment: `all`: prices times adj_close / close, so that returns are an owner's, splits and dividends
            included; volume is divided by the same factor, so that price times volume stays what was paid.
            `raw`: as printed; AAPL and MSFT then jump where they split.

    Raises:
        UsageError: an unknown symbol or adjustment, or a range without rows.
        UnavailableError: the package `bokeh-sampledata` is not installed.
    """
    stocks = _columns()
    names = check_symbols(sorted(stocks) if symbols is None else symbols, sorted(stocks), "the sample")
    if adjustment not in ("all", "raw"):
        raise UsageError(f"adjustment {adjustment!r} is not one of all, raw")
    first = as_yyyymmdd(parse_day(start)) if start is not None else 0
    last = as_yyyymmdd(parse_day(end)) if end is not None else 99_999_999
    dates = np.unique(np.concatenate([stocks[name][0] for name in names]))
    dates = dates[(dates >= first) & (dates <= last)]
    if not len(dates):
        asked = f"from {start or 'its first session'} to {end or 'its last'}"
        raise UsageError(f"the sample has no rows of {', '.join(names)} {asked}; it has {_span(stocks, names)}")
    matrix = np.full((len(PRICES), len(dates), len(names)), np.nan)
    for i, name in enumerate(names):
        days, values = stocks[name]
        kept = (days >= first) & (days <= last)
        columns, adjusted = values[: len(PRICES), kept], values[len(PRICES), kept]
        if adjustment == "all":
            factor = adjusted / columns[PRICES.index("close")]
            columns = np.concatenate([columns[:4] * factor, columns[4:] / factor])
        matrix[:, np.searchsorted(dates, days[kept]), i] = columns
    ts = closes_of(dates)
    session, since_open, to_close = session_columns(ts, CLOCK)
    opens, highs, lows, closes, volumes = matrix
    return Bars(names, ts, opens, highs, lows, closes, volumes, session, since_open, to_close)


@lru_cache(maxsize=1)
def _columns() -> dict[str, tuple[Ints, Floats]]:
    """Per symbol: (T,) dates as yyyymmdd, and (6, T) open, high, low, close, volume, adj_close."""
    try:
        packed = files("bokeh_sampledata").joinpath("_data", "stocks.csv.gz").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise UnavailableError(
            "the sample needs the package bokeh-sampledata, which is not installed; run: make setup"
        ) from None
    table: dict[str, list[list[str]]] = {}
    rows = csv.reader(io.StringIO(gzip.decompress(packed).decode("ascii")))
    next(rows)
    for ticker, *row in rows:
        table.setdefault(ticker, []).append(row)
    return {
        ticker: (
            np.array([row[0].replace("-", "") for row in rows]).astype(np.int64),
            np.array([row[1:] for row in rows]).astype(np.float64).T,
        )
        for ticker, rows in table.items()
    }


def _span(stocks: dict[str, tuple[Ints, Floats]], names: Sequence[str]) -> str:
    first, last = (int(pick(stocks[name][0][i] for name in names)) for pick, i in ((min, 0), (max, -1)))
    return f"{parse_day(first)} to {parse_day(last)}"
