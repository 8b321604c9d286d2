"""What every pull of history has in common: the range, its windows, and columns made into `Bars`.

Vendors stamp a bar by its start; ours are labelled by the instant they closed. Rows are those the vendor printed:
a minute in which none of the symbols traded is no row, one in which only some did is NaN for the others.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from data import calendar
from data.calendar import NEW_YORK, SECOND_NS, Day, as_yyyymmdd, parse_day
from data.door import did_you_mean
from data.errors import AuthError, DataError, UsageError
from data.settings import Secret, Settings
from data.sources.base import Adjustment, Capabilities, Clock
from data.types import PRICES, Bars, Floats, Ints

DAY_NS = calendar.DAY_SECONDS * SECOND_NS
TICKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*(/[A-Za-z0-9][A-Za-z0-9.:-]*)?")
"""BRK.B, X:BTCUSD, BTC/USD, and nothing that leads out of a folder or of an address."""
HOUR_FROM = "30m"
"""Hours are counted from the open here and from the full hour at vendors: they are built of half hours."""


class Window(NamedTuple):
    """A part of a pull: sessions `first` to `last`, both included. start_ns, end_ns: New York midnights around it."""

    first: dt.date
    last: dt.date
    start_ns: int
    end_ns: int


class Columns(NamedTuple):
    """One symbol's bars as the vendor gave them. start: (T,) UTC nanoseconds; prices: (T, 5) as in `PRICES`."""

    start: Ints
    prices: Floats


def check_range(start: Day, end: Day, clock: Clock) -> tuple[dt.date, dt.date]:
    """The first and last day.

    Raises:
        UsageError: not dates, in the wrong order, in the future, or without a session.
    """
    first, last = parse_day(start), parse_day(end)
    if last < first:
        raise UsageError(f"the range ends on {last}, before it starts on {first}; swap them")
    today = dt.datetime.fromtimestamp(clock.now() / SECOND_NS, NEW_YORK).date()
    if last > today:
        raise UsageError(f"the range ends on {last}, which is in the future; today is {today} in New York")
    if not calendar.sessions(first, last):
        raise UsageError(f"the exchange was closed from {first} to {last}; take days with a session")
    return first, last


def check_terms(row_clock: str, adjustment: Adjustment, extended: bool, has: Capabilities, vendor: str) -> str:
    """The clock to ask the vendor for.

    Raises:
        UsageError: a clock or an adjustment that the vendor does not have.
    """
    calendar.parse_clock(row_clock)
    if adjustment not in has.adjustments:
        raise UsageError(
            f"{vendor} has no prices adjusted by {adjustment!r}; there is {', '.join(has.adjustments)}"
            f"{did_you_mean(adjustment, has.adjustments) if len(has.adjustments) > 3 else ''}"
        )
    if row_clock == "1h":
        if extended:
            raise UsageError("rows of 1h are counted from the open and have no extended hours; ask for 30m")
        return HOUR_FROM
    if row_clock not in has.clocks:
        raise UsageError(f"{vendor} has no bars of {row_clock}; there is {', '.join(has.clocks)}")
    return row_clock


def check_tickers(symbols: Sequence[str], vendor: str) -> tuple[str, ...]:
    """The symbols as given.

    Raises:
        UsageError: none, one twice, or one that cannot be a ticker.
    """
    if isinstance(symbols, str):
        raise UsageError(f"symbols are a list; write [{symbols!r}]")
    if not symbols:
        raise UsageError(f"no symbols asked of {vendor}; give at least one")
    for symbol in symbols:
        if not TICKER.fullmatch(symbol):
            raise UsageError(f"{symbol!r} is not a ticker; write for example AAPL or BRK.B")
    if len(set(symbols)) < len(symbols):
        twice = next(symbol for symbol in symbols if list(symbols).count(symbol) > 1)
        raise UsageError(f"symbol {twice!r} is asked for twice; once is enough")
    return tuple(symbols)


def check_stocks(symbols: Sequence[str], vendor: str) -> tuple[str, ...]:
    """The symbols as given.

    Raises:
        UsageError: as `check_tickers`, and for crypto, of which only the exchange's hours would be kept.
    """
    for symbol in check_tickers(symbols, vendor):
        if symbol.startswith("X:") or "/" in symbol:
            raise UsageError(
                f"{symbol!r} is crypto, and history goes by the stock exchange's sessions; stream or record it: "
                "python -m data stream --feed crypto"
            )
    return tuple(symbols)


def need(settings: Settings, names: Mapping[str, str], keys_from: str) -> list[Secret]:
    """The secrets of these settings; `names` gives the variable of each field.

    Raises:
        AuthError: one is not set; says which and where to get it.
    """
    missing = [variable for name, variable in names.items() if getattr(settings, name) is None]
    if missing:
        raise AuthError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set; {keys_from}")
    return [getattr(settings, name) for name in names]


