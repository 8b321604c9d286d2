"""The capacity picture as one SVG: memory by accounts, planned and measured, and dollars an account by tier.

Drawn by hand, because a server has no plotting library; both axes are logarithmic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from live.capacity import FEE, TIERS, Host, Measured, plan_of

WIDTH, HEIGHT, LEFT, TOP = 860, 400, 70, 50
PANEL_W, PANEL_H = 330, 280
MOST = 200.0

Point = tuple[float, float]


def svg(measured: Measured, host: Host, trades: float) -> str:
    """The picture; lines that were not measured are left out."""
    counts = [1, 2, 5, 10, 20, 50, 100, 200]
    plan = [(float(count), plan_of(count, trades).ram_mb) for count in counts]
    real = [(float(count), count * measured.pss_mb) for count in counts] if measured.pss_mb > 0.0 else []
    memory = [("the plan", "#888888", plan), ("measured", "#0b6e4f", real)]
    memory.append(("80% of this machine", "#b3261e", [(1.0, 0.8 * host.memory_mb), (MOST, 0.8 * host.memory_mb)]))
    dollars = [(float(tier.accounts), tier.dollars / tier.accounts) for tier in TIERS]
    money = [("the plan's tiers", "#888888", dollars), ("the fee", "#0b6e4f", [(1.0, FEE), (MOST, FEE)])]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _panel(LEFT, "memory of all runners, MB", 10.0, 100_000.0, memory),
        _panel(LEFT + PANEL_W + 90, "dollars a month and account", 10.0, 1_000.0, money),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _panel(left: float, title: str, least: float, most: float, lines: Sequence[tuple[str, str, list[Point]]]) -> str:
    across, up = _scale(1.0, MOST, left, left + PANEL_W), _scale(least, most, TOP + PANEL_H, TOP)
    parts = [f'<text x="{left}" y="{TOP - 20}" font-size="14" font-weight="bold">{escape(title)}</text>']
    for value in _decades(least, most):
        y = up(value)
        parts.append(f'<line x1="{left}" x2="{left + PANEL_W}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.0f}</text>')
    for count in (1, 5, 20, 100):
        x = across(count)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + PANEL_H}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + PANEL_H + 18}" text-anchor="middle">{count}</text>')
    parts.append(f'<text x="{left + PANEL_W / 2}" y="{TOP + PANEL_H + 38}" text-anchor="middle">accounts</text>')
    for number, (name, colour, points) in enumerate(line for line in lines if line[2]):
        path = " ".join(f"{across(x):.1f},{up(min(max(y, least), most)):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{left + 8}" y="{TOP + 16 + 16 * number}" fill="{colour}">{escape(name)}</text>')
    return "\n".join(parts)


def _scale(least: float, most: float, begin: float, end: float) -> Callable[[float], float]:
    """A logarithmic axis."""
    span = math.log(most / least)
    return lambda value: begin + (end - begin) * math.log(value / least) / span


def _decades(least: float, most: float) -> list[float]:
    return [10.0**power for power in range(round(math.log10(least)), round(math.log10(most)) + 1)]
