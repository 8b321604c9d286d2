"""A user's own CSV or Parquet file as Bars. pandas is imported inside the functions."""

from __future__ import annotations

import csv
import zipfile
import zlib
from pathlib import Path
from typing import Any

from data.door import did_you_mean
from data.errors import DataError, UsageError
from data.frames import SYMBOL_NAMES, TIME_NAMES, bars_from_pandas
from data.labels import Label, ZoneError
from data.types import Bars

CSV_ENDINGS = (".csv", ".txt", ".tsv", ".csv.gz", ".csv.zst", ".csv.bz2", ".csv.xz", ".csv.zip")
PARQUET_ENDINGS = (".parquet", ".pq")


def read_bars(
    path: Path | str,
    *,
    label: Label | None = None,
    clock: str | None = None,
    symbol: str | None = None,
    timezone: str | None = None,
) -> Bars:
    """Bars from a file with a header; the columns may be called as in `data.frames`, in any case and order.

    Times: a column ts, timestamp, datetime, date, time or t (date and time may be two), as text, epoch s, ms, us or
    ns, or session dates.

    Args:
        label: `start` or `close`, what a time means. clock: default: the smallest step between rows.
        symbol: the one to take of a file with several; default: all of its column symbol or ticker, else the
            file's name up to the first dot, underscore or minus.
        timezone: of times without one, as `America/New_York`.

    Raises:
        UsageError: no `label`, an unknown zone.
        DataError: no such file, one that cannot be read, or rows that cannot be bars.
    """
    path = Path(path)
    frame = _of_symbol(_read(path), symbol, path)
    frame = _with_index(frame, timezone, path)
    try:
        return bars_from_pandas(frame, label=label, clock=clock, symbol=symbol or _symbol_of(path))
    except ZoneError:
        raise DataError(
            f"{path}: times have no zone, first {frame.index[0]}; say which with --timezone, for example "
            "--timezone America/New_York (timezone= in Python)"
        ) from None


_DAMAGE = (ValueError, OSError, EOFError, ImportError, csv.Error, zlib.error, zipfile.BadZipFile)


def _read(path: Path) -> Any:
    import pandas as pd
    import pyarrow as pa

    name = path.name.lower()
    if not path.is_file():
        raise DataError(f"there is no file {path}; check the name")
    try:
        if name.endswith(PARQUET_ENDINGS):
            return pd.read_parquet(path)
        if name.endswith(CSV_ENDINGS):
            frame = pd.read_csv(path, skipinitialspace=True)
            if len(frame.columns) == 1:  # no comma: let pandas find what separates
                frame = pd.read_csv(path, sep=None, engine="python")
            return frame
    except (*_DAMAGE, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{path} cannot be read ({reason}); is it a whole CSV or Parquet file?") from None
    raise DataError(f"{path} is neither CSV nor Parquet by its name; call it .csv or .parquet")


def _of_symbol(frame: Any, symbol: str | None, path: Path) -> Any:
    """The rows of `symbol`, where the file tells symbols apart."""
    column = next((name for name in frame.columns if str(name).strip().lower() in SYMBOL_NAMES), None)
    if symbol is None or column is None:
        return frame
    names = frame[column].astype(str)
    if not (names == symbol).any():
        raise DataError(f"{path} has no symbol {symbol!r}{did_you_mean(symbol, names.unique())}")
    return frame[names == symbol]


def _with_index(frame: Any, timezone: str | None, path: Path) -> Any:
    """The frame with its times as index, in `timezone` where they had none."""
    import pandas as pd

    columns = {str(column).strip().lower(): column for column in frame.columns}
    if frame.shape[1] and str(frame.columns[0]).startswith("Unnamed:"):  # an index that was saved without a name
        columns.setdefault("time" if "date" not in columns else "", frame.columns[0])
    if isinstance(frame.index, pd.DatetimeIndex | pd.MultiIndex):
        return _localized(frame, timezone, path)
    named = next((columns[name] for name in TIME_NAMES if name in columns), None)
    if named is None:
        raise DataError(f"{path} has no column of times (ts, timestamp, datetime, date, time); it has {_list(frame)}")
    times = frame[named]
    if named == columns.get("date") and "time" in columns:
        times = times.astype(str) + " " + frame[columns["time"]].astype(str)
        frame = frame.drop(columns=columns["time"])
    frame = frame.drop(columns=named)
    if not len(frame):
        raise DataError(f"{path} has no rows; is it a whole file?")
    if pd.api.types.is_numeric_dtype(times.dtype):
        return frame.set_axis(pd.Index(times))
    try:
        index = pd.DatetimeIndex(pd.to_datetime(times, utc=_has_offsets(times)))
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: column {named!r} cannot be read as times ({reason})") from None
    return _localized(frame.set_axis(index), timezone, path)


def _localized(frame: Any, timezone: str | None, path: Path) -> Any:
    import pandas as pd

    index = frame.index
    dates = isinstance(index, pd.DatetimeIndex) and (index == index.normalize()).all()
    if timezone is None or not isinstance(index, pd.DatetimeIndex) or index.tz is not None or dates:
        return frame
    try:
        return frame.set_axis(index.tz_localize(timezone))
    except KeyError:  # zoneinfo's error for an unknown name is one
        raise UsageError(f"{timezone!r} is not a time zone; write for example America/New_York") from None
    except ValueError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: times do not exist or are double in {timezone} ({reason}); give UTC") from None


def _has_offsets(times: Any) -> bool:
    """True for text such as 2024-01-02T09:30:00-05:00 or ...Z, whose offsets may change with summer time."""
    sample = str(times.iloc[0]) if len(times) else ""
    return sample.endswith("Z") or "+" in sample[10:] or "-" in sample[10:]


def _symbol_of(path: Path) -> str:
    name = path.name
    for mark in "._-":
        name = name.split(mark)[0]
    return name.upper() or "ASSET"


def _list(frame: Any) -> str:
    return ", ".join(map(str, frame.columns))
