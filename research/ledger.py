"""The trial ledger: every evaluation of an idea, kept, so that a winner is judged against all that was tried.

One small SQLite file, append-only: triggers refuse to change or delete a trial. A family is a strategy's name; its
trials count over its whole life, also those of notebooks and of sweeps that found nothing.

The end of a dataset can be **sealed**: a dated promise not to look behind it, which can be broken once, under a name
and a reason. A seal is a record, not a lock: no command keeps rows back yet.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data.errors import DataError, UsageError

SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    id INTEGER PRIMARY KEY,
    at_ns INTEGER NOT NULL,
    family TEXT NOT NULL,
    source TEXT NOT NULL,
    parameters TEXT NOT NULL,
    dataset TEXT NOT NULL,
    rows INTEGER NOT NULL,
    sharpe REAL,
    metrics TEXT NOT NULL,
    origin TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS trials_family ON trials (family);
CREATE TABLE IF NOT EXISTS seals (
    id INTEGER PRIMARY KEY,
    dataset TEXT NOT NULL UNIQUE,
    from_ns INTEGER NOT NULL,
    sealed_ns INTEGER NOT NULL,
    opened_ns INTEGER,
    opened_by TEXT,
    reason TEXT
);
CREATE TRIGGER IF NOT EXISTS trials_stay BEFORE UPDATE ON trials BEGIN SELECT RAISE(ABORT, 'trials are kept'); END;
CREATE TRIGGER IF NOT EXISTS trials_remain BEFORE DELETE ON trials BEGIN SELECT RAISE(ABORT, 'trials are kept'); END;
CREATE TRIGGER IF NOT EXISTS seals_remain BEFORE DELETE ON seals BEGIN SELECT RAISE(ABORT, 'seals are kept'); END;
CREATE TRIGGER IF NOT EXISTS seals_open_once BEFORE UPDATE ON seals WHEN OLD.opened_ns IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'a seal is opened once'); END;
"""


class Trial(NamedTuple):
    """One evaluation. sharpe: per period, not annualised; None where it has none. origin: sweep, notebook, run ..."""

    family: str
    source: str
    parameters: Mapping[str, Any]
    dataset: str
    rows: int
    sharpe: float | None
    metrics: Mapping[str, float]
    origin: str


@dataclass(frozen=True)
class Family:
    """What a family has behind it: trials, distinct parameter sets, and the spread of their Sharpe ratios."""

    name: str
    trials: int
    distinct: int
    best: float
    variance: float


@dataclass(frozen=True)
class Seal:
    """Rows of `dataset` from `from_ns` on are closed; opened_ns, opened_by and reason say when, by whom and why not."""

    dataset: str
    from_ns: int
    opened_ns: int | None
    opened_by: str | None
    reason: str | None


class Ledger:
    """The ledger in one file, made when first written to.

    Raises:
        DataError: the file is not a ledger.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(self._connect()) as db:
                db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise DataError(f"{path.name} is not a trial ledger ({error}); move it away and run again") from error

    def record(self, trials: Iterable[Trial], *, at_ns: int) -> int:
        """Append trials, all or none; returns how many. `at_ns`: UTC nanoseconds now, from the caller's clock."""
        rows = [
            (at_ns, t.family, t.source, _text(t.parameters), t.dataset, t.rows, t.sharpe, _text(t.metrics), t.origin)
            for t in trials
        ]
        with closing(self._connect()) as db, db:
            db.executemany(
                "INSERT INTO trials (at_ns, family, source, parameters, dataset, rows, sharpe, metrics, origin) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        return len(rows)

    def family(self, name: str) -> Family:
        """The family's lifetime so far; no trials is a family too."""
        with closing(self._connect()) as db:
            count, distinct, best = db.execute(
                "SELECT count(*), count(DISTINCT parameters), max(sharpe) FROM trials WHERE family = ?", (name,)
            ).fetchone()
            values = [
                value
                for (value,) in db.execute(
                    "SELECT avg(sharpe) FROM trials WHERE family = ? AND sharpe IS NOT NULL GROUP BY parameters "
                    "ORDER BY parameters",
                    (name,),
                )
            ]
        mean = sum(values) / len(values) if values else 0.0
        variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1) if len(values) > 1 else 0.0
        return Family(name, count, distinct, float("nan") if best is None else best, variance)

    def families(self) -> list[Family]:
        """All families, by name."""
        with closing(self._connect()) as db:
            names = [name for (name,) in db.execute("SELECT DISTINCT family FROM trials ORDER BY family")]
        return [self.family(name) for name in names]

    def trials(self, family: str | None = None, last: int = 20) -> list[dict[str, Any]]:
        """The newest trials, newest first, as plain values."""
        query = "SELECT id, at_ns, family, parameters, dataset, rows, sharpe, metrics, origin FROM trials"
        where, values = (" WHERE family = ?", [family]) if family else ("", [])
        with closing(self._connect()) as db:
            db.row_factory = sqlite3.Row
            found = db.execute(f"{query}{where} ORDER BY id DESC LIMIT ?", [*values, last]).fetchall()
        return [
            dict(r) | {"parameters": json.loads(r["parameters"]), "metrics": json.loads(r["metrics"])} for r in found
        ]

    def seal(self, dataset: str, from_ns: int, *, at_ns: int) -> Seal:
        """Close the rows of `dataset` (a name) from `from_ns` on.

        Raises:
            UsageError: it is sealed already; a seal is neither moved nor made anew.
        """
        try:
            with closing(self._connect()) as db, db:
                db.execute(
                    "INSERT INTO seals (dataset, from_ns, sealed_ns) VALUES (?, ?, ?)", (dataset, from_ns, at_ns)
                )
        except sqlite3.IntegrityError:
            raise UsageError(f"dataset {dataset!r} is sealed already; a seal is not moved, only opened, once") from None
        return Seal(dataset, from_ns, None, None, None)

    def open_seal(self, dataset: str, *, by: str, reason: str, at_ns: int) -> Seal:
        """Open the seal of `dataset`, for good, under a name and a reason.

        Raises:
            UsageError: no such seal, opened before, or no name or reason given.
        """
        if not by.strip() or not reason.strip():
            raise UsageError("opening a seal is logged: say by whom and why")
        found = self.seal_of(dataset)
        if found is None:
            raise UsageError(f"dataset {dataset!r} has no seal to open")
        if found.opened_ns is not None:
            raise UsageError(f"the seal of {dataset!r} was opened before, by {found.opened_by}: {found.reason}")
        with closing(self._connect()) as db, db:
            db.execute(
                "UPDATE seals SET opened_ns = ?, opened_by = ?, reason = ? WHERE dataset = ?",
                (at_ns, by, reason, dataset),
            )
        return Seal(dataset, found.from_ns, at_ns, by, reason)

    def seal_of(self, dataset: str) -> Seal | None:
        """The seal of `dataset`, open or closed, or None."""
        with closing(self._connect()) as db:
            row = db.execute(
                "SELECT dataset, from_ns, opened_ns, opened_by, reason FROM seals WHERE dataset = ?", (dataset,)
            ).fetchone()
        return Seal(*row) if row else None

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30.0)


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps({k: None if isinstance(v, float) and v != v else v for k, v in values.items()}, sort_keys=True)
