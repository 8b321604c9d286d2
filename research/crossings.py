"""Crossings of whole columns, in runs of rows without gaps: the bits of `crossed_above` at a fraction of its time.

A step carries its last known gap from row to row, so a loop of steps takes one row at a time. Where a run of rows has
no missing value the last known gap is that of the row before, and many rows are compared at once; elsewhere the step
itself is called. A sweep of crosses asks for two crossings a set, and shares little else to save.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from data.jit import jit
from strategies.common.steps import Indicator, nan
from strategies.indicators import crossed_above, crossed_below

RUN = 256
"""Rows looked at together."""

_SIGNATURE = "void(Array(float64, 2, 'C', readonly=True), Array(float64, 2, 'C', readonly=True), Array(bool, 2, 'C'))"
_step = crossed_above.step


def crossings(indicator: Indicator, args: tuple[Any, ...]) -> Any:
    """What a crossing of two columns gives, (T, N) flags; None for other indicators and other inputs."""
    if indicator is not crossed_above and indicator is not crossed_below:
        return None
    above, below = args if indicator is crossed_above else reversed(args)
    if not (_column(above) and _column(below) and above.shape == below.shape):
        return None
    flags = np.empty(above.shape, np.bool_, order="F")
    _compiled()(above.T, below.T, flags.T)
    return flags


def _column(given: Any) -> bool:
    return isinstance(given, np.ndarray) and given.dtype == np.float64 and given.ndim == 2 and given.flags.f_contiguous


@cache
def _compiled() -> Callable[..., None]:
    return jit(_cross, _SIGNATURE)


def _cross(above: Any, below: Any, flags: Any) -> None:
    """Flags of the rows on which `above` comes to stand above `below`, per symbol and row."""
    rows = above.shape[1]
    for j in range(above.shape[0]):
        state = (nan,)
        whole = False
        for first in range(0, rows, RUN):
            end = min(first + RUN, rows)
            x, y, found = above[j, first:end], below[j, first:end], flags[j, first:end]
            missing = 0
            for i in range(x.shape[0]):
                gap = x[i] - y[i]
                missing += int(gap != gap)
            if missing == 0 and whole:
                state, found[0] = _step(state, x[0], y[0])
                x0, y0, x1, y1, crossed = x[:-1], y[:-1], x[1:], y[1:], found[1:]
                for i in range(crossed.shape[0]):
                    crossed[i] = (x1[i] - y1[i] > 0.0) & (x0[i] - y0[i] <= 0.0)
                state = (x[-1] - y[-1],)
            else:
                for i in range(x.shape[0]):
                    state, found[i] = _step(state, x[i], y[i])
            whole = missing == 0
