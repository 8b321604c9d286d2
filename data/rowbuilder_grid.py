"""When rows begin and end: the segments of a market's time, and what a close instant is called.

US equities: rows count from the open of the session (`regular`), and beside it from 04:00 New York to the open and
from the close to 20:00 (`extended`). A market that never closes (`always`) counts from 00:00 UTC.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from data.calendar import CLOCKS, DAY_SECONDS, FIRST_DAY, LAST_DAY, SECOND_NS, as_yyyymmdd, parse_clock, sessions
from data.errors import UsageError
from data.rowbuilder_state import ENDLESS, EXTENDED_HOURS, FAR, REGULAR
from data.types import Floats, Ints

Hours = Literal["regular", "extended", "always"]
WHOLE = 1 << 60  # ns: a row as long as its segment
PRE_NS = (5 * 60 + 30) * 60 * SECOND_NS  # 04:00 to 09:30
POST_NS = (10 * 60 + 30) * 60 * SECOND_NS  # 09:30 to 20:00, also on half days
DAY_NS = DAY_SECONDS * SECOND_NS


class RowClock(NamedTuple):
    """How rows end: after `step` ns, or once `volume` units or `trades` trades are in them (0: not so)."""

    step: int
    volume: int = 0
    trades: int = 0


class Segments(NamedTuple):
    """Stretches of time with rows, in order: ns, ns, kind, yyyymmdd; and the session each belongs to, ns."""

    opens: list[int]
    closes: list[int]
    kinds: list[int]
    sessions: list[int]
    day_opens: list[int]
    day_closes: list[int]


def parse_rows(clock: str) -> RowClock:
    """`1m` and the other clocks of the calendar, `500t` for bars of 500 trades, `10000v` for 10,000 units of volume.

    Raises:
        UsageError: anything else.
    """
    number, unit = clock[:-1], clock[-1:]
    if unit in ("t", "v") and number.isdigit() and int(number) > 0:
        return RowClock(WHOLE, int(number), 0) if unit == "v" else RowClock(WHOLE, 0, int(number))
    if clock not in CLOCKS and clock.isascii() and unit in ("t", "v"):
        raise UsageError(f"{clock!r} is not a clock; write for example 500t (trades) or 10000v (volume)")
    return RowClock(parse_clock(clock) * SECOND_NS)


@lru_cache(maxsize=3)
def segments_of(hours: Hours) -> Segments:
    """Every segment of the calendar's horizon; one endless one for `always`.

    Raises:
        UsageError: no such hours.
    """
    if hours == "always":
        return Segments([0], [FAR], [ENDLESS], [0], [0], [FAR])
    if hours not in ("regular", "extended"):
        raise UsageError(f"there are no hours {hours!r}; there is regular, extended and always")
    rows = []
    for day in sessions(FIRST_DAY, LAST_DAY):
        open_, close = day.open_ns, day.close_ns
        parts = [(open_, close, REGULAR)]
        if hours == "extended":
            parts = [(open_ - PRE_NS, open_, EXTENDED_HOURS), *parts, (close, open_ + POST_NS, EXTENDED_HOURS)]
        rows += [(*part, day.date, open_, close) for part in parts]
    return Segments(*[list(column) for column in zip(*rows, strict=True)])


def day_of(ts: int, segments: Segments, segment: int) -> tuple[int, float, float]:
    """session, since_open, to_close of the row of this segment that closes at `ts`, as in `data.types.Bars`."""
    if segments.kinds[segment] == ENDLESS:
        midnight = (ts - 1) // DAY_NS * DAY_NS
        date = dt.datetime.fromtimestamp(midnight // SECOND_NS, dt.UTC).date()
        return as_yyyymmdd(date), (ts - midnight) / SECOND_NS, (midnight + DAY_NS - ts) / SECOND_NS
    opened, closed = segments.day_opens[segment], segments.day_closes[segment]
    return segments.sessions[segment], (ts - opened) / SECOND_NS, (closed - ts) / SECOND_NS


def days_of(ts: Ints, segments: Segments, index: Ints) -> tuple[Ints, Floats, Floats]:
    """`day_of` for (T,) rows at once, to the same bits."""
    if segments.kinds[0] == ENDLESS:
        midnights = (ts - 1) // DAY_NS * DAY_NS
        unique, back = np.unique(midnights, return_inverse=True)
        stamps = [dt.datetime.fromtimestamp(m // SECOND_NS, dt.UTC).date() for m in unique.tolist()]
        dates = np.array([as_yyyymmdd(stamp) for stamp in stamps], dtype=np.int64)[back]
        return dates, (ts - midnights) / SECOND_NS, (midnights + DAY_NS - ts) / SECOND_NS
    opened, closed = (_array(column)[index] for column in (segments.day_opens, segments.day_closes))
    return _array(segments.sessions)[index], (ts - opened) / SECOND_NS, (closed - ts) / SECOND_NS


def _array(values: Any) -> Ints:
    return np.array(values, dtype=np.int64)
