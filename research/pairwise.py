"""NumPy's order of adding, for compiled loops: the same bits as `numpy.sum`, `mean` and `std` without the arrays.

numpy.add.reduce halves a long array (the left half rounded down to a multiple of 8) until pieces of at most 128 are
left, adds each piece in eight lanes, and adds the pieces' sums back up the tree. Rounding depends on that order, so a
running total would differ from a backtest's ratios in the last bits.

Source of the order: numpy/_core/src/umath/loops_utils.h.src, pairwise_sum; `tests/research/test_pairwise.py` holds us
to it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from data.types import Ints

PIECE = 128
LANES = 8
DEPTH = 64


@lru_cache(maxsize=8)
def pieces(rows: int) -> tuple[Ints, Ints]:
    """How `rows` values are added: the first row of every piece and the end, and how many sums to join behind each."""
    firsts: list[int] = []
    joins: list[int] = []

    def halve(first: int, count: int) -> None:
        if count <= PIECE:
            firsts.append(first)
            joins.append(0)
            return
        left = count // 2
        left -= left % LANES
        halve(first, left)
        halve(first + left, count - left)
        joins[-1] += 1

    halve(0, rows)
    return np.array([*firsts, rows]), np.array(joins)


def piece_sum(v: Any) -> float:
    """Sum of the at most 128 values of v."""
    count = v.shape[0]
    if count < LANES:
        total = -0.0
        for i in range(count):
            total += v[i]
        return total
    a, b, c, d, e, f, g, h = v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
    whole = count - count % LANES
    for i in range(LANES, whole, LANES):
        a += v[i]
        b += v[i + 1]
        c += v[i + 2]
        d += v[i + 3]
        e += v[i + 4]
        f += v[i + 5]
        g += v[i + 6]
        h += v[i + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(whole, count):
        total += v[i]
    return total


def piece_of_same(value: float, count: int) -> float:
    """`piece_sum` of `count` times the same value."""
    if count < LANES:
        total = -0.0
        for _ in range(count):
            total += value
        return total
    lane = value
    for _ in range(1, count // LANES):
        lane += value
    total = ((lane + lane) + (lane + lane)) + ((lane + lane) + (lane + lane))
    for _ in range(count % LANES):
        total += value
    return total


def join(sums: Any, level: int, joins: int) -> int:
    """Add the last sums of the stack together, `joins` times; returns how many are left."""
    for _ in range(joins):
        level -= 1
        sums[level - 1] = sums[level - 1] + sums[level]
    return level


def pairwise_sum(v: Any, count: int, counts: Any, sums: Any) -> float:
    """numpy.sum of the first `count` values of v.

    Args:
        counts, sums: scratch, `DEPTH` integers (negative: the left half is summed) and floats.
    """
    counts[0] = count
    depth = 0
    first = 0
    while True:
        size = counts[depth]
        if size > PIECE:
            left = size // 2
            left -= left % LANES
            depth += 1
            counts[depth] = left
            continue
        total = piece_sum(v[first : first + size])
        first += size
        while depth > 0 and counts[depth - 1] < 0:
            depth -= 1
            total = sums[depth] + total
        if depth == 0:
            return 0.0 + total
        depth -= 1
        size = counts[depth]
        left = size // 2
        left -= left % LANES
        sums[depth] = total
        counts[depth] = -size
        depth += 1
        counts[depth] = size - left
