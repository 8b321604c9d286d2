"""Opening range: the first half hour sets a range; the first close above it on volume is bought, out by the close.

Source of the idea: Crabel (1990), "Day Trading with Short Term Price Patterns and Opening Range Breakout".
"""

from typing import Annotated

from strategies.common.load import Range
from strategies.common.rule import Rule
from strategies.indicators import crossed_above, lag, opening_range, session_vwap, sma
from strategies.types import Bars, Signals

CLOCK = "1m"
RULE = Rule(size=0.3, risk=0.004, stops="touch", cooldown=60)


def signals(
    bars: Bars,
    *,
    minutes: Annotated[float, Range(1.0, 240.0)] = 30.0,
    latest: Annotated[float, Range(10.0, 390.0)] = 150.0,
    surge: Annotated[float, Range(0.0, 20.0)] = 1.2,
    reward: Annotated[float, Range(0.1, 20.0)] = 2.0,
) -> Signals:
    span = opening_range(bars.high, bars.low, bars.session, bars.since_open, minutes)
    vwap = session_vwap(bars.high, bars.low, bars.close, bars.volume, bars.session)
    usual = lag(sma(bars.volume, 20), 1)
    early = (bars.since_open <= latest * 60.0).reshape(-1, 1)
    width = span.high - span.low
    return Signals(
        entries=crossed_above(bars.close, span.high) & (bars.close > vwap) & (bars.volume > surge * usual) & early,
        exits=bars.close < vwap,
        stop=0.5 * width,
        target=reward * width,
    )
