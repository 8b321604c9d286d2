"""Rows by one word on a command line: `sample`, `store`, the path of a tape, or the name of a source or vendor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data.calendar import as_yyyymmdd, parse_day
from data.door import did_you_mean
from data.errors import UsageError
from data.types import Bars, Book


class Rows(NamedTuple):
    """bars, book: the rows; book None without L2. clock: of them. origin: where they came from, as reports say it."""

    bars: Bars
    book: Book | None
    clock: str
    origin: dict[str, Any]


def rows_of(
    place: str,
    symbols: Sequence[str] | None = None,
    clock: str | None = None,
    start: str | None = None,
    end: str | None = None,
    store: Path | None = None,
) -> Rows:
    """The rows of a place.

    Args:
        symbols: default: all there are; a vendor has to be told.
        clock: of stored rows (default: the only one there is) and of a vendor's (default 1m).
        start, end: first and last session, both included; a vendor has to be told.

    Raises:
        UsageError: no such place, symbol, clock or range.
        DataError: a damaged file.
    """
    from data.sources.base import load_source, load_vendor, sources, vendors
    from data.tape import is_tape

    if place == "store":
        return _stored(symbols, clock, start, end, store)
    if place in sources():
        source = load_source(place)
        return Rows(source.load(symbols, start, end), None, source.CLOCK, _origin(source.NAME, source.SIMULATED))
    if place in vendors():
        if not symbols or start is None or end is None:
            raise UsageError(f"{place} has to be told what to send: name the symbols and the sessions")
        vendor, clock = load_vendor(place), clock or "1m"
        bars = vendor.history(symbols, start, end, clock, adjustment="split")
        return Rows(bars, None, clock, _origin(vendor.NAME, vendor.SIMULATED))
    if Path(place).exists() or is_tape(place):
        return _taped(Path(place), symbols, start, end)
    known = ("store", *sources(), *vendors())
    raise UsageError(f"{place!r} is neither a tape nor one of {', '.join(known)}{did_you_mean(place, known)}")


def _stored(
    symbols: Sequence[str] | None, clock: str | None, start: str | None, end: str | None, root: Path | None
) -> Rows:
    from data.store import Store

    store = Store(root)
    entries = store.ls()
    if not entries:
        raise UsageError("the store is empty; bring bars in with: python -m data import FILE")
    clocks = sorted({entry.clock for entry in entries})
    if clock is None and len(clocks) > 1:
        raise UsageError(f"the store has rows of {', '.join(clocks)}; say which with --clock")
    clock = clock or clocks[0]
    names = symbols or sorted({entry.symbol for entry in entries if entry.clock == clock})
    bars, digest = store.load(names, clock, start, end)
    return Rows(bars, None, clock, _origin(f"store, {digest[:12]}", False))


def _taped(path: Path, symbols: Sequence[str] | None, start: str | None, end: str | None) -> Rows:
    from data.tape import read_tape

    header, bars, book = read_tape(path)
    first = as_yyyymmdd(parse_day(start)) if start is not None else 0
    last = as_yyyymmdd(parse_day(end)) if end is not None else 99_999_999
    low, high = bars.session.searchsorted(first), bars.session.searchsorted(last, side="right")
    bars, book = bars.rows(int(low), int(high)), book.rows(int(low), int(high))
    if not len(bars):
        raise UsageError(f"tape {path} has no rows from {start or 'its first'} to {end or 'its last'}")
    for symbol in symbols or ():
        if symbol not in header.symbols:
            raise UsageError(f"tape {path} has no symbol {symbol!r}{did_you_mean(symbol, header.symbols)}")
    if symbols:
        columns = [header.symbols.index(symbol) for symbol in symbols]
        bars, book = bars.pick(columns), book.pick(columns)
    return Rows(bars, book if book.present else None, header.clock, _origin(header.source, header.simulated))


def _origin(source: str, simulated: bool) -> dict[str, Any]:
    return {"source": source, "simulated": simulated}
