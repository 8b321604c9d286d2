"""Volume with a direction."""

from __future__ import annotations

from typing import Any

from strategies.common.exact import exact_total, slide_pair
from strategies.common.steps import Column, State, Window, nan, recurrent, rolling
from strategies.indicators.means import over


@recurrent(state=(nan, 0.0))
def obv(s: State, close: Column, volume: Column) -> tuple[State, float]:
    """On-balance volume: volume added on a higher close, taken off on a lower one.

    Seed: 0 on the first row (TA-Lib starts with the first row's volume). No warm-up; memory without end. A missing
    value keeps the state and gives NaN.

    Source: Granville (1963), "Granville's New Key to Stock Market Profits".
    """
    last, total = s
    both = close + volume
    if both - both != 0.0:
        return s, nan
    if close > last:
        total += volume
    elif close < last:
        total -= volume
    return (close, total), total


@recurrent(state=(nan,), outputs="inflow outflow")
def money_flow(s: State, high: Column, low: Column, close: Column, volume: Column) -> tuple[State, tuple[float, float]]:
    """Typical price times volume, as inflow where the typical price rose and as outflow where it fell.

    Warm-up: one row of NaN. A missing value keeps the last price and gives NaN.
    """
    price = (high + low + close) / 3.0
    flow = price * volume
    if flow - flow != 0.0:
        return s, (nan, nan)
    last = s[0]
    if price > last:
        return (price,), (flow, 0.0)
    if price < last:
        return (price,), (0.0, flow)
    if last != last:
        return (price,), (nan, nan)
    return (price,), (0.0, 0.0)


def slide_share(s: State, a: float, a_old: float, b: float, b_old: float, _n: int) -> tuple[State, float, bool]:
    """The share one row on."""
    hi, lo, exact = slide_pair(s[0], s[1], a, a_old)
    top, rest, entire = slide_pair(s[2], s[3], b, b_old)
    return (hi, lo, top, rest), share(hi + lo, top + rest), exact and entire


def share(a: float, b: float) -> float:
    """100 * a / (a + b); NaN where both are zero."""
    return 100.0 * over(a, a + b)


@rolling(slide=slide_share)
def share_of(a: Window, b: Window, n: int) -> tuple[State, float]:
    """100 * sum of a / (sum of a + sum of b) over the last n rows, from exact sums."""
    hi, lo, whole = exact_total(a, 0, n)
    top, rest, entire = exact_total(b, 0, n)
    if whole and entire:
        return (hi, lo, top, rest), share(hi, top)
    return (nan, nan, nan, nan), share(hi, top)


def mfi(high: Any, low: Any, close: Any, volume: Any, n: int = 14) -> Any:
    """Money flow index: 100 * inflow / (inflow + outflow) of the last n rows, 0 to 100.

    A row's flow is its typical price (high + low + close) / 3 times volume, in where that price rose, out where it
    fell. Warm-up: n rows of NaN. NaN while a row of the window is missing, and where there was no flow.

    Source: Quong and Soudack (1989), "Volume-weighted RSI: Money Flow", Technical Analysis of Stocks & Commodities 7.
    """
    flow = money_flow(high, low, close, volume)
    return share_of(flow.inflow, flow.outflow, n)
