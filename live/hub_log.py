"""The frames of one feed, kept once for every runner that reads them: a bounded log with a cursor per reader.

A reader that falls behind the oldest frame kept has lost frames; it is let go and begins again. So a slow reader costs
the hub nothing, and the others nothing.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from data.errors import DataError
from data.rows import FeedNews, Header, Trading

LENGTH = struct.Struct("<I")
END = LENGTH.pack(0)
"""A frame without a body: the feed is over, nothing was lost."""


class _Row(msgspec.Struct, tag="row"):
    ts: int


class _Other(msgspec.Struct, tag="revision"):
    pass


class _Touch(msgspec.Struct, tag="touch"):
    pass


_peek = msgspec.msgpack.Decoder(Header | _Row | _Other | _Touch | FeedNews | Trading)


class FrameLog:
    """The last frames of a feed.

    Args:
        most_bytes: kept at most; the oldest go first.

    `first` and `end` number the oldest frame kept and the next one to come. `header` is None before it came.
    """

    def __init__(self, most_bytes: int) -> None:
        self.header: Header | None = None
        self.first = 0
        self.rows = self.last_ts = self.bytes = 0
        self._most = most_bytes
        self._frames: list[bytes] = []
        self._stamps: list[int] = []  # of every frame: the newest row's ts up to and with it
        self._gone = 0  # frames at the front of the lists that are no longer kept
        self._states: dict[tuple[str, str], bytes] = {}

    @property
    def end(self) -> int:
        """The number the next frame gets."""
        return self.first + len(self._frames) - self._gone

    def append(self, frame: bytes) -> Literal["header", "row", "old", "other"]:
        """Keep one whole frame; what it was. A header said again and a row already known are not kept.

        Raises:
            DataError: it is not a message of a feed, or a header that speaks of another feed.
        """
        try:
            message = _peek.decode(memoryview(frame)[LENGTH.size :])
        except msgspec.MsgspecError as error:
            raise DataError(f"the feed sent a frame that is not a feed message: {error}") from error
        if isinstance(message, Header):
            self._begin(message)
            return "header"
        if isinstance(message, _Row):
            if message.ts <= self.last_ts:
                return "old"
            self.rows += 1
            self.last_ts = message.ts
        elif isinstance(message, FeedNews):
            self._states["feed", message.name] = frame
        elif isinstance(message, Trading):
            self._states["trading", message.symbol] = frame
        self._frames.append(frame)
        self._stamps.append(self.last_ts)
        self.bytes += len(frame)
        self._trim()
        return "row" if isinstance(message, _Row) else "other"

    def greeting(self, since: int) -> tuple[bytes, int]:
        """What a reader that knows the rows up to `since` is told first, and the number of its next frame.

        Of a live feed, the rows that closed before it came are history for it: the header says how many they are.
        """
        header, index = self.header, self.first
        if header is None:
            raise DataError("the feed has not begun")
        begin = self._gone
        while begin < len(self._stamps) and self._stamps[begin] <= since:
            begin += 1
        index = self.first + begin - self._gone
        if not header.content:
            known = self._stamps[begin - 1] if begin > self._gone else 0
            behind = len({stamp for stamp in self._stamps[begin:] if stamp > known})
            header = msgspec.structs.replace(header, warm_rows=behind)
        body = msgspec.msgpack.encode(header)
        return LENGTH.pack(len(body)) + body + b"".join(self._states.values()), index

    def after(self, index: int, most: int) -> tuple[bytes, int]:
        """The frames from number `index` on, about `most` bytes of them, and the number of the one behind them."""
        at = self._gone + index - self.first
        size, stop = 0, at
        while stop < len(self._frames) and size < most:
            size += len(self._frames[stop])
            stop += 1
        return b"".join(self._frames[at:stop]), index + stop - at

    def _begin(self, header: Header) -> None:
        was = self.header
        if was is not None and (was.symbols, was.clock, was.source) != (header.symbols, header.clock, header.source):
            raise DataError(
                f"the feed came back as another one: {header.source} of {header.clock}, before {was.source} of "
                f"{was.clock}; start the hub again"
            )
        if was is None:
            self.header = header

    def _trim(self) -> None:
        while self.bytes > self._most and len(self._frames) - self._gone > 1:
            self.bytes -= len(self._frames[self._gone])
            self._frames[self._gone] = b""
            self._gone += 1
            self.first += 1
        if self._gone > 1_024 and self._gone * 2 > len(self._frames):
            del self._frames[: self._gone], self._stamps[: self._gone]
            self._gone = 0


def split(held: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames that `held` begins with, and the rest."""
    frames, at = [], 0
    while len(held) - at >= LENGTH.size:
        end = at + LENGTH.size + int(LENGTH.unpack_from(held, at)[0])
        if end > len(held):
            break
        frames.append(held[at:end])
        at = end
    return frames, held[at:]
