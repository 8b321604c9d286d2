"""The trial ledger's writing side: every evaluation of an idea is appended, wherever it was made.

One small SQLite file, append-only: triggers refuse to change or delete a trial. `run_backtest` appends a trial for each
run, `research.sweep` one for each set; `research.ledger` reads them. Which file: the setting `ledger` (ONETAPE_LEDGER),
`research/trials.db` by default; `off` keeps none, which is what the project's own tests and benchmarks say.

Many processes may append at once: the file is in WAL mode and a writer waits for another up to `PATIENCE_MS`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from backtests import metrics as m
from data.errors import DataError
from data.tape import content_hash
from data.types import Bars, Book

if TYPE_CHECKING:
    from backtests.result import Result

AUTO = "auto"
"""The ledger of the settings; a run is not stopped by one that cannot be written, but says so."""
Where = Path | str | None
"""A ledger's file, `AUTO`, or None to keep no trial."""
PATIENCE_MS = 30_000
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
CREATE TRIGGER IF NOT EXISTS trials_stay BEFORE UPDATE ON trials BEGIN SELECT RAISE(ABORT, 'trials are kept'); END;
CREATE TRIGGER IF NOT EXISTS trials_remain BEFORE DELETE ON trials BEGIN SELECT RAISE(ABORT, 'trials are kept'); END;
"""
INSERT = (
    "INSERT INTO trials (at_ns, family, source, parameters, dataset, rows, sharpe, metrics, origin) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Trial(NamedTuple):
    """One evaluation. family: the strategy's name. source: hash of its text. dataset: content hash of the rows.
    sharpe: per session, not annualised; None where it has none. origin: run, notebook, sweep or validate."""

    family: str
    source: str
    parameters: Mapping[str, Any]
    dataset: str
    rows: int
    sharpe: float | None
    metrics: Mapping[str, float]
    origin: str


def ledger_path(where: Where = AUTO) -> Path | None:
    """The file that is meant, None where trials are not kept."""
    if where is None:
        return None
    return _of_settings(os.environ.get("ONETAPE_LEDGER")) if where == AUTO else Path(where)


def record(trials: Iterable[Trial], where: Where = AUTO, *, at_ns: int | None = None) -> int:
    """Append trials, all or none; returns how many.

    Args:
        at_ns: UTC nanoseconds now, from the caller's clock; this machine's where it is None.

    Raises:
        DataError: the ledger that was named cannot be written. With `AUTO` that is a warning.
    """
    path = ledger_path(where)
    if path is None:
        return 0
    at_ns = time.time_ns() if at_ns is None else at_ns
    rows = [
        (at_ns, t.family, t.source, text(t.parameters), t.dataset, t.rows, t.sharpe, text(t.metrics), t.origin)
        for t in trials
    ]
    try:
        append(path, rows)
    except DataError as error:
        if where != AUTO:
            raise
        warnings.warn(f"{len(rows):,} trials are not recorded: {error}", RuntimeWarning, stacklevel=2)
        return 0
    return len(rows)


def append(path: Path, rows: list[tuple[Any, ...]]) -> None:
    """Write rows as `INSERT` has them, in one transaction."""
    import apsw

    try:
        with connected(path) as db, db:
            db.executemany(INSERT, rows)
    except apsw.Error as error:
        raise _unusable(path, error) from error


def connected(path: Path) -> Any:
    """A connection that closes at the end of its `with`, the file made where it is not there.

    Raises:
        DataError: the file is not a ledger, or cannot be made.
    """
    import apsw

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = apsw.Connection(str(path))
        db.set_busy_timeout(PATIENCE_MS)
        if db.execute("PRAGMA user_version").fetchall() != [(VERSION,)]:
            db.execute("PRAGMA journal_mode = WAL")
            with db:
                db.execute(SCHEMA)
                db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("PRAGMA synchronous = NORMAL")
    except (apsw.Error, OSError) as error:
        raise _unusable(path, error) from error
    return _Closing(db)


VERSION = 1


class _Closing:
    """`with` gives the connection and closes it, where apsw's own `with` is a transaction."""

    def __init__(self, db: Any) -> None:
        self.db = db

    def __enter__(self) -> Any:
        return self.db

    def __exit__(self, *_: object) -> None:
        self.db.close()


def trial_of(result: Result) -> Trial:
    """A finished backtest as a trial."""
    returns = m.session_returns(result.equity, result.bars.session, result.start_cash)
    sharpe = m.sharpe_ratio(returns, 1.0)
    total = float(result.equity[-1]) / result.start_cash - 1.0
    return Trial(
        result.strategy, result.source_hash, result.params, dataset_of(result.bars, result.book), len(result.bars),
        sharpe if sharpe == sharpe else None, {"total_return": total}, "notebook" if in_notebook() else "run",
    )  # fmt: skip


def dataset_of(bars: Bars, book: Book | None) -> str:
    """`content_hash` of these rows, computed once while they live."""
    known = _hashes.get(bars)
    if known is None or known[0] is not book:
        known = (book, content_hash(bars, book))
        _hashes[bars] = known
    return known[1]


def in_notebook() -> bool:
    """True in IPython and Jupyter."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def text(values: Mapping[str, Any]) -> str:
    """Names and values as JSON, sorted, so that equal sets are equal texts; NaN is null."""
    return json.dumps({k: None if v != v else v for k, v in values.items()}, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


_hashes: WeakKeyDictionary[Bars, tuple[Book | None, str]] = WeakKeyDictionary()


@cache
def _of_settings(_environment: str | None) -> Path | None:
    """Read once per value of the environment: a run should not pay for reading files."""
    from data.settings import load_settings

    return load_settings().ledger


def _unusable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} cannot be used as a trial ledger ({error}); move it away, or name another by ONETAPE_LEDGER "
        f"(off: keep no trials)"
    )
