"""Results shared between sets: found again by what went in, let go within the budget, and never written into."""

import numpy as np
import pytest

from backtests.engine import run_backtest
from data.sources.random_walk import random_bars
from research.cache import Shared
from research.fused import LONG_NAMES
from research.sweep import sweep
from strategies.common.load import load_strategy
from strategies.indicators import bollinger, crossed_above, ema, lag, sma
from strategies.types import Signals


@pytest.fixture(scope="module")
def market():
    return random_bars(1_000, 2, seed=3, clock="1d")


@pytest.fixture
def shared(market):
    return Shared(*market, 10_000_000)


def test_the_same_step_parameters_and_input_give_the_same_array(market, shared):
    bars, book = market
    with shared:
        one = sma(bars.close, 10)
        assert sma(bars.close, 10) is one
        assert sma(bars.close, n=10) is one
        assert sma(bars.close, 11) is not one
        assert sma(bars.open, 10) is not one
        assert ema(book.imbalance, 10) is ema(book.imbalance, 10)
        assert bollinger(bars.close, 20) is bollinger(bars.close, 20)
        assert crossed_above(bars.close, 50.0) is crossed_above(bars.close, 50.0)
        assert crossed_above(bars.close, 50.0) is not crossed_above(bars.close, 51.0)
    assert np.array_equal(one, sma(bars.close, 10), equal_nan=True)


def test_results_of_results_and_views_of_columns_are_known(market, shared):
    bars, _ = market
    with shared:
        mean = sma(bars.close, 10)
        assert lag(mean, 1) is lag(mean, 1)
        assert sma(bars.close[:, :1], 10) is sma(bars.close[:, :1], 10)
        assert sma(bars.close[:, 1:], 10) is not sma(bars.close[:, :1], 10)
        assert sma(bars.close[::-1], 10) is not sma(bars.close, 10)


def test_an_input_equal_to_the_last_bit_is_the_same_and_a_nearly_equal_one_is_not(market, shared):
    bars, _ = market
    with shared:
        for _ in range(3):
            sma(bars.close - 1.0, 10)
        found = sma(bars.close - 1.0, 10)
        assert sma(bars.close - 1.0, 10) is found
        near = bars.close - 1.0
        near[501, 1] = np.nextafter(near[501, 1], 1e9)
        assert sma(near, 10) is not found
        near[501, 1] = (bars.close - 1.0)[501, 1]
        assert sma(near, 10) is found


def test_a_result_let_go_takes_its_number_with_it(market):
    bars, _ = market
    shared = Shared(bars, None, 200_000)
    with shared:
        for n in range(2, 60):
            expected = None
            for _ in range(2):
                got = lag(sma(bars.close, n), 1)
                assert expected is None or np.array_equal(got, expected, equal_nan=True)
                expected = got
            assert shared.nbytes <= 200_000 + 16_000
    for n in (2, 30, 59):
        whole = lag(sma(bars.close, n), 1)
        with shared:
            assert np.array_equal(lag(sma(bars.close, n), 1), whole, equal_nan=True)


def test_outside_the_block_nothing_is_shared_and_errors_leave_it(market, shared):
    bars, _ = market
    with pytest.raises(Exception, match="n must be at least 1"), shared:
        sma(bars.close, 0)
    assert sma(bars.close, 10) is not sma(bars.close, 10)
    assert sma(bars.close, 10).flags.writeable


def test_a_strategy_may_write_into_what_an_indicator_gave_it(market):
    bars, _ = market

    def writes(bars, *, n: int = 5, cut: int = 0):
        mean = sma(bars.close, n)
        mean[: n + cut] = np.nan
        return Signals(entries=crossed_above(bars.close, mean), exits=crossed_above(mean, bars.close))

    result = sweep(writes, bars, grid={"n": [5, 10], "cut": [0, 100, 300]})
    for values, numbers in zip(result.sets, result.numbers[:, 0], strict=True):
        expected = run_backtest(bars, writes, dict(zip(result.names, values, strict=True))).metrics
        assert [expected[name] for name in LONG_NAMES] == list(numbers)


def test_a_strategy_may_not_write_into_the_rows(market):
    bars, _ = market

    def writes(bars, *, n: int = 5):
        bars.close[0] = n
        return Signals(entries=bars.close > n, exits=bars.close < n)

    with pytest.raises(ValueError, match="read-only"):
        sweep(writes, bars, grid={"n": [5, 10]})


def test_sets_share_what_they_have_in_common(market):
    from research.fused import Fused
    from research.sweep_run import Runner
    from strategies.common.costs import Costs

    bars, _ = market
    momentum = load_strategy("momentum")
    fused = Fused(bars, None, momentum.rule, Costs(), 1e5, "1d")
    runner = Runner(momentum, bars, None, ("surge",), momentum.bind({}), fused, budget=50_000_000, threads=1)
    runner.prepare((1.0,))
    once = runner.shared.misses
    for surge in np.linspace(0.5, 2.0, 40):
        runner.run_set((float(surge),))
    assert runner.shared.misses == once
