"""Session returns that a sweep keeps are its backtests', to the last bit, and serve every test of luck."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from backtests.engine import run_backtest
from backtests.metrics import longest_run, session_ends, session_returns
from data.errors import DataError, UsageError
from data.sources.random_walk import random_bars
from research.bootstrap import best_of_many
from research.fused import NAMES, Fused
from research.overfitting import probability_of_overfitting
from research.sessions import EXTRAS
from research.sweep import sweep
from research.table import table_of
from research.walkforward import walk_forward_test


def neighbour(name):
    """Another test module of this folder, whatever else is called `tests` on this machine."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"neighbour_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EQUALITY = neighbour("test_sweep_equality")
GRIDS, MARKETS = EQUALITY.GRIDS, EQUALITY.MARKETS


def held(result):
    ends = session_ends(result.bars.session)
    sides = np.sign(result.positions[ends])
    return max(max(longest_run(side > 0), longest_run(side < 0)) for side in sides.T)


@pytest.mark.parametrize("seed", range(0, 120, 12))
def test_session_equity_of_random_runs_is_the_backtests(seed):
    for each in range(seed, seed + 12):
        bars, book, signals = MARKETS.random_market(each, rows=700 if each % 3 == 0 else None)
        rule, costs, cash = MARKETS.random_options(each)

        try:
            result = run_backtest(
                bars, EQUALITY._fixed(signals), book=book, rule=rule, costs=costs, cash=cash, clock="30m"
            )
        except DataError:
            continue  # a market of one row may lack a price
        fused = Fused(bars, book, rule, costs, cash, "30m", sessions=True)
        (row,) = fused.run(signals, fused.work())
        want = result.equity[session_ends(bars.session)]
        assert row[len(NAMES) : -EXTRAS].tobytes() == want.tobytes(), f"market {each}"
        assert row[-EXTRAS:].tolist() == [held(result), len(result.fills)], f"market {each}"
        plain = Fused(bars, book, rule, costs, cash, "30m")
        assert plain.run(signals, plain.work())[0].tobytes() == row[: len(NAMES)].tobytes()


@pytest.mark.parametrize("name", GRIDS)
def test_returns_of_every_set_are_the_backtests(name):
    bars, book = random_bars(2_500, 3, seed=11, clock="5m", gaps=True)
    result = sweep(name, bars, book=book, grid=GRIDS[name], threads=2, returns="session")
    table = result.table()
    assert table.returns.shape == (len(np.unique(bars.session)), len(result))
    for number, values in enumerate(result.sets):
        run = run_backtest(bars, name, dict(zip(result.names, values, strict=True)), book=book)
        want = session_returns(run.equity, bars.session, run.start_cash)
        assert result.returns[number, 0].tobytes() == want.tobytes()
        assert table.returns[:, number].tobytes() == want.tobytes()
        assert table.sets[number] == dict(run.params)
        assert table.fills[number] == len(run.fills)
    assert result.numbers.tobytes() == sweep(name, bars, book=book, grid=GRIDS[name]).numbers.tobytes()


def test_what_asks_for_luck_reads_the_sweep_and_nothing_runs_twice():
    bars, _ = random_bars(900, 2, seed=4, clock="1d")
    grid = {"fast": "3:9:3", "slow": "12:36:12"}
    table = sweep("ma_cross", bars, grid=grid, returns="session").table()
    again = table_of("ma_cross", bars, table.sets)
    assert table.returns.tobytes(order="F") == again.returns.tobytes(order="F")
    assert (table.held, table.sets) == (again.held, again.sets)
    assert 0.0 <= probability_of_overfitting(table.returns, 8).probability <= 1.0
    assert 0.0 < best_of_many(table.returns, draws=100).spa <= 1.0
    assert len(walk_forward_test(table).folds) == 5


def test_accounts_apart_and_searches_that_draw_keep_returns_too():
    bars, _ = random_bars(600, 2, seed=4, clock="1d")
    apart = sweep("ma_cross", bars, grid={"fast": [3, 6], "slow": [12]}, apart=True, returns="session")
    one = run_backtest(bars.pick([1]), "ma_cross", {"fast": 6, "slow": 12})
    assert apart.table(bars.symbols[1]).returns[:, 1].tobytes() == one.returns.tobytes()
    with pytest.raises(UsageError, match="the accounts are apart; name one of S0, S1, got None"):
        apart.table()
    drawn = sweep("ma_cross", bars, grid={"fast": "2..9", "slow": "10..40"}, search="tpe", trials=9, returns="session")
    for values, returns in zip(drawn.sets, drawn.returns[:, 0], strict=True):
        run = run_backtest(bars, "ma_cross", dict(zip(drawn.names, values, strict=True)))
        assert returns.tobytes() == run.returns.tobytes()


def test_returns_stay_within_the_budget_or_are_refused():
    bars, _ = random_bars(2_000, 1, seed=4, clock="1d")
    grid = {"fast": "2:60", "slow": "61:160"}
    with pytest.raises(UsageError, match=r"session returns of 5,900 sets over 2,000 sessions take 181 MB.*budget_mb"):
        sweep("ma_cross", bars, grid=grid, returns="session", budget_mb=64)
    with pytest.raises(UsageError, match="returns must be 'session' or None, got 'daily'"):
        sweep("ma_cross", bars, grid=grid, returns="daily")
    with pytest.raises(UsageError, match="a resumed file holds no session returns"):
        sweep("ma_cross", bars, grid=grid, returns="session", resume="x.parquet")
    with pytest.raises(UsageError, match="kept no session returns; ask for them"):
        sweep("ma_cross", bars, grid={"fast": [3]}).table()


def test_a_market_that_eats_all_cash_has_returns_of_nothing():
    bars, _ = random_bars(40, 1, seed=4, clock="1d")
    result = sweep("ma_cross", bars, grid={"fast": [2], "slow": [39]}, returns="session")
    assert not math.isnan(result.returns.sum())
    assert result.returns.sum() == 0.0
