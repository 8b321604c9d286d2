"""Figures of the report as descriptions: scales and marks, plain values for JSON. The page draws them at its width.

    figure("Costs pushed", x=scale(factors, unit="times"), y=scale(returns, unit="percent", zero=True),
           marks=[line(factors, returns, name="total return"), rule("x", 1.0, name="as tested")])

Kinds of marks: `line`, `area`, `bars`, `dots`, `rule`, `cells`. Tones are names of the page's colours: own, other,
gain, loss, ink, shade. Every number is rounded to what a screen can show, so that equal runs are equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, isfinite, log10
from typing import Any

import numpy as np

from data.types import Floats

Spec = dict[str, Any]
DIGITS = 6


def figure(label: str, *, x: Spec, y: Spec, marks: Sequence[Spec], tall: int = 220) -> Spec:
    """One figure. label: what a screen reader says. tall: pixels of the plot."""
    return {"label": label, "tall": tall, "x": x, "y": y, "marks": list(marks)}


def scale(
    values: Iterable[float | None], *, unit: str = "number", title: str = "", zero: bool = False, pad: float = 0.06
) -> Spec:
    """An axis over these values. unit: number, percent, dollars, times, count. zero: 0 is on it, as a line."""
    known = [float(v) for v in values if v is not None and isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * pad or abs(high) * 0.1 or 1.0
    below = 0.0 if zero and low == 0.0 else room
    above = 0.0 if zero and high == 0.0 else room
    return {"kind": "line", "low": rounded(low - below), "high": rounded(high + above), "unit": unit, "title": title}


def bands(names: Sequence[str], title: str = "") -> Spec:
    """An axis of named places 0, 1, 2, ..."""
    return {"kind": "bands", "names": list(names), "title": title}


def days(sessions: Sequence[int], title: str = "") -> Spec:
    """An axis of sessions as yyyymmdd, at places 0, 1, 2, ..."""
    return {"kind": "days", "sessions": [int(day) for day in sessions], "title": title}


def line(x: Any, y: Any, *, name: str = "", tone: str = "own", dash: bool = False, thin: bool = False) -> Spec:
    """A line through points; None is a gap. Lines with a name are told by the pointer."""
    return {"kind": "line", "x": plain(x), "y": plain(y), "name": name, "tone": tone, "dash": dash, "thin": thin}


def area(x: Any, low: Any, high: Any, *, name: str = "", tone: str = "shade") -> Spec:
    """What lies between two lines."""
    return {"kind": "area", "x": plain(x), "low": plain(low), "high": plain(high), "name": name, "tone": tone}


def bars(
    x: Any, y: Any, *, width: float, texts: Sequence[str], tone: str | Sequence[str] = "own", name: str = ""
) -> Spec:
    """Bars from 0, centred at x, as wide as `width` units of it; a text each for pointer and screen reader."""
    tones = tone if isinstance(tone, str) else list(tone)
    return {
        "kind": "bars", "x": plain(x), "y": plain(y), "width": rounded(width), "texts": list(texts), "tone": tones,
        "name": name,
    }  # fmt: skip


def dots(x: Any, y: Any, *, texts: Sequence[str], tone: str | Sequence[str] = "own", name: str = "") -> Spec:
    """Points; a text each."""
    tones = tone if isinstance(tone, str) else list(tone)
    return {"kind": "dots", "x": plain(x), "y": plain(y), "texts": list(texts), "tone": tones, "name": name}


def rule(axis: str, at: float, *, name: str, tone: str = "ink", dash: bool = True) -> Spec:
    """A line across the plot at a value of `x` or `y`."""
    return {"kind": "rule", "axis": axis, "at": rounded(at), "name": name, "tone": tone, "dash": dash}


def cells(
    values: Sequence[Sequence[float | None]],
    *,
    texts: Sequence[Sequence[str]],
    outlined: Sequence[Sequence[bool]],
    best: Sequence[int],
    chosen: Sequence[int],
) -> Spec:
    """A table of coloured cells on two `bands`. best, chosen: (row, column). outlined: cells within a line."""
    known = [v for row in values for v in row if v is not None]
    low, high = (float(np.quantile(known, 0.02)), max(known)) if known else (0.0, 1.0)
    return {
        "kind": "cells", "values": [plain(row) for row in values], "low": rounded(low), "high": rounded(high),
        "texts": [list(row) for row in texts], "outlined": [list(row) for row in outlined], "best": list(best),
        "chosen": list(chosen),
    }  # fmt: skip


def histogram_bars(values: Floats, *, say: Any, most: int = 36) -> tuple[Spec, Spec, Spec] | None:
    """(x axis, y axis, bars) of how often values fall into bins of round width; None of nothing.

    Args:
        say: what a bin is called, from its ends.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    low, high = float(known.min()), float(known.max())
    quarter, three = np.quantile(known, [0.25, 0.75])
    wide = 2.0 * float(three - quarter) / len(known) ** (1 / 3)
    width = round_width(max(min(wide, (high - low) / 8), (high - low) / most, 1e-9))
    places = np.floor(known / width).astype(np.int64)
    first = int(places.min())
    counts = np.bincount(places - first)
    starts = (first + np.arange(len(counts))) * width
    texts = [f"{say(a, a + width)}: {n:,}" for a, n in zip(starts, counts.tolist(), strict=True)]
    tones = ["loss" if start < 0.0 else "gain" for start in starts.tolist()]
    x = {"kind": "line", "low": rounded(starts[0]), "high": rounded(starts[-1] + width), "unit": "number", "title": ""}
    y = scale(counts.tolist(), unit="count", zero=True)
    return x, y, bars(starts + width / 2, counts, width=width, texts=texts, tone=tones)


def round_width(width: float) -> float:
    """`width` rounded up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(width))
    step = next(m for m in (1, 2, 5, 10) if m * power >= width * (1 - 1e-9))
    return float(round(step * power, 12))


def rounded(value: float) -> float:
    """To `DIGITS` significant digits."""
    value = float(value)
    if value == 0.0 or not isfinite(value):
        return 0.0
    return float(f"{value:.{DIGITS}g}")


def plain(values: Any) -> list[float | None]:
    """Rounded values, None where there is none."""
    return [None if v is None or not isfinite(v) else rounded(v) for v in np.asarray(values, dtype=object).tolist()]
