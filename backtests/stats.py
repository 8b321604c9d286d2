"""The numbers of a run by name: `measure` for machines, `table` for people, under vectorbt's names and then ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backtests import metrics as m
from data.calendar import SESSIONS_PER_YEAR, periods_per_year

if TYPE_CHECKING:
    from backtests.result import Result

SECOND_NS = 1_000_000_000


def measure(result: Result) -> dict[str, float]:
    """Every number of the run by a plain name; fractions, dollars, rows or seconds. NaN where there is none."""
    return _account(result) | _ratios(result) | _trades(result) | _costs(result)


def _account(result: Result) -> dict[str, float]:
    bars, equity, start = result.bars, result.equity, result.start_cash
    marks = m.marks_of(bars.close)
    gross = m.gross_exposure(result.positions, marks, equity)
    first, last = m.longest_drawdown(result.drawdowns)
    under = int(bars.ts[last] - bars.ts[max(first, 0)]) / SECOND_NS
    return {
        "start_value": start,
        "end_value": float(equity[-1]),
        "total_return": float(equity[-1]) / start - 1.0,
        "benchmark_return": m.benchmark_return(bars.close),
        "max_gross_exposure": float(np.max(gross)),
        "mean_gross_exposure": float(np.mean(gross)),
        "time_in_market": m.time_in_market(result.positions),
        "max_drawdown": _depth(result),
        "max_drawdown_rows": float(last - first),
        "max_drawdown_s": under,
    }


def _depth(result: Result) -> float:
    return float(np.min(result.drawdowns, initial=0.0))


def _ratios(result: Result) -> dict[str, float]:
    periods = periods_per_year(result.clock)
    returns = result.returns
    sessions = m.session_returns(result.equity, result.bars.session, result.start_cash)
    skewness, kurtosis = m.moments(sessions)
    growth = m.annual_return(returns, periods)
    depth = _depth(result)
    return {
        "annual_return": growth,
        "annual_volatility": m.volatility(returns, periods),
        "sharpe_ratio": m.sharpe_ratio(returns, periods),
        "calmar_ratio": growth / -depth if depth < 0.0 else m.nan,
        "omega_ratio": m.omega_ratio(returns),
        "sortino_ratio": m.sortino_ratio(returns, periods),
        "session_sharpe_ratio": m.sharpe_ratio(sessions, SESSIONS_PER_YEAR),
        "probabilistic_sharpe_ratio": m.psr(m.sharpe_ratio(sessions, 1.0), len(sessions), skewness, kurtosis),
        "session_skewness": skewness,
        "session_kurtosis": kurtosis,
        "session_value_at_risk": m.value_at_risk(sessions),
        "session_conditional_value_at_risk": m.conditional_value_at_risk(sessions),
        "best_session": float(np.max(sessions)),
        "worst_session": float(np.min(sessions)),
    }


def _trades(result: Result) -> dict[str, float]:
    every, closed = result.trades.records, result.trades.closed
    still = every[every["open"]]
    pnl, returns = closed["pnl"], closed["return"]
    held = (result.bars.ts[closed["exit_row"]] - result.bars.ts[closed["entry_row"]]) / SECOND_NS
    won, lost = pnl > 0.0, pnl < 0.0
    return {
        "total_trades": float(len(every)),
        "total_closed_trades": float(len(closed)),
        "total_open_trades": float(len(still)),
        "open_trade_pnl": float(np.sum(still["pnl"])),
        "win_rate": m.mean_or_nan(won.astype(np.float64)),
        "best_trade": float(np.max(returns)) if len(closed) else m.nan,
        "worst_trade": float(np.min(returns)) if len(closed) else m.nan,
        "average_winning_trade": m.mean_or_nan(returns[won]),
        "average_losing_trade": m.mean_or_nan(returns[lost]),
        "average_winning_trade_s": m.mean_or_nan(held[won]),
        "average_losing_trade_s": m.mean_or_nan(held[lost]),
        "profit_factor": m.profit_factor(pnl),
        "expectancy": m.mean_or_nan(pnl),
        "average_trade": m.mean_or_nan(returns),
        "average_trade_rows": m.mean_or_nan(closed["rows"].astype(np.float64)),
        "longest_losing_run": float(m.longest_run(lost)),
    }


def _costs(result: Result) -> dict[str, float]:
    filled = result.fills
    fees = float(np.sum(filled["fee"]))
    slipped = float(np.sum((filled["price"] - filled["reference"]) * filled["quantity"]))
    traded = float(np.sum(np.abs(filled["price"] * filled["quantity"])))
    years = len(result.equity) / periods_per_year(result.clock)
    gross = float(result.equity[-1]) - result.start_cash + fees + slipped
    return {
        "total_fees_paid": fees,
        "total_slippage_paid": slipped,
        "total_costs_paid": fees + slipped,
        "costs_of_gross_profit": (fees + slipped) / gross if gross > 0.0 else m.nan,
        "costs_of_value_traded": (fees + slipped) / traded if traded > 0.0 else m.nan,
        "value_traded": traded,
        "turnover": m.turnover(traded, result.equity, years),
        "total_orders": float(len(result.orders)),
        "total_fills": float(len(filled)),
    }


# title, name in `measure`, how it is shown
_ROWS = (
    ("Start Value", "start_value", "number"),
    ("End Value", "end_value", "number"),
    ("Total Return [%]", "total_return", "percent"),
    ("Benchmark Return [%]", "benchmark_return", "percent"),
    ("Max Gross Exposure [%]", "max_gross_exposure", "percent"),
    ("Total Fees Paid", "total_fees_paid", "number"),
    ("Max Drawdown [%]", "max_drawdown", "loss"),
    ("Max Drawdown Duration", "max_drawdown_s", "time"),
    ("Total Trades", "total_trades", "count"),
    ("Total Closed Trades", "total_closed_trades", "count"),
    ("Total Open Trades", "total_open_trades", "count"),
    ("Open Trade PnL", "open_trade_pnl", "number"),
    ("Win Rate [%]", "win_rate", "percent"),
    ("Best Trade [%]", "best_trade", "percent"),
    ("Worst Trade [%]", "worst_trade", "percent"),
    ("Avg Winning Trade [%]", "average_winning_trade", "percent"),
    ("Avg Losing Trade [%]", "average_losing_trade", "percent"),
    ("Avg Winning Trade Duration", "average_winning_trade_s", "time"),
    ("Avg Losing Trade Duration", "average_losing_trade_s", "time"),
    ("Profit Factor", "profit_factor", "number"),
    ("Expectancy", "expectancy", "number"),
    ("Sharpe Ratio", "sharpe_ratio", "number"),
    ("Calmar Ratio", "calmar_ratio", "number"),
    ("Omega Ratio", "omega_ratio", "number"),
    ("Sortino Ratio", "sortino_ratio", "number"),
    ("Annual Return [%]", "annual_return", "percent"),
    ("Annual Volatility [%]", "annual_volatility", "percent"),
    ("Session Sharpe Ratio", "session_sharpe_ratio", "number"),
    ("Probabilistic Sharpe Ratio [%]", "probabilistic_sharpe_ratio", "percent"),
    ("Session Skewness", "session_skewness", "number"),
    ("Session Kurtosis", "session_kurtosis", "number"),
    ("Session VaR 95 % [%]", "session_value_at_risk", "percent"),
    ("Session CVaR 95 % [%]", "session_conditional_value_at_risk", "percent"),
    ("Best Session [%]", "best_session", "percent"),
    ("Worst Session [%]", "worst_session", "percent"),
    ("Time in Market [%]", "time_in_market", "percent"),
    ("Mean Gross Exposure [%]", "mean_gross_exposure", "percent"),
    ("Turnover per Year", "turnover", "number"),
    ("Total Slippage Paid", "total_slippage_paid", "number"),
    ("Total Costs Paid", "total_costs_paid", "number"),
    ("Costs [% of Gross Profit]", "costs_of_gross_profit", "percent"),
    ("Costs [bps of Value Traded]", "costs_of_value_traded", "bps"),
    ("Avg Trade [%]", "average_trade", "percent"),
    ("Avg Trade Rows", "average_trade_rows", "number"),
    ("Longest Losing Run", "longest_losing_run", "count"),
    ("Total Orders", "total_orders", "count"),
    ("Total Fills", "total_fills", "count"),
)
TITLES = ("Start", "End", "Period", *(title for title, _, _ in _ROWS))
"""Names of `Result.stats()`: the 28 of `vectorbt.Portfolio.stats()` in its order, then ours."""


def table(result: Result) -> dict[str, Any]:
    """`measure` by `TITLES`, in their units; times as pandas values."""
    import pandas as pd

    ts = result.bars.ts
    start, end = (pd.Timestamp(int(ts[t]), tz="UTC") for t in (0, -1))
    rows: dict[str, Any] = {"Start": start, "End": end, "Period": end - start}
    numbers = result.metrics
    factor = {"number": 1.0, "percent": 100.0, "loss": -100.0, "bps": 1e4}
    for title, name, shown in _ROWS:
        value = numbers[name]
        if shown == "count":
            rows[title] = int(value)
        elif shown == "time":
            rows[title] = pd.Timedelta(seconds=value) if value == value else pd.NaT
        else:
            rows[title] = value * factor[shown] + 0.0
    return rows


def summary(result: Result) -> str:
    """The run in a few lines, for a terminal or a notebook."""
    from data.calendar import utc

    numbers, bars = result.metrics, result.bars
    rows, symbols = bars.shape
    names = ", ".join(bars.symbols[:6]) + (f" and {symbols - 6} more" if symbols > 6 else "")
    given = ", ".join(f"{name}={value}" for name, value in result.params.items()) or "no parameters"
    source = result.origin.get("source")
    simulated = {True: "SIMULATED, ", False: "real prices, ", None: ""}[result.origin.get("simulated")]
    total, held, year = (numbers[name] for name in ("total_return", "benchmark_return", "annual_return"))
    by_rows, by_sessions = numbers["sharpe_ratio"], numbers["session_sharpe_ratio"]
    sure, won, factor = (numbers[name] for name in ("probabilistic_sharpe_ratio", "win_rate", "profit_factor"))
    still = int(numbers["total_open_trades"])
    bps = numbers["costs_of_value_traded"] * 1e4
    lines = [
        f"strategy   {result.strategy} ({given})",
        f"rows       {rows:,} x {symbols} on {result.clock}, {utc(int(bars.ts[0]))} to {utc(int(bars.ts[-1]))}",
        f"symbols    {names}" + (f" ({simulated}{source})" if source else ""),
        f"return     {total:+.2%} (held: {held:+.2%}), {year:+.2%} a year",
        f"drawdown   {-numbers['max_drawdown']:.2%}",
        f"Sharpe     {by_rows:.2f} by rows, {by_sessions:.2f} by sessions, above 0 with probability {sure:.1%}",
        f"trades     {len(result.trades)} ({still} open), {won:.1%} won, profit factor {factor:.2f}",
        f"costs      {numbers['total_costs_paid']:,.2f} dollars, {bps:.1f} bps of the value traded",
    ]
    return "\n".join(lines).replace("+nan", "nan").replace("nan%", "-").replace("nan", "-")
