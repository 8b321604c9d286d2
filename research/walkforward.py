"""Choosing on the past and judging on what came after: walk-forward and combinatorial purged cross-validation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtests import metrics as m
from data.calendar import SESSIONS_PER_YEAR
from data.types import Floats
from research.splits import combinatorial, group_rows, paths, require_apart, walk_forward
from research.table import Table

PURGE = 10
"""Sessions taken out before a test at most. Returns are marked to market per session, so no outcome of a training
session lies in the test; what the purge keeps apart is what neighbouring sessions have in common."""


@dataclass(frozen=True)
class Fold:
    """One choice. chosen: number of the set. inside, outside: its annualised Sharpe where chosen and where judged."""

    chosen: int
    inside: float
    outside: float
    first: int
    last: int


@dataclass(frozen=True)
class WalkForward:
    """folds in time order. returns: (S',) stitched sessions that no choice had seen. sharpe: of them, annualised.

    efficiency: mean Sharpe outside over mean Sharpe inside; NaN where the inside had none.
    """

    folds: tuple[Fold, ...]
    returns: Floats
    sharpe: float
    efficiency: float


def walk_forward_test(
    table: Table,
    folds: int = 5,
    *,
    anchored: bool = False,
    purge: int | None = None,
    splits: Iterable[tuple[Any, Any]] | None = None,
) -> WalkForward:
    """In each fold take the set with the highest Sharpe ratio before, and keep its returns after.

    Args:
        purge: sessions dropped before each test; where None the longest time a position was held, at most `PURGE`.
        splits: pairs of session numbers `(train, test)` from elsewhere, such as scikit-learn's, instead of `folds`.

    Raises:
        UsageError: too few sessions, or a split that leaks.
    """
    count, gap = len(table.sessions), _purge(table, purge)
    if splits is None:
        cut = walk_forward(count, folds, anchored=anchored, purge=gap)
    else:
        cut = require_apart(splits, count, purge=gap)
    done = []
    stitched = []
    for train, test in cut:
        seen = table.sharpes(train)
        best = int(np.argmax(seen))
        first, last = int(table.sessions[test[0]]), int(table.sessions[test[-1]])
        done.append(Fold(best, float(seen[best]), float(table.sharpes(test)[best]), first, last))
        stitched.append(table.returns[test, best])
    returns = np.concatenate(stitched)
    inside = float(np.mean([f.inside for f in done]))
    outside = float(np.mean([f.outside for f in done]))
    return WalkForward(tuple(done), returns, _sharpe(returns), outside / inside if inside > 0.0 else float("nan"))


@dataclass(frozen=True)
class Paths:
    """sharpes: (P,) of the paths, annualised. returns: (P, S) sessions of each, none of them seen by its choice."""

    sharpes: Floats
    returns: Floats

    @property
    def losing(self) -> float:
        """Share of the paths with a Sharpe ratio below 0."""
        return float((self.sharpes < 0.0).mean())


def combinatorial_test(
    table: Table, groups: int = 8, tests: int = 2, *, purge: int | None = None, embargo: int = 1
) -> Paths:
    """Many histories instead of one: every session judged by choices that never saw it, combined into full paths.

    Source: Lopez de Prado (2018), "Advances in Financial Machine Learning", chapter 12.
    """
    count = len(table.sessions)
    stretches = group_rows(count, groups)
    chosen = [
        int(np.argmax(table.sharpes(split.train)))
        for _, split in combinatorial(count, groups, tests, purge=_purge(table, purge), embargo=embargo)
    ]
    built: Any = np.empty((len(paths(groups, tests)), count))
    for row, path in enumerate(paths(groups, tests)):
        for group, split_number in enumerate(path):
            rows = stretches[group]
            built[row, rows] = table.returns[rows, chosen[split_number]]
    return Paths(np.array([_sharpe(row) for row in built]), built)


@dataclass(frozen=True)
class Plateau:
    """How flat the top is. score: mean Sharpe of the one-step neighbours over the centre's, 1 is a plain.

    worst: of the neighbours. edge: True where the best set of the table lies at the end of some parameter's values.
    neighbours: how many there were; score is NaN without any.
    """

    score: float
    worst: float
    edge: bool
    neighbours: int


def plateau(table: Table, centre: int = 0) -> Plateau:
    """The neighbourhood of set `centre`: the sets that differ from it in one parameter, by one step of its values."""
    sharpes = table.sharpes()
    values = {name: sorted({s[name] for s in table.sets}) for name in table.sets[0]}
    here = table.sets[centre]
    near = []
    for number, other in enumerate(table.sets):
        moved = [name for name in here if other[name] != here[name]]
        if len(moved) != 1:
            continue
        axis = values[moved[0]]
        if abs(axis.index(other[moved[0]]) - axis.index(here[moved[0]])) == 1:
            near.append(float(sharpes[number]))
    best = table.sets[int(np.argmax(sharpes))]
    ends = [len(axis) > 1 and best[name] in (axis[0], axis[-1]) for name, axis in values.items()]
    top = float(sharpes[centre])
    score = float(np.mean(near)) / top if near and top > 0.0 else float("nan")
    return Plateau(score, min(near) if near else float("nan"), any(ends), len(near))


def _purge(table: Table, purge: int | None) -> int:
    return min(table.held, PURGE) if purge is None else purge


def _sharpe(returns: Floats) -> float:
    ratio = m.sharpe_ratio(returns, SESSIONS_PER_YEAR)
    return ratio if np.isfinite(ratio) else 0.0
