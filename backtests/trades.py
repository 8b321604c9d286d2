"""Orders to trades: one entry to its exit, per symbol; an open position is a trade that ends with the last row.

Orders that add to a position average its entry price, orders that reduce it end a part of it, an order that turns it
ends one trade and begins another, its fee shared by quantity. vectorbt's exit trades count the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data.types import Bars
from strategies.common.jit import jit
from strategies.common.position import REASONS

if TYPE_CHECKING:
    import pandas as pd

TRADES = np.dtype(
    [
        ("column", np.int64),
        ("side", np.int64),
        ("quantity", np.float64),
        ("entry_row", np.int64),
        ("entry_price", np.float64),
        ("entry_fee", np.float64),
        ("reason_in", np.int64),
        ("exit_row", np.int64),
        ("exit_price", np.float64),
        ("exit_fee", np.float64),
        ("reason_out", np.int64),
        ("pnl", np.float64),
        ("return", np.float64),
        ("rows", np.int64),
        ("mae", np.float64),
        ("mfe", np.float64),
        ("open", np.bool_),
    ]
)
"""One trade. `side` 1 long, -1 short; `quantity` positive shares; `pnl` after fees, `return` pnl over the entry's
notional; `rows` from the entry's row to the exit's. `mae` and `mfe`: the worst and best price met, as a return on the
entry price (at most and at least 0), over the rows held and the exit price; not over the range of the exit's row, of
which nobody knows what came after the fill. `open`: not left by the last row, valued at the last close without a fee.
Reasons are places in `position.REASONS`."""

_FIELDS = TRADES.names or ()
_GRID = "Array(float64, 2, 'A')"
_SEEN = "Array(float64, 2, 'A', readonly=True)"
_INTS = "Array(int64, 1, 'C')"
_ONES = "Array(float64, 1, 'C')"
_SIGNATURE = f"int64({', '.join([_INTS] * 3 + [_ONES] * 3 + [_SEEN] * 3)}, {_GRID})"


@dataclass(frozen=True, eq=False)
class Trades:
    """The trades of a run, in the order of their exits.

    records: `TRADES`, one row a trade, the open ones included. ts: (T,) UTC nanoseconds of the rows.
    """

    records: npt.NDArray[Any]
    symbols: tuple[str, ...]
    ts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """One field of all trades."""
        return np.asarray(self.records[name])

    @cached_property
    def closed(self) -> npt.NDArray[Any]:
        """The records of the trades that were left."""
        return np.asarray(self.records[~self.records["open"]])

    @property
    def records_readable(self) -> pd.DataFrame:
        """vectorbt's columns and titles first, then ours; times are the closes of the rows, UTC."""
        import pandas as pd

        r = self.records
        index = pd.DatetimeIndex(self.ts, tz="UTC")
        reasons = np.array(REASONS, dtype=object)
        return pd.DataFrame(
            {
                "Exit Trade Id": np.arange(len(r)),
                "Column": np.array(self.symbols, dtype=object)[r["column"]],
                "Size": r["quantity"],
                "Entry Timestamp": index[r["entry_row"]],
                "Avg Entry Price": r["entry_price"],
                "Entry Fees": r["entry_fee"],
                "Exit Timestamp": index[r["exit_row"]],
                "Avg Exit Price": r["exit_price"],
                "Exit Fees": r["exit_fee"],
                "PnL": r["pnl"],
                "Return": r["return"],
                "Direction": np.where(r["side"] > 0, "Long", "Short"),
                "Status": np.where(r["open"], "Open", "Closed"),
                "Reason In": reasons[r["reason_in"]],
                "Reason Out": np.where(r["open"], "open", reasons[r["reason_out"]]),
                "Rows": r["rows"],
                "MAE": r["mae"],
                "MFE": r["mfe"],
            }
        )


