"""What the supervisor of a fleet knows of one account beside its state, and how it learns it."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque

import msgspec

from data.errors import ConfigError, OnetapeError
from live.control import Control, Status
from live.fleet_files import Fleet, Member
from live.fleet_limits import Seen
from live.fleet_restart import Backoff
from live.fleet_siblings import Diary
from live.fleet_state import Runner
from live.fleet_tail import Tail, header_of

BACK_RECORDS = 10_000
MINUTE_S = 60.0


class Minder:
    """What the supervisor knows of one account beside its state."""

    def __init__(self, fleet: Fleet, member: Member, now_s: float) -> None:
        self.member, self.runner = member, Runner(member.name)
        self.backoff = Backoff(fleet.restart, member.name)
        self.diary = Diary()
        self.tail = Tail(member.account.journal, BACK_RECORDS)
        self.sent: deque[tuple[float, int]] = deque()
        self.due_s: float | None = now_s
        self.stopping = False  # told to end, and to stay down
        self.again = False  # told to end, and to come back
        self.kill_s: float | None = None
        self.heard_s = now_s
        self.handle: int | None = None
        self.first: tuple[int, float] | None = None  # session, equity at the day's first look


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
