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

from backtests.engine import Named, as_strategy, check_rows, clock_of
from data.calendar import SESSIONS_PER_YEAR
from data.errors import UsageError
from data.types import Bars, Book, Floats, Ints
from research.fused import NAMES, Fused
from research.sweep_result import SweepResult
from research.sweep_run import MB, Runner, cores
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
    budget_mb: float = 512.0,
    progress: Callable[[int], None] = lambda _: None,
) -> Table:
    """Run every set over `bars`, as a sweep does: shared indicators, threads, one compiled pass a set.

    Raises:
        UsageError: no set, an unknown parameter, or a value of the wrong type.
        DataError: rows on which a backtest would mean nothing.
    """
    known = as_strategy(strategy)
    check_rows(bars, book)
    clock = clock_of(bars, known.clock)
    bound = [known.bind(values) for values in sets]
    if not bound:
        raise UsageError("there is no parameter set to run; give a grid with at least one")
    names = tuple(p.name for p in known.parameters)
    fused = Fused(bars, book, rule or known.rule, costs or Costs(), cash, clock, sessions=True)
    runner = Runner(known, bars, book, names, {}, fused, budget=int(budget_mb * MB), threads=cores())
    values = [tuple(each[name] for name in names) for each in bound]
    rows = np.empty((len(bound), 1, fused.columns))
    done = np.zeros(len(bound), np.bool_)
    if len(bound) > 1:
        runner.prepare(values[0])
    if not runner.run(values, range(len(bound)), rows, done, lambda _: progress(int(done.sum()))):
        raise KeyboardInterrupt
    found = SweepResult(
        known.name, names, values, {}, rows[:, :, : len(NAMES)], kept=rows[:, :, len(NAMES) :],
        sessions=bars.session[fused.ends], cash=cash,
    )  # fmt: skip
    return found.table()


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
