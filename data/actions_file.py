"""A file of corporate actions: one action a row, or daily rows with columns for dividends and splits.

symbol,date,kind,value,to        AAPL,2020-08-31,split,4,      FB,2022-06-09,rename,,META
symbol,date,dividend,split_ratio AAPL,2012-08-09,2.65,1.0      (a row a day; 0 and 1: nothing happened)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.actions import Action, checked
from data.calendar import as_yyyymmdd, parse_day
from data.errors import DataError, UsageError

SYMBOLS = ("symbol", "ticker")
DATES = ("date", "ex_date", "ex-date")
DIVIDENDS = ("dividend", "dividends", "ex-dividend")
SPLITS = ("split_ratio", "split", "splits")


def read_actions(path: Path | str, symbol: str | None = None) -> tuple[list[Action], tuple[str, ...]]:
    """The actions of a CSV or Parquet file, and every symbol that it tells of.

    Args:
        symbol: of a file without a column for it.

    Raises:
        DataError: no such file, one that cannot be read, a column missing, or an action that cannot be.
    """
    path = Path(path)
    rows = _rows(path)
    names = {name.strip().lower(): name for name in rows[0]} if rows else {}

    def column(wanted: tuple[str, ...]) -> str | None:
        return next((names[name] for name in wanted if name in names), None)

    at, who = column(DATES), column(SYMBOLS)
    if not rows or at is None or (who is None and symbol is None):
        missing = "rows" if not rows else "column date" if at is None else "column symbol; give --symbol"
        raise DataError(f"{path} has no {missing}")
    kind, dividend, split = column(("kind", "action", "type")), column(DIVIDENDS), column(SPLITS)
    found, told = [], []
    for number, row in enumerate(rows, 2):
        name = str(row[who]) if who is not None else str(symbol)
        told.append(name)
        try:
            date = _date(row[at])
            if kind is not None:
                to = str(row.get(names.get("to", "to")) or "")
                value: Any = row.get(names.get("value", "value"))
                found.append(Action(name, date, row[kind], 1.0 if row[kind] == "rename" else float(value), to))
            elif dividend is None and split is None:
                raise DataError(f"{path} has no column kind, dividend or split_ratio")
            else:
                found += _of_day(name, date, row.get(dividend or ""), row.get(split or ""))
        except (ValueError, TypeError, UsageError) as error:
            raise DataError(f"{path} row {number}: {error}") from None
    return checked(found), tuple(sorted(set(told)))


def _of_day(symbol: str, date: int, dividend: Any, split: Any) -> Iterator[Action]:
    if dividend not in (None, "") and float(dividend) != 0.0 and float(dividend) == float(dividend):
        yield Action(symbol, date, "dividend", float(dividend))
    if split not in (None, "") and float(split) not in (0.0, 1.0) and float(split) == float(split):
        yield Action(symbol, date, "split", float(split))


def _date(value: Any) -> int:
    if isinstance(value, dt.datetime):
        value = value.date()
    return as_yyyymmdd(value if isinstance(value, dt.date) else parse_day(str(value).strip()))


def _rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix in (".parquet", ".pq"):
            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            return rows
        import csv

        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, pa.ArrowException, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read ({reason})") from None
