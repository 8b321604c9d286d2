"""The rows a command asks for: from a source by name, from the simulated market, or from a tape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.calendar import as_yyyymmdd, parse_day, sessions
from data.door import did_you_mean
from data.errors import UsageError
from data.types import Bars, Book

SIMULATED = "simulated"
SEED = 7


class Rows(NamedTuple):
    """Rows with what a report says of them: `origin` is {"source": ..., "simulated": ...}."""

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
) -> Rows:
    """Rows of `symbols` (default: all there are) from session `start` to session `end`, both included.

    Args:
        source: `simulated`, a source of history by name, or the path of a tape.
        clock: of the simulated rows, `1m` where it is None; of others it must be theirs.
        seed: of the simulated market.

    Raises:
        UsageError: an unknown source, symbol or clock, or a range without rows.
        DataError: a file that is no tape, or a damaged one.
    """
    if source == SIMULATED:
        return _simulated(symbols, start, end, clock or "1m", seed)
    rows = _tape(source, symbols, start, end) if _is_path(source) else _history(source, symbols, start, end)
    if clock not in (None, rows.clock):
        raise UsageError(f"{source} has rows of {rows.clock}, not of {clock}; leave --clock out")
    return rows


def _is_path(source: str) -> bool:
    return "/" in source or "." in source or Path(source).is_file()


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

    known = (SIMULATED, *sources())
    if name not in known:
        raise UsageError(f"{name!r} is neither a source nor a file{did_you_mean(name, known)}")
    source = load_source(name)
    bars = source.load(tuple(symbols) or None, start, end)
    return Rows(bars, None, source.CLOCK, {"source": source.NAME, "simulated": source.SIMULATED})


def _tape(path: str, symbols: Sequence[str], start: str | None, end: str | None) -> Rows:
    from data.tape import read_tape

    header, bars, book = read_tape(path)
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
    bars, book = bars.rows(first, last), book.rows(first, last)
    origin = {"source": header.source, "simulated": header.simulated}
    return Rows(bars, book if book.present else None, header.clock, origin)
