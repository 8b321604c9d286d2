"""All figures of a report by the place they are drawn in."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

from backtests import cost_parts as parts
from backtests.evidence import Evidence
from backtests.figures import Spec, dots, figure, line, rule, scale
from backtests.report_risk import sessions_figure
from backtests.report_robust_figures import figures as evidence_figures
from backtests.report_text import number, percent
from backtests.report_trades import entered_figures, held_figure
from backtests.result import Result


class Pushed(NamedTuple):
    """The run at other costs. said: a sentence. break_even: multiple at which nothing is left."""

    said: str
    break_even: float
    factors: tuple[float, ...]
    returns: tuple[float, ...]


def embedded_figures(result: Result, evidence: Evidence | None, pushed: Pushed | None) -> dict[str, Spec]:
    """{place on the page: figure}; what a run cannot show is left out."""
    found = {
        "sessions": sessions_figure(result),
        "held": held_figure(result),
        "pushed": None if pushed is None else _pushed_figure(pushed),
    }
    found |= {f"entered-{place}": drawn for place, (_, drawn) in enumerate(entered_figures(result))}
    if evidence is not None:
        found |= {part["id"]: part["figure"] for part in evidence_figures(evidence)}
    return {name: drawn for name, drawn in found.items() if drawn is not None}


def cost_push(result: Result) -> Pushed | None:
    """The same signals at multiples of their costs; None where nothing was traded."""
    if not len(result.fills) or not result.cost_parts.total.any():
        return None
    limit = parts.break_even_cost(result)
    curve = parts.cost_curve(result)
    if limit == 0.0:
        said = "Nothing is left even without costs."
    elif isfinite(limit):
        bps = result.metrics["costs_of_value_traded"] * 1e4
        said = f"Nothing is left at {number(limit)} times these costs, {number(bps * limit)} bps of the value traded."
    else:
        said = "Even 64 times these costs leave something."
    return Pushed(said, limit, tuple(factor for factor, _ in curve), tuple(value for _, value in curve))


def _pushed_figure(pushed: Pushed) -> Spec:
    texts = [
        f"{number(factor, 1)} times the costs: {percent(value, sign=True)}"
        for factor, value in zip(pushed.factors, pushed.returns, strict=True)
    ]
    marks = [
        line(pushed.factors, pushed.returns),
        dots(pushed.factors, pushed.returns, texts=texts),
        rule("x", 1.0, name="as tested", tone="ink"),
    ]
    if 0.0 < pushed.break_even <= pushed.factors[-1]:
        marks.append(rule("x", pushed.break_even, name=f"nothing left at {number(pushed.break_even)}×", tone="loss"))
    return figure(
        "Total return at multiples of the costs",
        x=scale(pushed.factors, unit="times", title="costs, times those of the run"),
        y=scale(pushed.returns, unit="percent", title="total return", zero=True),
        marks=marks,
    )
