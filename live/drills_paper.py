"""Drills that need no broker: a disk without room, a clock that is off."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from live.drills_parts import FLIP, PATIENCE_S, SYMBOLS, Step, make_account, make_tape, run


def disk_full(folder: Path) -> Iterator[Step]:
    """The journal cannot be written: the account stops before anything leaves, and goes on when there is room."""
    from live.control import Control

    tape = make_tape(folder, 1_200)
    account = make_account(folder, "full", "paper", state=folder / "state")
    words = ("run", account, "--replay", tape, "--speed", "0")
    stopped = run(*words, most_bytes=400_000)
    said = (stopped.stderr.strip().splitlines() or ["nothing"])[-1]
    yield Step("it stopped and did not go on without a journal", stopped.returncode != 0, f"exit {stopped.returncode}")
    yield Step("it said why, in a sentence", "Traceback" not in stopped.stderr and "error:" in said, said[:160])
    again = run(*words)
    yield Step("with room it went on from its last whole record", again.returncode == 0, f"exit {again.returncode}")
    fresh = make_account(folder / "fresh", "full", "paper", state=folder / "fresh" / "state")
    run("run", fresh, "--replay", tape, "--speed", "0")
    ours, theirs = (Control(each, "full").status() for each in (folder / "state", folder / "fresh" / "state"))
    same = (ours.rows, ours.cash, ours.orders) == (theirs.rows, theirs.cash, theirs.orders)
    yield Step("it ended as an undisturbed run does", same, f"{ours.rows} rows, cash {ours.cash:,.2f}")


def clock_jump(folder: Path) -> Iterator[Step]:
    """This machine's clock is an hour off, and rows of the past come in: it is told, and nothing is decided."""
    from data.rows import rows_of
    from data.sources.random_walk import random_bars
    from live.core.commands import Alert, Submit
    from live.core.core import Core
    from live.core.events import Timer
    from live.core.plan import Plan
    from live.doctor import clock
    from live.doctor_clock import offset_ms
    from strategies.common.load import load_strategy

    with TimeServer(3_600.0) as first, TimeServer(3_600.0) as second:
        found = clock([offset_ms(first, patience_s=10.0), offset_ms(second, patience_s=10.0)])
    yield Step("two sources say that the clock is off", found.state == "bad", f"{found.text} -> {found.fix}")

    (folder / "flip.py").write_text(FLIP)
    strategy = load_strategy(folder / "flip.py")
    core = Core(Plan.of(strategy, list(SYMBOLS)), strategy)
    rows = list(rows_of(*random_bars(60, SYMBOLS, 11, "1m", start=20240102)))
    for row in rows[:50]:
        core.step(row)
    late = [command for row in rows[:10] for command in core.step(row)]
    names = {command.name for command in late if isinstance(command, Alert)}
    yield Step("rows of the past are told", names == {"row.late"}, f"{len(late)} alerts")
    yield Step("and nothing is decided on them", not any(isinstance(each, Submit) for each in late), "no order")
    told = core.step(Timer(core.last_ts + 3_600_000_000_000))
    silent = [each.text for each in told if isinstance(each, Alert)]
    yield Step("a jump ahead is a silent feed", bool(silent), "; ".join(silent) or "nothing said")
    on = [command for row in rows[50:] for command in core.step(row)]
    yield Step("the next row in time is decided on", core.last_ts == rows[-1].ts, f"{len(on)} commands")


class TimeServer:
    """A server of time on loopback whose clock is so many seconds behind; answers once."""

    def __init__(self, behind_s: float) -> None:
        self._behind_s = behind_s
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.bind(("127.0.0.1", 0))
        self._line.settimeout(PATIENCE_S)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> tuple[str, int]:
        self._thread.start()
        host, port = self._line.getsockname()
        return str(host), int(port)

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE_S)
        self._line.close()

    def _serve(self) -> None:
        try:
            _, who = self._line.recvfrom(512)
        except OSError:
            return
        stamp = int((time.time() - self._behind_s + 2_208_988_800) * 2**32)
        self._line.sendto(struct.pack("!32xQQ", stamp, stamp), who)
