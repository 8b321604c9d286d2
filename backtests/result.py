"""What a backtest leaves: everything that went in, everything that came out, and views of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from backtests import metrics
from backtests.trades import Trades, trades_of
from data.types import Bars, Book, Floats
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from strategies.types import Signals

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Result:
    """One finished backtest.

    What went in:
        strategy: name. source_hash: SHA-256 of its source. params: all of them, by name.
        bars, book: the rows; book is None where there was none. signals: what the strategy said, each field (T, N).
        rule, costs, clock, start_cash: as run.

    What came out, valued at the closes of the rows:
        orders: structured array, see `backtests.scan.ORDERS`, in the order they were decided.
        equity, cash: (T,) dollars. positions: (T, N) signed shares.

    Computed when first asked for:
        fills: the orders that were filled. returns, drawdowns: (T,) fractions. trades: `Trades`.
        metrics: numbers by plain name (`backtests.stats.measure`). provenance: hashes and versions.
        stats(): the same under vectorbt's names, then ours. portfolio: vectorbt's view of the same orders.
        judge(): how far vectorbt's valuation of the same orders is from ours.
    """

    strategy: str
    source_hash: str
    params: Mapping[str, Any]
    bars: Bars
    book: Book | None
    signals: Signals
    rule: Rule
    costs: Costs
    clock: str
    start_cash: float
    orders: npt.NDArray[Any]
    equity: Floats
    cash: Floats
    positions: Floats

    @cached_property
    def fills(self) -> npt.NDArray[Any]:
        """The orders that were filled."""
        return np.asarray(self.orders[self.orders["filled"] >= 0])

    @cached_property
    def returns(self) -> Floats:
        """(T,) return of each row on the equity of the row before, the first on the cash at the start."""
        return metrics.returns_of(self.equity, self.start_cash)

    @cached_property
    def drawdowns(self) -> Floats:
        """(T,) equity below its peak so far, as a fraction at most 0."""
        return metrics.drawdowns(self.equity, self.start_cash)

    @cached_property
    def trades(self) -> Trades:
        """Entries to exits; the open ones are valued at the last close."""
        return trades_of(self.orders, self.bars)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every number of the run by a plain name; see `backtests.stats.measure`."""
        from backtests.stats import measure

        return measure(self)

    def stats(self) -> pd.Series:
        """The numbers of the run under vectorbt's names, then ours.

        Ratios are annualised by the exchange calendar, so Sharpe, Sortino and Calmar differ from vectorbt's by its
        longer year; durations are calendar time, not rows times the clock.
        """
        import pandas as pd

        from backtests.stats import table

        return pd.Series(table(self), name=self.strategy, dtype=object)
