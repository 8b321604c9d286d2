"""How a sweep shows how far it is: a bar on a terminal, else a line every few seconds. Belongs to the shell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Self, TextIO

from research.sweep import Progress

EVERY = 5.0


class Reporter:
    """Takes `Progress` and shows it, with the time left and the best set so far.

        with Reporter() as report:
            sweep(..., progress=report)

    Args:
        clock: seconds, steady. stream: what to write to. terminal: whether to draw a bar; asked of the stream.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        stream: TextIO | None = None,
        terminal: bool | None = None,
    ) -> None:
        self.clock = clock
        self.stream = sys.stderr if stream is None else stream
        self.terminal = self.stream.isatty() if terminal is None else terminal
        self.began = clock()
        self._first = 0
        self._said = self.began
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, progress: Progress) -> None:
        now = self.clock()
        if self._first == 0 and now - self.began < 1e-3:
            self._first = progress.done  # found in a file, not run: they say nothing about the speed
        if self.terminal:
            self._draw(progress, now)
        elif now - self._said >= EVERY or progress.done == progress.total:
            self._said = now
            self.stream.write(self.line(progress, now) + "\n")
            self.stream.flush()

    def line(self, progress: Progress, now: float) -> str:
        """One line: how many of how many, the time left, the best so far."""
        return f"{progress.done:,} of {progress.total:,} sets{self._left(progress, now)}{best_so_far(progress)}"

    def _left(self, progress: Progress, now: float) -> str:
        ran = progress.done - self._first
        if ran <= 0 or progress.done >= progress.total:
            return ""
        seconds = (now - self.began) / ran * (progress.total - progress.done)
        return f", {int(seconds) // 60}:{int(seconds) % 60:02d} left"

    def _draw(self, progress: Progress, now: float) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), console=Console(file=self.stream)
            )
            self._task = self._bar.add_task("", total=progress.total)
            self._bar.start()
        said = f"{self._left(progress, now)}{best_so_far(progress)}".removeprefix(", ")
        self._bar.update(self._task, completed=progress.done, total=progress.total, description=said)


def best_so_far(progress: Progress) -> str:
    """`, best sharpe 1.23 (fast=5, slow=20)`; empty where there is none."""
    if not progress.params:
        return ""
    chosen = ", ".join(f"{name}={value}" for name, value in progress.params.items())
    return f", best {progress.metric} {progress.best:.4g} ({chosen})"
