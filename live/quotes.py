"""The newest quote of each symbol, kept for as long as it is worth something."""

from __future__ import annotations

from data.calendar import SECOND_NS
from data.rows import Touch

KEEP_S = 5.0


class Quotes:
    """Best bids and offers.

    Args:
        keep_s: how long a quote may be used.
    """

    def __init__(self, keep_s: float = KEEP_S) -> None:
        self._keep_ns = int(keep_s * SECOND_NS)
        self._kept: dict[str, Touch] = {}
        self._crossed: dict[str, int] = {}

    def put(self, touch: Touch) -> None:
        """A newer one; one that is older than what is known is not."""
        known = self._kept.get(touch.symbol)
        if known is not None and touch.ts < known.ts:
            return
        self._kept[touch.symbol] = touch
        if touch.bid >= touch.ask:
            self._crossed.setdefault(touch.symbol, touch.ts)
        else:
            self._crossed.pop(touch.symbol, None)

    def of(self, symbol: str, now: int) -> Touch | None:
        """The quote of a symbol, where it is not too old."""
        kept = self._kept.get(symbol)
        return kept if kept is not None and now - kept.ts <= self._keep_ns else None

    def mid(self, symbol: str, now: int) -> float:
        """Between bid and ask; NaN where no quote is fresh or one side is missing."""
        kept = self.of(symbol, now)
        return (kept.bid + kept.ask) / 2.0 if kept is not None else float("nan")

    def crossed_s(self, symbol: str, now: int) -> float:
        """Seconds for which the bid has not been below the ask."""
        since = self._crossed.get(symbol)
        return 0.0 if since is None else max(now - since, 0) / SECOND_NS
