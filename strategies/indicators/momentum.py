"""Oscillators and differences."""

from __future__ import annotations

from strategies.common.steps import Column, Window, nan, recurrent, rolling


@rolling(reach=1)
def lag(w: Window, n: int = 1):  # type: ignore[no-untyped-def]
    """The value n rows ago. Warm-up: n rows of NaN; a missing value comes out missing."""
    return w[0]


@rolling(reach=1)
def diff(w: Window, n: int = 1):  # type: ignore[no-untyped-def]
    """x - x n rows ago. Warm-up: n rows of NaN; NaN where either is missing."""
    return w[n] - w[0]


@recurrent(state=(0.0, 0.0, 0.0, nan))
def rsi(s, x: Column, n: int = 14):  # type: ignore[no-untyped-def]
    """Relative strength index: 100 * up / (up + down), Wilder's averages of rises and falls.

    Seed: the means of the first n rises and falls. Warm-up: n rows of NaN. 50 where nothing moved. A missing value
    keeps the state and gives NaN.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    count, up, down, last = s
    if not x - x == 0.0:
        return s, nan
    if last != last:
        return (count, up, down, x), nan
    move = x - last
    rise = move if move > 0.0 else 0.0
    fall = -move if move < 0.0 else 0.0
    if count < n:
        count += 1.0
        up += rise
        down += fall
        if count < n:
            return (count, up, down, x), nan
        up /= n
        down /= n
    else:
        up = (up * (n - 1.0) + rise) / n
        down = (down * (n - 1.0) + fall) / n
    both = up + down
    if both > 0.0:
        return (count, up, down, x), 100.0 * (up / both)
    return (count, up, down, x), 50.0
