"""The same orders as a vectorbt `Portfolio`: for its analysis and plots, and as the judge of our valuation.

The only module that knows vectorbt. The portfolio is built from the order records themselves: several orders per row
and symbol stay several, and nothing is simulated a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backtests.metrics import marks_of
from data.calendar import parse_clock

if TYPE_CHECKING:
    from backtests.result import Result


def portfolio_of(result: Result, engine: str | None = None) -> Any:
    """vectorbt's portfolio of the fills of `result`: one group of all symbols, sharing the cash.

    Its ratios are annualised by vectorbt's own year of 365 days.

    Args:
        engine: `rust` or `numba`; vectorbt chooses where it is None.
    """
    import pandas as pd
    import vectorbt as vbt
    from vectorbt.portfolio.enums import OrderSide, log_dt, order_dt

    bars, fills = result.bars, result.fills
    fills = fills[np.argsort(fills["column"], kind="stable")]
    records = np.zeros(len(fills), dtype=order_dt)
    records["id"] = np.arange(len(fills))
    records["col"] = fills["column"]
    records["idx"] = fills["filled"]
    records["size"] = np.abs(fills["quantity"])
    records["price"] = fills["price"]
    records["fees"] = fills["fee"]
    records["side"] = np.where(fills["quantity"] > 0.0, OrderSide.Buy, OrderSide.Sell)
    close = pd.DataFrame(
        marks_of(bars.close),
        index=pd.DatetimeIndex(bars.ts, tz="UTC", name="timestamp"),
        columns=pd.Index(bars.symbols, name="symbol"),
    )
    wrapper = vbt.ArrayWrapper.from_obj(
        close,
        freq=pd.Timedelta(seconds=parse_clock(result.clock)),
        group_by=np.zeros(len(bars.symbols), dtype=np.int64),
    )
    return vbt.Portfolio(
        wrapper,
        close,
        records,
        np.zeros(0, dtype=log_dt),
        np.array([result.start_cash]),
        cash_sharing=True,
        trades_type="exittrades",
        engine=engine,
    )


def judge(result: Result) -> dict[str, Any]:
    """How far vectorbt's valuation of the same orders is from ours.

    Returns:
        equity: the largest difference over the rows, relative to the larger of equity and the cash at the start.
        trades, vectorbt_trades: how many each counts. trade_returns: the largest difference of a trade's return.
        vectorbt: its version.
    """
    import vectorbt as vbt

    portfolio = result.portfolio
    theirs = np.asarray(portfolio.value(), dtype=np.float64).reshape(-1)
    scale = np.maximum(np.abs(result.equity), result.start_cash)
    equity = float(np.max(np.abs(theirs - result.equity) / scale))
    ours = result.trades.records
    ours = ours[np.lexsort((ours["exit_row"], ours["entry_row"], ours["column"]))]
    records = portfolio.exit_trades.values
    records = records[np.lexsort((records["exit_idx"], records["entry_idx"], records["col"]))]
    same = len(ours) == len(records)
    gap = np.abs(ours["return"] - records["return"]) if same else np.array([np.inf])
    return {
        "equity": equity,
        "trades": len(ours),
        "vectorbt_trades": len(records),
        "trade_returns": float(np.max(gap, initial=0.0)),
        "vectorbt": vbt.__version__,
    }
