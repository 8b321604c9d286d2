"""The call that users make: what it takes, what it gives, and what it says to bad input."""

import math

import numpy as np
import pytest

from backtests.engine import as_strategy, clock_of, run_backtest
from backtests.stats import TITLES
from data.errors import DataError, StrategyError, UsageError
from data.sources.random_walk import random_bars
from data.types import Book
from strategies.common.costs import Costs
from strategies.common.load import load_strategy
from strategies.common.rule import Rule
from strategies.types import Signals


@pytest.fixture(scope="module")
def market():
    return random_bars(900, 2, seed=4)


def never(bars):
    return Signals(np.zeros(bars.shape, dtype=bool), np.zeros(bars.shape, dtype=bool))


def first_row(bars, *, size: float = 0.5):
    entries = np.zeros(bars.shape, dtype=bool)
    entries[0] = True
    return Signals(entries, ~entries & False, size=np.full(bars.shape, size))


def test_a_decision_at_the_close_is_filled_at_the_next_open(made):
    bars = made.bars_of([10.0, 12.0, 13.0], opening=[10.0, 11.0, 12.5])
    result = run_backtest(bars, first_row, costs=Costs.free(), cash=100.0)
    (order,) = result.orders
    assert (order["decided"], order["filled"], order["price"], order["quantity"]) == (0, 1, 11.0, 5.0)
    # 100, then 45 and 5 shares at 12, then at 13
    assert result.equity.tolist() == [100.0, 105.0, 110.0]
    assert result.cash.tolist() == [100.0, 45.0, 45.0]
    assert result.positions[:, 0].tolist() == [0.0, 5.0, 5.0]


def test_costs_are_paid_and_counted(made):
    bars = made.bars_of([10.0, 10.0, 10.0, 10.0])
    entries = np.array([[True], [False], [False], [False]])
    exits = np.array([[False], [True], [False], [False]])
    costs = Costs(half_spread_bps=5.0, slippage_bps=5.0, impact_bps=0.0, commission_per_share=0.01, regulatory=False)
    rule = Rule(size=0.5)
    result = run_backtest(bars, lambda bars: Signals(entries, exits), costs=costs, cash=1_000.0, rule=rule)
    # 50 shares at 10.01 and 9.99: 1 dollar of slippage and 2 x 0.5 of commission
    assert result.fills["price"] == pytest.approx([10.01, 9.99])
    assert result.metrics["total_slippage_paid"] == pytest.approx(1.0)
    assert result.metrics["total_fees_paid"] == pytest.approx(1.0)
    assert result.equity[-1] == pytest.approx(998.0)
    assert result.metrics["costs_of_value_traded"] == pytest.approx(2.0 / 1_000.0)


def test_name_path_strategy_and_function_are_the_same_run(market, checkout):
    bars, book = market
    runs = [
        run_backtest(bars, strategy, book=book)
        for strategy in (
            "momentum",
            checkout / "strategies" / "momentum.py",
            str(checkout / "strategies" / "momentum.py"),
            load_strategy("momentum"),
        )
    ]
    assert len({run.equity.tobytes() for run in runs}) == 1
    assert len({run.source_hash for run in runs}) == 1
    function = run_backtest(bars, load_strategy("momentum").signals, book=book, rule=load_strategy("momentum").rule)
    assert function.equity.tobytes() == runs[0].equity.tobytes()


def test_a_function_brings_its_parameters(made):
    bars = made.bars_of([10.0, 12.0, 13.0])
    assert as_strategy(first_row).bind() == {"size": 0.5}
    result = run_backtest(bars, first_row, {"size": "0.25"}, Costs.free(), cash=1_000.0)
    assert dict(result.params) == {"size": 0.25}
    assert result.orders["quantity"].tolist() == [25.0]
    assert result.strategy == "first_row"
    assert len(result.source_hash) == 64


