"""matplotlib figures of sweeps and evidence, for notebooks and as files.

    from research.plots import heatmap_figure
    heatmap_figure(result, "fast", "slow")          # in a cell: the picture
    heatmap_figure(result).savefig("surface.png")

Every function gives a figure that pyplot does not know: nothing to close, nothing left behind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from data.errors import UsageError
from research.plateau import plateau_cells
from research.plots_evidence import bands_figure, folds_figure, null_figure, paths_figure
from research.plots_stress import costs_figure, delay_figure, regimes_figure
from research.plots_surface import family_figure, heatmap_figure
from research.validate import Verdict

__all__ = [
    "Pictures", "bands_figure", "costs_figure", "delay_figure", "family_figure", "folds_figure", "heatmap_figure",
    "null_figure", "paths_figure", "plateau_cells", "regimes_figure", "write_pictures",
]  # fmt: skip


class Pictures(NamedTuple):
    """files: by name, in the order of the verdict. left_out: name and reason of what could not be drawn."""

    files: dict[str, Path]
    left_out: dict[str, str]


def write_pictures(verdict: Verdict, folder: Path | str) -> Pictures:
    """Write what a verdict rests on as PNG files into `folder`, made where it is not there.

    A strategy without a certificate has no statistics, and no pictures.
    """
    case = verdict.case
    if case is None:
        return Pictures({}, {"all": "without a certificate there is nothing to draw"})
    drawn: dict[str, Callable[[], Figure]] = {
        "parameters": lambda: family_figure(case.table),
        "walk_forward": lambda: folds_figure(case.table, case.walk_forward),
        "paths": lambda: paths_figure(case.table, case.paths),
        "random_entries": lambda: null_figure(case.null),
        "bands": lambda: bands_figure(case.table, case.bands, case.orders),
        "costs": lambda: costs_figure(case.result),
        "delay": lambda: delay_figure(case.result),
        "regimes": lambda: regimes_figure(case.result),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    done = Pictures({}, {})
    for name, draw in drawn.items():
        try:
            figure = draw()
        except UsageError as error:
            done.left_out[name] = str(error)
            continue
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110)
        done.files[name] = path
    return done
