"""Direction and strength of a trend. A missing value keeps the state and gives NaN."""

from __future__ import annotations

from strategies.common.steps import Column, State, nan, recurrent
from strategies.indicators.means import rma_step
from strategies.indicators.ranges import atr_step, range_step


@recurrent(state=(nan, nan, nan, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), outputs="adx plus_di minus_di")
def adx(s: State, high: Column, low: Column, close: Column, n: int = 14) -> tuple[State, tuple[float, float, float]]:
    """Average directional index and the two directional indicators, 0 to 100.

    plus_di = 100 * rma(up moves) / rma(true range), minus_di the same of down moves; a row's move counts for the
    larger side only. adx = rma(100 * |plus_di - minus_di| / (plus_di + minus_di)), 0 where neither moves.

    Seed: the means of the first n values, as Wilder's (TA-Lib drops one of them; the difference dies out). Warm-up:
    n rows of NaN for the indicators, 2 * n - 1 for adx; memory without end. A missing value keeps the state and
    gives NaN; so do rows before any true range.

    Source: Wilder (1978), "New Concepts in Technical Trading Systems".
    """
    last_high, last_low, last, count, width, plus, minus, rows, mean = s
    last, spread = range_step(last, high, low, close)
    both = high + low + close
    if both - both != 0.0:
        return s, (nan, nan, nan)
    rise, fall = high - last_high, last_low - low
    if spread != spread:
        return (high, low, last, count, width, plus, minus, rows, mean), (nan, nan, nan)
    if fall >= rise or rise <= 0.0:
        rise = 0.0
    if high - last_high >= fall or fall <= 0.0:
        fall = 0.0
    if count < n:
        count += 1.0
        width += spread
        plus += rise
        minus += fall
        if count < n:
            return (high, low, last, count, width, plus, minus, rows, mean), (nan, nan, nan)
        width /= n
        plus /= n
        minus /= n
    else:
        kept = (n - 1.0) / n
        width = width * kept + spread / n
        plus = plus * kept + rise / n
        minus = minus * kept + fall / n
    if width <= 0.0:
        return (high, low, last, count, width, plus, minus, rows, mean), (nan, nan, nan)
    moves = plus + minus
    index = 0.0
    if moves > 0.0:
        index = 100.0 * (abs(plus - minus) / moves)
    (rows, mean), value = rma_step((rows, mean), index, n)
    return (
        (high, low, last, count, width, plus, minus, rows, mean),
        (value, 100.0 * (plus / width), 100.0 * (minus / width)),
    )


@recurrent(state=(0.0, 0.0, nan, nan, nan, 0.0), outputs="line direction")
def supertrend(
    s: State, high: Column, low: Column, close: Column, n: int = 10, multiple: float = 3.0
) -> tuple[State, tuple[float, float]]:
    """Supertrend: a line trailing the price by `multiple` average true ranges, and the side it is on.

    Bands at (high + low) / 2 +- multiple * atr(n); the lower only rises and the upper only falls until the last
    close crosses it. direction is 1.0 above the lower band (line = lower) and -1.0 below the upper (line = upper);
    it turns when the close crosses the line.

    Seed: `atr`'s, and up where the close is not under the row's middle. Warm-up: n rows of NaN; memory without end.
    A missing value keeps the state and gives NaN.

    Source: Seban (2008), "Tout le monde mérite d'être riche".
    """
    count, mean, last, upper, lower, direction = s
    (count, mean, following), spread = atr_step((count, mean, last), high, low, close, n)
    if spread != spread:
        return (count, mean, following, upper, lower, direction), (nan, nan)
    middle = 0.5 * (high + low)
    top, bottom = middle + multiple * spread, middle - multiple * spread
    if not (top >= upper and last <= upper):
        upper = top
    if not (bottom <= lower and last >= lower):
        lower = bottom
    if direction > 0.0:
        if close < lower:
            direction = -1.0
    elif direction < 0.0:
        if close > upper:
            direction = 1.0
    elif close >= middle:
        direction = 1.0
    else:
        direction = -1.0
    line = upper
    if direction > 0.0:
        line = lower
    return (count, mean, following, upper, lower, direction), (line, direction)
