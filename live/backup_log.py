"""A journal's records as an append-only file: what a backup holds, and what goes over a slow or remote disk well.

    ONETAPE-BACKUP 1
    batch, batch, ...      length, flags, SHA-256 of the payload; payload: compressed records, whole transactions

A batch that is cut short or damaged, and all behind it, is not believed; the records' own chain of checksums is checked
again when it is read. A batch flagged as open ends inside a transaction: it counts once the next one closes it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from data.errors import JournalError
from live.fleet_tail import Line

MAGIC = b"ONETAPE-BACKUP 1\n"
_HEAD = struct.Struct("<II32s")
_OPEN = 1
_decode = msgspec.msgpack.Decoder(list[Line]).decode


class Kept(NamedTuple):
    """What a backup file holds. size: bytes up to the last whole batch; seq, checksum: of its last record or -1."""

    size: int
    seq: int
    checksum: bytes


def chained(before: bytes, line: Line) -> bytes:
    """The checksum that a record must have behind one with checksum `before`."""
    return hashlib.sha256(before + line.seq.to_bytes(8, "little") + line.kind.encode() + b"\0" + line.body).digest()


class Follower:
    """Appends the records of one journal to its backup file, each batch durable before the next is read.

    Raises:
        JournalError: the file is of something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = kept_of(path)
        new = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if new:
            os.write(self._file, MAGIC)
            self.kept = self.kept._replace(size=len(MAGIC))
        os.ftruncate(self._file, self.kept.size)  # what a crash cut short
        os.lseek(self._file, 0, os.SEEK_END)

    def append(self, lines: Sequence[Line], *, whole: bool) -> None:
        """Write records that follow those kept. whole: the last of them ends a transaction.

        Raises:
            JournalError: they do not follow, or their checksums do not match.
        """
        checksum, seq = self.kept.checksum, self.kept.seq
        for line in lines:
            seq += 1
            checksum = chained(checksum, line)
            if line.seq != seq or line.checksum != checksum:
                raise JournalError(
                    f"{self.path.name}: record {line.seq} does not follow record {seq - 1} of the backup"
                )
        payload = zlib.compress(msgspec.msgpack.encode(lines), 1)
        flags = 0 if whole else _OPEN
        batch = _HEAD.pack(len(payload), flags, hashlib.sha256(payload).digest()) + payload
        written = 0
        while written < len(batch):
            written += os.write(self._file, batch[written:])
        os.fdatasync(self._file)
        self.kept = Kept(self.kept.size + len(batch), seq, checksum)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def batches(path: Path) -> Iterator[tuple[list[Line], bool, int]]:
    """(records, whether they end a transaction, bytes up to here) of every batch that can be believed.

    Raises:
        JournalError: the file is not a backup.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise JournalError(f"{path.name} is not a backup of a journal; expected {MAGIC!r} at its beginning")
        at = len(MAGIC)
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, flags, digest = _HEAD.unpack(head)
            payload = file.read(size)
            if len(payload) < size or hashlib.sha256(payload).digest() != digest:
                return
            at += _HEAD.size + size
            yield _decode(zlib.decompress(payload)), not flags & _OPEN, at


def records(path: Path) -> Iterator[Line]:
    """The records of a backup up to the last whole transaction, each checked against the one before it.

    Raises:
        JournalError: a record does not follow, or its checksum does not match.
    """
    checksum, seq = b"", -1
    held: list[Line] = []
    for lines, whole, _ in batches(path):
        held += lines
        if not whole:
            continue
        for line in held:
            seq, checksum = seq + 1, chained(checksum, line)
            if line.seq != seq or line.checksum != checksum:
                raise JournalError(f"{path.name}: record {line.seq} is damaged; take an older archive")
            yield line
        held = []


def kept_of(path: Path) -> Kept:
    """What is there already."""
    kept = Kept(0, -1, b"")
    if path.exists():
        kept = Kept(len(MAGIC), -1, b"")
        for lines, _, at in batches(path):
            kept = Kept(at, lines[-1].seq, lines[-1].checksum) if lines else kept._replace(size=at)
    return kept
