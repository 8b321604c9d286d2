"""How often a broker may be asked: one bucket in which exits come before entries, and entries before polls."""

from __future__ import annotations

from typing import Literal

from data.calendar import SECOND_NS
from data.sources.base import Clock

Priority = Literal["exit", "entry", "poll"]
_KEPT = {"exit": 0.0, "entry": 0.2, "poll": 0.4}
"""The part of a full bucket that a request of this kind must leave for more urgent ones."""


class Budget:
    """At most `per_minute` requests in any 60 seconds, a third of them at once; 0: any number."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._most = max(per_minute / 3.0, 1.0)
        self._rate = (per_minute - self._most) / 60.0 if per_minute > 1 else per_minute / 60.0
        self._free = per_minute == 0
        self._clock = clock
        self._tokens = self._most
        self._last = clock.now()
        self._closed_until = 0

    def hold(self, seconds: float) -> None:
        """Ask nothing for so long: the broker said so."""
        self._closed_until = max(self._closed_until, self._clock.now() + int(seconds * SECOND_NS))

    def wait_s(self, priority: Priority) -> float:
        """Seconds until a request of this kind may be sent; 0 now."""
        now = self._clock.now()
        closed = max(self._closed_until - now, 0) / SECOND_NS
        if self._free:
            return closed
        # A clock that steps back must not take tokens away.
        self._tokens = min(self._tokens + max(now - self._last, 0) / SECOND_NS * self._rate, self._most)
        self._last = now
        short = 1.0 + min(_KEPT[priority] * self._most, self._most - 1.0) - self._tokens
        return max(closed, short / self._rate if short > 1e-9 else 0.0)

    def claim(self, priority: Priority) -> bool:
        """Take a request out of the budget, if it may be sent now."""
        if self.wait_s(priority) > 0.0:
            return False
        self._tokens -= 1.0
        return True

    def spend(self, requests: int) -> None:
        """Take out requests that belong to one that was claimed."""
        self._tokens -= requests
