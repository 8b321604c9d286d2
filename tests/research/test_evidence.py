"""The statistics of luck: published values, independent libraries, and what must hold for all inputs."""

from __future__ import annotations

from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.metrics import psr
from data.errors import UsageError
from research.bootstrap import best_of_many, drawdown_band, sharpe_interval, stationary_rows
from research.deflation import deflated_sharpe, expected_max_sharpe, minimum_track_record
from research.overfitting import probability_of_overfitting
from research.splits import combinatorial, group_rows, paths, purged_kfold, walk_forward


def noise(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(0.0, 0.01, (rows, columns))


def test_deflated_sharpe_gives_the_published_example() -> None:
    variance = 0.5 / 250
    assert expected_max_sharpe(100, variance) == pytest.approx(0.1132, abs=5e-5)
    found = deflated_sharpe(2.5 / sqrt(250), 1250, -3.0, 10.0, trials=100, variance=variance)
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_the_expected_maximum_agrees_with_drawing_it() -> None:
    draws = np.random.Generator(np.random.PCG64(3)).normal(0.0, 0.2, (20_000, 50)).max(axis=1)
    assert expected_max_sharpe(50, 0.04) == pytest.approx(draws.mean(), rel=0.02)
    assert expected_max_sharpe(1, 0.04) == 0.0


@pytest.mark.parametrize(("trials", "variance"), [(0, 0.1), (float("nan"), 0.1), (10, -1.0), (10, float("nan"))])
def test_trials_that_cannot_be_are_refused(trials: float, variance: float) -> None:
    with pytest.raises(UsageError):
        expected_max_sharpe(trials, variance)


def test_a_record_of_the_minimum_length_reaches_the_confidence_exactly() -> None:
    # Bailey, Lopez de Prado (2012): the record length is where the probabilistic Sharpe ratio meets the confidence.
    length = minimum_track_record(0.1, -0.72, 5.78, confidence=0.95)
    assert psr(0.1, round(length), -0.72, 5.78) == pytest.approx(0.95, abs=2e-3)
    assert minimum_track_record(0.05, 0.0, 3.0, benchmark=0.05) == float("inf")


@given(st.integers(20, 400), st.integers(1, 8), st.integers(0, 5), st.booleans())
def test_walk_forward_never_trains_on_what_it_judges(rows: int, folds: int, purge: int, anchored: bool) -> None:
    try:
        splits = walk_forward(rows, folds, anchored=anchored, purge=purge)
    except UsageError:
        assert rows // (folds + 1) <= purge
        return
    tests = np.concatenate([s.test for s in splits])
    assert (np.diff(tests) == 1).all()
    assert tests[-1] == rows - 1
    for train, test in splits:
        assert train.max() + purge < test.min()
        assert not anchored or train.min() == 0


@given(st.integers(30, 300), st.integers(2, 6), st.integers(0, 4), st.integers(0, 4))
def test_purged_folds_cover_all_rows_and_keep_their_distance(rows: int, folds: int, purge: int, embargo: int) -> None:
    splits = purged_kfold(rows, folds, purge=purge, embargo=embargo)
    assert (np.concatenate([s.test for s in splits]) == np.arange(rows)).all()
    for train, test in splits:
        before, after = train[train < test.min()], train[train > test.max()]
        assert not len(np.intersect1d(train, test))
        assert not len(before) or test.min() - before.max() > purge
        assert not len(after) or after.min() - test.max() > purge + embargo


@given(st.integers(30, 90), st.integers(3, 6), st.integers(1, 2), st.integers(0, 3), st.integers(0, 3))
def test_combinatorial_splits_equal_their_definition(
    rows: int, groups: int, tests: int, purge: int, embargo: int
) -> None:
    """Row by row: a training row is outside every test stretch and far enough from its beginning and its end."""
    stretches = [set(stretch.tolist()) for stretch in group_rows(rows, groups)]
    assert sorted(set().union(*stretches)) == list(range(rows))
    for chosen, (train, test) in combinatorial(rows, groups, tests, purge=purge, embargo=embargo):
        judged = set().union(*(stretches[k] for k in chosen))
        after = purge + embargo
        allowed = [
            row
            for row in range(rows)
            if row not in judged
            and not any(row < min(stretches[k]) <= row + purge for k in chosen)
            and not any(row - after <= max(stretches[k]) < row for k in chosen)
        ]
        assert train.tolist() == allowed
        assert set(test.tolist()) == judged


def test_a_distance_that_leaves_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(UsageError, match="purge 3 and embargo 2 leave nothing of 24 rows to train on"):
        list(combinatorial(24, 3, 2, purge=3, embargo=2))


def test_there_are_as_many_splits_and_paths_as_the_formula_says() -> None:
    assert len(list(combinatorial(160, 8, 2))) == 28
    assert len(paths(8, 2)) == 7


@pytest.mark.parametrize(("groups", "tests"), [(6, 2), (8, 2), (5, 3), (4, 1)])
def test_paths_use_every_split_once_for_each_group_it_tests(groups: int, tests: int) -> None:
    chosen = list(combinations(range(groups), tests))
    built = paths(groups, tests)
    assert len(built) == len(chosen) * tests // groups
    for group in range(groups):
        used = [path[group] for path in built]
        assert sorted(used) == [n for n, c in enumerate(chosen) if group in c]


def pbo_by_hand(table: np.ndarray, blocks: int) -> float:
    """The definition, slowly."""
    pieces = np.array_split(table, blocks)
    below = []
    for chosen in combinations(range(blocks), blocks // 2):
        seen = np.concatenate([pieces[k] for k in chosen])
        unseen = np.concatenate([pieces[k] for k in range(blocks) if k not in chosen])
        best = int(np.argmax(seen.mean(axis=0) / seen.std(axis=0, ddof=1)))
        score = unseen.mean(axis=0) / unseen.std(axis=0, ddof=1)
        below.append((score < score[best]).sum() + 1 <= (table.shape[1] + 1) / 2)
    return float(np.mean(below))


def test_overfitting_equals_its_definition() -> None:
    for seed in range(5):
        table = noise(240, 9, seed)
        assert probability_of_overfitting(table, 8).probability == pytest.approx(pbo_by_hand(table, 8))


def test_overfitting_is_even_for_noise_and_rare_for_a_real_edge() -> None:
    luck = [probability_of_overfitting(noise(400, 20, seed), 8).probability for seed in range(30)]
    assert 0.35 < np.mean(luck) < 0.65
    real = noise(400, 20, 1)
    real[:, 4] += 0.004
    assert probability_of_overfitting(real, 8).probability < 0.05


@pytest.mark.parametrize(
    ("table", "blocks"),
    [(noise(100, 1), 4), (noise(100, 3), 5), (noise(5, 3), 4), (np.full((100, 3), np.nan), 4)],
)
def test_what_cannot_be_asked_of_overfitting_is_refused(table: np.ndarray, blocks: int) -> None:
    with pytest.raises(UsageError):
        probability_of_overfitting(table, blocks)


def test_stationary_blocks_have_the_length_asked_for() -> None:
    rows = stationary_rows(500, 10.0, 200, 1)
    continued = (np.diff(rows, axis=1) % 500 == 1).mean()
    assert continued == pytest.approx(0.9, abs=0.01)
    assert np.array_equal(rows, stationary_rows(500, 10.0, 200, 1))


def test_the_reality_check_is_uniform_for_noise_and_small_for_an_edge() -> None:
    values = [best_of_many(noise(200, 5, seed), length=1.0, draws=200, seed=seed) for seed in range(60)]
    assert 0.02 < np.mean([v.reality_check < 0.1 for v in values]) < 0.22
    assert 0.02 < np.mean([v.spa < 0.1 for v in values]) < 0.22
    for v in values:
        assert v.spa_lower <= v.spa <= v.spa_upper
    edge = noise(200, 5, 0)
    edge[:, 2] += 0.004
    found = best_of_many(edge, length=1.0, draws=500)
    assert (found.best, found.reality_check < 0.01, found.spa < 0.01) == (2, True, True)


def test_spa_is_not_blunted_by_a_hopeless_strategy() -> None:
    table = noise(300, 3, 2)
    table[:, 0] += 0.0015
    hopeless = np.column_stack([table, noise(300, 20, 3) * 20.0 - 0.05])
    blunt = best_of_many(hopeless, draws=800)
    assert blunt.spa < blunt.reality_check


def test_the_bootstrap_interval_holds_the_true_sharpe_about_as_often_as_it_says() -> None:
    true = 0.05 * sqrt(252)
    held = 0
    for seed in range(100):
        returns = np.random.Generator(np.random.PCG64(seed)).normal(0.0005, 0.01, 500)
        low, high = sharpe_interval(returns, periods=252, length=1.0, draws=300, seed=seed, confidence=0.9)
        held += low <= true <= high
    assert 80 <= held <= 98
    assert drawdown_band(np.full(50, 0.01), draws=10) == 0.0
