"""A person's word to a running account, from another terminal: files beside its journal, nothing else.

    NAME.halted        a halt that stands; written at once, so that a start after it obeys, and taken away by `resume`
    NAME.commands/     one file per word, in order; the runner takes them between rows, however busy it is
    NAME.status        what the runner last said of itself

No socket and no answer are needed: a halt works while the runner is busy, hung or down.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from data.errors import ConfigError
from live.core.events import Operator, PersonSays

Action = Literal["halt", "resume", "flatten"]
STATUS_EVERY_S = 1.0


class Word(msgspec.Struct, frozen=True):
    """What a person said. cash: with a resume, the broker's cash as it was typed."""

    action: Action
    who: str
    note: str = ""
    cash: float | None = None


class Resolved(msgspec.Struct, frozen=True):
    """What a person says became of an order."""

    order_id: str
    outcome: Literal["never arrived", "cancelled"]
    who: str


class FeedState(msgspec.Struct, frozen=True):
    """One source of market data. state: of its best level; level: what it gives now; age_s: of its last message."""

    name: str
    state: Literal["fresh", "stale", "absent"]
    level: Literal["L2", "L1", "bars", "none"]
    age_s: float
    gaps: int = 0


class Used(msgspec.Struct, frozen=True):
    """How much of a limit is used, both in the limit's own unit."""

    used: float
    limit: float


class Asked(msgspec.Struct, frozen=True):
    """How requests to the broker went, in this process. errors: by kind, see `live.brokers.wire_calls`.

    lately: how many of the last 200 there are; lately_failed: how many of those failed.
    """

    total: int = 0
    errors: dict[str, int] = {}
    lately: int = 0
    lately_failed: int = 0


class Status(msgspec.Struct, frozen=True):
    """What the runner says of itself.

    ts: of the last row. denied: orders kept back, by control. said: UTC ns on the machine's clock when it was said.
    mode: "paper" or "live". ended: it stopped in good order. day_pnl: since the day's first row, dollars. feeds: what
    it hears the market by. headroom: a limit's name to what is used of it. budget: requests in the last minute of those
    allowed. asked: how requests went, None where none are made. queue: orders that wait to be sent. reconciled: ts of
    the last comparison with the broker that found nothing. differences: what the last one found. rss_mb, cpu_s: of the
    process. p50_us, p99_us: of a decision. wire_p99_ms: from row to order on the wire. certificate_until, token_until:
    UTC ns, 0 where there is none.
    """

    account: str
    strategy: str
    pid: int
    rows: int
    ts: int
    equity: float
    cash: float
    positions: dict[str, float]
    open_orders: int
    unknown: int
    halted: str
    gates_closed: dict[str, str]
    denied: dict[str, int]
    said: int = 0
    mode: str = "paper"
    broker: str = "paper"
    ended: bool = False
    day_pnl: float = 0.0
    orders: int = 0
    fills: int = 0
    feeds: list[FeedState] = []
    headroom: dict[str, Used] = {}
    budget: Used = Used(0.0, 0.0)
    asked: Asked | None = None
    queue: int = 0
    reconciled: int = 0
    differences: list[str] = []
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    wire_p99_ms: float = 0.0
    certificate_until: int = 0
    token_until: int = 0


class Control:
    """The files of one account.

    Args:
        state: the account's folder.
        name: the account's name.
    """

    def __init__(self, state: Path, name: str) -> None:
        self.flag = state / f"{name}.halted"
        self.folder = state / f"{name}.commands"
        self.status_file = state / f"{name}.status"

    def say(self, word: Word, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Leave a word for the runner; a halt or flatten stands from this moment.

        Raises:
            ConfigError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if word.action == "resume":
                self.flag.unlink(missing_ok=True)
            else:
                _write(self.flag, msgspec.json.encode(word))
            _write(self.folder / f"{clock_ns():020d}-{os.getpid()}.json", msgspec.json.encode(word))
        except OSError as error:
            raise ConfigError(f"{self.folder} cannot be written ({error.strerror})") from None

    def resolve(self, resolved: Resolved, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Leave word of an order's fate for the runner.

        Raises:
            ConfigError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(self.folder / f"{clock_ns():020d}-{os.getpid()}.order", msgspec.json.encode(resolved))
        except OSError as error:
            raise ConfigError(f"{self.folder} cannot be written ({error.strerror})") from None

    def resolved(self) -> Iterator[Resolved]:
        """What was said of orders since; each is gone once the next is asked for. One that cannot be read is not."""
        for path in sorted(self.folder.glob("*.order")):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                yield msgspec.json.decode(path.read_bytes(), type=Resolved)
            path.unlink(missing_ok=True)

    def standing(self) -> Word | None:
        """The halt that stands; one that cannot be read stands all the same."""
        try:
            return msgspec.json.decode(self.flag.read_bytes(), type=Word)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError):
            return Word("halt", "", f"{self.flag.name} cannot be read")

    def words(self) -> Iterator[Word]:
        """What was said since, in order; each is gone once the next is asked for. One that cannot be read halts."""
        for path in sorted(self.folder.glob("*.json")):
            try:
                word = msgspec.json.decode(path.read_bytes(), type=Word)
            except (OSError, msgspec.MsgspecError):
                word = Word("halt", "", f"{path.name} cannot be read")
            yield word
            path.unlink(missing_ok=True)

    def publish(self, status: Status) -> None:
        """Say how it stands, for `status` in another terminal."""
        _write(self.status_file, msgspec.json.encode(status), durable=False)

    def status(self) -> Status:
        """What the runner last said.

        Raises:
            ConfigError: nothing was ever said, or it cannot be read.
        """
        try:
            return msgspec.json.decode(self.status_file.read_bytes(), type=Status)
        except FileNotFoundError:
            raise ConfigError(f"there is no {self.status_file.name}: the account was never run") from None
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError(f"{self.status_file.name} cannot be read ({error})") from None


class Listener:
    """The runner's side: takes words to the session, and says how it stands.

    Args:
        control: the account's files.
        session: see `live.session.Session`.
        told: how it stands. monotonic: seconds, for the pace of `publish`.
    """

    def __init__(
        self,
        control: Control,
        session: Any,
        told: Callable[[], Status],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._control, self._session, self.told, self._monotonic = control, session, told, monotonic
        self._said = float("-inf")

    def look(self) -> None:
        """Take what was said; to be called between rows and at least every half second."""
        session = self._session
        if session.is_current:
            for word in self._control.words():
                session.tell(Operator(session.now(), word.action, word.who, word.note, word.cash))
            for said in self._control.resolved():
                session.tell(PersonSays(session.now(), said.order_id, said.outcome, said.who))
            standing = self._control.standing()
            if standing is not None and not session.core.halted:
                session.tell(Operator(session.now(), "halt", standing.who, standing.note))
        now = self._monotonic()
        if now - self._said >= STATUS_EVERY_S:
            self._said = now
            self._control.publish(self.told())

    def last_word(self) -> None:
        """Say how it stands at the end."""
        self._control.publish(msgspec.structs.replace(self.told(), ended=True))


def _write(path: Path, body: bytes, *, durable: bool = True) -> None:
    """The whole file or none of it."""
    new = path.with_name(f".{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(body)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)
