"""The rows a command asks for: from a source by name, the simulated market, the store, a tape, or a file of bars."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from data.calendar import as_yyyymmdd, parse_day, sessions
from data.door import did_you_mean
from data.errors import UsageError
from data.files import CSV_ENDINGS
from data.seals import is_path, seal_of
from data.types import Bars, Book

__all__ = ["MADE_ON_CLOCK", "SEED", "SIMULATED", "STORE", "Rows", "is_path", "load_rows"]

SIMULATED, STORE = "simulated", "store"
MADE_ON_CLOCK = (SIMULATED, STORE)
"""Sources that have rows of many clocks, and must be told which."""
SEED = 7


class Rows(NamedTuple):
    """Rows with what a report says of them: `origin` is {"source": ..., "simulated": ..., "recipe": ...}.

    The recipe is what was asked for, as `load_rows` takes it: with it a report can be run again.
    """

    bars: Bars
    book: Book | None
    clock: str
    origin: dict[str, Any]


def load_rows(
    source: str,
    symbols: Sequence[str] = (),
    start: str | None = None,
    end: str | None = None,
    *,
    clock: str | None = None,
    seed: int = SEED,
    label: str | None = None,
) -> Rows:
    """Rows of `symbols` (default: all there are) from session `start` to session `end`, both included.

    Sealed sessions (`data.seals`) are left out with a warning; `origin` then has the first of them as `sealed`.

    Args:
        source: `simulated`, `store`, a source of history by name, or the path of a tape, CSV or Parquet file.
        clock: of the simulated or stored rows, `1m` where it is None; of others it must be theirs.
        seed: of the simulated market.
        label: what a time in a CSV or Parquet file means, `start` or `close` of its row.

    Raises:
        UsageError: an unknown source, symbol or clock, a range without rows, or one that is sealed altogether.
        DataError: a file that is no tape, or a damaged one.
    """
    rows = _unsealed(source, _loaded(source, symbols, start, end, clock, seed, label))
    asked = {"symbols": list(symbols), "start": start, "end": end, "clock": clock, "label": label}
    recipe: dict[str, Any] = {"source": source} | {name: value for name, value in asked.items() if value}
    if source == SIMULATED:
        recipe["seed"] = seed
    return rows._replace(origin=rows.origin | {"recipe": recipe})


def _loaded(
    source: str,
    symbols: Sequence[str],
    start: str | None,
    end: str | None,
    clock: str | None,
    seed: int,
    label: str | None,
) -> Rows:
    if source == SIMULATED:
        return _simulated(symbols, start, end, clock or "1m", seed)
    if source == STORE:
        return _stored(symbols, start, end, clock or "1m")
    if not is_path(source):
        rows = _history(source, symbols, start, end)
    elif label is None and not source.lower().endswith(CSV_ENDINGS):
        rows = _tape(source, symbols, start, end)
    else:
        rows = _file(source, symbols, start, end, clock, label)
    if clock not in (None, rows.clock):
        raise UsageError(f"{source} has rows of {rows.clock}, not of {clock}; leave --clock out")
    return rows


def _unsealed(source: str, rows: Rows) -> Rows:
    """The rows before the source's seal, all of them where it has none or was opened."""
    seal = seal_of(source)
    if seal is None or not seal.closed:
        return rows
    bars, book = rows.bars, rows.book
    kept = int(np.searchsorted(bars.session, seal.first))
    if kept == len(bars):
        return rows
    when = f"{seal.first // 10_000:04d}-{seal.first // 100 % 100:02d}-{seal.first % 100:02d}"
    sentence = f"{source} is sealed from {when} on: {len(bars) - kept:,} of {len(bars):,} rows are left out"
    if not kept:
        raise UsageError(f"{sentence}; end the range before, or open the seal: python -m research open-seal {source}")
    warnings.warn(f"{sentence} (python -m research open-seal {source}, once)", UserWarning, stacklevel=3)
    cut = None if book is None else book.rows(0, kept)
    return rows._replace(bars=bars.rows(0, kept), book=cut, origin=rows.origin | {"sealed": seal.first})


