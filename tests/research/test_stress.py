"""Stress questions: each changes one thing, and the answer is what that thing must give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backtests.cost_parts import break_even_cost, capacity, cost_curve
from backtests.engine import run_backtest
from backtests.result import Result
from data.errors import UsageError
from data.sources.random_walk import random_bars
from research import stress
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from strategies.indicators import ema
from strategies.types import Bars, Signals


def follow(bars: Bars, *, span: int = 10) -> Signals:
    mean = ema(bars.close, span)
    return Signals(entries=bars.close > mean, exits=bars.close < mean)


def foresight(bars: Bars, *, rows: int = 1) -> Signals:
    """Knows the next row: an edge of exactly one row, for the delay to kill."""
    ahead = np.full_like(bars.close, np.nan)
    ahead[:-2] = bars.close[2:] - bars.open[1:-1]
    return Signals(entries=ahead > 0.0, exits=ahead < 0.0)


def blind(bars: Bars, *, every: int = 7) -> Signals:
    """Goes by the last digits of the volume, which know nothing."""
    lot = bars.volume / 100.0
    return Signals(entries=lot % every == 0.0, exits=lot % every == 1.0)


@pytest.fixture(scope="module")
def run() -> Result:
    bars, book = random_bars(12_000, 3, 5)
    return run_backtest(bars, follow, book=book, rule=Rule(size=0.3))


@pytest.fixture(scope="module")
def seer() -> Result:
    bars, _ = random_bars(12_000, 2, 6)
    return run_backtest(bars, foresight, costs=Costs.free(), rule=Rule(size=0.4))


def test_the_run_itself_comes_back_unchanged(run: Result) -> None:
    again = stress.figures(run)
    assert again.total_return == run.metrics["total_return"]
    assert again.sharpe == run.metrics["session_sharpe_ratio"]
    assert again.fills == len(run.fills)


def test_costs_only_take(run: Result) -> None:
    curve = cost_curve(run, (0.0, 1.0, 2.0, 3.0))
    assert curve[1] == (1.0, run.metrics["total_return"])
    totals = [total for _, total in curve]
    assert totals == sorted(totals, reverse=True)


def test_break_even_is_where_the_return_is_gone(seer: Result) -> None:
    costly = replace(seer, costs=Costs(half_spread_bps=0.05, slippage_bps=0.0, impact_bps=0.0, use_book=False))
    factor = break_even_cost(costly, highest=4096.0)
    assert 0.0 < factor < 4096.0
    assert stress.figures(costly, costs=costly.costs.scaled(factor * 0.97)).total_return > 0.0
    assert stress.figures(costly, costs=costly.costs.scaled(factor * 1.03)).total_return < 0.0
    assert break_even_cost(seer) == float("inf")


def test_an_edge_of_one_row_dies_by_a_delay(seer: Result) -> None:
    assert stress.figures(seer).sharpe > 10.0
    assert abs(stress.delayed(seer, 3).sharpe) < 0.3 * stress.figures(seer).sharpe
    with pytest.raises(UsageError, match="a delay must be from 1"):
        stress.delayed(seer, 0)


def test_random_entries_tell_an_edge_from_none(run: Result, seer: Result) -> None:
    assert stress.random_entries(seer, draws=60, seed=1).p_value == pytest.approx(1 / 61)
    guess = run_backtest(run.bars, blind, costs=Costs.free(), rule=run.rule)
    assert 0.02 < stress.random_entries(guess, draws=60, seed=1).p_value < 0.98
    null = stress.random_entries(run, draws=5, seed=1)
    assert np.array_equal(null.sharpes, stress.random_entries(run, draws=5, seed=1).sharpes)


def test_each_symbol_is_left_out_once(run: Result) -> None:
    lines = stress.without_symbols(run)
    assert [line.name for line in lines] == ["without S0", "without S1", "without S2"]
    alone = run_backtest(run.bars.pick([0]), follow, rule=run.rule)
    assert stress.without_symbols(alone) == []


def test_the_best_sessions_are_the_ones_taken_away(run: Result) -> None:
    own = stress.figures(run)
    left = stress.without_best_sessions(run, 3)
    kept = np.sort(own.returns)[:-3]
    assert left.total_return == pytest.approx(np.prod(1.0 + kept) - 1.0)
    assert left.total_return <= own.total_return


def test_capacity_is_the_cash_at_which_the_share_is_met(run: Result) -> None:
    cash = capacity(run, 0.01)
    fills = run.fills
    taken = np.abs(fills["quantity"]) / run.bars.volume[fills["filled"], fills["column"]]
    assert cash == pytest.approx(run.start_cash * 0.01 / np.quantile(taken, 0.95))
    assert capacity(run, 0.05) == pytest.approx(5.0 * cash)
    with pytest.raises(UsageError, match="must lie between 0 and 1, got 5"):
        capacity(run, 5)


def test_regimes_cover_every_session_that_has_a_past(run: Result) -> None:
    lines = {line.name: line.fills for line in stress.by_regime(run)}
    sessions = len(np.unique(run.bars.session))
    assert lines["calm"] + lines["usual"] + lines["wild"] == sessions - 2
    assert lines["after a rise"] + lines["after a fall"] == sessions - 2
