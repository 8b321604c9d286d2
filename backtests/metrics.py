"""Numbers of a run: pure functions on arrays, each with its formula and where it comes from.

`returns` are simple returns per row, (T,), the first one against the cash at the start. Rates are fractions. A number
that does not exist (no loss to divide by, too few rows) is NaN, never an error and never a made-up large value.

**Annualising.** `periods` is the rows per year of the exchange calendar, `data.calendar.periods_per_year`: 252
sessions, times 390 for minutes. vectorbt takes the calendar's 365 days of 24 hours, and so shows a Sharpe ratio
sqrt(365 / 252) = 1.20 times ours on daily rows and sqrt(525600 / 98280) = 2.31 times ours on minutes. Returns of
rows, not of sessions, go into the ratios, as in vectorbt; `session_returns` makes the others from them.
"""

from __future__ import annotations

from math import erf, sqrt
from typing import Any

import numpy as np

from data.types import Floats, Ints

nan = float("nan")


def returns_of(equity: Floats, start_cash: float) -> Floats:
    """(T,) equity[t] / equity[t - 1] - 1, the first row against `start_cash`; NaN behind an equity of zero or less."""
    before = np.empty_like(equity)
    before[:1] = start_cash
    before[1:] = equity[:-1]
    if before.min(initial=np.inf) > 0.0:
        return equity / before - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0.0, equity / before - 1.0, nan)


def session_returns(equity: Floats, session: Ints, start_cash: float) -> Floats:
    """(S,) returns from the last row of one session to the last row of the next; sessions are contiguous rows."""
    return returns_of(equity[session_ends(session)], start_cash)


def session_ends(session: Ints) -> Ints:
    """(S,) rows that are the last of their session."""
    if not len(session):
        return np.empty(0, dtype=np.int64)
    return np.append(np.flatnonzero(session[1:] != session[:-1]), len(session) - 1)


def total_return(returns: Floats) -> float:
    """prod(1 + r) - 1."""
    return float(np.prod(1.0 + returns) - 1.0)


def annual_return(returns: Floats, periods: float) -> float:
    """Compound growth per year: prod(1 + r) ** (periods / T) - 1. NaN for no rows, -1 where everything was lost."""
    if not len(returns):
        return nan
    growth = float(np.prod(1.0 + returns))
    return growth ** (periods / len(returns)) - 1.0 if growth > 0.0 else -1.0


def volatility(returns: Floats, periods: float) -> float:
    """Annual deviation: std(r, ddof=1) * sqrt(periods)."""
    return float(np.std(returns, ddof=1)) * sqrt(periods) if len(returns) > 1 else nan


def sharpe_ratio(returns: Floats, periods: float, risk_free: float = 0.0) -> float:
    """mean(r - rf) / std(r - rf, ddof=1) * sqrt(periods).

    Args:
        risk_free: rate per row, fraction.

    Source: Sharpe (1994), "The Sharpe Ratio", Journal of Portfolio Management 21(1).
    """
    if len(returns) < 2:
        return nan
    excess = returns - risk_free
    deviation = float(np.std(excess, ddof=1))
    return float(np.mean(excess)) / deviation * sqrt(periods) if deviation > 0.0 else nan


def sortino_ratio(returns: Floats, periods: float, required: float = 0.0) -> float:
    """mean(r - required) / sqrt(mean(min(r - required, 0) ** 2)) * sqrt(periods), `required` per row.

    Source: Sortino, Price (1994), "Performance Measurement in a Downside Risk Framework", Journal of Investing 3(3).
    """
    if len(returns) < 2:
        return nan
    excess = returns - required
    loss = np.minimum(excess, 0.0)
    downside = sqrt(float(np.mean(loss * loss)))
    return float(np.mean(excess)) / downside * sqrt(periods) if downside > 0.0 else nan


def calmar_ratio(returns: Floats, periods: float) -> float:
    """Annual return over the largest drawdown, over the whole run (Young 1991 takes 36 months).

    Source: Young (1991), "Calmar Ratio: A Smoother Tool", Futures 20(1).
    """
    growth = np.multiply.accumulate(1.0 + returns)
    depth = max_drawdown(growth, 1.0)
    return annual_return(returns, periods) / -depth if depth < 0.0 else nan


def omega_ratio(returns: Floats, required: float = 0.0) -> float:
    """sum(max(r - required, 0)) / sum(max(required - r, 0)), `required` per row; not annualised.

    Source: Keating, Shadwick (2002), "A Universal Performance Measure", Journal of Performance Measurement 6(3).
    """
    excess = returns - required
    loss = -float(np.sum(np.minimum(excess, 0.0)))
    return float(np.sum(np.maximum(excess, 0.0))) / loss if loss > 0.0 else nan


def drawdowns(equity: Floats, start_cash: float) -> Floats:
    """(T,) equity over its highest value so far, less 1; the cash at the start counts as a peak. At most 0."""
    return equity / np.maximum(np.maximum.accumulate(equity), start_cash) - 1.0


def max_drawdown(equity: Floats, start_cash: float) -> float:
    """The deepest of `drawdowns`, a fraction at most 0."""
    return float(np.min(drawdowns(equity, start_cash), initial=0.0))


