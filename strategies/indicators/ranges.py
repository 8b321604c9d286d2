"""True range, its average, and the price of a row. A missing value keeps the state and gives NaN."""

from __future__ import annotations

from strategies.common.steps import Column, State, nan, recurrent


def range_step(last: float, high: float, low: float, close: float) -> tuple[float, float]:
    """(close to keep, true range): the row's range widened to the last close; NaN before there is one."""
    both = high + low + close
    if both - both != 0.0:
        return last, nan
    if last != last:
        return close, nan
    top = high
    if last > top:
        top = last
    bottom = low
    if last < bottom:
        bottom = last
    return close, top - bottom


@recurrent(state=(nan,))
def true_range(s: State, high: Column, low: Column, close: Column) -> tuple[State, float]:
    """True range: the larger of high and the last close, less the smaller of low and the last close.

    Warm-up: one row of NaN, as it needs a close before it. A missing value keeps the last close and gives NaN.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    last, width = range_step(s[0], high, low, close)
    return (last,), width


def atr_step(s: State, high: float, low: float, close: float, n: int) -> tuple[State, float]:
    """One row of (count, mean, last close)."""
    count, mean, last = s
    last, width = range_step(last, high, low, close)
    if width != width:
        return (count, mean, last), nan
    if count < n:
        count += 1.0
        mean += width
        if count < n:
            return (count, mean, last), nan
        mean /= n
        return (count, mean, last), mean
    mean = mean * ((n - 1.0) / n) + width / n
    return (count, mean, last), mean


@recurrent(state=(0.0, 0.0, nan))
def atr(s: State, high: Column, low: Column, close: Column, n: int = 14) -> tuple[State, float]:
    """Average true range: Wilder's average of the true range.

    Seed: the mean of the first n true ranges, the first of which is that of the second row. Warm-up: n rows of NaN;
    memory without end. A missing value keeps the state and gives NaN.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    return atr_step(s, high, low, close, n)


@recurrent(state=())
def typical_price(s: State, high: Column, low: Column, close: Column) -> tuple[State, float]:
    """(high + low + close) / 3 of each row. NaN where one of them is missing.

    Source: Lambert (1980), "Commodity Channel Index", Commodities magazine.
    """
    return s, (high + low + close) / 3.0
