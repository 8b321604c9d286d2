"""Numbers, ages and shares of a limit as few characters; nothing here depends on colour."""

from __future__ import annotations

import datetime as dt

from data.calendar import SECOND_NS

FULL, EMPTY = "█", "░"
NONE = "-"


def money(value: float) -> str:
    """`1,234.50`; without cents from a million on."""
    if value != value:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.2f}"


def signed(value: float) -> str:
    """`+12.30`, `-12.30`, `0.00`."""
    if value != value:
        return NONE
    return f"{'+' if value > 0.0 else ''}{money(value)}"


def number(value: float) -> str:
    """A quantity or a limit, as short as it is exact to four figures: `1,500`, `0.25`, `1.234`."""
    if value != value:
        return NONE
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def age(seconds: float) -> str:
    """`0.4s`, `12s`, `3m`, `5h`, `2d`; - where it is unknown or below 0."""
    if not seconds >= 0.0:
        return NONE
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "m")):
        if seconds >= size * 2:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.1f}s" if seconds < 10.0 else f"{seconds:.0f}s"


def clock(ts: int) -> str:
    """`14:03:20`, UTC; - for 0."""
    return f"{_moment(ts):%H:%M:%S}" if ts else NONE


def moment(ts: int) -> str:
    """`09-21 14:03:20`, UTC; - for 0."""
    return f"{_moment(ts):%m-%d %H:%M:%S}" if ts else NONE


def day(ts: int) -> str:
    """`2026-09-21`, UTC; - for 0."""
    return f"{_moment(ts):%Y-%m-%d}" if ts else NONE


def bar(part: float, width: int = 20) -> str:
    """`██████░░░░`; full only where all is used, empty only where nothing is."""
    if part != part:
        return NONE.ljust(width)
    full = round(min(1.0, max(0.0, part)) * width)
    if 0.0 < part < 1.0:
        full = min(width - 1, max(1, full))
    return FULL * full + EMPTY * (width - full)


def count(amount: int, noun: str) -> str:
    """`1 account`, `2 accounts`."""
    return f"{amount} {noun}{'' if amount == 1 else 's'}"


def _moment(ts: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ts // SECOND_NS, dt.UTC)
