"""One row of the market as a message: what a tape stores, a feed sends and the live core decides on.

Light on purpose: msgspec only, so that a live process needs neither pandas nor pyarrow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from data.errors import DataError
from data.types import FEATURES, PRICES, Bars, Book

_LENGTH = struct.Struct("<I")


class Header(msgspec.Struct, frozen=True, tag="header"):
    """What a tape is: said once, before its rows.

    clock: row clock (`1m`, `1d`). source: where the rows came from. simulated: True unless a venue printed them.
    content: SHA-256 of all rows, so that a result can name what it saw.
    """

    symbols: list[str]
    clock: str
    source: str
    simulated: bool
    content: str
    rows: int


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
_decoder = msgspec.msgpack.Decoder(Header | Row)


def encode(message: Header | Row) -> bytes:
    """One length-prefixed msgpack frame: 4 bytes little-endian length, then the message. Floats keep all bits."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def decode_stream(stream: BinaryIO) -> Iterator[Header | Row]:
    """The messages of a byte stream of frames, in order.

    Raises:
        DataError: the stream ends inside a frame, or a frame is not one of ours.
    """
    while head := stream.read(_LENGTH.size):
        if len(head) < _LENGTH.size:
            raise DataError("row stream ends inside a frame header; the feed was cut off, run it again")
        (size,) = _LENGTH.unpack(head)
        body = stream.read(size)
        if len(body) < size:
            raise DataError(f"row stream ends {size - len(body)} bytes short of a frame; the feed was cut off")
        try:
            yield _decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise DataError(f"row stream holds a frame that is not a row: {error}") from error
