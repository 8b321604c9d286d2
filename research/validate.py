"""The verdict: all questions to one strategy on one dataset, each with a figure, a threshold and a reason.

The certificate comes first: a function that looks ahead never reaches the statistics. Then the family around the
chosen parameters is run, every set of it recorded in the trial ledger, and the winner is judged against all trials
the family ever had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backtests import metrics as m
from backtests.engine import run_backtest
from backtests.result import Result
from data.calendar import SESSIONS_PER_YEAR
from data.tape import content_hash
from data.types import Bars, Book
from research import stress
from research.bootstrap import best_of_many, drawdown_band, sharpe_interval
from research.deflation import deflated_sharpe, minimum_track_record
from research.gates import Gate, load_gates
from research.ledger import Ledger, Trial
from research.overfitting import probability_of_overfitting
from research.table import Table, neighbourhood, table_of
from research.walkforward import combinatorial_test, plateau, walk_forward_test
from strategies.common.certificate import Certificate
from strategies.common.certify import certify
from strategies.common.costs import Costs
from strategies.common.load import Strategy
from strategies.common.rule import Rule

GATES = (
    "certificate", "trades", "probabilistic_sharpe", "deflated_sharpe", "track_record", "overfitting", "superior",
    "walk_forward", "paths", "plateau", "random_entries", "costs", "delay", "symbols", "best_sessions",
)  # fmt: skip
NAN = float("nan")


@dataclass(frozen=True)
class Verdict:
    """Every gate in the order of `GATES`; figures beside them that have no threshold.

    passed: no gate failed. skipped: gates that the clock did not allow, which count as failed.
    """

    strategy: str
    params: Mapping[str, Any]
    dataset: str
    gates: tuple[Gate, ...]
    figures: Mapping[str, float]
    trials: int
    certificate: Certificate
    result: Result | None = None
    table: Table | None = None
    skipped: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """True where every gate passed."""
        return all(gate.passed for gate in self.gates)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "strategy": self.strategy,
            "params": dict(self.params),
            "dataset": self.dataset,
            "passed": self.passed,
            "trials": self.trials,
            "gates": [vars(gate) for gate in self.gates],
            "figures": dict(self.figures),
            "skipped": list(self.skipped),
            "certificate": self.certificate.line(),
        }


@dataclass(frozen=True)
class Case:
    """What is judged: the run, its family, and the family's lifetime."""

    result: Result
    table: Table
    trials: int
    variance: float
    draws: int
    seed: int


