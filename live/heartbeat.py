"""The sign of life of a runner, for a watchdog that is another process.

    NAME.heartbeat   {"pid": ..., "said": UTC ns, "every_s": ..., "ended": false}

Written at least three times in `heartbeat_s`. Whoever watches: a file older than `heartbeat_s` whose `ended` is false
means that the runner is down or hangs; start it again (its lock tells whether it lives). After 120 s without a new one
cancel the account's entry orders at the broker, and never sell: protections stand by themselves. `python -m live
watchdog` does exactly this.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Beat(msgspec.Struct, frozen=True):
    """What the file says."""

    pid: int
    said: int
    every_s: float
    ended: bool = False


class Heart:
    """The runner's side.

    Args:
        path: of the file. every_s: how old it may get.
    """

    def __init__(self, path: Path, every_s: float) -> None:
        self._path, self._every_s = path, every_s
        self._said = 0

    def beat(self, wall_ns: int, *, ended: bool = False) -> str:
        """Say that we live, where it is time; why that was not possible, "" where it was."""
        if not ended and wall_ns - self._said < self._every_s / 3.0 * 1e9:
            return ""
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            new.write_bytes(msgspec.json.encode(Beat(os.getpid(), wall_ns, self._every_s, ended)))
            new.replace(self._path)
        except OSError as error:
            return f"{self._path.name} cannot be written ({error.strerror})"
        self._said = wall_ns
        return ""


def read_beat(path: Path) -> Beat | None:
    """What a runner last said; None where it never did."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Beat)
    except (OSError, msgspec.MsgspecError):
        return None
