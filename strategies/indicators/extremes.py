"""Highest and lowest over the last n rows, and where the close stands between them.

All depend on their window alone. The extremes are carried from row to row and searched again only when one leaves.
-0.0 counts as 0.0, so that a tie cannot depend on the order. NaN while a value of the window is missing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from strategies.common.steps import State, Window, nan, rolling
from strategies.indicators.means import over, sma


def slide_max(s: State, new: float, old: float, _n: int) -> tuple[State, float, bool]:
    """The largest value one row on."""
    top = s[0]
    if new >= top and new - new == 0.0:
        return (new + 0.0,), new + 0.0, True
    return s, top, old < top and new < top


@rolling(slide=slide_max)
def rolling_max(x: Window, n: int) -> tuple[State, float]:
    """Largest of the last n values. Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing."""
    top = largest(x, n)
    return (top,), top


def largest(w: Window, n: int) -> float:
    """Largest of n values; NaN where one is missing."""
    top = w[0]
    for i in range(n):
        if w[i] - w[i] != 0.0:
            return nan
        if w[i] > top:
            top = w[i]
    return top + 0.0


def slide_min(s: State, new: float, old: float, _n: int) -> tuple[State, float, bool]:
    """The smallest value one row on."""
    low = s[0]
    if new <= low and new - new == 0.0:
        return (new + 0.0,), new + 0.0, True
    return s, low, old > low and new > low


@rolling(slide=slide_min)
def rolling_min(x: Window, n: int) -> tuple[State, float]:
    """Smallest of the last n values. Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing."""
    low = smallest(x, n)
    return (low,), low


def smallest(w: Window, n: int) -> float:
    """Smallest of n values; NaN where one is missing."""
    low = w[0]
    for i in range(n):
        if w[i] - w[i] != 0.0:
            return nan
        if w[i] < low:
            low = w[i]
    return low + 0.0


def slide_extent(s: State, high: float, high_old: float, low: float, low_old: float) -> tuple[State, bool]:
    """(top, bottom) of two windows one row on."""
    top, bottom = s
    exact = (high >= top or high_old < top) and (low <= bottom or low_old > bottom)
    if high >= top:
        top = high + 0.0
    if low <= bottom:
        bottom = low + 0.0
    return (top, bottom), exact and high - high == 0.0 and low - low == 0.0


def slide_donchian(
    s: State, high: float, high_old: float, low: float, low_old: float, _n: int
) -> tuple[State, tuple[float, float, float], bool]:
    """The channel one row on."""
    s, exact = slide_extent(s, high, high_old, low, low_old)
    return s, (s[0], 0.5 * (s[0] + s[1]), s[1]), exact


@rolling(slide=slide_donchian, outputs="upper middle lower")
def donchian(high: Window, low: Window, n: int = 20) -> tuple[State, tuple[float, float, float]]:
    """Donchian channel: the highest high and the lowest low of the last n rows, and their mean as `middle`.

    The row itself is in its window; for a breakout compare the close with `lag(upper, 1)`. Warm-up: n - 1 rows of
    NaN. NaN while a value of a window is missing.

    Source: Donchian (1960), "High Finance in Copper", Financial Analysts Journal 16(6).
    """
    top, bottom = largest(high, n), smallest(low, n)
    return (top, bottom), (top, 0.5 * (top + bottom), bottom)


def slide_place(
    s: State, high: float, high_old: float, low: float, low_old: float, close: float, _close_old: float, _n: int
) -> tuple[State, float, bool]:
    """Where the close stands, one row on."""
    s, exact = slide_extent(s, high, high_old, low, low_old)
    return s, 100.0 * over(close - s[1], s[0] - s[1]), exact


@rolling(slide=slide_place)
def place_in_range(high: Window, low: Window, close: Window, n: int) -> tuple[State, float]:
    """100 * (close - lowest) / (highest - lowest) over the last n rows: the raw %K. NaN where there is no range."""
    top, bottom = largest(high, n), smallest(low, n)
    return (top, bottom), 100.0 * over(close[n - 1] - bottom, top - bottom)


class Stochastic(NamedTuple):
    """%K and %D, (T, N) each, 0 to 100."""

    k: Any
    d: Any


def stochastic(high: Any, low: Any, close: Any, n: int = 14, smooth: int = 3, signal: int = 3) -> Stochastic:
    """Stochastic oscillator: k, the `smooth`-row mean of 100 * (close - lowest) / (highest - lowest); d, its mean.

    d is the `signal`-row mean of k; smooth=1 gives the fast oscillator. Warm-up: n + smooth - 2 rows of NaN for k,
    signal - 1 more for d. NaN while a value of the windows is missing or the price has no range in n rows.

    Source: Lane (1984), "Lane's Stochastics", Technical Analysis of Stocks & Commodities 2(3).
    """
    k = sma(place_in_range(high, low, close, n), smooth)
    return Stochastic(k, sma(k, signal))


def slide_williams(
    s: State, high: float, high_old: float, low: float, low_old: float, close: float, _close_old: float, _n: int
) -> tuple[State, float, bool]:
    """Williams' %R one row on."""
    s, exact = slide_extent(s, high, high_old, low, low_old)
    return s, 100.0 * over(close - s[0], s[0] - s[1]), exact


@rolling(slide=slide_williams)
def williams_r(high: Window, low: Window, close: Window, n: int = 14) -> tuple[State, float]:
    """Williams' %R: 100 * (close - highest) / (highest - lowest) over the last n rows, -100 to 0.

    Warm-up: n - 1 rows of NaN. NaN while a high or low of the window is missing, and where there is no range.

    Source: Williams (1979), "How I Made One Million Dollars Last Year Trading Commodities".
    """
    top, bottom = largest(high, n), smallest(low, n)
    return (top, bottom), 100.0 * over(close[n - 1] - top, top - bottom)
