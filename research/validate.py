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

from backtests.engine import check_rows, clock_of, run_backtest
from backtests.evidence import Evidence
from backtests.result import Result
from backtests.trials import AUTO, Trial, Where, dataset_of, ledger_path, record
from data.calendar import SESSIONS_PER_YEAR
from data.errors import CertificateError
from data.types import Bars, Book
from research.answers import GATES, answer
from research.case import NAN, Case
from research.evidence import checks_of, number, parts_of, plain
from research.gates import Gate, Threshold, load_gates, stated_rate
from research.ledger import Ledger
from research.table import Table, neighbourhood, table_of
from strategies.common.certificate import Certificate, code_hash
from strategies.common.certify import certify
from strategies.common.costs import Costs
from strategies.common.load import Strategy
from strategies.common.rule import Rule

__all__ = ["GATES", "Verdict", "validate"]

CERTIFIED = Threshold("certificate", "differing_bits", 0.0)
"""Asked whatever the gates file says: without it the other figures mean nothing."""


@dataclass(frozen=True)
class Data:
    """The rows that were judged: content hash, shape, first and last session, clock."""

    hash: str
    rows: int
    symbols: tuple[str, ...]
    first: int
    last: int
    clock: str


@dataclass(frozen=True)
class Verdict:
    """Every gate in the order of `GATES`; `figures` beside them that have no threshold.

    passed: no gate failed. skipped: gates that the clock did not allow, which count as failed.
    case: what the answers came from; None where the certificate failed and nothing else was asked.
    """

    strategy: Strategy
    params: Mapping[str, Any]
    data: Data
    gates: tuple[Gate, ...]
    certificate: Certificate
    seed: int = 0
    case: Case | None = None
    skipped: tuple[str, ...] = field(default=())
    false_positive_rate: float = NAN

    @property
    def passed(self) -> bool:
        """True where the certificate holds and every gate passed."""
        return self.certificate.ok and all(gate.passed for gate in self.gates)

    @property
    def result(self) -> Result | None:
        """The judged run."""
        return None if self.case is None else self.case.result

    @property
    def table(self) -> Table | None:
        """Its family."""
        return None if self.case is None else self.case.table

    @property
    def trials(self) -> int:
        """Different sets the family ever had."""
        return 0 if self.case is None else self.case.trials

    @property
    def figures(self) -> dict[str, float]:
        """What is worth knowing and has no threshold."""
        return {} if self.case is None else self.case.figures

    def evidence(self) -> Evidence:
        """Everything the verdict rests on, as one value: `Evidence.to_json` keeps it, a report draws it."""
        without = {"missing": {"all": "without a certificate nothing else was asked"}}
        return Evidence(
            strategy=self.strategy.name, source_hash=self.strategy.source_hash,
            params={name: plain(value) for name, value in self.params.items()}, rows_hash=self.data.hash,
            rows=self.data.rows, symbols=list(self.data.symbols), first=self.data.first, last=self.data.last,
            clock=self.data.clock, seed=self.seed, certificate=self.certificate.line(), passed=self.passed,
            false_positive_rate=number(self.false_positive_rate), checks=checks_of(self.gates),
            figures={name: number(value) for name, value in self.figures.items()},
            **(without if self.case is None else parts_of(self.case)),
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "strategy": self.strategy.name,
            "params": dict(self.params),
            "dataset": self.data.hash,
            "passed": self.passed,
            "trials": self.trials,
            "gates": [vars(gate) for gate in self.gates],
            "figures": dict(self.figures),
            "skipped": list(self.skipped),
            "certificate": self.certificate.line(),
        }


def validate(
    strategy: Strategy,
    bars: Bars,
    params: Mapping[str, Any] | None = None,
    *,
    book: Book | None = None,
    rule: Rule | None = None,
    costs: Costs | None = None,
    gates: Path | None = None,
    certificate: Certificate | None = None,
    ledger: Where = AUTO,
    at_ns: int | None = None,
    sets: int = 100,
    draws: int = 200,
    seed: int = 0,
    time_left: Callable[[], float] = lambda: float("inf"),
    progress: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Ask everything.

    Args:
        gates: thresholds; the file that comes along where None.
        certificate: of this strategy with these parameters, made before; where None it is made now.
        ledger: the trial ledger that the family is appended to and counted in, see `backtests.trials`; None: only
            this family counts. at_ns: time of its trials, this machine's where it is None.
        sets: of the family around `params`. draws: of bootstraps and random entries.
        time_left: seconds that remain; a gate that is reached with none is skipped, and fails.
    """
    thresholds, rate = load_gates(gates, GATES), stated_rate(gates)
    bound = strategy.bind(params)
    progress("certificate")
    if certificate is None:
        certificate = certify(strategy, bound, rows=2_000, chunkings=20, seed=seed + 1)
    elif (certificate.source, certificate.parameters, certificate.code) != (strategy.source_hash, bound, code_hash()):
        raise CertificateError(
            f"this certificate is of {certificate.strategy} with {certificate.parameters} and code "
            f"{certificate.code[:12]}, not of what is judged; certify again"
        )
    check_rows(bars, book)
    data = Data(
        dataset_of(bars, book), len(bars), bars.symbols, int(bars.session[0]), int(bars.session[-1]),
        clock_of(bars, strategy.clock),
    )  # fmt: skip
    lines: list[Gate] = []
    bits = float(certificate.bits) if certificate.ok else max(1.0, float(certificate.bits))
    lines.append(CERTIFIED.judge(bits, certificate.line()))
    if not certificate.ok:
        return Verdict(strategy, bound, data, tuple(lines), certificate, seed, false_positive_rate=rate)

    progress("family")
    result = run_backtest(bars, strategy, bound, costs or Costs(), book=book, rule=rule, ledger=None)
    family = neighbourhood(strategy, bound, most=sets, seed=seed)
    table = table_of(strategy, bars, family, book=book, rule=rule, costs=costs)
    trials, variance = _lifetime(strategy, table, data.hash, ledger, at_ns)
    case = Case(result, table, trials, variance, draws, seed)

    skipped: list[str] = []
    for name in GATES[1:]:
        if name not in thresholds:
            continue
        progress(name.replace("_", " "))
        if time_left() <= 0.0:
            skipped.append(name)
            late = "no time was left to ask; give a larger --budget"
            lines.append(thresholds[name].judge(NAN, late, asked=False))
            continue
        figure, reason = answer(name, case)
        lines.append(thresholds[name].judge(figure, reason))
    return Verdict(strategy, bound, data, tuple(lines), certificate, seed, case, tuple(skipped), rate)


def _lifetime(strategy: Strategy, table: Table, dataset: str, ledger: Where, at_ns: int | None) -> tuple[int, float]:
    """(trials, variance of their Sharpe ratios per session) of the family, this run's among them."""
    own = table.sharpes() / np.sqrt(SESSIONS_PER_YEAR)
    path, rows = ledger_path(ledger), len(table.sessions)
    trials = [
        Trial(strategy.name, strategy.source_hash, values, dataset, rows, float(sharpe), {}, "validate")
        for values, sharpe in zip(table.sets, own, strict=True)
    ]
    if path is None or not record(trials, ledger, at_ns=at_ns):
        return len(table.sets), float(np.var(own, ddof=1)) if len(own) > 1 else 0.0
    family = Ledger(path).family(strategy.name)
    return family.distinct, family.variance
