"""Bars and books from pandas frames and back, exact to the nanosecond and to the last bit of a price.

What vendors and libraries hand out is taken as it is: columns in any case, one symbol or many, symbols in the rows
(Alpaca) or in the columns (Yahoo, vectorbt; either level on top), a dict of frames, a Polygon answer with epoch
milliseconds. What cannot be guessed must be said: whether a time labels the start of its row or the close, and
which zone a time without one is in. pandas is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from data.calendar import session_columns
from data.errors import DataError, UsageError
from data.labels import Label, Times, check_order, close_times, find_clock, read_times
from data.types import FEATURES, PRICES, Bars, Book, Floats, Ints

UNNAMED = "ASSET"  # the symbol of a frame that names none
TIME_NAMES = ("ts", "timestamp", "datetime", "date", "time", "t")
SYMBOL_NAMES = ("symbol", "ticker", "s")
SHORT = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}  # Polygon's wire names


class _Table(NamedTuple):
    """One symbol's rows: times as found, columns by our names."""

    times: Times
    columns: dict[str, Floats]


def bars_from_pandas(
    frame: Any, *, label: Label | None = None, clock: str | None = None, symbol: str | None = None
) -> Bars:
    """Bars from a frame, a dict of frames by symbol, or a Polygon answer.

    Args:
        frame: open, high, low, close, volume in any case (other columns are left aside) and an index or a column of
            times. Times with a zone are converted to UTC; whole numbers are epoch s, ms, us or ns by their size;
            dates without a clock time are session dates.
        label: what a time means: `start` or `close` of its row. There is no default: taking one for the other
            moves every signal by a row, into the past it should not have known. Session dates need it too.
        clock: of the rows, as `1m`; default: the smallest step between rows. Always checked against the rows.
        symbol: name of the only symbol.

    Returns:
        Rows at every time any symbol has; NaN where a symbol has none.

    Raises:
        UsageError: no `label`; a clock that is none.
        DataError: a missing or non-numeric column, duplicate or unsorted times, times without a zone, rows that do
            not fit the clock.
    """
    if label not in ("start", "close"):
        raise UsageError(
            f"label is {label!r}: say label='start' or label='close', what the times of the rows mean; "
            "a wrong guess would let every signal see one row ahead"
        )
    tables = {name: _table(part, name, PRICES) for name, part in _split(frame, PRICES, symbol or UNNAMED).items()}
    clock = find_clock({name: table.times for name, table in tables.items()}, clock)
    stamps = {name: close_times(table.times, clock, label, name) for name, table in tables.items()}
    ts = np.unique(np.concatenate(list(stamps.values())))
    matrix = _align(ts, stamps, tables, PRICES)
    session, since_open, to_close = session_columns(ts, clock)
    opens, highs, lows, closes, volumes = matrix
    return Bars(tuple(tables), ts, opens, highs, lows, closes, volumes, session, since_open, to_close)


def bars_to_pandas(bars: Bars) -> Any:
    """A frame with columns (column, symbol), so that `frame["close"]` is (T, N); index: close instants, UTC, ns."""
    import pandas as pd

    parts = {name: pd.DataFrame(getattr(bars, name), columns=list(bars.symbols)) for name in PRICES}
    frame = pd.concat(parts, axis=1, names=["column", "symbol"])
    frame.index = pd.DatetimeIndex(bars.ts.view("datetime64[ns]"), tz="UTC", name="close_time")
    return frame


def book_from_pandas(frame: Any, bars: Bars, *, label: Label = "close", clock: str | None = None) -> Book:
    """A book for the rows of `bars`, from a frame with any of the columns of `data.types.FEATURES`.

    Rows and symbols that `bars` does not have are left aside, those the frame does not have are NaN. `spread`, `mid`
    and `microprice` are computed where bid and ask are there and they are not.

    Args:
        frame: laid out in any way `bars_from_pandas` takes; times name the instant a feature was known, which is
            the row's close.
        clock: of the rows; needed with `label="start"` or session dates.

    Raises:
        DataError: as `bars_from_pandas`; or no known column at all.
    """
    tables = {
        name: _table(part, name, ())
        for name, part in _split(frame, FEATURES, bars.symbols[0] if len(bars.symbols) == 1 else UNNAMED).items()
        if name in bars.symbols
    }
    if not tables:
        raise DataError(f"the frame has none of the symbols {', '.join(bars.symbols)}")
    if not any(name in table.columns for table in tables.values() for name in FEATURES):
        raise DataError(f"the frame has no column of a book; there is {', '.join(FEATURES)}")
    for table in tables.values():
        _derive(table.columns)
    times = {name: table.times for name, table in tables.items()}
    if label == "start" or any(found.naive for found in times.values()):
        clock = find_clock(times, clock)
    stamps = {name: close_times(found, clock, label, name) if clock else found.ns for name, found in times.items()}
    matrix = np.full((len(FEATURES), *bars.shape), np.nan)
    for symbol, at in stamps.items():
        check_order(at, symbol)
        kept = np.isin(at, bars.ts)
        rows, column = np.searchsorted(bars.ts, at[kept]), bars.symbols.index(symbol)
        for i, name in enumerate(FEATURES):
            if name in tables[symbol].columns:
                matrix[i, rows, column] = tables[symbol].columns[name][kept]
    return Book(bars.symbols, **dict(zip(FEATURES, matrix, strict=True)))


