"""How long decisions take: the last 65,536 durations, in a fixed piece of memory."""

from __future__ import annotations

from array import array

KEPT = 1 << 16


class Latency:
    """Durations in nanoseconds; the oldest are overwritten."""

    def __init__(self) -> None:
        self._kept = array("q", bytes(8 * KEPT))
        self.count = 0

    def add(self, nanoseconds: int) -> None:
        """One more."""
        self._kept[self.count % KEPT] = nanoseconds
        self.count += 1

    def percentile(self, percent: float) -> float:
        """Microseconds that `percent` of the durations do not exceed; NaN without any."""
        kept = sorted(self._kept[: min(self.count, KEPT)])
        if not kept:
            return float("nan")
        return kept[min(len(kept) - 1, int(len(kept) * percent / 100.0))] / 1_000.0
