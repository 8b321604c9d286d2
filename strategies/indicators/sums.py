"""Sums, extremes and deviations over the last n values.

All depend on their window alone, to the last bit, wherever the history starts: sums are exact and rounded once. NaN
while a value of the window is missing (NaN or infinite).
"""

from __future__ import annotations

from math import sqrt

from strategies.common.exact import exact_total, slide_pair, two_sum
from strategies.common.steps import Window, nan, rolling


def slide_total(s, new, old, n):  # type: ignore[no-untyped-def]
    """The window's sum one row on, and whether it is still exact."""
    hi, lo, exact = slide_pair(s[0], s[1], new, old)
    return (hi, lo), hi + lo, exact


@rolling(slide=slide_total)
def rolling_sum(w: Window, n: int):  # type: ignore[no-untyped-def]
    """Sum of the last n values: exact, rounded once.

    Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing.

    Source: Shewchuk (1997), "Adaptive Precision Floating-Point Arithmetic", Discrete & Computational Geometry 18.
    """
    hi, lo, whole = exact_total(w, 0, n)
    if whole:
        return (hi, lo), hi
    return (nan, nan), hi


def slide_max(s, new, old, n):  # type: ignore[no-untyped-def]
    """The largest value one row on; the window is searched again only when the largest leaves."""
    top = s[0]
    if new >= top and new - new == 0.0:
        return (new + 0.0,), new + 0.0, True
    return s, top, old < top and new < top


@rolling(slide=slide_max)
def rolling_max(w: Window, n: int):  # type: ignore[no-untyped-def]
    """Largest of the last n values (never -0.0).

    Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing.
    """
    top = w[0] + 0.0
    for x in w:
        if x - x != 0.0:
            return (nan,), nan
        if x > top:
            top = x
    return (top,), top


def slide_min(s, new, old, n):  # type: ignore[no-untyped-def]
    """The smallest value one row on; the window is searched again only when the smallest leaves."""
    low = s[0]
    if new <= low and new - new == 0.0:
        return (new + 0.0,), new + 0.0, True
    return s, low, old > low and new > low


@rolling(slide=slide_min)
def rolling_min(w: Window, n: int):  # type: ignore[no-untyped-def]
    """Smallest of the last n values (never -0.0).

    Warm-up: n - 1 rows of NaN. NaN while a value of the window is missing.
    """
    low = w[0] + 0.0
    for x in w:
        if x - x != 0.0:
            return (nan,), nan
        if x < low:
            low = x
    return (low,), low


def parted(x):  # type: ignore[no-untyped-def]
    """(p, r): x * x = p + r to 2**-77 of itself; p exact, both a function of x alone."""
    t = 134217729.0 * x
    high = t - (t - x)
    return high * high, (x + high) * (x - high)


def variance_of(hi, lo, p, q, r, n, ddof):  # type: ignore[no-untyped-def]
    """Variance from the exact sum hi + lo and the exact sum of squares p + q + r, without cancellation."""
    if n <= ddof:
        return nan
    t = 134217729.0 * hi
    high = t - (t - hi)
    above = high * high
    t = 134217729.0 * p
    top = t - (t - p)
    spread = (n * top - above) + (n * (p - top) + n * (q + r) - ((hi + high) * (hi - high) + 2.0 * hi * lo))
    if spread < above * 5.293955920339377e-23:
        return spread - spread
    return spread / (n * (n - ddof))


def moments(w, n):  # type: ignore[no-untyped-def]
    """The sums of the window and of its squares, from the beginning: six floats, NaN where a value is missing."""
    ps = [0.0] * n
    rs = [0.0] * n
    for i in range(n):
        x = w[i]
        if not -1e140 < x < 1e140:
            return (nan, nan, nan, nan, nan, nan), False
        ps[i], rs[i] = parted(x)
    hi, lo, whole = exact_total(w, 0, n)
    p, q, whole_p = exact_total(ps, 0, n)
    r, rest, whole_r = exact_total(rs, 0, n)
    return (hi, lo, p, q, r, rest), whole and whole_p and whole_r


