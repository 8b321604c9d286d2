"""How much of a Sharpe ratio is luck: probabilistic, deflated, and the record length that would convince.

Sharpe ratios here are per period (one return), not annualised, unless a name says otherwise. Kurtosis is Pearson's:
3 for a normal distribution.
"""

from __future__ import annotations

from math import e, isfinite, sqrt
from statistics import NormalDist

from backtests.metrics import psr
from data.errors import DataError, UsageError

EULER = 0.5772156649015329
_NORMAL = NormalDist()


def expected_max_sharpe(trials: float, variance: float) -> float:
    """The Sharpe ratio that the best of `trials` strategies without any skill is expected to show.

    sqrt(V) * ((1 - g) * Z(1 - 1/N) + g * Z(1 - 1/(N e))), Z the normal quantile, g Euler's constant.

    Args:
        trials: N, independent trials, at least 1; one trial expects 0.
        variance: V, of the trials' Sharpe ratios (per period).

    Source: Bailey, Lopez de Prado (2014), "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5), eq. 1.
    """
    if trials < 1 or not isfinite(trials):
        raise UsageError(f"trials must be a number from 1 up, got {trials!r}; count every set that was evaluated")
    if variance < 0 or not isfinite(variance):
        raise UsageError(f"the variance of the trials' Sharpe ratios must be 0 or more, got {variance!r}")
    if trials == 1:
        return 0.0
    highest = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    beyond = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * e))
    return sqrt(variance) * ((1.0 - EULER) * highest + EULER * beyond)


def deflated_sharpe(
    sharpe: float, count: int, skewness: float, kurtosis: float, *, trials: float, variance: float
) -> float:
    """The probability that the true Sharpe ratio is above what the best of `trials` lucky ones would show.

    `psr` against `expected_max_sharpe`: below 0.95 the winner of a search is not told apart from luck.

    Args:
        sharpe: of the chosen strategy, per period, from `count` returns with these moments.
        trials, variance: of all strategies that were tried, see `expected_max_sharpe`.

    Source: Bailey, Lopez de Prado (2014), eq. 2; their example (SR 2.5 a year of 250 days, 1,250 returns, skewness -3,
    kurtosis 10, 100 trials with variance 1/2 a year) gives 0.9004 and is held by a test.
    """
    return float(psr(sharpe, count, skewness, kurtosis, expected_max_sharpe(trials, variance)))


def minimum_track_record(
    sharpe: float, skewness: float, kurtosis: float, *, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    """Returns needed before a Sharpe ratio this high is above `benchmark` with `confidence`; infinite if it is not.

    1 + (1 - skew * SR + (kurt - 1) / 4 * SR**2) * (Z(confidence) / (SR - benchmark))**2

    Source: Bailey, Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2), eq. 11.
    """
    if not 0.5 < confidence < 1.0:
        raise UsageError(f"confidence must lie between 0.5 and 1, got {confidence!r}")
    if sharpe <= benchmark:
        return float("inf")
    spread = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if spread <= 0.0:
        raise DataError(
            f"Sharpe {sharpe:.3g} with skewness {skewness:.3g} and kurtosis {kurtosis:.3g} cannot be of one sample; "
            f"check that all three are per period"
        )
    return 1.0 + spread * (_NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2
