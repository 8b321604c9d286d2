"""The market in which the sandbox's brokers trade: what is quoted, how much of it, and when nothing trades at all.

Several accounts share one floor. What one of them takes is gone for the others, until the market quotes again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from data.calendar import NEW_YORK, SECOND_NS, sessions_from
from live.sandbox.broker_orders import ZERO, Side
from live.sandbox.market import Market

FOREVER_NS = 2**62


class Floor(Protocol):
    """What a matching engine needs to know of the market."""

    def quote(self, symbol: str) -> tuple[float, float] | None:
        """(bid, ask) now; None for a symbol that is not listed."""
        ...

    def shown(self, symbol: str, side: Side) -> Decimal | None:
        """Shares that can be bought or sold at the quote now; None for as many as are asked for."""
        ...

    def take(self, symbol: str, side: Side, quantity: Decimal) -> None:
        """So many of them are gone."""
        ...

    def trades(self, symbol: str) -> bool:
        """Whether the symbol trades now: the exchange is open, and it is not halted."""
        ...

    def now(self) -> int:
        """The market's own time, UTC nanoseconds."""
        ...

    def day_end(self) -> int:
        """When a day order of now ends, in the same time."""
        ...


class OpenFloor:
    """Any number of shares at `quote(symbol) -> (bid, ask)`, around the clock."""

    def __init__(self, quote: Callable[[str], tuple[float, float] | None]) -> None:
        self.quote = quote

    def shown(self, symbol: str, side: Side) -> Decimal | None:  # noqa: ARG002  # a protocol's
        """As many as are asked for."""
        return None

    def take(self, symbol: str, side: Side, quantity: Decimal) -> None:
        """There are always more."""

    def trades(self, symbol: str) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def now(self) -> int:
        """Time does not matter here."""
        return 0

    def day_end(self) -> int:
        """Never."""
        return FOREVER_NS


class TapeFloor:
    """A tape's market.

    Args:
        market: the tape. now: UTC nanoseconds of the tape.
        deep: times the shares that the tape shows at its best price that may be had there.

    shut: nothing trades any more.
    """

    def __init__(self, market: Market, now: Callable[[], int], deep: float = 5.0) -> None:
        self.now = now
        self.shut = False
        self._market, self._deep = market, Decimal(str(deep))
        self._taken: dict[tuple[str, Side], tuple[int, Decimal]] = {}
        self._halted: dict[str, int] = {}
        self._known: tuple[int, int, int] = (0, 0, -1)
        self._always = all("-" in symbol or "/" in symbol for symbol in market.symbols)  # coins have no close

    def quote(self, symbol: str) -> tuple[float, float] | None:
        """(bid, ask) of the tape, the last ones before now; before the first, the first."""
        if not self._market.has(symbol):
            return None
        told = self._market.quote(symbol, self.now()) or self._market.quote(symbol, self._market.last_ns)
        return None if told is None or not told[1] > 0.0 or not told[2] > 0.0 else (told[1], told[2])

    def shown(self, symbol: str, side: Side) -> Decimal | None:
        """What the tape shows, less what was taken since it did."""
        told = self._market.quote(symbol, self.now())
        if told is None:
            return ZERO
        size = Decimal(str(told[4] if side == "buy" else told[3])) * self._deep
        at, taken = self._taken.get((symbol, side), (0, ZERO))
        return max(size - taken, ZERO) if at == told[0] else size

    def take(self, symbol: str, side: Side, quantity: Decimal) -> None:
        """So many are gone until the next quote."""
        told = self._market.quote(symbol, self.now())
        if told is not None:
            at, taken = self._taken.get((symbol, side), (0, ZERO))
            self._taken[symbol, side] = (told[0], (taken if at == told[0] else ZERO) + quantity)

    def trades(self, symbol: str) -> bool:
        """Between the open and the close of a session, outside of halts."""
        now = self.now()
        opens, closes = self._session(now)
        if self.shut or not opens <= now <= closes or now < self._halted.get(symbol, 0):
            return False
        return not any(begin <= now < end for begin, end in self._market.tape(symbol).halts)

    def day_end(self) -> int:
        """The close of the session that is on, or else of the next."""
        return self._session(self.now())[1]

    def halt(self, symbol: str, seconds: float) -> None:
        """Nothing trades in it for so long."""
        self._halted[symbol] = self.now() + int(seconds * SECOND_NS)

    def _session(self, ts: int) -> tuple[int, int]:
        """(open, close) of the first session that is not over at `ts`."""
        if self._always:
            return 0, FOREVER_NS
        since, opens, closes = self._known
        if not since <= ts <= closes:
            day = dt.datetime.fromtimestamp(ts / SECOND_NS, NEW_YORK).date()
            first, second = sessions_from(day, 2)
            found = first if ts <= first.close_ns else second
            opens, closes = found.open_ns, found.close_ns
            self._known = (ts, opens, closes)
        return opens, closes
