"""One runner per account: a file that a process holds while it trades."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import ConfigError

LOOKERS_S, AGAIN_S = 2.0, 0.005
PID_DIGITS = 15


class InUseError(ConfigError):
    """Another process holds the lock of the account."""


@contextmanager
def held(path: Path, account: str) -> Iterator[None]:
    """Hold the lock of an account; the system lets go of it when the process ends, however it ends.

    Raises:
        InUseError: another process holds it. ConfigError: its folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"account {account!r}: {path} cannot be written ({error.strerror})") from None
    try:
        if not _taken(handle):
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise InUseError(
                f"account {account!r} is run by another process (id {holder}); one runner per account, stop it first"
            )
        os.pwrite(handle, f"{os.getpid():<{PID_DIGITS}}\n".encode(), 0)  # in one piece: whoever looks sees a whole one
        os.ftruncate(handle, PID_DIGITS + 1)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    """Take the lock, unless a process has it. Whoever only looks at one shares it for a moment: that is waited for."""
    until = time.monotonic() + LOOKERS_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            pass
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(handle, fcntl.LOCK_UN)
        except OSError:
            return False  # nobody can share it: it is held
        if time.monotonic() > until:
            return False
        time.sleep(AGAIN_S)
