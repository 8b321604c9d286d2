"""What is wrong with bars: one finding for each symbol and kind, with the first place and what to do.

Errors make prices unusable; warnings are for a person to judge. Everything is vectorised: a million rows take a
fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from data import checks_rows
from data.calendar import CLOCKS, DAY_SECONDS, SECOND_NS, is_regular, parse_day, row_times, sessions, utc
from data.errors import DataError
from data.types import PRICES, Bars, Floats, Ints

Level = Literal["error", "warning"]
Bools = npt.NDArray[np.bool_]

OUTLIER = 15.0  # typical moves (median absolute) that a print must go and come back to be doubted
LEAST_OUTLIER = 0.03  # and as a fraction of price
SPLITS = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50)
SPLIT_TOLERANCE = 0.03  # of the ratio from a close to the next open
FEW = 30  # rows below which nothing is said about typical moves


class Finding(NamedTuple):
    """One thing wrong with one symbol ("" for the times all share). ts: first place, UTC ns. sentence: what to do."""

    symbol: str
    ts: int
    kind: str
    level: Level
    sentence: str


def check_bars(
    bars: Bars, clock: str | None = None, splits: Mapping[str, Mapping[int, float]] | None = None
) -> list[Finding]:
    """Everything found wrong, errors first.

    Errors: `empty`, `times` (duplicate or unsorted), `nan` (part of a row unknown), `infinite`, `order`
    (high and low do not enclose open and close), `price` (zero or less), `volume` (negative), `shift` (sessions whose
    rows lie an hour off, as a fixed offset from UTC makes them), `double` (a split that raw prices do not show).
    Warnings: `gap` (rows the exchange calendar has and the symbol has not, between its first and last), `closed` (rows
    on days without a session), `outlier` (a print that goes far and comes back), `split` (a jump overnight by a
    split's ratio that is not a known split), `stale` (the same row again and again).

    Args:
        clock: of the rows; default: the one they keep.
        splits: of raw prices, what is known: symbol -> date as yyyymmdd -> new shares for one.
    """
    if not len(bars):
        return [Finding("", 0, "empty", "error", "there are no rows; widen the range")]
    found = list(_check_times(bars.ts))
    if not found:
        expected = _expected(bars, clock or clock_of(bars))
        for column, symbol in enumerate(bars.symbols):
            found += _check_symbol(bars, column, symbol, expected, (splits or {}).get(symbol, {}))
    return sorted(found, key=lambda finding: finding.level)  # "error" sorts before "warning"; stable otherwise


def require_good(bars: Bars, clock: str | None = None) -> list[Finding]:
    """The warnings about bars that have no errors.

    Raises:
        DataError: the first error found.
    """
    found = check_bars(bars, clock)
    errors = [finding for finding in found if finding.level == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise DataError(errors[0].sentence + more)
    return found


def clock_of(bars: Bars) -> str:
    """The clock whose step is the commonest between rows; `1d` where every row ends a session."""
    steps = np.diff(bars.ts)
    if not len(steps) or (bars.to_close == 0.0).all():
        return "1d"
    values, counts = np.unique(steps, return_counts=True)
    seconds = int(values[int(np.argmax(counts))]) / SECOND_NS
    return next((name for name, step in CLOCKS.items() if step >= seconds), "1d")


def _check_times(ts: Ints) -> Iterator[Finding]:
    step = np.diff(ts)
    for wrong, what, cure in (
        (step == 0, "duplicate", "keep one row of each"),
        (step < 0, "unsorted", "sort the rows by time"),
    ):
        if wrong.any():
            at = int(ts[int(np.argmax(wrong)) + 1])
            yield Finding("", at, "times", "error", f"bars: {wrong.sum()} {what} times, first {utc(at)}; {cure}")


def _check_symbol(
    bars: Bars, column: int, symbol: str, expected: Ints, splits: Mapping[int, float]
) -> Iterator[Finding]:
    open_, high, low, close = (getattr(bars, name)[:, column] for name in ("open", "high", "low", "close"))
    volume = bars.volume[:, column]

    def finding(wrong: Bools, kind: str, level: Level, what: str, cure: str) -> Iterator[Finding]:
        if wrong.any():
            at = int(bars.ts[int(np.argmax(wrong))])
            sentence = f"bars for {symbol!r}: {int(wrong.sum())} {what}, first {utc(at)}; {cure}"
            yield Finding(symbol, at, kind, level, sentence)

    prices = np.stack([open_, high, low, close])
    unknown = np.isnan(prices)
    absent = unknown.all(axis=0) & ~(volume > 0)
    here = ~absent
    if absent.all():
        at = int(bars.ts[0])
        yield Finding(symbol, at, "empty", "error", f"bars for {symbol!r}: no row has a price; load another range")
        return
    partly = here & (unknown.any(axis=0) | np.isnan(volume))
    yield from finding(partly, "nan", "error", "rows with a NaN price or volume", "drop these rows, or load them again")
    infinite = np.asarray(np.isinf(prices).any(axis=0) | np.isinf(volume))
    yield from finding(infinite, "infinite", "error", "rows with an infinite value", "drop these rows")
    with np.errstate(invalid="ignore"):
        beyond = (high < np.maximum(open_, close)) | (low > np.minimum(open_, close)) | (high < low)
        sunk = np.asarray((prices <= 0).any(axis=0))
        negative = volume < 0
    cure = "ask the source again, or drop these rows"
    yield from finding(beyond, "order", "error", "rows whose high and low do not enclose open and close", cure)
    yield from finding(sunk, "price", "error", "rows with a price of zero or less", cure)
    yield from finding(negative, "volume", "error", "rows with a negative volume", cure)

    rows = np.flatnonzero(here)
    gap = _gaps(bars.ts, expected, rows)
    if len(gap):
        at = int(gap[0])
        what = f"bars for {symbol!r}: {len(gap)} rows of the exchange calendar are missing, first {utc(at)}"
        yield Finding(symbol, at, "gap", "warning", f"{what}; the symbol did not trade, was halted, or load them again")
    place = np.zeros(len(bars), np.bool_)
    for wrong, kind, level, what, cure in _of_place(bars, column, rows, splits):
        place[:] = False
        place[rows[wrong]] = True
        yield from finding(place, kind, level, what, cure)


def _of_place(
    bars: Bars, column: int, rows: Ints, splits: Mapping[int, float]
) -> Iterator[tuple[Bools, str, Level, str, str]]:
    """What is wrong with rows for where they are: (mask over `rows`, kind, level, what, cure)."""
    session, since_open, to_close = bars.session[rows], bars.since_open[rows], bars.to_close[rows]
    columns = np.stack([getattr(bars, name)[rows, column] for name in PRICES])
    outlier, split = _moves(session, columns[0], columns[3])
    shown, missing = checks_rows.at_splits(session, columns[0], columns[3], splits)
    shifted = checks_rows.shifted_sessions(session, since_open, to_close)
    yield shifted, "shift", "error", "sessions an hour off", "give the time zone, as --timezone America/New_York"
    cure = "they are adjusted already: import them again with --adjustment split"
    yield missing, "double", "error", "splits that the prices do not show", cure
    closed = checks_rows.closed_days(since_open)
    yield closed, "closed", "warning", "rows on days without a session", "drop them, or check their time zone"
    yield outlier, "outlier", "warning", "prints far away that come back", "compare with another source"
    cure = "load adjusted prices, or import the split: python -m data actions FILE"
    yield split & ~shown, "split", "warning", "jumps overnight by the ratio of a split", cure
    stale = checks_rows.stale_runs(columns)
    yield stale, "stale", "warning", "runs of the same row again and again", "see whether the source stood still"


def _expected(bars: Bars, clock: str) -> Ints:
    """Closes that the calendar has between the first and the last row, if the rows keep to them at all."""
    days = sessions(parse_day(int(bars.session[0])), parse_day(int(bars.session[-1])))
    wanted = row_times(days, clock)
    wanted = np.asarray(wanted[(wanted >= bars.ts[0]) & (wanted <= bars.ts[-1])])
    inside = is_regular(bars.since_open, bars.to_close)
    on_grid = np.isin(bars.ts[inside], wanted, assume_unique=True)
    if CLOCKS[clock] < DAY_SECONDS and 2 * int(on_grid.sum()) <= len(on_grid):
        return np.empty(0, np.int64)  # another grid, as hours on the full hour: nothing to compare with
    return wanted


def _gaps(ts: Ints, expected: Ints, rows: Ints) -> Ints:
    here = ts[rows]
    wanted = expected[(expected >= here[0]) & (expected <= here[-1])]
    missing: Ints = np.setdiff1d(wanted, here, assume_unique=True)
    return missing


def _moves(session: Ints, open_: Floats, close: Floats) -> tuple[Bools, Bools]:
    """Rows that look like a wrong print, and rows that look like the first after a split."""
    outlier, split = np.zeros(len(close), np.bool_), np.zeros(len(close), np.bool_)
    good = np.isfinite(close) & (close > 0) & np.isfinite(open_) & (open_ > 0)
    if len(close) < FEW or not good.all():
        return outlier, split
    move = np.diff(np.log(close))
    typical = max(float(np.median(np.abs(move))), 1e-6)
    far = np.abs(move) > max(OUTLIER * typical, LEAST_OUTLIER)
    back = far[:-1] & far[1:] & (np.abs(move[:-1] + move[1:]) < 0.25 * np.abs(move[:-1]))
    outlier[1:-1] = back
    ratio = open_[1:] / close[:-1]
    overnight = session[1:] != session[:-1]
    for number in SPLITS:
        for wanted in (number, 1 / number):
            split[1:] |= overnight & (np.abs(ratio / wanted - 1) < SPLIT_TOLERANCE)
    split[1:] &= ~outlier[1:] & ~outlier[:-1]
    return outlier, split
