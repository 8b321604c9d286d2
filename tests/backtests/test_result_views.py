"""A result as notebooks use it: every view exists under the names of the field, and draws what the arrays say."""

import inspect
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from backtests.engine import run_backtest
from backtests.plots_panels import PANELS
from backtests.result import Result
from data.errors import UsageError
from data.sources import sample
from data.sources.random_walk import random_bars
from strategies.common.rule import Rule
from strategies.types import Signals

FIGURES = ("plot", "plot_trades", "plot_months", "plot_rolling", "plot_returns", "plot_costs", "plot_excursions")


def never(bars):
    """No signal at all."""
    nothing = np.zeros(bars.shape, dtype=bool)
    return Signals(entries=nothing, exits=nothing)


@pytest.fixture(scope="module")
def result():
    return run_backtest(sample.load(("AAPL", "IBM", "MSFT"), 20040101, 20071231), "ma_cross", rule=Rule(size=0.3))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_names_are_those_of_the_field(result):
    for name in ("stats", "plot", "save", "load", "report", "value", "judge"):
        assert callable(getattr(result, name))
    assert list(result.stats().index[:3]) == ["Start", "End", "Period"]
    assert {"PnL", "Return", "Entry Timestamp", "MAE", "MFE"} <= set(result.trades.records_readable.columns)
    assert type(result.portfolio).__name__ == "Portfolio"
    assert result.portfolio.value().to_numpy() == pytest.approx(result.value().to_numpy(), rel=1e-9)
    assert result.value().index.tz is not None
    assert {"half_spread", "slippage", "impact", "fee"} <= set(result.orders_frame.columns)


def test_every_public_view_is_documented():
    views = {name: each for name, each in vars(Result).items() if not name.startswith("_")}
    for name, each in views.items():
        made = getattr(each, "func", None) or getattr(each, "fget", None) or each
        if callable(made) or isinstance(each, staticmethod):
            assert inspect.getdoc(made), name
    for name in FIGURES:
        assert f"{name}(" in Result.__doc__


def test_panels_are_vectorbts_subplots(result):
    import vectorbt as vbt

    assert list(PANELS) == [name for name in vbt.Portfolio.subplots if name in PANELS]
    assert set(PANELS) == set(vbt.Portfolio.subplots)


@pytest.mark.parametrize("name", list(PANELS))
def test_a_panel_draws(result, name):
    figure = result.plot(name)
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == name.replace("_", " ")
    assert axes.lines or axes.collections
    figure.canvas.draw()


def test_a_panel_shows_the_array_it_names(result):
    rows, drawn = result.plot("cash").axes[0].lines[0].get_data()
    np.testing.assert_array_equal(drawn, result.cash[np.asarray(rows, dtype=int)])
    gross = result.plot("gross_exposure").axes[0].lines[0].get_ydata()
    assert max(gross) == pytest.approx(100 * result.metrics["max_gross_exposure"], rel=1e-9)


def test_panels_share_their_rows(result):
    figure = result.plot("value", "underwater", "cash")
    assert len(figure.axes) == 3
    with pytest.raises(UsageError, match="there is no panel 'vlaue'; did you mean 'value'"):
        result.plot("vlaue")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_draws(result, name):
    figure = getattr(result, name)()
    figure.canvas.draw()
    assert all(axes.has_data() for axes in figure.axes)


def test_a_run_of_nothing_draws_too():
    bars, _ = random_bars(200, 2, 3, "1d")
    idle = run_backtest(bars, never)
    idle.plot(*PANELS).canvas.draw()
    for name in ("plot", "plot_trades", "plot_months", "plot_returns", "plot_costs", "plot_excursions"):
        getattr(idle, name)().canvas.draw()


def test_too_few_sessions_for_a_window_say_so():
    bars, _ = random_bars(30, 1, 3, "1d")
    with pytest.raises(UsageError, match="30 sessions are too few"):
        run_backtest(bars, never).plot_rolling()


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)


def test_a_cell_shows_numbers_and_a_drawing(result):
    text = result._repr_html_()
    assert f"{100 * result.metrics['total_return']:+.2f}" in text.replace("\u2212", "-")
    tags = Tags(text).tags
    assert tags.count("path") == 3
    assert "script" not in tags


@pytest.mark.parametrize("rows", [1, 2, 300])
def test_a_cell_shows_hostile_names_as_text(rows):
    evil = "<img src=x onerror=alert(1)>"
    bars, _ = random_bars(rows, (evil, "<b>B"), 3, "1d")

    def signals(bars, *, mode=evil):
        return never(bars)

    signals.__name__ = evil
    text = run_backtest(bars, signals, clock="1d")._repr_html_()
    assert "img" not in Tags(text).tags
    assert "b" not in [tag for tag in Tags(text).tags if tag == "img"]
    assert "&lt;img" in text
