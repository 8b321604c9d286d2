"""Many accounts on one machine: memory with and without sharing, processors, the common bar close, hub, restore.

Paper accounts over one hub. Twenty accounts are to share 1 GB, and the orders of 99 of 100 are to leave within a second
of a close they all hear; five leave half of 2 GB and of one processor free.

    python -P tests/benchmarks/fleet.py              everything
    python -P tests/benchmarks/fleet.py --budgets    those budgets alone, about a minute

Wall times are the machine's, neighbours and all; CPU time a row is what the work itself costs, and does not depend on
who else runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw
import msgspec
import psutil

from data.rows import Header, Row, encode
from data.sources.random_walk import random_bars
from data.tape import write_tape
from live.capacity_measured import pss_mb
from live.control import Control
from live.drills_parts import FLIP
from live.fleet_state import holder
from live.header import CHECKOUT
from live.hub import Hub
from live.hub_feed import HubFeed
from live.restore import restore

COUNTS = (1, 5, 20, 100)
SYMBOLS = tuple("ABCDE")
SPEED = 60.0
WATCHED_S = 20.0
TICK_NS = 20_000_000
RECORDS = "SELECT seq, body FROM record WHERE kind = 'event' AND seq > ?"


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows for the table of benchmarks."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tape = folder / "week.tape"
        bars, book = random_bars(1_950, SYMBOLS, 11, "1m", start=20240102)
        write_tape(tape, bars, book, clock="1m", source="random walk", simulated=True)
        for count in COUNTS[:2] if quick else COUNTS:
            rows += _fleet(folder / f"fleet-{count}", tape, count, WATCHED_S / 4 if quick else WATCHED_S)
        rows += _fleet(folder / "one-cpu", tape, 5, WATCHED_S / 4 if quick else WATCHED_S, one_cpu=True)
        rows += _hub(folder, 2_000 if quick else 20_000)
        rows += _restored(folder, tape)
    return rows


def budgets() -> list[dict[str, Any]]:
    """The rows that have a budget, of twenty accounts and of five on one processor, and CPU times beside them."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bars, book = random_bars(1_950, SYMBOLS, 11, "1m", start=20240102)
        write_tape(folder / "week.tape", bars, book, clock="1m", source="random walk", simulated=True)
        rows += _fleet(folder / "twenty", folder / "week.tape", 20, WATCHED_S)
        rows += _fleet(folder / "five", folder / "week.tape", 5, WATCHED_S, one_cpu=True)
    return [row for row in rows if "budget" in row or "CPU time" in row["what"]]


