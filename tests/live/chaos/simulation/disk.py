"""A disk that can lose power: what SQLite wrote and had not synced may be gone, in part, after a crash.

SQLite itself runs over it, unmodified: `Disk` is a file system (VFS) of the library, in memory. It keeps for every file
what programs see (`content`) and what the platters hold (`durable`), and it can refuse: no space, an I/O error.

Under a file system without shared memory SQLite keeps a write-ahead log only in exclusive locking mode, which is set
for every connection to this disk; what is written, when, and what is synced, is the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw


class File:
    """One file: what programs see, and the writes since the last sync."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes | None]] = []
        """(offset, bytes) of each write, (size, None) of each truncation."""

    def write(self, data: bytes, offset: int) -> None:
        _put(self.content, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        del self.content[size:]
        self.pending.append((size, None))

    def sync(self) -> None:
        for offset, data in self.pending:
            _apply(self.durable, offset, data)
        self.pending.clear()

    def lose(self, chance: random.Random, *, torn: bool) -> bool:
        """Power is gone: the platters keep a prefix of the pending writes, the last of them perhaps torn."""
        kept = chance.randint(0, len(self.pending))
        for offset, data in self.pending[:kept]:
            _apply(self.durable, offset, data)
        was_torn = False
        if torn and kept < len(self.pending):
            offset, data = self.pending[kept]
            if data is not None and len(data) > 1:
                _apply(self.durable, offset, data[: chance.randrange(1, len(data))])
                was_torn = True
        self.pending.clear()
        self.content = bytearray(self.durable)
        return was_torn


class Disk:
    """The files of one simulated machine. `refuse`: "", "eio" or "full", for every write from now on; told: called
    whenever one is refused; synced: whenever one is to be synced, which may take a while."""

    def __init__(self, told: Callable[[], None] = lambda: None, synced: Callable[[], None] = lambda: None) -> None:
        self.files: dict[str, File] = {}
        self.life = 0
        self.refuse = ""
        self.told, self.synced = told, synced

    def kill(self) -> None:
        """The process is gone: handles it had do nothing any more; what it wrote stays with the system."""
        self.life += 1

    def power_loss(self, chance: random.Random, *, torn: bool) -> bool:
        """The machine is gone; True where a write was torn."""
        self.life += 1
        lost = [file.lose(chance, torn=torn) for file in self.files.values()]
        return any(lost)

    def holds(self, text: bytes) -> bool:
        """Whether synced bytes contain this text: what survives any crash."""
        return any(
            file.durable.rfind(text) >= 0 for name, file in sorted(self.files.items(), reverse=True) if file.durable
        )

    def backup(self) -> dict[str, bytes]:
        """A copy of the platters, as a backup or a snapshot of the volume takes it."""
        return {name: bytes(file.durable) for name, file in self.files.items()}

    def restore(self, copy: dict[str, bytes]) -> None:
        """Another machine with what a copy holds: the old one is gone with all that it wrote since."""
        self.life += 1
        self.files.clear()
        for name, body in copy.items():
            file = self.files[name] = File()
            file.content, file.durable = bytearray(body), bytearray(body)

    def fold(self, path: str) -> None:
        """The log goes into the journal's file, as when whoever opened it last closes it in good order."""
        self.refuse, told, self.synced = "", self.synced, lambda: None
        connection = apsw.Connection(path)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except apsw.Error:  # it was cut short in its first moments
            pass
        finally:
            connection.close()
            self.synced = told

    def flip(self, chance: random.Random) -> None:
        """One bit of the newest journal bytes turns."""
        name = max((n for n, f in self.files.items() if f.content), key=lambda n: (n.endswith("-wal"), n))
        file = self.files[name]
        at = chance.randrange(max(len(file.content) - 8192, 0), len(file.content))
        for side in (file.content, file.durable):
            if at < len(side):
                side[at] ^= 1 << chance.randrange(8)


class _Handle:
    """An open file, in SQLite's words."""

    def __init__(self, disk: Disk, file: File) -> None:
        self._disk, self._file, self._life = disk, file, disk.life

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return bytes(self._file.content[offset : offset + amount])

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        if self._life != self._disk.life:
            return
        if self._disk.refuse:
            self._refused()
        self._file.write(bytes(data), offset)

    def xSync(self, _flags: int) -> None:  # noqa: N802
        if self._life != self._disk.life:
            return
        if self._disk.refuse == "eio":
            self._refused()
        self._disk.synced()
        self._file.sync()

    def xTruncate(self, size: int) -> None:  # noqa: N802
        if self._life == self._disk.life:
            self._file.truncate(size)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._file.content)

    def xClose(self) -> None:  # noqa: N802
        pass

    def xLock(self, _level: int) -> None:  # noqa: N802
        pass

    def xUnlock(self, _level: int) -> None:  # noqa: N802
        pass

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, _op: int, _pointer: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return 0

    def _refused(self) -> None:
        self._disk.told()
        if self._disk.refuse == "full":
            raise apsw.FullError("the disk is full")
        raise apsw.IOError("the disk does not answer")


class DiskSystem(apsw.VFS):
    """The file system of SQLite: `journal` and its log are on the disk that is `mounted`, all others are the system's.

    A file of that name is in `folder`, for who asks whether there is one; nothing is ever written into it.
    """

    NAME = "onetape-chaos"

    def __init__(self, folder: Path) -> None:
        self.mounted = Disk()
        self.journal = folder / "journal.db"
        self.journal.write_text("see chaos")  # what asks for its size must not take it for one that was never begun
        self._root = str(self.journal)
        super().__init__(self.NAME, "", makedefault=True)
        apsw.connection_hooks.append(self._exclusive)

    def close(self) -> None:
        """Give SQLite its own file system back."""
        apsw.connection_hooks.remove(self._exclusive)
        self.unregister()

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not path.startswith(self._root):
            return super().xOpen(name, flags)
        flags[1] = flags[0]
        return _Handle(self.mounted, self.mounted.files.setdefault(path, File()))

    def xDelete(self, path: str, sync: bool) -> None:  # noqa: N802
        if not path.startswith(self._root):
            super().xDelete(path, sync)
            return
        self.mounted.files.pop(path, None)

    def xAccess(self, path: str, flags: int) -> bool:  # noqa: N802
        if not path.startswith(self._root):
            return bool(super().xAccess(path, flags))
        file = self.mounted.files.get(path)
        return file is not None and len(file.content) > 0

    def xFullPathname(self, path: str) -> str:  # noqa: N802
        return path if path.startswith(self._root) else str(super().xFullPathname(path))

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        """Nobody waits for a lock: who holds it stands still, and time is virtual."""
        return microseconds

    def _exclusive(self, connection: apsw.Connection) -> None:
        if str(connection.filename).startswith(self._root):
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
    else:
        _put(content, offset, data)
