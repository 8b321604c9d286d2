"""Virtual time: nothing waits, a sleep lets the world go on."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from live.steady import SteadyClock

SECOND = 1_000_000_000


def ns(seconds: float) -> int:
    """Nanoseconds."""
    return int(seconds * SECOND)


class Timeline:
    """What will happen outside of the process, in order of its time; same times in the order they were planned."""

    def __init__(self, start: int) -> None:
        self.now = start
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count()

    def at(self, ts: int, what: Callable[[], None]) -> None:
        """Let `what` happen at `ts`, or now where that is past."""
        heappush(self._due, (max(ts, self.now), next(self._number), what))

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Let `what` happen in so many seconds."""
        self.at(self.now + ns(seconds), what)

    def advance(self, to: int) -> None:
        """Let happen what is due until `to`."""
        due = self._due
        while due and due[0][0] <= to:
            ts, _, what = heappop(due)
            self.now = max(self.now, ts)
            what()
        self.now = max(self.now, to)


class HostClock(SteadyClock):
    """What a process measures time by: its machine's clock at its start, which may be wrong by `skew` nanoseconds.

    A sleep is of the thread that speaks to the broker: `elapse` lets the venue, and the process's loop, go on.
    """

    def __init__(self, timeline: Timeline, skew: int, elapse: Callable[[int], None]) -> None:
        super().__init__(lambda: timeline.now + skew, lambda: timeline.now)
        self._timeline, self._elapse = timeline, elapse

    def sleep(self, seconds: float) -> None:
        """The thread waits; the world does not."""
        self._elapse(self._timeline.now + ns(seconds))