def trades_of(orders: npt.NDArray[Any], bars: Bars) -> Trades:
    """The trades that these orders (`backtests.scan.ORDERS`) made; those without a fill do not count."""
    done = orders[orders["filled"] >= 0]
    done = done[np.argsort(done["column"], kind="stable")]
    table = np.empty((2 * len(done) + bars.shape[1], len(_FIELDS)))
    count = jit(_match, _SIGNATURE)(
        *(np.ascontiguousarray(done[name]) for name in ("column", "filled", "reason", "quantity", "price", "fee")),
        bars.high,
        bars.low,
        bars.close,
        table,
    )
    records = np.empty(count, dtype=TRADES)
    for place, name in enumerate(_FIELDS):
        records[name] = table[:count, place]
    order = np.lexsort((records["column"], records["exit_row"], records["open"]))
    return Trades(records[order], bars.symbols, bars.ts)


def _match(
    column: Any,
    filled: Any,
    reason: Any,
    quantity: Any,
    price: Any,
    fee: Any,
    high: Any,
    low: Any,
    close: Any,
    out: Any,
) -> int:
    """Write the trades of orders sorted by column; returns how many."""
    count = 0
    held = 0.0
    notional = 0.0
    fees = 0.0
    began = 0
    why = 0
    orders = column.shape[0]
    for i in range(orders):
        j = column[i]
        if i == 0 or j != column[i - 1]:
            held = 0.0
        q = quantity[i]
        if held == 0.0:
            notional = 0.0
            fees = 0.0
            began = filled[i]
            why = reason[i]
        if held == 0.0 or (held > 0.0) == (q > 0.0):
            held += q
            notional += q * price[i]
            fees += fee[i]
        else:
            turned = abs(q) > abs(held)
            part = -held if turned else q
            exit_fee = fee[i] * (part / q)
            share = -part / held
            _write(out[count], j, -part, began, notional / held, fees * share, why)
            _leave(out[count], filled[i], price[i], exit_fee, reason[i], 0.0, high, low)
            count += 1
            if turned:
                held += q
                notional = held * price[i]
                fees = fee[i] - exit_fee
                began = filled[i]
                why = reason[i]
            else:
                notional -= notional * share
                fees -= fees * share
                held += q
        if held != 0.0 and (i == orders - 1 or column[i + 1] != j):
            last = close.shape[0] - 1
            known = last
            while known > 0 and close[known, j] != close[known, j]:
                known -= 1
            _write(out[count], j, held, began, notional / held, fees, why)
            _leave(out[count], last, close[known, j], 0.0, 0, 1.0, high, low)
            count += 1
    return count


def _write(row: Any, j: int, quantity: float, began: int, price: float, fee: float, why: int) -> None:
    """The entry's half of a trade."""
    row[0] = j
    row[1] = 1.0 if quantity > 0.0 else -1.0
    row[2] = abs(quantity)
    row[3] = began
    row[4] = price
    row[5] = fee
    row[6] = why


def _leave(row: Any, t: int, price: float, fee: float, why: int, still_open: float, high: Any, low: Any) -> None:
    """The exit's half of a trade, and what follows from both."""
    side = row[1]
    quantity = row[2]
    entry = row[4]
    worst = entry
    best = entry
    j = int(row[0])
    first = int(row[3])
    for i in range(first, t + 1 if still_open > 0.0 else t):
        if high[i, j] == high[i, j]:
            if side > 0.0:
                best = max(best, high[i, j])
                worst = min(worst, low[i, j])
            else:
                best = min(best, low[i, j])
                worst = max(worst, high[i, j])
    if side > 0.0:
        best = max(best, price)
        worst = min(worst, price)
    else:
        best = min(best, price)
        worst = max(worst, price)
    pnl = side * quantity * (price - entry) - row[5] - fee
    row[7] = t
    row[8] = price
    row[9] = fee
    row[10] = why
    row[11] = pnl
    row[12] = pnl / (quantity * entry)
    row[13] = t - first
    row[14] = side * (worst / entry - 1.0)
    row[15] = side * (best / entry - 1.0)
    row[16] = still_open