def _fleet(home: Path, tape: Path, count: int, watched_s: float, *, one_cpu: bool = False) -> list[dict[str, Any]]:
    """Figures of so many accounts; `one_cpu`: all their processes on one processor, this one on the others."""
    accounts(home, count)
    cpus = sorted(os.sched_getaffinity(0))
    if one_cpu:
        os.sched_setaffinity(0, cpus[:1])  # its children stay there; this process goes elsewhere at once
    names = [f"a{k:03d}" for k in range(count)]
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "live", "fleet", "up", home, "--replay", tape, "--speed", f"{SPEED:g}"],
        cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.sched_setaffinity(0, cpus[1:] if one_cpu and len(cpus) > 1 else cpus)
    try:
        controls = [Control(home / "state", name) for name in names]
        until(lambda: all(rows_of(control) > 1 for control in controls))
        ready_s = time.monotonic() - begun
        pids = {name: holder(home / "state" / f"{name}.lock") for name in names}
        runners = [pid for pid in pids.values() if pid]
        hub, supervisor = holder(home / "fleet" / "hub.lock"), process.pid
        player = [each.pid for each in psutil.Process(hub).children(recursive=True)]
        everyone = [*runners, hub, supervisor]
        before = [sum(map(_cpu_s, pids)) for pids in (runners, [*everyone, *player])]
        from_row, from_s = min(map(rows_of, controls)), time.monotonic()
        late, orders, shares = asyncio.run(_closes(home, names, watched_s))
        after = [sum(map(_cpu_s, pids)) for pids in (runners, [*everyone, *player])]
        heard, took_s = min(map(rows_of, controls)) - from_row, time.monotonic() - from_s
        row_ms = (after[0] - before[0]) * 1e3 / max(heard * count, 1)
        cpu = (after[1] - before[1]) / took_s
        rss = sum(psutil.Process(pid).memory_info().rss for pid in everyone) / 1e6
        told = [control.status() for control in controls]
        p99_us = max((each.p99_us for each in told if each.p99_us), default=float("nan"))
        pss = sum(pss_mb(pid) for pid in everyone)
        runner_pss = sum(pss_mb(pid) for pid in runners) / count
        player_mb = sum(pss_mb(pid) for pid in player)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        os.sched_setaffinity(0, cpus)
    late.sort()
    if one_cpu:
        return [
            {"what": "5 accounts on one processor: PSS of all, the feed's process too", "value": pss + player_mb,
             "unit": "MB", "budget": 1_024.0},
            {"what": f"5 accounts on one processor: share of it in use at {SPEED:g} bars a minute", "value": cpu,
             "unit": "cores", "budget": 0.5},
            {"what": "5 accounts on one processor: p99 close to order", "value": _at(sorted(orders), 0.99),
             "unit": "ms",
             "budget": 1_000.0},
            {"what": "5 accounts on one processor: CPU time a row and account", "value": row_ms, "unit": "ms"},
        ]  # fmt: skip
    budget = {"budget": 1_000.0} if count == 20 else {}
    return [
        {"what": f"{count} accounts: PSS of runners, supervisor and hub", "value": pss, "unit": "MB", **budget},
        {"what": f"{count} accounts: PSS of one runner", "value": runner_pss, "unit": "MB"},
        {"what": f"{count} accounts: RSS added up", "value": rss, "unit": "MB"},
        {"what": f"{count} accounts: PSS of the feed's process", "value": player_mb, "unit": "MB"},
        {"what": f"{count} accounts: processors at {SPEED:g} bars a minute", "value": cpu, "unit": "cores"},
        {"what": f"{count} accounts: p99 decision", "value": p99_us, "unit": "us"},
        {"what": f"{count} accounts: p50 close to journaled row", "value": _at(late, 0.5), "unit": "ms"},
        {"what": f"{count} accounts: p99 close to journaled row", "value": _at(late, 0.99), "unit": "ms",
         **({"budget": 1_000.0} if count == 20 else {})},
        {"what": f"{count} accounts: p99 close to order, of {len(orders)}", "value": _at(sorted(orders), 0.99),
         "unit": "ms", **budget},
        {"what": f"{count} accounts: CPU time a row and account", "value": row_ms, "unit": "ms"},
        {"what": f"{count} accounts: CPU time of one close, all accounts", "value": row_ms * count, "unit": "ms"},
        {"what": f"{count} accounts: most often first, over its fair share", "value": shares, "unit": "x"},
        {"what": f"{count} accounts: until all trade", "value": ready_s, "unit": "s"},
    ]  # fmt: skip


async def _closes(home: Path, names: list[str], watched_s: float) -> tuple[list[float], list[float], float]:
    """(ms from a row's arrival to every account's journal, the same to its orders, how uneven who is first is).

    The clock starts when this process, one more reader of the hub, has heard the row.
    """
    heard: dict[int, float] = {}
    seen: dict[str, dict[int, float]] = {name: {} for name in names}
    orders: list[float] = []
    after = {name: last_seq(home / "state" / f"{name}.journal") for name in names}
    written: dict[str, tuple[int, int]] = {}
    stop = asyncio.get_running_loop().time() + watched_s

    async def listen() -> None:
        async with HubFeed(home / "fleet" / "hub.sock", seed="bench", since=1 << 62) as feed:
            feed.since = 0
            while (rows := await feed.rows()) is not None:
                now = time.perf_counter()
                heard.update((row.ts, now) for row in rows)

    listening = asyncio.ensure_future(listen())
    try:
        while asyncio.get_running_loop().time() < stop:
            for name in names:
                told = (home / "state" / f"{name}.journal-wal").stat()
                settled = time.time_ns() - told.st_mtime_ns > TICK_NS  # else more may come within the same tick
                if written.get(name) != (stamp := (told.st_mtime_ns, told.st_size)) or not settled:
                    await asyncio.to_thread(_look, home, name, after, seen, orders, heard)
                    written[name] = stamp
            await asyncio.sleep(0.002)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    late = [max(0.0, at - heard[ts]) * 1e3 for each in seen.values() for ts, at in each.items() if ts in heard]
    common = [ts for ts in heard if all(ts in each for each in seen.values())]
    first = [min(names, key=lambda name, ts=ts: seen[name][ts]) for ts in common]
    share = max((first.count(name) for name in names), default=0) / max(len(first), 1) * len(names)
    return late, orders, share


