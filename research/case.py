"""What is judged, with every expensive answer computed once: the gates, the pictures and the evidence read the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backtests import metrics as m
from backtests.cost_parts import break_even_cost, capacity, cost_curve
from backtests.result import Result
from data.calendar import SESSIONS_PER_YEAR
from data.errors import UsageError
from data.types import Floats
from research import stress
from research.bands import TradeOrders, block_bands, trade_orders
from research.bootstrap import BestOfMany, best_of_many, drawdown_band, sharpe_interval
from research.deflation import deflated_sharpe, expected_max_sharpe, minimum_track_record
from research.overfitting import Overfitting, probability_of_overfitting
from research.table import Table
from research.walkforward import Paths, Plateau, WalkForward, combinatorial_test, plateau, walk_forward_test

NAN = float("nan")
FOLDS = 5
BLOCKS = (16, 12, 10, 8, 6, 4)
RESAMPLED = 500
SHARES = (0.01, 0.05)
HIGHEST = 64.0


@dataclass(frozen=True)
class Case:
    """The run, its family (set 0 is the run), and the family's lifetime.

    trials, variance: different sets ever tried, and the variance of their Sharpe ratios per session.
    draws, seed: of bootstraps and random entries.
    """

    result: Result
    table: Table
    trials: int
    variance: float
    draws: int
    seed: int

    @property
    def returns(self) -> Floats:
        """(S,) of the run's sessions."""
        return self.table.returns[:, 0]

    @cached_property
    def own(self) -> stress.Figures:
        """The run in short."""
        return stress.figures(self.result)

    @cached_property
    def sharpe(self) -> float:
        """Of the run's sessions, not annualised; NaN where it never held anything."""
        return m.sharpe_ratio(self.returns, 1.0)

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Skewness and kurtosis of the run's sessions."""
        return m.moments(self.returns)

    @property
    def expected_best(self) -> float:
        """The Sharpe ratio, not annualised, that the best of as many lucky sets would show."""
        return expected_max_sharpe(max(1, self.trials), self.variance)

    @cached_property
    def probabilistic(self) -> float:
        """The probability that the true Sharpe ratio is above 0."""
        return m.probabilistic_sharpe_ratio(self.returns)

    @cached_property
    def deflated(self) -> float:
        """The probability that it is above `expected_best`; NaN where nothing was held."""
        if not np.isfinite(self.sharpe):
            return NAN
        return deflated_sharpe(
            self.sharpe, len(self.returns), *self.moments, trials=max(1, self.trials), variance=self.variance
        )

    @cached_property
    def needed(self) -> float:
        """Sessions needed for 95 %; infinite where no length would do, NaN where nothing was held."""
        return minimum_track_record(self.sharpe, *self.moments) if np.isfinite(self.sharpe) else NAN

    @cached_property
    def overfitting(self) -> Overfitting | None:
        """PBO of the family; None where sessions or sets are too few."""
        rows, columns = self.table.returns.shape
        blocks = next((b for b in BLOCKS if rows // b >= 4), 0)
        return probability_of_overfitting(self.table.returns, blocks) if blocks and columns >= 2 else None

    @cached_property
    def superior(self) -> BestOfMany | None:
        """Hansen's and White's test of the family's best; None where no set held anything."""
        if not (self.table.returns.std(axis=0) > 0.0).any():
            return None
        return best_of_many(self.table.returns, draws=max(RESAMPLED, self.draws), seed=self.seed)

    @cached_property
    def walk_forward(self) -> WalkForward:
        """Five folds.

        Raises:
            UsageError: too few sessions.
        """
        return walk_forward_test(self.table, FOLDS)

    @cached_property
    def paths(self) -> Paths:
        """Combinatorial purged cross-validation.

        Raises:
            UsageError: too few sessions.
        """
        return combinatorial_test(self.table)

    @cached_property
    def plateau(self) -> Plateau:
        """The chosen set's neighbours."""
        return plateau(self.table)

    @cached_property
    def null(self) -> stress.Null:
        """The same trades at other times."""
        return stress.random_entries(self.result, draws=self.draws, seed=self.seed)

    @cached_property
    def break_even(self) -> float:
        """The multiple of its costs at which nothing is left; infinite above `HIGHEST`."""
        return break_even_cost(self.result, HIGHEST)

    @cached_property
    def late(self) -> stress.Line:
        """The run one row later.

        Raises:
            UsageError: a single row.
        """
        return stress.delayed(self.result)

    @cached_property
    def symbols(self) -> list[stress.Line]:
        """The run without each symbol."""
        return stress.without_symbols(self.result)

    @cached_property
    def best_sessions(self) -> stress.Line:
        """The run without its best sessions."""
        return stress.without_best_sessions(self.result)

    @cached_property
    def regimes(self) -> list[stress.Line]:
        """The run by kind of market; empty for too few sessions."""
        return stress.by_regime(self.result)

    @cached_property
    def costs(self) -> list[tuple[float, float]]:
        """(factor, total return) at 0, 1, 2 and 3 times its costs."""
        return cost_curve(self.result, (0.0, 1.0, 2.0, 3.0))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % band of the annual Sharpe ratio."""
        try:
            return sharpe_interval(self.returns, periods=SESSIONS_PER_YEAR, draws=RESAMPLED, seed=self.seed)
        except UsageError:
            return NAN, NAN

    @cached_property
    def drawdown(self) -> float:
        """The drawdown that resampled histories exceed in 5 % of the cases."""
        try:
            return drawdown_band(self.returns, draws=RESAMPLED, seed=self.seed)
        except UsageError:
            return NAN

    @cached_property
    def bands(self) -> Floats:
        """(3, S) growth of resampled histories.

        Raises:
            UsageError: fewer sessions than a block has.
        """
        return block_bands(self.returns, draws=RESAMPLED, seed=self.seed)

    @cached_property
    def orders(self) -> TradeOrders | None:
        """The trades in other orders; None for fewer than two."""
        return trade_orders(self.result, seed=self.seed) if len(self.result.trades.closed) > 1 else None

    @cached_property
    def capacity(self) -> dict[float, float]:
        """Starting cash by share of volume."""
        return {share: capacity(self.result, share) for share in SHARES}

    @property
    def figures(self) -> dict[str, float]:
        """What is worth knowing and has no threshold."""
        low, high = self.interval
        return {
            "total_return": self.result.metrics["total_return"],
            "sharpe_low": low,
            "sharpe_high": high,
            "drawdown_95": self.drawdown,
            "trade_order_drawdown_95": NAN if self.orders is None else self.orders.limit,
            "capacity_1_percent": self.capacity[0.01],
            "capacity_5_percent": self.capacity[0.05],
            **{f"return_costs_x{factor:g}": total for factor, total in self.costs},
            **{f"sharpe_{line.name.replace(' ', '_')}": line.sharpe for line in self.regimes},
        }