def longest_drawdown(depths: Floats) -> tuple[int, int]:
    """(first, last): rows of the peak and of the recovery, or of the end, of the longest time under water.

    Peak row -1 stands for the start, before the first row. (0, 0) where equity never fell.

    Args:
        depths: (T,) what `drawdowns` gives.
    """
    peaks = np.flatnonzero(depths >= 0.0)
    edges = np.concatenate([[-1], peaks, [len(depths) - 1]])
    gaps = np.diff(edges)
    # Without a row below the peak between them, two edges are no drawdown.
    gaps = np.where((gaps > 1) | ((np.arange(len(gaps)) == len(gaps) - 1) & (gaps > 0)), gaps, 0)
    longest = int(np.argmax(gaps))
    return (int(edges[longest]), int(edges[longest + 1])) if gaps[longest] > 0 else (0, 0)


def normal_cdf(z: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * (1.0 + erf(z / sqrt(2.0)))


def moments(returns: Floats) -> tuple[float, float]:
    """(skewness, kurtosis) of the sample, not corrected for its size; a normal distribution has (0, 3)."""
    if len(returns) < 2:
        return nan, nan
    centred = returns - np.mean(returns)
    square = centred * centred
    variance = float(np.mean(square))
    if not variance > 0.0:
        return nan, nan
    return float(np.mean(square * centred)) / variance**1.5, float(np.mean(square * square)) / variance**2


def probabilistic_sharpe_ratio(returns: Floats, benchmark: float = 0.0) -> float:
    """The probability that the true Sharpe ratio is above `benchmark`, both per row and not annualised.

    Phi((SR - SR*) * sqrt(T - 1) / sqrt(1 - g3 * SR + (g4 - 1) / 4 * SR ** 2)), g3 and g4 skewness and kurtosis.

    Source: Bailey, Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2).
    """
    skewness, kurtosis = moments(returns)
    return psr(sharpe_ratio(returns, 1.0), len(returns), skewness, kurtosis, benchmark)


def psr(sharpe: float, count: int, skewness: float, kurtosis: float, benchmark: float = 0.0) -> float:
    """`probabilistic_sharpe_ratio` from a Sharpe ratio per row and the moments of its `count` returns."""
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not variance > 0.0 or count < 2:
        return nan
    return normal_cdf((sharpe - benchmark) * sqrt(count - 1) / sqrt(variance))


def value_at_risk(returns: Floats, cutoff: float = 0.05) -> float:
    """Historical value at risk: the `cutoff` quantile of the returns, interpolated linearly; a loss is negative."""
    return float(np.quantile(returns, cutoff)) if len(returns) else nan


def conditional_value_at_risk(returns: Floats, cutoff: float = 0.05) -> float:
    """Mean of the worst returns: the floor((T - 1) * cutoff) + 1 lowest; a loss is negative.

    Source: Rockafellar, Uryasev (2000), "Optimization of Conditional Value-at-Risk", Journal of Risk 2(3).
    """
    if not len(returns):
        return nan
    place = int((len(returns) - 1) * cutoff)
    return float(np.mean(np.partition(returns, place)[: place + 1]))


def marks_of(close: Floats) -> Floats:
    """(T, N) closes with the last known one where a row has none; before the first known one, that one."""
    known = np.isfinite(close)
    if known.all():
        return close
    rows = np.where(known, np.arange(len(close))[:, None], np.argmax(known, axis=0))
    return np.take_along_axis(close, np.maximum.accumulate(rows, axis=0), axis=0)


def gross_exposure(positions: Floats, marks: Floats, equity: Floats) -> Floats:
    """(T,) notional of all positions, longs and shorts added, over equity."""
    gross = np.abs(positions[:, 0] * marks[:, 0])
    for j in range(1, positions.shape[1]):
        gross += np.abs(positions[:, j] * marks[:, j])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(equity > 0.0, gross / equity, nan) if equity.min() <= 0.0 else gross / equity


def time_in_market(positions: Floats) -> float:
    """Share of rows with a position in any symbol."""
    return float(np.mean(np.any(positions != 0.0, axis=1)))


def turnover(traded: float, equity: Floats, years: float) -> float:
    """Portfolio turned over per year: half of the value bought and sold, over mean equity, over years.

    Half, because a position that is opened and left turns the portfolio once.
    """
    mean = float(np.mean(equity))
    return 0.5 * traded / mean / years if mean > 0.0 and years > 0.0 else nan


def benchmark_return(close: Floats) -> float:
    """Return of equal parts of all symbols, bought at their first close and held to their last; no costs."""
    growth: list[Any] = []
    for j in range(close.shape[1]):
        known = close[:, j][np.isfinite(close[:, j])]
        growth.append(known[-1] / known[0] if len(known) else 1.0)
    return float(np.mean(growth)) - 1.0


def profit_factor(pnl: Floats) -> float:
    """Sum of the winning trades' pnl over that of the losing ones, a positive number."""
    loss = -float(np.sum(pnl[pnl < 0.0]))
    return float(np.sum(pnl[pnl > 0.0])) / loss if loss > 0.0 else nan


def mean_or_nan(values: Floats) -> float:
    """The mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else nan


def longest_run(flags: Any) -> int:
    """The most consecutive True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, dtype=np.int8), [0]])))
    return int(np.max(edges[1::2] - edges[::2], initial=0))
