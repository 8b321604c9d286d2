"""The volume of a row says what is wanted: 1 buy, 2 sell, else nothing."""

from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars, *, stop: float = 0.0, target: float = 0.0, trail: float = 0.0) -> Signals:
    said = bars.volume + 0.0 * sma(bars.close, 1)
    return Signals(said == 1, said == 2, stop=stop, target=target, trail=trail)
