"""What each fill of a run cost, part by part, and what would have been left at other costs or with more money.

Recorded with every order are its reference price, the price paid and the fee. What was paid over the reference is
split as the cost model made it (`strategies.common.costs.market_price`): slippage and impact by their formulas, the
rest is half the spread. Where the model's cap on the whole deviation cut it off, the parts are cut in proportion. The
parts of a fill add up to what was recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backtests.scan import scan
from data.errors import UsageError
from data.types import Floats
from strategies.common.position import TARGET_HIT

if TYPE_CHECKING:
    import pandas as pd

    from backtests.result import Result


class CostParts(NamedTuple):
    """Dollars paid by each fill, (F,) in the order of `Result.fills`; costs are positive.

    half_spread, slippage, impact: paid in the price. commission, regulatory: the two parts of the fee.
    """

    half_spread: Floats
    slippage: Floats
    impact: Floats
    commission: Floats
    regulatory: Floats

    @property
    def total(self) -> Floats:
        """(F,) all parts added."""
        return self.half_spread + self.slippage + self.impact + self.commission + self.regulatory

    def sums(self) -> dict[str, float]:
        """Dollars of the whole run, by part."""
        return {name: float(np.sum(values)) for name, values in self._asdict().items()}

    def frame(self) -> pd.DataFrame:
        """A row a fill, a column a part, dollars."""
        import pandas as pd

        return pd.DataFrame(self._asdict())


def cost_parts(result: Result) -> CostParts:
    """The costs of the filled orders of a run."""
    orders, costs = result.fills, result.costs
    quantity = np.abs(orders["quantity"])
    paid = orders["quantity"] * (orders["price"] - orders["reference"])
    # A target is a limit order: it is filled at its level.
    market = ~((orders["reason"] == TARGET_HIT) & (orders["decided"] == orders["filled"]))
    basis = np.where(market, quantity * orders["reference"], 0.0) * costs.times * 1e-4
    slippage = basis * costs.slippage_bps
    impact = basis * costs.impact_bps * np.sqrt(_participation(result, orders, quantity))
    both = slippage + impact
    kept = np.where(both > paid, np.divide(paid, both, out=np.zeros_like(paid), where=both > 0.0), 1.0)
    slippage, impact = slippage * kept, impact * kept
    commission = np.maximum(quantity * costs.commission_per_share, costs.commission_min) * costs.times
    return CostParts(
        half_spread=paid - slippage - impact,
        slippage=slippage,
        impact=impact,
        commission=commission,
        regulatory=orders["fee"] - commission,
    )


def cost_curve(
    result: Result, factors: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
) -> list[tuple[float, float]]:
    """(factor, total return) of the same signals at multiples of the costs; regulatory fees stay as they are."""
    return [(factor, _return_at(result, factor)) for factor in factors]


def break_even_cost(result: Result, highest: float = 64.0) -> float:
    """The multiple of its costs at which nothing is left, to a hundredth.

    0 where the run loses without any, infinite where even `highest` does not eat it.
    """
    if _return_at(result, 0.0) <= 0.0:
        return 0.0
    low, high = 0.0, 1.0
    while _return_at(result, high) > 0.0:
        low, high = high, high * 2.0
        if low >= highest:
            return float("inf")
    while high - low > 0.01:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _return_at(result, middle) > 0.0 else (low, middle)
    return 0.5 * (low + high)


def participation(result: Result) -> Floats:
    """(F,) quantity of each fill over the volume of the row it was filled in; NaN where that row had none."""
    fills = result.fills
    volume = np.asarray(result.bars.volume)[fills["filled"], fills["column"]]
    return np.asarray(np.abs(fills["quantity"]) / np.where(volume > 0.0, volume, np.nan))


def capacity(result: Result, share: float = 0.01) -> float:
    """Cash at the start at which 95 % of the fills stay below `share` of their row's volume; NaN without fills.

    Quantities grow with cash in proportion: cash * share / (95 % quantile of `participation`).

    Raises:
        UsageError: a share that is none.
    """
    if not 0.0 < share <= 1.0:
        raise UsageError(f"the share of volume must lie between 0 and 1, got {share!r}")
    taken = participation(result)
    taken = taken[np.isfinite(taken)]
    return float(result.start_cash * share / np.quantile(taken, 0.95)) if len(taken) else float("nan")


def _return_at(result: Result, factor: float) -> float:
    costs = result.costs.scaled(factor)
    done = scan(result.bars, result.book, result.signals, result.rule.knobs(result.clock), costs, result.start_cash)
    return float(done.equity[-1]) / result.start_cash - 1.0


def _participation(result: Result, orders: Any, quantity: Floats) -> Floats:
    """Order quantity over the volume of the row before the fill; 0 where that row had none."""
    before = np.maximum(orders["filled"] - 1, 0)
    volume = np.asarray(result.bars.volume)[before, orders["column"]]
    busy = volume > 0.0
    return np.where(busy, quantity / np.where(busy, volume, 1.0), 0.0)
