"""A result as a notebook shows it: headline numbers, a drawing of equity and drawdown, and what it rests on.

Colours are the notebook's own text colour and two that stand on light and dark alike; no script, no style sheet.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from backtests.report_tables import span, tiles
from backtests.report_text import number, plain
from backtests.report_traces import benchmark

if TYPE_CHECKING:
    from backtests.result import Result
    from data.types import Floats, Ints

LINE, LOSS = "#3b8fd4", "#d9702b"
WIDE, TALL, UNDER = 720, 120, 36
POINTS = 360
CELL = "padding:2px 18px 2px 0;text-align:left;border:0;vertical-align:top"


def result_html(result: Result) -> str:
    """HTML for a cell; names are escaped."""
    simulated = result.origin.get("simulated")
    kind = "simulated data" if simulated else "real prices" if simulated is False else "origin of data not stated"
    given = ", ".join(f"{name}={plain(value)}" for name, value in result.params.items()) or "no parameters"
    symbols = ", ".join(result.bars.symbols[:6])
    if len(result.bars.symbols) > 6:
        symbols += f" and {len(result.bars.symbols) - 6} more"
    cells = "".join(
        f'<td style="{CELL}"><span style="opacity:.7;font-size:85%">{escape(tile["label"])}</span><br>'
        f'<b style="font-size:125%">{escape(tile["value"])}</b><br>'
        f'<span style="opacity:.7;font-size:80%">{escape(tile["note"])}</span></td>'
        for tile in tiles(result)
    )
    rows = f"{len(result.bars):,} rows of {result.clock}"
    return (
        f'<div style="font-variant-numeric:tabular-nums;line-height:1.4;max-width:{WIDE + 160}px">'
        f'<div><b style="font-size:115%">{escape(result.strategy)}</b> '
        f'<span style="opacity:.7">({escape(given)})</span></div>'
        f'<div style="opacity:.7">{escape(symbols)} · {span(result)} · {rows} · {kind}</div>'
        f'<table style="border:0;margin:6px 0;background:none"><tr style="background:none">{cells}</tr></table>'
        f"{_drawing(result)}"
        f'<div style="opacity:.7;font-size:85%">{number(len(result.trades), 0)} trades · .stats() .plot() '
        f".trades.records_readable .orders_frame .portfolio .report(path) .save(path)</div></div>"
    )


def _drawing(result: Result) -> str:
    equity, held, under = result.equity, benchmark(result.bars, result.start_cash), result.drawdowns
    if len(equity) < 2:
        return ""
    rows = np.unique(np.linspace(0, len(equity) - 1, POINTS).astype(np.int64))
    if min(equity.min(), held.min()) > 0.0 and max(equity.max(), held.max()) > 4.0 * min(equity.min(), held.min()):
        equity, held = np.log(equity), np.log(held)
    low, high = (float(pick(both)) for pick, both in ((np.min, [equity, held]), (np.max, [equity, held])))
    deepest = min(float(under.min()), -1e-9)
    paths = (
        (_path(rows, held[rows], low, high, 0, TALL), "currentColor", 'stroke-opacity=".45" stroke-dasharray="4 3"'),
        (_path(rows, equity[rows], low, high, 0, TALL), LINE, 'stroke-width="1.8"'),
        (_path(rows, under[rows], deepest, 0.0, TALL + 8, UNDER), LOSS, ""),
    )
    drawn = "".join(f'<path d="{d}" fill="none" stroke="{colour}" {more}/>' for d, colour, more in paths)
    return (
        f'<svg viewBox="0 0 {WIDE} {TALL + UNDER + 10}" width="100%" style="max-width:{WIDE}px" role="img" '
        f'aria-label="Equity, what buying and holding would have been (dashed), and drawdown">{drawn}</svg>'
    )


def _path(rows: Ints, values: Floats, low: float, high: float, top: int, tall: int) -> str:
    x = (rows - rows[0]) / max(1, rows[-1] - rows[0]) * WIDE
    y = top + 2 + (high - values) / ((high - low) or 1.0) * (tall - 4)
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
