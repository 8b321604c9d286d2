"""One account without a supervisor, for systemd and containers: they restart, we say when we are ready and alive.

`READY=1` and every `WATCHDOG=1` are said only while the runner's own status file is written: a process that exists and
does not trade is not alive.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from data.errors import ConfigError
from live.control import Control
from live.fleet_child import Source, trade
from live.fleet_files import member_of, read_env, stagger_beside
from live.fleet_notify import notify, watchdog_every_s

LOOK_EVERY_S = 0.25
FRESH_S = 10.0
HEALTHY_S = 30.0


def run_one(path: Path, source: Source) -> int:
    """Trade the account of a file in this process, its secrets taken from its env file or credential; the exit code.

    Raises:
        OnetapeError: as `live.fleet_child.trade`.
    """
    member = member_of(path)
    if member.env is not None:
        os.environ.update(read_env(member.env))
    with saying(Control(member.account.state, member.name)):
        code = trade(path, source, stagger_beside(path))
    return 0 if code in (130, 143) else code


@contextmanager
def saying(control: Control) -> Iterator[None]:
    """While inside, tell the service manager how the runner stands; nothing where there is none."""
    over = threading.Event()

    def watch() -> None:
        ready, said_s = False, 0.0
        every_s = watchdog_every_s()
        while not over.wait(LOOK_EVERY_S):
            age_s, rows = heard(control)
            if age_s > FRESH_S:
                continue
            now = time.monotonic()
            if not ready:
                ready = notify("READY=1", f"STATUS={rows} rows")
            elif every_s and now - said_s >= every_s:
                said_s = now
                notify("WATCHDOG=1", f"STATUS={rows} rows")

    teller = threading.Thread(target=watch, name="watchdog", daemon=True)
    if os.environ.get("NOTIFY_SOCKET"):
        teller.start()
    try:
        yield
    finally:
        over.set()
        notify("STOPPING=1")


def heard(control: Control, pid: int | None = None) -> tuple[float, int]:
    """(seconds since this process's runner said how it stands, its rows); infinity where it did not.

    Args:
        pid: of another process whose word counts; 0 for any.
    """
    try:
        status = control.status()
        age_s = time.time() - control.status_file.stat().st_mtime
    except (OSError, ConfigError, msgspec.MsgspecError):
        return float("inf"), 0
    wanted = os.getpid() if pid is None else pid
    return (age_s, status.rows) if wanted in (0, status.pid) else (float("inf"), status.rows)
