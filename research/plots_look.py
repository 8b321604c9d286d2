"""The house's look for research's figures: light, colour-blind safe, known to nobody but who asked."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data.types import Ints

SHADE = "#d9d9d9"
INK = "#222222"


class Picture(Figure):
    """A figure that pyplot does not keep: nothing to close, and a notebook shows it as the value of a cell."""

    def _repr_png_(self) -> bytes:
        room = BytesIO()
        self.savefig(room, format="png", dpi=96)
        return room.getvalue()


def blank(rows: int = 1, columns: int = 1, size: tuple[float, float] = (9.0, 4.0), **grid: Any) -> tuple[Picture, Any]:
    """An empty figure and its axes; `grid` as for `Figure.subplots`."""
    figure = Picture(figsize=size, layout="constrained", facecolor="white")
    return figure, figure.subplots(rows, columns, **grid)


def tidy(*every: Axes) -> None:
    """No frame, a faint grid behind what is drawn."""
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)


def named(values: Mapping[str, Any]) -> str:
    """Parameters in words: `fast=20 slow=50`."""
    return " ".join(f"{name}={_short(value)}" for name, value in values.items())


def days(sessions: Ints) -> Any:
    """(S,) yyyymmdd as dates."""
    return np.array([f"{s // 10_000:04d}-{s // 100 % 100:02d}-{s % 100:02d}" for s in sessions], dtype="datetime64[D]")


def grown(returns: Any) -> Any:
    """Compounded returns along the last axis, in percent."""
    return 100.0 * (np.cumprod(1.0 + returns, axis=-1) - 1.0)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
