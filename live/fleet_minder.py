"""One account of a fleet as its supervisor has it: the process from its start to its end, and what is heard of it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections import deque

import msgspec

from data.errors import ConfigError, OnetapeError, UnavailableError
from live.control import Control, Status
from live.fleet_files import Fleet, Member, member_of
from live.fleet_limits import Seen
from live.fleet_restart import ASKED, NEEDS_A_PERSON, TAKEN, Backoff
from live.fleet_roll import last_line
from live.fleet_siblings import Diary
from live.fleet_state import DOWN, Runner, holder
from live.fleet_tail import Tail, header_of

BACK_RECORDS = 10_000
GRACE_S = 20.0
MINUTE_S = 60.0


class Minder:
    """What the supervisor knows of one account beside its state.

    Times are seconds of a clock that only goes forward. due_s: when it is to be started, None for not at all.
    """

    def __init__(self, fleet: Fleet, member: Member, now_s: float) -> None:
        self.fleet, self.member, self.runner = fleet, member, Runner(member.name)
        self.backoff = Backoff(fleet.restart, member.name)
        self.diary = Diary()
        self.tail = Tail(member.account.journal, BACK_RECORDS)
        self.sent: deque[tuple[float, int]] = deque()
        self.due_s: float | None = now_s
        self.stopping = False  # told to end, and to stay down
        self.coming_back = False  # told to end, and to come back
        self.kill_s: float | None = None
        self.heard_s = now_s
        self.handle: int | None = None
        self.first: tuple[int, float] | None = None  # session, equity at the day's first look

    @property
    def name(self) -> str:
        """The account's."""
        return self.member.name

    def adopt(self, now_s: float) -> bool:
        """Take over a process that trades the account already; False where none does."""
        pid = holder(self.member.account.lock)
        if pid:
            self.begun(pid, "", now_s)
        return bool(pid)

    def begun(self, pid: int, code: str, now_s: float) -> None:
        """Its process runs. code: of the sources it was started with, "" where nobody knows."""
        runner = self.runner
        runner.pid, runner.state, runner.since, runner.code = pid, "running", time.time_ns(), code
        runner.next_start, runner.said = 0, ""
        self.due_s = self.kill_s = None
        self.heard_s = now_s
        self.handle = handle_of(pid)

    def gone(self, code: int, now_s: float, *, ending: bool) -> None:
        """Its process ended with this exit code. ending: nothing is started any more."""
        runner = self.runner
        if self.handle is not None:
            os.close(self.handle)
        self.handle = self.kill_s = None
        runner.pid, runner.since = 0, time.time_ns()
        runner.said = last_line(self.fleet.log_of(self.name))
        if self.coming_back and not ending:
            self.coming_back = False
            self.due_s, runner.state = now_s, "starting"
        elif self.stopping or code in ASKED:
            runner.state, runner.said = "stopped", runner.said or "told to end"
        elif code == 0:
            runner.state = "done"
        elif code in NEEDS_A_PERSON:
            runner.state = "failed"
            runner.said = f"{NEEDS_A_PERSON[code]}: {runner.said}"
        elif code != TAKEN or not self.adopt(now_s):
            self._crashed(code, now_s, ending=ending)

    def _crashed(self, code: int, now_s: float, *, ending: bool) -> None:
        runner = self.runner
        runner.crashes += 1
        runner.said = runner.said if code != 128 + signal.SIGKILL else "it was killed"
        wait_s = self.backoff.crashed(now_s)
        if wait_s is None and code == UnavailableError.exit_code:
            wait_s = self.fleet.restart.most_s  # the venue is down, not the runner
        if wait_s is None or ending:
            runner.state = "looping" if wait_s is None else "stopped"
            runner.said = f"crashed {runner.crashes} times, left down: {runner.said}"
        else:
            runner.state, self.due_s = "waiting", now_s + wait_s
            runner.next_start = time.time_ns() + int(wait_s * 1e9)

    def end(self, now_s: float) -> None:
        """Tell it to end in good order, and leave it down."""
        self.stopping, self.coming_back = True, False
        self._tell_to_end(now_s)
        if not self.runner.pid and self.runner.state not in DOWN:
            self.runner.state, self.due_s = "stopped", None

    def again(self, now_s: float) -> None:
        """End it in good order and start it anew; one that is down is started."""
        self.member = member_of(self.member.path)
        self.stopping = False
        self.backoff.forget()
        self.runner.crashes = 0
        if self.runner.pid:
            self.coming_back = True
            self._tell_to_end(now_s)
        else:
            self.due_s, self.runner.state = now_s, "starting"

    def _tell_to_end(self, now_s: float) -> None:
        if self.runner.pid:
            send(self.runner.pid, signal.SIGTERM)
            self.kill_s = now_s + GRACE_S


def read_on(minder: Minder, now_s: float) -> None:
    """What came into the account's journal since the last look."""
    if minder.diary.plan is None:
        with contextlib.suppress(OnetapeError, msgspec.MsgspecError):
            minder.diary.begin(header_of(minder.member.account.journal))
    if minder.diary.plan is None:
        return
    minder.sent.append((now_s, minder.diary.take(minder.tail.look())))
    while minder.sent[0][0] < now_s - MINUTE_S:
        minder.sent.popleft()


def heard(minder: Minder, now: float) -> Status | None:
    """What the account's runner last said; notes that it was heard of."""
    control = Control(minder.member.account.state, minder.member.name)
    try:
        age_s = time.time() - control.status_file.stat().st_mtime
        minder.heard_s = max(minder.heard_s, now - max(age_s, 0.0))
        return control.status()
    except (OSError, ConfigError):
        return None


def seen_of(minder: Minder, status: Status) -> Seen:
    diary = minder.diary
    if minder.first is None or minder.first[0] != diary.session:
        minder.first = (diary.session, status.equity)
    day_pnl = min(status.equity - minder.first[1], status.day_pnl)
    return Seen(minder.member.name, status.positions, diary.closes, sum(count for _, count in minder.sent), day_pnl)


def send(pid: int, number: int) -> None:
    """Send a signal; a process that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def handle_of(pid: int) -> int | None:
    """A handle by which the end of a process that is not our child can be seen; None where it has ended."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def ended(pid: int, handle: int | None) -> int | None:
    """The exit code of a process that is over, None while it runs; 1 where it was not our child."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        if handle is None:
            return 1
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return 1 if poll.poll(0) else None
    if not done:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
