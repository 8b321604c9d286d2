"""How often a broker may be asked: one bucket in which exits come before entries, and entries before polls.

Everything that says "not now" is here: the bucket, the broker's Retry-After, our own 1, 2, 4 s, and the breaker that
opens when the venue fails again and again.
"""

from __future__ import annotations

from collections import deque

from data.calendar import SECOND_NS
from data.sources.base import Clock
from live.brokers.base import Priority

_KEPT = {"exit": 0.0, "entry": 0.2, "poll": 0.4}
"""The part of a full bucket that a request of this kind must leave for more urgent ones."""

LONGEST_WAIT_S = 64.0
FAILURES = 3
BREAK_S, LONGEST_BREAK_S = 60.0, 900.0


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
        self._busy = self._failures = self._broken_until = 0
        self._asked: deque[int] = deque(maxlen=10_000)

    def hold(self, seconds: float) -> None:
        """Ask nothing for so long: the broker said so."""
        self._closed_until = max(self._closed_until, self._clock.now() + int(seconds * SECOND_NS))

    def busy(self, after_s: float | None) -> float:
        """Too many requests: wait as long as the broker said, or 1, 2, 4 s ... where it said nothing; how long."""
        self._busy += 1
        wait = min(2.0 ** (self._busy - 1), LONGEST_WAIT_S) if after_s is None else after_s
        self.hold(wait)
        return wait

    def failed(self) -> None:
        """The venue failed by itself. The third time in a row it is left alone for a minute, then for two, four ...

        Only an exit is still tried: it is what an account needs most, and the first to find out that the venue is back.
        """
        self._failures += 1
        if self._failures >= FAILURES:
            seconds = min(BREAK_S * 2.0 ** (self._failures - FAILURES), LONGEST_BREAK_S)
            self._broken_until = self._clock.now() + int(seconds * SECOND_NS)

    def answered(self) -> None:
        """The venue answered, whatever it was."""
        self._busy = self._failures = self._broken_until = 0

    def hold_s(self) -> float:
        """Seconds for which the broker is left alone."""
        return max(self._closed_until - (now := self._clock.now()), self._broken_until - now, 0) / SECOND_NS

    def used(self) -> int:
        """Requests of the last 60 seconds."""
        since = self._clock.now() - 60 * SECOND_NS
        while self._asked and self._asked[0] <= since:
            self._asked.popleft()
        return len(self._asked)

    def wait_s(self, priority: Priority) -> float:
        """Seconds until a request of this kind may be sent; 0 now."""
        now = self._clock.now()
        closed = max(self._closed_until - now, 0) / SECOND_NS if priority == "exit" else self.hold_s()
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
        self._asked.append(self._clock.now())
        return True

    def spend(self, requests: int) -> None:
        """Take out requests that belong to one that was claimed."""
        self._tokens -= requests
        self._asked.extend([self._clock.now()] * requests)
