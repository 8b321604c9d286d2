"""Buy when the fast mean crosses above the slow mean; leave on the way back."""

from strategies.indicators import crossed_above, ema
from strategies.types import Bars, Signals

CLOCK = "1d"


def signals(bars: Bars, *, fast: int = 20, slow: int = 100) -> Signals:
    fast_mean, slow_mean = ema(bars.close, fast), ema(bars.close, slow)
    return Signals(
        entries=crossed_above(fast_mean, slow_mean),
        exits=crossed_above(slow_mean, fast_mean),
    )
