"""From a case to evidence that can be kept and drawn elsewhere; the shape is `backtests.evidence`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

import numpy as np

from backtests import evidence as e
from backtests.cost_parts import cost_curve
from data.calendar import SESSIONS_PER_YEAR
from data.errors import UsageError
from data.types import Ints
from research import stress
from research.case import HIGHEST, Case
from research.gates import Gate
from research.plateau import plateau_cells
from research.plots_look import grown

LATEST = 5
VOLATILITY = ("calm", "usual", "wild")
YEARLY = SESSIONS_PER_YEAR**0.5


def parts_of(case: Case) -> dict[str, Any]:
    """The parts of `Evidence` by name, and `missing` with the reasons of those that could not be asked."""
    makers: dict[str, Callable[[Case], Any]] = {
        "surface": _surface,
        "walk_forward": _walk_forward,
        "paths": _paths,
        "null": _null,
        "costs": _costs,
        "delay": _delay,
        "regimes": _regimes,
        "bands": _bands,
        "luck": _luck,
        "capacity": _capacity,
        "symbols_left_out": _symbols,
        "best_sessions": lambda case: _left(case.best_sessions),
    }
    parts: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name, make in makers.items():
        try:
            parts[name] = make(case)
        except UsageError as error:
            missing[name] = str(error)
    return {**parts, "missing": missing}


def checks_of(gates: Iterable[Gate]) -> list[e.Check]:
    """The gates of a verdict."""
    return [
        e.Check(
            name=gate.name, figure=number(gate.figure), kind=gate.kind, threshold=gate.threshold, passed=gate.passed,
            reason=gate.reason, asked=gate.asked,
        )
        for gate in gates
    ]  # fmt: skip


def number(value: float) -> float | None:
    """The value; None for NaN and infinity, which JSON does not have."""
    return float(value) if isfinite(value) else None


def plain(value: Any) -> Any:
    """A parameter's value as JSON has it."""
    return value.item() if hasattr(value, "item") else value


def _surface(case: Case) -> e.Surface:
    sets, sharpes = case.table.sets, case.table.sharpes()
    varied = [name for name in sets[0] if len({each[name] for each in sets}) > 1]
    if not varied:
        raise UsageError("the sets differ in no parameter; there is no surface to draw")
    x, y = varied[0], varied[1] if len(varied) > 1 else None
    xs = sorted({each[x] for each in sets})
    ys = sorted({each[y] for each in sets}) if y is not None else []
    values: Any = np.full((max(1, len(ys)), len(xs)), np.nan)

    def place(each: Any) -> tuple[int, int]:
        return ys.index(each[y]) if y is not None else 0, xs.index(each[x])

    for each, sharpe in zip(sets, sharpes, strict=True):
        values[place(each)] = np.fmax(values[place(each)], sharpe)
    row, column = divmod(int(np.nanargmax(values)), len(xs))
    flat = case.plateau
    return e.Surface(
        metric="Sharpe ratio a year", x=x, xs=[plain(v) for v in xs], y=y, ys=[plain(v) for v in ys],
        values=[[number(v) for v in line] for line in values], best=(row, column), chosen=place(sets[0]),
        plateau=plateau_cells(values).tolist(), over=varied[2:], sets=len(sets), score=number(flat.score),
        worst=number(flat.worst), neighbours=flat.neighbours, edge=flat.edge,
    )  # fmt: skip


def _walk_forward(case: Case) -> e.WalkForward:
    done, table = case.walk_forward, case.table
    varied = [name for name in table.sets[0] if len({each[name] for each in table.sets}) > 1]
    sessions = table.sessions[len(table.sessions) - len(done.returns) :]
    keep = _thinned(len(sessions))
    return e.WalkForward(
        folds=[
            e.Fold(
                first=fold.first, last=fold.last, inside=number(fold.inside), outside=number(fold.outside),
                params={name: plain(table.sets[fold.chosen][name]) for name in varied},
            )
            for fold in done.folds
        ],
        sharpe=number(done.sharpe), efficiency=number(done.efficiency), sessions=sessions[keep].tolist(),
        stitched=_growth(done.returns)[keep].tolist(), chosen=_growth(case.returns[-len(sessions) :])[keep].tolist(),
    )  # fmt: skip