def _simulated(symbols: Sequence[str], start: str | None, end: str | None, clock: str, seed: int) -> Rows:
    from data.sources import simulated

    options: dict[str, Any] = {"symbols": tuple(symbols)} if symbols else {}
    first = start or str(simulated.START)
    if end is not None:
        options["sessions"] = len(sessions(first, end))
    bars, book = simulated.market(seed=seed, clock=clock, start=first, **options)
    return Rows(bars, book, clock, {"source": f"simulated market, seed {seed}", "simulated": True})


def _history(name: str, symbols: Sequence[str], start: str | None, end: str | None) -> Rows:
    from data.sources.base import load_source, sources

    known = (SIMULATED, STORE, *sources())
    if name not in known:
        raise UsageError(f"{name!r} is neither a source nor a file{did_you_mean(name, known)}")
    source = load_source(name)
    bars = source.load(tuple(symbols) or None, start, end)
    return Rows(bars, None, source.CLOCK, {"source": source.NAME, "simulated": source.SIMULATED})


def _tape(path: str, symbols: Sequence[str], start: str | None, end: str | None) -> Rows:
    from data.tape import read_tape

    header, bars, book = read_tape(path)
    bars, book = _cut(path, bars, book, symbols, start, end)
    origin = {"source": header.source, "simulated": header.simulated}
    return Rows(bars, book if book.present else None, header.clock, origin)


def _file(
    path: str, symbols: Sequence[str], start: str | None, end: str | None, clock: str | None, label: str | None
) -> Rows:
    from backtests.engine import clock_of
    from data.checks import require_good
    from data.files import read_bars

    bars = read_bars(path, label=cast("Any", label), clock=clock)
    clock = clock or clock_of(bars)
    require_good(bars, clock)
    bars, _ = _cut(path, bars, Book.absent(len(bars), bars.symbols), symbols, start, end)
    return Rows(bars, None, clock, {"source": Path(path).name})


def _stored(symbols: Sequence[str], start: str | None, end: str | None, clock: str) -> Rows:
    from data.store import Store

    store = Store()
    entries = [entry for entry in store.ls() if entry.clock == clock]
    wanted = tuple(symbols) or tuple(dict.fromkeys(entry.symbol for entry in entries))
    if not wanted:
        raise UsageError(f"the store has no rows of {clock}; see: python -m data ls")
    bars, _ = store.load(wanted, clock, start, end)
    files = sorted({name for entry in entries if entry.symbol in wanted for name in entry.sources})
    return Rows(bars, None, clock, {"source": f"store ({', '.join(files)})"})


def _cut(
    path: str, bars: Bars, book: Book, symbols: Sequence[str], start: str | None, end: str | None
) -> tuple[Bars, Book]:
    """The symbols and sessions asked for."""
    if symbols:
        for symbol in symbols:
            if symbol not in bars.symbols:
                raise UsageError(f"{path} has no symbol {symbol!r}{did_you_mean(symbol, bars.symbols)}")
        columns = [bars.symbols.index(symbol) for symbol in symbols]
        bars, book = bars.pick(columns), book.pick(columns)
    low = as_yyyymmdd(parse_day(start)) if start else 0
    high = as_yyyymmdd(parse_day(end)) if end else 99_999_999
    first, last = int(np.searchsorted(bars.session, low)), int(np.searchsorted(bars.session, high, side="right"))
    if first >= last:
        has = f"it has sessions {bars.session[0]} to {bars.session[-1]}" if len(bars) else "it is empty"
        raise UsageError(f"{path} has no rows from {start or 'its start'} to {end or 'its end'}; {has}")
    return bars.rows(first, last), book.rows(first, last)
