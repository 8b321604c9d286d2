"""The panels of `Result.plot`: vectorbt's fourteen subplots under their names, in matplotlib.

result.plot("value", "underwater", "gross_exposure")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from backtests.metrics import marks_of
from backtests.plots import BLUE, GREEN, GREY, ORANGE, RED, name_rows, thinned, tidy
from data.door import did_you_mean
from data.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from backtests.result import Result

CYCLE = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", GREY)
TALL = {"orders": 2.6, "trades": 2.6, "value": 2.4}
DEEPEST = 5


def panels_figure(result: Result, names: tuple[str, ...]) -> Figure:
    """The panels of these names, one below the other, over the same rows.

    Raises:
        UsageError: no such panel.
    """
    import matplotlib.pyplot as plt

    for name in names:
        if name not in PANELS:
            raise UsageError(f"there is no panel {name!r}{did_you_mean(name, PANELS)}; there are {', '.join(PANELS)}")
    heights = [TALL.get(name, 1.6) for name in names]
    figure, grid = plt.subplots(
        len(names), 1, figsize=(10, 0.6 + sum(heights)), sharex=True, squeeze=False, height_ratios=heights,
        layout="constrained",
    )  # fmt: skip
    every = list(grid[:, 0])
    for axes, name in zip(every, names, strict=True):
        PANELS[name](axes, result)
        axes.set_title(f"{name.replace('_', ' ')}", loc="left", fontsize="medium")
    name_rows(every[-1], result, 0, len(result.bars))
    tidy(*every)
    return figure


def _line(axes: Axes, values: Any, label: str, colour: str = BLUE, **more: Any) -> None:
    rows = thinned(values)
    axes.plot(rows, values[rows], color=colour, linewidth=1.2, label=label, **more)


def _orders(axes: Axes, result: Result) -> None:
    fills, symbols = result.fills, result.bars.symbols
    for j, symbol in enumerate(symbols):
        mine = fills[fills["column"] == j]
        if not len(mine) and len(symbols) > 1:
            continue
        first = marks_of(result.bars.close)[0, j]
        _line(axes, result.bars.close[:, j] / first, symbol, CYCLE[j % len(CYCLE)], alpha=0.55)
        for buys, marker, colour in ((True, "^", GREEN), (False, "v", RED)):
            some = mine[(mine["quantity"] > 0.0) == buys]
            axes.plot(some["filled"], some["price"] / first, marker, color=colour, markersize=5, linestyle="none")
    axes.set_ylabel("price over its first")
    _legend(axes)


def _trades(axes: Axes, result: Result) -> None:
    records = result.trades.records
    first = marks_of(result.bars.close)[0]
    for j in np.unique(records["column"]).tolist():
        _line(axes, result.bars.close[:, j] / first[j], result.bars.symbols[j], CYCLE[j % len(CYCLE)], alpha=0.45)
    for won, colour in ((True, GREEN), (False, RED)):
        some = records[(records["pnl"] > 0.0) == won]
        scale = first[some["column"]]
        ends = np.array([some["entry_price"], some["exit_price"]]) / scale
        axes.plot(np.array([some["entry_row"], some["exit_row"]]), ends, color=colour, linewidth=1.3)
    axes.set_ylabel("price over its first")
    _legend(axes)


def _trade_pnl(axes: Axes, result: Result) -> None:
    closed = result.trades.closed
    colours = [GREEN if pnl > 0.0 else RED for pnl in closed["pnl"]]
    axes.scatter(closed["exit_row"], 100.0 * closed["return"], c=colours, s=16)
    axes.axhline(0.0, color=GREY, linewidth=0.7)
    axes.set_ylabel("return, %")


def _flow(axes: Axes, result: Result, *, cash: bool) -> None:
    fills = result.fills
    moved = -(fills["quantity"] * fills["price"] + fills["fee"]) if cash else fills["quantity"]
    for sign, colour in ((1.0, GREEN), (-1.0, RED)):
        some = moved * sign > 0.0
        axes.vlines(fills["filled"][some], 0.0, moved[some], color=colour, linewidth=1.0)
    axes.axhline(0.0, color=GREY, linewidth=0.7)
    axes.set_ylabel("dollars" if cash else "shares")


def _assets(axes: Axes, result: Result) -> None:
    for j, symbol in enumerate(result.bars.symbols):
        if result.positions[:, j].any():
            _line(axes, result.positions[:, j], symbol, CYCLE[j % len(CYCLE)], drawstyle="steps-post")
    axes.set_ylabel("shares")
    _legend(axes)


def _cash(axes: Axes, result: Result) -> None:
    _line(axes, result.cash, "cash")
    axes.set_ylabel("dollars")


def _asset_value(axes: Axes, result: Result) -> None:
    _line(axes, np.sum(result.positions * marks_of(result.bars.close), axis=1), "positions")
    axes.set_ylabel("dollars")


def _value(axes: Axes, result: Result) -> None:
    _line(axes, result.equity, "equity")
    axes.axhline(result.start_cash, color=GREY, linewidth=0.6, linestyle=":")
    axes.set_ylabel("dollars")


def _drawdowns(axes: Axes, result: Result) -> None:
    """The deepest drawdowns, from peak to recovery."""
    _line(axes, result.equity, "equity")
    under = result.drawdowns
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (under < 0.0).astype(np.int8), [0]])))
    spans = sorted(zip(edges[::2], edges[1::2], strict=True), key=lambda each: float(under[each[0] : each[1]].min()))
    for place, (low, high) in enumerate(spans[:DEEPEST]):
        axes.axvspan(low, high, color=RED, alpha=0.22 - 0.03 * place, linewidth=0)
    axes.set_ylabel("dollars")


def _underwater(axes: Axes, result: Result) -> None:
    rows = thinned(result.drawdowns)
    axes.fill_between(rows, 100.0 * result.drawdowns[rows], 0.0, color=RED, alpha=0.35, linewidth=0)
    axes.set_ylabel("%")


def _exposure(axes: Axes, result: Result, *, gross: bool) -> None:
    held = result.positions * marks_of(result.bars.close)
    total = np.sum(np.abs(held) if gross else held, axis=1)
    share = np.divide(total, result.equity, out=np.zeros_like(total), where=result.equity > 0.0)
    _line(axes, 100.0 * share, "exposure")
    axes.set_ylabel("% of equity")


def _grown(axes: Axes, result: Result) -> None:
    _line(axes, 100.0 * (result.equity / result.start_cash - 1.0), "return")
    axes.axhline(0.0, color=GREY, linewidth=0.6, linestyle=":")
    axes.set_ylabel("%")


def _legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if 1 < len(labels) <= 12:
        axes.legend(handles, labels, loc="upper left", frameon=False, fontsize="small", ncols=4)


PANELS: dict[str, Callable[[Any, Any], None]] = {
    "orders": _orders,
    "trades": _trades,
    "trade_pnl": _trade_pnl,
    "asset_flow": lambda axes, result: _flow(axes, result, cash=False),
    "cash_flow": lambda axes, result: _flow(axes, result, cash=True),
    "assets": _assets,
    "cash": _cash,
    "asset_value": _asset_value,
    "value": _value,
    "cum_returns": _grown,
    "drawdowns": _drawdowns,
    "underwater": _underwater,
    "gross_exposure": lambda axes, result: _exposure(axes, result, gross=True),
    "net_exposure": lambda axes, result: _exposure(axes, result, gross=False),
}
"""vectorbt's subplots by name, in its order."""