def _paths(case: Case) -> e.Paths:
    done = case.paths
    keep = _thinned(len(case.table.sessions))
    return e.Paths(
        sessions=case.table.sessions[keep].tolist(), lines=_growth(done.returns)[:, keep].tolist(),
        sharpes=done.sharpes.tolist(), losing=done.losing, own=number(float(case.table.sharpes()[0])),
    )  # fmt: skip


def _null(case: Case) -> e.Null:
    null = case.null
    limit = float(np.quantile(null.sharpes, 0.95))
    return e.Null(sharpes=null.sharpes.tolist(), own=null.own, limit=limit, p_value=null.p_value)


def _costs(case: Case) -> e.Costs:
    limit = case.break_even
    reach = max(3.0, 1.15 * limit) if isfinite(limit) else 3.0
    factors = tuple(sorted({*np.linspace(0.0, reach, 13).tolist(), 1.0}))
    returns = [total for _, total in cost_curve(case.result, factors)]
    return e.Costs(factors=list(factors), returns=returns, break_even=number(limit), highest=HIGHEST)


def _delay(case: Case) -> e.Delay:
    most = min(LATEST, len(case.result.bars) - 1)
    later = [case.late, *(stress.delayed(case.result, rows) for rows in range(2, most + 1))]
    sharpes = [case.own.sharpe, *(line.sharpe for line in later)]
    return e.Delay(rows=list(range(most + 1)), sharpes=sharpes, clock=case.result.clock)


def _regimes(case: Case) -> list[e.Regime]:
    if not case.regimes:
        raise UsageError(f"{len(case.table.sessions)} sessions are too few to tell kinds of market apart")
    return [
        e.Regime(
            name=line.name, kind="volatility" if line.name in VOLATILITY else "trend", sharpe=line.sharpe,
            total_return=line.total_return, sessions=line.fills,
        )
        for line in case.regimes
    ]  # fmt: skip


def _bands(case: Case) -> e.Bands:
    keep = _thinned(len(case.table.sessions))
    low, middle, high = case.bands[:, keep]
    orders = case.orders
    deep = [] if orders is None else np.quantile(orders.drawdowns, np.linspace(0.0, 1.0, 100)).tolist()
    return e.Bands(
        sessions=case.table.sessions[keep].tolist(), own=_growth(case.returns)[keep].tolist(), low=low.tolist(),
        middle=middle.tolist(), high=high.tolist(), trades=0 if orders is None else orders.trades, drawdowns=deep,
        own_drawdown=None if orders is None else orders.own, limit=None if orders is None else orders.limit,
    )  # fmt: skip


def _luck(case: Case) -> e.Luck:
    low, high = case.interval
    over, best = case.overfitting, case.superior
    counts, edges = np.histogram(over.logits, bins=24) if over is not None else (np.zeros(0, np.int64), np.zeros(0))
    return e.Luck(
        sharpe=number(case.sharpe * YEARLY), low=number(low), high=number(high), drawdown=number(case.drawdown),
        probabilistic=number(case.probabilistic), deflated=number(case.deflated), trials=case.trials,
        expected_best=number(case.expected_best * YEARLY), sessions=len(case.returns), needed=number(case.needed),
        overfitting=None if over is None else over.probability, splits=0 if over is None else len(over.logits),
        logit_edges=edges.tolist(), logit_counts=counts.tolist(), winner_lost=None if over is None else over.loss,
        spa=None if best is None else best.spa, reality_check=None if best is None else best.reality_check,
    )  # fmt: skip


def _capacity(case: Case) -> list[e.Capacity]:
    if not any(isfinite(cash) for cash in case.capacity.values()):
        raise UsageError("without fills on rows with volume there is no capacity to tell")
    return [e.Capacity(share=share, cash=number(cash)) for share, cash in case.capacity.items()]


def _symbols(case: Case) -> list[e.Left]:
    if not case.symbols:
        raise UsageError("a single symbol: there is none to leave out")
    return [_left(line) for line in case.symbols]


def _left(line: stress.Line) -> e.Left:
    return e.Left(name=line.name, sharpe=line.sharpe, total_return=line.total_return)


def _growth(returns: Any) -> Any:
    return grown(returns) / 100.0


def _thinned(count: int) -> Ints:
    """At most `POINTS` places from 0 to `count - 1`, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, e.POINTS)).round().astype(np.int64))
