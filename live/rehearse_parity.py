"""I14: the rows that a session lived on, through the backtest's path: the same decisions, to the byte.

A backtest calls the strategy once on all rows, compiled; live calls it row by row. Here a fresh core is stepped through
the journal with the signals of the one call in place of its own. Fills, refusals, gates and a person's words are the
journal's, so that every decision is made from the state in which it was made; each must come out again, those that a
risk control then kept back, too.

This loads the compiler and must not run in the process that trades.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from data.errors import JournalError
from data.rows import Row
from data.types import FEATURES, PRICES, Bars, Book
from live.core.commands import Alert, Denied, Submit, decode_command
from live.core.core import Core
from live.core.events import decode_event, encode
from live.journal import SqliteJournal, steps
from live.replay import told
from strategies.common.load import Strategy
from strategies.types import Signals

COLUMNS = ("entries", "exits", "short_entries", "short_exits", "size", "stop", "target", "trail")


class Parity(msgspec.Struct, frozen=True):
    """What was compared. entered, left: rows times symbols at which the one call says so.

    decisions: orders decided on; refused: those of them that a control kept back. different: the first that is, or "".
    """

    rows: int
    entered: int
    left: int
    decisions: int
    refused: int
    different: str


class _Batch:
    """A strategy whose signals are known for every row already."""

    def __init__(self, strategy: Strategy, signals: Signals) -> None:
        self._strategy, self._signals, self._next = strategy, signals, 0
        self.name, self.source_hash = strategy.name, strategy.source_hash

    def bind(self, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The strategy's own."""
        return self._strategy.bind(values)

    def step(self, _stream: object, _bars: Bars, _book: Book | None, _params: Mapping[str, Any]) -> Signals:
        """The next row's."""
        at = slice(self._next, self._next + 1)
        self._next += 1
        columns = {name: getattr(self._signals, name) for name in COLUMNS}
        return Signals(**{name: None if column is None else column[at] for name, column in columns.items()})


def parity(path: Path, strategy: Strategy) -> Parity:
    """Compare what a journal decided with what one call over all its rows says.

    Raises:
        JournalError: the journal is damaged, or holds no rows.
    """
    journal = SqliteJournal.open(path)
    try:
        plan = journal.header.plan
        rows = _rows(journal)
        if not rows:
            raise JournalError(f"journal {path.name} holds no rows: there is nothing to compare")
        bars, book = _columns(rows, tuple(plan.symbols))
        signals = strategy.call(bars, book, strategy.bind(plan.params))
        core = Core(plan, cast("Strategy", _Batch(strategy, signals)))
        decisions, refused, different = 0, 0, ""
        for step in steps(journal):
            event = decode_event(step.event)
            fresh = [encode(command) for command in core.step(event)]
            for body in step.commands:
                command = decode_command(body)
                decisions += isinstance(command, (Submit, Denied))
                refused += isinstance(command, Denied)
            if fresh != step.commands and not different:
                different = _first(step.seq, fresh, step.commands)
    finally:
        journal.close()
    flags = [np.count_nonzero(column) for column in (signals.entries, signals.exits)]
    return Parity(len(rows), int(flags[0]), int(flags[1]), decisions, refused, different)


def _first(seq: int, fresh: list[bytes], had: list[bytes]) -> str:
    both = zip([*fresh, b""], [*had, b""], strict=False)
    at = next((i for i, (a, b) in enumerate(both) if a != b), min(len(fresh), len(had)))
    names = [told(decode_command(side[at])) if at < len(side) else "nothing" for side in (had, fresh)]
    return f"record {seq}: the session decided {names[0]}, the backtest's signals give {names[1]}"


def _rows(journal: SqliteJournal) -> list[Row]:
    """Those that were decided on: a row that came late was not."""
    rows: list[Row] = []
    for step in steps(journal):
        event = decode_event(step.event)
        if isinstance(event, Row) and (not rows or event.ts > rows[-1].ts):
            rows.append(event)
    return rows


def _columns(rows: list[Row], symbols: tuple[str, ...]) -> tuple[Bars, Book | None]:
    prices = {name: np.array([getattr(row, name) for row in rows], dtype=float) for name in PRICES}
    bars = Bars(
        symbols=symbols,
        ts=np.array([row.ts for row in rows], dtype=np.int64),
        session=np.array([row.session for row in rows], dtype=np.int64),
        since_open=np.array([row.since_open for row in rows], dtype=float),
        to_close=np.array([row.to_close for row in rows], dtype=float),
        **prices,
    )
    if all(row.book is None for row in rows):
        return bars, None
    nothing = [[float("nan")] * len(symbols)] * len(FEATURES)
    table = np.array([nothing if row.book is None else row.book for row in rows], dtype=float)
    return bars, Book(symbols=symbols, **{name: table[:, i, :] for i, name in enumerate(FEATURES)})


def decided(path: Path) -> bool:
    """Whether a journal holds a row at all.

    Raises:
        JournalError: it is damaged.
    """
    journal = SqliteJournal.open(path)
    try:
        return bool(_rows(journal))
    finally:
        journal.close()


def alerts_of(path: Path) -> dict[str, int]:
    """How often each alert was raised."""
    counts: dict[str, int] = {}
    journal = SqliteJournal.open(path)
    try:
        for step in steps(journal):
            for body in step.commands:
                command = decode_command(body)
                if isinstance(command, Alert):
                    counts[f"{command.level}: {command.name}"] = counts.get(f"{command.level}: {command.name}", 0) + 1
    finally:
        journal.close()
    return dict(sorted(counts.items()))
