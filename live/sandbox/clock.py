"""The sandbox's time: a tape's, running at a multiple of the wall's. One clock for every vendor it plays."""

from __future__ import annotations

import asyncio
import time

NS = 1_000_000_000


class SandboxClock:
    """Starts at `start_ns` when made and runs `speed` times as fast as the wall; a `data.sources.base.Clock`."""

    def __init__(self, start_ns: int, speed: float = 1.0) -> None:
        self.speed = speed
        self.start_ns = start_ns
        self._start = start_ns
        self._began = time.monotonic_ns()

    def now(self) -> int:
        """UTC nanoseconds of the tape."""
        return self._start + int((time.monotonic_ns() - self._began) * self.speed)

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of the tape, in a thread."""
        time.sleep(seconds / self.speed)

    async def pause(self, seconds: float) -> None:
        """Wait for so many seconds of the tape, on an event loop."""
        await asyncio.sleep(seconds / self.speed)

    def restart(self) -> None:
        """Begin again at the first instant."""
        self._start, self._began = self.start_ns, time.monotonic_ns()

    def jump(self, to_ns: int) -> None:
        """Go on from `to_ns`: over a night in which nothing trades, or to test what a leap does."""
        self._start += to_ns - self.now()
