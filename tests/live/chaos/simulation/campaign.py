"""Many schedules over several processes, and what they add up to."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from .disk import DiskSystem
from .judge import Verdict, Violation, judged
from .mutants import MUTANTS

TWICE_EVERY = 50
"""Every so many schedules one is run a second time: the same seed gives the same trace (I16)."""
SHARE = 25


@dataclass
class Tally:
    """What some schedules came to. met: (fault, order state) to how often."""

    schedules: int = 0
    orders: int = 0
    violations: list[Violation] = field(default_factory=list)
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Take another's in."""
        self.schedules += other.schedules
        self.orders += other.orders
        self.violations += other.violations
        self.met.update(other.met)


class Bench(AbstractContextManager["Bench"]):
    """A simulated machine to run schedules on, one after another; use as `with Bench() as bench`."""

    def __enter__(self) -> Self:
        memory = Path("/dev/shm")  # files of second runners are many and small
        self._folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        root = Path(self._folder.name)
        self._own = root / "own"
        self._own.mkdir()
        self._system = DiskSystem(root)
        self._collects = gc.isenabled()
        gc.disable()  # a schedule leaves next to no cycles, and looking for them takes a tenth of its time
        return self

    def __exit__(self, *_: object) -> None:
        if self._collects:
            gc.enable()
        gc.collect()
        self._system.close()
        self._folder.cleanup()

    def run(self, seed: int, only: tuple[str, ...] = ()) -> Verdict:
        """One schedule, judged."""
        for file in self._own.iterdir():
            file.unlink()
        try:
            return judged(seed, self._system, only, self._own)
        except Exception as error:  # a schedule that our code does not survive is a finding like any other
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
            return Verdict(seed, (Violation(seed, "uncaught", text),), {}, "", 0)


def schedules(seeds: range) -> Tally:
    """Run these schedules in this process."""
    tally, since = Tally(), time.perf_counter()
    with Bench() as bench:
        for seed in seeds:
            verdict = bench.run(seed)
            tally.schedules += 1
            tally.orders += verdict.orders
            tally.violations += verdict.violations
            tally.met.update(verdict.met)
            if seed % TWICE_EVERY == 0 and bench.run(seed).trace != verdict.trace:
                tally.violations.append(Violation(seed, "I16", "the same seed gave another trace"))
    tally.seconds = time.perf_counter() - since
    return tally


def over_processes(seeds: range, workers: int) -> Iterator[Tally]:
    """Run schedules on so many processes; a tally as each share of them is done."""
    shares = [range(at, min(at + SHARE, seeds.stop)) for at in range(seeds.start, seeds.stop, SHARE)]
    if workers <= 1:
        yield from map(schedules, shares)
        return
    with multiprocessing.get_context("spawn").Pool(workers, _deaf) as pool:
        yield from pool.imap(schedules, shares)  # in order: what is done when a campaign is cut is its first part


def _deaf() -> None:
    """An interrupt is for who started the workers; it ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def hunted(name: str, start: int, most: int) -> tuple[str, int, tuple[str, ...]]:
    """(mutant, schedules until it was caught, by which invariants); 0 where it was not within `most`."""
    planted = MUTANTS[name]
    with Bench() as bench, planted.plant():
        for number in range(most):
            found = bench.run(start + number, planted.faults).violations
            if found:
                return name, number + 1, tuple(sorted({violation.invariant for violation in found}))
    return name, 0, ()


def _hunt(task: tuple[str, int, int]) -> tuple[str, int, tuple[str, ...]]:
    return hunted(*task)


def hunts(start: int, most: int, workers: int) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Look for every planted bug, as `hunted` does."""
    tasks = [(name, start, most) for name in MUTANTS]
    if workers <= 1:
        yield from map(_hunt, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers, _deaf) as pool:
        yield from pool.imap_unordered(_hunt, tasks, chunksize=1)
