"""The answer to each gate: its figure and the reason in words, from a case."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data.calendar import SESSIONS_PER_YEAR
from data.errors import UsageError
from research.case import FOLDS, NAN, Case

Answer = tuple[float, str]
NOTHING = "the run never held anything"


def answer(name: str, case: Case) -> Answer:
    """Figure and reason of a gate; NaN, and why, where the rows do not allow the question."""
    try:
        return ANSWERS[name](case)
    except UsageError as error:
        return NAN, f"could not be asked: {error}"


def _trades(case: Case) -> Answer:
    closed = case.result.metrics["total_closed_trades"]
    return closed, f"{closed:.0f} closed trades over {len(case.table.sessions)} sessions"


def _probabilistic(case: Case) -> Answer:
    sharpe = case.sharpe * np.sqrt(SESSIONS_PER_YEAR)
    if not np.isfinite(sharpe):
        return NAN, NOTHING
    return case.probabilistic, f"session Sharpe {sharpe:.2f} a year over {len(case.returns)} sessions"


def _deflated(case: Case) -> Answer:
    if not np.isfinite(case.sharpe):
        return NAN, NOTHING
    return case.deflated, f"against the best of {case.trials} trials in the family's lifetime"


def _track_record(case: Case) -> Answer:
    if not np.isfinite(case.sharpe):
        return NAN, NOTHING
    return len(case.returns) / case.needed, f"{len(case.returns)} sessions of {case.needed:,.0f} needed for 95 %"


def _overfitting(case: Case) -> Answer:
    found = case.overfitting
    if found is None:
        rows, columns = case.table.returns.shape
        return NAN, f"{rows} sessions of {columns} sets are too few to ask"
    words = f"PBO over {len(case.table.sets)} sets, {len(found.logits)} splits; the winner lost in {found.loss:.0%}"
    return found.probability, words


def _superior(case: Case) -> Answer:
    found = case.superior
    if found is None:
        return NAN, "no set of the family held anything"
    return found.spa, f"SPA of {len(case.table.sets)} sets; White's reality check gives {found.reality_check:.3f}"


def _walk_forward(case: Case) -> Answer:
    done = case.walk_forward
    kinds = len({fold.chosen for fold in done.folds})
    words = f"Sharpe {done.sharpe:.2f} on unseen sessions, {kinds} different sets chosen in {FOLDS} folds"
    return done.efficiency, words


def _paths(case: Case) -> Answer:
    done = case.paths
    low, high = done.sharpes.min(), done.sharpes.max()
    return done.losing, f"{len(done.sharpes)} paths, Sharpe from {low:.2f} to {high:.2f}"


def _plateau(case: Case) -> Answer:
    found = case.plateau
    edge = ", the best set lies at an edge" if found.edge else ""
    figure = NAN if found.edge and not found.score >= 1.0 else found.score
    return figure, f"{found.neighbours} neighbours, the worst with Sharpe {found.worst:.2f}{edge}"


def _random_entries(case: Case) -> Answer:
    null = case.null
    return null.p_value, f"Sharpe {null.own:.2f} against {np.median(null.sharpes):.2f} with its entries at other times"


def _costs(case: Case) -> Answer:
    factor = case.break_even
    if not np.isfinite(factor):
        return factor, "more than 64 times its costs do not eat it"
    return factor, f"nothing is left at {factor:.2f} times its costs"


def _delay(case: Case) -> Answer:
    own, late = case.own.sharpe, case.late.sharpe
    return (late / own if own > 0.0 else NAN), f"Sharpe {late:.2f} one row later, {own:.2f} on time"


def _symbols(case: Case) -> Answer:
    if not case.symbols:
        return case.own.sharpe, "a single symbol: its own Sharpe"
    worst = min(case.symbols, key=lambda line: line.sharpe)
    return worst.sharpe, f"Sharpe {worst.sharpe:.2f} {worst.name}"


def _best_sessions(case: Case) -> Answer:
    line = case.best_sessions
    return line.total_return, f"{line.total_return:+.2%} {line.name}"


ANSWERS: dict[str, Callable[[Case], Answer]] = {
    "trades": _trades,
    "probabilistic_sharpe": _probabilistic,
    "deflated_sharpe": _deflated,
    "track_record": _track_record,
    "overfitting": _overfitting,
    "superior": _superior,
    "walk_forward": _walk_forward,
    "paths": _paths,
    "plateau": _plateau,
    "random_entries": _random_entries,
    "costs": _costs,
    "delay": _delay,
    "symbols": _symbols,
    "best_sessions": _best_sessions,
}
GATES = ("certificate", *ANSWERS)
"""Every gate, in the order in which they are asked."""
