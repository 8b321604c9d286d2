"""Results that others published, recomputed through our engine or our metrics (PyAlgoTrade's samples and tests).

Where a sample does what our rule does not (orders at the same close, adding to a position), only the metrics are ours.
"""

import numpy as np
import pandas as pd
import pytest

from backtests import metrics as m
from backtests.engine import run_backtest
from data.calendar import close_of, session_columns
from data.types import Bars
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from strategies.indicators import crossed_above, sma
from strategies.types import Signals

OVERNIGHT = Rule(size=1.0, max_gross=10.0, flat_before_s=0.0)


@pytest.fixture(scope="module")
def daily(shared):
    """`daily(symbol)`: Bars of one symbol, all prices scaled by adjusted over printed close."""
    frame = pd.read_parquet(shared("equity_daily/wiki_pyalgotrade.parquet"))

    def load(symbol, first, last):
        rows = frame[frame["symbol"] == symbol].sort_values("ts")
        days = rows["ts"].dt.strftime("%Y%m%d").astype(int)
        rows = rows[(days >= first) & (days <= last)]
        ratio = (rows["adj_close"] / rows["close"]).to_numpy()
        prices = {name: (rows[name].to_numpy() * ratio).reshape(-1, 1) for name in ("open", "high", "low")}
        prices["close"] = rows["adj_close"].to_numpy().reshape(-1, 1)
        ts = np.array([close_of(day) for day in rows["ts"].dt.date])
        session, since_open, to_close = session_columns(ts, "1d")
        volume = rows["volume"].to_numpy(dtype=float).reshape(-1, 1)
        return Bars((symbol,), ts, **prices, volume=volume, session=session, since_open=since_open, to_close=to_close)

    return load


@pytest.fixture(scope="module")
def minutes(shared):
    """SPY, January 2011, minutes labelled by their close."""
    frame = pd.read_parquet(shared("equity_minute/SPY_2011-01.parquet")).sort_values("ts")
    ts = frame["ts"].astype("int64").to_numpy() + 60_000_000_000
    session, since_open, to_close = session_columns(ts, "1m")
    columns = (frame[name].to_numpy(dtype=float).reshape(-1, 1) for name in ("open", "high", "low", "close", "volume"))
    return Bars(("SPY",), ts, *columns, session, since_open, to_close)


def test_tutorial_4_oracle_stock_over_its_15_day_mean_ends_at_974_87(daily):
    bars = daily("ORCL", 20000101, 20001231)
    equity = np.full(bars.shape, 1_000.0)

    def ten_shares(bars):
        mean = sma(bars.close, 15)
        return Signals(bars.close > mean, bars.close < mean, size=10.5 * bars.close / equity)

    for _ in range(5):  # ten shares as a fraction of equity needs the equity: a fixed point
        result = run_backtest(bars, ten_shares, costs=Costs.free(), cash=1_000.0, rule=OVERNIGHT)
        equity = result.equity.reshape(-1, 1)
    assert set(np.abs(result.fills["quantity"])) == {10.0}
    assert round(float(result.equity[-1]), 2) == 974.87
    assert len(result.fills) == 43
    bought = result.fills[result.fills["quantity"] > 0.0][-1]
    assert int(bars.session[bought["filled"]]) == 20001222
    assert round(float(bought["price"]), 2) == 27.67


def test_sma_crossover_sample_has_sharpe_1_12(daily):
    bars = daily("AAPL", 20110101, 20121231)

    def cross(bars):
        mean = sma(bars.close, 163)
        return Signals(crossed_above(bars.close, mean), crossed_above(mean, bars.close), size=np.full(bars.shape, 0.9))

    result = run_backtest(bars, cross, costs=Costs.free(), cash=1_000_000.0, rule=OVERNIGHT)
    assert m.sharpe_ratio(result.returns, 252.0, 0.05 / 252.0) == pytest.approx(1.12, abs=5e-4)


def test_compinv_1_buy_and_hold_of_four_stocks(daily):
    held = {"IBM": 1996, "AES": 22565, "AIG": 5445, "ORCL": 8582}
    closes = np.column_stack([daily(symbol, 20110101, 20111231).close[:, 0] for symbol in held])
    shares = np.array(list(held.values()), dtype=float)
    cash = 1_000_000.0 - float(closes[0] @ shares)
    equity = cash + closes @ shares
    returns = m.returns_of(equity, 1_000_000.0)
    assert equity[-1] == pytest.approx(876_350.83, abs=0.005)
    assert m.total_return(returns) == pytest.approx(-0.1236, abs=5e-5)
    assert np.mean(returns) == pytest.approx(-0.0004, abs=5e-5)
    assert np.std(returns, ddof=1) == pytest.approx(0.0176, abs=5e-5)
    assert m.sharpe_ratio(returns, 252.0) == pytest.approx(-0.33, abs=5e-3)


def test_sharpe_of_ige_is_that_of_the_book(shared):
    # Chan (2008), "Quantitative Trading", example 3.4: 0.789
    frame = pd.read_parquet(shared("equity_daily/sharpe_ige_spy.parquet"))
    price = frame[frame["symbol"] == "IGE"].sort_values("ts")["adj_close"].to_numpy()
    assert (price[0], price[-1]) == (42.09, 127.64)
    returns = m.returns_of(price, 42.09)
    assert m.sharpe_ratio(returns, 252.0, 0.04 / 252.0) == pytest.approx(0.7889, abs=5e-5)
    assert m.sharpe_ratio(returns, 1.0, 0.04 / 252.0) == pytest.approx(0.0497, abs=5e-5)


def test_intraday_sharpe_of_one_share_held(minutes):
    inside = (minutes.since_open >= 0.0) & (minutes.to_close >= 0.0)  # with the row that closes at 09:30, as published
    opening, close = minutes.open[inside, 0], minutes.close[inside, 0]
    assert len(close) == 7820
    returns = m.returns_of(1_000.0 - opening[0] + close, 1_000.0)
    periods = 7820 * 365 / 29
    assert m.sharpe_ratio(returns, periods, 0.04 / periods) == pytest.approx(-1.1814830854, abs=5e-11)
    assert m.sharpe_ratio(returns, 1.0, 0.04 / periods) == pytest.approx(-0.0037659686, abs=5e-11)


def test_trades_analyzer_fills_and_pnl_through_the_engine(minutes):
    first = int(np.searchsorted(minutes.session, 20110103))
    bars = minutes.rows(first, int(np.searchsorted(minutes.session, 20110103, side="right")))
    asked = [pd.Timestamp(f"2011-01-03 {t}", tz="UTC").value for t in
             ("15:00", "15:16", "15:30", "15:31", "15:38", "15:42", "15:47")]  # fmt: skip
    entries, exits = (np.isin(bars.ts, asked[start::2]).reshape(-1, 1) for start in (0, 1))

    def one_share(bars):
        return Signals(entries, exits, size=1.5 * bars.close / 1_000.0)

    result = run_backtest(bars, one_share, costs=Costs.free(), cash=1_000.0, rule=OVERNIGHT)
    assert result.clock == "1m"
    assert result.fills["price"].tolist() == [127.14, 127.16, 127.20, 127.16, 127.16, 127.26, 127.34]
    closed = result.trades.closed["pnl"]
    assert np.mean(closed) == pytest.approx(0.03, abs=5e-3)
    assert np.std(closed, ddof=1) == pytest.approx(0.07, abs=5e-3)
    assert (len(result.trades), len(closed)) == (4, 3)
