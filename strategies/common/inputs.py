"""What both drivers ask of an indicator call: its inputs as columns, and the state before the first row."""

from __future__ import annotations

from typing import Any

import numpy as np

from data.errors import UsageError
from data.types import Floats
from strategies.common.steps import Indicator, nan


def first_state(indicator: Indicator, knobs: tuple[Any, ...]) -> tuple[float, ...]:
    """The state before the first row: declared for a recurrent step, that of an empty window for a sliding one."""
    if not indicator.rolling:
        return indicator.state
    if indicator.slide is None:
        return ()
    empty = [nan] * indicator.length(knobs)
    state, _ = indicator.step(*([empty] * indicator.inputs), *knobs)
    return tuple(float(v) for v in state)


def as_columns(indicator: Indicator, values: tuple[Any, ...]) -> tuple[tuple[Floats, ...], int]:
    """The inputs as float64 `(T, N)` views of equal shape: `(T,)` counts for every symbol, a number for every row.

    Raises:
        UsageError: no array among the inputs, or shapes that do not agree.
    """
    arrays: list[Any] = []
    for value in values:
        array = np.asarray(value)
        if array.dtype != np.float64:
            if array.dtype.kind not in "biuf":
                raise UsageError(f"{indicator.name}: input has dtype {array.dtype}, expected numbers or flags")
            array = array.astype(np.float64)
        arrays.append(array.reshape(-1, 1) if array.ndim == 1 else array)
    shapes = {a.shape for a in arrays if a.ndim}
    if len(shapes) == 1:
        shape: tuple[int, ...] = shapes.pop()
    else:
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            shape = ()
        if any(s[0] != shape[0] for s in shapes if shape):
            shape = ()
    if len(shape) != 2:
        raise UsageError(
            f"{indicator.name}: inputs of shapes {[a.shape for a in arrays]}; expected arrays (T, N) of equal rows, "
            f"such as bars.close"
        )
    return tuple(a if a.shape == shape else np.broadcast_to(a, shape) for a in arrays), shape[1]
