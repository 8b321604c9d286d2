"""What is wrong with quotes and events: of a book beside rows, and of a recording while it is read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from data.calendar import SECOND_NS, utc
from data.checks import Finding, Level
from data.events import NONE, BookDelta, BookSnapshot, Gap, MarketEvent, Quote, Trade
from data.types import Bars, Book

CROSSED_SHARE = 0.01
"""Of a symbol's quotes: a national best bid and offer crosses for moments, a broken one stays crossed."""
FEW = 20
FAR = 0.05
"""Of the price: a trade that far from the one before and the one after is doubted."""
STALE_QUOTES = 200
REMEMBERED = 20_000
"""Trade ids of a symbol, among which a double is looked for."""
AHEAD_NS = SECOND_NS


def check_book(bars: Bars, book: Book) -> list[Finding]:
    """Rows whose best bid is at or above the best ask; an error where more than `CROSSED_SHARE` of them cross."""
    found = []
    for i, symbol in enumerate(book.symbols):
        bid, ask = book.bid[:, i], book.ask[:, i]
        known = int((np.isfinite(bid) & np.isfinite(ask)).sum())
        for kind, wrong in (("crossed", bid > ask), ("locked", bid == ask)):
            count = int(wrong.sum())
            if count:
                first = int(bars.ts[int(np.argmax(wrong))])
                found.append(_quotes(symbol, first, kind, count, known, f"book of {symbol!r}", "rows"))
    return sorted(found, key=lambda finding: finding.level)


def _quotes(symbol: str, ts: int, kind: str, count: int, known: int, where: str, what: str) -> Finding:
    broken = kind == "crossed" and known >= FEW and count > CROSSED_SHARE * known
    cure = "build it again from a snapshot" if broken else "do not trade on them"
    level: Level = "error" if broken else "warning"
    return Finding(symbol, ts, kind, level, f"{where}: {count} of {known} {what} are {kind}, first {utc(ts)}; {cure}")


class EventChecks:
    """Takes events one by one in memory that does not grow with their number; `findings` says what was wrong."""

    def __init__(self) -> None:
        self.count = 0
        self._wrong: dict[tuple[str, str], list[int]] = {}  # (kind, symbol): [count, first receive time]
        self._quotes: dict[str, int] = {}
        self._symbols: dict[str, _Symbol] = {}
        self._last = 0

    def add(self, event: MarketEvent) -> None:
        """Look at the next event in order of arrival."""
        self.count += 1
        if event.recv_ts < self._last:
            self._note("order", "", event.recv_ts)
        self._last = max(self._last, event.recv_ts)
        if event.venue_ts - event.recv_ts > AHEAD_NS:
            self._note("ahead", event.symbol, event.recv_ts)
        seen = self._symbols.get(event.symbol)
        if seen is None:
            seen = self._symbols[event.symbol] = _Symbol()
        if isinstance(event, Quote):
            self._quote(event, seen)
        elif isinstance(event, Trade):
            self._trade(event, seen)
        elif isinstance(event, Gap):
            self._note("lost", event.symbol, event.start_ts)
        elif isinstance(event, BookSnapshot):
            seen.sequence = event.sequence
        elif isinstance(event, BookDelta):
            if NONE not in (event.prev, seen.sequence) and event.prev > seen.sequence:
                self._note("sequence", event.symbol, event.recv_ts)
            seen.sequence = event.last

    def findings(self) -> list[Finding]:
        """Everything wrong so far, errors first."""
        found = []
        for (kind, symbol), (count, first) in self._wrong.items():
            where = f"events of {symbol!r}" if symbol else "events"
            if kind in ("crossed", "locked"):
                found.append(_quotes(symbol, first, kind, count, self._quotes[symbol], where, "quotes"))
                continue
            level, what, cure = _KINDS[kind]
            found.append(Finding(symbol, first, kind, level, f"{where}: {count} {what}, first {utc(first)}; {cure}"))
        return sorted(found, key=lambda finding: (finding.level, finding.kind, finding.symbol))

    def _quote(self, event: Quote, seen: _Symbol) -> None:
        symbol, at = event.symbol, event.recv_ts
        self._quotes[symbol] = self._quotes.get(symbol, 0) + 1
        if event.bid > event.ask:
            self._note("crossed", symbol, at)
        elif event.bid == event.ask:
            self._note("locked", symbol, at)
        if event.bid <= 0 or event.ask <= 0:
            self._note("quote", symbol, at)
        shown = (event.bid, event.ask, event.bid_size, event.ask_size)
        seen.repeated = seen.repeated + 1 if shown == seen.shown else 0
        seen.shown = shown
        if seen.repeated == STALE_QUOTES:
            self._note("stale", symbol, at)

    def _trade(self, event: Trade, seen: _Symbol) -> None:
        symbol, at = event.symbol, event.recv_ts
        if not 0.0 < event.price < float("inf"):
            self._note("price", symbol, at)
            return
        if not 0.0 < event.size < float("inf"):
            self._note("size", symbol, at)
        if event.trade_id:
            if event.trade_id in seen.ids:
                self._note("double", symbol, at)
            seen.ids[event.trade_id] = None
            if len(seen.ids) > REMEMBERED:
                seen.ids.popitem(last=False)
        if seen.price and abs(event.price / seen.price - 1) > FAR:
            if not seen.doubted or abs(event.price / seen.doubted - 1) > FAR:
                seen.doubted, seen.doubted_at = event.price, at
                return
        elif seen.doubted:
            self._note("outlier", symbol, seen.doubted_at)
        seen.price, seen.doubted = event.price, 0.0

    def _note(self, kind: str, symbol: str, ts: int) -> None:
        self._wrong.setdefault((kind, symbol), [0, ts])[0] += 1


class _Symbol:
    """What is remembered of one symbol: the last price, a price in doubt, the last quote, ids, book sequence."""

    def __init__(self) -> None:
        self.price = self.doubted = 0.0
        self.doubted_at = self.repeated = 0
        self.shown: tuple[float, float, float, float] | None = None
        self.ids: OrderedDict[str, None] = OrderedDict()
        self.sequence = NONE


_KINDS: dict[str, tuple[Level, str, str]] = {
    "price": ("error", "trades with a price that is none", "drop them"),
    "size": ("error", "trades of no size", "drop them"),
    "quote": ("warning", "quotes with a price of zero or less", "take that side for absent"),
    "double": ("warning", "trades with an id that came before", "keep the first of each"),
    "outlier": ("warning", "trades far away from those before and after", "compare with another source"),
    "stale": ("warning", f"times {STALE_QUOTES} quotes the same", "see whether the feed stood still"),
    "lost": ("warning", "times the feed was lost", "pull the bars of that time; a book is void until its snapshot"),
    "sequence": ("warning", "book changes missing", "the book is void until its next snapshot"),
    "order": ("warning", "events received before the one before them", "a clock was set back; keep the order as it is"),
    "ahead": ("warning", "events from the future of our clock", "synchronise this machine's clock"),
}


def check_events(events: Iterable[MarketEvent]) -> list[Finding]:
    """Everything found wrong with events in order of arrival, errors first."""
    checks = EventChecks()
    for event in events:
        checks.add(event)
    return checks.findings()
