"""Flags: one row's bool from values, with the memory they need."""

from __future__ import annotations

from strategies.common.steps import Column, nan, recurrent


@recurrent(state=(nan,), dtype=bool)
def crossed_above(s, a: Column, b: Column):  # type: ignore[no-untyped-def]
    """True on the row where a comes to stand above b: a > b now, a <= b on the last row where both were known.

    Either may be a number. Never true on the first known row, nor on a row where a or b is missing.
    """
    gap = a - b
    if gap != gap:
        return s, False
    return (gap,), gap > 0.0 and s[0] <= 0.0


@recurrent(state=(nan,), dtype=bool)
def crossed_below(s, a: Column, b: Column):  # type: ignore[no-untyped-def]
    """True on the row where a comes to stand below b: a < b now, a >= b on the last row where both were known.

    Either may be a number. Never true on the first known row, nor on a row where a or b is missing.
    """
    gap = a - b
    if gap != gap:
        return s, False
    return (gap,), gap < 0.0 and s[0] >= 0.0
