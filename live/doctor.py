"""What is wrong on this machine and with its accounts, each finding with its cure. No secret is ever shown."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import apsw
import msgspec

from data.calendar import LAST_DAY
from data.errors import ConfigError
from live.doctor_clock import SERVERS, Asked, offset_ms
from live.fleet_state import holder
from live.header import CHECKOUT
from live.journal import SAFE_SQLITE, check_sqlite

MOST_SKEW_MS = 250.0
FEW_DAYS = 60
LITTLE_MB, NOTHING_MB = 1_000, 100
MOST_DISK = 0.8
PYTHON = (3, 11)
LOCK = CHECKOUT / "requirements" / "live.txt"


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. state: `ok`, `note` (worth knowing), `bad` (mend it before trading). fix: what to do."""

    about: str
    name: str
    state: Literal["ok", "note", "bad"]
    text: str
    fix: str = ""


def host(
    state: Path,
    today: Callable[[], object],
    *,
    online: bool = True,
    servers: Sequence[tuple[str, int]] = SERVERS,
    ports: Sequence[int] = (),
    lock: Path = LOCK,
) -> Iterator[Finding]:
    """What holds for every account.

    Args:
        state: folder that journals are written to. today: the date now. servers: of time, asked where `online`.
        ports: that must be free, or ours. lock: the list of pinned packages.
    """
    yield from versions(lock)
    yield clock([offset_ms(server) for server in servers] if online else [])
    yield calendar(today())
    yield disk(state)
    yield memory()
    for port in ports:
        yield port_free(port)


def versions(lock: Path) -> Iterator[Finding]:
    """Python, SQLite, and every pinned package that is installed in another version."""
    have = sys.version_info[:2]
    if have < PYTHON:
        yield Finding("host", "python", "bad", f"Python {have[0]}.{have[1]}", "install Python 3.11 or newer")
    else:
        yield Finding("host", "python", "ok", f"Python {sys.version.split()[0]}")
    sqlite = apsw.sqlite_lib_version()
    try:
        check_sqlite(sqlite)
        yield Finding("host", "sqlite", "ok", f"SQLite {sqlite} (apsw {apsw.apsw_version()})")
    except ConfigError as error:
        least = ".".join(map(str, SAFE_SQLITE))
        yield Finding("host", "sqlite", "bad", str(error), f"pip install 'apsw>={least}'")
    other, missing, count = [], [], 0
    for name, version in pinned(lock):
        count += 1
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if installed != version:
            other.append(f"{name} {installed} (the lock says {version})")
    if not count:
        yield Finding("host", "lock", "note", f"{lock.name} is not there: versions were not compared")
    elif other or missing:
        text = "; ".join([*other, *(f"{name} is missing" for name in missing)])
        yield Finding("host", "lock", "bad", text, f"pip install --require-hashes -r {lock}")
    else:
        yield Finding("host", "lock", "ok", f"{count} packages are those of {lock.name}")


def pinned(lock: Path) -> Iterator[tuple[str, str]]:
    """(package, version) of a lock file, those of other platforms left out."""
    if not lock.exists():
        return
    for line in lock.read_text("utf-8").splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(;[^\\]*)?", line)
        if match and not (match[3] and _elsewhere(match[3])):
            yield match[1], match[2]


def _elsewhere(marker: str) -> bool:
    """True for a marker of another platform or a newer Python; those of ours hold."""
    if re.search(r"sys_platform == '(win32|emscripten|darwin)'", marker):
        return True
    newer = re.search(r"python_full_version >= '3\.(\d+)'", marker)
    return bool(newer and int(newer[1]) > sys.version_info[1])


def clock(asked: Sequence[Asked]) -> Finding:
    """This machine's clock against those of others, which must agree with each other."""
    heard = [each for each in asked if each.offset_ms == each.offset_ms]
    if not asked:
        return Finding("host", "clock", "note", "not compared: offline")
    if not heard:
        return Finding(
            "host", "clock", "note", f"not compared: no answer from {' or '.join(each.server for each in asked)}",
            "allow UDP port 123 out, or check with: timedatectl",
        )  # fmt: skip
    told = ", ".join(f"{each.offset_ms:+.0f} ms against {each.server}" for each in heard)
    spread = max(each.offset_ms for each in heard) - min(each.offset_ms for each in heard)
    if spread > MOST_SKEW_MS:
        return Finding("host", "clock", "bad", f"the sources do not agree: {told}", "ask again, or name other servers")
    if max(abs(each.offset_ms) for each in heard) > MOST_SKEW_MS:
        return Finding("host", "clock", "bad", f"{told}; at most {MOST_SKEW_MS:g} ms", "timedatectl set-ntp true")
    return Finding("host", "clock", "ok" if len(heard) > 1 else "note", told)


def calendar(today: object) -> Finding:
    """How far the table of sessions reaches."""
    import datetime as dt

    assert isinstance(today, dt.date)  # noqa: S101  # the shell's clock
    left = (LAST_DAY - today).days
    fix = "update to a newer version of this program: its calendar reaches further"
    if left < 0:
        return Finding("host", "calendar", "bad", f"the table of sessions ended on {LAST_DAY}", fix)
    return Finding(
        "host", "calendar", "note" if left < FEW_DAYS else "ok", f"sessions are known to {LAST_DAY}, {left} days",
        fix if left < FEW_DAYS else "",
    )  # fmt: skip


def disk(folder: Path) -> Finding:
    """Room for journals."""
    there = folder
    while not there.exists():
        there = there.parent
    told = shutil.disk_usage(there)
    free_mb, used = told.free / 1e6, told.used / (told.used + told.free)
    text = f"{free_mb:,.0f} MB free, {used:.0%} used, of the disk of {folder}"
    fix = "remove old archives and logs, or give the machine a larger disk"
    if free_mb < NOTHING_MB:
        return Finding("host", "disk", "bad", text, fix)
    low = free_mb < LITTLE_MB or used > MOST_DISK
    return Finding("host", "disk", "note" if low else "ok", text, fix if low else "")


def memory() -> Finding:
    """What is left for runners."""
    import psutil

    told = psutil.virtual_memory()
    text = f"{told.available / 1e6:,.0f} of {told.total / 1e6:,.0f} MB are free"
    low = told.percent > 80.0
    return Finding("host", "memory", "note" if low else "ok", text, "fewer accounts, or more memory" if low else "")


def port_free(port: int) -> Finding:
    """A port of this program that another holds already."""
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind(("127.0.0.1", port))
        except OSError as error:
            return Finding("host", f"port {port}", "note", f"in use ({error.strerror})", f"ss -ltnp 'sport = :{port}'")
    return Finding("host", f"port {port}", "ok", "free")


def mode_of(path: Path, about: str, most: int) -> Finding | None:
    """A file or folder that others may read, None where there is none or they may not."""
    try:
        told = path.stat()
    except OSError:
        return None
    mode = stat.S_IMODE(told.st_mode)
    if mode & 0o777 & ~most:
        return Finding(
            about, "permissions", "bad", f"{path} has mode {mode:04o}, at most {most:04o}", f"chmod {most:o} {path}"
        )
    if told.st_uid not in (os.getuid(), 0):
        return Finding(
            about, "permissions", "bad", f"{path} belongs to user {told.st_uid}", f"chown {os.getuid()} {path}"
        )
    return None


def running(lock: Path, about: str) -> Finding:
    """Whether an account's runner runs."""
    pid = holder(lock)
    return Finding(about, "runner", "ok", f"runs as {pid}" if pid else "does not run")