def slide_moments(s, new, old):  # type: ignore[no-untyped-def]
    """The six sums one row on, and whether all of them are still exact."""
    hi, lo, p, q, r, rest = s
    hi, lo, exact = slide_pair(hi, lo, new, old)
    pn, rn = parted(new)
    po, ro = parted(old)
    p, q, exact_p = slide_pair(p, q, pn, po)
    r, rest, exact_r = slide_pair(r, rest, rn, ro)
    return (hi, lo, p, q, r, rest), exact and exact_p and exact_r and -1e140 < new < 1e140


def variance_from(s, n, ddof):  # type: ignore[no-untyped-def]
    """Variance from the six sums, whatever pair each exact sum is written as."""
    hi, lo = two_sum(s[0], s[1])
    p, q = two_sum(s[2], s[3])
    return variance_of(hi, lo, p, q, s[4] + s[5], n, ddof)


def slide_var(s, new, old, n, ddof):  # type: ignore[no-untyped-def]
    """The window's variance one row on."""
    s, exact = slide_moments(s, new, old)
    return s, variance_from(s, n, ddof), exact


def kept(s, whole):  # type: ignore[no-untyped-def]
    """The state to slide from: none where a sum did not fit its pair."""
    if whole:
        return s
    return (nan, nan, nan, nan, nan, nan)


@rolling(slide=slide_var)
def rolling_var(w: Window, n: int, ddof: int = 0):  # type: ignore[no-untyped-def]
    """Variance of the last n values: (sum x**2 - (sum x)**2 / n) / (n - ddof), from exact sums.

    ddof 0 is the population variance (as TA-Lib and Bollinger), 1 the sample's (as pandas). Warm-up: n - 1 rows of
    NaN. NaN while a value of the window is missing or beyond 1e140, and where n <= ddof. A deviation under 1e-11 of
    the mean counts as zero.

    Source: Chan, Golub, LeVeque (1983), "Algorithms for Computing the Sample Variance", The American Statistician 37.
    """
    s, whole = moments(w, n)
    return kept(s, whole), variance_from(s, n, ddof)


def slide_std(s, new, old, n, ddof):  # type: ignore[no-untyped-def]
    """The window's deviation one row on."""
    s, exact = slide_moments(s, new, old)
    return s, root(variance_from(s, n, ddof)), exact


def root(x):  # type: ignore[no-untyped-def]
    """Square root; NaN of NaN."""
    if x >= 0.0:
        return sqrt(x)
    return nan


@rolling(slide=slide_std)
def rolling_std(w: Window, n: int, ddof: int = 0):  # type: ignore[no-untyped-def]
    """Standard deviation of the last n values: the square root of `rolling_var`, with its rules."""
    s, whole = moments(w, n)
    return kept(s, whole), root(variance_from(s, n, ddof))


def score(s, x, n, ddof):  # type: ignore[no-untyped-def]
    """(x - mean) / deviation; NaN where the deviation is zero."""
    deviation = root(variance_from(s, n, ddof))
    if deviation > 0.0:
        return (x - (s[0] + s[1]) / n) / deviation
    return nan


def slide_zscore(s, new, old, n, ddof):  # type: ignore[no-untyped-def]
    """The score one row on."""
    s, exact = slide_moments(s, new, old)
    return s, score(s, new, n, ddof), exact


@rolling(slide=slide_zscore)
def zscore(w: Window, n: int, ddof: int = 0):  # type: ignore[no-untyped-def]
    """Distance of the last value from the window's mean, in deviations: (x - mean) / std.

    NaN where the deviation is zero, else the rules of `rolling_var`.
    """
    s, whole = moments(w, n)
    return kept(s, whole), score(s, w[n - 1], n, ddof)
