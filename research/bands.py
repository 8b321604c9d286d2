"""How else the same trades and sessions could have run: resampled histories, and the trades in another order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtests.result import Result
from data.errors import UsageError
from data.types import Floats
from research.bootstrap import stationary_rows

QUANTILES = (0.05, 0.5, 0.95)


def block_bands(returns: Floats, *, length: float = 10.0, draws: int = 500, seed: int = 0) -> Floats:
    """(3, S) growth at each session of histories resampled in blocks: 5 %, 50 % and 95 % of them lie below.

    Args:
        returns: (S,) of sessions. length: mean block length in sessions. draws, seed: of the stationary bootstrap.

    Source: Politis, Romano (1994), "The Stationary Bootstrap", Journal of the American Statistical Association 89.
    """
    sample = np.asarray(returns, dtype=np.float64)[stationary_rows(len(returns), length, draws, seed)]
    growth = np.multiply.accumulate(1.0 + sample, axis=1) - 1.0
    return np.asarray(np.quantile(growth, QUANTILES, axis=0))


@dataclass(frozen=True)
class TradeOrders:
    """Drawdowns of the same trades in other orders; all of them end at the same total.

    drawdowns: (draws,) at most 0, deepest first. own: of the order in which they were left. limit: 5 % of the orders
    go deeper. trades: how many.
    """

    drawdowns: Floats
    own: float
    limit: float
    trades: int

    @property
    def deeper(self) -> float:
        """Share of the orders that go deeper than the trades' own."""
        return float((self.drawdowns < self.own).mean())


def trade_orders(result: Result, *, draws: int = 1_000, seed: int = 0) -> TradeOrders:
    """Shuffle the closed trades: how much of a shallow drawdown was the luck of their order.

    A trade counts as its pnl over the equity at the close of its entry's row; the fractions are compounded one trade
    after the other, prod(1 + f), as if none had overlapped.

    Raises:
        UsageError: fewer than two closed trades, or no draw.
    """
    closed = result.trades.closed
    if len(closed) < 2 or draws < 1:
        raise UsageError(f"other orders need 2 closed trades and 1 draw, got {len(closed)} trades and {draws} draws")
    closed = closed[np.argsort(closed["exit_row"], kind="stable")]
    fractions = np.maximum(closed["pnl"] / result.equity[closed["entry_row"]], -1.0)
    random = np.random.Generator(np.random.PCG64(seed))
    found = np.sort([_deepest(random.permutation(fractions)) for _ in range(draws)])
    return TradeOrders(found, _deepest(fractions), float(np.quantile(found, 0.05)), len(closed))


def _deepest(fractions: Floats) -> float:
    value = np.multiply.accumulate(1.0 + fractions)
    peak = np.maximum(np.maximum.accumulate(value), 1.0)
    return float((value / peak - 1.0).min(initial=0.0))
