"""The surface of a sweep: a metric over two parameters, the plateau around its best marked.

heatmap_figure(sweep("ma_cross", bars, grid=...), "fast", "slow")
family_figure(validate(...).table)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from backtests.plots import BLUE, RED
from data.door import did_you_mean
from data.errors import UsageError
from research.fused import NAMES
from research.plateau import plateau_cells
from research.plots_look import INK, SHADE, blank, named, tidy
from research.sweep_result import LOWER, SweepResult, metric_place
from research.table import Table

if TYPE_CHECKING:
    import pandas as pd

UNITS = {
    "total_return": ("total return, %", 100.0),
    "annual_return": ("return a year, %", 100.0),
    "sharpe": ("Sharpe ratio a year", 1.0),
    "sortino": ("Sortino ratio a year", 1.0),
    "max_drawdown": ("deepest drawdown, %", 100.0),
    "trades": ("trades", 1.0),
    "win_rate": ("trades won, %", 100.0),
    "profit_factor": ("profit factor", 1.0),
    "exposure": ("time in the market, %", 100.0),
    "turnover": ("turnover a year, times equity", 1.0),
    "fees": ("fees, dollars", 1.0),
}
TICKS = 12


def heatmap_figure(
    result: SweepResult, x: str | None = None, y: str | None = None, metric: str | None = None, how: Any = "max"
) -> Figure:
    """A metric over two swept parameters (or `symbol`), the best cell and the plateau around it marked.

    One swept parameter gives a line.

    Args:
        x, y: across and up; the first two that were swept where None.
        how: what becomes of sets that differ in other parameters: max, min, mean or median.

    Raises:
        UsageError: no such parameter or metric, or no set that has the metric.
    """
    chosen = NAMES[metric_place(result.metric if metric is None else metric)]
    result.best(chosen)
    label, factor = UNITS[chosen]
    title = f"{result.strategy}, {len(result):,} sets"
    across, up = _axes(list(result.names), x, y, [str(name) for name in result.frame.index.names])
    if up is None:
        line = result.frame.groupby(level=across)[chosen].agg(how)
        return _line(line * factor, label, title, lower=chosen in LOWER)
    folded = {"max": "highest", "min": "lowest"}.get(str(how), str(how))
    note = _over(folded, [str(name) for name in result.frame.index.names if name not in (across, up)])
    return _surface(result.surface(across, up, chosen, how) * factor, label + note, title, lower=chosen in LOWER)


def family_figure(table: Table, x: str | None = None, y: str | None = None) -> Figure:
    """Sharpe ratios of a family's sets over two of their parameters, the highest of the sets that share a cell.

    Raises:
        UsageError: the sets differ in no parameter, or not in the one named.
    """
    import pandas as pd

    varied = [name for name in table.sets[0] if len({each[name] for each in table.sets}) > 1]
    if not varied:
        raise UsageError("the sets differ in no parameter; there is no surface to draw")
    across, up = _axes(varied, x, y, varied)
    frame = pd.DataFrame([{name: each[name] for name in varied} for each in table.sets])
    frame["sharpe"] = table.sharpes()
    centre = {name: table.sets[0][name] for name in (across, up) if name is not None}
    title = f"{len(table.sets)} sets around {named(centre)}"
    if up is None:
        return _line(frame.groupby(across)["sharpe"].max(), UNITS["sharpe"][0], title)
    surface = frame.pivot_table(values="sharpe", index=up, columns=across, aggfunc="max", dropna=False)
    note = _over("highest", [name for name in varied if name not in (across, up)])
    mark = (table.sets[0][across], table.sets[0][up])
    return _surface(surface, UNITS["sharpe"][0] + note, title + " (ring)", mark=mark)


def _axes(swept: list[str], x: str | None, y: str | None, known: list[str]) -> tuple[str, str | None]:
    for name in (x, y):
        if name is not None and name not in known:
            raise UsageError(f"{name!r} was not swept{did_you_mean(name, known)}")
    if x is not None and x == y:
        raise UsageError(f"{x!r} cannot lie across and up; name two parameters")
    rest = [name for name in swept if name not in (x, y)]
    across = x if x is not None else rest.pop(0)
    return across, y if y is not None else (rest[0] if rest else None)


def _over(how: str, others: list[str]) -> str:
    """What became of the other parameters, for a label."""
    if not others:
        return ""
    return f", {how} over {', '.join(others) if len(others) <= 2 else f'{len(others)} other parameters'}"


def _surface(
    surface: pd.DataFrame, label: str, title: str, *, lower: bool = False, mark: tuple[Any, Any] | None = None
) -> Figure:
    """Cells of equal size, named by their values. mark: the (x, y) values of a cell that gets a ring."""
    figure, axes = blank(size=(8.0, 5.0))
    values = surface.to_numpy(dtype=np.float64)
    axes.set_facecolor(SHADE)
    low, high = np.nanquantile(values[np.isfinite(values)], [0.02, 1.0] if not lower else [0.0, 0.98])
    shown = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(shown, cmap="cividis_r" if lower else "cividis", vmin=low, vmax=high)
    cells = plateau_cells(values, lower=lower)
    for colour, width, name in ((INK, 4.5, "_edge"), ("white", 2.0, "plateau")):
        lines = LineCollection(_outline(cells), colors=colour, linewidths=width, label=name, clip_on=False)
        lines.set_capstyle("projecting")
        axes.add_collection(lines)
    signed = np.where(np.isfinite(values), -values if lower else values, -np.inf)
    row, column = divmod(int(np.argmax(signed)), values.shape[1])
    axes.plot(
        column + 0.5, row + 0.5, "*", color="white", markeredgecolor=INK, markersize=15, label="best", linestyle="none"
    )
    if mark is not None:
        place = list(surface.columns).index(mark[0]) + 0.5, list(surface.index).index(mark[1]) + 0.5
        axes.plot(*place, "o", color="none", markeredgecolor="white", markersize=13, markeredgewidth=2, label="chosen")
    _name_cells(axes, "x", list(surface.columns))
    _name_cells(axes, "y", list(surface.index))
    axes.set_xlabel(str(surface.columns.name))
    axes.set_ylabel(str(surface.index.name))
    wide = int(cells.sum())
    axes.set_title(
        f"{title}; best {values[row, column]:.2f} at {surface.columns.name}={surface.columns[column]} "
        f"{surface.index.name}={surface.index[row]}\n"
        f"outlined plateau: {wide} of {int(np.isfinite(values).sum())} cells keep half the best's lead over the median",
        loc="left",
        fontsize="medium",
    )
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    figure.colorbar(mesh, ax=axes, label=label, extend="max" if lower else "min")
    return figure


def _line(line: Any, label: str, title: str, *, lower: bool = False) -> Figure:
    """The same over one parameter."""
    figure, axes = blank(size=(8.0, 3.6))
    values = line.to_numpy(dtype=np.float64)
    spots = list(line.index)
    places: Any = np.array(spots) if all(isinstance(spot, int | float) for spot in spots) else np.arange(len(spots))
    axes.plot(places, values, "o-", color=BLUE, markersize=4, linewidth=1.4)
    at = int(np.nanargmin(values) if lower else np.nanargmax(values))
    axes.plot(places[at], values[at], "*", color=RED, markersize=14, label="best")
    if places.dtype.kind == "i" and len(spots) != len(set(places.tolist()) & set(spots)):
        axes.set_xticks(places, [str(spot) for spot in spots])
    axes.set_xlabel(str(line.index.name))
    axes.set_ylabel(label)
    axes.set_title(f"{title}; best {values[at]:.2f} at {line.index.name}={spots[at]}", loc="left", fontsize="medium")
    tidy(axes)
    return figure


def _outline(cells: Any) -> list[Any]:
    """Line segments between a cell that is in and one that is not."""
    inside = np.pad(cells, 1)
    lines = []
    for i, j in np.argwhere(cells):
        around = ((i, j, i, j + 1, inside[i, j + 1]), (i + 1, j, i + 1, j + 1, inside[i + 2, j + 1]),
                  (i, j, i + 1, j, inside[i + 1, j]), (i, j + 1, i + 1, j + 1, inside[i + 1, j + 2]))  # fmt: skip
        lines += [[(x0, y0), (x1, y1)] for y0, x0, y1, x1, joined in around if not joined]
    return lines


def _name_cells(axes: Axes, which: str, values: list[Any]) -> None:
    every = -(-len(values) // TICKS)
    places = list(range(0, len(values), every))
    names = [f"{values[k]:.4g}" if isinstance(values[k], float) else str(values[k]) for k in places]
    ticks: Any = axes.set_xticks if which == "x" else axes.set_yticks
    ticks([k + 0.5 for k in places], names)
