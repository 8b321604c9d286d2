"""The journal: every event in and every command out, in order, chained by checksums, in one SQLite file.

    record 0   header: plan, feed, code, libraries
    record n   event | command | digest | resumed

Each record's checksum covers the one before it, so that nothing can be changed, taken out or put in unseen; `head`
holds the last one, so that nothing can be cut off. An event and its commands are one transaction: after a crash the
file holds both or neither. SQLite runs in WAL mode with synchronous=FULL over one connection: a commit is one sync of
the log, and never more on the way of an order, for the log is folded into the file when nobody waits (`rest`).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import apsw
import msgspec

from data.errors import ConfigError, JournalError
from live.core.commands import Command, Protect, Submit, body_hash
from live.core.events import Event, encode
from live.header import Built, JournalHeader

SCHEMA = 1
APPLICATION = 0x4F4E4554  # "ONET"
SAFE_SQLITE = (3, 51, 3)
LOCKED_TRIES = 40
"""Times the journal tries to become a write-ahead log, 50 ms apart, while a reader holds it."""
MEMORY = ":memory:"
REST_PAGES = 250
"""Pages of 4 kB in the log that make folding it in worth a rest: some eighty commits of a row with orders."""
MOST_PAGES = 1_000
"""Pages at which it is folded in by the commit itself, where no rest came."""

_TABLES = """
CREATE TABLE record (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL, checksum BLOB NOT NULL) STRICT;
CREATE TABLE intent (order_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, body_hash BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, checksum BLOB NOT NULL) STRICT;
"""


class Record(NamedTuple):
    """One line of the journal. kind: header, event, command, digest or resumed."""

    seq: int
    kind: str
    body: bytes


class Step(NamedTuple):
    """An event with what the core answered, and the digest of its state where one was written."""

    seq: int
    event: bytes
    commands: list[bytes]
    digest: str


class Journal(Protocol):
    """What the shell needs of a journal; another store implements the same."""

    header: JournalHeader

    def append_event(self, event: Event) -> None:
        """Write an event; before the core sees it."""
        ...

    def append_commands(self, commands: Sequence[Command]) -> None:
        """Write what the core answered; before the broker sees it."""
        ...

    def append_digest(self, digest: str) -> None:
        """Write the state's digest, for replays to compare."""
        ...

    def append_resumed(self, built: Built) -> None:
        """Write that another process goes on from here."""
        ...

    def commit(self) -> None:
        """Make all that was appended durable."""
        ...

    def rest(self) -> None:
        """Nothing waits just now: do what would else make a later commit slow."""
        ...

    def check_writer(self) -> None:
        """Stop where another process has written behind our last record: it has taken over."""
        ...

    def read(self) -> Iterator[Record]:
        """Every record, checked."""
        ...

    def close(self) -> None:
        """Commit and let go of the file."""
        ...


