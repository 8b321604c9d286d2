"""Mean reversion: buy what fell too far below its mean in a market without a trend; out at the mean.

Long (and short, where the rule allows it) when the z-score of the close is stretched and ADX says there is no trend.
"""

from typing import Annotated

from strategies.common.load import Range
from strategies.common.rule import Rule
from strategies.indicators import adx, atr, rsi, zscore
from strategies.types import Bars, Signals

CLOCK = "1m"
RULE = Rule(size=0.3, risk=0.004, time_stop=60, cooldown=5)


def signals(
    bars: Bars,
    *,
    n: Annotated[int, Range(5, 500)] = 30,
    stretch: Annotated[float, Range(0.5, 6.0)] = 2.0,
    oversold: Annotated[float, Range(0.0, 50.0)] = 30.0,
    calm: Annotated[float, Range(5.0, 100.0)] = 25.0,
    stop_atr: Annotated[float, Range(0.1, 20.0)] = 3.0,
) -> Signals:
    far = zscore(bars.close, n)
    force = rsi(bars.close, 14)
    quiet = adx(bars.high, bars.low, bars.close, 14).adx < calm
    return Signals(
        entries=(far < -stretch) & (force < oversold) & quiet,
        exits=far > 0.0,
        short_entries=(far > stretch) & (force > 100.0 - oversold) & quiet,
        short_exits=far < 0.0,
        stop=stop_atr * atr(bars.high, bars.low, bars.close, 14),
    )
