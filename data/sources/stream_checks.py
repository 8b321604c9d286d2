"""What a stream is checked for as it comes: doubles, and trades that a minute's own bar knows of and we do not."""

from __future__ import annotations

from collections import deque
from typing import Any

from data.calendar import MINUTE_NS, SECOND_NS
from data.events import Bar, Gap, MarketEvent, Quote, Trade

REMEMBERED = 20_000  # trades of one symbol: minutes of the busiest, all day of most
SETTLE_NS = 2 * SECOND_NS
ROUNDING = 1e-9
LOSSES = 16


class Recent:
    """Finds an event that was seen before, in bounded memory. doubles: how many there were."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.doubles = 0
        self._remembered = remembered
        self._known: dict[tuple[type, str], tuple[set[Any], deque[Any]]] = {}
        self._quotes: dict[str, tuple[Any, ...]] = {}

    def is_double(self, event: MarketEvent) -> bool:
        """True for a trade or bar seen before, and for a quote that repeats the one before it."""
        found = False
        if isinstance(event, Trade) and (event.trade_id or event.sequence >= 0):
            found = self._seen(event, (event.trade_id, event.exchange, event.sequence))
        elif isinstance(event, Bar):
            found = self._seen(event, (event.interval, event.venue_ts, event.updated, event.close, event.volume))
            self._seen(event, (event.interval, event.venue_ts))
        elif isinstance(event, Quote):
            told = (event.venue_ts, event.bid, event.ask, event.bid_size, event.ask_size, event.sequence)
            found = self._quotes.get(event.symbol) == told
            self._quotes[event.symbol] = told
        self.doubles += found
        return found

    def has(self, bar: Bar) -> bool:
        """Whether a bar of this symbol, interval and close was seen, whatever its prices."""
        known, _ = self._known.get((Bar, bar.symbol), (set(), deque()))
        return (bar.interval, bar.venue_ts) in known

    def _seen(self, event: Trade | Bar, mark: Any) -> bool:
        known, order = self._known.setdefault((type(event), event.symbol), (set(), deque()))
        if mark in known:
            return True
        known.add(mark)
        order.append(mark)
        if len(order) > self._remembered:
            known.discard(order.popleft())
        return False


class Audit:
    """Compares each minute's trades with the count and the volume of its bar.

    Vendors admit only some trades to their bars, so a bar that holds more than came proves a loss, and one that holds
    less proves nothing. Without this a message dropped by the vendor would never be noticed.
    """

    def __init__(self) -> None:
        self._came: dict[str, dict[int, tuple[int, float]]] = {}
        self._open: deque[tuple[int, Bar]] = deque()
        self._whole_from = 0
        self._lost: deque[tuple[int, int]] = deque(maxlen=LOSSES)

    def restart(self, ts: int, lost: int = 0) -> None:
        """The feed is whole from here on, and was until `lost`; minutes in between are covered by their gap.

        Minutes that were over before are still to be compared, with a bar that may only now be filled in.
        """
        if lost:
            self._lost.append((lost, ts))
        else:
            self._whole_from = ts

    def add(self, event: MarketEvent) -> None:
        """Count a trade, or remember a bar until its last trades have had time to come."""
        if isinstance(event, Trade):
            minutes = self._came.setdefault(event.symbol, {})
            minute = event.venue_ts // MINUTE_NS
            count, size = minutes.get(minute, (0, 0.0))
            minutes[minute] = count + 1, size + event.size
            while len(minutes) > 8:
                del minutes[min(minutes)]
        elif isinstance(event, Bar) and event.interval == "1m" and not event.updated:
            self._open.append((event.recv_ts + SETTLE_NS, event))

    def losses(self, now: int, feed: str) -> list[Gap]:
        """A `Gap` for each minute in which trades were lost."""
        found = []
        while self._open and self._open[0][0] <= now:
            _, bar = self._open.popleft()
            start = bar.venue_ts - MINUTE_NS
            count, size = self._came.get(bar.symbol, {}).get(start // MINUTE_NS, (0, 0.0))
            covered = any(start <= whole and lost < bar.venue_ts for lost, whole in self._lost)
            if covered or start < self._whole_from or (count >= bar.trades and size >= bar.volume * (1.0 - ROUNDING)):
                continue
            told = f"{bar.trades} trades" if count < bar.trades else f"volume {bar.volume:g}"
            reason = f"the minute's bar holds {told}, {count} trades of {size:g} came"
            found.append(Gap(bar.symbol, 0, now, start, bar.venue_ts, reason, feed))
        return found
