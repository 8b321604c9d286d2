"""Eight floats at a time give what one at a time gives; the next flag among sixty-four is the next one."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from research.lanes import (
    add8,
    div8,
    fetch,
    first64,
    least8,
    load8,
    most8,
    moves8,
    mul8,
    pick8,
    same8,
    store8,
    sub8,
    total8,
)
from research.pairwise import piece_sum

LEVELS = np.array([0.0, -0.0, 1.5, -2.25, 1e300, -1e-300, 5e-324, np.inf, -np.inf, np.nan, 0.1, 3.0])


@numba.njit
def operations(a: Any, b: Any, at: int, out: Any) -> None:
    one, other = load8(a, at), load8(b, at)
    store8(out[0], at, add8(one, other))
    store8(out[1], at, sub8(one, other))
    store8(out[2], at, mul8(one, other))
    store8(out[3], at, div8(one, other))
    store8(out[4], at, pick8(one, other, one, other))
    store8(out[5], at, pick8(same8(0.5), one, other, one))


@numba.njit
def reductions(a: Any) -> Any:
    one = load8(a, 0)
    return total8(one), most8(one), least8(one), moves8(one)


@numba.njit
def first(flags: Any, at: int) -> Any:
    return first64(flags, at)


@numba.njit
def bring(market: Any, symbol: int, row: int) -> Any:
    fetch(market, symbol, row)
    return market[0, 0, 0]


def test_every_lane_is_the_plain_operation_to_the_last_bit() -> None:
    random = np.random.default_rng(1)
    a, b = random.choice(LEVELS, 4003), random.choice(LEVELS, 4003)
    out = np.zeros((6, 4003))
    for at in range(3, 4003, 8):
        operations(a, b, at, out)
    with np.errstate(all="ignore"):
        expected = [a + b, a - b, a * b, a / b, np.where(a > b, a, b), np.where(a < 0.5, b, a)]
    for found, due in zip(out[:, 3:], (e[3:] for e in expected), strict=True):
        known = ~np.isnan(due)
        assert np.array_equal(np.isnan(found), ~known)
        assert np.array_equal(found[known].view(np.int64), due[known].view(np.int64))


def test_eight_are_joined_as_numpy_joins_them() -> None:
    random = np.random.default_rng(2)
    for _ in range(200):
        values = random.normal(size=8) * 10.0 ** random.integers(-8, 8, 8)
        total, most, least, moves = reductions(values)
        assert (total, most, least) == (piece_sum(values), values.max(), values.min())
        assert moves
    assert np.copysign(1.0, reductions(np.full(8, -0.0))[0]) == -1.0
    assert not reductions(np.array([0.0, -0.0] * 4))[3]
    assert reductions(np.array([0.0] * 7 + [np.nan]))[3]


@pytest.mark.parametrize("place", [0, 1, 7, 31, 63, 64, 65, 130])
def test_the_next_flag_is_the_first_behind(place: int) -> None:
    flags = np.zeros(200, np.uint8)
    flags[place] = 1
    flags[place + 1] = 255
    for at in range(place + 1):
        assert first(flags, at) == min(place - at, 64)


def test_a_row_beyond_the_market_may_be_fetched() -> None:
    market = np.ones((2, 3, 8))
    assert bring(market, 1, 3) == 1.0
    assert bring(market, 1, 10**9) == 1.0
