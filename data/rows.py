"""One row of the market as a message: what a tape stores, a feed sends and the live core decides on.

Frames are length-prefixed msgpack. A tape (`python -m data play`) is a `Header`, then its `Row`s; `decode_stream` reads
it. A live feed (`python -m data stream`) begins in the same way and says more; `decode_feed` reads both:

    Header        once, first; the next `warm_rows` rows are history, to warm indicators and never to trade on
    Row           as each one closes, in order of `ts`; a row that was sent is never taken back
    Revision      a row that was sent is now known to be different; for the record, never to decide again
    FeedNews      how the feed stands: on every change, and each second as a sign of life
    Touch         best quotes between rows, at most four a second for a symbol; only where quotes are streamed
    Trading       a symbol halts, pauses or trades again; each one's state is also said once, before the first live row

and takes `BookSnap` frames on its standard input. Light on purpose: msgspec only, so that a live process needs neither
pandas nor pyarrow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, TypeAlias, TypeVar

import msgspec

from data.errors import DataError
from data.types import FEATURES, PRICES, Bars, Book

_LENGTH = struct.Struct("<I")


class Header(msgspec.Struct, frozen=True, tag="header"):
    """What a tape is: said once, before its rows.

    clock: row clock (`1m`, `1d`). source: where the rows came from. simulated: True unless a venue printed them.
    content: SHA-256 of all rows, so that a result can name what it saw; "" of a live feed, which has not seen them yet.
    rows: how many follow; 0 of a live feed, which has no end. warm_rows: how many of them, from the first on, closed
    before the feed began.
    """

    symbols: list[str]
    clock: str
    source: str
    simulated: bool
    content: str
    rows: int
    warm_rows: int = 0


class Row(msgspec.Struct, frozen=True, tag="row"):
    """All symbols at one row close. Lists hold N floats in the header's symbol order; NaN: nothing known.

    ts: UTC nanoseconds of the close. session, since_open, to_close: as in `data.types.Bars`.
    book: the 13 lists of `data.types.FEATURES` in order, or None without L2.
    """

    ts: int
    session: int
    since_open: float
    to_close: float
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]
    book: list[list[float]] | None = None


class Revision(msgspec.Struct, frozen=True, tag="revision"):
    """A row that was given out and is now known to be different; `row` is all of it, with the same `ts`.

    known_ts: receive time of the news, ns. reasons: of `late`, `correction`, `cancel`, `updated`, `gap`.
    """

    row: Row
    known_ts: int
    reasons: list[str]
    symbols: list[str]


Freshness = Literal["fresh", "stale", "absent"]
"""`fresh`: it comes. `stale`: it came, and does not come now. `absent`: it never came."""
Depth = Literal["L2", "L1", "bars", "none"]
"""What book features live on: a book, best quotes, or nothing (only prices and volumes, or not even those)."""


class FeedNews(msgspec.Struct, frozen=True, gc=False, tag="feed"):
    """How one part of a feed stands.

    ts: UTC nanoseconds on the feed's clock. name: the source of the rows (`alpaca`, `polygon`, ...), or `book` for
    snapshots that come by standard input. level: what this part gives now; `none` while it is not fresh.
    age_s: seconds since it said anything, -1.0 before it ever did. gaps: losses marked since the feed began.
    reason: why it is not fresh, or what is missing although it is; "" otherwise.
    """

    ts: int
    name: str
    state: Freshness
    level: Depth
    age_s: float
    gaps: int
    reason: str = ""


class Touch(msgspec.Struct, frozen=True, gc=False, tag="touch"):
    """Best bid and offer of one symbol now, the newest of those that came since the last `Touch`.

    ts: the venue's time of the quote, UTC nanoseconds. Prices NaN and sizes 0 where there is no such side.
    """

    ts: int
    symbol: str
    bid: float
    ask: float
    bid_size: float
    ask_size: float


TradingState = Literal["trading", "halted", "luld", "quiet"]
"""`luld`: paused by the price bands. `quiet`: nothing was ever said of it, or its venue is closed."""


class Trading(msgspec.Struct, frozen=True, gc=False, tag="trading"):
    """May a symbol trade. ts: the venue's time, UTC nanoseconds. reason: the vendor's words."""

    ts: int
    symbol: str
    state: TradingState
    reason: str = ""


class BookSnap(msgspec.Struct, frozen=True, gc=False, tag="book"):
    """A whole book of one symbol that somebody else asked for, given to a feed on its standard input.

    ts: when it was received, UTC nanoseconds. bids, asks: (price, size), best first. venue_ts: when the venue last
    changed it, 0 where it does not say.
    """

    ts: int
    symbol: str
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    venue_ts: int = 0


FeedMessage: TypeAlias = Header | Row | Revision | FeedNews | Touch | Trading
"""What a live feed sends."""


def rows_of(bars: Bars, book: Book | None = None) -> Iterator[Row]:
    """The rows of `bars` (and `book`) one by one, bit for bit."""
    features = [getattr(book, name) for name in FEATURES] if book is not None and book.present else None
    prices = [getattr(bars, name) for name in PRICES]
    for t in range(len(bars)):
        o, h, low, c, v = (column[t].tolist() for column in prices)
        yield Row(
            ts=int(bars.ts[t]),
            session=int(bars.session[t]),
            since_open=float(bars.since_open[t]),
            to_close=float(bars.to_close[t]),
            open=o,
            high=h,
            low=low,
            close=c,
            volume=v,
            book=None if features is None else [column[t].tolist() for column in features],
        )


_encoder = msgspec.msgpack.Encoder()
_of_tapes = msgspec.msgpack.Decoder(Header | Row)
_of_feeds = msgspec.msgpack.Decoder(FeedMessage)
_of_books = msgspec.msgpack.Decoder(BookSnap)


def encode(message: FeedMessage | BookSnap) -> bytes:
    """One length-prefixed msgpack frame: 4 bytes little-endian length, then the message. Floats keep all bits."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def decode_stream(stream: BinaryIO) -> Iterator[Header | Row]:
    """The messages of a tape as a byte stream of frames, in order.

    Raises:
        DataError: the stream ends inside a frame, or a frame is not one of ours.
    """
    return _decoded(stream, _of_tapes, "row")


def decode_feed(stream: BinaryIO) -> Iterator[FeedMessage]:
    """The messages of a live feed, or of a tape, in order; raises as `decode_stream`."""
    return _decoded(stream, _of_feeds, "feed message")


def decode_books(stream: BinaryIO) -> Iterator[BookSnap]:
    """The snapshots that a feed is given, in order; raises as `decode_stream`."""
    return _decoded(stream, _of_books, "book")


_Message = TypeVar("_Message")


def _decoded(stream: BinaryIO, decoder: msgspec.msgpack.Decoder[_Message], what: str) -> Iterator[_Message]:
    while head := stream.read(_LENGTH.size):
        if len(head) < _LENGTH.size:
            raise DataError("row stream ends inside a frame header; the feed was cut off, run it again")
        (size,) = _LENGTH.unpack(head)
        body = stream.read(size)
        if len(body) < size:
            raise DataError(f"row stream ends {size - len(body)} bytes short of a frame; the feed was cut off")
        try:
            yield decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise DataError(f"row stream holds a frame that is not a {what}: {error}") from error
