"""What a backtest leaves: everything that went in, everything that came out, and views of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from backtests import metrics
from backtests.cost_parts import CostParts, cost_parts
from backtests.trades import Trades, trades_of
from data.types import Bars, Book, Floats
from strategies.common.costs import Costs
from strategies.common.position import REASONS
from strategies.common.rule import Rule
from strategies.types import Signals

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Result:
    """One finished backtest.

    What went in:
        strategy: name. source_hash: SHA-256 of its source. params: all of them, by name.
        bars, book: the rows; book is None where there was none. signals: what the strategy said, each field (T, N).
        rule, costs, clock, start_cash: as run. strategy_path: of its file, "" for a function of a notebook, whose
            text is `strategy_source` then.

    What came out, valued at the closes of the rows:
        orders: structured array, see `backtests.scan.ORDERS`, in the order they were decided.
        equity, cash: (T,) dollars. positions: (T, N) signed shares.

    Computed when first asked for:
        fills: the orders that were filled. returns, drawdowns: (T,) fractions. trades: `Trades`.
        cost_parts: `CostParts`, what each fill paid.
        metrics: numbers by plain name (`backtests.stats.measure`). stats(): the same under vectorbt's names, then ours.
        portfolio: vectorbt's view of the same orders. judge(): how far its valuation of them is from ours.
        provenance: hashes, versions and `origin`, which says where the rows came from (`source`, `simulated`).
        index, equity_frame, orders_frame, positions_frame, value(): for pandas.

    For notebooks: the result itself as a cell's value; plot(), plot(panel, ...), plot_trades(), plot_months(),
    plot_rolling(), plot_returns(), plot_costs(), plot_excursions(), all matplotlib figures.
    To keep: report(path), save(path) and Result.load(path).
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
    origin: Mapping[str, Any] = field(default_factory=dict)
    strategy_path: str = ""
    strategy_source: str = ""

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
    def cost_parts(self) -> CostParts:
        """What each of `fills` paid: half-spread, slippage, impact, commission, regulatory fees; (F,) dollars each."""
        return cost_parts(self)

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

    @cached_property
    def portfolio(self) -> Any:
        """vectorbt's `Portfolio` of the same orders, for its analysis and plots; see `backtests.portfolio`."""
        from backtests.portfolio import portfolio_of

        return portfolio_of(self)

    def judge(self) -> dict[str, Any]:
        """How far vectorbt's valuation of the same orders is from ours; see `backtests.portfolio.judge`."""
        from backtests.portfolio import judge

        return judge(self)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What a rerun must find equal: hashes of rows and strategy, parameters, versions, commit."""
        from backtests.provenance import provenance_of

        return provenance_of(self)

    @property
    def index(self) -> pd.DatetimeIndex:
        """(T,) closes of the rows, UTC."""
        import pandas as pd

        return pd.DatetimeIndex(self.bars.ts, tz="UTC", name="timestamp")

    def value(self) -> pd.Series:
        """Equity at the close of each row, dollars; vectorbt's name for it."""
        import pandas as pd

        return pd.Series(self.equity, index=self.index, name="value")

    @property
    def equity_frame(self) -> pd.DataFrame:
        """Equity, cash, return and drawdown of each row."""
        import pandas as pd

        columns = {"equity": self.equity, "cash": self.cash, "return": self.returns, "drawdown": self.drawdowns}
        return pd.DataFrame(columns, index=self.index)

    @property
    def positions_frame(self) -> pd.DataFrame:
        """Signed shares held at each close, a column per symbol."""
        import pandas as pd

        return pd.DataFrame(self.positions, index=self.index, columns=pd.Index(self.bars.symbols, name="symbol"))

    @property
    def orders_frame(self) -> pd.DataFrame:
        """One row an order, what it paid in dollars by part; empty or 0 where it expired or still waits."""
        import pandas as pd

        orders, index = self.orders, self.index
        done = orders["filled"] >= 0
        filled = index[orders["filled"]].where(done)
        parts = {name: np.zeros(len(orders)) for name in ("half_spread", "slippage", "impact")}
        for name, column in parts.items():
            column[done] = getattr(self.cost_parts, name)
        return pd.DataFrame(
            {
                "decided": index[orders["decided"]],
                "symbol": np.array(self.bars.symbols, dtype=object)[orders["column"]],
                "side": np.where(orders["quantity"] > 0.0, "buy", "sell"),
                "quantity": np.abs(orders["quantity"]),
                "reason": np.array(REASONS, dtype=object)[orders["reason"]],
                "filled": filled,
                "reference": orders["reference"],
                "price": orders["price"],
                "fee": orders["fee"],
                **parts,
            }
        )

    def plot(self, *panels: str) -> Figure:
        """Equity beside buy-and-hold with the drawdown below, or panels by vectorbt's names, as a matplotlib figure.

        Args:
            panels: of orders, trades, trade_pnl, asset_flow, cash_flow, assets, cash, asset_value, value, cum_returns,
                drawdowns, underwater, gross_exposure, net_exposure.

        Raises:
            UsageError: no such panel.
        """
        if panels:
            from backtests.plots_panels import panels_figure

            return panels_figure(self, panels)
        from backtests.plots import equity_figure

        return equity_figure(self)

    def plot_months(self) -> Figure:
        """Returns by month, a row a year."""
        from backtests.plots_more import months_figure

        return months_figure(self)

    def plot_rolling(self, benchmark: str = "") -> Figure:
        """Sharpe ratio, volatility and beta (to all symbols held, or to `benchmark`) of the last sessions."""
        from backtests.plots_more import rolling_figure

        return rolling_figure(self, benchmark)

    def plot_returns(self) -> Figure:
        """How the returns of sessions are spread."""
        from backtests.plots_more import returns_figure

        return returns_figure(self)

    def plot_costs(self) -> Figure:
        """What the fills paid by part, and what is left at multiples of it."""
        from backtests.plots_more import costs_figure

        return costs_figure(self)

    def plot_excursions(self) -> Figure:
        """Worst and best price met by each closed trade against its return."""
        from backtests.plots_more import excursions_figure

        return excursions_figure(self)

    def plot_trades(self, symbol: str | None = None, start: int | None = None, stop: int | None = None) -> Figure:
        """Entries and exits on the closes of one symbol (default: the first traded), over rows `start:stop`."""
        from backtests.plots import trades_figure

        return trades_figure(self, symbol, start, stop)

    def report(self, path: str | Path, **extras: Any) -> Path:
        """Write the HTML report, the difference to vectorbt in it; returns its path.

        Args:
            extras: certificate, judge, paper, session, evidence, notes, benchmark, with_source; see
                `backtests.report_manifest.Extras`. The benchmark may be the name of a symbol of the run, and evidence
                the path of a file.
        """
        from backtests.report import write_report

        if isinstance(extras.get("evidence"), str | Path):
            from backtests.evidence import read_evidence

            extras["evidence"] = read_evidence(extras["evidence"])
        if "judge" not in extras:
            extras["judge"] = self.judge()["equity"]
        return write_report(self, path, **extras)

    def save(self, path: str | Path) -> Path:
        """Write everything to one file, to the last bit, with a hash over it; returns its path."""
        from backtests.saved import save_result

        return save_result(self, path)

    @staticmethod
    def load(path: str | Path) -> Result:
        """The result that `save` wrote.

        Raises:
            DataError: no such file, one of another kind or version, or one that was damaged or changed.
        """
        from backtests.saved import load_result

        return load_result(path)

    def summary(self) -> str:
        """The run in a few lines."""
        from backtests.stats import summary

        return summary(self)

    def as_dict(self) -> dict[str, Any]:
        """The run without its arrays, for JSON."""
        return {
            "strategy": self.strategy,
            "params": dict(self.params),
            "symbols": list(self.bars.symbols),
            "rows": len(self.bars),
            "clock": self.clock,
            "rule": asdict(self.rule),
            "costs": asdict(self.costs),
            "metrics": self.metrics,
            "cost_parts": self.cost_parts.sums(),
            "provenance": self.provenance,
        }

    def __repr__(self) -> str:
        rows, symbols = self.bars.shape
        total = self.equity[-1] / self.start_cash - 1.0
        return f"Result({self.strategy}: {rows} rows x {symbols} symbols, {len(self.trades)} trades, {total:+.2%})"

    def _repr_html_(self) -> str:
        from backtests.result_html import result_html

        return result_html(self)
