"""The trial ledger: every evaluation of an idea, kept, so that a winner is judged against all that was tried.

What is written, and where, is `backtests.trials`; here it is read. A family is a strategy's name; its trials count over
its whole life, also those of notebooks and of sweeps that found nothing.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backtests.trials import Trial, connected, record
from data.calendar import SESSIONS_PER_YEAR
from data.errors import DataError
from strategies.common.load import Strategy

if TYPE_CHECKING:
    from research.sweep_result import SweepResult

__all__ = ["Family", "Ledger", "Trial", "trials_of"]


@dataclass(frozen=True)
class Family:
    """What a family has behind it: trials, distinct parameter sets, and the spread of their Sharpe ratios."""

    name: str
    trials: int
    distinct: int
    best: float
    variance: float


class Ledger:
    """The ledger in one file, made when it is not there.

    Raises:
        DataError: the file is not a ledger.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with connected(self.path):
            pass

    def record(self, trials: Iterable[Trial], *, at_ns: int | None = None) -> int:
        """Append trials, all or none; returns how many. `at_ns`: UTC nanoseconds; this machine's now where None."""
        return record(trials, self.path, at_ns=at_ns)

    def family(self, name: str) -> Family:
        """The family's lifetime so far; no trials is a family too."""
        ((count, distinct, best),) = self._ask(
            "SELECT count(*), count(DISTINCT parameters), max(sharpe) FROM trials WHERE family = ?", name
        )
        values = [
            value
            for (value,) in self._ask(
                "SELECT avg(sharpe) FROM trials WHERE family = ? AND sharpe IS NOT NULL GROUP BY parameters "
                "ORDER BY parameters",
                name,
            )
        ]
        mean = sum(values) / len(values) if values else 0.0
        variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1) if len(values) > 1 else 0.0
        return Family(name, count, distinct, float("nan") if best is None else best, variance)

    def families(self) -> list[Family]:
        """All families, by name."""
        return [self.family(name) for (name,) in self._ask("SELECT DISTINCT family FROM trials ORDER BY family")]

    def trials(self, family: str | None = None, last: int = 20) -> list[dict[str, Any]]:
        """The newest trials, newest first, as plain values."""
        names = ("id", "at_ns", "family", "parameters", "dataset", "rows", "sharpe", "metrics", "origin")
        where = " WHERE family = ?" if family else ""
        given = (family, last) if family else (last,)
        found = self._ask(f"SELECT {', '.join(names)} FROM trials{where} ORDER BY id DESC LIMIT ?", *given)  # noqa: S608
        lines = [dict(zip(names, row, strict=True)) for row in found]
        return [
            line | {"parameters": json.loads(line["parameters"]), "metrics": json.loads(line["metrics"])}
            for line in lines
        ]

    def _ask(self, query: str, *values: Any) -> list[Any]:
        import apsw

        try:
            with connected(self.path) as db:
                return list(db.execute(query, values))
        except apsw.Error as error:
            raise DataError(f"{self.path} cannot be read as a trial ledger ({error}); move it away") from error


def trials_of(
    strategy: Strategy, result: SweepResult, dataset: str, rows: int, known: Container[Any] = ()
) -> Iterator[Trial]:
    """Every set of a sweep as a trial, one for each account; the ledger's Sharpe ratios are per session.

    Args:
        dataset, rows: content hash and length of the rows. known: sets that were recorded before.
    """
    sharpes = result.column("sharpe") / SESSIONS_PER_YEAR**0.5
    totals, asked = result.column("total_return"), result.column()
    for i, values in enumerate(result.sets):
        if values in known:
            continue
        params = {**result.fixed, **dict(zip(result.names, values, strict=True))}
        for account in range(result.numbers.shape[1]):
            sharpe = float(sharpes[i, account])
            numbers = {"total_return": float(totals[i, account]), result.metric: float(asked[i, account])}
            found = sharpe if np.isfinite(sharpe) else None
            yield Trial(result.strategy, strategy.source_hash, params, dataset, rows, found, numbers, "sweep")
