"""I14, I17: what was decided live is what the backtest's path decides on the same rows, and sees no later row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from data.rows import Row
from data.types import Bars
from live.core.commands import Alert, Submit

from .trail import Trail
from .world import Evidence

SAYS = {
    ("entry", "buy"): ("entries",),
    ("entry", "sell"): ("short_entries",),
    ("reversal", "buy"): ("entries",),
    ("reversal", "sell"): ("short_entries",),
    ("exit", "sell"): ("exits", "short_entries"),
    ("exit", "buy"): ("short_exits", "entries"),
}
"""Which signals may be behind an order; a turn that was refused is an exit."""
BACK = 13
"""An exit that was asked back is sent again, and again; the first of them was held up for so many rows at most."""


def same_decisions(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I14: every order of a signal has that signal in the scan of all rows at once. I17: a scan of fewer has it too."""
    rows = [
        step.event for step in trail.steps
        if isinstance(step.event, Row)
        and not any(isinstance(command, Alert) and command.name == "row.late" for command in step.commands)
    ]  # fmt: skip
    if not rows or evidence.plan.params["mood"] == 5:
        return
    signals = _scan(evidence, rows)
    at = {row.ts: number for number, row in enumerate(rows)}
    leaving: dict[str, int] = {}  # since when a position is being left, by orders that come after one another
    for step in trail.steps:
        for command in step.commands:
            if not isinstance(command, Submit) or command.ts not in at:
                continue
            names = SAYS.get((command.reason, command.side), ())
            j, last = evidence.plan.symbols.index(command.symbol), at[command.ts]
            if command.reason == "entry":
                first = last
                leaving.pop(command.symbol, None)
            else:
                first = max(leaving.setdefault(command.symbol, last) - BACK, 0)
            if names and not any(bool(getattr(signals, name)[first : last + 1, j].any()) for name in names):
                yield f"I14 {command.reason} {command.side} of {command.symbol} at row {last}: no such signal"
    cut = 1 + evidence.seed % len(rows)
    part = _scan(evidence, rows[:cut])
    for (name, whole), (_, some) in zip(signals.columns(), part.columns(), strict=True):
        if not np.array_equal(whole[:cut], some, equal_nan=name in ("size", "stop", "target", "trail")):
            yield f"I17 {name} of the first {cut} rows depends on later ones"


def _scan(evidence: Evidence, rows: list[Row]) -> Any:
    columns = {
        name: np.array([getattr(row, name) for row in rows]) for name in ("open", "high", "low", "close", "volume")
    }
    bars = Bars(
        tuple(evidence.plan.symbols), np.array([row.ts for row in rows]), columns["open"], columns["high"],
        columns["low"], columns["close"], columns["volume"], np.array([row.session for row in rows]),
        np.array([row.since_open for row in rows]), np.array([row.to_close for row in rows]),
    )  # fmt: skip
    return evidence.strategy.call(bars, None, evidence.strategy.bind(evidence.plan.params))
