"""What the fills of a run cost, part by part.

Recorded with every order are its reference price, the price paid and the fee. What was paid over the reference is
split as the cost model made it (`strategies.common.costs.market_price`): slippage and impact by their formulas, the
rest is half the spread. The parts add up to what was recorded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from backtests.result import Result
from data.types import Floats
from strategies.common.position import TARGET_HIT


class Spent(NamedTuple):
    """Dollars a run paid, costs positive. traded: value of all fills. fills: their number."""

    commission: float
    regulatory: float
    spread: float
    slippage: float
    impact: float
    traded: float
    fills: int

    @property
    def total(self) -> float:
        """All parts added."""
        return self.commission + self.regulatory + self.spread + self.slippage + self.impact


def spent(result: Result) -> Spent:
    """The costs of all filled orders of a run."""
    orders = result.fills
    costs = result.costs
    quantity = np.abs(orders["quantity"])
    concession = orders["quantity"] * (orders["price"] - orders["reference"])
    # A target is a limit order: it is filled at its level.
    market = ~((orders["reason"] == TARGET_HIT) & (orders["decided"] == orders["filled"]))
    notional = np.where(market, quantity * orders["reference"], 0.0)
    slippage = notional * costs.slippage_bps * 1e-4
    impact = notional * costs.impact_bps * 1e-4 * np.sqrt(_participation(result, orders, quantity))
    commission = np.maximum(quantity * costs.commission_per_share, costs.commission_min)
    return Spent(
        commission=float(np.sum(commission)),
        regulatory=float(np.sum(orders["fee"] - commission)),
        spread=float(np.sum(concession - slippage - impact)),
        slippage=float(np.sum(slippage)),
        impact=float(np.sum(impact)),
        traded=float(np.sum(quantity * orders["price"])),
        fills=len(orders),
    )


def _participation(result: Result, orders: Any, quantity: Floats) -> Floats:
    """Order quantity over the volume of the row before the fill; 0 where that row had none."""
    before = np.maximum(orders["filled"] - 1, 0)
    volume = np.asarray(result.bars.volume)[before, orders["column"]]
    busy = volume > 0.0
    return np.where(busy, quantity / np.where(busy, volume, 1.0), 0.0)
