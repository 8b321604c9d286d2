"""Indicators, each one step, run whole or row by row to the same bits."""

from strategies.indicators.bands import bollinger, keltner
from strategies.indicators.extremes import donchian, rolling_max, rolling_min, stochastic, williams_r
from strategies.indicators.flags import bars_since, crossed_above, crossed_below
from strategies.indicators.means import ema, rma, slope, sma, vwma, wma
from strategies.indicators.momentum import cci, diff, ffill, lag, macd, returns, roc, rsi
from strategies.indicators.ranges import atr, true_range, typical_price
from strategies.indicators.sessions import (
    opening_range,
    previous_close,
    session_high,
    session_low,
    session_open,
    session_sum,
    session_vwap,
)
from strategies.indicators.sums import rolling_std, rolling_sum, rolling_var, zscore
from strategies.indicators.trend import adx, supertrend
from strategies.indicators.volume import mfi, obv

__all__ = [
    "adx",
    "atr",
    "bars_since",
    "bollinger",
    "cci",
    "crossed_above",
    "crossed_below",
    "diff",
    "donchian",
    "ema",
    "ffill",
    "keltner",
    "lag",
    "macd",
    "mfi",
    "obv",
    "opening_range",
    "previous_close",
    "returns",
    "rma",
    "roc",
    "rolling_max",
    "rolling_min",
    "rolling_std",
    "rolling_sum",
    "rolling_var",
    "rsi",
    "session_high",
    "session_low",
    "session_open",
    "session_sum",
    "session_vwap",
    "slope",
    "sma",
    "stochastic",
    "supertrend",
    "true_range",
    "typical_price",
    "vwma",
    "williams_r",
    "wma",
    "zscore",
]
