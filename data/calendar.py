"""The US equity exchange calendar: sessions, half days, clocks. NumPy and zoneinfo only, for the live process uses it.

A regular session is 09:30 to 16:00 New York, whatever the season; `us_exceptions.csv` lists the weekdays without a
session and the early closes, 1990 to 2028, as exchange_calendars XNYS gives them (`write_exceptions`).

Rows are labelled by the instant they **close**. The row that closes at 09:30:00 is therefore pre-market
(`since_open` 0) and the row that closes at 16:00:00 is the session's last (`to_close` 0).
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_left
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from data.errors import DataError, UsageError
from data.types import Floats, Ints

NEW_YORK = ZoneInfo("America/New_York")
EXCEPTIONS = Path(__file__).with_name("us_exceptions.csv")
FIRST_DAY = dt.date(1990, 1, 1)
LAST_DAY = dt.date(2028, 12, 31)  # the exchange publishes its holidays three years ahead

OPEN_MINUTE, CLOSE_MINUTE = 9 * 60 + 30, 16 * 60
POST_MARKET_END_MINUTE = 20 * 60
SESSIONS_PER_YEAR = 252
SESSION_SECONDS = (CLOSE_MINUTE - OPEN_MINUTE) * 60
DAY_SECONDS = 86_400
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS

CLOCKS = {
    "1s": 1,
    "5s": 5,
    "10s": 10,
    "30s": 30,
    "1m": 60,
    "2m": 120,
    "5m": 300,
    "10m": 600,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "1d": DAY_SECONDS,
}
# How others spell a unit: vendors' SDKs, pandas old and new.
_UNITS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "t", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hour", "hours"),
    "d": ("d", "day", "days", "daily"),
}

Day = int | str | dt.date


class Session(NamedTuple):
    """One trading day. date: yyyymmdd. open_ns, close_ns: UTC nanoseconds of the open and of the (early) close."""

    date: int
    open_ns: int
    close_ns: int


class _Table(NamedTuple):
    """Every session of the horizon, column by column; `ends`: when a day's post-market is over."""

    dates: Ints
    opens: Ints
    closes: Ints
    ends: Ints


def parse_clock(clock: str) -> int:
    """Seconds of a row clock such as `1s`, `5m`, `1h`; `1d` is 86400 and stands for one session.

    Raises:
        UsageError: anything else; `1Min`, `5T`, `1D` and `minute` are told our spelling.
    """
    if clock in CLOCKS:
        return CLOCKS[clock]
    digits = "".join(c for c in clock if c.isdigit()) or "1"
    word = "".join(c for c in clock if c.isalpha()).lower()
    ours = next((f"{int(digits)}{unit}" for unit, words in _UNITS.items() if word in words), "")
    hint = f"write {ours!r}" if ours in CLOCKS else f"there is {', '.join(CLOCKS)}"
    raise UsageError(f"{clock!r} is not a clock; {hint}")


def periods_per_year(clock: str) -> float:
    """Rows a year, for annualising: 252 sessions times the rows of a full session of 390 minutes.

    An hour clock has 7 rows a session: its last row is half an hour long.
    """
    return float(SESSIONS_PER_YEAR * math.ceil(SESSION_SECONDS / parse_clock(clock)))


def parse_day(day: Day) -> dt.date:
    """A date from `20240102`, `"2024-01-02"`, `"20240102"` or a date.

    Raises:
        UsageError: not a date.
    """
    if isinstance(day, dt.datetime):
        return day.date()
    if isinstance(day, dt.date):
        return day
    try:
        return dt.date.fromisoformat(str(day))
    except ValueError:
        raise UsageError(f"{day!r} is not a date; write for example 2024-01-02") from None


def as_yyyymmdd(day: dt.date) -> int:
    """20240102 for 2 January 2024."""
    return day.year * 10_000 + day.month * 100 + day.day


