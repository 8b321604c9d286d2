"""What one unit of a vendor's quoted size is, in shares: said by a setting, with dates, never guessed.

    ONETAPE_ALPACA_LOT=100                      # always
    ONETAPE_POLYGON_LOT=100,2025-11-03:1        # round lots of 100 until then, shares from that day on

Alpaca's pages say round lots of 100 shares; Polygon's say lots and show shares. What a feed sends can change, and since
the rule of November 2025 a round lot is smaller for dear stocks, so the meaning of stored tapes hangs on a date.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right

from data.calendar import NEW_YORK, SECOND_NS
from data.errors import ConfigError


class Lots:
    """Shares of one unit, by time.

    Args:
        text: a number of shares; with dates as `100,2025-11-03:1`: each holds from New York's midnight of its day on.

    Raises:
        ConfigError: it is not of the form.
    """

    def __init__(self, text: str, name: str = "round lot") -> None:
        self._from: list[int] = []
        self._sizes: list[float] = []
        try:
            for n, part in enumerate(text.split(",")):
                day, colon, size = part.strip().rpartition(":")
                if bool(colon) != bool(n):
                    raise ValueError(part)
                since = 0
                if colon:
                    midnight = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), NEW_YORK)
                    since = int(midnight.timestamp()) * SECOND_NS
                self._from.append(since)
                self._sizes.append(float(size))
        except ValueError:
            self._sizes = []
        rising = all(a < b for a, b in zip(self._from, self._from[1:], strict=False))
        if not self._sizes or not rising or not all(0.0 < size <= 1e6 for size in self._sizes):
            raise ConfigError(f"{name} is {text!r}; write shares, such as 100, or with dates 100,2025-11-03:1")

    def at(self, ts: int) -> float:
        """Shares of one unit at this instant, UTC nanoseconds."""
        if len(self._sizes) == 1:
            return self._sizes[0]
        return self._sizes[max(bisect_right(self._from, ts) - 1, 0)]
