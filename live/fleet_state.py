"""What a fleet's supervisor says of itself, and how to ask it for something.

fleet.status   written on every change and every second: read by `fleet status`, dashboards and metrics
fleet.sock     one JSON request a connection, one JSON answer
fleet.lock     held by the supervisor
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from data.errors import ConfigError, UnavailableError
from live.fleet_limits import Use
from live.fleet_siblings import Divergence
from live.hub_socket import connected

RunnerState = Literal["starting", "running", "waiting", "done", "stopped", "failed", "looping"]
"""`waiting`: for its next start after a crash. `done`: its tape is over. `failed`: a restart would only fail again.
`looping`: crashed too often. `stopped`: somebody told it to end."""
DOWN = ("done", "stopped", "failed", "looping")
ANSWER_S = 5.0
MOST_BYTES = 1 << 20
WRITTEN_S = 0.5


class Runner(msgspec.Struct):
    """One account's process, as its supervisor sees it.

    since, next_start: UTC ns, 0 for none. said: why it is not running. code: of the sources it was started with.
    """

    name: str
    state: RunnerState = "starting"
    pid: int = 0
    since: int = 0
    starts: int = 0
    crashes: int = 0
    next_start: int = 0
    said: str = ""
    code: str = ""


class FleetStatus(msgspec.Struct, frozen=True):
    """How a fleet stands. said: UTC ns. rolling: how far a roll is, or why it stopped; "" without one."""

    name: str
    pid: int
    said: int
    code: str
    runners: list[Runner]
    hub: Runner | None = None
    uses: list[Use] = []
    divergences: list[Divergence] = []
    rolling: str = ""
    ended: bool = False


def publish(state: Path, status: FleetStatus) -> None:
    """Write it, the whole of it or nothing."""
    path = state / "fleet.status"
    new = path.with_name(".fleet.status.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(status))
    new.replace(path)


def read_status(state: Path) -> FleetStatus | None:
    """What the supervisor said last, None where it never did."""
    try:
        return msgspec.json.decode((state / "fleet.status").read_bytes(), type=FleetStatus)
    except (OSError, msgspec.MsgspecError):
        return None


def holder(lock: Path) -> int:
    """The process that holds a lock file, 0 for none.

    Between taking a lock and writing its id into it a process needs an instant; an id of a process that is no more is
    read again for that long.
    """
    until = time.monotonic() + WRITTEN_S
    while True:
        try:
            with lock.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    return 0
                except OSError:
                    pid = int(file.read(32).strip() or b"0")
        except FileNotFoundError:
            return 0
        except (OSError, ValueError):
            pid = 0
        if (pid and _lives(pid)) or time.monotonic() > until:
            return pid
        time.sleep(0.002)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """What the supervisor answers to a request.

    Raises:
        UnavailableError: nobody listens, or no answer came.
        ConfigError: it refuses, in its own words.
    """
    try:
        with connected(path) as line:
            line.settimeout(ANSWER_S)
            line.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(_line(line))
    except (OSError, ValueError) as error:
        raise UnavailableError(f"the fleet's supervisor does not answer ({error}); is it up?") from None
    if answer.get("error"):
        raise ConfigError(str(answer["error"]))
    return answer


def _line(line: socket.socket) -> bytes:
    held = b""
    while not held.endswith(b"\n") and len(held) < MOST_BYTES:
        more = line.recv(1 << 16)
        if not more:
            break
        held += more
    return held
