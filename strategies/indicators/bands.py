"""Bands around a mean: Bollinger's by deviations, Keltner's by true ranges."""

from __future__ import annotations

from math import sqrt

from strategies.common.steps import Column, State, Window, nan, recurrent, rolling
from strategies.indicators.means import ema_step, over
from strategies.indicators.ranges import atr_step
from strategies.indicators.sums import moments, slide_moments, variance_of

Bands = tuple[float, float, float, float, float]


def bands(s: State, x: float, n: int, deviations: float, ddof: int) -> Bands:
    """The five values from the window's sums."""
    middle = (s[0] + s[1]) / n
    away = deviations * sqrt(variance_of(s, n, ddof))
    upper, lower = middle + away, middle - away
    return upper, middle, lower, over(x - lower, upper - lower), over(upper - lower, middle)


def slide_bollinger(
    s: State, new: float, old: float, n: int, deviations: float, ddof: int
) -> tuple[State, Bands, bool]:
    """The bands one row on."""
    s, exact = slide_moments(s, new, old)
    return s, bands(s, new, n, deviations, ddof), exact


@rolling(slide=slide_bollinger, outputs="upper middle lower percent_b width")
def bollinger(x: Window, n: int = 20, deviations: float = 2.0, ddof: int = 0) -> tuple[State, Bands]:
    """Bollinger bands: the mean of the last n values, and `deviations` standard deviations above and below it.

    percent_b = (x - lower) / (upper - lower), width = (upper - lower) / middle; NaN where the divisor is zero.
    Mean as `sma`, deviation as `rolling_std` (ddof 0: the population's). Warm-up: n - 1 rows of NaN. NaN while a
    value of the window is missing.

    Source: Bollinger (2001), "Bollinger on Bollinger Bands".
    """
    s, whole = moments(x, n)
    values = bands(s, x[n - 1], n, deviations, ddof)
    if whole:
        return s, values
    return (nan, nan, nan, nan, nan, nan), values


@recurrent(state=(0.0, 0.0, 0.0, 0.0, nan), outputs="upper middle lower")
def keltner(
    s: State, high: Column, low: Column, close: Column, span: int = 20, n: int = 10, multiple: float = 2.0
) -> tuple[State, tuple[float, float, float]]:
    """Keltner channel: the ema of the close, and `multiple` average true ranges above and below it.

    middle = ema(close, span); upper and lower = middle +- multiple * atr(high, low, close, n). Seeds as `ema` and
    `atr`. Warm-up: `middle` span - 1 rows of NaN, the bands the longer of that and n rows; memory without end. A
    missing value keeps the state and gives NaN.

    Source: Keltner (1960), "How to Make Money in Commodities"; in this form Raschke and Connors (1995),
    "Street Smarts".
    """
    both = high + low + close
    if both - both != 0.0:
        return s, (nan, nan, nan)
    (count, mean), middle = ema_step((s[0], s[1]), close, span)
    (rows, width, last), spread = atr_step((s[2], s[3], s[4]), high, low, close, n)
    return (count, mean, rows, width, last), (middle + multiple * spread, middle, middle - multiple * spread)
