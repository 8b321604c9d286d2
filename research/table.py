"""Session returns of every parameter set of a family: the one table that walk-forward, CPCV and overfitting read.

Each set is run once over the whole history. Signals are causal (the certificate says so), so its return on a session
is what it would have been had the run begun with the choice; only a position held over the border of a split is
shared, which is what `purge` takes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from backtests import metrics as m
from backtests.engine import Named, as_strategy, check_rows, clock_of
from backtests.scan import scan
from data.calendar import SESSIONS_PER_YEAR
from data.errors import UsageError
from data.types import Bars, Book, Floats, Ints
from strategies.common.costs import Costs
from strategies.common.load import Parameter, Strategy
from strategies.common.rule import Rule

SPREAD = (0.5, 0.75, 1.0, 1.25, 1.5)


@dataclass(frozen=True)
class Table:
    """sets: N parameter sets. returns: (S, N) of sessions. sessions: (S,) yyyymmdd. fills: (N,) of each set.

    held: the most session ends that any position of any set lasted through.
    """

    sets: tuple[dict[str, Any], ...]
    returns: Floats
    sessions: Ints
    fills: Ints
    held: int

    def sharpes(self, rows: Any = slice(None)) -> Floats:
        """(N,) annualised Sharpe ratios over these sessions; 0 for a set that held nothing."""
        part = self.returns[rows]
        deviation = part.std(axis=0, ddof=1)
        ratio = np.divide(part.mean(axis=0), deviation, out=np.zeros(part.shape[1]), where=deviation > 1e-14)
        return np.asarray(ratio * np.sqrt(SESSIONS_PER_YEAR))


def table_of(
    strategy: Named,
    bars: Bars,
    sets: Iterable[Mapping[str, Any]],
    *,
    book: Book | None = None,
    rule: Rule | None = None,
    costs: Costs | None = None,
    cash: float = 100_000.0,
    progress: Callable[[int], None] = lambda _: None,
) -> Table:
    """Run every set over `bars`.

    Raises:
        UsageError: no set, an unknown parameter, or a value of the wrong type.
        DataError: rows on which a backtest would mean nothing.
    """
    known = as_strategy(strategy)
    check_rows(bars, book)
    clock = clock_of(bars, known.clock)
    knobs = (rule or known.rule).knobs(clock)
    bound = [known.bind(values) for values in sets]
    if not bound:
        raise UsageError("there is no parameter set to run; give a grid with at least one")
    sessions = bars.session[m.session_ends(bars.session)]
    returns = np.empty((len(sessions), len(bound)), order="F")
    fills = np.empty(len(bound), dtype=np.int64)
    held = 0
    for number, values in enumerate(bound):
        done = scan(bars, book, known.call(bars, book, values), knobs, costs or Costs(), cash)
        returns[:, number] = m.session_returns(done.equity, bars.session, cash)
        fills[number] = int((done.orders["filled"] >= 0).sum())
        held = max(held, _overnight(done.positions, bars))
        progress(number + 1)
    return Table(tuple(bound), returns, sessions, fills, held)


def neighbourhood(
    strategy: Strategy, params: Mapping[str, Any] | None = None, *, most: int = 200, seed: int = 0
) -> list[dict[str, Any]]:
    """Sets around `params`: each number at 50 % to 150 % of its value within its range, alone and in random company.

    The first set is `params` itself; no set occurs twice; at most `most` of them.
    """
    centre = strategy.bind(params)
    axes = {p.name: steps(p, centre[p.name]) for p in strategy.parameters if p.kind in (int, float)}
    star = [centre | {name: value} for name, values in axes.items() for value in values]
    random = np.random.Generator(np.random.PCG64(seed))
    mixed = [
        centre | {name: values[int(random.integers(len(values)))] for name, values in axes.items()}
        for _ in range(most if len(axes) > 1 else 0)
    ]
    unique = {tuple(sorted(s.items())): s for s in [centre, *star, *mixed]}
    return list(unique.values())[:most]


def steps(parameter: Parameter, value: Any) -> list[Any]:
    """The values of one parameter around `value`, ascending, `value` among them, inside its range."""
    found = set()
    for factor in SPREAD:
        near = value * factor
        near = round(near) if parameter.kind is int else near
        if parameter.range is not None:
            near = min(max(near, parameter.range.low), parameter.range.high)
        found.add(parameter.kind(near))
    return sorted(found | {value})


def full_grid(strategy: Strategy, grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the grid's values, the other parameters at their defaults."""
    return [strategy.bind(dict(zip(grid, values, strict=True))) for values in product(*grid.values())]


def _overnight(positions: Floats, bars: Bars) -> int:
    """The most session ends that one position lasted through."""
    ends = m.session_ends(bars.session)
    longest = 0
    for j in range(positions.shape[1]):
        side = np.sign(positions[ends, j])
        longest = max(longest, m.longest_run(side > 0), m.longest_run(side < 0))
    return longest