def test_the_same_call_gives_the_same_bits(market):
    bars, book = market
    one, other = (run_backtest(bars, "order_flow", book=book) for _ in range(2))
    assert one.equity.tobytes() == other.equity.tobytes()
    assert one.orders.tobytes() == other.orders.tobytes()


def test_no_book_means_no_entry_that_asks_for_one(market):
    assert len(run_backtest(market[0], "order_flow").orders) == 0


def test_the_clock_is_read_off_the_rows(market):
    assert clock_of(market[0]) == "1m"
    assert clock_of(random_bars(30, 1, clock="5m")[0]) == "5m"
    daily = random_bars(30, 1, clock="1d")[0]
    assert clock_of(daily) == "1d"
    assert clock_of(daily.rows(0, 1), "5m") == "5m"
    assert run_backtest(daily, never).clock == "1d"
    with pytest.raises(UsageError, match="give clock="):
        clock_of(daily.rows(0, 1))


def test_a_daily_run_stays_overnight_and_a_minute_run_does_not(market):
    bars, _ = market
    assert (run_backtest(bars, first_row).positions[-1] == 0.0).all()
    assert (run_backtest(random_bars(50, 1, clock="1d")[0], first_row).positions[-1] != 0.0).all()


def replaced(bars, **columns):
    values = {name: np.array(getattr(bars, name)) for name in ("open", "high", "low", "close", "volume", "ts")}
    for name, (at, value) in columns.items():
        values[name][at] = value
    fields = {name: getattr(bars, name) for name in ("symbols", "session", "since_open", "to_close")}
    return type(bars)(**values, **fields)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"close": ((5, 1), np.nan)}, "S1 has open"),
        ({"open": ((5, 0), np.nan)}, "S0 has open nan at 2010-01-04 14:36 UTC (row 5)"),
        ({"low": ((5, 0), -1.0)}, "S0 has low -1 at"),
        ({"high": ((5, 0), np.inf)}, "S0 has high inf"),
        ({"high": ((5, 0), 0.5)}, "has high 0.5, low"),
        ({"volume": ((5, 0), -1.0)}, "volume -1"),
        ({"ts": (5, 0)}, "times must increase"),
    ],
)
def test_rows_that_cannot_be_are_refused_by_place(market, columns, says):
    with pytest.raises(DataError) as error:
        run_backtest(replaced(market[0], **columns), never)
    assert says in str(error.value)


def test_a_symbol_without_any_price_is_refused(market):
    bars = market[0]
    nothing = {name: (slice(None), 1) for name in ("open", "high", "low", "close")}
    with pytest.raises(DataError, match="S1 has no price on any of 900 rows"):
        run_backtest(replaced(bars, **{name: ((at), np.nan) for name, at in nothing.items()}), never)


def test_doubled_times_are_refused(market):
    bars = market[0]
    with pytest.raises(DataError, match=r"row 6 is at .* sort and drop doubles"):
        run_backtest(replaced(bars, ts=(6, bars.ts[5])), never)


def test_an_empty_range_is_refused(market):
    with pytest.raises(DataError, match="0 rows of 2 symbols"):
        run_backtest(market[0].rows(0, 0), never)


def test_a_book_beside_other_rows_is_refused(market):
    with pytest.raises(DataError, match="both need the same rows and symbols"):
        run_backtest(market[0], never, book=market[1].rows(0, 10))
    with pytest.raises(DataError, match="both need the same rows and symbols"):
        run_backtest(market[0], never, book=Book.absent(900, ["S0", "X"]))


@pytest.mark.parametrize("cash", [0.0, -1.0, math.nan, math.inf, True])
def test_cash_must_be_money(market, cash):
    with pytest.raises(UsageError, match="cash must be a positive number of dollars"):
        run_backtest(market[0], never, cash=cash)