class SqliteJournal:
    """A journal in one SQLite file; `create` or `open` it.

    Every method raises JournalError where the file cannot be read, written or believed.
    """

    header: JournalHeader

    def __init__(self, path: Path | str) -> None:
        check_sqlite(apsw.sqlite_lib_version())
        self.name = Path(path).name
        self._seq = -1
        self._checksum = b""
        self._open = False
        self._logged = self._folded = 0
        try:
            self._db: Any = apsw.Connection(str(path))
            self._db.set_busy_timeout(2_000)
            self._db.set_wal_hook(self._count)
        except apsw.Error as error:
            raise self._damaged(0, error) from error

    @classmethod
    def create(cls, path: Path | str, header: JournalHeader) -> Self:
        """A new journal that begins with `header`; `MEMORY` keeps it out of any file."""
        if path != MEMORY:
            Path(path).touch(mode=0o600)
        journal = cls(path)
        journal.header = header
        try:
            journal._set_up()
            journal._db.execute(f"PRAGMA application_id = {APPLICATION}")
            journal._begin()
            journal._db.execute(_TABLES)
            journal._db.execute(f"PRAGMA user_version = {SCHEMA}")
        except apsw.Error as error:
            raise journal._failed(error) from error
        journal._append("header", encode(header))
        journal.commit()
        return journal

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """An existing journal, its header read; `read` checks the rest and must be run through before appending."""
        if not Path(path).is_file():
            raise JournalError(f"journal {path} does not exist; python -m live run writes one")
        journal = cls(path)
        try:
            journal._set_up()
            (schema,) = journal._db.execute("PRAGMA user_version").fetchone()
            (application,) = journal._db.execute("PRAGMA application_id").fetchone()
        except apsw.Error as error:
            journal._let_go()
            raise journal._damaged(0, error) from error
        if application != APPLICATION or schema != SCHEMA:
            journal._let_go()
            raise JournalError(
                f"journal {journal.name}: record 0 cannot be read; the file is of schema {schema}, not of {SCHEMA}, "
                f"or not a journal"
            )
        try:
            first = next(journal.read())
            journal.header = msgspec.msgpack.decode(first.body, type=JournalHeader)
        except (JournalError, msgspec.MsgspecError) as error:
            journal._let_go()
            raise error if isinstance(error, JournalError) else journal._damaged(0, error) from error
        return journal

    def append_event(self, event: Event) -> None:
        """Write an event; before the core sees it."""
        self._append("event", encode(event))

    def append_commands(self, commands: Sequence[Command]) -> None:
        """Write what the core answered; before the broker sees it."""
        for command in commands:
            self._append("command", encode(command))
            if isinstance(command, Submit) or (isinstance(command, Protect) and not command.amends):
                self._intend(command)

    def append_digest(self, digest: str) -> None:
        """Write the state's digest, for replays to compare."""
        self._append("digest", digest.encode())

    def append_resumed(self, built: Built) -> None:
        """Write that another process goes on from here."""
        self._append("resumed", encode(built))

    def commit(self) -> None:
        """Make all that was appended durable."""
        if not self._open:
            return
        try:
            self._db.execute(
                "INSERT INTO head VALUES (1, ?1, ?2) ON CONFLICT (id) DO UPDATE SET seq = ?1, checksum = ?2",
                (self._seq, self._checksum),
            )
            self._db.execute("COMMIT")
        except apsw.Error as error:
            raise self._failed(error) from error
        self._open = False
        if self._logged - self._folded >= MOST_PAGES:
            self._fold()

    def rest(self) -> None:
        """Nothing waits just now: fold a log that has grown into the file, which takes several writes and a sync."""
        if not self._open and self._logged - self._folded >= REST_PAGES:
            self._fold()

    def check_writer(self) -> None:
        """
        Raises:
            JournalError: another process has written behind our last record: it has taken over, and may be sending.
        """
        try:
            (last,) = self._db.execute("SELECT max(seq) FROM record").fetchone()
        except apsw.Error as error:
            raise self._failed(error) from error
        if last != self._seq:
            raise JournalError(
                f"journal {self.name}: record {last} was written by another process, ours end with {self._seq}; "
                f"it has taken over, and this one stops"
            )

    def read(self) -> Iterator[Record]:
        """Every record in order, its number and checksum checked, and at the end that it is the last.

        Another process may write meanwhile: what it adds after the beginning is not read.
        """
        seq, checksum = -1, b""
        try:
            head = self._head()
            until = head[0] if head is not None and not self._open else 1 << 62
            rows = self._db.execute(
                "SELECT seq, CAST(kind AS BLOB), body, checksum FROM record WHERE seq <= ? ORDER BY seq", (until,)
            )
            for number, kind, body, given in rows:
                seq += 1
                if number != seq:
                    raise JournalError(f"journal {self.name}: record {seq} is missing; restore it from a backup")
                if not isinstance(body, bytes) or not isinstance(kind, bytes):
                    raise self._damaged(seq, "it is not of its type")
                checksum = _chained(checksum, seq, kind, body)
                if checksum != given:
                    raise self._damaged(seq, "its checksum does not match")
                yield Record(seq, kind.decode(), body)
            (last,) = self._db.execute("SELECT max(seq) FROM record").fetchone()
            grew = self._head() != head
        except (apsw.Error, UnicodeDecodeError) as error:
            raise self._damaged(seq + 1, error) from error
        if self._open:
            return
        if head is None or head != (seq, checksum) or (last != seq and not grew):
            raise JournalError(
                f"journal {self.name}: record {seq + 1} is missing: the file ends before its last record; "
                f"restore it from a backup"
            )
        if seq > self._seq:  # else we have written on since this reading began
            self._seq, self._checksum = seq, checksum

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        self._let_go()

    def _head(self) -> tuple[int, bytes] | None:
        head: tuple[int, bytes] | None = self._db.execute("SELECT seq, checksum FROM head").fetchone()
        return head

    def _set_up(self) -> None:
        for pragma in ("synchronous = FULL", "foreign_keys = ON"):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        for waiting in reversed(range(LOCKED_TRIES)):
            try:  # a reader that looks in just now locks the change of mode, which no busy timeout waits for
                self._db.execute("PRAGMA journal_mode = WAL").fetchall()
                return
            except apsw.BusyError:
                if not waiting:
                    raise
                time.sleep(0.05)

    def _count(self, _connection: Any, _name: str, pages: int) -> int:
        """Told by SQLite after every commit, how many pages the log has; it begins anew once all of it is folded in."""
        self._folded = self._folded if pages >= self._logged else 0
        self._logged = pages
        return 0

    def _fold(self) -> None:
        """What readers still need stays in the log, and is tried again when it has grown as much once more."""
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:  # another process does it
            pass
        except apsw.Error as error:
            raise self._failed(error) from error
        self._folded = self._logged

    def _begin(self) -> None:
        if not self._open:
            self._db.execute("BEGIN IMMEDIATE")
            self._open = True

    def _append(self, kind: str, body: bytes) -> None:
        seq = self._seq + 1
        checksum = _chained(self._checksum, seq, kind.encode(), body)
        try:
            self._begin()
            self._db.execute("INSERT INTO record VALUES (?, ?, ?, ?)", (seq, kind, body, checksum))
        except apsw.Error as error:
            raise self._failed(error) from error
        self._seq, self._checksum = seq, checksum

    def _intend(self, command: Submit | Protect) -> None:
        digest = body_hash(command)
        try:
            self._db.execute("INSERT INTO intent VALUES (?, ?, ?)", (command.order_id, self._seq, digest))
        except apsw.ConstraintError:
            raise JournalError(
                f"journal {self.name}: order {command.order_id} was planned before; the same key must not carry "
                f"another intent"
            ) from None
        except apsw.Error as error:
            raise self._failed(error) from error

    def _let_go(self) -> None:
        try:
            self._db.close()
        except apsw.Error as error:
            raise self._failed(error) from error

    def _damaged(self, seq: int, why: object) -> JournalError:
        return JournalError(f"journal {self.name}: record {seq} is damaged ({why}); restore the file from a backup")

    def _failed(self, error: Exception) -> JournalError:
        self._open = False  # nothing of this transaction is kept: half a step must not be
        return JournalError(f"journal {self.name}: record {self._seq + 1} cannot be written ({error}); trading stops")