def windows(first: dt.date, last: dt.date, months: int) -> list[Window]:
    """The range cut at the first of every so many months."""
    found, begin = [], first
    while begin <= last:
        month = begin.month - 1 + months
        following = dt.date(begin.year + month // 12, month % 12 + 1, 1)
        end = min(following - dt.timedelta(days=1), last)
        found.append(window(begin, end))
        begin = end + dt.timedelta(days=1)
    return found


def window(first: dt.date, last: dt.date) -> Window:
    """From New York's midnight before `first` to the one after `last`."""
    return Window(first, last, _midnight(first), _midnight(last + dt.timedelta(days=1)))


def gather(
    symbols: Sequence[str],
    parts: Sequence[Window],
    one: Callable[[str, Window], Columns],
    told: Callable[[str, int], None],
) -> dict[str, Columns]:
    """Every symbol's columns, window by window; a bar that lies in no window is left out."""
    columns = {}
    for symbol in symbols:
        pieces = []
        for i, part in enumerate(parts):
            piece = one(symbol, part)
            inside = (piece.start >= part.start_ns) & (piece.start < part.end_ns)
            pieces.append(Columns(piece.start[inside], piece.prices[inside]))
            told(symbol, i + 1)
        columns[symbol] = Columns(
            np.concatenate([piece.start for piece in pieces]), np.concatenate([piece.prices for piece in pieces])
        )
    return columns


def as_bars(columns: Mapping[str, Columns], row_clock: str, asked: str, extended: bool, vendor: str) -> Bars:
    """`Bars` of what was pulled at the clock `asked`, in rows of `row_clock`.

    Raises:
        UsageError: a symbol without a single bar. DataError: two bars for one instant, or a bar off the calendar.
    """
    labelled = {}
    for symbol, each in columns.items():
        if not len(each.start):
            raise UsageError(
                f"{vendor} has no bars of {symbol!r} in this range; check the symbol and when it was listed"
            )
        labelled[symbol] = _close_labels(each.start, asked)
        if (np.diff(labelled[symbol]) <= 0).any():
            t = int(np.argmax(np.diff(labelled[symbol]) <= 0))
            raise DataError(
                f"{vendor} gave {symbol!r} two bars for, or out of order at, {calendar.utc(int(labelled[symbol][t]))}; "
                "pull it again and tell the vendor if it stays"
            )
    ts = np.unique(np.concatenate(list(labelled.values())))
    matrix = np.full((len(PRICES), len(ts), len(columns)), np.nan)
    matrix[PRICES.index("volume")] = 0.0
    for i, (symbol, each) in enumerate(columns.items()):
        matrix[:, np.searchsorted(ts, labelled[symbol]), i] = each.prices.T
    session, since_open, to_close = calendar.session_columns(ts, asked)
    kept = np.ones(len(ts), bool) if extended or asked == "1d" else calendar.is_regular(since_open, to_close)
    if not kept.any():
        raise UsageError(f"{vendor} has bars only outside the regular session here; ask for extended hours")
    opens, highs, lows, closes, volumes = (each[kept] for each in matrix)
    times = (session[kept], since_open[kept], to_close[kept])
    bars = Bars(tuple(columns), ts[kept], opens, highs, lows, closes, volumes, *times)
    return bars if row_clock == asked else _joined(bars, row_clock)


def _close_labels(start: Ints, asked: str) -> Ints:
    """(T,) close instants of bars that begin at `start`; a daily bar begins at New York's midnight."""
    if asked != "1d":
        return start + calendar.parse_clock(asked) * SECOND_NS
    days = (start // DAY_NS).astype("datetime64[D]")
    fields = days.astype(str)
    return calendar.closes_of(np.array([int(day.replace("-", "")) for day in fields], dtype=np.int64))


def _joined(bars: Bars, row_clock: str) -> Bars:
    """Rows of a coarser clock, counted from each session's open."""
    step = calendar.parse_clock(row_clock)
    place = np.ceil(bars.since_open / step).astype(np.int64)
    key = bars.session * 1_000 + place
    first = np.flatnonzero(np.concatenate([[True], np.diff(key) != 0]))
    last = np.concatenate([first[1:], [len(key)]]) - 1
    days = {day: calendar.session_of(int(day)) for day in np.unique(bars.session)}
    ts = np.array(
        [
            min(days[bars.session[t]].open_ns + int(place[t]) * step * SECOND_NS, days[bars.session[t]].close_ns)
            for t in last
        ],
        dtype=np.int64,
    )
    shape = (len(first), len(bars.symbols))
    opens, closes = np.full(shape, np.nan), np.full(shape, np.nan)
    for row, (a, b) in enumerate(zip(first, last + 1, strict=True)):
        known = np.isfinite(bars.close[a:b])
        for i in np.flatnonzero(known.any(axis=0)):
            rows = np.flatnonzero(known[:, i])
            opens[row, i], closes[row, i] = bars.open[a + rows[0], i], bars.close[a + rows[-1], i]
    highs = np.fmax.reduceat(bars.high, first, axis=0)
    lows = np.fmin.reduceat(bars.low, first, axis=0)
    volumes = np.add.reduceat(bars.volume, first, axis=0)
    return Bars(bars.symbols, ts, opens, highs, lows, closes, volumes, *calendar.session_columns(ts, row_clock))


def _midnight(day: dt.date) -> int:
    moment = dt.datetime(day.year, day.month, day.day, tzinfo=NEW_YORK)
    return int(moment.timestamp()) * SECOND_NS


def is_settled(last: dt.date, clock: Clock) -> bool:
    """True when the vendor will not add to this day any more, so that its pages may be kept for a resume."""
    now = dt.datetime.fromtimestamp(clock.now() / SECOND_NS, NEW_YORK)
    return as_yyyymmdd(last) < as_yyyymmdd((now - dt.timedelta(days=1)).date())


def moment(ts: int) -> dt.datetime:
    """`ts` with its zone, to the microsecond: one SDK takes a naive time for UTC, another for local."""
    return dt.datetime.fromtimestamp(ts // SECOND_NS, dt.UTC) + dt.timedelta(microseconds=ts % SECOND_NS // 1_000)


def instants(told: Sequence[str]) -> Ints:
    """UTC nanoseconds of RFC 3339 texts that end in Z."""
    return np.array([each.removesuffix("Z") for each in told], dtype="datetime64[ns]").astype(np.int64)
