"""What others may read of a journal while its runner writes it: what came since the last look.

Reading is a second connection. The WAL-reset bug (SQLite before 3.51.3) needs two connections that write or checkpoint;
ours is read-only, so it does neither, and both sides use a library without the bug (`live.journal.check_sqlite`). It is
opened and closed at every look: nothing is held that would keep the log from being folded, and nothing is carried over
a fork.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec

from data.errors import JournalError
from live.header import JournalHeader
from live.journal import APPLICATION, check_sqlite

MOST_RECORDS = 20_000


class Line(NamedTuple):
    """One record as it is stored. kind: header, event, command, digest or resumed."""

    seq: int
    kind: str
    body: bytes
    checksum: bytes


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """A read-only connection to a journal, in one transaction: all it gives is of one moment.

    Raises:
        JournalError: there is none, or it is not a journal, or it cannot be read now.
    """
    check_sqlite(apsw.sqlite_lib_version())
    if not path.is_file():
        raise JournalError(f"journal {path.name} does not exist")
    db: Any = None
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        db.set_busy_timeout(2_000)
        if db.execute("PRAGMA application_id").fetchall() != [(APPLICATION,)]:
            raise JournalError(f"{path.name} is not a journal")
        db.execute("BEGIN")
        yield db
    except apsw.Error as error:
        raise JournalError(f"journal {path.name} cannot be read now ({error})") from error
    finally:
        if db is not None:
            db.close()


def header_of(path: Path) -> JournalHeader:
    """The first record of a journal; raises as `reading`."""
    with reading(path) as db:
        (body,) = db.execute("SELECT body FROM record WHERE seq = 0").fetchone() or (b"",)
    try:
        return msgspec.msgpack.decode(body, type=JournalHeader)
    except msgspec.MsgspecError as error:
        raise JournalError(f"journal {path.name} has no header ({error})") from error


class Tail:
    """The records of a journal as they come.

    Args:
        path: of the journal; it need not exist yet.
        back: records before the end to begin with; None for all of them.
        after: begin behind this record instead.
    """

    def __init__(self, path: Path, back: int | None = None, *, after: int = -1) -> None:
        self._path, self._back, self._after = path, back, after
        self._next = 0
        self._inode = 0
        self.problem = ""

    def look(self) -> list[Line]:
        """What came since, at most 20,000 records a time; nothing, and `problem`, where it cannot be read now."""
        self.problem = ""
        try:
            inode = self._path.stat().st_ino
            if inode != self._inode:  # another file: from its start
                self._next = (self._after + 1 if not self._inode else 0) if self._back is None else -1
                self._inode = inode
            with reading(self._path) as db:
                if self._next < 0:
                    (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()
                    self._next = max(0, last - (self._back or 0))
                found = [
                    Line(*row)
                    for row in db.execute(
                        "SELECT seq, kind, body, checksum FROM record WHERE seq >= ? ORDER BY seq LIMIT ?",
                        (self._next, MOST_RECORDS),
                    )
                ]
        except (OSError, JournalError) as error:
            self.problem = str(error)
            return []
        if found:
            self._next = found[-1].seq + 1
        return found
