"""A session as a result of its own, so that it has every number, plot and page that a backtest has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from backtests.metrics import marks_of
from backtests.result import Result
from backtests.session import orders_of_session
from data.calendar import utc
from data.errors import DataError
from strategies.common.position import REASONS


def result_of_session(result: Result, told: Mapping[str, Any]) -> Result:
    """The session as a result of its own: its fills over the rows of `result`, valued at their closes.

    A market order's reference is the open it met; that of a level that was touched is the backtest's own, where it
    touched it too, else the price.

    Raises:
        DataError: an order or fill at an instant, or of a symbol, that the rows do not have.
    """
    bars = result.bars
    row_of = {int(ts): row for row, ts in enumerate(bars.ts.tolist())}
    levels = {
        (int(bars.ts[o["decided"]]), int(o["column"])): float(o["reference"])
        for o in result.fills[result.fills["decided"] == result.fills["filled"]]
    }
    live = orders_of_session(told)
    orders = np.empty(len(live), dtype=result.orders.dtype)
    for place, order in enumerate(live):
        where = f"order {place + 1} of the session ({order.symbol}, decided {utc(order.decided)})"
        if order.symbol not in bars.symbols:
            raise DataError(f"{where} is of a symbol that the rows do not have; give the rows it traded on")
        column = bars.symbols.index(order.symbol)
        decided, filled = row_of.get(order.decided), row_of.get(order.filled) if order.filled else -1
        if decided is None or filled is None or order.reason not in REASONS:
            raise DataError(f"{where} lies outside of these rows; give the rows the session traded on")
        reference = float(bars.open[filled, column]) if filled > decided else levels.get((order.decided, column))
        if filled >= 0 and (reference is None or not isfinite(reference)):
            reference = order.price
        nothing = filled < 0
        orders[place] = (
            decided, column, order.quantity, REASONS.index(order.reason), filled,
            np.nan if nothing else reference, np.nan if nothing else order.price, 0.0 if nothing else order.fee,
        )  # fmt: skip
    done = orders[orders["filled"] >= 0]
    flow = np.zeros(len(bars))
    np.add.at(flow, done["filled"], -(done["quantity"] * done["price"] + done["fee"]))
    moved = np.zeros(bars.shape)
    np.add.at(moved, (done["filled"], done["column"]), done["quantity"])
    cash, positions = result.start_cash + np.cumsum(flow), np.cumsum(moved, axis=0)
    equity = cash + np.sum(positions * marks_of(bars.close), axis=1)
    return replace(result, orders=orders, cash=cash, positions=positions, equity=equity)
