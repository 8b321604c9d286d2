"""Error-free transformations: sums that forget nothing, from + and - alone.

A running sum in plain floats remembers its past roundings, so the same window gives other bits after another
start. Here a sum is a pair (hi, lo) whose exact total is the exact sum of the values, and every addition proves
that it lost nothing (its residue is zero). Where a value does not fit the pair, the caller sums the window afresh.

Sources: Knuth, TAOCP vol. 2, 4.2.2 (two_sum); Dekker (1971), Numerische Mathematik 18 (split, product);
Shewchuk (1997), Discrete & Computational Geometry 18 (expansions).
"""

from __future__ import annotations

from collections.abc import Sequence


def two_sum(a: float, b: float) -> tuple[float, float]:
    """(s, e): s = a + b rounded, e its exact error; s + e = a + b."""
    s = a + b
    bb = s - a
    return s, (a - (s - bb)) + (b - bb)


def exact_total(values: Sequence[float], first: int, last: int) -> tuple[float, float, bool]:
    """(hi, lo, whole) of values[first:last]: hi is the correctly rounded sum, lo the rounded rest.

    whole: hi + lo is the sum exactly. NaN or infinity among the values: (nan, nan, False). O(n) for ordinary values.
    """
    parts = [0.0]
    used = 0
    for i in range(first, last):
        x = values[i]
        if x - x != 0.0:
            return x - x, x - x, False
        kept = 0
        for q in range(used):
            x, e = two_sum(x, parts[q])
            if e != 0.0:
                parts[kept] = e
                kept += 1
        if kept < len(parts):
            parts[kept] = x
        else:
            parts.append(x)
        used = kept + 1
    hi = 0.0
    lo = 0.0
    q = used
    while q > 0 and lo == 0.0:
        q -= 1
        hi, lo = two_sum(hi, parts[q])
    if q > 0 and lo != 0.0 and ((lo < 0.0) == (parts[q - 1] < 0.0)):
        nudge = hi + 2.0 * lo
        if nudge - hi == 2.0 * lo:
            lo = hi - nudge + lo
            hi = nudge
    rest = lo
    whole = True
    while q > 0:
        q -= 1
        rest, e = two_sum(rest, parts[q])
        if e != 0.0:
            whole = False
    if hi - hi != 0.0:
        return hi, hi - hi, False
    return hi, rest, whole


def add_pair(hi: float, lo: float, x: float) -> tuple[float, float, bool]:
    """(hi, lo, exact): the pair's total plus x, and whether that lost nothing."""
    t = hi + x
    b = t - hi
    e = (hi - (t - b)) + (x - b)
    m = lo + e
    return t, m, m - lo == e and m - e == lo


def slide_pair(hi: float, lo: float, new: float, old: float) -> tuple[float, float, bool]:
    """(hi, lo, exact): the pair's total plus `new` less `old`, and whether that lost nothing.

    A sum g of e and f is exact if and only if g - e == f and g - f == e, as one of the two differences is itself exact.
    """
    d = new - old
    b = d - new
    e = (new - (d - b)) - (old + b)
    t = hi + d
    b = t - hi
    f = (hi - (t - b)) + (d - b)
    g = e + f
    m = lo + g
    return t, m, g - e == f and g - f == e and m - lo == g and m - g == lo
