"""Random numbers inside compiled loops, exact on every machine; the same splitmix64 as `data.sources.chance`.

Plain functions that `data.jit` compiles with those that call them. Only + - * /, comparisons and integer arithmetic:
no exp, log or sqrt of a library's making.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from data.sources.chance import GOLDEN, MIX_1, MIX_2

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(GOLDEN), np.uint64(MIX_1), np.uint64(MIX_2)
_11, _27, _30, _31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)


def uniform(state: Any) -> float:
    """The next float64 in [0, 1); `state` is one uint64 in an array and moves on."""
    state[0] += _GOLDEN
    z = state[0]
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    z = z ^ (z >> _31)
    return float(z >> _11) * 1.1102230246251565e-16


def bell(state: Any) -> float:
    """The next value of mean 0 and deviation 1, between -3.46 and 3.46: the sum of four uniforms."""
    total = uniform(state) + uniform(state) + uniform(state) + uniform(state)
    return (total - 2.0) * 1.7320508075688772


def waiting(state: Any) -> float:
    """The next exponential waiting time of mean 1, by comparisons alone.

    Source: von Neumann (1951), "Various techniques used in connection with random digits".
    """
    whole = 0.0
    while True:
        first = uniform(state)
        last, run = first, 1
        while True:
            following = uniform(state)
            if following >= last:
                break
            last = following
            run += 1
        if run % 2 == 1:
            return whole + first
        whole += 1.0


def failures(state: Any, chance: float) -> int:
    """The number of failures before a success of probability `chance`: geometric, from 0."""
    count = 0
    while uniform(state) >= chance and count < 1_000:
        count += 1
    return count


def bounded(value: float, lowest: float, highest: float) -> float:
    """`value`, or the bound it lies beyond."""
    return min(max(value, lowest), highest)
