"""A strategy that decides something on most rows, and misbehaves when told to.

The volume of a row carries a code in its last three bits: 1 buy, 2 sell, 3 short, 4 cover, 7 divide by zero.
"""

import numpy as np

from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "10s"
MOODS = ("told", "trend", "greedy", "absurd", "flip-flop", "broken")


def signals(
    bars: Bars, *, mood: int = 0, length: int = 3, stop: float = 0.3, target: float = 0.4, trail: float = 0.0
) -> Signals:
    """Entries and exits by code, by trend, always, or with sizes that no account has."""
    mean = sma(bars.close, length)
    code = np.where(np.isfinite(bars.volume), bars.volume, 0.0) % 8.0
    enter, leave, short, cover = code == 1.0, code == 2.0, code == 3.0, code == 4.0
    size = np.full(code.shape, np.nan)
    if mood == 1:
        enter, leave = bars.close > mean, bars.close < mean
        short, cover = leave, enter
    elif mood == 2:
        enter, short = np.ones(code.shape, dtype=np.bool_), np.zeros(code.shape, dtype=np.bool_)
    elif mood == 3:
        size = np.select([code == 1.0, code == 3.0, code == 5.0], [np.inf, -1.0, 1e300], 50.0)
        enter = enter | (code == 5.0)
    elif mood == 4:
        enter = (bars.ts // 10_000_000_000 % 2 == 0)[:, None] & np.isfinite(bars.close)
        leave = ~enter
        short, cover = leave, enter
    elif mood == 5 and (code == 7.0).any():
        raise ZeroDivisionError("a strategy that divides by zero")
    levels = [np.full(code.shape, level) for level in (stop, target, trail)]
    return Signals(enter, leave, short, cover, size, *levels)
