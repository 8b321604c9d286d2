"""Every statistic a second way: published figures, another derivation, or another library's numbers."""

from __future__ import annotations

import hashlib
from itertools import combinations
from math import e, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from backtests.metrics import moments, psr
from data.errors import UsageError
from data.sources.random_walk import random_bars
from research.bootstrap import best_of_many
from research.deflation import EULER, deflated_sharpe, expected_max_sharpe, minimum_track_record
from research.overfitting import probability_of_overfitting
from research.splits import combinatorial, paths, purged_kfold, require_apart
from research.sweep import sweep
from research.walkforward import walk_forward_test


def noise(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(0.0, 0.01, (rows, columns))


# Sharpe ratios


def test_the_probabilistic_sharpe_ratio_gives_the_published_example() -> None:
    # Bailey, Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier": 24 months, Sharpe 0.458 a month.
    assert psr(0.458, 24, 0.0, 3.0) == pytest.approx(0.982, abs=5e-4)
    assert psr(0.458, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)


@pytest.mark.parametrize(("periods", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
def test_the_minimum_track_record_gives_the_published_table(periods: int, years: float) -> None:
    # The same paper: an annual Sharpe ratio of 2 is above 1 with 95 % after 2.73 years of days, 2.83 of weeks, 3.24 of
    # months, for normal returns.
    needed = minimum_track_record(2.0 / sqrt(periods), 0.0, 3.0, benchmark=1.0 / sqrt(periods))
    assert needed / periods == pytest.approx(years, abs=5e-3)


@given(
    st.floats(-0.3, 0.3), st.integers(30, 3_000), st.floats(-1.5, 1.5), st.floats(5.0, 15.0), st.integers(1, 10_000),
    st.floats(1e-6, 0.01),
)  # fmt: skip
def test_the_deflated_sharpe_ratio_is_the_formula_written_with_scipy(
    sharpe: float, count: int, skewness: float, kurtosis: float, trials: int, variance: float
) -> None:
    bar = 0.0
    if trials > 1:
        bar = variance**0.5 * (
            (1.0 - EULER) * stats.norm.isf(1.0 / trials) + EULER * stats.norm.isf(1.0 / (trials * e))
        )
    spread = 1.0 - skewness * sharpe + 0.25 * (kurtosis - 1.0) * sharpe**2
    want = stats.norm.sf((bar - sharpe) * (count - 1) ** 0.5 / spread**0.5)
    found = deflated_sharpe(sharpe, count, skewness, kurtosis, trials=trials, variance=variance)
    assert found == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("trials", [5, 20, 100, 1_000])
def test_the_expected_best_is_near_the_exact_integral(trials: int) -> None:
    def weighted(z: float) -> float:
        return z * trials * stats.norm.pdf(z) * stats.norm.cdf(z) ** (trials - 1)

    exact, _ = integrate.quad(weighted, -8.0, 8.0)
    assert expected_max_sharpe(trials, 1.0) == pytest.approx(exact, rel=0.03)


def test_a_deflated_sharpe_ratio_is_as_often_high_as_it_may_be() -> None:
    """The best of fifty lucky strategies reaches 95 % rarely; the naive probability reaches it nearly always."""
    high, naive = 0, 0
    for seed in range(150):
        table = noise(250, 50, seed)
        sharpes = table.mean(axis=0) / table.std(axis=0, ddof=1)
        best = int(np.argmax(sharpes))
        skewness, kurtosis = moments(table[:, best])
        found = deflated_sharpe(
            sharpes[best], 250, skewness, kurtosis, trials=50, variance=float(np.var(sharpes, ddof=1))
        )
        high += found > 0.95
        naive += psr(sharpes[best], 250, skewness, kurtosis) > 0.95
    assert high <= 15
    assert naive >= 130


# overfitting


def test_overfitting_equals_a_derivation_from_ranks() -> None:
    """PBO as the paper's text has it: ranks by scipy, halves joined from whole rows, logits counted."""
    for seed in range(4):
        table = noise(330, 7, seed)
        table[:, 1] = table[:, 0]  # twins share a rank
        rows = table[len(table) - 328 :].reshape(8, 41, 7)
        logits = []
        for chosen in combinations(range(8), 4):
            rest = [k for k in range(8) if k not in chosen]
            seen, unseen = np.concatenate(rows[list(chosen)]), np.concatenate(rows[rest])
            best = int(np.argmax(np.round(seen.mean(axis=0) / seen.std(axis=0, ddof=1), 12)))
            ranks = stats.rankdata(np.round(unseen.mean(axis=0) / unseen.std(axis=0, ddof=1), 12))
            logits.append(stats.logistic.ppf(ranks[best] / 8.0))
        found = probability_of_overfitting(table, 8)
        np.testing.assert_allclose(np.sort(found.logits), np.sort(logits), atol=1e-9)
        assert found.probability == np.mean(np.array(logits) <= 1e-12)


# purging


def purged_by_labels(rows: int, test: np.ndarray, held: int) -> np.ndarray:
    """Lopez de Prado (2018), snippet 7.1: drop training labels that begin, end or last over a test label.

    The label of row t spans t to t + held.
    """
    starts, ends = np.arange(rows), np.arange(rows) + held
    first, last = test.min(), test.max() + held
    begins = (first <= starts) & (starts <= last)
    stops = (first <= ends) & (ends <= last)
    lasts = (starts <= first) & (last <= ends)
    return np.flatnonzero(~(begins | stops | lasts))


@given(st.integers(40, 200), st.integers(2, 6), st.integers(0, 6))
def test_purging_is_that_of_overlapping_labels(rows: int, folds: int, held: int) -> None:
    for train, test in purged_kfold(rows, folds, purge=held):
        assert train.tolist() == purged_by_labels(rows, test, held).tolist()


@given(st.integers(60, 200), st.integers(3, 6), st.integers(0, 4))
def test_combinatorial_purging_is_that_of_each_test_stretch(rows: int, groups: int, held: int) -> None:
    for _, (train, test) in combinatorial(rows, groups, 2, purge=held):
        stretches = np.split(test, np.flatnonzero(np.diff(test) > 1) + 1)
        allowed = set(range(rows))
        for stretch in stretches:
            allowed &= set(purged_by_labels(rows, stretch, held).tolist())
        assert train.tolist() == sorted(allowed)


def test_combinatorial_splits_are_skfolios() -> None:
    # skfolio 1.12.2: CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=3, embargo_size=2) on 120 rows, its
    # 15 splits sorted, the SHA-256 of their text; and its number of paths.
    splits = [(train.tolist(), test.tolist()) for _, (train, test) in combinatorial(120, 6, 2, purge=3, embargo=2)]
    text = repr(sorted(splits)).encode()
    assert hashlib.sha256(text).hexdigest() == "16e9aaf0f5c29df12fbaef15c2f76890fce7d8f8882d8d02c55bb0b7209a334c"
    assert len(paths(6, 2)) == 5


# the best of many


def family() -> np.ndarray:
    table = np.random.Generator(np.random.PCG64(5)).normal(0.0, 0.01, (400, 6))
    table[:, 2] += 0.0007
    table[:, 4] -= 0.003
    return table


def test_the_reality_check_is_archs() -> None:
    # arch 8.0.0: SPA(zeros, -returns, block_size=10, reps=40000, bootstrap="stationary"), its upper p-value, which
    # recentres every strategy and divides by no deviation, is White's: 0.0251, known to 0.0008.
    assert best_of_many(family(), length=10.0, draws=20_000, seed=2).reality_check == pytest.approx(0.0251, abs=4e-3)


def test_superior_ability_is_the_definition_drawn_step_by_step() -> None:
    """Hansen (2005) once more: his closed form of the variance, blocks drawn row by row, maxima counted."""
    table, length, draws = family(), 10, 3_000
    rows, mean = len(table), table.mean(axis=0)
    away = table - mean
    variance = (away**2).sum(axis=0) / rows
    for lag in range(1, rows):
        kept = (1.0 - lag / rows) * (1.0 - 1.0 / length) ** lag + lag / rows * (1.0 - 1.0 / length) ** (rows - lag)
        variance += 2.0 * kept * (away[:-lag] * away[lag:]).sum(axis=0) / rows
    deviation = np.sqrt(variance)
    observed = max(0.0, (sqrt(rows) * mean / deviation).max())
    hopeless = mean < -deviation / sqrt(rows) * sqrt(2.0 * log(log(rows)))
    assert hopeless.tolist() == [False, False, False, False, True, False]
    centre = np.where(hopeless, 0.0, mean)
    random, reached = np.random.Generator(np.random.PCG64(11)), 0
    for _ in range(draws):
        picked = np.empty(rows, dtype=int)
        for t, (jump, start) in enumerate(zip(random.random(rows), random.integers(0, rows, rows), strict=True)):
            picked[t] = start if t == 0 or jump < 1.0 / length else (picked[t - 1] + 1) % rows
        reached += max(0.0, (sqrt(rows) * (table[picked].mean(axis=0) - centre) / deviation).max()) >= observed
    found = best_of_many(table, length=length, draws=20_000, seed=2)
    assert found.spa == pytest.approx(reached / draws, abs=8e-3)
    assert 0.005 < found.spa_lower <= found.spa <= found.spa_upper < 0.03


# splits from elsewhere


def test_a_leaking_split_is_named_and_a_clean_one_is_judged() -> None:
    from sklearn.model_selection import KFold, TimeSeriesSplit

    bars, _ = random_bars(600, 1, seed=4, clock="1d")
    table = sweep("ma_cross", bars, grid={"fast": [3, 6], "slow": [12, 24]}, returns="session").table()
    assert table.held > 5
    clean = TimeSeriesSplit(4, gap=10)
    done = walk_forward_test(table, splits=clean.split(table.returns))
    assert [fold.last for fold in done.folds][-1] == int(table.sessions[-1])
    with pytest.raises(UsageError, match=r"split 1 leaks: training row 0 is too near|split 0 leaks: training row"):
        walk_forward_test(table, splits=KFold(4).split(table.returns))
    with pytest.raises(UsageError, match=r"split 0 leaks: training row 110 is too near to a test .*10 such rows with"):
        walk_forward_test(table, splits=TimeSeriesSplit(4, gap=0).split(table.returns), purge=10)


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        ([], "there is no split"),
        ([([], [1])], "split 0 has no training rows"),
        ([([1], [])], "split 0 has no test rows"),
        ([([1], [99])], "split 0 has test rows 99 to 99, but there are 50"),
        ([([1, 2], [30]), ([1, 2, 40], [40, 41])], r"split 1 leaks: row 40 is in both \(1 such rows"),
        ([([20], [10, 11])], None),
    ],
)
def test_splits_that_cannot_be_are_one_sentence(
    splits: list[tuple[list[int], list[int]]], sentence: str | None
) -> None:
    if sentence is None:
        assert len(require_apart(splits, 50, purge=3, embargo=5)) == 1
        with pytest.raises(UsageError, match="too near"):
            require_apart(splits, 50, purge=3, embargo=6)
        return
    with pytest.raises(UsageError, match=sentence):
        require_apart(splits, 50)