def sessions(start: Day, end: Day) -> list[Session]:
    """The sessions from `start` to `end`, both included; empty when the exchange was closed throughout.

    Raises:
        UsageError: not a date, or `end` before `start`.
        DataError: a day outside the calendar's horizon.
    """
    first, last = parse_day(start), parse_day(end)
    if last < first:
        raise UsageError(f"the range ends on {last}, before it starts on {first}; swap them")
    table = _table()
    low, high = _position(first), _position(last + dt.timedelta(days=1), end=True)
    return [_session(table, i) for i in range(low, high)]


def sessions_from(start: Day, count: int) -> list[Session]:
    """The first `count` sessions on or after `start`.

    Raises:
        UsageError: not a date, or fewer than one session asked for.
        DataError: the calendar does not reach that far.
    """
    if count < 1:
        raise UsageError(f"{count} sessions asked for; ask for at least 1")
    table, low = _table(), _position(parse_day(start))
    if low + count > len(table.dates):
        raise _beyond(f"{count} sessions from {parse_day(start)}")
    return [_session(table, i) for i in range(low, low + count)]


def session_of(day: Day) -> Session:
    """The session of one date.

    Raises:
        DataError: the exchange was closed that day, or the day is outside the horizon.
    """
    date = parse_day(day)
    found = sessions(date, date)
    if not found:
        raise DataError(f"the exchange was closed on {date} ({date:%A}); take the session before or after")
    return found[0]


def close_of(day: Day) -> int:
    """UTC nanoseconds of the close of one date's session; what a daily row's `ts` is.

    Raises:
        DataError: as `session_of`.
    """
    return session_of(day).close_ns


def closes_of(dates: Ints) -> Ints:
    """(T,) close instants, UTC nanoseconds, of (T,) session dates as yyyymmdd.

    Raises:
        DataError: names the first date without a session.
    """
    table = _table()
    dates = np.asarray(dates, dtype=np.int64)
    index = np.minimum(np.searchsorted(table.dates, dates), len(table.dates) - 1)
    wrong = table.dates[index] != dates
    if wrong.any():
        close_of(int(dates[int(np.argmax(wrong))]))  # says which and why
    return table.closes[index]


def session_columns(ts: Ints, clock: str) -> tuple[Ints, Floats, Floats]:
    """The session each row belongs to, and where in it the row closed.

    Args:
        ts: (T,) int64 UTC nanoseconds of the rows' closes, any order.
        clock: with `1d` every `ts` must be the close of a session.

    Returns:
        session: (T,) int64 yyyymmdd. Until 20:00 New York a row belongs to that day's session, later ones and
            weekends to the next session.
        since_open: (T,) float64 seconds since the open; 0 or less in pre-market.
        to_close: (T,) float64 seconds to the close; negative in post-market.

    Raises:
        DataError: a row outside the horizon; a daily row that is not at a close.
    """
    parse_clock(clock)
    table = _table()
    ts = np.asarray(ts, dtype=np.int64)
    index = np.searchsorted(table.ends, ts, side="left")
    outside = (index == len(table.ends)) | (ts <= table.opens[0] - DAY_SECONDS * SECOND_NS)
    if outside.any():
        raise _beyond(f"row at {utc(int(ts[int(np.argmax(outside))]))}")
    opens, closes = table.opens[index], table.closes[index]
    if clock == "1d" and (off := ts != closes).any():
        t = int(np.argmax(off))
        raise DataError(
            f"daily row at {utc(int(ts[t]))} is not at the close of session {table.dates[index[t]]}, "
            f"{utc(int(closes[t]))}; label daily rows by their session's close, see data.calendar.close_of"
        )
    return table.dates[index], (ts - opens) / SECOND_NS, (closes - ts) / SECOND_NS


def is_regular(since_open: Floats, to_close: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """True for rows that lie inside their regular session; the arguments are those of `session_columns`."""
    return np.asarray((since_open > 0) & (to_close >= 0))


def row_times(days: list[Session], clock: str) -> Ints:
    """(T,) close instants, UTC nanoseconds, of every row of these regular sessions.

    Rows count from the open; the last one ends with the session, however short.
    """
    step = parse_clock(clock) * SECOND_NS
    if clock == "1d":
        return np.array([day.close_ns for day in days], dtype=np.int64)
    rows = [
        np.minimum(np.arange(day.open_ns + step, day.close_ns + step, step, dtype=np.int64), day.close_ns)
        for day in days
    ]
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)


