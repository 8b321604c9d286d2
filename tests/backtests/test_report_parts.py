"""The parts of the report: thinning that loses no extreme, costs that add up, numbers written as read."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.engine import run_backtest
from backtests.report_costs import spent
from backtests.report_tables import months, reason_rows, tiles
from backtests.report_text import count, day_of, local_seconds, money, number, percent, plain, small
from backtests.report_traces import (
    BUCKETS,
    WHOLE,
    benchmark,
    coded,
    histogram,
    kept_rows,
    payload,
    trade_rows,
    unit_of,
)
from data.sources import sample
from data.sources.random_walk import random_bars
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from strategies.types import Signals

nan = float("nan")


def decoded(steps, unit):
    values, last = [], 0
    for step in steps:
        last += step or 0
        values.append(nan if step is None else last * unit)
    return np.array(values)


def walk(rows, seed=1):
    return 100.0 + np.cumsum(np.random.Generator(np.random.PCG64(seed)).standard_normal(rows))


def test_a_short_trace_keeps_every_row():
    assert kept_rows([walk(WHOLE)]).tolist() == list(range(WHOLE))


@pytest.mark.parametrize("rows", [WHOLE + 1, 25_000, 99_999])
def test_thinning_keeps_the_extremes_of_every_bucket(rows):
    series = walk(rows)
    kept = kept_rows([series])
    assert len(kept) <= 2 * BUCKETS + 2
    assert kept[0] == 0
    assert kept[-1] == rows - 1
    width = -(-rows // BUCKETS)
    for start in range(0, rows, width):
        inside = kept[(kept >= start) & (kept < start + width)]
        assert series[inside].min() == series[start : start + width].min()
        assert series[inside].max() == series[start : start + width].max()


def test_thinning_passes_over_missing_values():
    series = walk(20_000)
    series[3_000:9_000] = nan
    kept = kept_rows([series])
    assert not ((kept >= 3_100) & (kept < 8_900)).any()
    assert np.nanmin(series[kept]) == np.nanmin(series)
    assert len(kept_rows([np.full(20_000, nan)])) == 2


def test_rows_around_every_trade_are_kept_within_the_room():
    trades = np.zeros(3, dtype=[("entry_row", np.int64), ("exit_row", np.int64)])
    trades["entry_row"], trades["exit_row"] = [0, 500, 49_990], [20, 9_000, 49_999]
    kept = set(trade_rows(trades, 50_000, 10_000).tolist())
    assert set(range(81)) <= kept  # entry 0 to exit 20, and 60 rows on
    assert set(range(440, 561)) <= kept
    assert 4_000 not in kept  # the middle of a long trade is left to the thinned rows
    narrow = trade_rows(trades, 50_000, 10)
    assert {0, 20, 500, 9_000, 49_990, 49_999} <= set(narrow.tolist())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(10**9), 10**9)), max_size=40))
def test_coded_values_read_back_to_the_unit(ticks):
    values = np.array([nan if tick is None else tick * 0.01 for tick in ticks])
    back = decoded(coded(values, 0.01), 0.01)
    np.testing.assert_allclose(back, values, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("prices", "unit"), [([412.3], 0.01), ([99.0], 0.001), ([0.5], 1e-5), ([25_000.0], 0.01), ([nan], 0.01)]
)
def test_the_unit_of_prices_leaves_five_digits(prices, unit):
    assert unit_of(np.array(prices)) == pytest.approx(unit)


def test_the_benchmark_ends_where_the_metric_says():
    bars = sample.load(("AAPL", "FB"), start=20120101)
    result = run_backtest(bars, "ma_cross")
    held = benchmark(bars, result.start_cash)
    # FB was listed in May: until then its half stays cash.
    assert held[0] == pytest.approx(100_000.0)
    assert held[-1] / 100_000.0 - 1.0 == pytest.approx(result.metrics["benchmark_return"])


def test_histogram_has_an_edge_at_zero_and_counts_every_trade():
    returns = np.array([-0.021, -0.004, 0.0, 0.003, 0.011, 0.018, nan])
    bins = histogram(returns)
    assert sum(bins["counts"]) == 6
    negative = sum(bins["counts"][: -bins["first"]])
    assert negative == 2  # -0.021 and -0.004; zero belongs to the right
    assert histogram(np.array([0.01, 0.01]))["counts"][-1] == 2
    assert len(histogram(walk(5_000))["counts"]) <= 50


@pytest.mark.parametrize("book", [True, False])
@pytest.mark.parametrize("stops", ["close", "touch"])
def test_costs_add_up_to_what_was_recorded(book, stops):
    bars, depth = random_bars(3_000, 3, 11, "1m", gaps=True)
    costs = Costs(commission_per_share=0.005, commission_min=1.0)
    rule = Rule(stops=stops, shorts=True, size=0.3)
    result = run_backtest(bars, crossing, costs=costs, rule=rule, book=depth if book else None)
    paid = spent(result)
    assert paid.fills > 100
    assert paid.total == pytest.approx(result.metrics["total_costs_paid"], rel=1e-12)
    assert paid.commission == pytest.approx(
        sum(max(0.005 * abs(q), 1.0) for q in result.fills["quantity"].tolist()), rel=1e-12
    )
    assert min(paid) >= 0.0
    if not book:
        # Without a book half the spread is 1 bps of what was bought and sold, targets that were touched aside.
        reference = result.fills["reference"] * np.abs(result.fills["quantity"])
        touched = (result.fills["decided"] == result.fills["filled"]) & (result.fills["reason"] == 4)
        assert paid.spread == pytest.approx(float(np.sum(reference[~touched])) * 1e-4, rel=1e-9)


def crossing(bars, *, rows: int = 20):
    """In and out by the clock, with a stop, a target and a trail."""
    row = np.arange(len(bars))[:, None] + np.arange(bars.shape[1])[None, :]
    level = np.broadcast_to(np.float64(0.3), bars.shape)
    return Signals(
        entries=row % rows == 1,
        exits=row % rows == 9,
        short_entries=row % rows == 10,
        short_exits=row % rows == 18,
        stop=level,
        target=level,
        trail=level,
    )


def test_a_trade_carries_the_levels_of_its_entry_order():
    bars, _ = random_bars(600, 2, 11, "1m")
    result = run_backtest(bars, crossing, rule=Rule(stops="touch"))
    drawn = payload(result)["trades"]
    assert len(drawn["stop"]) == len(result.trades) > 10
    for entry, side, stop, target, trail in zip(
        drawn["entry"], drawn["side"], drawn["stop"], drawn["target"], drawn["trail"], strict=True
    ):
        assert stop == pytest.approx(entry - side * 0.3, abs=2e-6)
        assert target == pytest.approx(entry + side * 0.3, abs=2e-6)
        assert trail == 0.3


def test_prices_on_the_page_are_those_of_the_bars():
    bars = sample.load(("IBM",), start=20100101, end=20101231)
    price = payload(run_backtest(bars, "ma_cross"))["prices"][0]
    close = decoded(price["close"], price["unit"])
    assert np.abs(close - bars.close[:, 0]).max() <= price["unit"] / 2 + 1e-9
    for name in ("open", "high", "low"):
        other = close + np.array(price[name]) * price["unit"]
        assert np.abs(other - getattr(bars, name)[:, 0]).max() <= price["unit"] / 2 + 1e-9


def test_months_multiply_to_their_year():
    table = months(run_backtest(sample.load(("AAPL", "IBM"), 20050101, 20061231), "ma_cross"))
    assert table["by"] == "month"
    assert [year for year, _, _ in table["rows"]] == ["2005", "2006"]
    for _, cells, whole in table["rows"]:
        growth = np.prod([1 + float(cell["text"].replace("\u2212", "-")) / 100 for cell in cells])
        assert (growth - 1) * 100 == pytest.approx(float(whole["text"].replace("\u2212", "-")), abs=0.7)  # 12 roundings


def test_a_short_intraday_run_is_shown_by_session():
    bars, _ = random_bars(4 * 390, 1, 5, "1m")
    result = run_backtest(bars, crossing)
    table = months(result)
    assert table["by"] == "session"
    assert [row[0] for row in table["rows"]] == [day_of(int(day)) for day in np.unique(bars.session)]
    assert sum(int(row[4].replace(",", "")) for row in table["rows"]) == len(result.trades.closed)


def test_a_few_sessions_are_not_blown_up_to_a_year():
    bars, _ = random_bars(4 * 390, 1, 5, "1m")
    assert tiles(run_backtest(bars, crossing))[0]["note"].startswith("over 4 sessions")
    years = sample.load(("IBM",), 20050101, 20061231)
    assert " a year" in tiles(run_backtest(years, "ma_cross"))[0]["note"]


def test_orders_are_counted_by_reason():
    bars, _ = random_bars(2_000, 2, 5, "1m", gaps=True)
    result = run_backtest(bars, crossing)
    rows = reason_rows(result)
    assert sum(int(row[1].replace(",", "")) for row in rows) == len(result.orders)
    assert sum(int(row[2].replace(",", "")) for row in rows) == len(result.fills)


def test_exchange_time_follows_the_change_of_clocks():
    # 2024-03-08 and 2024-03-11 close at 16:00 New York, 21:00 and 20:00 UTC.
    stamps = [dt.datetime(2024, 3, 8, 21, tzinfo=dt.UTC), dt.datetime(2024, 3, 11, 20, tzinfo=dt.UTC)]
    ts = np.array([int(stamp.timestamp()) * 10**9 for stamp in stamps])
    local = local_seconds(ts, np.array([20240308, 20240311]))
    assert [dt.datetime.fromtimestamp(int(s), dt.UTC).hour for s in local] == [16, 16]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (number(-1234.5), "\u22121,234.50"),
        (number(0.001, sign=True), "0.00"),
        (number(-0.001), "0.00"),
        (number(nan), "–"),
        (percent(0.1234, sign=True), "+12.34\u00a0%"),
        (money(-5.0), "\u2212$5.00"),
        (money(1_000.0, 0, sign=True), "+$1,000"),
        (money(float("inf")), "–"),
        (count(1, "trade"), "1 trade"),
        (count(2_000, "trade"), "2,000 trades"),
        (small(0.0), "0"),
        (small(1.2e-15), "1.2e\u221215"),
        (plain(True), "yes"),
        (plain(None), "–"),
        (plain(-3), "\u22123"),
        (plain(0.00001), "1e\u221205"),
        (plain(2.5), "2.5"),
        (plain(dt.timedelta(days=2, hours=3, minutes=5)), "2 d 3 h"),
        (plain(dt.timedelta(minutes=3)), "3 min"),
        (plain(dt.timedelta(seconds=65)), "1 min 5 s"),
    ],
)
def test_numbers_are_written_as_read(text, wanted):
    assert text == wanted
