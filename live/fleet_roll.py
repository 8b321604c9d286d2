"""A new version reaches a fleet account by account, and stops at the first that would trade otherwise.

For each account: its journal, copied while the old runner goes on, is replayed with the new code; then the runner is
stopped and started again, and once it is heard of its books must be what the old one said. What differs stops the roll:
the accounts that are left go on with the code they run.

The hub is last, once every account has shown that it decides as before: new rows from new code must not reach accounts
that could not be told from those that are wrong. While it is away the runners wait for it and open nothing new.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Protocol

import msgspec

from data.errors import ConfigError, JournalError, OnetapeError
from live.control import Control, Status
from live.fleet_files import Fleet, Member
from live.fleet_state import DOWN, Runner

SETTLE_S = 120.0
HEARD_S = 1.0


class HubHands(Protocol):
    """What a roll may ask of the one who minds the hub."""

    runner: Runner
    failed: str

    def again(self, now_s: float) -> None: ...
    def readers(self) -> int: ...


class Hands(Protocol):
    """What a roll may ask of the supervisor."""

    fleet: Fleet

    @property
    def hub(self) -> HubHands | None: ...

    def runner(self, name: str) -> Runner: ...
    def again(self, name: str) -> None: ...
    def check(self, member: Member) -> int: ...
    def checked(self, pid: int) -> int | None: ...
    def now_s(self) -> float: ...


class Roll:
    """Goes on by one small step whenever `look` is called. `told` says how far it is; `over` that it ended."""

    def __init__(self, hands: Hands, names: list[str]) -> None:
        self._hands, self._left, self._names, self._all = hands, list(names), list(names), len(names)
        self._checker = 0
        self._before: Status | None = None
        self._until = 0.0
        self._old = 0
        self.over = not names and hands.hub is None
        self.told = "nothing to roll" if self.over else ""

    def look(self) -> None:
        """One step."""
        if self.over:
            return
        if not self._left:
            self._look_hub()
            return
        name = self._left[0]
        runner = self._hands.runner(name)
        if runner.state in DOWN and not self._until:
            self._next(f"{name} is {runner.state}, left as it is")
        elif self._until:
            self._watch(name, runner)
        elif not self._checker:
            self._checker = self._hands.check(self._member(name))
            self.told = f"{self._done()}: replaying the journal of {name}"
        else:
            code = self._hands.checked(self._checker)
            if code is not None:
                self._checker = 0
                self._restart(name, runner, code)

    def _restart(self, name: str, runner: Runner, code: int) -> None:
        if code != 0:
            said = last_line(self._hands.fleet.log_of(f"{name}.check")) or f"the replay ended with exit {code}"
            self._stop(f"stopped before {name}: {said}")
            return
        member = self._member(name)
        self._before = _status(member)
        self._old = runner.pid
        self._until = self._hands.now_s() + SETTLE_S
        self.told = f"{self._done()}: starting {name} again"
        try:
            self._hands.again(name)
        except OnetapeError as error:
            self._stop(f"stopped before {name}: {error}")

    def _watch(self, name: str, runner: Runner) -> None:
        if runner.state in DOWN or runner.crashes:
            if runner.state == "done":
                self._next("")
            else:
                self._stop(f"stopped at {name}: it did not start with the new code ({runner.said})")
            return
        now = self._hands.now_s()
        status = _status(self._member(name))
        if runner.pid and runner.pid != self._old and status is not None and status.pid == runner.pid:
            differs = _differs(self._before, status)
            if differs:
                self._stop(f"stopped at {name}: {differs}")
            else:
                self._next("")
        elif now > self._until:
            self._stop(f"stopped at {name}: nothing was heard of it for {SETTLE_S:g} s")

    def _member(self, name: str) -> Member:
        return next(member for member in self._hands.fleet.members if member.name == name)

    def _done(self) -> str:
        return f"{self._all - len(self._left)} of {self._all}"

    def _next(self, said: str) -> None:
        self._left.pop(0)
        self._until, self._before = 0.0, None
        self.over = not self._left and self._hands.hub is None
        self.told = f"{self._done()} run the new code" if self.over else said or f"{self._done()} rolled"

    def _look_hub(self) -> None:
        """The hub, once no account is left."""
        hub, now = self._hands.hub, self._hands.now_s()
        assert hub is not None  # noqa: S101  # without one the roll is over with the last account
        if not self._until:
            self._old, self._until = hub.runner.pid, now + SETTLE_S
            self.told = f"{self._done()} rolled: starting the hub again, the runners wait for it"
            hub.again(now)
        elif hub.failed:
            self._stop(f"stopped at the hub: it did not start with the new code ({hub.failed})")
        elif hub.runner.pid not in (0, self._old) and hub.readers() >= self._running():
            self.over = True
            self.told = f"{self._done()} run the new code, the hub too"
        elif now > self._until:
            said = f"{hub.readers()} of {self._running()} runners hear it" if hub.readers() >= 0 else "it says nothing"
            self._stop(f"stopped at the hub: {said} after {SETTLE_S:g} s")

    def _running(self) -> int:
        return sum(self._hands.runner(name).pid > 0 for name in self._names)

    def _stop(self, said: str) -> None:
        self.over = True
        self.told = f"{said}; {self._all - len(self._left)} of {self._all} run the new code"


def verify(member: Member) -> int:
    """Replay an account's journal with the code of this process; in a process of its own, for it may be long.

    Raises:
        JournalError: a command or a state differs.
        ConfigError: the account file says something else than the journal.
    """
    from live.backup_copy import copy_journal
    from live.core.core import Core
    from live.journal import SqliteJournal
    from live.replay import replay

    path = member.account.journal
    if not path.exists():
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / path.name
        copy_journal(path, copied)
        book = SqliteJournal.open(copied)
        try:
            plan = book.header.plan
            if plan.params != member.account.params:
                raise ConfigError(f"account {member.name!r}: params are not those of its journal")
            done = replay(Core(plan, member.account.strategy), book)
        finally:
            book.close()
    sys.stderr.write(f"same: {done.commands} commands to {done.events} events\n")
    return 0


def last_line(path: Path) -> str:
    """The last line of a log, without `error: `."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4_096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("error: ") if lines else ""


def _status(member: Member) -> Status | None:
    try:
        return Control(member.account.state, member.name).status()
    except (ConfigError, JournalError, msgspec.MsgspecError):
        return None


def _differs(before: Status | None, after: Status) -> str:
    """Where two words of a runner about the same row do not match."""
    if before is None or before.ts != after.ts:
        return ""
    if before.positions != after.positions:
        return f"it held {before.positions}, now {after.positions}"
    if before.cash != after.cash:
        return f"its cash was {before.cash}, now it is {after.cash}"
    return ""
