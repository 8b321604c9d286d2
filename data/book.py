"""The order book of one symbol: snapshots, deltas, and the venue's own rules for when it may be believed.

A book that missed a message is void until its next snapshot: its features are NaN and `valid` is False. How a venue
lets one see that is data (`RULES`). Pure CPython, for the live process runs it.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from data.errors import UsageError
from data.events import NONE, BookDelta, BookSnapshot, Gap, Level
from data.flow import imbalance_of, microprice_of, mid_of, nan

LEVELS = 10
"""Levels a side whose sizes make `bid_depth` and `ask_depth`."""
WAITING = 4_096
"""Deltas kept while a snapshot is awaited; more of them, and the oldest go, which the sequence rule then sees."""


class Rule(NamedTuple):
    """How a venue's messages follow each other.

    chain: `prev`: each message names the one before it. next: its first number follows the last one applied.
        rising: numbers only grow, shared by all symbols. none: no numbers; a gap cannot be seen, only told.
    waits: deltas come before the snapshot and are kept for it. empty: the session starts with an empty, valid book.
    whole: every message is a snapshot. crc: how the checksum is written.
    """

    chain: Literal["prev", "next", "rising", "none"] = "none"
    waits: bool = False
    empty: bool = False
    whole: bool = False
    crc: Literal["", "kraken", "okx"] = ""


RULES = {
    "binance": Rule("next", waits=True),
    "binance_futures": Rule("prev", waits=True),
    "coinbase": Rule(),
    "iex_deep": Rule("rising", empty=True),
    "alpaca_crypto": Rule(),
    "polygon_xl2": Rule(whole=True),
    "robinhood": Rule(whole=True),
    "kraken": Rule(crc="kraken"),
    "okx": Rule("prev", crc="okx"),
}
"""The venues' rules. Sources: their public descriptions of local order books; Alpaca's reset flag is a snapshot."""


class OrderBook:
    """Levels and best quotes of one symbol.

    Args:
        rule: a name in `RULES`, or a `Rule`.
        levels: how many levels a side make the depths.
        keep: levels a side to keep at most, 0 for all; a venue that sends a fixed depth expects the rest dropped.
        price_digits, size_digits: decimals of the venue's texts, for its checksum; None: as few as say the number.

    Attributes:
        valid: may be read. why: the reason when not. sequence: number of the last change applied.
        updated: `venue_ts` (else `recv_ts`) of the last change, ns. crossed_since: since when the bid has been above
        the offer, ns, 0 when it is not. bid, ask, bid_size, ask_size, bid_depth, ask_depth: NaN where there is none.
        refused: how often the book was found broken.
    """

    def __init__(
        self,
        rule: str | Rule = "coinbase",
        *,
        levels: int = LEVELS,
        keep: int = 0,
        price_digits: int | None = None,
        size_digits: int | None = None,
    ) -> None:
        if isinstance(rule, str):
            if rule not in RULES:
                raise UsageError(f"there is no book rule {rule!r}; there is {', '.join(RULES)}")
            rule = RULES[rule]
        self.rule, self.levels, self.keep = rule, levels, keep
        self.digits = (price_digits, size_digits)
        self.sequence, self.refused = NONE, 0
        self.updated = self.crossed_since = 0
        self._joined = True
        self._bids: list[float] = []  # rising, best last
        self._asks: list[float] = []  # minus the price, rising, best last
        self._bid_sizes: dict[float, float] = {}
        self._ask_sizes: dict[float, float] = {}
        self._waiting: deque[BookDelta] = deque(maxlen=WAITING)
        self._empty()
        self.valid, self.why = rule.empty, "" if rule.empty else "no snapshot yet"

    def apply(self, event: BookSnapshot | BookDelta | Gap) -> bool:
        """Take in one message; True when the book may be read after it."""
        if type(event) is BookDelta:
            return self._delta(event)
        if type(event) is BookSnapshot:
            return self._snapshot(event)
        self._void(f"feed lost: {event.reason}")  # type: ignore[union-attr]  # only a Gap is left
        return False

    def ladder(self, count: int) -> tuple[list[Level], list[Level]]:
        """The best `count` levels of each side as (price, size), best first."""
        bids = [(price, self._bid_sizes[price]) for price in self._bids[: -count - 1 : -1]]
        asks = [(-key, self._ask_sizes[key]) for key in self._asks[: -count - 1 : -1]]
        return bids, asks

    @property
    def depth(self) -> tuple[int, int]:
        """Number of levels: bids, asks."""
        return len(self._bids), len(self._asks)

    def top(self) -> tuple[float, float, float, float, float, float]:
        """bid, ask, bid_size, ask_size, bid_depth, ask_depth; all NaN while the book is not valid."""
        return self.bid, self.ask, self.bid_size, self.ask_size, self.bid_depth, self.ask_depth

    def features(self) -> tuple[float, ...]:
        """bid, ask, bid_size, ask_size, spread, mid, microprice, imbalance, bid_depth, ask_depth."""
        bid, ask, bid_size, ask_size = self.bid, self.ask, self.bid_size, self.ask_size
        micro = microprice_of(bid, ask, bid_size, ask_size)
        lean = imbalance_of(self.bid_depth, self.ask_depth)
        spread, mid = ask - bid, mid_of(bid, ask)
        return bid, ask, bid_size, ask_size, spread, mid, micro, lean, self.bid_depth, self.ask_depth

    def checksum(self) -> int:
        """CRC32 of the best levels, written the venue's way, unsigned.

        Sources: Kraken, "Book checksum" (ten offers, then ten bids, digits alone); OKX, "Order book channel,
        checksum" (25 levels, bid and offer in turn, `price:size`).
        """
        prices, sizes = (_writer(digits) for digits in self.digits)
        if self.rule.crc == "okx":
            bids, asks = self.ladder(25)
            pairs = [side[i] for i in range(25) for side in (bids, asks) if i < len(side)]
            text = ":".join(f"{prices(price)}:{sizes(size)}" for price, size in pairs)
        else:
            bids, asks = self.ladder(10)
            numbers = [
                write(value) for level in asks + bids for write, value in zip((prices, sizes), level, strict=True)
            ]
            text = "".join(number.replace(".", "").lstrip("0") for number in numbers)
        return zlib.crc32(text.encode())

    def _snapshot(self, event: BookSnapshot) -> bool:
        self._empty()
        for price, size in event.bids:
            if size > 0.0:
                self._bid_sizes[price] = size
        for price, size in event.asks:
            if size > 0.0:
                self._ask_sizes[-price] = size
        self._bids, self._asks = sorted(self._bid_sizes), sorted(self._ask_sizes)
        self.sequence, self.valid, self.why = event.sequence, True, ""
        self._joined = not self.rule.waits
        self._settle(event, True, True)
        if self._waiting:
            waiting = list(self._waiting)
            self._waiting.clear()
            for delta in waiting:
                self._delta(delta)
        return self.valid

    def _delta(self, event: BookDelta) -> bool:
        if not self.valid:
            if self.rule.waits:
                self._waiting.append(event)
            return False
        if self.rule.chain != "none":
            verdict = self._follows(event)
            if verdict <= 0:
                if verdict < 0:
                    self._void(f"sequence broken: {self.sequence} then {event.prev} {event.first} {event.last}")
                    if self.rule.waits:
                        self._waiting.append(event)
                return self.valid
            self.sequence = event.last
        bids = _change(self._bids, self._bid_sizes, event.bids, self.levels) if event.bids else False
        asks = _change(self._asks, self._ask_sizes, _negated(event.asks), self.levels) if event.asks else False
        if self.keep:
            _cut(self._bids, self._bid_sizes, self.keep)
            _cut(self._asks, self._ask_sizes, self.keep)
        return self._settle(event, bids, asks) and event.complete

    def _follows(self, event: BookDelta) -> int:
        """1: apply it. 0: old, leave it. -1: something is missing before it."""
        chain, last = self.rule.chain, self.sequence
        if event.last <= last:
            return 0
        if chain == "rising":
            return 1
        if not self._joined:
            self._joined = event.first <= last + (chain == "next") or event.prev == last
            return 1 if self._joined else -1
        return 1 if (event.prev == last if chain == "prev" else event.first <= last + 1) else -1

    def _settle(self, event: BookSnapshot | BookDelta, bids: bool, asks: bool) -> bool:
        """Best quotes, depths and flags after a message that touched these sides; False when its checksum differs."""
        if bids:
            if self._bids:
                self.bid = self._bids[-1]
                self.bid_size = self._bid_sizes[self.bid]
                self.bid_depth = _sum(self._bids, self._bid_sizes, self.levels)
            else:
                self.bid = self.bid_size = self.bid_depth = nan
        if asks:
            if self._asks:
                best = self._asks[-1]
                self.ask, self.ask_size = -best, self._ask_sizes[best]
                self.ask_depth = _sum(self._asks, self._ask_sizes, self.levels)
            else:
                self.ask = self.ask_size = self.ask_depth = nan
        self.updated = event.venue_ts or event.recv_ts
        if self.bid > self.ask:
            self.crossed_since = self.crossed_since or self.updated
        elif self.crossed_since:
            self.crossed_since = 0
        if event.checksum != NONE and self.rule.crc and event.checksum != self.checksum():
            self._void(f"checksum {self.checksum()} is not the venue's {event.checksum}")
        return self.valid

    def _void(self, why: str) -> None:
        self._empty()
        self.valid, self.why, self.refused = False, why, self.refused + 1
        self.sequence, self.crossed_since = NONE, 0
        self._waiting.clear()

    def _empty(self) -> None:
        self._bids, self._asks, self._bid_sizes, self._ask_sizes = [], [], {}, {}
        self.bid = self.ask = self.bid_size = self.ask_size = self.bid_depth = self.ask_depth = nan


def _negated(levels: tuple[Level, ...]) -> list[Level]:
    return [(-price, size) for price, size in levels]


def _change(keys: list[float], sizes: dict[float, float], levels: Iterable[Level], count: int) -> bool:
    """Put these levels into one side; True when one of its best `count` may have changed."""
    floor = keys[-count] if len(keys) >= count else -_INFINITE
    touched = False
    for key, size in levels:
        if size > 0.0:
            if key not in sizes:
                insort(keys, key)
            sizes[key] = size
        elif key in sizes:
            del sizes[key]
            del keys[bisect_left(keys, key)]
        else:
            continue
        if key >= floor:
            touched = True
    return touched


def _sum(keys: list[float], sizes: dict[float, float], count: int) -> float:
    """Sizes of the best levels added from the best outwards; a loop, for `sum` rounds differently by version."""
    total = 0.0
    for key in keys[: -count - 1 : -1]:
        total += sizes[key]
    return total


def _cut(keys: list[float], sizes: dict[float, float], keep: int) -> None:
    for key in keys[:-keep]:
        del sizes[key]
    del keys[:-keep]


def _writer(digits: int | None) -> Callable[[float], str]:
    if digits is None:
        return lambda value: repr(value).removesuffix(".0")
    return lambda value: f"{value:.{digits}f}"


_INFINITE = float("inf")
