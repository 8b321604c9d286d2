"""A sweep: one strategy, many parameter sets, the numbers of every set's backtest to the last bit.

    result = sweep("ma_cross", bars, grid={"fast": range(5, 200, 5), "slow": "20:400:20"}, constraint="fast < slow")
    result.best().params, result.frame, result.surface("fast", "slow")

The strategy is the file that trades: its `signals` is called with scalar parameters, set by set. What sets have in
common is computed once (`research.cache`), the position rule and the metrics are one compiled pass that keeps nothing
per row (`research.fused`), and threads share the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from backtests.engine import DEFAULT_COSTS, Named, as_strategy, check_rows, clock_of
from backtests.trials import AUTO, Where, dataset_of, ledger_path, record
from data.calendar import parse_clock
from data.door import did_you_mean
from data.errors import UsageError
from data.types import Bars, Book
from research.fused import NAMES, Fused
from research.grid import Constraint, constraint_of, dimensions, drawn_sets, every_set, tiled
from research.ledger import trials_of
from research.sweep_result import LOWER, SweepResult, metric_place, read_sweep
from research.sweep_run import MB, Runner, cores, unfinished
from strategies.common.costs import Costs
from strategies.common.load import Strategy
from strategies.common.rule import Rule

SEARCHES = ("grid", "random", "tpe")
ENGINES = ("threads", "ray")
RETURNS = (None, "session")
CHECKPOINTS = 20


@dataclass(frozen=True)
class Progress:
    """How far a sweep is: sets done and in all, the best metric so far and its parameters."""

    done: int
    total: int
    metric: str
    best: float
    params: dict[str, Any]


def sweep(
    strategy: Named,
    bars: Bars,
    *,
    book: Book | None = None,
    grid: Mapping[str, Any] | None = None,
    search: str = "grid",
    trials: int = 200,
    costs: Costs = DEFAULT_COSTS,
    rule: Rule | None = None,
    cash: float = 100_000.0,
    clock: str | None = None,
    metric: str = "sharpe",
    constraint: str | Constraint | None = None,
    apart: bool = False,
    params: Mapping[str, Any] | None = None,
    budget_mb: float = 512.0,
    threads: int | None = None,
    engine: str = "threads",
    seed: int = 7,
    resume: Path | str | None = None,
    returns: str | None = None,
    ledger: Where = AUTO,
    progress: Callable[[Progress], None] | None = None,
) -> SweepResult:
    """The numbers of every parameter set, each equal to `run_backtest`'s of that set, bit for bit.

    Args:
        strategy, book, costs, rule, cash, clock: as for `run_backtest`.
        grid: per parameter its values: a list, an array, or a text `5:200:5` (the end included), `5,10,20`. A search
            that draws also takes ranges, `5..200` or `Range(5, 200)`; None: all parameters that have a range.
        search: `grid` runs every set, `random` so many `trials` drawn evenly, `tpe` lets optuna choose them by what the
            ones before gave (the same sets for the same seed, whatever the threads).
        metric: what `best`, `tpe` and the progress look at; any of the table's columns.
        constraint: sets it does not hold for are left out: `fast < slow`, or a function of the parameters by name.
        apart: every symbol is an account of its own, with all of the cash. The signals are asked once for all symbols.
        params: of those that are not swept; their defaults otherwise.
        budget_mb: memory for results of indicators and for work, on top of what the process and the rows take.
        threads: one a processor where it is None.
        engine: `threads` of this process, or `ray`: worker processes, also of other machines (`research.ray_engine`);
            the budget is then that of each.
        seed: of `random` and `tpe`.
        resume: a file that keeps the sets as they are done; those in it already are not run again.
        returns: `session` keeps every set's session returns too (`SweepResult.returns`, `SweepResult.table()`), in
            the same budget: what White's test, PBO and walk-forward ask for without running a set again.
        ledger: the trial ledger that every set is appended to, see `backtests.trials`; None: to none.
        progress: is called with a `Progress` now and then, from this thread.

    Ctrl-C ends a sweep early: what is done comes back, with `complete` False.

    Raises:
        UsageError: an empty grid, an unknown parameter, metric, search or engine, a wrong type, no set left, a budget
            too small for one set or for the returns, a file of another sweep in `resume`, or both of `resume` and
            `returns`.
        DataError: rows that cannot be tested. StrategyError: the strategy broke its contract.
    """
    if search not in SEARCHES:
        raise UsageError(f"search {search!r} is not one of ({', '.join(SEARCHES)}){did_you_mean(search, SEARCHES)}")
    if engine not in ENGINES:
        raise UsageError(f"engine {engine!r} is not one of ({', '.join(ENGINES)}){did_you_mean(engine, ENGINES)}")
    if isinstance(cash, bool) or not 0.0 < cash < inf:
        raise UsageError(f"cash must be a positive number of dollars, got {cash!r}")
    if returns not in RETURNS:
        raise UsageError(f"returns must be 'session' or None, got {returns!r}")
    if returns is not None and resume is not None:
        raise UsageError("a resumed file holds no session returns; leave out resume, or returns")
    metric = NAMES[metric_place(metric)]
    known = as_strategy(strategy)
    space = dimensions(known, grid, ranged=search != "grid")
    fixed = {name: value for name, value in known.bind(params).items() if name not in space}
    both = [name for name in params or () if name in space]
    if both:
        raise UsageError(f"parameter {both[0]!r} is both swept and given; keep one")
    allowed = _with(constraint_of(constraint, [p.name for p in known.parameters]), fixed)
    check_rows(bars, book)
    clock = clock_of(bars, known.clock) if clock is None else clock
    parse_clock(clock)
    rule = known.rule if rule is None else rule
    sessions = returns is not None
    fused = Fused(bars, book, rule, costs, float(cash), clock, apart=apart, sessions=sessions)
    budget, workers = int(budget_mb * MB), cores() if threads is None else max(1, threads)
    sets: Any = ()
    if search != "tpe":
        sets = every_set(space, allowed) if search == "grid" else drawn_sets(space, trials, seed, allowed)
    if sessions:
        budget = _left_of(budget, trials if search == "tpe" else len(sets), fused)
    if engine == "ray":
        from research.ray_engine import RayRunner, Terms

        terms = Terms(rule, costs, float(cash), clock, apart, sessions)
        runner: Runner = RayRunner(known, bars, book, tuple(space), fixed, fused, terms, budget=budget, threads=workers)
    else:
        runner = Runner(known, bars, book, tuple(space), fixed, fused, budget=budget, threads=workers)
    identity: dict[str, Any] = {}
    if resume is not None:
        identity = _identity(known, bars, book, rule, costs, cash, clock, fixed)
    table = _Table(known, runner, metric, bars.symbols if apart else (), identity, resume, progress)
    try:
        if search == "tpe":
            from research.sweep_search import search_tpe

            complete = search_tpe(space, trials, seed, allowed, table)
        else:
            complete = table.add(sets, total=len(sets))
    finally:  # what was evaluated is a trial, also where a later set failed
        if len(table.sets) and ledger_path(ledger) is not None:
            dataset = dataset_of(bars, book)
            record(trials_of(known, table.result_of_blocks(), dataset, len(bars), table.known), ledger)
    return table.result(complete)


class _Table:
    """The sets run so far; grows by blocks, remembers what a resumed file held, keeps the file."""

    def __init__(
        self,
        strategy: Strategy,
        runner: Runner,
        metric: str,
        symbols: tuple[str, ...],
        identity: Mapping[str, Any],
        resume: Path | str | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.strategy, self.runner, self.metric = strategy, runner, metric
        self.symbols, self.identity, self.progress = symbols, identity, progress
        self.path = None if resume is None else Path(resume)
        self.sign = -1.0 if metric in LOWER else 1.0
        self.known: dict[tuple[Any, ...], Any] = {}
        self.sets: Any = []
        self.numbers: Any = np.empty((0, runner.fused.accounts, runner.fused.columns))
        self.asked = 0
        self.best = -inf
        self.best_set: tuple[Any, ...] = ()
        self._ready = False
        if self.path is not None and self.path.exists():
            self._recall()

    def add(self, sets: Any, *, total: int) -> bool:
        """Run these sets behind those there are; False where it was interrupted."""
        before, self.asked = len(self.sets), max(total, self.asked)
        numbers = np.full((len(sets), *self.numbers.shape[1:]), np.nan)
        done = np.zeros(len(sets), np.bool_)
        if self.known:
            for i, values in enumerate(sets):
                if values in self.known:
                    numbers[i], done[i] = self.known[values], True
        todo = np.flatnonzero(~done)
        if len(todo) and not self._ready:
            self.runner.prepare(sets[int(todo[0])])
            self._ready = True
        order = unfinished(done, tiled(sets, self.runner.kept)) if len(todo) else todo
        every = max(1, max(total, len(sets)) // CHECKPOINTS)
        mark = 0

        def tell(finished: list[int]) -> None:
            nonlocal mark
            self._look(sets, numbers, finished)
            mark += len(finished)
            if self.progress is not None:
                now = before + int(np.count_nonzero(done))
                best = self.sign * self.best if self.best_set else float("nan")
                chosen: dict[str, Any] = dict(zip(self.runner.names, self.best_set, strict=False))
                self.progress(Progress(now, self.asked, self.metric, best, chosen))
            if self.path is not None and mark >= every:
                mark = 0
                self._result(*self._joined(sets, numbers, done), False).to_parquet(self.path)

        tell([int(i) for i in np.flatnonzero(done)])
        complete = self.runner.run(sets, order.tolist(), numbers, done, tell)
        self.sets, self.numbers = self._joined(sets, numbers, done)
        return complete

    def scores(self, first: int) -> list[float]:
        """The metric of the sets from `first` on, higher is better; the best account's, NaN where there is none."""
        column = self.sign * self.numbers[first:, :, metric_place(self.metric)]
        return [float(np.max(row[np.isfinite(row)])) if np.isfinite(row).any() else float("nan") for row in column]

    def result(self, complete: bool) -> SweepResult:
        """What there is."""
        done = self._result(self.sets, self.numbers, complete)
        if self.path is not None:
            done.to_parquet(self.path)
        return done

    def result_of_blocks(self) -> SweepResult:
        """What the finished blocks hold; no file is written."""
        return self._result(self.sets, self.numbers, False)

    def _result(self, sets: Any, numbers: Any, complete: bool) -> SweepResult:
        fused = self.runner.fused
        return SweepResult(
            strategy=self.strategy.name,
            names=self.runner.names,
            sets=sets,
            fixed=self.runner.fixed,
            numbers=numbers if numbers.shape[2] == len(NAMES) else np.ascontiguousarray(numbers[:, :, : len(NAMES)]),
            symbols=self.symbols,
            metric=self.metric,
            complete=complete,
            asked=self.asked,
            identity=self.identity,
            kept=numbers[:, :, len(NAMES) :] if numbers.shape[2] > len(NAMES) else None,
            sessions=self.runner.bars.session[fused.ends],
            cash=fused.cash,
        )

    def _joined(self, sets: Any, numbers: Any, done: Any) -> tuple[Any, Any]:
        """Sets and numbers of those there were and those of this block that are done."""
        if not len(self.sets) and done.all():
            return sets, numbers
        here = np.flatnonzero(done)
        return [*self.sets, *(sets[int(i)] for i in here)], np.concatenate([self.numbers, numbers[here]])

    def _look(self, sets: Any, numbers: Any, finished: list[int]) -> None:
        place = metric_place(self.metric)
        for i in finished:
            top = self.sign * numbers[i, :, place]
            value = float(np.max(top[np.isfinite(top)], initial=-inf))
            if value > self.best:
                self.best, self.best_set = value, sets[i]

    def _recall(self) -> None:
        """Take over the sets of the file.

        Raises:
            UsageError: it is of another sweep.
        """
        old = read_sweep(self.path or "")
        if old.names != self.runner.names or old.symbols != self.symbols or dict(old.identity) != dict(self.identity):
            differing = [k for k, v in self.identity.items() if old.identity.get(k) != v] or ["parameters or symbols"]
            raise UsageError(
                f"{self.path} holds a sweep of {old.strategy} with other {', '.join(differing)}; give another file, or "
                f"delete it"
            )
        self.known = dict(zip(old.sets, old.numbers, strict=True))


def _with(allowed: Constraint | None, fixed: Mapping[str, Any]) -> Constraint | None:
    if allowed is None or not fixed:
        return allowed
    return lambda values: allowed({**fixed, **values})


def _left_of(budget: int, sets: int, fused: Fused) -> int:
    """Bytes that the returns of `sets` sets leave of the budget.

    Raises:
        UsageError: they leave less than half.
    """
    need = 2 * 8 * sets * fused.accounts * fused.columns  # equity as it comes, and the returns made of it
    if need > budget // 2:
        raise UsageError(
            f"session returns of {sets:,} sets over {len(fused.ends):,} sessions take {need / MB:,.0f} MB, more than "
            f"half of the budget of {budget / MB:,.0f} MB; give more budget_mb, fewer sets, or leave out returns"
        )
    return budget - need


def _identity(
    strategy: Strategy, bars: Bars, book: Book | None, rule: Rule, costs: Costs, cash: float, clock: str, fixed: Any
) -> dict[str, Any]:
    from data.tape import content_hash

    return {
        "strategy": strategy.source_hash,
        "rows": content_hash(bars, book),
        "rule": repr(rule),
        "costs": repr(costs),
        "cash": float(cash),
        "clock": clock,
        "fixed parameters": dict(fixed),
    }
