"""The store: bars as they were seen, in Parquet files that are written once and never again.

    <root>/bars/<clock>/<adjustment>/<SYMBOL>/000001_20240102_20240131_<hash>.parquet

A file holds rows of one symbol and of one month (a day for seconds, a decade for days): `symbol`, `session`
(yyyymmdd), `ts` (int64, UTC nanoseconds of the close), `recv_ts` (when it reached us, 0: not said), `revision`, open,
high, low, close, volume; its metadata says where they came from. What an import adds is a new file. An import that
agrees with what is there adds nothing. One that differs is refused with the difference: a vendor that rewrites history
is news. With `revision=True` both are kept, and a reader says which it wants: `seen` first or `final`, as of any day.

Splits, dividends and renames lie beside the bars (`data.store_actions`) and are applied on read (`data.actions`).
Any Parquet reader can read the files. Files of earlier versions, which have no `recv_ts` and `revision`, are read as
they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from data import actions as corporate
from data.actions import Action, Span
from data.calendar import Day, as_yyyymmdd, parse_clock, parse_day, session_columns
from data.checks import require_good
from data.door import did_you_mean
from data.errors import DataError, UsageError
from data.store_actions import ActionFiles
from data.store_files import Batch, about, count_rows, files_of, folder_name, read_rows, write_rows, writing
from data.store_rows import (
    VIEWS,
    Added,
    Entry,
    Moment,
    Plan,
    Revision,
    View,
    choose,
    joined,
    moment_of,
    plan,
    revisions_of,
)
from data.tape import content_hash
from data.types import Bars, Floats, Ints

ADJUSTMENTS = ("raw", "split", "all")


class Store:
    """Bars under one folder; see the module for how they lie there.

    Args:
        root: default: the setting `store` (ONETAPE_STORE, else data/store in the checkout).
    """

    def __init__(self, root: Path | str | None = None) -> None:
        if root is None:
            from data.settings import load_settings

            root = load_settings().store
        self.root = Path(root)
        self.actions = ActionFiles(self.root)

    def put(
        self,
        bars: Bars,
        clock: str,
        source: str,
        adjustment: str = "raw",
        *,
        revision: bool = False,
        received: int = 0,
    ) -> list[Added]:
        """Keep these rows; a second time is no change. All symbols or none.

        Args:
            clock: of the rows. source: where they came from. adjustment: `raw`, `split` or `all`.
            revision: keep rows that differ from stored ones beside them, to be read instead of them.
            received: when the rows reached us, UTC ns; 0: not said.

        Raises:
            UsageError: an unknown clock or adjustment.
            DataError: the bars have errors; they differ from stored ones and `revision` is off; the store cannot be
                written.
        """
        parse_clock(clock)
        _check_adjustment(adjustment)
        require_good(bars, clock)
        with writing(self.root) as batch:
            plans = [
                plan(bars, i, self._folder(each, clock, adjustment), received) for i, each in enumerate(bars.symbols)
            ]
            for each in plans:
                if each.told and not revision:
                    raise DataError(f"{each.told}; if the source has corrected itself, keep both with --revision")
            return [_added(batch, each, clock, source, adjustment) for each in plans]

    def load(
        self,
        symbols: Sequence[str],
        clock: str,
        start: Day | None = None,
        end: Day | None = None,
        adjustment: str | None = None,
        *,
        as_of: Day | int | None = None,
        view: View = "final",
    ) -> tuple[Bars, str]:
        """Rows of these symbols from session `start` to session `end`, both included, and their content hash.

        Args:
            adjustment: default: the only one there is. `split` and `all` are made of raw rows and corporate actions
                where they are not stored.
            as_of: know nothing later: no row, no revision, no split. A day (its end in New York), UTC ns or a
                datetime with a zone.
            view: `final`, the newest value of each row, or `seen`, the first that reached us.

        Raises:
            UsageError: nothing stored under a symbol or clock, several adjustments and none named, no rows in range.
            DataError: a damaged file; prices that were to be adjusted and are so already.
        """
        if not symbols:
            raise UsageError(f"no symbols asked for; the store has {', '.join(self.symbols()) or 'none'}")
        parse_clock(clock)
        if view not in VIEWS:
            raise UsageError(f"view {view!r} is not one of {', '.join(VIEWS)}")
        first = as_yyyymmdd(parse_day(start)) if start is not None else 0
        last = as_yyyymmdd(parse_day(end)) if end is not None else 99_999_999
        moment = None if as_of is None else moment_of(as_of)
        parts = {}
        for symbol in symbols:
            spans = corporate.lineage(symbol, self.actions.renames(moment), corporate.NEVER)
            base, adjusted = self._base(symbol, spans, clock, adjustment, moment)
            read = _Read(base, adjusted, clock, first, last, view, moment)
            parts[symbol] = self._history(spans, read)
        bars = joined(parts, clock, first, last)
        if not len(bars):
            raise UsageError(self._no_rows(symbols, clock, start, end, as_of))
        return bars, content_hash(bars)

    def ls(self) -> list[Entry]:
        """Every dataset, by symbol, clock and adjustment."""
        return [self.entry(*name) for name in self.names()]

    def names(self) -> list[tuple[str, str, str]]:
        """(symbol, clock, adjustment) of every dataset, sorted; no file is opened."""
        folders = [folder for folder in self.root.glob("bars/*/*/*/") if files_of(folder)]
        return sorted((unquote(each.name), each.parts[-3], each.parts[-2]) for each in folders)

    def entry(self, symbol: str, clock: str, adjustment: str) -> Entry:
        """What is there of one dataset.

        Raises:
            DataError: a damaged file.
        """
        files = files_of(self._folder(symbol, clock, adjustment))
        told = [about(path) for path in files]
        if all("new" in each for each in told):
            rows, total = sum(each["new"] for each in told), count_rows(files)
        else:  # files of an earlier version do not say how many of their rows were new
            every = read_rows(files)
            rows, total = len(np.unique(every.ts)), len(every.ts)
        sources = tuple(sorted({each["source"] for each in told}))
        return Entry(symbol, clock, adjustment, rows, *_span(files), sources, len(files), total - rows)

    def symbols(self) -> list[str]:
        """Every symbol of which there is anything, sorted."""
        return sorted({unquote(folder.name) for folder in self.root.glob("bars/*/*/*/")})

    def stored(self, symbol: str, clock: str, adjustment: str) -> Bars:
        """Every row under exactly this name, as it is kept, in its newest value: nothing joined, nothing adjusted.

        Raises:
            UsageError: there is none. DataError: a damaged file.
        """
        rows = choose(read_rows(files_of(self._folder(symbol, clock, adjustment))))
        if not len(rows.ts):
            raise self._unknown(symbol, [Span(symbol, 0, corporate.NEVER)], clock, adjustment)
        return joined({symbol: (rows.ts, rows.columns)}, clock, 0, corporate.NEVER)

    def revisions(self, symbol: str, clock: str, adjustment: str = "raw") -> list[Revision]:
        """Every value that a source changed after it was stored, by row."""
        return list(revisions_of(read_rows(files_of(self._folder(symbol, clock, adjustment)))))

    def put_actions(
        self, actions: Iterable[Action], source: str, *, received: int = 0, known: Iterable[str] = ()
    ) -> int:
        """Keep corporate actions; as `data.store_actions.ActionFiles.put`."""
        return self.actions.put(actions, source, received, known)

    def _folder(self, symbol: str, clock: str, adjustment: str) -> Path:
        return self.root / "bars" / clock / adjustment / folder_name(symbol)

    def _base(
        self, symbol: str, spans: Sequence[Span], clock: str, adjustment: str | None, moment: Moment | None
    ) -> tuple[str, str]:
        """The adjustment of the rows to read, and what is to be made of them ("": nothing)."""
        if adjustment is not None:
            _check_adjustment(adjustment)
        there = [
            each for each in ADJUSTMENTS if any(files_of(self._folder(span.symbol, clock, each)) for span in spans)
        ]
        if not there:
            raise self._unknown(symbol, spans, clock, adjustment)
        if adjustment is None and len(there) > 1:
            raise UsageError(f"{symbol!r} is stored with adjustment {' and '.join(sorted(there))}; say which")
        wanted = adjustment or there[0]
        if wanted in there and (moment is None or wanted == "raw"):
            return wanted, ""
        if "raw" not in there:
            if moment is not None:
                raise UsageError(
                    f"{symbol!r} is stored only as adjusted ({', '.join(there)}), and those prices tell of later "
                    "splits; as of a day needs raw ones"
                )
            raise self._unknown(symbol, spans, clock, adjustment)
        if all(self.actions.of(span.symbol) is None for span in spans):
            raise UsageError(
                f"the store has no {clock} {wanted} bars of {symbol!r}; it has raw ones, but nobody said which splits "
                "and dividends there were: python -m data actions FILE"
            )
        return "raw", wanted

    def _history(self, spans: Sequence[Span], read: _Read) -> tuple[Ints, Floats]:
        """(T,) times and (5, T) columns of one symbol under all of its names."""
        parts, actions = [], []
        # What a dividend takes from earlier prices is told by the close of its day, which may lie outside the range.
        first, last = (0, 99_999_999) if read.made else (read.first, read.last)
        for span in reversed(spans):
            low, high = max(first, span.first), min(last, span.until - 1)
            rows = read_rows(files_of(self._folder(span.symbol, read.clock, read.base), low, high))
            rows = choose(rows, read.view, read.moment)
            session, _, _ = session_columns(rows.ts, read.clock)
            inside = (session >= low) & (session <= high)
            parts.append(rows if inside.all() else rows.cut(inside))
            known = self.actions.of(span.symbol, read.moment) or []
            actions += [action for action in known if span.first <= action.date < span.until]
        ts = np.concatenate([part.ts for part in parts])
        columns = np.concatenate([part.columns for part in parts], axis=1)
        if read.made and len(ts):
            columns = corporate.adjust(columns, *session_columns(ts, read.clock), actions, read.made)
        return ts, columns

    def _unknown(self, symbol: str, spans: Sequence[Span], clock: str, adjustment: str | None) -> UsageError:
        known = self.symbols()
        names = {span.symbol for span in spans}
        if not names & set(known):
            hint = did_you_mean(symbol, known) or "; see: python -m data ls"
            return UsageError(f"the store has no symbol {symbol!r}{hint}")
        wanted = f"{clock} {adjustment}" if adjustment else clock
        have = [f"{entry.clock} {entry.adjustment}" for entry in self.ls() if entry.symbol in names]
        return UsageError(f"the store has no {wanted} bars of {symbol!r}; it has {', '.join(have)}")

    def _no_rows(
        self, symbols: Sequence[str], clock: str, start: Day | None, end: Day | None, as_of: Day | int | None
    ) -> str:
        newer = corporate.newer_name(symbols[0], self.actions.renames())
        if newer and len(symbols) == 1 and as_of is None:
            return f"{symbols[0]!r} is called {newer!r} now; load {newer!r}, or say as of which day"
        files = [
            path for symbol in symbols for each in ADJUSTMENTS for path in files_of(self._folder(symbol, clock, each))
        ]
        span = "; it has {} to {}".format(*(parse_day(day) for day in _span(files))) if files else ""
        known = f" as of {as_of}" if as_of is not None else ""
        asked = f"from {start or 'the first'} to {end or 'the last'}"
        return f"the store has no rows of {', '.join(symbols)} {asked}{known}{span}"


class _Read(NamedTuple):
    """What is read: rows of adjustment `base`, of which `made` is made ("": nothing), of these sessions."""

    base: str
    made: str
    clock: str
    first: int
    last: int
    view: View
    moment: Moment | None


def _added(batch: Batch, plan: Plan, clock: str, source: str, adjustment: str) -> Added:
    told = {"symbol": plan.symbol, "clock": clock, "adjustment": adjustment, "source": source}
    path = write_rows(batch, plan.folder, plan.rows, told) if len(plan.rows.ts) else None
    revised = int((plan.rows.revision > 0).sum())
    return Added(plan.symbol, len(plan.rows.ts) - revised, plan.same, revised, path, plan.told)


def _check_adjustment(adjustment: str) -> None:
    if adjustment not in ADJUSTMENTS:
        raise UsageError(f"adjustment {adjustment!r} is not one of {', '.join(ADJUSTMENTS)}")


def _span(files: Sequence[Path]) -> tuple[int, int]:
    """First and last session of these files, by their names."""
    days = [path.name.split("_")[1:3] for path in files]
    return min(int(first) for first, _ in days), max(int(last) for _, last in days)
