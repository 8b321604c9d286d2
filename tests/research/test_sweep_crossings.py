"""Crossings of whole columns have the flags of the step, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from research.crossings import RUN, crossings
from strategies.indicators import crossed_above, crossed_below, sma


def columns(rows: int, symbols: int, missing: float, seed: int) -> tuple[Any, Any]:
    """Two columns that often meet, stand at each other, and miss values (infinite ones too)."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(2):
        values = np.cumsum(random.integers(-1, 2, (rows, symbols)), axis=0).astype(float) / 4.0
        gone = random.random((rows, symbols)) < missing
        values[gone] = random.choice([np.nan, np.inf, -np.inf, -0.0], int(gone.sum()))
        made.append(np.asfortranarray(values))
    return made[0], made[1]


@pytest.mark.parametrize("indicator", [crossed_above, crossed_below])
@pytest.mark.parametrize("missing", [0.0, 0.001, 0.3, 1.0])
@pytest.mark.parametrize("rows", [0, 1, 2, RUN - 1, RUN, RUN + 1, 2 * RUN + 1, 5000])
def test_the_flags_are_those_of_the_step(indicator: Any, missing: float, rows: int) -> None:
    for seed in range(3):
        one, other = columns(rows, 2, missing, seed)
        found = crossings(indicator, (one, other))
        assert np.array_equal(found, indicator(one, other))


@pytest.mark.parametrize("indicator", [crossed_above, crossed_below])
def test_the_warm_up_of_an_average_ends_where_it_ends(indicator: Any) -> None:
    one, _ = columns(3000, 1, 0.0, 1)
    for n in (2, RUN - 1, RUN, RUN + 1, 700):
        mean = sma(one, n)
        assert np.array_equal(crossings(indicator, (one, mean)), indicator(one, mean))
        assert np.array_equal(crossings(indicator, (mean, one)), indicator(mean, one))


def test_other_inputs_are_left_to_the_step() -> None:
    one, other = columns(100, 2, 0.0, 1)
    assert crossings(sma, (one, 3)) is None
    assert crossings(crossed_above, (one, 0.5)) is None
    assert crossings(crossed_above, (one[:, 0], other[:, 0])) is None
    assert crossings(crossed_above, (one, other[:, :1])) is None
    assert crossings(crossed_above, (one.astype(np.float32), other)) is None
    assert crossings(crossed_above, (np.ascontiguousarray(one), other)) is None
