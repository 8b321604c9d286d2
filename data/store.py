"""The store: bars as they were seen, in Parquet files that are written once and never again.

    <root>/bars/<clock>/<adjustment>/<SYMBOL>/000001_20240102_20240131_<hash>.parquet

A file holds rows of one symbol: `ts` (int64, UTC nanoseconds of the close), open, high, low, close, volume; its
metadata says where they came from. What an import adds is a new file. An import that agrees with what is there adds
nothing. One that differs is refused with the difference: a vendor that rewrites history is news. With
`revision=True` both are kept, and the newest is read. Any Parquet reader can read the files.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np

from data.calendar import Day, as_yyyymmdd, parse_clock, parse_day, session_columns, utc
from data.checks import require_good
from data.door import did_you_mean
from data.errors import DataError, UsageError
from data.tape import content_hash, replacing
from data.types import PRICES, Bars, Floats, Ints

METADATA = b"onetape.bars"
ADJUSTMENTS = ("raw", "split", "all")


class Entry(NamedTuple):
    """One dataset. first, last: session dates as yyyymmdd. sources: where its rows came from. files: how many."""

    symbol: str
    clock: str
    adjustment: str
    rows: int
    first: int
    last: int
    sources: tuple[str, ...]
    files: int


class Added(NamedTuple):
    """What an import did for one symbol. new, same, revised: rows. path: the file written, None where nothing was."""

    symbol: str
    new: int
    same: int
    revised: int
    path: Path | None


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

    def put(
        self, bars: Bars, clock: str, source: str, adjustment: str = "raw", *, revision: bool = False
    ) -> list[Added]:
        """Keep these rows; a second time is no change. All symbols or none.

        Args:
            clock: of the rows. source: where they came from. adjustment: `raw`, `split` or `all`.
            revision: keep rows that differ from stored ones beside them, to be read instead of them.

        Raises:
            UsageError: an unknown clock or adjustment.
            DataError: the bars have errors; they differ from stored ones and `revision` is off.
        """
        parse_clock(clock)
        _check_adjustment(adjustment)
        require_good(bars, clock)
        with self._writing():
            plans = [self._plan(bars, column, clock, adjustment, revision) for column in range(len(bars.symbols))]
            return [self._write(plan, clock, source, adjustment) for plan in plans]

    def load(
        self,
        symbols: Sequence[str],
        clock: str,
        start: Day | None = None,
        end: Day | None = None,
        adjustment: str | None = None,
    ) -> tuple[Bars, str]:
        """The newest rows of these symbols from session `start` to session `end`, both included, and their hash.

        Args:
            adjustment: default: the only one there is.

        Raises:
            UsageError: nothing stored under a symbol or clock, several adjustments and none named, no rows in range.
            DataError: a damaged file.
        """
        if not symbols:
            raise UsageError(f"no symbols asked for; the store has {', '.join(self.symbols()) or 'none'}")
        parse_clock(clock)
        parts = {symbol: self._newest(self._folder_of(symbol, clock, adjustment)) for symbol in symbols}
        ts = np.unique(np.concatenate([part[0] for part in parts.values()]))
        session, since_open, to_close = session_columns(ts, clock)
        first = as_yyyymmdd(parse_day(start)) if start is not None else 0
        last = as_yyyymmdd(parse_day(end)) if end is not None else 99_999_999
        kept = (session >= first) & (session <= last)
        if not kept.any():
            raise UsageError(
                f"the store has no rows of {', '.join(symbols)} from {start or 'the first'} to {end or 'the last'}; "
                f"it has {parse_day(int(session[0]))} to {parse_day(int(session[-1]))}"
            )
        matrix = np.full((len(PRICES), len(ts), len(parts)), np.nan)
        for i, (at, columns) in enumerate(parts.values()):
            matrix[:, np.searchsorted(ts, at), i] = columns
        opens, highs, lows, closes, volumes = matrix[:, kept]
        times = (session[kept], since_open[kept], to_close[kept])
        bars = Bars(tuple(parts), ts[kept], opens, highs, lows, closes, volumes, *times)
        return bars, content_hash(bars)

    def ls(self) -> list[Entry]:
        """Every dataset, by symbol, clock and adjustment."""
        entries = []
        for folder in sorted(self.root.glob("bars/*/*/*/")):
            ts, _ = self._newest(folder)
            clock, adjustment, symbol = folder.parts[-3:]
            session, _, _ = session_columns(ts[[0, -1]], clock)
            files = _files(folder)
            sources = tuple(sorted({_metadata(path)["source"] for path in files}))
            span = (int(session[0]), int(session[-1]))
            entries.append(Entry(unquote(symbol), clock, adjustment, len(ts), *span, sources, len(files)))
        return sorted(entries)

    def symbols(self) -> list[str]:
        """Every symbol of which there is anything, sorted."""
        return sorted({unquote(folder.name) for folder in self.root.glob("bars/*/*/*/")})

    def _folder_of(self, symbol: str, clock: str, adjustment: str | None) -> Path:
        there = {path.parent.name: path for path in self.root.glob(f"bars/{clock}/*/{_folder_name(symbol)}/")}
        if adjustment is not None:
            _check_adjustment(adjustment)
        if not there or (adjustment is not None and adjustment not in there):
            known = self.symbols()
            if symbol not in known:
                hint = did_you_mean(symbol, known) or "; see: python -m data ls"
                raise UsageError(f"the store has no symbol {symbol!r}{hint}")
            wanted = f"{clock} {adjustment}" if adjustment else clock
            have = [f"{entry.clock} {entry.adjustment}" for entry in self.ls() if entry.symbol == symbol]
            raise UsageError(f"the store has no {wanted} bars of {symbol!r}; it has {', '.join(have)}")
        if adjustment is None and len(there) > 1:
            raise UsageError(f"{symbol!r} is stored with adjustment {' and '.join(sorted(there))}; say which")
        return there[adjustment] if adjustment is not None else next(iter(there.values()))

    def _newest(self, folder: Path) -> tuple[Ints, Floats]:
        """(T,) times and (5, T) columns: of each time, the row of the latest file."""
        parts = [_read(path) for path in _files(folder)]
        ts = np.concatenate([part[0] for part in parts])
        columns = np.concatenate([part[1] for part in parts], axis=1)
        _, latest = np.unique(ts[::-1], return_index=True)
        order = len(ts) - 1 - latest
        return ts[order], columns[:, order]

    def _plan(self, bars: Bars, column: int, clock: str, adjustment: str, revision: bool) -> _Plan:
        """What an import adds for one symbol."""
        symbol = bars.symbols[column]
        columns = np.stack([getattr(bars, name)[:, column] for name in PRICES])
        here = ~np.isnan(columns[:4]).all(axis=0)
        ts, columns = bars.ts[here], columns[:, here]
        folder = self.root / "bars" / clock / adjustment / _folder_name(symbol)
        if not _files(folder):
            return _Plan(symbol, folder, ts, columns, 0, 0)
        old_ts, old_columns = self._newest(folder)
        _, at, old_at = np.intersect1d(ts, old_ts, assume_unique=True, return_indices=True)
        differs = (columns[:, at] != old_columns[:, old_at]).any(axis=0)
        if differs.any() and not revision:
            raise DataError(_difference(symbol, ts[at], columns[:, at], old_columns[:, old_at], differs))
        add = np.ones(len(ts), np.bool_)
        add[at[~differs]] = False
        return _Plan(symbol, folder, ts[add], columns[:, add], int((~differs).sum()), int(differs.sum()))

    def _write(self, plan: _Plan, clock: str, source: str, adjustment: str) -> Added:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not len(plan.ts):
            return Added(plan.symbol, 0, plan.same, 0, None)
        session, _, _ = session_columns(plan.ts[[0, -1]], clock)
        digest = hashlib.sha256(plan.ts.tobytes() + plan.columns.tobytes()).hexdigest()[:12]
        number = max((int(path.name[:6]) for path in _files(plan.folder)), default=0) + 1
        path = plan.folder / f"{number:06d}_{session[0]}_{session[1]}_{digest}.parquet"
        told = {"symbol": plan.symbol, "clock": clock, "adjustment": adjustment, "source": source}
        table = pa.table({"ts": plan.ts, **dict(zip(PRICES, plan.columns, strict=True))})
        with replacing(path) as draft:
            pq.write_table(
                table.replace_schema_metadata({METADATA: json.dumps(told).encode()}),
                draft,
                compression="zstd",
                use_dictionary=False,
                write_page_checksum=True,
            )
        return Added(plan.symbol, len(plan.ts) - plan.revised, plan.same, plan.revised, path)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time; the others wait."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / ".lock").open("w")
        except OSError as error:
            raise DataError(
                f"the store {self.root} cannot be written ({error.strerror}); nothing was changed"
            ) from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Plan(NamedTuple):
    """Rows to add for one symbol: (T,) times, (5, T) columns; of stored ones, how many are the same and revised."""

    symbol: str
    folder: Path
    ts: Ints
    columns: Floats
    same: int
    revised: int


def _check_adjustment(adjustment: str) -> None:
    if adjustment not in ADJUSTMENTS:
        raise UsageError(f"adjustment {adjustment!r} is not one of {', '.join(ADJUSTMENTS)}")


def _folder_name(symbol: str) -> str:
    """A symbol as a folder that stays inside the store: BTC%2FUSD, BRK.B."""
    name = quote(symbol, safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _files(folder: Path) -> list[Path]:
    """The files of one dataset, oldest first."""
    return sorted(path for path in folder.glob("*.parquet") if path.name[:6].isdigit())


def _read(path: Path) -> tuple[Ints, Floats]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        return table.column("ts").to_numpy(), np.stack([table.column(name).to_numpy() for name in PRICES])
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path} is damaged ({reason}); remove it and import its rows again") from error


def _metadata(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    told: dict[str, Any] = json.loads(pq.read_schema(path).metadata[METADATA])
    return told


def _difference(symbol: str, ts: Ints, new: Floats, old: Floats, differs: Any) -> str:
    """The sentence that shows how an import differs from what is stored."""
    t = int(np.argmax(differs))
    column = int(np.argmax(new[:, t] != old[:, t]))
    count = f"{int(differs.sum())} of {len(ts)} rows"
    return (
        f"bars for {symbol!r}: {count} differ from stored ones, first {utc(int(ts[t]))}: "
        f"{PRICES[column]} is {float(new[column, t])!r}, stored {float(old[column, t])!r}; "
        "if the source has corrected itself, keep both with --revision"
    )
