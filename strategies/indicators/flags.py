"""Flags from values, and the time since a flag."""

from __future__ import annotations

from strategies.common.steps import Column, State, nan, recurrent


@recurrent(state=(nan,), dtype=bool)
def crossed_above(s: State, a: Column, b: Column) -> tuple[State, bool]:
    """True on the row where a comes to stand above b: a > b now, a <= b on the last row where both were known.

    Either may be a number. No warm-up but the first known row, which is False. Missing (NaN) in a or b: False, and
    the comparison of the last known row is kept.
    """
    gap = a - b
    if gap != gap:
        return s, False
    return (gap,), gap > 0.0 and s[0] <= 0.0


@recurrent(state=(nan,), dtype=bool)
def crossed_below(s: State, a: Column, b: Column) -> tuple[State, bool]:
    """True on the row where a comes to stand below b: a < b now, a >= b on the last row where both were known.

    Either may be a number. No warm-up but the first known row, which is False. Missing (NaN) in a or b: False, and
    the comparison of the last known row is kept.
    """
    gap = a - b
    if gap != gap:
        return s, False
    return (gap,), gap < 0.0 and s[0] >= 0.0


@recurrent(state=(nan,))
def bars_since(s: State, flag: Column) -> tuple[State, float]:
    """Rows since the flag was last true: 0 on that row itself, NaN before the first.

    A number counts as true where it is not zero; a missing one as not true.
    """
    if flag == flag and flag != 0.0:
        return (0.0,), 0.0
    return (s[0] + 1.0,), s[0] + 1.0
