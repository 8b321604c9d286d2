"""Momentum: a trend, a pole, a shallow flag, a breakout on rising volume. Out when the order flow turns.

Long when the close breaks above the flag (the highest high of the last `flag` rows), the flag is shallow against the
pole before it, the trend points up and the row's volume surges. Out when sellers take over the tape and the book
(where there is L2), or the close falls under the fast mean. The stop is a multiple of the ATR and follows the price.
"""

from typing import Annotated

from strategies.common.load import Range
from strategies.common.rule import Rule
from strategies.indicators import atr, crossed_above, ema, lag, rolling_max, rolling_min, sma
from strategies.types import Bars, Book, Signals

CLOCK = "1m"
RULE = Rule(size=0.3, risk=0.004, stops="touch", cooldown=5)


def signals(
    bars: Bars,
    book: Book,
    *,
    fast: Annotated[int, Range(2, 200)] = 20,
    slow: Annotated[int, Range(3, 500)] = 60,
    pole: Annotated[int, Range(2, 200)] = 20,
    flag: Annotated[int, Range(2, 100)] = 8,
    pole_atr: Annotated[float, Range(0.0, 20.0)] = 2.0,
    depth: Annotated[float, Range(0.0, 2.0)] = 0.6,
    surge: Annotated[float, Range(0.0, 20.0)] = 1.3,
    sellers: Annotated[float, Range(0.0, 1.0)] = 0.65,
    lean: Annotated[float, Range(-1.0, 1.0)] = -0.2,
    stop_atr: Annotated[float, Range(0.1, 20.0)] = 2.5,
) -> Signals:
    fast_mean, slow_mean = ema(bars.close, fast), ema(bars.close, slow)
    span = atr(bars.high, bars.low, bars.close, 14)
    top = lag(rolling_max(bars.high, flag), 1)
    bottom = lag(rolling_min(bars.low, flag), 1)
    rise = top - lag(rolling_min(bars.low, pole), flag + 1)
    usual = lag(sma(bars.volume, slow), 1)

    trending = (fast_mean > slow_mean) & (bars.close > slow_mean)
    flagged = (rise > pole_atr * span) & (top - bottom < depth * rise)
    breakout = crossed_above(bars.close, top)
    loud = bars.volume > surge * usual
    weak = (book.sell_flow > sellers) & (book.imbalance < lean)
    return Signals(
        entries=trending & flagged & breakout & loud,
        exits=weak | crossed_above(fast_mean, bars.close),
        stop=stop_atr * span,
        trail=1.5 * stop_atr * span,
    )