def _split(frame: Any, wanted: tuple[str, ...], symbol: str) -> dict[str, Any]:
    """One frame per symbol, whatever the layout."""
    import pandas as pd

    if isinstance(frame, Mapping):
        if "results" in frame:
            return {str(frame.get("ticker", symbol)): pd.DataFrame(frame["results"])}
        if frame and all(isinstance(part, pd.DataFrame) for part in frame.values()):
            return {str(name): part for name, part in frame.items()}
        frame = pd.DataFrame(frame)
    elif isinstance(frame, list):
        frame = pd.DataFrame(frame)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{type(frame).__name__} is not a DataFrame, nor a dict of them by symbol")
    if frame.empty:
        raise DataError("the frame has no rows; load some")
    if frame.columns.nlevels == 2:
        top = {str(name).lower() for name in frame.columns.get_level_values(0)}
        level = 1 if top & set(wanted) else 0
        names = frame.columns.get_level_values(level).unique()
        return {str(name): frame.xs(name, axis=1, level=level).dropna(how="all") for name in names}
    if frame.index.nlevels == 2:
        levels = [frame.index.get_level_values(i) for i in range(2)]
        level = 1 if isinstance(levels[0], pd.DatetimeIndex) else 0
        return {str(name): frame.xs(name, level=level) for name in levels[level].unique()}
    if frame.columns.nlevels > 2 or frame.index.nlevels > 2:
        raise DataError("the frame has an index of more than two levels; keep symbol and time, or symbol and column")
    column = _named(frame, SYMBOL_NAMES)
    if column is not None:
        return {str(name): part for name, part in frame.groupby(column, sort=False)}
    return {symbol: frame}


def _table(frame: Any, symbol: str, required: tuple[str, ...]) -> _Table:
    """Times and columns of one symbol's frame; all known columns, the `required` ones at least."""
    import pandas as pd

    time = None if isinstance(frame.index, pd.DatetimeIndex) else _named(frame, TIME_NAMES)
    times = read_times(frame.index if time is None else frame[time], symbol)
    found: dict[str, Floats] = {}
    for column in frame.columns:
        name = str(column).strip().lower().replace(" ", "_")
        name = SHORT.get(name, name)
        if name in PRICES or name in FEATURES:
            if name in found:
                raise DataError(f"frame of {symbol!r}: two columns are called {name!r}; keep one")
            try:
                found[name] = pd.to_numeric(frame[column]).to_numpy(dtype=np.float64, na_value=np.nan)
            except (ValueError, TypeError) as error:
                raise DataError(f"frame of {symbol!r}: column {column!r} is not numeric ({error})") from None
    missing = [name for name in required if name not in found]
    if missing:
        raise DataError(
            f"frame of {symbol!r} has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}"
        )
    return _Table(times, found)


def _named(frame: Any, names: tuple[str, ...]) -> Any:
    """The column with the first of these names, in any case, or None."""
    by_name = {str(column).strip().lower(): column for column in frame.columns}
    return next((by_name[name] for name in names if name in by_name), None)


def _align(ts: Ints, stamps: dict[str, Ints], tables: dict[str, _Table], names: tuple[str, ...]) -> Floats:
    """(columns, T, N): every symbol's columns on the common times; NaN where it has no row."""
    matrix = np.full((len(names), len(tables), len(ts)), np.nan)
    for n, (symbol, table) in enumerate(tables.items()):
        rows = np.searchsorted(ts, stamps[symbol])
        for i, name in enumerate(names):
            matrix[i, n, rows] = table.columns[name]
    return matrix.transpose(0, 2, 1)


def _derive(columns: dict[str, Floats]) -> None:
    """What bid, ask and their sizes imply, where it is not given."""
    if "bid" in columns and "ask" in columns:
        bid, ask = columns["bid"], columns["ask"]
        columns.setdefault("spread", ask - bid)
        columns.setdefault("mid", (bid + ask) / 2.0)
        if "bid_size" in columns and "ask_size" in columns:
            bid_size, ask_size = columns["bid_size"], columns["ask_size"]
            with np.errstate(invalid="ignore", divide="ignore"):
                columns.setdefault("microprice", (bid * ask_size + ask * bid_size) / (bid_size + ask_size))
