"""Figures of sweeps and evidence: what is drawn are the numbers, every axis says its unit, nothing is left behind."""

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt

from backtests.cost_parts import break_even_cost, cost_curve
from backtests.engine import run_backtest
from data.door import call
from data.errors import UsageError
from data.sources.random_walk import random_bars
from research import plots, stress
from research.__main__ import app
from research.sweep import sweep
from research.table import full_grid, table_of
from research.validate import validate
from research.walkforward import combinatorial_test, walk_forward_test
from strategies.common.load import load_strategy
from strategies.indicators import crossed_above, ema, sma
from strategies.types import Signals

PNG = b"\x89PNG\r\n"


def means(bars, *, fast: int = 10, slow: int = 20, share: float = 0.5):
    one, other = ema(bars.close, fast), sma(bars.close, slow)
    return Signals(entries=crossed_above(one, other), exits=crossed_above(other, one), size=share)


@pytest.fixture(scope="module")
def bars():
    return random_bars(700, 2, seed=9, clock="1d")[0]


@pytest.fixture(scope="module")
def found(bars):
    return sweep(means, bars, grid={"fast": "2:10:2", "slow": "6:24:6"}, constraint="fast < slow")


@pytest.fixture(scope="module")
def result(bars):
    return run_backtest(bars, load_strategy("ma_cross"), {"fast": 5, "slow": 20})


@pytest.fixture(scope="module")
def table(bars):
    strategy = load_strategy("ma_cross")
    return table_of(strategy, bars, full_grid(strategy, {"fast": [5, 8, 12], "slow": [20, 30, 40]}))


@pytest.fixture(autouse=True)
def nothing_left_behind():
    before = dict(plt.rcParams)
    yield
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


def line(axes, label):
    (one,) = [drawn for drawn in axes.lines if drawn.get_label() == label]
    return one


def heights(axes):
    return {group.get_label(): [bar.get_height() for bar in group] for group in axes.containers}


def renders(figure):
    assert figure._repr_png_().startswith(PNG)
    return all(axes.get_ylabel() for axes in figure.axes)


# the surface


def test_a_heatmap_is_the_surface_with_its_best_and_its_plateau(found):
    figure = plots.heatmap_figure(found)
    axes, bar = figure.axes
    surface = found.surface("fast", "slow").to_numpy()
    mesh = axes.collections[0].get_array()
    np.testing.assert_array_equal(np.ma.filled(mesh, np.nan), surface)
    best = found.best().params
    star = line(axes, "best")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (best["fast"] / 2 - 0.5, best["slow"] / 6 - 0.5)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "4", "6", "8", "10"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("fast", "slow")
    assert bar.get_ylabel() == "Sharpe ratio a year"
    assert f"best {found.best().numbers['sharpe']:.2f}" in axes.get_title(loc="left")
    (outline,) = [drawn for drawn in axes.collections if drawn.get_label() == "plateau"]
    cells = plots.plateau_cells(surface)
    edges = sum(np.abs(np.diff(np.pad(cells, 1).astype(int), axis=axis)).sum() for axis in (0, 1))
    assert len(outline.get_segments()) == edges
    assert renders(figure)


def test_a_heatmap_of_what_should_be_low_marks_the_lowest(found):
    axes = plots.heatmap_figure(found, "slow", "fast", metric="fees").axes[0]
    best = found.best("fees").params
    star = line(axes, "best")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (best["slow"] / 6 - 0.5, best["fast"] / 2 - 0.5)


def test_a_sweep_of_one_parameter_is_a_line_and_of_three_says_what_became_of_the_third(bars, found):
    one = sweep(means, bars, grid={"fast": "2:10:2"})
    (axes,) = plots.heatmap_figure(one, metric="total_return").axes
    assert list(axes.lines[0].get_xdata()) == [2, 4, 6, 8, 10]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), 100.0 * one.column("total_return")[:, 0])
    assert axes.get_ylabel() == "total return, %"
    three = sweep(means, bars, grid={"fast": [2, 4], "slow": [6, 12], "share": [0.2, 0.5]})
    assert plots.heatmap_figure(three).axes[1].get_ylabel() == "Sharpe ratio a year, highest over share"
    apart = sweep(means, bars, grid={"fast": [2, 4], "slow": [12]}, apart=True)
    axes = plots.heatmap_figure(apart, "fast", "symbol").axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(bars.symbols)


