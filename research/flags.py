"""Where the next flag of a signal stands."""

from __future__ import annotations

from typing import Any

from research.lanes import first64

BLOCK = 64


def coming_unless(coming: Any, kind: int, wanted: Any, unless: Any, j: int, first: int) -> int:
    """The first row from `first` on with a flag and not the other; found once, remembered in `coming`."""
    if coming[j, kind] < first:
        rows = wanted.shape[1]
        t = first
        while True:
            t = _flagged(wanted, j, t)
            if t >= rows or unless[j, t] == 0:
                break
            t += 1
        coming[j, kind] = t
    return coming[j, kind]


def coming_any(coming: Any, kind: int, wanted: Any, j: int, first: int) -> int:
    """The first row from `first` on with a flag; found once, remembered in `coming`."""
    if coming[j, kind] < first:
        coming[j, kind] = _flagged(wanted, j, first)
    return coming[j, kind]


def _flagged(flags: Any, j: int, first: int) -> int:
    """The first row from `first` on with a flag; the number of rows where there is none."""
    row = flags[j]
    rows = row.shape[0]
    t = first
    while t + BLOCK <= rows:
        found = first64(row, t)
        if found < BLOCK:
            return t + found
        t += BLOCK
    while t < rows and row[t] == 0:
        t += 1
    return t
