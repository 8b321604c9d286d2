"""A journal as a second process may read it: read-only, a few records at a time, and only those not yet seen.

SQLite lets any number of readers look at a write-ahead log while one process writes. Each read here is a short
transaction of its own, so that it never keeps the writer from starting its log afresh, and the file is let go of
after each look. The chain of checksums is the runner's to check; here the last one read is only compared, to notice
that another journal was put in the file's place.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from live.core.commands import decode_command
from live.core.events import Row, decode_event
from live.header import JournalHeader
from live.watch.story import Story

BATCH = 2_000
WIDE = 2_048
"""Bodies of more bytes are looked into before they are read whole: most are rows, of which only the last counts."""
_NEXT = """
SELECT seq, kind, CASE WHEN length(body) <= ?2 THEN body END FROM record WHERE seq > ?1 ORDER BY seq LIMIT ?3
"""


class Tail:
    """What a journal has told so far; `look` reads on.

    problem: why it cannot be read, '' where it can. size: bytes of file and log of changes. unread: records that this
    version cannot read, of a newer runner or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.story = Story()
        self.header: JournalHeader | None = None
        self.problem = ""
        self.size = self.unread = 0
        self.seq = -1
        self._checksum = b""
        self._row = -1
        self._stamp: tuple[int, ...] | None = None

    def stamp(self) -> tuple[int, ...]:
        """Changes whenever something was written; () where there is no journal."""
        try:
            main = self.path.stat()
        except OSError:
            return ()
        try:
            log = self.path.with_name(f"{self.path.name}-wal").stat()
        except OSError:
            return (main.st_ino, main.st_mtime_ns, main.st_size)
        return (main.st_ino, main.st_mtime_ns, main.st_size, log.st_mtime_ns, log.st_size)

    def look(self) -> bool:
        """Read what is new; True where there was something."""
        stamp = self.stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self.size = sum(stamp[2::2])
        if not stamp:
            self._forget()
            return True
        import apsw

        before = self.seq
        try:
            db: Any = apsw.Connection(self._address(stamp), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        except apsw.Error as error:
            self.problem = f"{self.path.name} cannot be opened ({error})"
            return True
        try:
            db.set_busy_timeout(500)
            self.problem = ""
            if db.execute("SELECT 1 FROM sqlite_schema").fetchone() is None:
                self._stamp = None  # it is being made: look again
                return False
            self._read(db)
            if self.unread:
                self.problem = (
                    f"{self.path.name} has {self.unread} records that cannot be read: damaged, or of newer code"
                )
        except apsw.Error as error:
            self._stamp = None  # not there yet, locked or damaged: look again
            self.problem = f"{self.path.name} cannot be read after record {self.seq} ({error})"
        finally:
            db.close()
        return self.seq != before or bool(self.problem)

    def _address(self, stamp: tuple[int, ...]) -> str:
        """The file as SQLite is to open it: where nobody writes and nobody could, without the files a reader makes."""
        at = f"file:{quote(str(self.path.absolute()))}"
        is_closed = len(stamp) == len(("inode", "changed", "bytes"))
        return f"{at}?immutable=1" if is_closed and not os.access(self.path.parent, os.W_OK) else f"{at}?mode=ro"

    def _forget(self) -> None:
        self.story, self.header, self.seq, self._checksum, self._row, self.unread = Story(), None, -1, b"", -1, 0

    def _read(self, db: Any) -> None:
        if self.seq >= 0:
            kept = db.execute("SELECT checksum FROM record WHERE seq = ?", (self.seq,)).fetchone()
            if kept is None or bytes(kept[0]) != self._checksum:
                self._forget()  # another journal lies here now
        row = self._row
        while records := db.execute(_NEXT, (self.seq, WIDE, BATCH)).fetchall():
            for seq, kind, body in records:
                whole = body if body is not None else _wide(db, seq, kind)
                if whole is None or (kind == "event" and tag_of(whole) == b"row"):
                    self._row = seq
                else:
                    try:
                        self._take(kind, whole)
                    except msgspec.MsgspecError:
                        self.unread += 1
                self.seq = seq
        if self.seq >= 0:
            self._checksum = bytes(db.execute("SELECT checksum FROM record WHERE seq = ?", (self.seq,)).fetchone()[0])
        if self._row != row and self.header is not None:
            (body,) = db.execute("SELECT body FROM record WHERE seq = ?", (self._row,)).fetchone()
            last = decode_event(body)
            if isinstance(last, Row):
                self.story.row(last, self.header.plan.symbols)

    def _take(self, kind: str, body: bytes) -> None:
        if kind == "event":
            self.story.event(decode_event(body))
        elif kind == "command":
            self.story.command(decode_command(body))
        elif kind == "header":
            self.header = msgspec.msgpack.decode(body, type=JournalHeader)


def tag_of(body: bytes) -> bytes:
    """Which event the bytes are of, without decoding them; b'' where they do not say so at once."""
    if body[1:6] != b"\xa4type" or len(body) < 7 or body[6] & 0xE0 != 0xA0:
        return b""
    return body[7 : 7 + (body[6] & 0x1F)]


def _wide(db: Any, seq: int, kind: str) -> bytes | None:
    """The body of a long record, None for a row; only its first page is read to tell."""
    if kind == "event":
        with db.blob_open("main", "record", "body", seq, False) as blob:
            if tag_of(blob.read(16)) == b"row":
                return None
    (body,) = db.execute("SELECT body FROM record WHERE seq = ?", (seq,)).fetchone()
    return bytes(body)
