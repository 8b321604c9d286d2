"""Did the vetoes earn more than they cost? The same backtest without and with the recorded opinions, net of the bill.

Kept in a ledger beside the journal of calls, append-only, so that a month of notes is judged by all its runs.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from backtests.engine import Named, as_strategy, clock_of, run_backtest
from data.errors import JournalError
from data.tape import content_hash
from data.types import Bars, Book
from research.patterns.advisor import Record
from research.patterns.authority import DEFAULT, Applied, Policy, apply, wanted_sides
from research.patterns.models import dollars
from research.patterns.opinion import Opinion
from research.patterns.picture import FEWEST, ROWS, Picture, picture_at
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from strategies.types import Signals

SCHEMA = """
CREATE TABLE IF NOT EXISTS verdicts (id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, strategy TEXT NOT NULL,
    model TEXT NOT NULL, dataset TEXT NOT NULL, verdict TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS verdicts_stay BEFORE UPDATE ON verdicts
    BEGIN SELECT RAISE(ABORT, 'verdicts are kept'); END;
CREATE TRIGGER IF NOT EXISTS verdicts_remain BEFORE DELETE ON verdicts
    BEGIN SELECT RAISE(ABORT, 'verdicts are kept'); END;
"""


@dataclass(frozen=True)
class Verdict:
    """One comparison, dollars.

    asked: entries for which a reply was looked up; recorded: for which there was one. vetoed, shrunk: entries.
    contaminated: of the recorded, those on bars before the model's cutoff. without, with_notes: profit. earned: their
    difference. bill: what the replies cost, each once. net: earned - bill.
    """

    strategy: str
    model: str
    dataset: str
    asked: int
    recorded: int
    vetoed: int
    shrunk: int
    contaminated: int
    without: float
    with_notes: float
    earned: float
    bill: float
    net: float

    def line(self) -> str:
        """The verdict in a sentence."""
        paid = "earned more than they cost" if self.net > 0.0 else "did not earn what they cost"
        taint = (
            f"; {self.contaminated} of {self.recorded} notes are on bars from before the model's cutoff, so this is no "
            f"evidence for them"
            if self.contaminated
            else ""
        )
        vetoes = f"{self.vetoed} veto{'' if self.vetoed == 1 else 'es'}"
        shrinks = f"{self.shrunk} shrink{'' if self.shrunk == 1 else 's'}"
        return (
            f"{vetoes} and {shrinks} {paid}: profit {self.without:,.2f} without, "
            f"{self.with_notes:,.2f} with, bill {self.bill:.4f}, net {self.net:+,.2f}{taint}"
        )


def entry_cells(signals: Signals, bars: Bars, rule: Rule, rows: int = ROWS) -> list[tuple[int, int]]:
    """(row, column) of every wanted entry of which a picture of `rows` rows can be made, in order of time."""
    wanted = wanted_sides(signals.checked(bars.shape, "signals"), rule) != 0
    priced = np.isfinite(bars.close)
    found = [(int(t), int(j)) for t, j in np.argwhere(wanted & priced)]
    return [(t, j) for t, j in found if priced[max(t + 1 - rows, 0) : t + 1, j].sum() >= FEWEST]


def notes_on(
    strategy: Named,
    bars: Bars,
    ask: Callable[[Picture], Opinion],
    *,
    params: Mapping[str, Any] | None = None,
    book: Book | None = None,
    rows: int = ROWS,
    anonymous: bool = False,
    most: int | None = None,
) -> list[Opinion]:
    """The opinions on a strategy's entries, oldest first.

    Args:
        ask: `Advisor.ask` (may call) or `Record.ask` (never does).
        most: ask for the first so many entries only.
    """
    known = as_strategy(strategy)
    clock = clock_of(bars, known.clock)
    signals = known.call(bars, book, known.bind(params))
    cells = entry_cells(signals, bars, known.rule, rows)
    return [ask(picture_at(bars, t, bars.symbols[j], clock, rows=rows, anonymous=anonymous)) for t, j in cells[:most]]


def judge(
    strategy: Named,
    bars: Bars,
    record: Record,
    *,
    params: Mapping[str, Any] | None = None,
    book: Book | None = None,
    costs: Costs | None = None,
    policy: Policy = DEFAULT,
    rows: int = ROWS,
    anonymous: bool = False,
    cash: float = 100_000.0,
) -> tuple[Verdict, Applied]:
    """The counterfactual: one backtest without the opinions, one with; only recorded replies, never a call.

    Raises:
        OnetapeError: as `run_backtest`.
    """
    known = as_strategy(strategy)
    costs = costs or Costs()
    opinions = notes_on(known, bars, record.ask, params=params, book=book, rows=rows, anonymous=anonymous)
    plain = run_backtest(bars, known, params, costs, book=book, cash=cash)
    applied = apply(opinions, plain.signals, bars, known.rule, policy)
    advised = replace(known, signals=_given(applied.signals), needs_book=False)
    noted = run_backtest(bars, advised, params, costs, cash=cash, rule=known.rule, book=book)
    there = [opinion for opinion in opinions if opinion.how == "replay"]
    bill = dollars(sum({opinion.request: opinion.cost for opinion in there}.values()))
    without, with_notes = float(plain.equity[-1]) - cash, float(noted.equity[-1]) - cash
    effects = [effect.effect for effect in applied.effects]
    verdict = Verdict(
        strategy=known.name,
        model=there[0].model if there else "",
        dataset=content_hash(bars, book),
        asked=len(opinions),
        recorded=len(there),
        vetoed=effects.count("veto"),
        shrunk=effects.count("shrink"),
        contaminated=sum(opinion.contaminated for opinion in there),
        without=without,
        with_notes=with_notes,
        earned=with_notes - without,
        bill=bill,
        net=with_notes - without - bill,
    )
    return verdict, applied


class Verdicts:
    """The ledger of verdicts, in the file of the journal of calls.

    Raises:
        JournalError: the file is not a SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(path, timeout=30.0)) as db:
                db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path.name} is not a journal of pattern notes ({error}); move it away") from error

    def add(self, verdict: Verdict, *, at_ns: int) -> None:
        """Keep a verdict; `at_ns`: UTC nanoseconds now, from the caller's clock."""
        row = (at_ns, verdict.strategy, verdict.model, verdict.dataset, json.dumps(asdict(verdict)))
        with closing(sqlite3.connect(self.path, timeout=30.0)) as db, db:
            db.execute("INSERT INTO verdicts (at_ns, strategy, model, dataset, verdict) VALUES (?, ?, ?, ?, ?)", row)

    def all(self) -> list[tuple[int, Verdict]]:
        """(when, verdict), oldest first."""
        with closing(sqlite3.connect(self.path, timeout=30.0)) as db:
            found = db.execute("SELECT at_ns, verdict FROM verdicts ORDER BY id").fetchall()
        return [(at_ns, Verdict(**json.loads(text))) for at_ns, text in found]


def _given(signals: Signals) -> Any:
    """A strategy that says what was settled before."""

    def advised(_bars: Bars, **_params: Any) -> Signals:
        return signals

    return advised
