"""Moving averages.

Rolling ones (sma, wma, vwma) depend on their window alone and give NaN while a value of it is missing (NaN or
infinite). Recurrent ones (ema, rma) keep their state on a missing value and give NaN for that row.
"""

from __future__ import annotations

from strategies.common.exact import add_pair, exact_total, slide_pair, two_sum
from strategies.common.steps import Column, State, Window, nan, recurrent, rolling


def slide_mean(s: State, new: float, old: float, n: int) -> tuple[State, float, bool]:
    """The window's mean one row on."""
    hi, lo, exact = slide_pair(s[0], s[1], new, old)
    return (hi, lo), (hi + lo) / n, exact


@rolling(slide=slide_mean)
def sma(x: Window, n: int) -> tuple[State, float]:
    """Simple moving average: the exact sum of the last n values, rounded once, over n.

    Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing.

    Source: Murphy (1999), "Technical Analysis of the Financial Markets", ch. 9.
    """
    hi, lo, whole = exact_total(x, 0, n)
    if whole:
        return (hi, lo), hi / n
    return (nan, nan), hi / n


def ema_step(s: State, x: float, span: int) -> tuple[State, float]:
    """One row of an exponential average seeded with the mean of the first `span` values."""
    count, mean = s
    if x - x != 0.0:
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
def ema(s: State, x: Column, span: int) -> tuple[State, float]:
    """Exponential moving average: mean + 2 / (span + 1) * (x - mean).

    Seed: the mean of the first `span` values, as in TA-Lib. Warm-up: span - 1 rows of NaN; memory without end.
    A missing value keeps the state and gives NaN.

    Source: Hunter (1986), "The Exponentially Weighted Moving Average", Journal of Quality Technology 18(4).
    """
    return ema_step(s, x, span)


def rma_step(s: State, x: float, n: int) -> tuple[State, float]:
    """One row of Wilder's average seeded with the mean of the first n values."""
    count, mean = s
    if x - x != 0.0:
        return s, nan
    if count < n:
        count += 1.0
        mean += x
        if count < n:
            return (count, mean), nan
        mean /= n
        return (count, mean), mean
    mean = mean * ((n - 1.0) / n) + x / n
    return (count, mean), mean


@recurrent(state=(0.0, 0.0))
def rma(s: State, x: Column, n: int) -> tuple[State, float]:
    """Wilder's moving average: mean * (n - 1) / n + x / n, an ema of weight 1 / n.

    Seed: the mean of the first n values. Warm-up: n - 1 rows of NaN; memory without end. A missing value keeps the
    state and gives NaN.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    return rma_step(s, x, n)


def weighted(w: Window, n: int) -> tuple[State, bool]:
    """(sum, its rest, weighted sum, its rest) of the window: exact pairs, weights 1 for the oldest to n."""
    hi, lo, whole = exact_total(w, 0, n)
    if hi - hi != 0.0:
        return (nan, nan, nan, nan), False
    products = [0.0] * (2 * n)
    for i in range(n):
        t = 134217729.0 * w[i]
        high = t - (t - w[i])
        products[2 * i] = (i + 1.0) * high
        products[2 * i + 1] = (i + 1.0) * (w[i] - high)
    top, rest, entire = exact_total(products, 0, 2 * n)
    return (hi, lo, top, rest), whole and entire


def slide_weighted(s: State, new: float, old: float, n: int) -> tuple[State, bool]:
    """The two sums one row on: every value loses one unit of weight, the new one has n."""
    hi, lo, top, rest = s
    t = 134217729.0 * new
    high = t - (t - new)
    top, rest, a = add_pair(top, rest, -hi)
    top, rest, b = add_pair(top, rest, -lo)
    top, rest, c = add_pair(top, rest, n * high)
    top, rest, d = add_pair(top, rest, n * (new - high))
    hi, lo, e = slide_pair(hi, lo, new, old)
    return (hi, lo, top, rest), a and b and c and d and e


def slide_wma(s: State, new: float, old: float, n: int) -> tuple[State, float, bool]:
    """The weighted mean one row on."""
    s, exact = slide_weighted(s, new, old, n)
    return s, (s[2] + s[3]) / (0.5 * n * (n + 1.0)), exact


@rolling(slide=slide_wma)
def wma(x: Window, n: int) -> tuple[State, float]:
    """Linearly weighted moving average: sum of k * x over n * (n + 1) / 2, k = 1 for the oldest to n for the newest.

    The sum is exact and rounded once. Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing or
    beyond 1e300.

    Source: Murphy (1999), "Technical Analysis of the Financial Markets", ch. 9.
    """
    s, whole = weighted(x, n)
    value = (s[2] + s[3]) / (0.5 * n * (n + 1.0))
    if whole:
        return s, value
    return (nan, nan, nan, nan), value


def slide_slope(s: State, new: float, old: float, n: int) -> tuple[State, float, bool]:
    """The slope one row on."""
    s, exact = slide_weighted(s, new, old, n)
    return s, slope_of(s, n), exact


def slope_of(s: State, n: int) -> float:
    """Slope from the two exact sums: sum of (k - (n + 1) / 2) * x over n * (n * n - 1) / 12."""
    if n < 2:
        return nan
    hi, lo = two_sum(s[0], s[1])
    top, rest = two_sum(s[2], s[3])
    middle = 0.5 * (n + 1.0)
    t = 134217729.0 * hi
    high = t - (t - hi)
    lean = (top - middle * high) + ((rest - middle * (hi - high)) - middle * lo)
    return lean / (n * (n - 1.0) * (n + 1.0) / 12.0)


@rolling(slide=slide_slope)
def slope(x: Window, n: int) -> tuple[State, float]:
    """Slope of the least-squares line through the last n values, per row.

    Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing or beyond 1e300, and for n = 1.

    Source: Draper, Smith (1998), "Applied Regression Analysis", ch. 1.
    """
    s, whole = weighted(x, n)
    value = slope_of(s, n)
    if whole:
        return s, value
    return (nan, nan, nan, nan), value


def over(a: float, b: float) -> float:
    """a / b; NaN where b is zero."""
    if b != 0.0:
        return a / b
    return nan


def slide_vwma(s: State, new: float, old: float, units: float, units_old: float, _n: int) -> tuple[State, float, bool]:
    """The volume-weighted mean one row on."""
    hi, lo, exact = slide_pair(s[0], s[1], new * units, old * units_old)
    top, rest, entire = slide_pair(s[2], s[3], units, units_old)
    return (hi, lo, top, rest), over(hi + lo, top + rest), exact and entire


@rolling(slide=slide_vwma)
def vwma(x: Window, volume: Window, n: int) -> tuple[State, float]:
    """Volume-weighted moving average of the last n rows: sum of x * volume over sum of volume.

    Warm-up: n - 1 rows of NaN. NaN while a value of either window is missing, and where no volume was traded.

    Source: Arms (1989), "The Arms Index".
    """
    hi, lo, whole = exact_total([x[i] * volume[i] for i in range(n)], 0, n)
    top, rest, entire = exact_total(volume, 0, n)
    if whole and entire:
        return (hi, lo, top, rest), over(hi, top)
    return (nan, nan, nan, nan), over(hi, top)
