"""The alert daemon's book: what stands, who has seen it, what was told when. One file, whole or as it was.

alerts.json      what stands, and what must still be sent
alerts.words/    one file per acknowledgement, taken by the daemon
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from data.errors import ConfigError
from data.settings import CHECKOUT

FOLDER = CHECKOUT / "out" / "live"
Severity = Literal["info", "warning", "critical"]


class Active(msgspec.Struct):
    """An alert that waits or stands. key: its rule and labels. account: '' where it is of the host.

    since: UTC ns from when its condition holds; fired: when it had held long enough, 0 before; told: when it was last
    told of, 0 for never in this firing. seen_by: who has acknowledged it.
    """

    key: str
    name: str
    account: str
    severity: Severity
    text: str
    since: int
    fired: int = 0
    told: int = 0
    seen_by: str = ""


class Message(msgspec.Struct):
    """Something to send. targets: hashes of those that still have to get it. after: UTC ns, not before."""

    severity: Severity
    title: str
    body: str
    targets: list[str]
    at: int
    after: int = 0
    tries: int = 0


class Book(msgspec.Struct):
    """What the daemon knows.

    last: when each key was last told of, also after it cleared. counters: of each key the last value, and when it last
    grew. accounts: those that were there at the last look, which was at `said`. unsent: oldest first.
    """

    active: dict[str, Active] = {}
    last: dict[str, int] = {}
    counters: dict[str, tuple[float, int]] = {}
    accounts: list[str] = []
    unsent: list[Message] = []
    said: int = 0


class Seen(msgspec.Struct, frozen=True):
    """A person's word: the alerts of this name, or of this name and account, are known."""

    name: str
    who: str
    account: str = ""


class BookFile:
    """The book of a folder.

    Args:
        folder: default: the one of the checkout.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.path = folder / "alerts.json"
        self.words = folder / "alerts.words"

    def read(self) -> Book:
        """The book; an empty one where none was begun.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Book)
        except FileNotFoundError:
            return Book()
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError(f"{self.path} cannot be read ({error}); move it away, and alerts start afresh") from None

    def write(self, book: Book) -> None:
        """Keep the book.

        Raises:
            ConfigError: it cannot be written.
        """
        _write(self.path, msgspec.json.encode(book))

    def say(self, seen: Seen, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Leave an acknowledgement for the daemon.

        Raises:
            ConfigError: the folder cannot be written.
        """
        _write(self.words / f"{clock_ns():020d}-{os.getpid()}.json", msgspec.json.encode(seen))

    def heard(self) -> Iterator[Seen]:
        """What was acknowledged since, in order; each is gone once the next is asked for, as is one that is damaged."""
        for path in sorted(self.words.glob("*.json")):
            try:
                seen = msgspec.json.decode(path.read_bytes(), type=Seen)
            except (OSError, msgspec.MsgspecError):
                seen = None
            if seen is not None:
                yield seen
            path.unlink(missing_ok=True)


def active_alerts(folder: Path) -> list[Active]:
    """What stands, the gravest first; nothing where no daemon keeps a book, or it cannot be read just now."""
    try:
        book = BookFile(folder).read()
    except ConfigError:
        return []
    order = ("critical", "warning", "info")
    fired = [alert for alert in book.active.values() if alert.fired]
    return sorted(fired, key=lambda alert: (order.index(alert.severity), alert.since, alert.key))


def said_by(folder: Path) -> int:
    """UTC ns of the daemon's last look, 0 where none ever looked or its book cannot be read just now."""
    try:
        return BookFile(folder).read().said
    except ConfigError:
        return 0


def _write(path: Path, body: bytes) -> None:
    """The whole file or none of it."""
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror})") from None