def validate(
    strategy: Strategy,
    bars: Bars,
    params: Mapping[str, Any] | None = None,
    *,
    book: Book | None = None,
    rule: Rule | None = None,
    costs: Costs | None = None,
    gates: Path | None = None,
    ledger: Ledger | None = None,
    at_ns: int = 0,
    sets: int = 100,
    draws: int = 200,
    seed: int = 0,
    time_left: Callable[[], float] = lambda: float("inf"),
    progress: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Ask everything.

    Args:
        gates: thresholds; the file that comes along where None.
        ledger, at_ns: where the family's trials are kept, and the time they are kept under.
        sets: of the family around `params`. draws: of bootstraps and random entries.
        time_left: seconds that remain; a gate that is reached with none is skipped, and fails.
    """
    thresholds = load_gates(gates, GATES)
    bound = strategy.bind(params)
    progress("certificate")
    certificate = certify(strategy, bound, rows=2_000, chunkings=20, seed=seed + 1)
    dataset = content_hash(bars, book)
    lines: list[Gate] = []
    if "certificate" in thresholds:
        bits = float(certificate.bits) if certificate.ok else max(1.0, float(certificate.bits))
        lines.append(thresholds["certificate"].judge(bits, certificate.line()))
    if not certificate.ok:
        return Verdict(strategy.name, bound, dataset, tuple(lines), {}, 0, certificate)

    progress("family")
    result = run_backtest(bars, strategy, bound, costs or Costs(), book=book, rule=rule)
    family = neighbourhood(strategy, bound, most=sets, seed=seed)
    table = table_of(strategy, bars, family, book=book, rule=rule, costs=costs)
    trials, variance = _lifetime(strategy, table, dataset, ledger, at_ns)
    case = Case(result, table, trials, variance, draws, seed)

    skipped: list[str] = []
    for name in GATES[1:]:
        if name not in thresholds:
            continue
        progress(name.replace("_", " "))
        if time_left() <= 0.0:
            skipped.append(name)
            lines.append(thresholds[name].judge(NAN, "no time was left to ask; give a larger --budget"))
            continue
        figure, reason = ANSWERS[name](case)
        lines.append(thresholds[name].judge(figure, reason))
    return Verdict(
        strategy.name, bound, dataset, tuple(lines), _figures(case), trials, certificate, result, table, tuple(skipped)
    )


def _lifetime(strategy: Strategy, table: Table, dataset: str, ledger: Ledger | None, at_ns: int) -> tuple[int, float]:
    """(trials, variance of their Sharpe ratios per session) of the family, this run's among them."""
    own = table.sharpes() / np.sqrt(SESSIONS_PER_YEAR)
    if ledger is None:
        return len(table.sets), float(np.var(own, ddof=1)) if len(own) > 1 else 0.0
    rows = len(table.sessions)
    ledger.record(
        [
            Trial(strategy.name, strategy.source_hash, values, dataset, rows, float(sharpe), {}, "validate")
            for values, sharpe in zip(table.sets, own, strict=True)
        ],
        at_ns=at_ns,
    )
    family = ledger.family(strategy.name)
    return family.distinct, family.variance


def _sessions(case: Case) -> tuple[Any, float, float, float]:
    returns = case.table.returns[:, 0]
    skewness, kurtosis = m.moments(returns)
    return returns, m.sharpe_ratio(returns, 1.0), skewness, kurtosis


def _trades(case: Case) -> tuple[float, str]:
    closed = case.result.metrics["total_closed_trades"]
    return closed, f"{closed:.0f} closed trades over {len(case.table.sessions)} sessions"


def _probabilistic(case: Case) -> tuple[float, str]:
    returns, sharpe, _, _ = _sessions(case)
    return (
        m.probabilistic_sharpe_ratio(returns),
        f"session Sharpe {sharpe * np.sqrt(SESSIONS_PER_YEAR):.2f} a year over {len(returns)} sessions",
    )


def _deflated(case: Case) -> tuple[float, str]:
    returns, sharpe, skewness, kurtosis = _sessions(case)
    if not np.isfinite(sharpe):
        return NAN, "the run never held anything"
    value = deflated_sharpe(
        sharpe, len(returns), skewness, kurtosis, trials=max(1, case.trials), variance=case.variance
    )
    return value, f"against the best of {case.trials} trials in the family's lifetime"


def _track_record(case: Case) -> tuple[float, str]:
    returns, sharpe, skewness, kurtosis = _sessions(case)
    if not np.isfinite(sharpe):
        return NAN, "the run never held anything"
    needed = minimum_track_record(sharpe, skewness, kurtosis)
    return len(returns) / needed, f"{len(returns)} sessions of {needed:,.0f} needed for 95 %"


def _overfitting(case: Case) -> tuple[float, str]:
    rows, columns = case.table.returns.shape
    blocks = next((b for b in (16, 12, 10, 8, 6, 4) if rows // b >= 4), 0)
    if not blocks or columns < 2:
        return NAN, f"{rows} sessions of {columns} sets are too few to ask"
    found = probability_of_overfitting(case.table.returns, blocks)
    return (
        found.probability,
        f"PBO over {columns} sets, {len(found.logits)} splits; the winner lost in {found.loss:.0%}",
    )


def _superior(case: Case) -> tuple[float, str]:
    if not (case.table.returns.std(axis=0) > 0.0).any():
        return NAN, "no set of the family held anything"
    found = best_of_many(case.table.returns, draws=max(500, case.draws), seed=case.seed)
    return found.spa, f"SPA of {len(case.table.sets)} sets; White's reality check gives {found.reality_check:.3f}"


def _walk_forward(case: Case) -> tuple[float, str]:
    done = walk_forward_test(case.table, 5)
    kinds = len({fold.chosen for fold in done.folds})
    return done.efficiency, f"Sharpe {done.sharpe:.2f} on unseen sessions, {kinds} different sets chosen in 5 folds"


def _paths(case: Case) -> tuple[float, str]:
    done = combinatorial_test(case.table)
    low, high = done.sharpes.min(), done.sharpes.max()
    return done.losing, f"{len(done.sharpes)} paths, Sharpe from {low:.2f} to {high:.2f}"


def _plateau(case: Case) -> tuple[float, str]:
    found = plateau(case.table)
    edge = ", the best set lies at an edge" if found.edge else ""
    figure = NAN if found.edge and not found.score >= 1.0 else found.score
    return (
        figure,
        f"{found.neighbours} neighbours, the worst with Sharpe {found.worst:.2f}{edge}",
    )


def _random_entries(case: Case) -> tuple[float, str]:
    null = stress.random_entries(case.result, draws=case.draws, seed=case.seed)
    return null.p_value, f"Sharpe {null.own:.2f} against {np.median(null.sharpes):.2f} with its entries at other times"


def _costs(case: Case) -> tuple[float, str]:
    factor = stress.break_even_cost(case.result)
    if not np.isfinite(factor):
        return factor, "more than 64 times its costs do not eat it"
    return factor, f"nothing is left at {factor:.2f} times its costs"


def _delay(case: Case) -> tuple[float, str]:
    own = stress.figures(case.result).sharpe
    late = stress.delayed(case.result).sharpe
    return (late / own if own > 0.0 else NAN), f"Sharpe {late:.2f} one row later, {own:.2f} on time"


def _symbols(case: Case) -> tuple[float, str]:
    lines = stress.without_symbols(case.result)
    if not lines:
        return stress.figures(case.result).sharpe, "a single symbol: its own Sharpe"
    worst = min(lines, key=lambda line: line.sharpe)
    return worst.sharpe, f"Sharpe {worst.sharpe:.2f} {worst.name}"


def _best_sessions(case: Case) -> tuple[float, str]:
    line = stress.without_best_sessions(case.result)
    return line.total_return, f"{line.total_return:+.2%} {line.name}"


ANSWERS: dict[str, Callable[[Case], tuple[float, str]]] = {
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


def _figures(case: Case) -> dict[str, float]:
    """What is worth knowing and has no threshold."""
    low, high = sharpe_interval(case.table.returns[:, 0], periods=SESSIONS_PER_YEAR, draws=500, seed=case.seed)
    curve = {f"return_{line.name.replace(' ', '_')}": line.total_return for line in stress.cost_curve(case.result)}
    regimes = {f"sharpe_{line.name.replace(' ', '_')}": line.sharpe for line in stress.by_regime(case.result)}
    return {
        "total_return": case.result.metrics["total_return"],
        "sharpe_low": low,
        "sharpe_high": high,
        "drawdown_95": drawdown_band(case.table.returns[:, 0], draws=500, seed=case.seed),
        "capacity_1_percent": stress.capacity(case.result, 0.01),
        "capacity_5_percent": stress.capacity(case.result, 0.05),
        **curve,
        **regimes,
    }
