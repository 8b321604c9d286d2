"""The plateau around the best cell of a surface."""

from __future__ import annotations

from typing import Any

import numpy as np

from data.types import Floats


def plateau_cells(values: Floats, *, lower: bool = False, share: float = 0.5) -> Any:
    """(Y, X) bool: cells that keep `share` of the best's lead over the median, joined to the best step by step.

    A lone peak is a plateau of one cell; on a plain hill it is the upper half. NaN belongs to none.
    """
    height: Any = np.where(np.isfinite(values), -values if lower else values, -np.inf)
    best = np.unravel_index(int(np.argmax(height)), height.shape)
    middle = float(np.median(height[np.isfinite(height)]))
    high = height >= middle + share * (float(height[best]) - middle)
    joined = np.zeros(height.shape, np.bool_)
    joined[best] = True
    count = 0
    while count != (count := int(joined.sum())):
        wide = joined.copy()
        wide[1:] |= joined[:-1]
        wide[:-1] |= joined[1:]
        wide[:, 1:] |= joined[:, :-1]
        wide[:, :-1] |= joined[:, 1:]
        joined = wide & high
    return joined
