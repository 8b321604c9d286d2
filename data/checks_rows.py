"""Rows that are wrong by their place: in hours, on days, in runs, at splits. Masks over the rows of one symbol."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from data.types import Floats, Ints

Bools = npt.NDArray[np.bool_]

STALE_ROWS = 10
"""Rows one after the other with the very same prices and volume."""
OVERNIGHT_S = 13.5 * 3_600
"""From 20:00 to the open: what is earlier lies on a day without a session."""
HOUR_S = 3_600.0
SHIFTED_SESSIONS = 5
"""Fewer one after the other may be halts."""
FEW_AN_HOUR = 2
"""Half the usual rows of an hour: a symbol that trades less often says nothing about clocks."""
NOTICEABLE = 1.25
SPLIT_ROOM = 0.5
"""Of the logarithm of a split: how far the jump may be from it before it counts as missing."""


def closed_days(since_open: Floats) -> Bools:
    """Rows on weekends and holidays."""
    return np.asarray(since_open < -OVERNIGHT_S)


def stale_runs(columns: Floats) -> Bools:
    """(T,) the first repeated row of every run of `STALE_ROWS` and more; columns: (5, T) prices and volume."""
    first = np.zeros(columns.shape[1], np.bool_)
    same = np.concatenate([[False], (columns[:, 1:] == columns[:, :-1]).all(axis=0), [False]])
    edges = np.flatnonzero(np.diff(same.astype(np.int8)))
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        first[a + 1] = b - a >= STALE_ROWS - 1
    return first


def shifted_sessions(session: Ints, since_open: Floats, to_close: Floats) -> Bools:
    """The first row of every session that misses one end of its hours and has as much on the other side.

    Times with one fixed offset from UTC all year are an hour off while the clocks are on the other side.
    """
    first = np.zeros(len(session), np.bool_)
    days, starts, place = np.unique(session, return_index=True, return_inverse=True)

    def count(mask: Bools) -> Ints:
        return np.bincount(place[mask], minlength=len(days))

    early, late = count((since_open > 0) & (since_open <= HOUR_S)), count((to_close >= 0) & (to_close < HOUR_S))
    before = count((since_open > -HOUR_S) & (since_open <= 0))
    after = count((to_close < 0) & (to_close >= -HOUR_S))
    usual = np.median(np.maximum(early, late)) / 2
    wrong = ((early == 0) & (after > usual) & (late > usual)) | ((late == 0) & (before > usual) & (early > usual))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], wrong.astype(np.int8), [0]])))
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        if b - a >= SHIFTED_SESSIONS and usual >= FEW_AN_HOUR:
            first[starts[a:b]] = True
    return first


def at_splits(session: Ints, open_: Floats, close: Floats, splits: Mapping[int, float]) -> tuple[Bools, Bools]:
    """Rows that jump as their known split says, and rows of known splits that do not jump at all."""
    shown, missing = np.zeros(len(session), np.bool_), np.zeros(len(session), np.bool_)
    for date, value in splits.items():
        after = int(np.searchsorted(session, date))
        if not 0 < after < len(session):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            jump, told = np.log(open_[after] / close[after - 1]), -np.log(value)
        if abs(jump - told) < SPLIT_ROOM * abs(told):
            shown[after] = True
        elif max(value, 1 / value) >= NOTICEABLE and abs(jump) < abs(jump - told):
            missing[after] = True
    return shown, missing
