"""What will happen to the process of a schedule."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from .clock import Timeline


class Agenda:
    """What will happen to the process, in order of its time; same times in the order they were planned.

    What happens outside of it, whether it runs or not, is on the timeline itself.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._planned: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count()

    def at(self, ts: int, what: Callable[[], None]) -> None:
        """Let `what` happen at `ts`, or as soon as the process is asked behind it."""
        heappush(self._planned, (ts, next(self._number), what))

    def due(self, until: int) -> Callable[[], None] | None:
        """The next that is planned for no later than `until`, with the time gone on to it; None for nothing."""
        if not self._planned or self._planned[0][0] > until:
            return None
        ts, _, what = heappop(self._planned)
        self._timeline.advance(max(ts, self._timeline.now))
        return what
