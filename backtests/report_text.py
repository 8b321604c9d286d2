"""Numbers and instants of the report as a reader sees them: signs that are minus signs, units, a dash for nothing."""

from __future__ import annotations

import datetime as dt
from math import isfinite
from typing import Any

import numpy as np

from data.calendar import NEW_YORK, SECOND_NS
from data.types import Ints

NOTHING = "–"
MINUS = "\u2212"


def number(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """`-1234.5` as `−1,234.50`; a dash where it is not finite; no sign on a zero."""
    if not isfinite(value):
        return NOTHING
    text = f"{abs(value):,.{digits}f}"
    if not any(c in "123456789" for c in text):
        return text
    return (MINUS if value < 0 else "+" if sign else "") + text


def known(value: float | None, digits: int = 2) -> str:
    """`number`; a dash where there is none."""
    return NOTHING if value is None else number(value, digits)


def percent(fraction: float, digits: int = 2, *, sign: bool = False) -> str:
    """`0.1234` as `12.34 %`."""
    text = number(fraction * 100.0, digits, sign=sign)
    return text if text == NOTHING else f"{text}\u00a0%"


def money(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """`-1234.5` as `−$1,234.50`."""
    text = number(value, digits, sign=sign)
    if text == NOTHING:
        return text
    at = 0 if text[0].isdigit() else 1
    return f"{text[:at]}${text[at:]}"


def count(value: int, noun: str) -> str:
    """`1 trade`, `2,345 trades`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def small(value: float) -> str:
    """A difference: `0`, or `1.2e−15`."""
    if not isfinite(value):
        return NOTHING
    return "0" if value == 0.0 else f"{value:.1e}".replace("-", MINUS)


def day_of(session: int) -> str:
    """20240102 as `2024-01-02`."""
    return f"{session // 10_000:04d}-{session // 100 % 100:02d}-{session % 100:02d}"


def local_seconds(ts: Ints, session: Ints) -> Ints:
    """(T,) seconds since 1970 on New York's clocks, so that a page shows exchange time without a time zone table.

    The offset of a session is that of its first row: clocks change on Sundays.
    """
    _, first, which = np.unique(session, return_index=True, return_inverse=True)
    shifts = [_offset(int(ts[row])) for row in first]
    return ts // SECOND_NS + np.array(shifts, dtype=np.int64)[which]


def plain(value: Any) -> str:
    """A parameter, setting or statistic of any type, as a reader would write it."""
    if value is None:
        return NOTHING
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}".replace("-", MINUS)
    if isinstance(value, (float, np.floating)):
        return _shortest(float(value))
    if isinstance(value, dt.timedelta):
        return _span(value)
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}{' UTC' if value.tzinfo else ''}"
    return str(value)


def _shortest(value: float) -> str:
    if not isfinite(value):
        return NOTHING
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", MINUS)
    text = f"{value:,.4f}".rstrip("0") if abs(value) >= 1e-3 else f"{value:.3g}"
    return text.replace("-", MINUS)


def _span(value: dt.timedelta) -> str:
    minutes, seconds = divmod(int(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days:,} d {hours} h" if hours else f"{days:,} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    return f"{seconds} s"


def _offset(ts: int) -> int:
    shift = dt.datetime.fromtimestamp(ts // SECOND_NS, NEW_YORK).utcoffset()
    return int(shift.total_seconds()) if shift is not None else 0