def _look(
    home: Path, name: str, after: dict[str, int], seen: dict[str, dict[int, float]], orders: list[float],
    heard: dict[int, float],
) -> None:  # fmt: skip
    with contextlib.suppress(apsw.Error):
        db = apsw.Connection(str(home / "state" / f"{name}.journal"), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            now = time.perf_counter()
            for seq, body in db.execute(RECORDS, (after[name],)):
                after[name] = seq
                event = msgspec.msgpack.decode(body)
                if event["type"] == "row":
                    seen[name][event["ts"]] = now
                elif event["type"] == "sent" and event["ts"] in heard:
                    orders.append(max(0.0, now - heard[event["ts"]]) * 1e3)
        finally:
            db.close()


def _hub(folder: Path, count: int) -> list[dict[str, Any]]:
    """Frames a second through the hub to one reader, and to twenty."""
    path = folder / "frames"
    prices = [100.0] * len(SYMBOLS)
    with path.open("wb") as file:
        file.write(encode(Header(list(SYMBOLS), "1m", "bench", True, "content", count)))
        for ts in range(1, count + 1):
            file.write(encode(Row(ts, 20240102, 60.0, 60.0, prices, prices, prices, prices, prices)))
    code = folder / "cat.py"
    code.write_text(f"import shutil, sys\nshutil.copyfileobj(open({str(path)!r}, 'rb'), sys.stdout.buffer)\n")

    async def pushed(readers: int) -> float:
        hub = Hub([str(code)], folder / f"hub-{readers}.sock", lossless=True, patient=False)
        running = asyncio.ensure_future(hub.run())

        async def read() -> None:
            async with HubFeed(hub.path) as feed:
                while await feed.rows() is not None:
                    pass

        begun = time.perf_counter()
        await asyncio.gather(*(read() for _ in range(readers)))
        took = time.perf_counter() - begun
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return readers * count / took

    return [
        {"what": f"hub: rows to {readers} readers in one process", "value": asyncio.run(pushed(readers)),
         "unit": "rows/s"}
        for readers in (1, 20)
    ]  # fmt: skip


def _restored(folder: Path, tape: Path) -> list[dict[str, Any]]:
    """Twenty accounts that traded a week: backed up, restored, ready."""
    home = folder / "restored"
    accounts(home, 1)
    words = [sys.executable, "-m", "live"]
    subprocess.run([*words, "fleet", "up", home, "--replay", tape, "--speed", "0"], cwd=CHECKOUT, check=True,
                   capture_output=True)  # fmt: skip
    for k in range(1, 20):
        shutil.copy(home / "a000.toml", home / f"b{k}.toml")
        text = (home / f"b{k}.toml").read_text().replace('name = "a000"', f'name = "b{k}"')
        (home / f"b{k}.toml").write_text(text)
        shutil.copy(home / "state" / "a000.journal", home / "state" / f"b{k}.journal")
    begun = time.perf_counter()
    subprocess.run([*words, "backup", home, "--to", folder / "backup", "--once"], cwd=CHECKOUT, check=True,
                   capture_output=True)  # fmt: skip
    backed = time.perf_counter() - begun
    begun = time.perf_counter()
    restore(folder / "backup", folder / "again")
    took = time.perf_counter() - begun
    return [
        {"what": "backup of 20 accounts, a week each", "value": backed, "unit": "s"},
        {"what": "restore of 20 accounts, a week each", "value": took, "unit": "s", "budget": 60.0},
    ]


def accounts(home: Path, count: int) -> None:
    """A folder with so many paper accounts of one strategy."""
    home.mkdir(parents=True)
    (home / "flip.py").write_text(FLIP)
    for k in range(count):
        (home / f"a{k:03d}.toml").write_text(
            f'name = "a{k:03d}"\nstrategy = "flip.py"\nstate = "{home}/state"\n[rule]\nsize = 0.1\n'
        )
    (home / "fleet.toml").write_text(f'state = "{home}/fleet"\n')


def rows_of(control: Control) -> int:
    """Rows the runner says it decided on."""
    with contextlib.suppress(Exception):
        return control.status().rows
    return 0


def last_seq(path: Path) -> int:
    """Of a journal."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(db.execute("SELECT max(seq) FROM record").fetchone()[0])
    finally:
        db.close()


def until(condition: Any, seconds: float = 120.0) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.05)


def _cpu_s(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


if __name__ == "__main__":
    for line in budgets() if "--budgets" in sys.argv else run(quick="--quick" in sys.argv):
        print(f"{line['what']:<60} {line['value']:>14,.2f} {line['unit']:<8} {line.get('budget', '')}")
