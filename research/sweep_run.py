"""Running parameter sets over threads, within a budget of memory, until done or interrupted."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from data.errors import OnetapeError, UsageError
from data.types import Bars, Book, Floats
from research.cache import Shared
from research.fused import Fused, Work
from strategies.common.load import Strategy
from strategies.types import Signals

MB = 1 << 20
BATCH_CELLS = 500_000
"""Values (rows x symbols) of signals between two reports of a thread."""


class Runner:
    """One strategy on one market: gives the numbers of any parameter set.

    Args:
        names: of the parameters that a set gives; fixed: the others.
        budget: bytes for shared indicator results and for what the threads work in.
        threads: at most so many.

    Raises:
        UsageError: one set alone needs more memory than the budget.
    """

    def __init__(
        self,
        strategy: Strategy,
        bars: Bars,
        book: Book | None,
        names: Sequence[str],
        fixed: Mapping[str, Any],
        fused: Fused,
        *,
        budget: int,
        threads: int,
    ) -> None:
        if strategy.needs_book and book is None:
            book = Book.absent(len(bars), bars.symbols)  # one and the same for all sets, or nothing could be shared
        self.strategy, self.bars, self.book, self.fused = strategy, bars, book, fused
        self.names, self.fixed = tuple(names), dict(fixed)
        self.budget, self.threads = budget, threads
        self.shared: Shared | None = Shared(bars, book, budget // 4)
        self.kept = 0
        self._local = threading.local()
        self._stop = threading.Event()

    def prepare(self, values: tuple[Any, ...]) -> None:
        """Run one set, so that everything is compiled, and share the budget out by the memory it needs."""
        self.run_set(values)
        if self.shared is None:
            return
        self.shared = Shared(self.bars, self.book, self.budget // 4)
        traced = tracemalloc.is_tracing()
        if not traced:
            tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            self.run_set(values)
            each = tracemalloc.get_traced_memory()[1] - before
        finally:
            if not traced:
                tracemalloc.stop()
        each += self._work().nbytes
        if each > self.budget:
            raise UsageError(
                f"one set needs {each / MB:,.0f} MB and the budget is {self.budget / MB:,.0f} MB; give more budget_mb, "
                f"fewer rows or fewer symbols"
            )
        self.threads = max(1, min(self.threads, int(0.75 * self.budget / each)))
        room = max(self.budget - self.threads * each, self.budget // 8)
        result = max(1, self.shared.nbytes // max(1, self.shared.misses))
        self.kept = int(0.75 * room / result)
        self.shared.resize(room)

    def run_set(self, values: tuple[Any, ...]) -> Floats:
        """The numbers of one set, (accounts, columns of `Fused`).

        Raises:
            OnetapeError: what the strategy or its indicators refuse, with the parameters named.
        """
        params = {**self.fixed, **dict(zip(self.names, values, strict=True))}
        try:
            signals = self._signals(params)
        except OnetapeError as error:
            raise type(error)(f"with {_words(self.names, values)}: {error}") from error
        except Exception as error:
            error.add_note(f"in {self.strategy.name}.signals with {_words(self.names, values)}")
            raise
        return self.fused.run(signals, self._work())

    def run(
        self,
        sets: Sequence[tuple[Any, ...]],
        order: Sequence[int],
        numbers: Floats,
        done: Any,
        tell: Callable[[list[int]], None],
    ) -> bool:
        """Write the numbers of `sets`, taken in `order`, into `numbers` and mark them in `done`.

        Args:
            tell: is told which sets are finished, from the calling thread.

        Returns:
            False where it was interrupted (Ctrl-C); what is done stays.
        """
        self._stop.clear()
        size = max(1, min(64, BATCH_CELLS // max(1, self.bars.close.size)))
        batches: Iterator[Sequence[int]] = (order[i : i + size] for i in range(0, len(order), size))

        def work_through(batch: Sequence[int]) -> list[int]:
            for i in batch:
                if self._stop.is_set():
                    break
                numbers[i] = self.run_set(sets[i])
                done[i] = True
            return [i for i in batch if done[i]]

        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="sweep")
        running: set[Future[list[int]]] = set()
        try:
            while True:
                while len(running) < 2 * self.threads and (batch := next(batches, None)) is not None:
                    running.add(pool.submit(work_through, batch))
                if not running:
                    return True
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    tell(future.result())
        except KeyboardInterrupt:
            return False
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _signals(self, params: Mapping[str, Any]) -> Signals:
        shared = self.shared
        if shared is None:
            return self.strategy.call(self.bars, self.book, params)
        try:
            with shared:
                return self.strategy.call(self.bars, self.book, params)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
        # A strategy may write into an indicator's result, which is its own in a backtest: then nothing is shared.
        signals = self.strategy.call(self.bars, self.book, params)
        self.shared = None
        return signals

    def _work(self) -> Work:
        if not hasattr(self._local, "work"):
            self._local.work = self.fused.work()
        work: Work = self._local.work
        return work


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _words(names: Sequence[str], values: Sequence[Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in zip(names, values, strict=True))


def unfinished(done: Any, order: Any) -> Any:
    """The places of `order` that are not done yet."""
    return order[~np.asarray(done)[order]]