def test_a_plateau_is_joined_to_the_best_and_high():
    hill = np.array([[0.0, 0.0, 0.0, 3.0], [0.0, 3.0, 0.0, 0.0], [2.5, 4.0, 1.0, np.nan], [0.0, 0.0, 0.0, 0.0]])
    want = np.zeros((4, 4), bool)
    want[[1, 2, 2], [1, 0, 1]] = True  # 3, 2.5 and 4; half of the lead over the median is 2, the other 3 is not joined
    np.testing.assert_array_equal(plots.plateau_cells(hill), want)
    np.testing.assert_array_equal(plots.plateau_cells(-hill, lower=True), want)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(("fats", "slow"), "'fats' was not swept; did you mean 'fast'"), (("fast", "fast"), "name two parameters")],
)
def test_a_wrong_axis_is_one_sentence(found, names, sentence):
    with pytest.raises(UsageError, match=sentence):
        plots.heatmap_figure(found, *names)


def test_a_family_is_drawn_around_the_chosen_set(table):
    axes = plots.family_figure(table).axes[0]
    drawn = np.ma.filled(axes.collections[0].get_array(), np.nan)
    np.testing.assert_array_equal(drawn, table.sharpes().reshape(3, 3).T)
    ring = line(axes, "chosen")
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (0.5, 0.5)
    single = table_of(load_strategy("ma_cross"), random_bars(60, 1, seed=1, clock="1d")[0], [{}])
    with pytest.raises(UsageError, match="differ in no parameter"):
        plots.family_figure(single)


# evidence


@pytest.mark.parametrize("folds", [2, 5, 9])
def test_folds_show_inside_outside_and_the_unseen_equity(table, folds):
    done = walk_forward_test(table, folds)
    figure = plots.folds_figure(table, done)
    top, bottom = figure.axes
    assert heights(top) == {
        "inside: where it was chosen": [fold.inside for fold in done.folds],
        "outside: on the sessions after": [fold.outside for fold in done.folds],
    }
    equity = line(bottom, "stitched, unseen by each choice").get_ydata()
    np.testing.assert_allclose(equity, 100.0 * (np.cumprod(1.0 + done.returns) - 1.0))
    assert renders(figure)


def test_the_fan_has_every_path_and_their_ratios(table):
    done = combinatorial_test(table)
    figure = plots.paths_figure(table, done)
    left, right = figure.axes
    drawn = [one.get_ydata() for one in left.lines[: len(done.sharpes)]]
    np.testing.assert_allclose(drawn, 100.0 * (np.cumprod(1.0 + done.returns, axis=1) - 1.0))
    middle = line(left, "middle of the paths").get_ydata()
    np.testing.assert_allclose(middle, np.median(drawn, axis=0))
    np.testing.assert_array_equal(right.collections[0].get_offsets()[:, 1], np.sort(done.sharpes))
    assert line(right, "chosen set").get_ydata()[0] == table.sharpes()[0]
    assert renders(figure)


def test_the_null_holds_every_draw_and_marks_the_strategy(result):
    null = stress.random_entries(result, draws=60, seed=1)
    figure = plots.null_figure(null)
    (axes,) = figure.axes
    assert sum(patch.get_height() for patch in axes.patches) == 60
    assert line(axes, f"the strategy, {null.own:.2f}").get_xdata()[0] == null.own
    assert f"p = {null.p_value:.3f}" in axes.get_title(loc="left")
    assert renders(figure)


# stress