def utc(ts: int) -> str:
    """`2024-01-02 21:00 UTC`; seconds and fractions only where there are any."""
    seconds, rest = divmod(ts, SECOND_NS)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{moment:%Y-%m-%d %H:%M}{f':{moment:%S}' if moment.second or rest else ''}{fraction} UTC"


def write_exceptions(path: Path = EXCEPTIONS) -> None:
    """Write the table of closed weekdays and early closes from exchange_calendars (a tool for the maintainer).

    To reach further, raise `LAST_DAY` and run `python -c "import data.calendar as c; c.write_exceptions()"`;
    tests/data/test_calendar.py then compares every session of the horizon with exchange_calendars.
    """
    import exchange_calendars

    calendar = exchange_calendars.get_calendar("XNYS", start=str(FIRST_DAY), end=str(LAST_DAY))
    closes = {stamp.date(): close.astimezone(NEW_YORK) for stamp, close in calendar.schedule["close"].items()}
    lines = ["date,close"]
    for ordinal in range(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1):
        day = dt.date.fromordinal(ordinal)
        close = closes.get(day)
        if close is None and day.weekday() < 5:
            lines.append(f"{day},")
        elif close is not None and (close.hour, close.minute) != divmod(CLOSE_MINUTE, 60):
            lines.append(f"{day},{close:%H:%M}")
    path.write_text("\n".join(lines) + "\n")


@lru_cache(maxsize=1)
def _table() -> _Table:
    exceptions = {}
    for line in EXCEPTIONS.read_text("ascii").splitlines()[1:]:
        date, _, early = line.partition(",")
        exceptions[dt.date.fromisoformat(date).toordinal()] = early
    dates, midnights, closes = [], [], []
    epoch = dt.date(1970, 1, 1).toordinal()
    for ordinal in range(FIRST_DAY.toordinal(), LAST_DAY.toordinal() + 1):
        day = dt.date.fromordinal(ordinal)
        close = exceptions.get(ordinal)
        if day.weekday() > 4 or close == "":
            continue
        # Clocks change on Sundays at 02:00, so noon's offset is that of the whole trading day.
        offset = dt.datetime(day.year, day.month, day.day, 12, tzinfo=NEW_YORK).utcoffset()
        assert offset is not None  # noqa: S101  # a zone always has one
        dates.append(as_yyyymmdd(day))
        midnights.append(((ordinal - epoch) * DAY_SECONDS - int(offset.total_seconds())) * SECOND_NS)
        closes.append(CLOSE_MINUTE if close is None else int(close[:2]) * 60 + int(close[3:]))
    midnight = np.array(midnights, dtype=np.int64)
    columns = (
        np.array(dates, dtype=np.int64),
        midnight + OPEN_MINUTE * MINUTE_NS,
        midnight + np.array(closes, dtype=np.int64) * MINUTE_NS,
        midnight + POST_MARKET_END_MINUTE * MINUTE_NS,
    )
    for column in columns:
        column.flags.writeable = False
    return _Table(*columns)


def _session(table: _Table, i: int) -> Session:
    return Session(int(table.dates[i]), int(table.opens[i]), int(table.closes[i]))


def _position(day: dt.date, *, end: bool = False) -> int:
    """Position of the first session on or after `day`; with `end`, `day` may be the one after the horizon."""
    if not FIRST_DAY <= day <= LAST_DAY + dt.timedelta(days=int(end)):
        raise _beyond(str(day - dt.timedelta(days=int(end))))
    return bisect_left(_table().dates, as_yyyymmdd(day))


def _beyond(what: str) -> DataError:
    return DataError(
        f"{what} is outside the exchange calendar, which covers {FIRST_DAY} to {LAST_DAY}; choose days inside it"
    )
