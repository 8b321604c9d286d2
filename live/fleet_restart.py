"""When a runner that ended is started again: later after every crash, and at some point not at all."""

from __future__ import annotations

import random
from collections import deque

from live.fleet_files import Restart

NEEDS_A_PERSON = {
    2: "its options are wrong",
    4: "risk control stopped it",
    5: "a person must log in",
    7: "its journal or its books do not match",
    78: "its settings are wrong",
}
"""Exit codes that a restart would only bring again."""
ASKED = (130, 143)
"""Exit codes of a runner that somebody told to end."""
TAKEN = 75
"""Exit code of a process of a fleet that found its lock taken: one that an earlier supervisor was just starting."""


class Backoff:
    """The crashes of one account.

    Args:
        rules: see `Restart`.
        seed: of the jitter; the account's name.
    """

    def __init__(self, rules: Restart, seed: str) -> None:
        self._rules = rules
        self._chance = random.Random(seed)
        self._crashes: deque[float] = deque()

    def crashed(self, now_s: float) -> float | None:
        """Seconds to wait before the next start, None where it crashed too often.

        Args:
            now_s: a clock that only goes forward.
        """
        crashes, rules = self._crashes, self._rules
        crashes.append(now_s)
        while crashes[0] < now_s - rules.within_s:
            crashes.popleft()
        if len(crashes) >= rules.crashes:
            return None
        wait_s: float = min(rules.most_s, rules.first_s * 2.0 ** (len(crashes) - 1))
        return wait_s * self._chance.uniform(0.5, 1.0)

    def forget(self) -> None:
        """A person started it again: nothing counts any more."""
        self._crashes.clear()
