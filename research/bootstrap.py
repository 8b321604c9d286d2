"""Resampling that keeps what neighbouring returns have in common, and the tests of a best strategy built on it."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from data.errors import UsageError
from data.types import Floats

Rows = npt.NDArray[np.int64]


def stationary_rows(count: int, length: float, draws: int, seed: int) -> Rows:
    """(draws, count) row numbers of stationary bootstrap samples: blocks of geometric length, wrapped at the end.

    Args:
        length: mean block length in rows, from 1 up.

    Source: Politis, Romano (1994), "The Stationary Bootstrap", Journal of the American Statistical Association 89.
    """
    if count < 2 or draws < 1 or not 1.0 <= length <= count:
        raise UsageError(
            f"a bootstrap needs 2 rows, 1 draw and a block length from 1 to the rows; got {count} rows, {draws} draws, "
            f"length {length}"
        )
    random = np.random.Generator(np.random.PCG64(seed))
    starts = random.integers(0, count, (draws, count))
    fresh = random.random((draws, count)) < 1.0 / length
    fresh[:, 0] = True
    since = np.arange(count) - np.maximum.accumulate(np.where(fresh, np.arange(count), 0), axis=1)
    origin = np.take_along_axis(starts, np.arange(count) - since, axis=1)
    return np.asarray((origin + since) % count)


@dataclass(frozen=True)
class BestOfMany:
    """p-values for: the best of these strategies is no better than the benchmark.

    reality_check: White (2000). spa: Hansen (2005), consistent; lower and upper bounds beside it.
    best: column of the highest mean.
    """

    best: int
    reality_check: float
    spa: float
    spa_lower: float
    spa_upper: float


def best_of_many(excess: Floats, *, length: float = 10.0, draws: int = 2_000, seed: int = 0) -> BestOfMany:
    """White's reality check and Hansen's test for superior predictive ability, by the stationary bootstrap.

    Args:
        excess: (T, N) returns of N strategies over the benchmark (over zero: their returns).
        length: mean block length. draws, seed: of the bootstrap.

    A p-value is the share of resampled maxima at or above the observed one. SPA studentises each strategy and does not
    let hopeless ones raise the bar: their means are recentred only where they are above
    -sqrt(w**2 / T * 2 log log T).

    Sources: White (2000), "A Reality Check for Data Snooping", Econometrica 68(5); Hansen (2005), "A Test for Superior
    Predictive Ability", Journal of Business & Economic Statistics 23(4).
    """
    table = np.asarray(excess, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise UsageError(f"excess returns must be a (T, N) table without NaN, got shape {table.shape}")
    count = len(table)
    rows = stationary_rows(count, length, draws, seed)
    mean = table.mean(axis=0)
    resampled = np.stack([table[r].mean(axis=0) for r in rows])
    deviation = np.sqrt(count) * resampled.std(axis=0)
    alive = deviation > 1e-14
    if not alive.any():
        raise UsageError("no strategy has returns that vary; there is nothing to test")
    scale = np.where(alive, deviation, 1.0)

    observed = sqrt(count) * mean.max()
    maxima = sqrt(count) * (resampled - mean).max(axis=1)
    studentised = max(0.0, float((sqrt(count) * mean / scale)[alive].max()))
    threshold = -scale * sqrt(2.0 * log(log(max(count, 3))) / count)

    def spa(centre: Any) -> float:
        top = (sqrt(count) * (resampled - centre) / scale)[:, alive].max(axis=1)
        return float((np.maximum(top, 0.0) >= studentised).mean())

    return BestOfMany(
        best=int(mean.argmax()),
        reality_check=float((maxima >= observed).mean()),
        spa=spa(np.where(mean >= threshold, mean, 0.0)),
        spa_lower=spa(np.maximum(mean, 0.0)),
        spa_upper=spa(mean),
    )


def sharpe_interval(
    returns: Floats,
    *,
    periods: float,
    length: float = 10.0,
    draws: int = 2_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """(low, high) of the annualised Sharpe ratio: quantiles over stationary bootstrap samples.

    Args:
        returns: (T,). periods: returns a year. confidence: mass between the two, split evenly.
    """
    sample = np.asarray(returns, dtype=np.float64)[stationary_rows(len(returns), length, draws, seed)]
    deviation = sample.std(axis=1, ddof=1)
    ratios = np.divide(sample.mean(axis=1), deviation, out=np.zeros(draws), where=deviation > 0.0) * sqrt(periods)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(ratios, [tail, 1.0 - tail])
    return float(low), float(high)


def drawdown_band(
    returns: Floats, *, length: float = 10.0, draws: int = 2_000, seed: int = 0, quantile: float = 0.95
) -> float:
    """The drawdown that resampled histories of these returns exceed in 1 - `quantile` of the cases; at most 0."""
    sample = np.asarray(returns, dtype=np.float64)[stationary_rows(len(returns), length, draws, seed)]
    value = np.cumprod(1.0 + sample, axis=1)
    peak = np.maximum(np.maximum.accumulate(value, axis=1), 1.0)
    return float(np.quantile((value / peak - 1.0).min(axis=1), 1.0 - quantile))