def test_the_cost_curve_meets_zero_at_the_break_even(bars):
    free = run_backtest(bars, load_strategy("ma_cross"), {"fast": 3, "slow": 9})
    limit = break_even_cost(free)
    figure = plots.costs_figure(free)
    (axes,) = figure.axes
    curve = line(axes, "total return")
    factors, returns = curve.get_xdata(), curve.get_ydata()
    assert 1.0 in factors
    np.testing.assert_array_equal(returns, [100.0 * total for _, total in cost_curve(free, tuple(factors))])
    if 0.0 < limit < np.inf:
        assert line(axes, f"break-even, x{limit:.2f}").get_xdata()[0] == limit
        assert np.interp(limit, factors, returns) == pytest.approx(0.0, abs=1.0)
    assert renders(figure)


@pytest.mark.parametrize(
    ("limit", "words"), [(0.0, "lost without any"), (np.inf, "even 64 times"), (2.5, "nothing is left at 2.50 times")]
)
def test_the_cost_curve_says_where_it_ends(result, monkeypatch, limit, words):
    monkeypatch.setattr("research.plots_stress.break_even_cost", lambda _: limit)
    (axes,) = plots.costs_figure(result).axes
    assert words in axes.get_title(loc="left")
    assert [one.get_xdata()[0] for one in axes.lines if "break-even" in str(one.get_label())] == [2.5][: limit == 2.5]


def test_the_delay_curve_is_the_run_later_and_later(result):
    figure = plots.delay_figure(result, 3)
    (axes,) = figure.axes
    want = [stress.figures(result).sharpe, *(stress.delayed(result, rows).sharpe for rows in (1, 2, 3))]
    assert list(axes.lines[0].get_ydata()) == want
    assert axes.get_xlabel() == "signals later by, rows of 1d"
    assert renders(figure)
    with pytest.raises(UsageError, match="from 1 to 699 rows, got 0"):
        plots.delay_figure(result, 0)


def test_regimes_are_bars_of_their_ratio(result):
    figure = plots.regimes_figure(result)
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [one.sharpe for one in stress.by_regime(result)]
    assert renders(figure)
    with pytest.raises(UsageError, match="2 sessions are too few"):
        plots.regimes_figure(run_backtest(random_bars(2, 1, seed=1, clock="1d")[0], "ma_cross"))


# files


def test_validate_writes_its_pictures(tmp_path, capsys):
    folder = tmp_path / "deep" / "pictures"
    words = ["validate", "ma_cross", "--start", "2008-01-02", "--sets", "6", "--draws", "20", "--ledger"]
    assert call(app, [*words, str(tmp_path / "one.db"), "--pictures", str(folder), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    names = ["parameters", "walk_forward", "paths", "random_entries", "bands", "costs", "delay", "regimes"]
    assert told["pictures"] == {name: str(folder / f"{name}.png") for name in names}
    assert told["not_drawn"] == {}
    assert all((folder / f"{name}.png").read_bytes().startswith(PNG) for name in names)
    assert call(app, [*words, str(tmp_path / "one.db"), "--pictures", str(folder / "delay.png")]) == 2
    assert "is a file; name a folder" in capsys.readouterr().err


def test_what_cannot_be_drawn_is_left_out_with_the_reason(tmp_path, bars):
    alone = """
from strategies.indicators import ema
from strategies.types import Bars, Signals
CLOCK = "1d"

def signals(bars: Bars) -> Signals:
    mean = ema(bars.close, 5)
    return Signals(entries=bars.close > mean, exits=bars.close < mean)
"""
    (tmp_path / "alone.py").write_text(alone)
    verdict = validate(load_strategy(tmp_path / "alone.py"), bars, draws=20)
    done = plots.write_pictures(verdict, tmp_path / "out")
    assert list(done.left_out) == ["parameters"]
    assert "differ in no parameter" in done.left_out["parameters"]
    rejected = replace(verdict, case=None)
    assert plots.write_pictures(rejected, tmp_path / "none").left_out == {
        "all": "without a certificate there is nothing to draw"
    }
    assert not (tmp_path / "none").exists()
