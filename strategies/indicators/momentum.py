"""Differences, rates and oscillators of one series."""

from __future__ import annotations

from typing import Any

from strategies.common.steps import Column, State, Window, nan, recurrent, rolling
from strategies.indicators.means import ema_step, over
from strategies.indicators.ranges import typical_price


@rolling(reach=1)
def lag(x: Window, n: int = 1) -> float:
    """The value n rows ago. Warm-up: n rows of NaN. A missing value comes out missing."""
    return x[-1 - n]


@rolling(reach=1)
def diff(x: Window, n: int = 1) -> float:
    """x less x n rows ago: the momentum of n rows. Warm-up: n rows of NaN. NaN where either is missing."""
    return x[n] - x[0]


@rolling(reach=1)
def roc(x: Window, n: int = 10) -> float:
    """Rate of change in percent: 100 * (x / x n rows ago - 1).

    Warm-up: n rows of NaN. NaN where either is missing or the older is zero.

    Source: Murphy (1999), "Technical Analysis of the Financial Markets", ch. 10.
    """
    return 100.0 * (over(x[n], x[0]) - 1.0)


@rolling(reach=1)
def returns(x: Window, n: int = 1) -> float:
    """Simple return over n rows, a fraction: x / x n rows ago - 1.

    Warm-up: n rows of NaN. NaN where either is missing or the older is zero.
    """
    return over(x[n], x[0]) - 1.0


@recurrent(state=(nan,))
def ffill(s: State, x: Column) -> tuple[State, float]:
    """The last value that was not missing. NaN before the first."""
    if x - x != 0.0:
        return s, s[0]
    return (x,), x


@recurrent(state=(0.0, 0.0, 0.0, nan))
def rsi(s: State, x: Column, n: int = 14) -> tuple[State, float]:
    """Relative strength index: 100 * up / (up + down), of Wilder's averages of rises and of falls.

    Seed: the means of the first n rises and falls. Warm-up: n rows of NaN; memory without end. NaN where nothing has
    moved yet. A missing value keeps the state and gives NaN.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    count, up, down, last = s
    move = x - last
    if move - move != 0.0:
        if x - x != 0.0:
            return s, nan
        return (count, up, down, x), nan
    rise = 0.0
    fall = 0.0
    if move > 0.0:
        rise = move
    else:
        fall = -move
    if count < n:
        count += 1.0
        up += rise
        down += fall
        if count < n:
            return (count, up, down, x), nan
        up /= n
        down /= n
    else:
        kept = (n - 1.0) / n
        up = up * kept + rise / n
        down = down * kept + fall / n
    both = up + down
    if both > 0.0:
        return (count, up, down, x), 100.0 * (up / both)
    return (count, up, down, x), nan


@recurrent(state=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0), outputs="line signal histogram")
def macd(
    s: State, x: Column, fast: int = 12, slow: int = 26, signal: int = 9
) -> tuple[State, tuple[float, float, float]]:
    """Moving average convergence divergence: line = ema(x, fast) - ema(x, slow), signal = ema(line, signal).

    histogram = line - signal. Each ema is seeded with the mean of its own first values (TA-Lib starts the fast one
    late; the difference dies out within some hundred rows). Warm-up: the longer span less one row of NaN for the
    line, signal - 1 more for the others; memory without end. A missing value keeps the state and gives NaN.

    Source: Appel (2005), "Technical Analysis: Power Tools for Active Investors".
    """
    (a, quick), near = ema_step((s[0], s[1]), x, fast)
    (b, calm), far = ema_step((s[2], s[3]), x, slow)
    line = near - far
    (c, mean), smooth = ema_step((s[4], s[5]), line, signal)
    return (a, quick, b, calm, c, mean), (line, smooth, line - smooth)


@rolling
def channel_index(x: Window, n: int) -> float:
    """(x - mean) / (0.015 * mean absolute deviation) of the last n values. NaN where nothing deviates."""
    total = 0.0
    for i in range(n):
        total += x[i]
    mean = total / n
    spread = 0.0
    for i in range(n):
        spread += abs(x[i] - mean)
    return over(x[n - 1] - mean, 0.015 * (spread / n))


def cci(high: Any, low: Any, close: Any, n: int = 20) -> Any:
    """Commodity channel index: (typical - mean) / (0.015 * mean absolute deviation) over the last n rows.

    Of the typical price (high + low + close) / 3. Warm-up: n - 1 rows of NaN. NaN while a value of the window is
    missing, and where nothing deviates.

    Source: Lambert (1980), "Commodity Channel Index", Commodities magazine.
    """
    return channel_index(typical_price(high, low, close), n)
