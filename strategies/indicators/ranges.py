"""True range and its averages."""

from __future__ import annotations

from strategies.common.steps import Column, nan, recurrent
from strategies.indicators.means import rma_step


def range_step(previous, high, low, close):  # type: ignore[no-untyped-def]
    """(close kept, true range): the range widened to the last close; NaN before there is one."""
    if not (high - high) + (low - low) + (close - close) == 0.0:
        return previous, nan
    top = high if high > previous else previous
    bottom = low if low < previous else previous
    return close, top - bottom


@recurrent(state=(0.0, 0.0, nan))
def atr(s, high: Column, low: Column, close: Column, n: int = 14):  # type: ignore[no-untyped-def]
    """Average true range: Wilder's average of max(high, last close) - min(low, last close).

    Seed: the mean of the first n true ranges, the first of which is that of the second row (it needs a close before
    it). Warm-up: n rows of NaN. A missing value keeps the state and gives NaN.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    close, width = range_step(s[2], high, low, close)
    (count, mean), value = rma_step((s[0], s[1]), width, n)
    return (count, mean, close), value
