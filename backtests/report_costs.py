"""What the fills of a run cost in all, for the report."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backtests.result import Result


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
    orders, sums = result.fills, result.cost_parts.sums()
    return Spent(
        commission=sums["commission"],
        regulatory=sums["regulatory"],
        spread=sums["half_spread"],
        slippage=sums["slippage"],
        impact=sums["impact"],
        traded=float(np.sum(np.abs(orders["quantity"]) * orders["price"])),
        fills=len(orders),
    )
