"""Bars from files of others: CSV (plain or gzipped) and Parquet, one symbol a file or many.

    bars = read("spy.csv", "1m", symbol="SPY", stamp="start", zone="America/New_York")
    bars = read(["2024-01-02.csv.gz", "2024-01-03.csv.gz"], "1m", stamp="start")      # with a column `ticker`

Columns are known by their usual names (`open`, `o`, `Open`, ...; `columns` gives others). What a file does not say of
itself has to be said: whether a row is stamped by its `start` or its `close`, and the `zone` of times without one.
pyarrow is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from data import calendar
from data.calendar import SECOND_NS
from data.door import did_you_mean
from data.errors import DataError, UsageError
from data.types import PRICES, Bars, Ints

NAMES = {
    "time": ("time", "ts", "timestamp", "datetime", "date", "window_start", "t"),
    "symbol": ("symbol", "ticker", "sym"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "v", "vol"),
}
KINDS = (".csv", ".csv.gz", ".parquet")


def read(
    paths: str | Path | Iterable[str | Path],
    clock: str,
    *,
    stamp: Literal["start", "close"],
    symbol: str = "",
    zone: str = "",
    columns: Mapping[str, str] | None = None,
) -> Bars:
    """The bars of one or more files as one table, labelled by their close.

    Args:
        clock: of the rows; `1d` rows are dates. stamp: what a row's time says.
        symbol: of files without a column for it. zone: of times that name none, such as `America/New_York`.
        columns: our name to the file's, for columns with other names: `{"close": "last"}`.

    Raises:
        UsageError: no such file or kind of file, a zone, symbol or column that is not given.
        DataError: a file that cannot be read, a cell that is no number or time, two rows for one instant.
    """
    seconds = calendar.parse_clock(clock)
    if stamp not in ("start", "close"):
        raise UsageError(f"stamp {stamp!r} is not one of start, close: which end of a row does its time say?")
    parts = [_read_one(path, clock, symbol, zone, columns or {}) for path in _listed(paths)]
    names = np.concatenate([part[0] for part in parts])
    ts = np.concatenate([part[1] for part in parts])
    values = np.concatenate([part[2] for part in parts], axis=1)
    if clock != "1d" and stamp == "start":
        ts = ts + seconds * SECOND_NS
    rows, row = np.unique(ts, return_inverse=True)
    symbols, column = np.unique(names, return_inverse=True)
    place = row * len(symbols) + column
    if len(np.unique(place)) < len(place):
        order = np.argsort(place, kind="stable")
        twice = order[1:][np.diff(place[order]) == 0][0]
        raise DataError(f"two rows of {str(names[twice])!r} are for {calendar.utc(int(ts[twice]))}; keep one of them")
    matrix = np.full((len(PRICES), len(rows), len(symbols)), np.nan)
    matrix[PRICES.index("volume")] = 0.0
    matrix[:, row, column] = values
    opens, highs, lows, closes, volumes = matrix
    times = calendar.session_columns(rows, clock)
    return Bars(tuple(map(str, symbols)), rows, opens, highs, lows, closes, volumes, *times)


def _listed(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    found = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if not found:
        raise UsageError("no files given; give at least one")
    for path in found:
        if not path.name.lower().endswith(KINDS):
            raise UsageError(f"{path} is none of {', '.join(KINDS)}")
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
    return found


def _read_one(path: Path, clock: str, symbol: str, zone: str, columns: Mapping[str, str]) -> tuple[Any, Ints, Any]:
    """(R,) symbols, (R,) instants, (5, R) prices of a file's R rows."""
    table = _table(path)
    have = {name.strip().lower(): name for name in table.column_names}

    def column(ours: str) -> Any:
        given = columns.get(ours)
        if given is not None and given not in table.column_names:
            raise UsageError(f"{path} has no column {given!r}{did_you_mean(given, table.column_names)}")
        named = given or next((have[name] for name in NAMES[ours] if name in have), None)
        return None if named is None else table.column(named)

    missing = [ours for ours in ("time", *PRICES) if column(ours) is None]
    if missing:
        raise UsageError(
            f"{path} has no column for {', '.join(missing)}; it has {', '.join(table.column_names)}; "
            f"name them: columns={{{missing[0]!r}: ...}}"
        )
    told = column("symbol")
    if told is None and not symbol:
        raise UsageError(f"{path} names no symbol; say symbol=")
    names = np.array([symbol] * table.num_rows if told is None else told.to_pylist(), dtype=str)
    ts = _instants(path, column("time"), clock, zone)
    return names, ts, np.stack([_numbers(path, name, column(name)) for name in PRICES])


def _table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path) if path.suffix.lower() == ".parquet" else pa.csv.read_csv(path)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path} cannot be read ({reason}); it may be damaged or cut off") from error


def _numbers(path: Path, name: str, column: Any) -> Any:
    import pyarrow as pa

    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path}: column {name} holds what is no number ({str(error).splitlines()[0]})") from error


def _instants(path: Path, column: Any, clock: str, zone: str) -> Ints:
    """UTC nanoseconds; dates become the close of their session."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_integer(kind):
        return _by_size(column.to_numpy())
    zoned = pa.types.is_timestamp(kind) and kind.tz is not None
    try:
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            texts = [str(text).strip().replace(" ", "T", 1) for text in column.to_pylist()]
            zoned = any(text.endswith("Z") for text in texts)
            stamps = np.array([text.removesuffix("Z") for text in texts], dtype="datetime64[ns]")
        else:
            stamps = column.cast(pa.timestamp("ns", tz=kind.tz if zoned else None)).to_numpy().astype("datetime64[ns]")
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path}: its times cannot be read ({str(error).splitlines()[0]})") from error
    if np.isnat(stamps).any():
        raise DataError(f"{path}: row {int(np.argmax(np.isnat(stamps))) + 1} has no time")
    if clock == "1d":
        days = stamps.astype("datetime64[D]").astype(str)
        return calendar.closes_of(np.array([int(day.replace("-", "")) for day in days], dtype=np.int64))
    naive = stamps.astype(np.int64)
    return naive if zoned else _from_zone(path, naive, zone)


def _by_size(values: Any) -> Ints:
    """Seconds, milli-, micro- or nanoseconds since 1970, told apart by their size."""
    values = np.asarray(values, dtype=np.int64)
    largest = int(values.max(initial=0))
    unit = next(
        scale for limit, scale in ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (2**63, 1)) if largest < limit
    )
    return np.asarray(values * unit, dtype=np.int64)


def _from_zone(path: Path, naive: Ints, zone: str) -> Ints:
    import datetime as dt

    if not zone:
        raise UsageError(f"{path} names no time zone; say zone='UTC' or zone='America/New_York'")
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"there is no time zone {zone!r}; write for example America/New_York") from None
    hours, which = np.unique(naive // (3_600 * SECOND_NS), return_inverse=True)
    offsets = []
    for hour in hours.tolist():
        moment = dt.datetime.fromtimestamp(hour * 3_600, dt.UTC).replace(tzinfo=place)
        offset = moment.utcoffset()
        offsets.append(0 if offset is None else int(offset.total_seconds()))
    return naive - np.array(offsets, dtype=np.int64)[which] * SECOND_NS
