"""How often a vendor may be asked: a token bucket that never spends more than its budget in any minute."""

from __future__ import annotations

import threading
from functools import lru_cache

from data.settings import Secret
from data.sources.base import Clock, WallClock

MINUTE_S = 60.0


class Budget:
    """At most `per_minute` requests in any 60 seconds, up to `burst` of them at once.

    A full bucket and a minute's refill together are the budget, so that a burst cannot exceed it either. One bucket
    may be shared by threads.
    """

    def __init__(self, per_minute: int, clock: Clock, burst: int = 0) -> None:
        self._burst = float(burst or max(per_minute // 10, 1))
        self._rate = max(per_minute - self._burst, 1.0) / MINUTE_S
        self._clock = clock
        self._tokens = self._burst
        self._last = clock.now()
        self._lock = threading.Lock()

    def claim(self) -> float:
        """Take one request from the budget; the seconds to wait before it may be sent."""
        with self._lock:
            now = self._clock.now()
            # A clock that steps back must not take tokens away.
            self._tokens = min(self._tokens + max(now - self._last, 0) / 1e9 * self._rate, self._burst)
            self._last = now
            self._tokens -= 1.0
            return max(-self._tokens / self._rate, 0.0)

    def wait(self) -> None:
        """Return when the next request may be sent."""
        if (seconds := self.claim()) > 0.0:
            self._clock.sleep(seconds)

    async def pause(self) -> None:
        """The same on an event loop."""
        if (seconds := self.claim()) > 0.0:
            await self._clock.pause(seconds)


@lru_cache(maxsize=64)
def shared_budget(vendor: str, key: Secret, per_minute: int) -> Budget:  # noqa: ARG001  # they name the bucket
    """The one bucket of this process for a vendor's key, on this machine's clock."""
    return Budget(per_minute, WallClock())
