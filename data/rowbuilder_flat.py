"""Columns of events merged into one flat sequence, which the compiled row loop runs over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from data.calendar import parse_clock
from data.events import NONE, BookDelta, BookSnapshot, Gap, MarketEvent
from data.events_columns import SORTS, Columns, Table, events_of
from data.rowbuilder_log import identity_of
from data.rowbuilder_state import BAR_MARK
from data.types import Bars

if TYPE_CHECKING:
    from data.rowbuilder import RowBuilder

TRADE, TOP, BAR, BROKEN, HALT, LOST, RARE, NOTHING = 0, 1, 2, 3, 4, 5, 6, 7
DENSE = 512  # texts up to which pairs of them are looked up in a square table


@dataclass
class Flat:
    """(n,) events in order of arrival: `what` to do, to which symbol, when, and with which numbers.

    t: event time, never later than `r`, the receive time. a to h, bits, side, exchange: by kind; for a trade price,
    size and what it may update; for best quotes bid, ask, sizes, depths, and whether from level 2; for a bar its
    prices and volume. rare: the events that are handled one by one, by position.
    """

    what: Any
    sym: Any
    t: Any
    r: Any
    a: Any
    b: Any
    c: Any
    d: Any
    e: Any
    h: Any
    bits: Any
    side: Any
    exchange: Any
    identity: Any
    rare: dict[int, MarketEvent] = field(default_factory=dict)

    @classmethod
    def empty(cls, count: int) -> Flat:
        """`count` events that do nothing."""
        names = list(cls.__dataclass_fields__)[:-1]
        zeros: dict[str, Any] = {name: np.zeros(count, dtype=float if name in "abcdeh" else np.int64) for name in names}
        flat = cls(**zeros)
        flat.what[:] = NOTHING
        return flat

    def columns(self) -> tuple[Any, ...]:
        """The arrays in the order the loop takes them."""
        return (
            *(self.what, self.sym, self.t, self.r, self.a, self.b, self.c, self.d, self.e, self.h),
            *(self.bits, self.side, self.exchange),
        )


def flat_of(columns: Columns, builder: RowBuilder, chunk: int) -> Iterator[Flat]:
    """The events of a batch, at most `chunk` at a time."""
    texts = columns.texts
    places = [table["place"] for table in columns.tables.values()]
    first = min((int(place[0]) for place in places if len(place)), default=0)
    last = max((int(place[-1]) for place in places if len(place)), default=-1)
    books = {"snapshot", "delta"} & set(columns.tables)
    for low in range(first, last + 1, chunk):
        tables = {kind: _between(kind, table, low, low + chunk) for kind, table in columns.tables.items()}
        tables = {kind: table for kind, table in tables.items() if len(table["place"])}
        count = sum(len(table["place"]) for table in tables.values())
        if not count:
            continue
        order = np.argsort(np.concatenate([table["place"] for table in tables.values()]), kind="stable")
        ranks = np.empty(count, dtype=np.int64)
        ranks[order] = np.arange(count)
        flat = Flat.empty(count)
        lookup = np.array([builder.index.get(text, -1) for text in texts], dtype=np.int64)
        start, at = 0, {}
        for kind, table in tables.items():
            at[kind] = ranks[start : start + len(table["place"])]
            start += len(at[kind])
            _times(flat, at[kind], table, lookup)
            if kind != "gap":
                builder.counts["other"] += int((flat.sym[at[kind]] < 0).sum())
            filler = _FILLERS.get(kind)
            if filler is not None:
                filler(flat, at[kind], table, texts, builder)
        if books:
            _books(flat, at, Columns(tables, texts), builder)
        unknown = (flat.sym < 0) & (flat.what != LOST)
        flat.what[unknown], flat.sym[unknown] = NOTHING, 0
        yield flat


def columns_of_bars(bars: Bars, interval: str) -> Columns:
    """`bars` as the events of a vendor that sends each bar at its close; cells without a trade are left out."""
    parse_clock(interval)
    rows, names = np.nonzero(np.isfinite(bars.close))
    count = len(rows)
    ts = np.ascontiguousarray(bars.ts[rows])
    table: Table = {"place": np.arange(count), "symbol": names.astype(np.int32), "venue_ts": ts, "recv_ts": ts}
    table["interval"] = np.full(count, len(bars.symbols), dtype=np.int32)
    for name in ("open", "high", "low", "close", "volume"):
        table[name] = getattr(bars, name)[rows, names]
    table |= {"vwap": np.full(count, np.nan), "trades": np.full(count, NONE, dtype=np.int64)}
    table |= {name: np.zeros(count, dtype=np.bool_) for name in ("updated", "extended")}
    return Columns({"bar": table}, [*bars.symbols, interval])


def _between(kind: str, table: Table, low: int, high: int) -> Table:
    """The rows of a table with low <= place < high, in order of place."""
    place = table["place"]
    first, last = np.searchsorted(place, [low, high])
    cut = {name: table[name][first:last] for name in ("place", *SORTS[kind])}
    if "bids" in table:
        ends = np.concatenate([[0], np.cumsum(table["bids"] + table["asks"])])
        levels = slice(int(ends[first]), int(ends[last]))
        cut |= {name: table[name][levels] for name in ("level_price", "level_size")}
    return cut


def _times(flat: Flat, at: Any, table: Table, lookup: Any) -> None:
    venue, received = table["venue_ts"], table["recv_ts"]
    r = np.where(received != 0, received, venue)
    flat.r[at], flat.t[at] = r, np.where((venue > 0) & (venue < r), venue, r)
    flat.sym[at] = lookup[table["symbol"]]


def _trades(flat: Flat, at: Any, table: Table, texts: list[str], builder: RowBuilder) -> None:
    flat.what[at], flat.a[at], flat.b[at] = TRADE, table["price"], table["size"]
    flat.bits[at] = _bits(table["conditions"], table["tape"], texts, builder)
    sides = np.array([{"buy": 1, "sell": -1}.get(text, 0) for text in texts], dtype=np.int64)
    flat.side[at] = sides[table["aggressor"]]
    exchanges = np.zeros(len(texts), dtype=np.int64)
    for code in np.flatnonzero(np.bincount(table["exchange"], minlength=len(texts))).tolist():
        exchanges[code] = builder.exchanges.setdefault(texts[code], len(builder.exchanges))
    flat.exchange[at] = exchanges[table["exchange"]]
    identity = table["trade_id"].copy()
    spelled = np.flatnonzero(identity < 0)
    if len(spelled):
        codes, back = np.unique(identity[spelled], return_inverse=True)
        numbers = np.array([identity_of(texts[-1 - code]) for code in codes.tolist()], dtype=np.int64)
        identity[spelled] = numbers[back]
    flat.identity[at] = identity


def _bits(conditions: Any, tapes: Any, texts: list[str], builder: RowBuilder) -> Any:
    """What each trade may update: looked up once for every pair of conditions and tape that occurs."""
    width = len(texts)
    pairs = conditions.astype(np.int64) * width + tapes
    if width <= DENSE:
        present = np.flatnonzero(np.bincount(pairs, minlength=width * width))
        table = np.zeros(width * width, dtype=np.int64)
        table[present] = [builder.bits_of(texts[pair // width], texts[pair % width]) for pair in present.tolist()]
        return table[pairs]
    present, back = np.unique(pairs, return_inverse=True)
    known = [builder.bits_of(texts[pair // width], texts[pair % width]) for pair in present.tolist()]
    return np.array(known, dtype=np.int64)[back]


def _quotes(flat: Flat, at: Any, table: Table, _texts: list[str], _builder: RowBuilder) -> None:
    flat.what[at], flat.bits[at] = TOP, 0
    flat.a[at], flat.b[at] = table["bid"], table["ask"]
    flat.c[at] = flat.e[at] = table["bid_size"]
    flat.d[at] = flat.h[at] = table["ask_size"]


def _bars(flat: Flat, at: Any, table: Table, texts: list[str], _builder: RowBuilder) -> None:
    flat.what[at], flat.bits[at], flat.identity[at] = BAR, BAR_MARK, -1
    for column, name in zip((flat.a, flat.b, flat.c, flat.d, flat.e), _PRICES, strict=True):
        column[at] = table[name]
    flat.t[at] -= 1
    _singly(flat, at, "bar", table, texts, table["updated"])


def _statuses(flat: Flat, at: Any, table: Table, texts: list[str], _builder: RowBuilder) -> None:
    states = [texts[code] for code in table["state"].tolist()]
    flat.what[at] = [NOTHING if state == "bands" else HALT for state in states]
    flat.bits[at] = [int(state != "trading") for state in states]


def _gaps(flat: Flat, at: Any, table: Table, texts: list[str], builder: RowBuilder) -> None:
    symbols = [texts[code] for code in table["symbol"].tolist()]
    flat.what[at], flat.t[at] = [LOST if s in ("", *builder.symbols) else NOTHING for s in symbols], flat.r[at]


def _corrections(flat: Flat, at: Any, table: Table, texts: list[str], _builder: RowBuilder) -> None:
    _singly(flat, at, "correction", table, texts, np.ones(len(at), dtype=np.bool_))


def _cancels(flat: Flat, at: Any, table: Table, texts: list[str], _builder: RowBuilder) -> None:
    _singly(flat, at, "cancel", table, texts, np.ones(len(at), dtype=np.bool_))


def _singly(flat: Flat, at: Any, kind: str, table: Table, texts: list[str], wanted: Any) -> None:
    if wanted.any():
        part = Columns({kind: {name: column[wanted] for name, column in table.items()}}, texts)
        flat.rare |= dict(zip(at[wanted].tolist(), events_of(part), strict=True))
        flat.what[at[wanted]] = RARE


def _books(flat: Flat, at: dict[str, Any], columns: Columns, builder: RowBuilder) -> None:
    """Level-2 messages through the symbols' books: best quotes and depths after each, where it may be read."""
    kinds = [kind for kind in ("snapshot", "delta", "gap") if kind in columns.tables]
    ranks = np.sort(np.concatenate([at[kind] for kind in kinds]))
    part = Columns({kind: columns.tables[kind] for kind in kinds}, columns.texts)
    tops, places = [], []
    for rank, event in zip(ranks.tolist(), events_of(part), strict=True):
        if type(event) is Gap:
            for symbol, j in builder.index.items():
                if event.symbol in ("", symbol):
                    builder.books[j].apply(event)
            continue
        j = builder.index.get(event.symbol, -1)
        if j < 0:
            continue
        book = builder.books[j]
        assert isinstance(event, BookSnapshot | BookDelta)  # noqa: S101  the other kinds were left out
        if book.apply(event):
            tops.append(book.top())
            places.append(rank)
        elif not book.valid:
            flat.what[rank] = BROKEN
    if places:
        values = np.array(tops)
        flat.what[places], flat.bits[places] = TOP, 1
        for n, column in enumerate((flat.a, flat.b, flat.c, flat.d, flat.e, flat.h)):
            column[places] = values[:, n]


_PRICES = ("open", "high", "low", "close", "volume")
_FILLERS = {
    "trade": _trades,
    "quote": _quotes,
    "bar": _bars,
    "status": _statuses,
    "gap": _gaps,
    "correction": _corrections,
    "cancel": _cancels,
}
