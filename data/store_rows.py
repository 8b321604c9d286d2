"""Rows of the store in their versions: which one a reader gets, and how a new one differs from the last."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from data.calendar import NEW_YORK, SECOND_NS, Day, as_yyyymmdd, parse_day, session_columns, utc
from data.errors import UsageError
from data.store_files import Rows, files_of, read_rows
from data.types import PRICES, Bars, Floats, Ints

View = Literal["seen", "final"]
VIEWS = ("seen", "final")


class Entry(NamedTuple):
    """One dataset. first, last: session dates as yyyymmdd. sources: where its rows came from. files: how many.

    revised: values of rows that a source changed later.
    """

    symbol: str
    clock: str
    adjustment: str
    rows: int
    first: int
    last: int
    sources: tuple[str, ...]
    files: int
    revised: int = 0


class Added(NamedTuple):
    """What an import did for one symbol. new, same, revised: rows. path: the first file written, None where nothing.

    difference: how revised rows differ from what was stored, "" where none does.
    """

    symbol: str
    new: int
    same: int
    revised: int
    path: Path | None
    difference: str = ""


class Revision(NamedTuple):
    """A value that its source changed. ts: the row's close; recv_ts: when the new value reached us (0: not said)."""

    ts: int
    recv_ts: int
    column: str
    before: float
    after: float


class Moment(NamedTuple):
    """What a reader may know: rows and revisions until `ts` (UTC ns), actions until `day` (yyyymmdd, New York)."""

    ts: int
    day: int


def moment_of(as_of: Day | int) -> Moment:
    """The end of a day in New York, or an instant: UTC nanoseconds or a datetime with its zone.

    Raises:
        UsageError: not a date, or a datetime without a zone.
    """
    if isinstance(as_of, dt.datetime):
        if as_of.tzinfo is None:
            raise UsageError(f"as_of {as_of} has no time zone; give one, or a date")
        seconds = int(as_of.replace(microsecond=0).timestamp())
        as_of = seconds * SECOND_NS + as_of.microsecond * 1_000
    if isinstance(as_of, int) and as_of > 99_999_999:
        local = dt.datetime.fromtimestamp(as_of // SECOND_NS, NEW_YORK)
        return Moment(as_of, as_yyyymmdd(local.date()))
    day = parse_day(as_of)
    midnight = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), NEW_YORK)
    return Moment(int(midnight.timestamp()) * SECOND_NS - 1, as_yyyymmdd(day))


def choose(rows: Rows, view: View = "final", moment: Moment | None = None) -> Rows:
    """One version of each row, sorted by time; `rows` are in the order in which they were written.

    `seen` is the first value that reached us, `final` the last. As of a moment a row is known from its close on in its
    first value, for history that is pulled later was printed then; a revision is known from when it reached us.
    """
    if moment is None and (np.diff(rows.ts) > 0).all():
        return rows  # no row has two versions
    first = np.zeros(len(rows.ts), np.bool_)
    first[np.unique(rows.ts, return_index=True)[1]] = True
    allowed = np.array(first) if view == "seen" else np.ones(len(rows.ts), np.bool_)
    if moment is not None:
        allowed &= (rows.ts <= moment.ts) & (first | ((rows.recv_ts > 0) & (rows.recv_ts <= moment.ts)))
    rows = rows.cut(allowed)
    _, latest = np.unique(rows.ts[::-1], return_index=True)
    return rows.cut(len(rows.ts) - 1 - latest)


def revisions_of(rows: Rows) -> Iterator[Revision]:
    """Every changed value, by row and in the order in which the changes came."""
    order = np.argsort(rows.ts, kind="stable")
    ts = rows.ts[order]
    for i in np.flatnonzero(np.diff(ts) == 0).tolist():
        a, b = order[i], order[i + 1]
        for k in np.flatnonzero(rows.columns[:, a] != rows.columns[:, b]).tolist():
            values = (float(rows.columns[k, a]), float(rows.columns[k, b]))
            yield Revision(int(ts[i]), int(rows.recv_ts[b]), PRICES[k], *values)


class Plan(NamedTuple):
    """Rows to add for one symbol; same: how many are stored already; told: how others differ, "" where none does."""

    symbol: str
    folder: Path
    rows: Rows
    same: int
    told: str


def plan(bars: Bars, column: int, folder: Path, received: int) -> Plan:
    """What an import adds to the files of `folder` for one symbol."""
    symbol = bars.symbols[column]
    columns = np.stack([getattr(bars, name)[:, column] for name in PRICES])
    here = ~np.isnan(columns[:4]).all(axis=0)
    ts, session, columns = bars.ts[here], bars.session[here], columns[:, here]
    old = choose(read_rows(files_of(folder, int(session[0]), int(session[-1])) if len(ts) else []))
    _, at, old_at = np.intersect1d(ts, old.ts, assume_unique=True, return_indices=True)
    differs = (columns[:, at] != old.columns[:, old_at]).any(axis=0)
    add = np.ones(len(ts), np.bool_)
    add[at[~differs]] = False
    revision = np.zeros(len(ts), np.int64)
    revision[at[differs]] = old.revision[old_at[differs]] + 1
    told = _difference(symbol, ts[at], columns[:, at], old.columns[:, old_at], differs) if differs.any() else ""
    rows = Rows(ts, np.full(len(ts), received, np.int64), revision, columns).cut(add)
    return Plan(symbol, folder, rows, int((~differs).sum()), told)


def _difference(symbol: str, ts: Ints, new: Floats, old: Floats, differs: Any) -> str:
    """How rows differ from stored ones: (T,) times, (5, T) columns, and in which of them (T,)."""
    t = int(np.argmax(differs))
    column = int(np.argmax(new[:, t] != old[:, t]))
    count = f"{int(differs.sum())} of {len(ts)} rows"
    return (
        f"bars for {symbol!r}: {count} differ from stored ones, first {utc(int(ts[t]))}: "
        f"{PRICES[column]} is {float(new[column, t])!r}, stored {float(old[column, t])!r}"
    )


def joined(parts: Mapping[str, tuple[Ints, Floats]], clock: str, first: int, last: int) -> Bars:
    """Rows of several symbols side by side, NaN where one has none, from session `first` to `last`."""
    times = [part[0] for part in parts.values()]
    alike = all(np.array_equal(times[0], other) for other in times[1:])
    ts = times[0] if alike else np.unique(np.concatenate(times))
    session, since_open, to_close = session_columns(ts, clock)
    kept = (session >= first) & (session <= last)
    matrix = np.full((len(PRICES), len(parts), len(ts)), np.nan).transpose(0, 2, 1)  # as Bars keeps it
    for i, (at, columns) in enumerate(parts.values()):
        matrix[:, slice(None) if alike else np.searchsorted(ts, at), i] = columns
    opens, highs, lows, closes, volumes = matrix if kept.all() else matrix[:, kept]
    places = (session[kept], since_open[kept], to_close[kept])
    return Bars(tuple(parts), ts[kept], opens, highs, lows, closes, volumes, *places)
