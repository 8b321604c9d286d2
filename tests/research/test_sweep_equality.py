"""Every number of every set of a sweep is its backtest's, to the last bit; and vectorbt's where the meanings meet."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from backtests.engine import run_backtest
from data.errors import DataError
from data.sources.random_walk import random_bars
from data.types import Bars
from research.fused import LONG_NAMES, NAMES, Fused
from research.sweep import sweep
from strategies.common.costs import Costs
from strategies.common.load import load_strategy
from strategies.common.rule import Rule
from strategies.indicators import crossed_above, sma
from strategies.types import Signals


def markets():
    """The awkward markets that the backtests are tested with."""
    path = Path(__file__).resolve().parent.parent / "backtests" / "conftest.py"
    spec = importlib.util.spec_from_file_location("backtests_conftest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MARKETS = markets()


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


def assert_equal(numbers, result, where):
    for short, long, value in zip(NAMES, LONG_NAMES, numbers, strict=True):
        expected = result.metrics[long]
        assert same(float(value), float(expected)), f"{where}: {short} is {value!r}, the backtest's {expected!r}"


@pytest.mark.parametrize("seed", range(0, 160, 8))
def test_numbers_of_random_signals_rules_and_costs_are_the_backtests(seed):
    for each in range(seed, seed + 8):
        bars, book, signals = MARKETS.random_market(each, rows=700 if each % 3 == 0 else None)
        rule, costs, cash = MARKETS.random_options(each)
        try:
            result = run_backtest(bars, _fixed(signals), book=book, rule=rule, costs=costs, cash=cash, clock="30m")
        except DataError:
            continue  # a market of one row may lack a price
        fused = Fused(bars, book, rule, costs, cash, "30m")
        assert_equal(fused.run(signals, fused.work())[0], result, f"market {each}")


def _fixed(signals):
    def given(bars, book):
        return signals

    return given


GRIDS = {
    "ma_cross": {"fast": [2, 5, 9], "slow": [4, 20, 33]},
    "momentum": {"fast": [5, 20], "flag": [3, 8], "stop_atr": [0.5, 2.5], "surge": [0.5]},
    "mean_reversion": {"n": [10, 30], "stretch": [1.0, 2.0], "calm": [40.0, 90.0]},
    "opening_range": {"minutes": [5.0, 30.0], "reward": [0.5, 2.0], "surge": [0.3]},
    "order_flow": {"span": [2, 5], "push": [0.2, 1.0], "lean": [0.0, 0.15]},
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("shorts", [False, True])
def test_every_set_of_a_strategy_is_its_backtest(name, shorts):
    strategy = load_strategy(name)
    bars, book = random_bars(2_500, 3, seed=11, clock="5m", gaps=True)
    rule = strategy.rule.changed({"shorts": shorts, "max_positions": 2})
    result = sweep(strategy, bars, book=book, grid=GRIDS[name], rule=rule, threads=2)
    traded = 0
    for values, numbers in zip(result.sets, result.numbers, strict=True):
        params = dict(zip(result.names, values, strict=True))
        expected = run_backtest(bars, strategy, params, book=book, rule=rule)
        traded += len(expected.fills)
        assert_equal(numbers[0], expected, f"{name} {params}")
    assert traded > 0, "this market tells nothing"


def test_symbols_apart_are_backtests_of_one_symbol():
    bars, _ = random_bars(1_500, 3, seed=5, clock="1d", gaps=True)
    result = sweep("ma_cross", bars, grid={"fast": [3, 10], "slow": [20, 30]}, apart=True)
    assert result.frame.index.names == ["fast", "slow", "symbol"]
    for values, numbers in zip(result.sets, result.numbers, strict=True):
        for j, symbol in enumerate(bars.symbols):
            expected = run_backtest(bars.pick([j]), "ma_cross", dict(zip(result.names, values, strict=True)))
            assert_equal(numbers[j], expected, f"{values} {symbol}")


def test_threads_and_budget_do_not_change_a_bit():
    bars, _ = random_bars(3_000, 2, seed=3, clock="1d")
    grid = {"fast": "2:20:3", "slow": "20:60:10"}
    wide = sweep("ma_cross", bars, grid=grid, threads=1, budget_mb=500)
    tight = sweep("ma_cross", bars, grid=grid, threads=3, budget_mb=2)
    assert wide.numbers.tobytes() == tight.numbers.tobytes()


def means(bars, *, fast: int = 10, slow: int = 20):
    one, other = sma(bars.close, fast), sma(bars.close, slow)
    return Signals(entries=crossed_above(one, other), exits=crossed_above(other, one))


def test_total_return_drawdown_sharpe_and_trades_are_vectorbts():
    import pandas as pd
    import vectorbt as vbt

    rows, _ = random_bars(3_000, 1, seed=2, clock="1d")
    opening = np.vstack([rows.close[:1], rows.close[:-1]])
    high, low = np.maximum(opening, rows.close), np.minimum(opening, rows.close)
    bars = Bars(rows.symbols, rows.ts, opening, high, low, rows.close, rows.volume, rows.session, rows.since_open,
                rows.to_close)  # fmt: skip
    # All of the cash goes in, in millionths of shares: vectorbt is told our quantities' rule by its own size type.
    rule = Rule(size=0.5, max_gross=10.0, fractional=True)
    result = sweep(means, bars, grid={"fast": "5:50:5", "slow": "5:50:5"}, constraint="fast < slow", rule=rule,
                   costs=Costs.free())  # fmt: skip
    index = pd.DatetimeIndex(bars.ts, tz="UTC")
    for values, numbers in zip(result.sets, result.numbers[:, 0], strict=True):
        run = run_backtest(bars, means, dict(zip(result.names, values, strict=True)), Costs.free(), rule=rule)
        size = np.zeros(len(bars))
        size[run.fills["filled"]] = run.fills["quantity"]
        book = vbt.Portfolio.from_orders(
            pd.Series(bars.close[:, 0], index), size, price=bars.open[:, 0], init_cash=100_000.0, freq="1D"
        )
        assert abs(book.total_return() - numbers[0]) <= 1e-9
        assert abs(book.max_drawdown() - numbers[4]) <= 1e-9
        assert book.trades.count() == numbers[5]
        assert abs(book.sharpe_ratio(year_freq="252D") - numbers[2]) <= 1e-9
