"""The journal of calls: what was asked, what came back, what it cost; and the month's budget, kept in the same place.

One SQLite file. A call is written before it is made, with the most it can cost; that much of the budget is taken at
once, in one transaction with the check, so that no number of processes can overrun the limit together. When the reply
is there, its real cost takes the bound's place. A call whose end is not known (a timeout, a crash) keeps its bound.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from data.calendar import SECOND_NS
from data.errors import JournalError
from research.patterns.reply import KEPT, Reply, Usage
from research.patterns.request import Request, key_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY,
    at_ns INTEGER NOT NULL,
    month TEXT NOT NULL,
    request TEXT NOT NULL,
    body TEXT NOT NULL,
    symbol TEXT NOT NULL,
    ts INTEGER NOT NULL,
    bound INTEGER NOT NULL,
    cost INTEGER,
    outcome TEXT,
    content TEXT,
    model TEXT,
    given INTEGER,
    cached INTEGER,
    output INTEGER,
    latency_ms INTEGER
);
CREATE INDEX IF NOT EXISTS calls_request ON calls (request);
CREATE INDEX IF NOT EXISTS calls_month ON calls (month);
CREATE TABLE IF NOT EXISTS asks (id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, month TEXT NOT NULL,
    request TEXT NOT NULL, how TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS asks_month ON asks (month);
CREATE TRIGGER IF NOT EXISTS calls_end_once BEFORE UPDATE ON calls WHEN OLD.outcome IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'a call ends once'); END;
CREATE TRIGGER IF NOT EXISTS calls_stay BEFORE DELETE ON calls BEGIN SELECT RAISE(ABORT, 'calls are kept'); END;
"""
CALL = "id, at_ns, request, body, symbol, ts, bound, cost, outcome, content, model, given, cached, output, latency_ms"


class Spending(NamedTuple):
    """A month. spent: picodollars of ended calls and the bounds of open ones. asks: all; hits: from the cache."""

    month: str
    spent: int
    calls: int
    asks: int
    hits: int
    refused: int

    @property
    def hit_rate(self) -> float | None:
        """Share of asks that were answered without a call; None without asks."""
        return self.hits / self.asks if self.asks else None


class Recorded(NamedTuple):
    """A reply as it lies in the journal, with what was paid for it in picodollars."""

    reply: Reply
    cost: int


class Journal:
    """The journal in one file, made when first opened.

    Raises:
        JournalError: the file is not such a journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(self._connect()) as db:
                db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path.name} is not a journal of pattern notes ({error}); move it away") from error

    def reserve(self, request: Request, *, at_ns: int, symbol: str, ts: int, limit: int) -> tuple[int, int] | None:
        """Take the call's bound out of the month's budget; (number of the call, spent before), or None where it
        does not fit into `limit`, picodollars."""
        month = month_of(at_ns)
        with self._writing() as db:
            spent = _spent(db, month)
            if spent + request.bound > limit:
                return None
            values = (at_ns, month, request.key, request.text, symbol, ts, request.bound)
            done = db.execute(
                "INSERT INTO calls (at_ns, month, request, body, symbol, ts, bound) VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            return int(done.lastrowid or 0), spent

    def settle(self, call: int, reply: Reply, cost: int) -> int:
        """End a call with its reply and real cost; what its month has spent now, picodollars."""
        usage = reply.usage or (None, None, None)
        values = (cost, reply.outcome, reply.content, reply.model, *usage, reply.latency_ms, call)
        with self._writing() as db:
            db.execute(
                "UPDATE calls SET cost = ?, outcome = ?, content = ?, model = ?, given = ?, cached = ?, output = ?, "
                "latency_ms = ? WHERE id = ?",
                values,
            )
            (month,) = db.execute("SELECT month FROM calls WHERE id = ?", (call,)).fetchone()
            return _spent(db, month)

    def asked(self, request: str, how: str, *, at_ns: int) -> None:
        """Count an ask: `cache`, `call` or `over budget`."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO asks (at_ns, month, request, how) VALUES (?, ?, ?, ?)",
                (at_ns, month_of(at_ns), request, how),
            )

    def recorded(self, request: str) -> Recorded | None:
        """The first kept reply to a request: the one that was acted upon, and what the cache gave since."""
        kept = sorted(KEPT)
        marks = ", ".join("?" * len(kept))
        with closing(self._connect()) as db:
            row = db.execute(
                f"SELECT outcome, content, model, given, cached, output, latency_ms, cost FROM calls "  # noqa: S608  # marks only
                f"WHERE request = ? AND outcome IN ({marks}) ORDER BY id LIMIT 1",
                (request, *kept),
            ).fetchone()
        if row is None:
            return None
        outcome, content, model, given, cached, output, latency_ms, cost = row
        usage = None if given is None else Usage(given, cached, output)
        return Recorded(Reply(outcome, content, model, usage, latency_ms), cost)

    def spending(self, month: str) -> Spending:
        """The month's figures; `month` is as in 2026-11."""
        with closing(self._connect()) as db:
            (calls,) = db.execute("SELECT count(*) FROM calls WHERE month = ?", (month,)).fetchone()
            how = dict(db.execute("SELECT how, count(*) FROM asks WHERE month = ? GROUP BY how", (month,)).fetchall())
            spent = _spent(db, month)
        return Spending(month, spent, calls, sum(how.values()), how.get("cache", 0), how.get("over budget", 0))

    def calls(self) -> list[dict[str, Any]]:
        """Every call, oldest first, as plain values.

        Raises:
            JournalError: a request's text does not have the hash it is filed under.
        """
        with closing(self._connect()) as db:
            db.row_factory = sqlite3.Row
            found = [dict(row) for row in db.execute(f"SELECT {CALL} FROM calls ORDER BY id")]  # noqa: S608  # a constant
        for call in found:
            if key_of(call["body"]) != call["request"]:
                raise JournalError(f"call {call['id']} of {self.path.name} was altered: its request has another hash")
        return found

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One writer at a time, all or nothing."""
        with closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30.0, isolation_level=None)


def month_of(at_ns: int) -> str:
    """2026-11 for an instant, UTC nanoseconds."""
    return f"{dt.datetime.fromtimestamp(at_ns // SECOND_NS, dt.UTC):%Y-%m}"


def _spent(db: sqlite3.Connection, month: str) -> int:
    (spent,) = db.execute(
        "SELECT coalesce(sum(coalesce(cost, bound)), 0) FROM calls WHERE month = ?", (month,)
    ).fetchone()
    return int(spent)
