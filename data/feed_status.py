"""What a live feed says besides rows: how it stands, the touch, and who may trade."""

from __future__ import annotations

from collections.abc import Sequence

from data.calendar import SECOND_NS
from data.events import BookSnapshot, Quote, Status
from data.rows import Depth, FeedNews, Touch, Trading, TradingState

BOOK_STALE_NS = 10 * SECOND_NS
STATES: dict[str, TradingState] = {
    "trading": "trading",
    "halted": "halted",
    "quoting": "halted",  # quotes only, before a reopening
    "paused": "luld",
}


class Touches:
    """The newest quote of each symbol, given out when asked, once."""

    def __init__(self) -> None:
        self._new: dict[str, Quote] = {}
        self._last: dict[str, Quote] = {}

    def add(self, quote: Quote) -> None:
        """A quote came."""
        self._new[quote.symbol] = self._last[quote.symbol] = quote

    def last(self, symbol: str) -> Quote | None:
        """The newest quote of a symbol."""
        return self._last.get(symbol)

    def take(self) -> list[Touch]:
        """One for each symbol that was quoted since."""
        found = [
            Touch(each.venue_ts or each.recv_ts, each.symbol, each.bid, each.ask, each.bid_size, each.ask_size)
            for each in self._new.values()
        ]
        self._new.clear()
        return found


def trading_of(event: Status) -> Trading | None:
    """What a status says of trading; None where only the price bands moved."""
    state = STATES.get(event.state)
    return None if state is None else Trading(event.venue_ts or event.recv_ts, event.symbol, state, event.reason)


class BookWatch:
    """Whether the books that come by standard input are fresh.

    Args:
        symbols: all that are expected.

    Attributes:
        gaps: how often a symbol's books stopped coming.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.gaps = 0
        self._came: dict[str, int] = dict.fromkeys(symbols, 0)
        self._stale: set[str] = set()

    def came(self, book: BookSnapshot) -> bool:
        """A book came; False for a symbol that is not expected."""
        if book.symbol not in self._came:
            return False
        self._came[book.symbol] = book.recv_ts
        self._stale.discard(book.symbol)
        return True

    def overdue(self, now: int) -> list[str]:
        """Symbols whose books have just become too old."""
        found = [
            symbol for symbol, ts in self._came.items() if ts and symbol not in self._stale and now - ts > BOOK_STALE_NS
        ]
        self._stale.update(found)
        self.gaps += len(found)
        return found

    def news(self, now: int) -> FeedNews:
        """How the books stand."""
        came = {symbol: ts for symbol, ts in self._came.items() if ts}
        age = (now - min(came.values())) / SECOND_NS if came else -1.0
        missing = [symbol for symbol in self._came if symbol not in came or symbol in self._stale]
        if not came:
            return FeedNews(now, "book", "absent", "none", age, self.gaps, "no book has come yet")
        if len(missing) == len(self._came):
            return FeedNews(now, "book", "stale", "none", age, self.gaps, "no book comes any more")
        reason = f"no book of {', '.join(missing)}" if missing else ""
        return FeedNews(now, "book", "stale" if missing else "fresh", "L2", age, self.gaps, reason)


class Heartbeat:
    """News that differ from the last ones at once, the others once a second."""

    def __init__(self, every_s: float = 1.0) -> None:
        self._every = every_s
        self._said: dict[str, tuple[object, ...]] = {}
        self._at: dict[str, float] = {}

    def is_due(self, news: FeedNews, wall_s: float) -> bool:
        """Whether to send these now. wall_s: seconds of any steady clock."""
        told = (news.state, news.level, news.gaps, news.reason)
        if self._said.get(news.name) == told and wall_s - self._at.get(news.name, -self._every) < self._every:
            return False
        self._said[news.name], self._at[news.name] = told, wall_s
        return True


def level_of(channels: Sequence[str]) -> Depth:
    """What book features live on when these channels come."""
    return "L2" if "books" in channels else "L1" if "quotes" in channels else "bars"
