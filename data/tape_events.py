"""Event tapes: every market event as it was received, in order, with both clocks; a folder that grows.

    <tape>/tape.json                             what it is: source, symbols, channels, simulated
    <tape>/2024-01-02/000001/trade.parquet ...   a piece: one table for each kind of event (data.events_columns)
    <tape>/2024-01-02/000002.log                 the piece being written: frames of events, whole up to the last flush

Pieces are numbered through all dates (New York's, of the receive time), and `place` is an event's place in its piece,
so that the tables merge back into the order of arrival. Any Parquet reader can read them. A frame of the log is
4 bytes of length and 4 of CRC32 (little-endian), then the event in msgpack; what follows the last whole frame is not
part of the tape. `data.recorder` writes them. pyarrow is imported inside the functions.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from data.errors import DataError
from data.events import KINDS, MarketEvent, decode_event, encode_event

NAME = "tape.json"
FRAME = struct.Struct("<II")
_LENGTH = struct.Struct("<I")


class TapeHeader(msgspec.Struct, frozen=True, tag="tape"):
    """What an event tape is. source: where its events came from. simulated: True unless a venue printed them."""

    source: str
    symbols: list[str]
    channels: list[str]
    simulated: bool
    version: int = 1


class Piece(msgspec.Struct, frozen=True):
    """A part of a tape: its number, date (`2024-01-02`), and the folder of its tables or the log."""

    number: int
    date: str
    path: Path


def is_event_tape(path: Path | str) -> bool:
    """True for a folder that says it is an event tape."""
    return (Path(path) / NAME).is_file()


def read_header(path: Path | str) -> TapeHeader:
    """What the tape is.

    Raises:
        DataError: there is no such tape, or its header is damaged.
    """
    try:
        return msgspec.json.decode((Path(path) / NAME).read_bytes(), type=TapeHeader)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"there is no event tape {path}; make one with: python -m data record --out {path}") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"event tape {path} is damaged ({NAME}: {error}); restore {NAME} from a copy") from None


def pieces_of(path: Path | str) -> list[Piece]:
    """The pieces in order; a piece whose tables are complete hides the log it was made of."""
    found: dict[int, Piece] = {}
    for each in sorted(Path(path).glob("*/*"), key=lambda each: each.suffix != ".log"):  # logs first
        number = each.name.removesuffix(".log")
        if number.isdigit():
            found[int(number)] = Piece(int(number), each.parent.name, each)
    return [found[number] for number in sorted(found)]


def replay(path: Path | str) -> Iterator[MarketEvent]:
    """Every event in the order in which it was received, bit for bit, one piece in memory at a time.

    Raises:
        DataError: there is no such tape, or a piece of it is damaged; perhaps after some events.
    """
    read_header(path)
    for piece in pieces_of(path):
        yield from read_piece(piece)


def read_piece(piece: Piece) -> Iterator[MarketEvent]:
    """The events of one piece in order.

    Raises:
        DataError: it is damaged.
    """
    if piece.path.suffix == ".log":
        try:
            body = piece.path.read_bytes()
        except FileNotFoundError:  # a recorder made tables of it just now
            piece = Piece(piece.number, piece.date, piece.path.with_suffix(""))
        else:
            yield from (decode_event(bytes(frame)) for frame in frames_of(body))
            return
    yield from _read_tables(piece.path)


def frames_of(body: bytes) -> Iterator[memoryview]:
    """The whole frames at the beginning of a log; ends at the first that is cut off or damaged."""
    view, at = memoryview(body), 0
    while at + FRAME.size <= len(view):
        size, check = FRAME.unpack_from(view, at)
        frame = view[at + FRAME.size : at + FRAME.size + size]
        if len(frame) < size or zlib.crc32(frame) != check:
            return
        yield frame
        at += FRAME.size + size


def _read_tables(folder: Path) -> Iterator[MarketEvent]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data.events_columns import events_of, from_arrow

    tables = {}
    try:
        for kind in KINDS:
            path = folder / f"{kind}.parquet"
            if path.exists():
                with pq.ParquetFile(path, page_checksum_verification=True) as file:
                    tables[kind] = file.read(use_threads=False)
        columns = from_arrow(tables)
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"piece {folder} of an event tape is damaged ({reason}); restore it from a copy") from error
    yield from events_of(columns)


def events_hash(events: Iterable[MarketEvent]) -> tuple[str, int]:
    """SHA-256 (hex) over the events' canonical bytes in order, and how many there are: the name of a recording."""
    digest, count = hashlib.sha256(b"onetape events 1\n"), 0
    for event in events:
        body = encode_event(event)
        digest.update(_LENGTH.pack(len(body)) + body)
        count += 1
    return digest.hexdigest(), count


def encode_frame(message: TapeHeader | MarketEvent) -> bytes:
    """One frame as `python -m data replay` writes it: 4 bytes little-endian length, then msgpack."""
    body = msgspec.msgpack.encode(message) if isinstance(message, TapeHeader) else encode_event(message)
    return _LENGTH.pack(len(body)) + body


def decode_frames(stream: BinaryIO) -> Iterator[TapeHeader | MarketEvent]:
    """The header, then the events of a stream of such frames.

    Raises:
        DataError: the stream ends inside a frame, or a frame is not one of ours.
    """
    header = msgspec.msgpack.Decoder(TapeHeader)
    first = True
    while head := stream.read(_LENGTH.size):
        size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 1
        body = stream.read(size)
        if len(head) < _LENGTH.size or len(body) < size:
            raise DataError("event stream ends inside a frame; the feed was cut off, run it again")
        if first:
            try:
                yield header.decode(body)
            except msgspec.MsgspecError as error:
                raise DataError(f"event stream does not begin with the header of a tape: {error}") from None
        else:
            yield decode_event(body)
        first = False
