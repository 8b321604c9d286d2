"""Bands hold what they say: resampled histories around the equity, and every order of the trades ends alike."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from backtests.engine import run_backtest
from backtests.result import Result
from data.errors import UsageError
from data.sources.random_walk import random_bars
from research.bands import block_bands, trade_orders
from research.plots import bands_figure
from research.sweep import sweep


@pytest.fixture(scope="module")
def result() -> Result:
    return run_backtest(random_bars(900, 2, seed=9, clock="1d")[0], "ma_cross", {"fast": 5, "slow": 20})


def drawdown(fractions: list[float]) -> float:
    value, peak, deepest = 1.0, 1.0, 0.0
    for fraction in fractions:
        value *= 1.0 + fraction
        peak = max(peak, value)
        deepest = min(deepest, value / peak - 1.0)
    return deepest


def test_few_trades_are_all_their_orders() -> None:
    bars, _ = random_bars(160, 1, seed=12, clock="1d")
    result = run_backtest(bars, "ma_cross", {"fast": 5, "slow": 12})
    closed = result.trades.closed
    assert 3 <= len(closed) <= 6
    fractions = [float(t["pnl"]) / float(result.equity[t["entry_row"]]) for t in np.sort(closed, order="exit_row")]
    every = sorted(drawdown(list(order)) for order in permutations(fractions))
    found = trade_orders(result, draws=4_000, seed=1)
    assert found.trades == len(closed)
    assert found.own == pytest.approx(drawdown(fractions))
    assert set(np.round(found.drawdowns, 12)) == set(np.round(every, 12))
    assert found.drawdowns.mean() == pytest.approx(np.mean(every), rel=0.05)
    assert found.deeper == pytest.approx(np.mean(np.array(every) < found.own - 1e-15), abs=0.04)


def test_orders_are_seeded_sorted_and_need_two_trades(result: Result) -> None:
    one, two = trade_orders(result, draws=50, seed=4), trade_orders(result, draws=50, seed=4)
    assert one.drawdowns.tobytes() == two.drawdowns.tobytes()
    assert (np.diff(one.drawdowns) >= 0.0).all()
    assert one.drawdowns[0] <= one.limit <= one.drawdowns[-1] <= 0.0
    bars, _ = random_bars(12, 1, seed=1, clock="1d")
    with pytest.raises(UsageError, match="need 2 closed trades and 1 draw, got 0 trades"):
        trade_orders(run_backtest(bars, "ma_cross"))


def test_nine_of_ten_histories_lie_in_the_band() -> None:
    """Histories drawn from the same chances end within the band about as often as it says."""
    random = np.random.Generator(np.random.PCG64(3))
    band = block_bands(random.normal(0.0005, 0.01, 400), length=1.0, draws=2_000, seed=1)
    assert band.shape == (3, 400)
    assert (np.diff(band, axis=0) > 0.0).all()
    returns = random.normal(0.0005, 0.01, 400)
    own = block_bands(returns, length=1.0, draws=4_000, seed=1)[:, -1]
    spread, middle = 1.645 * np.log1p(returns).std() * 20.0, np.log1p(returns).sum()
    want = np.expm1([middle - spread, middle, middle + spread])
    np.testing.assert_allclose(own, want, atol=0.03)


def test_the_figure_draws_both(result: Result) -> None:
    table = sweep("ma_cross", result.bars, grid={"fast": [5], "slow": [20]}, returns="session").table()
    bands, orders = block_bands(table.returns[:, 0], draws=100), trade_orders(result, draws=80)
    left, right = bands_figure(table, bands, orders).axes
    (line,) = [one for one in left.lines if one.get_label() == "as it was"]
    np.testing.assert_allclose(line.get_ydata(), 100.0 * (np.cumprod(1.0 + table.returns[:, 0]) - 1.0))
    assert sum(bar.get_height() for bar in right.patches) == 80
    assert f"{orders.trades} trades in other orders" in right.get_title(loc="left")
    assert "fewer than two" in bands_figure(table, bands, None).axes[1].get_title(loc="left")
