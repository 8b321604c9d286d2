"""Time that never steps: what deadlines, polls and budgets are measured by."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def since_boot_ns() -> int:
    """Nanoseconds of a clock that nobody can set, and that goes on while the machine sleeps, where it has one."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SteadyClock:
    """A `data.sources.base.Clock`: the wall clock's time at its beginning, and what has gone by since.

    After the wall clock was set back an hour, a process that measures with it asks nothing for an hour, and calls it
    fresh. Whether the beginning was right is another question: compare `now` with what others say (R15).

    Args:
        wall_ns: UTC nanoseconds, asked once. elapsed_ns: of a clock that only goes forward.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, elapsed_ns: Callable[[], int] = since_boot_ns
    ) -> None:
        self._elapsed_ns = elapsed_ns
        self._offset = wall_ns() - elapsed_ns()

    def now(self) -> int:
        """UTC nanoseconds."""
        return self._offset + self._elapsed_ns()

    def sleep(self, seconds: float) -> None:
        """Wait in a thread."""
        time.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        """Wait on an event loop."""
        await asyncio.sleep(seconds)
