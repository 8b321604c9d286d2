"""vectorbt as judge: it values our orders as we do, and its own simulation agrees where the meanings meet."""

import numpy as np
import pytest

from backtests.engine import run_backtest
from backtests.stats import TITLES
from data.calendar import periods_per_year
from data.sources.random_walk import random_bars
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from strategies.types import Signals


def from_seed(made, seed):
    """A result on a random market, whatever the rule."""
    bars, book, signals = made.random_market(seed, rows=110)
    rule, costs, cash = made.random_options(seed)
    return run_backtest(bars, lambda bars: signals, book=book, rule=rule, costs=costs, cash=cash, clock="30m")


@pytest.mark.parametrize("seed", range(40))
def test_equity_and_trades_equal_vectorbts_valuation_of_the_same_orders(made, seed):
    judged = from_seed(made, seed).judge()
    assert judged["equity"] <= 1e-9
    assert judged["trades"] == judged["vectorbt_trades"]
    assert judged["trade_returns"] <= 1e-9


def fixed_size(shares, cash):
    """A `size` that buys so many shares as long as equity stays within a few percent of `cash`."""
    return lambda close: (shares + 0.5) * close / cash


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shorts", [False, True])
@pytest.mark.parametrize("slippage_bps", [0.0, 7.0])
def test_own_simulation_equals_vectorbts_from_signals(seed, shorts, slippage_bps):
    import pandas as pd
    import vectorbt as vbt

    bars, _ = random_bars(800, 2, seed=seed, clock="1d")
    r = np.random.default_rng(seed)
    entries, exits, short_entries, short_exits = (r.random(bars.shape) < 0.05 for _ in range(4))
    entries, short_entries = entries & ~exits & ~short_entries, short_entries & ~short_exits & ~entries
    exits, short_exits = exits & ~short_entries, short_exits & ~entries  # a reversal is one wish, not two
    if not shorts:
        short_entries, short_exits = np.zeros_like(entries), np.zeros_like(entries)
    cash, shares = 1_000_000.0, 10.0

    def signals(bars):
        size = fixed_size(shares, cash)(bars.close)
        return Signals(entries, exits, short_entries, short_exits, size=size)

    costs = Costs(0.0, False, slippage_bps, 0.0, 0.0, 0.0, False)
    ours = run_backtest(bars, signals, costs=costs, cash=cash, rule=Rule(shorts=shorts))

    def later(flags):
        return pd.DataFrame(np.vstack([np.zeros((1, 2), dtype=bool), flags[:-1]]))

    theirs = vbt.Portfolio.from_signals(
        pd.DataFrame(bars.close),
        entries=later(entries), exits=later(exits),
        short_entries=later(short_entries), short_exits=later(short_exits),
        price=pd.DataFrame(bars.open), size=shares, slippage=slippage_bps / 1e4,
        upon_opposite_entry="reverse", init_cash=cash, cash_sharing=True, group_by=True, freq="1D",
    )  # fmt: skip
    assert len(ours.trades) > 30
    assert (ours.fills["quantity"] % shares == 0.0).all()
    np.testing.assert_allclose(ours.equity, theirs.value().to_numpy().ravel(), rtol=1e-12)
    records = theirs.exit_trades.values
    records = records[np.lexsort((records["entry_idx"], records["col"]))]
    mine = ours.trades.records
    mine = mine[np.lexsort((mine["entry_row"], mine["column"]))]
    for name, other in (("column", "col"), ("entry_row", "entry_idx"), ("exit_row", "exit_idx")):
        assert mine[name].tolist() == records[other].tolist()
    np.testing.assert_allclose(mine["return"], records["return"], rtol=1e-9, atol=1e-12)


def test_stats_equal_vectorbts_but_for_the_year_and_the_clock():
    bars, book = random_bars(1_500, 2, seed=3, clock="1d")
    result = run_backtest(bars, "ma_cross", book=book, rule=Rule(size=0.4), params={"fast": 5, "slow": 20})
    ours, theirs = result.stats(), result.portfolio.stats()
    assert list(ours.index) == list(TITLES)
    assert list(ours.index[:28]) == list(theirs.index)
    year = np.sqrt(365.0 / periods_per_year("1d"))
    for title in theirs.index:
        if title in ("Start", "End"):
            assert ours[title] == theirs[title]
        elif title in ("Sharpe Ratio", "Sortino Ratio"):
            assert ours[title] * year == pytest.approx(theirs[title], rel=1e-9), title
        elif title == "Calmar Ratio":
            growth = 1.0 + ours["Total Return [%]"] / 100.0
            ratio = (growth ** (365.0 / len(bars)) - 1.0) / (growth ** (252.0 / len(bars)) - 1.0)
            assert ours[title] * ratio == pytest.approx(theirs[title], rel=1e-9)
        elif "Duration" not in title and title != "Period":  # calendar time here, rows times the clock there
            assert ours[title] == pytest.approx(theirs[title], rel=1e-9), title


def test_several_orders_of_a_symbol_in_one_row_stay_several(made):
    # The entry fills at the open of row 1, the stop at 95 is met in the same row.
    bars = made.bars_of(
        [100.0, 96.0, 97.0], opening=[100.0, 100.0, 96.0], high=[100.0, 101.0, 97.0], low=[100.0, 94.0, 96.0]
    )
    entries = np.array([[True], [False], [False]])

    def signals(bars):
        return Signals(entries, ~entries, stop=np.full(bars.shape, 5.0))

    result = run_backtest(bars, signals, costs=Costs.free(), rule=Rule(stops="touch", size=0.5))
    assert result.fills["filled"].tolist() == [1, 1]
    assert result.fills["price"].tolist() == [100.0, 95.0]
    assert result.portfolio.orders.count() == 2
    assert result.judge()["equity"] <= 1e-12
    assert result.equity.tolist() == [100_000.0, 97_500.0, 97_500.0]


def test_a_run_without_orders_is_judged_too(made):
    bars = made.bars_of(np.linspace(10.0, 11.0, 30))
    nothing = np.zeros(bars.shape, dtype=bool)
    result = run_backtest(bars, lambda bars: Signals(nothing, nothing))
    judged = result.judge()
    assert (judged["equity"], judged["trades"], judged["vectorbt_trades"]) == (0.0, 0, 0)
    assert len(result.stats()) == len(TITLES)