def test_mistakes_of_the_user_have_their_names(market):
    bars = market[0]
    with pytest.raises(UsageError, match="did you mean 'momentum'"):
        run_backtest(bars, "momentm")
    with pytest.raises(UsageError, match="did you mean 'size'"):
        run_backtest(bars, first_row, {"sise": 1})
    with pytest.raises(UsageError, match="'size' must be float"):
        run_backtest(bars, first_row, {"size": "much"})
    with pytest.raises(UsageError, match="a strategy is a name, a path or a function"):
        run_backtest(bars, 3)
    with pytest.raises(UsageError, match="is not a clock; write '1m'"):
        run_backtest(bars, never, clock="1Min")
    with pytest.raises(StrategyError, match="expected signals"):
        run_backtest(bars, lambda prices: prices)
    with pytest.raises(StrategyError, match=r"returned ndarray, expected Signals"):
        run_backtest(bars, lambda bars: bars.close)
    with pytest.raises(StrategyError, match="entries has dtype float64, expected bool"):
        run_backtest(bars, lambda bars: Signals(bars.close, bars.close))


def test_one_row_and_a_lost_account_still_give_numbers(made):
    bars = made.bars_of([10.0])
    result = run_backtest(bars, never, clock="1d")
    assert result.stats()["Total Return [%]"] == 0.0
    assert len(result.summary().splitlines()) == 8
    # ten times the equity, and the price halves: equity is -400 of 100
    crash = made.bars_of([10.0, 10.0, 5.0, 5.0])
    rule = Rule(size=10.0, max_gross=10.0)
    lost = run_backtest(crash, first_row, {"size": 10.0}, Costs.free(), cash=100.0, rule=rule)
    assert lost.equity[-1] == -400.0
    assert lost.metrics["annual_return"] == -1.0
    assert lost.metrics["total_return"] == -5.0
    assert len(lost.stats()) == len(TITLES)


def test_result_views(market):
    bars, book = market
    result = run_backtest(bars, "momentum", book=book, origin={"source": "random walk", "simulated": True})
    assert result.equity_frame.shape == (900, 4)
    assert str(result.equity_frame.index.tz) == "UTC"
    assert list(result.positions_frame.columns) == ["S0", "S1"]
    orders = result.orders_frame
    assert len(orders) == len(result.orders)
    assert set(orders["side"]) <= {"buy", "sell"}
    assert "SIMULATED, random walk" in result.summary()
    assert "momentum" in result._repr_html_()
    assert repr(result).startswith("Result(momentum: 900 rows x 2 symbols")
    found = result.provenance
    assert (found["source"], found["simulated"]) == ("random walk", True)
    assert {"rows_hash", "source_hash", "versions", "commit", "params"} <= set(found)
    assert set(found["versions"]) == {"python", "numpy", "numba", "pandas", "vectorbt"}


def test_numbers_agree_with_each_other(market):
    bars, book = market
    result = run_backtest(bars, "mean_reversion", book=book)
    numbers = result.metrics
    assert numbers["total_trades"] > 3
    assert np.sum(result.trades["pnl"]) == pytest.approx(result.equity[-1] - result.start_cash, abs=1e-6)
    assert np.prod(1.0 + result.returns) - 1.0 == pytest.approx(numbers["total_return"], rel=1e-9)
    assert numbers["total_costs_paid"] == numbers["total_fees_paid"] + numbers["total_slippage_paid"]
    assert numbers["total_return"] * 100.0 == result.stats()["Total Return [%]"]


def test_plots_are_drawn(market):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    bars, book = market
    result = run_backtest(bars, "momentum", book=book)
    quiet = run_backtest(bars, never)
    for figure in (
        result.plot(),
        quiet.plot(),
        result.plot_trades(),
        result.plot_trades("S1", 10, 200),
        quiet.plot_trades(),
    ):
        figure.canvas.draw()
        plt.close(figure)
    with pytest.raises(UsageError, match="did you mean 'S1'"):
        result.plot_trades("s1")
