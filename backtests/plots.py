"""matplotlib figures of a result, for notebooks. The report draws its own."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from backtests.metrics import marks_of
from data.door import did_you_mean
from data.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from backtests.result import Result

# Colours that stay apart for the colour-blind (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7f7f7f"
POINTS = 4_000


def equity_figure(result: Result) -> Figure:
    """Equity and buy-and-hold above, drawdown below; the rows are numbered, so nights and weekends take no space."""
    import matplotlib.pyplot as plt

    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(10, 5.5), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    rows = thinned(result.equity)
    marks = marks_of(result.bars.close)
    held = result.start_cash * np.mean(marks / marks[0], axis=1)
    top.plot(rows, held[rows], color=GREY, linewidth=1.0, label="bought and held, no costs")
    top.plot(rows, result.equity[rows], color=BLUE, linewidth=1.4, label=result.strategy)
    top.axhline(result.start_cash, color=GREY, linewidth=0.6, linestyle=":")
    top.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    top.set_ylabel("equity, dollars")
    top.legend(loc="upper left", frameon=False)
    numbers = result.metrics
    top.set_title(
        f"{result.strategy}: {numbers['total_return']:+.1%}, drawdown {-numbers['max_drawdown']:.1%}, "
        f"Sharpe {numbers['sharpe_ratio']:.2f}",
        loc="left",
    )
    bottom.fill_between(rows, 100.0 * result.drawdowns[rows], 0.0, color=RED, alpha=0.35, linewidth=0)
    bottom.set_ylabel("drawdown, %")
    bottom.set_ylim(min(105.0 * float(np.min(result.drawdowns)), -0.1), 0.0)
    name_rows(bottom, result, 0, len(result.bars))
    tidy(top, bottom)
    return figure


def trades_figure(
    result: Result, symbol: str | None = None, start: int | None = None, stop: int | None = None
) -> Figure:
    """Closes of one symbol over rows `start:stop`; entries point the way of the trade, lines lead to the exits.

    Raises:
        UsageError: a symbol that is not in the result.
    """
    import matplotlib.pyplot as plt

    trades, symbols = result.trades.records, result.bars.symbols
    if symbol is None:
        symbol = symbols[int(trades["column"][0])] if len(trades) else symbols[0]
    if symbol not in symbols:
        raise UsageError(f"the result has no symbol {symbol!r}{did_you_mean(symbol, symbols)}")
    column = symbols.index(symbol)
    first, last, _ = slice(start, stop).indices(len(result.bars))
    mine = trades[(trades["column"] == column) & (trades["exit_row"] >= first) & (trades["entry_row"] < last)]
    figure, axes = plt.subplots(figsize=(10, 4.5), layout="constrained")
    rows = first + thinned(result.bars.close[first:last, column])
    axes.plot(rows, result.bars.close[rows, column], color=GREY, linewidth=0.9, label=f"{symbol} close")
    for side, marker, name in ((1, "^", "long"), (-1, "v", "short")):
        some = mine[mine["side"] == side]
        if len(some):
            axes.plot(some["entry_row"], some["entry_price"], marker, color=BLUE, markersize=7, label=f"{name} entry")
    for won, colour, name in ((True, GREEN, "exit with a gain"), (False, RED, "exit with a loss")):
        some = mine[(mine["pnl"] > 0.0) == won]
        if len(some):
            ends = np.array([some["entry_row"], some["exit_row"]]), np.array([some["entry_price"], some["exit_price"]])
            axes.plot(*ends, color=colour, linewidth=0.9, alpha=0.7)
            axes.plot(some["exit_row"], some["exit_price"], "o", color=colour, markersize=5, label=name)
    axes.set_title(f"{result.strategy} on {symbol}: {len(mine)} trades", loc="left")
    axes.set_ylabel("price")
    axes.set_xlim(first - 0.5, last - 0.5)
    axes.legend(loc="best", frameon=False, fontsize="small")
    name_rows(axes, result, first, last)
    tidy(axes)
    return figure


def thinned(values: Any) -> Any:
    """Rows worth drawing: all of few, else the lowest and highest of each bucket, so that no spike is lost."""
    count = len(values)
    if count <= POINTS:
        return np.arange(count)
    edges = np.linspace(0, count, POINTS // 2 + 1).astype(np.int64)
    known = np.nan_to_num(values, nan=float(np.nanmedian(values)))
    picked = {0, count - 1}
    for low, high in pairwise(edges):
        part = known[low:high]
        picked |= {int(low + np.argmin(part)), int(low + np.argmax(part))}
    return np.array(sorted(picked))


def name_rows(axes: Axes, result: Result, first: int, last: int) -> None:
    """Label the rows' axis with their New York times."""
    index = result.index.tz_convert("America/New_York")
    first, last = max(first, 0), min(last, len(index))
    many = len(np.unique(result.bars.session[first:last])) > 20
    shown = "%Y-%m-%d" if many or result.clock == "1d" else "%m-%d %H:%M"

    def name(value: float, _: Any) -> str:
        row = round(value)
        return str(index[row].strftime(shown)) if 0 <= row < len(index) else ""

    axes.xaxis.set_major_formatter(name)


def tidy(*every: Axes) -> None:
    """No box, a faint grid."""
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, alpha=0.25, linewidth=0.6)
