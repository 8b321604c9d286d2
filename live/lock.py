"""One runner per account: a file that a process holds while it trades."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import ConfigError


@contextmanager
def held(path: Path, account: str) -> Iterator[None]:
    """Hold the lock of an account; the system lets go of it when the process ends, however it ends.

    Raises:
        ConfigError: another process holds it, or its folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"account {account!r}: {path} cannot be written ({error.strerror})") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise ConfigError(
                f"account {account!r} is run by another process (id {holder}); one runner per account, stop it first"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