def exists(path: Path) -> bool:
    """True where a journal was begun at `path`; a file whose creation was cut short does not count."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    journal = SqliteJournal(path)
    try:
        return bool(journal._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    except apsw.Error as error:
        raise journal._damaged(0, error) from error
    finally:
        journal._let_go()


def steps(journal: Journal) -> Iterator[Step]:
    """The records of a journal by event: each with its commands and digest."""
    event: Record | None = None
    commands: list[bytes] = []
    digest = ""
    for record in journal.read():
        if record.kind == "command":
            commands.append(record.body)
        elif record.kind == "digest":
            digest = record.body.decode()
        elif record.kind == "event":
            if event is not None:
                yield Step(event.seq, event.body, commands, digest)
            event, commands, digest = record, [], ""
    if event is not None:
        yield Step(event.seq, event.body, commands, digest)


def check_sqlite(version: str) -> None:
    """
    Raises:
        ConfigError: this SQLite can damage a WAL file (the reset bug, repaired in 3.51.3).
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if numbers < SAFE_SQLITE:
        raise ConfigError(
            f"SQLite {version} can damage a journal (the WAL-reset bug); expected 3.51.3 or newer: "
            f"pip install 'apsw>=3.51.3'"
        )


def _chained(before: bytes, seq: int, kind: bytes, body: bytes) -> bytes:
    return hashlib.sha256(before + seq.to_bytes(8, "little") + kind + b"\0" + body).digest()
