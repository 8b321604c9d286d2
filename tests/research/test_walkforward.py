"""Walk-forward and CPCV choose on one side and judge on the other; the table they read equals the backtests."""

from __future__ import annotations

import numpy as np
import pytest

from backtests.engine import run_backtest
from data.errors import UsageError
from data.sources.random_walk import random_bars
from research.table import Table, full_grid, neighbourhood, steps, table_of
from research.walkforward import combinatorial_test, plateau, walk_forward_test
from strategies.common.load import load_strategy


def made(returns: np.ndarray, sets: list[dict[str, object]] | None = None) -> Table:
    count = returns.shape[1]
    sets = sets or [{"n": k} for k in range(count)]
    return Table(tuple(sets), returns, np.arange(20200101, 20200101 + len(returns)), np.full(count, 10), 0)


def noise(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(0.0, 0.01, (rows, columns))


def test_every_column_is_the_backtest_of_its_set() -> None:
    bars, book = random_bars(3_000, 2, 4)
    strategy = load_strategy("mean_reversion")
    sets = neighbourhood(strategy, most=6)
    table = table_of(strategy, bars, sets, book=book)
    for number, values in enumerate(sets):
        result = run_backtest(bars, strategy, values, book=book)
        ends = np.flatnonzero(np.diff(bars.session, append=0))
        equity = np.concatenate([[result.start_cash], result.equity[ends]])
        assert np.array_equal(table.returns[:, number], equity[1:] / equity[:-1] - 1.0)
        assert table.fills[number] == len(result.fills)


def test_the_time_held_is_counted_in_session_ends() -> None:
    bars, _ = random_bars(800, 1, 4, "1d")
    table = table_of("ma_cross", bars, [{"fast": 3, "slow": 9}])
    result = run_backtest(bars, "ma_cross", {"fast": 3, "slow": 9})
    held = (result.positions[:, 0] != 0.0).astype(int)
    longest, run = 0, 0
    for flag in held:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    assert table.held == longest > 1
    intraday, book = random_bars(3_000, 1, 4)
    assert table_of("momentum", intraday, [{}], book=book).held == 0


def test_the_neighbourhood_keeps_types_and_ranges() -> None:
    strategy = load_strategy("momentum")
    sets = neighbourhood(strategy, most=50)
    assert sets[0] == strategy.bind()
    assert len({tuple(s.items()) for s in sets}) == len(sets) == 50
    for values in sets:
        assert strategy.bind(values) == values
    fast = next(p for p in strategy.parameters if p.name == "fast")
    assert steps(fast, 20) == [10, 15, 20, 25, 30]
    assert steps(fast, 2) == [2, 3]
    assert len(full_grid(load_strategy("ma_cross"), {"fast": [5, 10], "slow": [20, 40, 80]})) == 6
    with pytest.raises(UsageError, match="no parameter set"):
        table_of("ma_cross", random_bars(50, 1, 1)[0], [])


def test_walk_forward_takes_the_best_of_the_past_and_what_followed() -> None:
    returns = noise(120, 3, 1)
    returns[:60, 1] += 0.01
    returns[60:, 2] += 0.01
    found = walk_forward_test(made(returns), 2, purge=0)
    assert [f.chosen for f in found.folds] == [1, 1]
    assert np.array_equal(found.returns, np.concatenate([returns[40:80, 1], returns[80:, 1]]))
    assert found.folds[0].first == 20200141
    anchored = walk_forward_test(made(returns), 2, anchored=True, purge=0)
    assert len(anchored.returns) == 80


def test_a_real_edge_survives_and_luck_does_not() -> None:
    real = noise(300, 10, 2)
    real[:, 3] += 0.003
    assert walk_forward_test(made(real), 5).efficiency > 0.5
    assert (combinatorial_test(made(real)).sharpes > 0.0).all()
    lucky = [walk_forward_test(made(noise(300, 10, seed)), 5).efficiency for seed in range(20)]
    assert abs(np.mean(lucky)) < 0.4


def test_no_session_of_a_path_was_seen_by_its_choice() -> None:
    # A set that is the best exactly where it is tested can only be chosen by who saw the test.
    returns = noise(80, 8, 5)
    for k in range(8):
        returns[k * 10 : (k + 1) * 10, k] += 0.05
    paths = combinatorial_test(made(returns), 8, 1, purge=0, embargo=0)
    assert paths.returns.shape == (1, 80)
    assert paths.returns.max() < 0.04


def test_a_plateau_is_told_from_a_peak() -> None:
    base = noise(250, 1, 7)[:, 0]
    sets = [{"n": 10}, {"n": 5}, {"n": 15}, {"n": 20}]
    flat = np.column_stack([base + 0.01, base + 0.0098, base + 0.0098, base])
    peak = np.column_stack([base + 0.01, base, base, base])
    assert plateau(made(flat, sets)).score > 0.9
    assert plateau(made(peak, sets)).score < 0.5
    assert plateau(made(flat, sets)).neighbours == 2
    assert not plateau(made(flat, sets)).edge
    assert plateau(made(flat[:, [3, 1, 2, 0]], sets)).edge
