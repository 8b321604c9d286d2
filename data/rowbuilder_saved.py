"""The whole state of a row builder as bytes, exact: a process that ends inside a row goes on with the same rows.

    saved = save(builder)
    ...
    restore(builder, saved)         # into a fresh one with the same symbols, clock and options

msgpack keeps all bits of a float; what is remembered of trades goes as columns in this machine's order of bytes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from data.book import WAITING, OrderBook
from data.errors import DataError, UsageError
from data.events import BookDelta
from data.rowbuilder_log import Shown, TradeLog
from data.rowbuilder_state import BY_COUNT, BY_VOLUME, KEEP, STEP

if TYPE_CHECKING:
    from data.rowbuilder import RowBuilder

VERSION = 1
_BOOK = ("sequence", "refused", "updated", "crossed_since", "valid", "why", "_joined")
_TOP = ("bid", "ask", "bid_size", "ask_size", "bid_depth", "ask_depth")
_SIDES = ("_bid_sizes", "_ask_sizes")


class SavedBook(msgspec.Struct, frozen=True, array_like=True):
    """An `OrderBook`. sides: prices and sizes of bids and offers, in the order in which they came."""

    facts: tuple[int, int, int, int, bool, str, bool]
    top: tuple[float, ...]
    sides: tuple[list[tuple[float, float]], list[tuple[float, float]]]
    waiting: list[BookDelta]


class SavedLog(msgspec.Struct, frozen=True, array_like=True):
    """A `TradeLog`: its columns, the identities last."""

    base: int
    columns: list[bytes]


class SavedRow(msgspec.Struct, frozen=True, array_like=True):
    """A `Shown` row."""

    start: int
    close: int
    segment: int
    values: list[list[float]]
    marks: list[list[int]]
    seen: bool


class Saved(msgspec.Struct, frozen=True):
    """A `RowBuilder`. terms: what it was made with; only one made with the same can take the state."""

    version: int
    terms: list[Any]
    g: list[int]
    f: list[list[float]]
    k: list[list[int]]
    moments: tuple[bool, int, int]
    exchanges: dict[str, int]
    counts: dict[str, int]
    books: list[SavedBook]
    logs: list[SavedLog]
    rows: list[SavedRow]
    dirty: list[tuple[int, int, list[str]]]
    known: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Saved)


def save(builder: RowBuilder) -> bytes:
    """The state of a builder between two events."""
    reviser = builder.revised
    return _encoder.encode(
        Saved(
            VERSION,
            _terms(builder),
            list(builder.g),
            [list(each) for each in builder.f],
            [list(each) for each in builder.k],
            (builder.begun, builder.now, builder.due),
            dict(builder.exchanges),
            dict(builder.counts),
            [_book(each) for each in builder.books],
            [_log(each) for each in builder.logs],
            [
                SavedRow(each.start, each.close, each.segment, each.values, each.marks, each.seen)
                for each in reviser.rows
            ],
            [(close, j, sorted(why)) for close, news in reviser.dirty.items() for j, why in news.items()],
            reviser.known,
        )
    )


def restore(builder: RowBuilder, saved: bytes) -> None:
    """Give a fresh builder this state.

    Raises:
        DataError: these bytes are not a state. UsageError: it is that of a builder made with other terms.
    """
    try:
        state = _decoder.decode(saved)
    except msgspec.MsgspecError as error:
        raise DataError(f"{len(saved)} bytes are not the state of a row builder: {error}; begin without it") from None
    if state.version != VERSION:
        raise DataError(f"the state of a row builder has version {state.version}, not {VERSION}; begin without it")
    if state.terms != msgspec.msgpack.decode(_encoder.encode(_terms(builder))):
        raise UsageError(f"the state is of rows made as {state.terms[:2]}, not {_terms(builder)[:2]}; begin without it")
    builder.g, builder.f, builder.k = state.g, state.f, state.k
    builder.begun, builder.now, builder.due = state.moments
    builder.exchanges, builder.counts = state.exchanges, state.counts
    for book, told in zip(builder.books, state.books, strict=True):
        _fill_book(book, told)
    for log, columns in zip(builder.logs, state.logs, strict=True):
        _fill_log(log, columns)
    reviser = builder.revised
    reviser.rows = [Shown(*(getattr(each, name) for name in SavedRow.__struct_fields__)) for each in state.rows]
    reviser.closes = [each.close for each in state.rows]
    reviser.dirty = {}
    for close, j, why in state.dirty:
        reviser.dirty.setdefault(close, {})[j] = set(why)
    reviser.known = state.known


def _terms(builder: RowBuilder) -> list[Any]:
    book = builder.books[0]
    return [
        builder.clock,
        list(builder.symbols),
        builder.hours,
        builder.wait,
        builder.revised.window,
        builder.conditions,
        [builder.g[place] for place in (STEP, KEEP, BY_VOLUME, BY_COUNT)],
        list(book.rule),
        book.levels,
    ]


def _book(book: OrderBook) -> SavedBook:
    bids, asks = (list(getattr(book, side).items()) for side in _SIDES)
    facts: Any = tuple(getattr(book, name) for name in _BOOK)
    return SavedBook(facts, tuple(getattr(book, name) for name in _TOP), (bids, asks), list(book._waiting))


def _fill_book(book: OrderBook, told: SavedBook) -> None:
    for name, fact in zip(_BOOK, told.facts, strict=True):
        setattr(book, name, fact)
    for name, value in zip(_TOP, told.top, strict=True):
        setattr(book, name, value)
    book._bid_sizes, book._ask_sizes = (dict(side) for side in told.sides)
    book._bids, book._asks = sorted(book._bid_sizes), sorted(book._ask_sizes)
    book._waiting = deque(told.waiting, maxlen=WAITING)


def _log(log: TradeLog) -> SavedLog:
    log.settle()
    return SavedLog(log.base, [column.tobytes() for column in (*log.columns, log.identities)])


def _fill_log(log: TradeLog, told: SavedLog) -> None:
    log.base = told.base
    log.fresh.clear()
    for column, body in zip((*log.columns, log.identities), told.columns, strict=True):
        del column[:]
        column.frombytes(body)
