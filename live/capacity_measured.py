"""What runners really take: read from their journals, their status files and the kernel."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from data.errors import ConfigError, JournalError
from live.capacity import Host, Measured
from live.control import Control, Status
from live.fleet_state import holder
from live.fleet_tail import reading
from live.watch.roster import Place
from live.watch.tail import tag_of

_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


class _Stamp(msgspec.Struct, tag="row"):
    session: int


_stamp = msgspec.msgpack.Decoder(_Stamp).decode


class _One(msgspec.Struct):
    """One account."""

    sessions: int
    rows: int
    trades: int
    mb: float
    calls: float
    pss_mb: float = math.nan
    rss_mb: float = math.nan
    cpu_share: float = math.nan
    p99_us: float = math.nan


def measure(places: Iterable[Place]) -> Measured:
    """The figures of these accounts, averaged over those that have some."""
    found = [one for place in places if (one := _account(place)) is not None]
    if not found:
        return Measured()
    per_session = [one for one in found if one.sessions]

    def mean(values: Sequence[float]) -> float:
        known = [value for value in values if value == value]
        return sum(known) / len(known) if known else math.nan

    return Measured(
        accounts=len(found),
        sessions=max(one.sessions for one in found),
        trades=mean([one.trades / one.sessions for one in per_session]),
        rows=mean([one.rows / one.sessions for one in per_session]),
        journal_mb=mean([one.mb / one.sessions for one in per_session]),
        calls=mean([one.calls / one.sessions for one in per_session]),
        pss_mb=mean([one.pss_mb for one in found]),
        rss_mb=mean([one.rss_mb for one in found]),
        cpu_share=mean([one.cpu_share for one in found]),
        p99_us=max((one.p99_us for one in found if one.p99_us == one.p99_us), default=math.nan),
        records=sum(one.trades for one in found),
    )


def measure_host(folder: Path, logs: Iterable[Path]) -> Host:
    """The machine that this runs on; `folder` lies on the disk that counts."""
    import psutil

    there = next(each for each in (folder, *folder.parents) if each.exists())
    disk, memory = shutil.disk_usage(there), psutil.virtual_memory()
    sizes = [path.stat().st_size for path in logs if path.exists()]
    return Host(
        memory_mb=memory.total / 1e6,
        memory_used=memory.percent / 100.0,
        disk_mb=(disk.used + disk.free) / 1e6,
        disk_used=disk.used / (disk.used + disk.free),
        cpus=psutil.cpu_count() or 1,
        log_mb=max(sizes, default=0) / 1e6,
    )


def _account(place: Place) -> _One | None:
    try:
        with reading(place.journal) as db:
            sessions, rows, trades, sent = _counts(db)
    except JournalError:
        return None
    if not sessions:
        return None
    size = sum(path.stat().st_size for path in place.state.glob(f"{place.name}.journal*")) / 1e6
    # Each send is a request, and so is each comparison of the books, once a minute and account.
    one = _One(sessions, rows, trades, size, float(sent) + 390.0 * sessions)
    status = _status(place)
    if status is not None:
        one.p99_us = status.p99_us or math.nan
        one.rss_mb = status.rss_mb or math.nan
    pid = holder(place.state / f"{place.name}.lock")
    if pid:
        one.pss_mb = pss_mb(pid)
        one.cpu_share = _cpu_share(pid)
    return one


def _counts(db: Any) -> tuple[int, int, int, int]:
    """(sessions, rows, executions, sends) of a journal."""
    sessions: set[int] = set()
    rows = fills = sends = 0
    for (body,) in db.execute("SELECT body FROM record WHERE kind = 'event'"):
        tag = tag_of(body)
        if tag == b"row":
            rows += 1
            sessions.add(_stamp(body).session)
        fills += tag == b"fill"
        sends += tag == b"sent"
    return len(sessions), rows, fills, sends


def pss_mb(pid: int) -> float:
    """The memory of a process, of shared pages its share; NaN where the kernel does not say."""
    try:
        match = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return math.nan
    return int(match[1]) / 1e3 if match else math.nan


def _cpu_share(pid: int) -> float:
    """Of one core, since the process began."""
    import time

    import psutil

    try:
        process = psutil.Process(pid)
        used = process.cpu_times()
        lived = time.time() - process.create_time()
    except psutil.Error:
        return math.nan
    return (used.user + used.system) / lived if lived > 1.0 else math.nan


def _status(place: Place) -> Status | None:
    try:
        return Control(place.state, place.name).status()
    except ConfigError:
        return None
