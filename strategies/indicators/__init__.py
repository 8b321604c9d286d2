"""Indicators, each one step, run whole or row by row to the same bits."""

from strategies.indicators.flags import crossed_above, crossed_below
from strategies.indicators.means import ema, rma, sma
from strategies.indicators.momentum import diff, lag, rsi
from strategies.indicators.ranges import atr
from strategies.indicators.sessions import opening_range, session_vwap
from strategies.indicators.sums import rolling_max, rolling_min, rolling_std, rolling_sum, rolling_var, zscore

__all__ = [
    "atr",
    "crossed_above",
    "crossed_below",
    "diff",
    "ema",
    "lag",
    "opening_range",
    "rma",
    "rolling_max",
    "rolling_min",
    "rolling_std",
    "rolling_sum",
    "rolling_var",
    "rsi",
    "session_vwap",
    "sma",
    "zscore",
]
