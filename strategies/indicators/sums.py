"""Sums and deviations over the last n values.

All depend on their window alone, to the last bit, wherever the history starts: the sums are exact, and what is made of
them is rounded from there. NaN while a value of the window is missing (NaN or infinite).
"""

from __future__ import annotations

from math import sqrt

from strategies.common.exact import exact_total, slide_pair
from strategies.common.steps import State, Window, nan, rolling


def slide_sum(s: State, new: float, old: float, _n: int) -> tuple[State, float, bool]:
    """The window's sum one row on."""
    hi, lo, exact = slide_pair(s[0], s[1], new, old)
    return (hi, lo), hi + lo, exact


@rolling(slide=slide_sum)
def rolling_sum(x: Window, n: int) -> tuple[State, float]:
    """Sum of the last n values: exact, rounded once.

    Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing.

    Source: Shewchuk (1997), "Adaptive Precision Floating-Point Arithmetic", Discrete & Computational Geometry 18.
    """
    hi, lo, whole = exact_total(x, 0, n)
    if whole:
        return (hi, lo), hi
    return (nan, nan), hi


def parted(x: float) -> tuple[float, float]:
    """(p, r): x * x = p + r to 2**-76 of itself; p has no error, and both are functions of x alone."""
    t = 134217729.0 * x
    high = t - (t - x)
    return high * high, (x + high) * (x - high)


def moments(w: Window, n: int) -> tuple[State, bool]:
    """Three exact pairs: the sum of the window, of the squares' upper parts and of their lower parts."""
    uppers = [0.0] * n
    lowers = [0.0] * n
    for i in range(n):
        uppers[i], lowers[i] = parted(w[i])
        if uppers[i] - uppers[i] != 0.0:
            return (nan, nan, nan, nan, nan, nan), False
    hi, lo, whole = exact_total(w, 0, n)
    p, q, whole_p = exact_total(uppers, 0, n)
    r, rest, whole_r = exact_total(lowers, 0, n)
    return (hi, lo, p, q, r, rest), whole and whole_p and whole_r


def slide_moments(s: State, new: float, old: float) -> tuple[State, bool]:
    """The three pairs one row on, and whether all of them are still exact.

    Three times `slide_pair`, written out: in the live process a call costs more than the sums.
    """
    hi, lo, p, q, r, rest = s
    d = new - old
    b = d - new
    e = (new - (d - b)) - (old + b)
    t = hi + d
    b = t - hi
    f = (hi - (t - b)) + (d - b)
    if e == 0.0:
        m = lo + f
        exact = m - lo == f and m - f == lo
    else:
        g = e + f
        m = lo + g
        exact = g - e == f and g - f == e and m - lo == g and m - g == lo

    u = 134217729.0 * new
    high = u - (u - new)
    p_new, r_new = high * high, (new + high) * (new - high)
    u = 134217729.0 * old
    high = u - (u - old)
    p_old, r_old = high * high, (old + high) * (old - high)

    d = p_new - p_old
    b = d - p_new
    e = (p_new - (d - b)) - (p_old + b)
    u = p + d
    b = u - p
    f = (p - (u - b)) + (d - b)
    if e == 0.0:
        v = q + f
        exact = exact and v - q == f and v - f == q
    else:
        g = e + f
        v = q + g
        exact = exact and g - e == f and g - f == e and v - q == g and v - g == q

    d = r_new - r_old
    b = d - r_new
    e = (r_new - (d - b)) - (r_old + b)
    y = r + d
    b = y - r
    f = (r - (y - b)) + (d - b)
    g = e + f
    z = rest + g
    exact = exact and g - e == f and g - f == e and z - rest == g and z - g == rest
    return (t, m, u, v, y, z), exact


