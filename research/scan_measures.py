"""What is known of a symbol before a session opens: gap, relative volume, momentum, and what is missing, in words.

Only `known` rows are handed in; `Frame` says which sessions they are compared with.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from data.calendar import MINUTE_NS, Session, parse_day
from data.types import Bars, Floats
from strategies.types import Bools

MEASURES = ("gap", "relative_volume", "momentum")


class Frame(NamedTuple):
    """The sessions of a scan.

    today: the one about to open. before: the `lookback + 1` sessions before it, oldest first. minutes_before: how long
    before the open the scan is made. pre_market: whether the rows have today's pre-market.
    """

    today: Session
    before: list[Session]
    minutes_before: float
    pre_market: bool


class Measured(NamedTuple):
    """NaN where it is not known; missing: why, by measure. close: of the session before. price: the last known."""

    close: float
    price: float
    gap: float
    relative_volume: float
    momentum: float
    missing: dict[str, str]


def measure(known: Bars, column: int, frame: Frame) -> Measured | str:
    """The measures of one symbol; a text says why there can be none.

    close: last regular close of the session before. gap: last pre-market close / close - 1. momentum: close / close
    `lookback` sessions earlier - 1. relative_volume: today's pre-market volume over its mean in the sessions before,
    up to the same minute; without pre-market, the last session's volume a minute over the mean of those before it, so
    that a half day counts as the hours it had.
    """
    closes = known.close[:, column]
    yesterday, first = frame.before[-1], frame.before[0]
    close = _last(closes, _regular(known, yesterday))
    if np.isnan(close):
        rows = np.flatnonzero(np.isfinite(closes))
        last = f"its last is of {parse_day(int(known.session[rows[-1]]))}" if len(rows) else "it has none at all"
        return f"no price in the session before ({parse_day(yesterday.date)}); {last}"
    missing: dict[str, str] = {}
    price, gap = close, np.nan
    if frame.pre_market:
        early = _last(closes, _early(known, frame.today, frame.minutes_before))
        if np.isnan(early):
            missing["gap"] = "no pre-market trade"
        else:
            price, gap = early, early / close - 1.0
    else:
        missing["gap"] = "the rows have no pre-market"
    then = _last(closes, _regular(known, first))
    if np.isnan(then):
        missing["momentum"] = f"no price on {parse_day(first.date)}, {len(frame.before) - 1} sessions earlier"
    relative, why = _relative_volume(known, column, frame)
    if why:
        missing["relative_volume"] = why
    return Measured(close, price, float(gap), relative, close / then - 1.0, missing)


def _relative_volume(known: Bars, column: int, frame: Frame) -> tuple[float, str]:
    """(multiple of the usual, why it is not known)."""
    volume = np.nan_to_num(known.volume[:, column])
    if frame.pre_market:
        now = float(volume[_early(known, frame.today, frame.minutes_before)].sum())
        parts = [_early(known, day, frame.minutes_before) for day in frame.before[1:]]
        usual = [float(volume[part].sum()) for part in parts if part.any()]
        kind = "earlier pre-market"
    else:
        now = _a_minute(volume, known, frame.before[-1])
        days = frame.before[:-1]
        usual = [_a_minute(volume, known, day) for day in days if _priced(known, column, day)]
        kind = "earlier session"
    if not usual:
        return np.nan, f"no {kind} to compare with"
    mean = sum(usual) / len(usual)
    return (now / mean, "") if mean > 0.0 else (np.nan, f"no volume in any {kind}")


def _a_minute(volume: Floats, known: Bars, day: Session) -> float:
    return float(volume[_regular(known, day)].sum()) / ((day.close_ns - day.open_ns) / MINUTE_NS)


def _priced(known: Bars, column: int, day: Session) -> bool:
    return bool(np.isfinite(known.close[_regular(known, day), column]).any())


def _regular(known: Bars, day: Session) -> Bools:
    """(T,) the rows of a regular session; a daily row closes with it."""
    return np.asarray((known.session == day.date) & (known.since_open > 0.0) & (known.to_close >= 0.0))


def _early(known: Bars, day: Session, minutes_before: float) -> Bools:
    """(T,) the rows of a pre-market, up to so many minutes before the open."""
    return np.asarray((known.session == day.date) & (known.since_open <= -60.0 * minutes_before))


def has_pre_market(known: Bars, day: Session) -> bool:
    """Whether any symbol has a price in this pre-market."""
    return bool(np.isfinite(known.close[_early(known, day, 0.0)]).any())


def _last(values: Any, rows: Bools) -> float:
    found = values[rows]
    found = found[np.isfinite(found)]
    return float(found[-1]) if len(found) else float("nan")
