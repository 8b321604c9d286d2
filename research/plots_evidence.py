"""Choosing on the past and judging on what came after, and luck, as figures.

folds_figure(table, walk_forward_test(table))
paths_figure(table, combinatorial_test(table))
null_figure(random_entries(result))
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from backtests.plots import BLUE, GREEN, GREY, RED
from data.types import Floats
from research.bands import TradeOrders
from research.plots_look import INK, SHADE, blank, days, grown, named, tidy
from research.stress import Null
from research.table import Table
from research.walkforward import Paths, WalkForward


def folds_figure(table: Table, done: WalkForward, chosen: int = 0) -> Figure:
    """Sharpe inside and outside of every fold above, the stitched equity of the unseen sessions below.

    Args:
        chosen: number of the set that is drawn beside it, which saw every session.
    """
    figure, (top, bottom) = blank(2, 1, (9.0, 5.6), sharex=True, height_ratios=[2, 3])
    seen = table.sessions[len(table.sessions) - len(done.returns) :]
    when = days(seen)
    firsts = [int(np.searchsorted(seen, fold.first)) for fold in done.folds]
    lasts = [int(np.searchsorted(seen, fold.last)) for fold in done.folds]
    begin = when[firsts]
    third = (when[lasts] - begin) / np.timedelta64(1, "D") / 3.0
    step = np.array([np.timedelta64(round(24 * width), "h") for width in third])
    left = begin.astype("datetime64[h]") + step // 2
    for shift, colour, name, values in (
        (0, GREY, "inside: where it was chosen", [fold.inside for fold in done.folds]),
        (1, BLUE, "outside: on the sessions after", [fold.outside for fold in done.folds]),
    ):
        top.bar(left + shift * step, values, width=third, align="edge", color=colour, label=name)
    top.axhline(0.0, color=INK, linewidth=0.8)
    varied = [name for name in table.sets[0] if len({each[name] for each in table.sets}) > 1]
    low = min(0.0, *(value for fold in done.folds for value in (fold.inside, fold.outside)))
    high = max(0.0, *(value for fold in done.folds for value in (fold.inside, fold.outside)))
    top.set_ylim(low - 0.08 * (high - low), high + 0.55 * (high - low))
    if len(done.folds) <= 8 and len(varied) <= 4:
        for fold, middle in zip(done.folds, left + step, strict=True):
            words = "\n".join(f"{name}={table.sets[fold.chosen][name]:.4g}" for name in varied)
            at = max(fold.inside, fold.outside, 0.0) + 0.04 * (high - low)
            top.annotate(words, (middle, at), ha="center", va="bottom", fontsize="x-small", color=INK)
    top.set_ylabel("Sharpe ratio a year")
    top.legend(loc="upper left", frameon=False, ncols=2, fontsize="small")
    top.set_title(
        f"walk-forward, {len(done.folds)} folds: Sharpe {done.sharpe:.2f} on unseen sessions, "
        f"efficiency {done.efficiency:.2f}",
        loc="left",
    )
    own = {name: table.sets[chosen][name] for name in varied}
    label = f"{named(own) if 0 < len(own) <= 4 else 'the chosen set'}, which saw them all"
    bottom.plot(when, grown(table.returns[-len(seen) :, chosen]), color=GREY, linewidth=1.0, label=label)
    bottom.plot(when, grown(done.returns), color=BLUE, linewidth=1.4, label="stitched, unseen by each choice")
    for border in begin[1:]:
        for axes in (top, bottom):
            axes.axvline(border, color=GREY, linewidth=0.6, linestyle=":")
    bottom.axhline(0.0, color=INK, linewidth=0.6)
    bottom.set_ylabel("return since the first test, %")
    bottom.legend(loc="upper left", frameon=False, fontsize="small")
    _name_days(bottom)
    tidy(top, bottom)
    return figure


def paths_figure(table: Table, done: Paths, chosen: int = 0) -> Figure:
    """Every path of combinatorial purged cross-validation with the middle of them; their Sharpe ratios beside it."""
    figure, (left, right) = blank(1, 2, (9.0, 4.0), width_ratios=[4, 1])
    when, ways = days(table.sessions), grown(done.returns)
    left.fill_between(when, ways.min(axis=0), ways.max(axis=0), color=SHADE, alpha=0.6, linewidth=0, label="the fan")
    for way, sharpe in zip(ways, done.sharpes, strict=True):
        left.plot(when, way, color=RED if sharpe < 0.0 else BLUE, linewidth=0.8, alpha=0.55)
    left.plot(when, np.median(ways, axis=0), color=INK, linewidth=1.2, label="middle of the paths")
    left.axhline(0.0, color=INK, linewidth=0.6)
    left.set_ylabel("return, %")
    left.legend(loc="upper left", frameon=False, fontsize="small")
    left.set_title(f"{len(ways)} paths of sessions unseen by each choice: {done.losing:.0%} lose", loc="left")
    _name_days(left)
    order = np.sort(done.sharpes)
    spread = np.linspace(-0.25, 0.25, len(order)) if len(order) > 1 else np.zeros(1)
    right.scatter(spread, order, s=26, c=[RED if s < 0.0 else BLUE for s in order])
    own = float(table.sharpes()[chosen])
    right.axhline(own, color=GREEN, linewidth=1.4, linestyle="--", label="chosen set")
    right.axhline(0.0, color=INK, linewidth=0.8)
    low, high = min(0.0, own, float(order[0])), max(0.0, own, float(order[-1]))
    right.set_ylim(low - 0.1 * (high - low) - 0.01, high + 0.3 * (high - low) + 0.01)
    right.set_xlim(-0.6, 0.6)
    right.set_xticks([])
    right.set_xlabel("paths, sorted")
    right.set_ylabel("Sharpe ratio a year")
    right.legend(loc="upper left", frameon=False, fontsize="x-small")
    tidy(left, right)
    return figure


def null_figure(null: Null) -> Figure:
    """Sharpe ratios of the same trades at other times, the strategy's own marked."""
    figure, axes = blank(size=(9.0, 3.6))
    limit = float(np.quantile(null.sharpes, 0.95))
    axes.hist(null.sharpes, bins=min(40, max(8, len(null.sharpes) // 6)), color=GREY, alpha=0.6, label="other times")
    axes.axvline(limit, color=INK, linewidth=1.0, linestyle=":", label=f"95 % of them lie below {limit:.2f}")
    axes.axvline(
        null.own, color=BLUE if null.own > limit else RED, linewidth=2.2, label=f"the strategy, {null.own:.2f}"
    )
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Sharpe ratio a year")
    axes.set_ylabel(f"draws of {len(null.sharpes)}")
    axes.set_title(f"the same entries and exits at other times: p = {null.p_value:.3f}", loc="left")
    axes.legend(loc="best", frameon=False, fontsize="small")
    tidy(axes)
    return figure


def bands_figure(table: Table, bands: Floats, orders: TradeOrders | None, chosen: int = 0) -> Figure:
    """The equity within resampled histories; the drawdowns of its trades in other orders beside it."""
    figure, (left, right) = blank(1, 2, (9.0, 3.8), width_ratios=[3, 2])
    when = days(table.sessions)
    low, middle, high = 100.0 * bands
    left.fill_between(when, low, high, color=SHADE, alpha=0.6, linewidth=0, label="nine of ten resampled histories")
    left.plot(when, middle, color=GREY, linewidth=1.0, label="the middle of them")
    left.plot(when, grown(table.returns[:, chosen]), color=BLUE, linewidth=1.4, label="as it was")
    left.axhline(0.0, color=INK, linewidth=0.6)
    left.set_ylabel("return, %")
    left.set_title(f"sessions in other orders: {low[-1]:+.0f} % to {high[-1]:+.0f} %", loc="left")
    left.legend(loc="upper left", frameon=False, fontsize="small")
    _name_days(left)
    right.set_xlabel("deepest drawdown, %")
    right.set_ylabel("orders")
    if orders is None:
        right.set_title("fewer than two closed trades", loc="left")
    else:
        right.hist(100.0 * orders.drawdowns, bins=30, color=GREY, alpha=0.6)
        right.axvline(100.0 * orders.limit, color=INK, linewidth=1.0, linestyle=":", label="5 % go deeper")
        right.axvline(100.0 * orders.own, color=BLUE, linewidth=2.2, label=f"as it was, {100.0 * orders.own:.1f} %")
        right.set_title(f"{orders.trades} trades in other orders", loc="left")
        right.set_xlabel(f"deepest drawdown, % ({orders.deeper:.0%} go deeper)")
        right.set_ylim(0.0, 1.3 * right.get_ylim()[1])
        right.legend(loc="upper left", frameon=False, fontsize="small")
    tidy(left, right)
    return figure


def _name_days(axes: Any) -> None:
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.set_xlabel("session")
