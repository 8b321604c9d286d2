"""Moving averages.

Rolling ones depend on their window alone and give NaN while a value of it is missing (NaN or infinite). Recurrent
ones keep their state on a missing value and give NaN for that row.
"""

from __future__ import annotations

from strategies.common.exact import exact_total
from strategies.common.steps import Column, Window, nan, recurrent, rolling
from strategies.indicators.sums import slide_total


def slide_mean(s, new, old, n):  # type: ignore[no-untyped-def]
    """The window's mean one row on, and whether its sum is still exact."""
    following, total, exact = slide_total(s, new, old, n)
    return following, total / n, exact


@rolling(slide=slide_mean)
def sma(w: Window, n: int):  # type: ignore[no-untyped-def]
    """Simple moving average: the exact sum of the last n values, rounded once, over n.

    Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing.

    Source: Murphy (1999), "Technical Analysis of the Financial Markets", ch. 9.
    """
    hi, lo, whole = exact_total(w, 0, n)
    if whole:
        return (hi, lo), hi / n
    return (nan, nan), hi / n


def ema_step(s, x, span):  # type: ignore[no-untyped-def]
    """One row of an exponential average seeded with the mean of the first `span` values."""
    count, mean = s
    if not x - x == 0.0:
        return s, nan
    if count < span:
        count += 1.0
        mean += x
        if count < span:
            return (count, mean), nan
        mean /= span
        return (count, mean), mean
    mean = mean + 2.0 / (span + 1.0) * (x - mean)
    return (count, mean), mean


@recurrent(state=(0.0, 0.0))
def ema(s, x: Column, span: int):  # type: ignore[no-untyped-def]
    """Exponential moving average: mean + 2 / (span + 1) * (x - mean).

    Seed: the mean of the first `span` values, as in TA-Lib. Warm-up: span - 1 rows of NaN. A missing value keeps the
    state and gives NaN.

    Source: Hunter (1986), "The Exponentially Weighted Moving Average", Journal of Quality Technology 18(4).
    """
    return ema_step(s, x, span)


def rma_step(s, x, n):  # type: ignore[no-untyped-def]
    """One row of Wilder's average seeded with the mean of the first n values."""
    count, mean = s
    if not x - x == 0.0:
        return s, nan
    if count < n:
        count += 1.0
        mean += x
        if count < n:
            return (count, mean), nan
        mean /= n
        return (count, mean), mean
    mean = (mean * (n - 1.0) + x) / n
    return (count, mean), mean


@recurrent(state=(0.0, 0.0))
def rma(s, x: Column, n: int):  # type: ignore[no-untyped-def]
    """Wilder's moving average: (mean * (n - 1) + x) / n, an ema of weight 1 / n.

    Seed: the mean of the first n values. Warm-up: n - 1 rows of NaN. A missing value keeps the state and gives NaN.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    return rma_step(s, x, n)
