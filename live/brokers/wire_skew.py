"""How far this machine's clock is off, from the dates on answers.

An HTTP date has whole seconds, so one answer says only: their clock read between D and D + 1 s at some instant between
sending and hearing. What is left when many such ranges are laid over each other is narrow enough for a limit of 250 ms.
"""

from __future__ import annotations

import email.utils
from collections import deque

KEPT = 64


class Skew:
    """Ours less theirs, in milliseconds."""

    def __init__(self) -> None:
        self._ranges: deque[tuple[float, float]] = deque(maxlen=KEPT)

    def add(self, sent_ns: int, heard_ns: int, date: str | None) -> None:
        """An answer with this date; nothing where it has none, or none that can be read."""
        try:
            theirs = email.utils.parsedate_to_datetime(date or "").timestamp() * 1e3
        except (ValueError, TypeError):
            return
        least, most = sent_ns / 1e6 - (theirs + 1_000.0), heard_ns / 1e6 - theirs
        if least > most:
            return
        kept = self._left()
        if kept is not None and (least > kept[1] or most < kept[0]):
            self._ranges.clear()  # one of the two clocks was set
        self._ranges.append((least, most))

    def ms(self) -> float:
        """The least skew that agrees with every answer; NaN without any."""
        left = self._left()
        if left is None:
            return float("nan")
        least, most = left
        return 0.0 if least <= 0.0 <= most else least if least > 0.0 else most

    def _left(self) -> tuple[float, float] | None:
        if not self._ranges:
            return None
        return max(least for least, _ in self._ranges), min(most for _, most in self._ranges)
