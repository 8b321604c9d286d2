"""What is left of a backtest when it is made harder, as figures: costs, delay, kinds of market."""

from __future__ import annotations

from math import isfinite

import numpy as np
from matplotlib.figure import Figure

from backtests.cost_parts import break_even_cost, cost_curve
from backtests.plots import BLUE, GREY, ORANGE, RED
from backtests.result import Result
from data.errors import UsageError
from research.plots_look import INK, blank, tidy
from research.stress import by_regime, delayed, figures

VOLATILITY = ("calm", "usual", "wild")


def costs_figure(result: Result, highest: float = 3.0) -> Figure:
    """Total return at multiples of the costs, up to `highest` or beyond the break-even, which is marked."""
    figure, axes = blank(size=(8.0, 3.8))
    limit = break_even_cost(result)
    reach = max(highest, 1.15 * limit) if isfinite(limit) else highest
    factors = tuple(sorted({*np.linspace(0.0, reach, 13).tolist(), 1.0}))
    returns = [100.0 * total for _, total in cost_curve(result, factors)]
    axes.plot(factors, returns, "o-", color=BLUE, markersize=4, linewidth=1.4, label="total return")
    axes.plot(1.0, returns[factors.index(1.0)], "o", color=ORANGE, markersize=9, label="as tested")
    axes.axhline(0.0, color=INK, linewidth=0.8)
    if limit == 0.0:
        words = "lost without any"
    elif isfinite(limit):
        words = f"nothing is left at {limit:.2f} times"
        axes.axvline(limit, color=RED, linewidth=1.4, linestyle="--", label=f"break-even, x{limit:.2f}")
    else:
        words = "even 64 times do not eat it"
    axes.set_xlabel("costs, times those of the run")
    axes.set_ylabel("total return, %")
    axes.set_title(f"{result.strategy} at other costs: {words}", loc="left")
    axes.legend(loc="best", frameon=False, fontsize="small")
    tidy(axes)
    return figure


def delay_figure(result: Result, most: int = 5) -> Figure:
    """Sharpe ratio with every signal known 0 to `most` rows later.

    Raises:
        UsageError: fewer rows than that, or no delay at all.
    """
    if not 1 <= most < len(result.bars):
        raise UsageError(f"delays must reach from 1 to {len(result.bars) - 1} rows, got {most}")
    figure, axes = blank(size=(8.0, 3.6))
    sharpes = [figures(result).sharpe, *(delayed(result, rows).sharpe for rows in range(1, most + 1))]
    axes.plot(range(most + 1), sharpes, "o-", color=BLUE, markersize=6, linewidth=1.4)
    axes.plot(0, sharpes[0], "o", color=ORANGE, markersize=9, label="on time")
    axes.axhline(0.0, color=INK, linewidth=0.8)
    low, high = min(0.0, *sharpes), max(0.0, *sharpes)
    axes.set_ylim(low - 0.08 * (high - low) - 0.01, high + 0.25 * (high - low) + 0.01)
    axes.set_xticks(range(most + 1))
    axes.set_xlabel(f"signals later by, rows of {result.clock}")
    axes.set_ylabel("Sharpe ratio a year")
    axes.set_title(f"{result.strategy}: Sharpe {sharpes[0]:.2f} on time, {sharpes[1]:.2f} one row late", loc="left")
    axes.legend(loc="upper right", frameon=False, fontsize="small")
    tidy(axes)
    return figure


def regimes_figure(result: Result, window: int = 20) -> Figure:
    """Sharpe ratio by what the market did in the `window` sessions before.

    Raises:
        UsageError: too few sessions to tell kinds of market apart.
    """
    lines = by_regime(result, window)
    if not lines:
        raise UsageError(f"{len(np.unique(result.bars.session))} sessions are too few to tell kinds of market apart")
    figure, axes = blank(size=(8.0, 3.6))
    places = np.array([k if line.name in VOLATILITY else k + 0.5 for k, line in enumerate(lines)])
    colours = [BLUE if line.name in VOLATILITY else ORANGE for line in lines]
    bars = axes.barh(places, [line.sharpe for line in lines], height=0.7, color=colours)
    axes.bar_label(bars, fmt="%.2f", padding=4, fontsize="small")
    own = figures(result).sharpe
    axes.axvline(own, color=GREY, linewidth=1.2, linestyle="--", label=f"all sessions, {own:.2f}")
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks(places, [f"{line.name}\n{line.fills:,} sessions" for line in lines], fontsize="small")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("Sharpe ratio a year")
    axes.set_ylabel(f"market, {window} sessions before")
    axes.set_title(f"{result.strategy} by kind of market", loc="left")
    axes.legend(loc="best", frameon=False, fontsize="small")
    tidy(axes)
    axes.grid(visible=False, axis="y")
    return figure