def variance_of(s: State, n: int, ddof: int) -> float:
    """Variance from the three exact pairs, in double-double: n * squares - sum * sum loses nothing to cancellation.

    A function of the totals alone, whichever pairs they are written as: `two_sum` comes first, written out twice.
    """
    if n <= ddof:
        return nan
    a, b, c, d, e, f = s
    hi = a + b
    t = hi - a
    lo = (a - (hi - t)) + (b - t)
    p = c + d
    t = p - c
    q = (c - (p - t)) + (d - t)
    t = 134217729.0 * hi
    high = t - (t - hi)
    square = high * high
    t = 134217729.0 * p
    top = t - (t - p)
    m = n + 0.0
    spread = (m * top - square) + (m * ((p - top) + (q + (e + f))) - ((hi + high) * (hi - high) + 2.0 * hi * lo))
    if spread < square * 5.3e-23:
        return 0.0
    return spread / (m * (m - ddof))


def slide_var(s: State, new: float, old: float, n: int, ddof: int) -> tuple[State, float, bool]:
    """The window's variance one row on."""
    s, exact = slide_moments(s, new, old)
    return s, variance_of(s, n, ddof), exact


@rolling(slide=slide_var)
def rolling_var(x: Window, n: int, ddof: int = 0) -> tuple[State, float]:
    """Variance of the last n values: (sum of x * x - sum of x squared / n) / (n - ddof), from exact sums.

    ddof 0 is the population's (as TA-Lib and Bollinger), 1 the sample's (as pandas). Squares are kept to 23 decimal
    digits, and a deviation under 1e-11 of the mean is zero. Warm-up: n - 1 rows of NaN. NaN while a value of the
    window is missing or beyond 1e150, and for n <= ddof.

    Source: Chan, Golub, LeVeque (1983), "Algorithms for Computing the Sample Variance", The American Statistician 37;
    Dekker (1971), Numerische Mathematik 18.
    """
    s, whole = moments(x, n)
    value = variance_of(s, n, ddof)
    if whole:
        return s, value
    return (nan, nan, nan, nan, nan, nan), value


def slide_std(s: State, new: float, old: float, n: int, ddof: int) -> tuple[State, float, bool]:
    """The window's deviation one row on."""
    s, exact = slide_moments(s, new, old)
    return s, sqrt(variance_of(s, n, ddof)), exact


@rolling(slide=slide_std)
def rolling_std(x: Window, n: int, ddof: int = 0) -> tuple[State, float]:
    """Standard deviation of the last n values: the square root of `rolling_var`.

    ddof 0 is the population's (as TA-Lib and Bollinger), 1 the sample's (as pandas). Warm-up: n - 1 rows of NaN. NaN
    while a value of the window is missing or beyond 1e150, and for n <= ddof.

    Source: as `rolling_var`.
    """
    s, whole = moments(x, n)
    value = sqrt(variance_of(s, n, ddof))
    if whole:
        return s, value
    return (nan, nan, nan, nan, nan, nan), value


def score(s: State, x: float, n: int, ddof: int) -> float:
    """(x - mean) / deviation; NaN where the deviation is zero."""
    deviation = sqrt(variance_of(s, n, ddof))
    if deviation > 0.0:
        return (x - (s[0] + s[1]) / n) / deviation
    return nan


def slide_zscore(s: State, new: float, old: float, n: int, ddof: int) -> tuple[State, float, bool]:
    """The score one row on."""
    s, exact = slide_moments(s, new, old)
    return s, score(s, new, n, ddof), exact


@rolling(slide=slide_zscore)
def zscore(x: Window, n: int, ddof: int = 0) -> tuple[State, float]:
    """Distance of the newest value from the window's mean, in standard deviations: (x - mean) / std.

    Deviation as `rolling_std`. Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing or beyond 1e150,
    and where the deviation is zero.

    Source: Kreyszig (1979), "Advanced Engineering Mathematics", ch. 24.
    """
    s, whole = moments(x, n)
    value = score(s, x[n - 1], n, ddof)
    if whole:
        return s, value
    return (nan, nan, nan, nan, nan, nan), value
