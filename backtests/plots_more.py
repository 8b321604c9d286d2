"""Figures of a result that vectorbt has no subplot for: months, rolling risk, distribution, costs, excursions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from backtests import metrics
from backtests.cost_parts import break_even_cost, cost_curve
from backtests.plots import BLUE, GREEN, GREY, ORANGE, RED, name_rows, tidy
from backtests.report_risk import benchmark_of, rolling
from data.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from backtests.result import Result

MONTHS = ("J", "F", "M", "A", "M", "J", "J", "A", "S", "O", "N", "D")


def months_figure(result: Result) -> Figure:
    """Returns by month, a row a year; blue gains and orange losses."""
    import matplotlib.pyplot as plt

    month = result.bars.session // 100
    last = metrics.session_ends(month)
    returns = 100.0 * metrics.returns_of(result.equity[last], result.start_cash)
    years = np.unique(month // 100)
    grid = np.full((len(years), 12), np.nan)
    grid[np.searchsorted(years, month[last] // 100), month[last] % 100 - 1] = returns
    full = max(float(np.nanmax(np.abs(grid))), 1e-6)
    figure, axes = plt.subplots(figsize=(9, 1.1 + 0.36 * len(years)), layout="constrained")
    image = axes.imshow(grid, cmap="PuOr_r", vmin=-full, vmax=full, aspect="auto")
    for (row, column), value in np.ndenumerate(grid):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.7 * full else "black"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(12), MONTHS)
    axes.set_yticks(range(len(years)), [str(year) for year in years])
    axes.set_title(f"{result.strategy}: return by month, %", loc="left")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, pad=0.01)
    return figure


def rolling_figure(result: Result, benchmark: str = "") -> Figure:
    """Sharpe ratio, volatility and beta of the last sessions.

    Raises:
        UsageError: too few sessions, or no such benchmark.
    """
    import matplotlib.pyplot as plt

    other = benchmark_of(result, benchmark)
    found = rolling(result, other)
    if found is None:
        raise UsageError(f"{len(np.unique(result.bars.session))} sessions are too few for a rolling window of 21")
    rows = np.cumsum(found["rows"])
    figure, every = plt.subplots(3, 1, figsize=(10, 5.5), sharex=True, layout="constrained")
    for axes, name, colour, title in zip(
        every,
        ("sharpe", "volatility", "beta"),
        (BLUE, RED, GREY),
        ("Sharpe ratio", "volatility a year, %", f"beta to {other.name.lower()}"),
        strict=True,
    ):
        known = np.array([step is not None for step in found[name]])
        values = np.full(len(rows), np.nan)
        values[known] = np.cumsum([step for step in found[name] if step is not None]) * found["unit"]
        axes.plot(rows, values * (100.0 if name == "volatility" else 1.0), color=colour, linewidth=1.2)
        axes.axhline(0.0, color=GREY, linewidth=0.6)
        axes.set_ylabel(title)
    every[0].set_title(f"{result.strategy}: the last {found['window']} sessions at each session's end", loc="left")
    name_rows(every[-1], result, 0, len(result.bars))
    tidy(*every)
    return figure


def returns_figure(result: Result) -> Figure:
    """How the returns of sessions are spread, with their mean and the worst twentieth."""
    import matplotlib.pyplot as plt

    returns = 100.0 * metrics.session_returns(result.equity, result.bars.session, result.start_cash)
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    axes.hist(returns, bins=min(60, max(10, len(returns) // 8)), color=BLUE, alpha=0.8)
    axes.axvline(float(np.mean(returns)), color=GREY, linestyle="--", label=f"mean {np.mean(returns):+.3f} %")
    at_risk = metrics.value_at_risk(returns)
    axes.axvline(at_risk, color=RED, linestyle="--", label=f"worst 5 % below {at_risk:.2f} %")
    axes.set(xlabel="return of a session, %", ylabel="sessions")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"{result.strategy}: {len(returns):,} sessions", loc="left")
    axes.legend(frameon=False)
    tidy(axes)
    return figure


def costs_figure(result: Result) -> Figure:
    """What the fills paid by part, and what is left at multiples of it."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    sums = result.cost_parts.sums()
    names = [name.replace("_", "-") if name == "half_spread" else name for name in sums]
    drawn = left.barh(names, list(sums.values()), color=BLUE)
    left.bar_label(drawn, fmt="{:,.0f}", padding=4, fontsize="small")
    left.invert_yaxis()
    left.margins(x=0.15)
    left.set_xlabel("dollars")
    left.set_title(f"paid: {sum(sums.values()):,.2f} dollars", loc="left")
    curve, limit = cost_curve(result), break_even_cost(result)
    right.plot([factor for factor, _ in curve], [100.0 * value for _, value in curve], "o-", color=BLUE, markersize=4)
    right.axvline(1.0, color=ORANGE, linestyle=":", label="as tested")
    if 0.0 < limit <= curve[-1][0]:
        right.axvline(limit, color=RED, linestyle="--", label=f"nothing left at {limit:.2f}")
    right.axhline(0.0, color=GREY, linewidth=0.7)
    right.set(xlabel="costs, times those of the run", ylabel="total return, %")
    right.legend(frameon=False, fontsize="small")
    tidy(left, right)
    return figure


def excursions_figure(result: Result) -> Figure:
    """Worst (MAE) and best (MFE) price met by each closed trade against its return."""
    import matplotlib.pyplot as plt

    closed = result.trades.closed
    figure, every = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
    colours = np.where(closed["pnl"] > 0.0, GREEN, RED)
    for axes, name, title in zip(
        every, ("mae", "mfe"), ("worst price met (MAE), %", "best price met (MFE), %"), strict=True
    ):
        axes.scatter(100.0 * closed[name], 100.0 * closed["return"], c=colours, s=14, alpha=0.7)
        axes.axhline(0.0, color=GREY, linewidth=0.6)
        axes.set_xlabel(title)
    every[0].set_ylabel("return after costs, %")
    every[0].set_title(f"{result.strategy}: {len(closed):,} closed trades", loc="left")
    tidy(*every)
    return figure
