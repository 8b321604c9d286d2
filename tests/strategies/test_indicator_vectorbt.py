"""The indicators vectorbt has too, against vectorbt's."""

import numpy as np
import pandas as pd
import pytest

from strategies import indicators as ind

pytestmark = pytest.mark.slow


def test_values_equal_those_of_vectorbt() -> None:
    import vectorbt as vbt

    rng = np.random.default_rng(3)
    close = 50.0 + rng.normal(size=(1500, 2)).cumsum(0) * 0.1
    high, low, volume = close + rng.random(close.shape), close - rng.random(close.shape), rng.random(close.shape) * 1e4
    c, h, lo, v = (pd.DataFrame(a) for a in (close, high, low, volume))
    bands, strength = vbt.BBANDS.run(c, window=20, alpha=2.0), vbt.RSI.run(c, window=14, ewm=False)
    lines, place = vbt.MACD.run(c, 12, 26, 9), vbt.STOCH.run(h, lo, c, 14, 3)
    ours, mine, fast = ind.bollinger(close, 20, 2.0), ind.macd(close), ind.stochastic(high, low, close, 14, 1, 3)
    up, down = np.maximum(ind.diff(close), 0.0), np.maximum(-ind.diff(close), 0.0)
    pairs = {
        "sma": (ind.sma(close, 20), vbt.MA.run(c, 20).ma),
        "ema, once its seed has died out": (ind.ema(close, 20)[500:], vbt.MA.run(c, 20, ewm=True).ma[500:]),
        "std": (ind.rolling_std(close, 20), vbt.MSTD.run(c, 20).mstd),
        "upper": (ours.upper, bands.upper),
        "lower": (ours.lower, bands.lower),
        "percent_b": (ours.percent_b, bands.percent_b),
        "width": (ours.width, bands.bandwidth),
        # vectorbt's macd is of plain means unless told otherwise, and so is its rsi
        "macd of means": (ind.sma(close, 12) - ind.sma(close, 26), lines.macd),
        "macd": (mine.line[500:], vbt.MACD.run(c, 12, 26, 9, macd_ewm=True, signal_ewm=True).macd[500:]),
        "macd signal": (mine.signal[500:], vbt.MACD.run(c, 12, 26, 9, macd_ewm=True, signal_ewm=True).signal[500:]),
        "rsi of means": (100 * ind.sma(up, 14) / (ind.sma(up, 14) + ind.sma(down, 14)), strength.rsi),
        "k": (fast.k, place.percent_k),
        "d": (fast.d, place.percent_d),
        "true range": (ind.true_range(high, low, close)[1:], vbt.ATR.run(h, lo, c, 14, ewm=False).tr[1:]),
        "obv": (np.diff(ind.obv(close, volume)[1:], axis=0), np.diff(vbt.OBV.run(c, v).obv.to_numpy()[1:], axis=0)),
    }
    for name, (a, b) in pairs.items():
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-9, atol=1e-7, err_msg=name)
