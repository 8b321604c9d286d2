"""Disasters as drills: each is played on this machine, on paper or against the sandbox, and judged by its outcome.

What is judged is what a person needs to know in the real case: that nothing was sent twice, that the books are equal,
that it went on by itself where it should, and that it said so where it should not.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from data.door import did_you_mean
from data.errors import ConfigError, UnavailableError, UsageError
from live.header import CHECKOUT

if TYPE_CHECKING:
    from live.control import Control

SYMBOLS = ("AAPL", "MSFT")
MINUTES, SPEED = 8.0, 40.0
PATIENCE_S = 240.0
READY_S = 60.0

FLIP = '''"""Buy after a row that rose, leave after one that fell: many orders, for drills."""

from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars, *, n: int = 2) -> Signals:
    rising = bars.close > sma(bars.close, n)
    return Signals(entries=rising, exits=~rising)
'''


class Step(msgspec.Struct, frozen=True):
    """One thing that had to be so. said: what was seen."""

    what: str
    ok: bool
    said: str = ""


class Drilled(msgspec.Struct, frozen=True):
    """What came of a drill. runbook: the page for the real case."""

    name: str
    runbook: str
    steps: list[Step]

    @property
    def passed(self) -> bool:
        """Everything was as it has to be."""
        return all(step.ok for step in self.steps)


def drill(name: str, folder: Path) -> Drilled:
    """Play a disaster.

    Args:
        folder: for accounts, journals and logs; must hold nothing.

    Raises:
        UsageError: no drill of this name. ConfigError: the folder holds something.
    """
    if name not in DRILLS:
        raise UsageError(f"there is no drill {name!r}{did_you_mean(name, DRILLS)}")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; name a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Drilled(name, f"docs/runbooks/{name}.md", list(DRILLS[name](folder)))


# --- against the sandbox --------------------------------------------------------------------------------------------


def _l2_outage(folder: Path) -> Iterator[Step]:
    """The stream stalls and is cut, the polled books fail: trading goes on with less, or waits; it never guesses."""
    plan = "ws.stall@240s,ws.cut@360s,look.503=0.2;seed=5"
    yield from _rehearsed(folder, "robinhood", plan, ("ws.stall", "ws.cut", "look.503"))


def _rate_limit(folder: Path) -> Iterator[Step]:
    """The broker says 429, with and without Retry-After, to orders and looks."""
    plan = "place.429-after@1,place.429@3,look.429=0.2,429-after=0.05;seed=3"
    yield from _rehearsed(folder, "alpaca", plan, ("429", "429-after"))


def _token_expiry(folder: Path) -> Iterator[Step]:
    """The broker does not know the token any more, in the middle of looks and orders."""
    yield from _rehearsed(folder, "robinhood", "look.401@4,place.401@2;seed=2", ("401",))


def _rehearsed(folder: Path, broker: str, faults: str, wanted: tuple[str, ...]) -> Iterator[Step]:
    """A rehearsal of the whole live process under these faults."""
    from live.rehearse import Wishes, rehearse

    tape = _tape(folder, 2 * 390)
    done = rehearse(
        _account(folder, "drill", broker), Wishes(tape, SPEED, faults, folder / "out", minutes=MINUTES, begin=1)
    )
    hit = {name: count for name, count in done.injected.items() if any(each in name for each in wanted)}
    yield Step("the fault happened", bool(hit), ", ".join(f"{name} {count}" for name, count in hit.items()) or "never")
    yield Step("the process lived through it", done.code in (0, 130), f"exit {done.code}, started {done.starts} times")
    keys = [line.key for line in done.books.orders]
    yield Step("no order was sent twice", len(keys) == len(set(keys)), f"{len(keys)} orders")
    books = "; ".join(done.books.differences) or "equal"
    yield Step("our books are the broker's", not done.books.differences, books)
    yield Step("it decided what one call over the same rows decides", not done.parity.different,
               done.parity.different or f"{done.parity.rows} rows")  # fmt: skip
    told = ", ".join(f"{name} {count}" for name, count in sorted(done.alerts.items())) or "nothing"
    yield Step("a person was told", bool(done.alerts), told)


# --- on paper -------------------------------------------------------------------------------------------------------


def _vps_loss(folder: Path) -> Iterator[Step]:
    """Everything is killed and the folder is gone; a backup brings it back, and it goes on to the same end."""
    import shutil

    from live.control import Control
    from live.fleet_minder import send
    from live.fleet_state import holder
    from live.restore import restore

    home, tape = folder / "accounts", _tape(folder, 2_000)
    for name in ("one", "two"):
        _account(home, name, "paper", state=home / "state")
    (home / "fleet.toml").write_text(f'state = "{home}/fleet"\n')
    running = [
        _start("fleet", "up", home, "--replay", tape, "--speed", "900"),
        _start("backup", home, "--to", folder / "backup"),
    ]
    control = Control(home / "state", "two")
    try:
        rows = _until(lambda: _rows(control) if _rows(control) > 100 else 0, "a hundred rows")
    finally:
        pids = [holder(lock) for lock in (*home.glob("state/*.lock"), *home.glob("fleet/*.lock"))]
        for process in running:
            process.kill()
            process.communicate()
        for pid in filter(None, pids):
            send(pid, signal.SIGKILL)
    _until(lambda: not any(holder(lock) for lock in home.glob("state/*.lock")), "the end of all runners")
    shutil.rmtree(home)
    yield Step("the machine was lost in the middle", not home.exists(), f"after {rows} rows, everything deleted")

    begun = time.monotonic()
    done = restore(folder / "backup", folder / "new")
    yield Step("the backup was whole", all(each.records for each in done.accounts), f"{len(done.accounts)} accounts")
    up = _run("fleet", "up", folder / "new" / "accounts", "--replay", tape, "--speed", "0")
    yield Step("it went on elsewhere", up.returncode == 0, f"exit {up.returncode}")
    took_s = time.monotonic() - begun
    yield Step("it was ready within a minute", took_s <= READY_S, f"{took_s:.1f} s from restore to the end of the tape")
    fresh = folder / "fresh"
    _run("run", _account(fresh, "one", "paper", state=fresh / "state"), "--replay", tape, "--speed", "0")
    expected = Control(fresh / "state", "one").status()
    for each in done.accounts:
        status = Control(folder / "new" / "state", each.name).status()
        same = (status.rows, status.cash, status.positions) == (expected.rows, expected.cash, expected.positions)
        yield Step(f"the books of {each.name} are those of an undisturbed run", same, f"cash {status.cash:,.2f}")


def _disk_full(folder: Path) -> Iterator[Step]:
    """The journal cannot be written: the account stops before anything leaves, and goes on when there is room."""
    from live.control import Control

    tape = _tape(folder, 1_200)
    account = _account(folder, "full", "paper", state=folder / "state")
    words = ("run", account, "--replay", tape, "--speed", "0")
    stopped = _run(*words, most_bytes=400_000)
    said = (stopped.stderr.strip().splitlines() or ["nothing"])[-1]
    yield Step("it stopped and did not go on without a journal", stopped.returncode != 0, f"exit {stopped.returncode}")
    yield Step("it said why, in a sentence", "Traceback" not in stopped.stderr and "error:" in said, said[:160])
    again = _run(*words)
    yield Step("with room it went on from its last whole record", again.returncode == 0, f"exit {again.returncode}")
    fresh = _account(folder / "fresh", "full", "paper", state=folder / "fresh" / "state")
    _run("run", fresh, "--replay", tape, "--speed", "0")
    ours, theirs = (Control(each, "full").status() for each in (folder / "state", folder / "fresh" / "state"))
    same = (ours.rows, ours.cash, ours.orders) == (theirs.rows, theirs.cash, theirs.orders)
    yield Step("it ended as an undisturbed run does", same, f"{ours.rows} rows, cash {ours.cash:,.2f}")


def _clock_jump(folder: Path) -> Iterator[Step]:
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

    with _time_server(3_600.0) as first, _time_server(3_600.0) as second:
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


DRILLS: dict[str, Callable[[Path], Iterator[Step]]] = {
    "vps-loss": _vps_loss,
    "l2-outage": _l2_outage,
    "rate-limit": _rate_limit,
    "token-expiry": _token_expiry,
    "disk-full": _disk_full,
    "clock-jump": _clock_jump,
}


# --- what they are played with --------------------------------------------------------------------------------------


def _tape(folder: Path, rows: int) -> Path:
    from data.sources.random_walk import random_bars
    from data.tape import write_tape

    path = folder / "drill.tape"
    bars, book = random_bars(rows, SYMBOLS, 11, "1m", start=20240102)
    write_tape(path, bars, book, clock="1m", source="random walk", simulated=True)
    return path


def _account(folder: Path, name: str, broker: str, state: Path | None = None) -> Path:
    from live.core.limits import DEFAULTS
    from live.sandbox.broker_accounts import LOOSE

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flip.py").write_text(FLIP)
    lines = [f'name = "{name}"', 'strategy = "flip.py"', f'broker = "{broker}"']
    if state is not None:
        lines.append(f'state = "{state}"')
    if broker != "paper":
        lines += ['feed = "alpaca"', "warm = 20", f"symbols = {json.dumps(SYMBOLS)}", 'needs = "bars"']
    lines += ["", "[rule]", 'stops = "close"', "size = 0.05"]
    if broker != "paper":
        lines += ["", "[limits]", *(f"{key} = {json.dumps(LOOSE.get(key, value))}" for key, value in DEFAULTS.items())]
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def _start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  # ourselves
        [sys.executable, "-m", "live", *map(str, words)],
        cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _run(*words: object, most_bytes: int = 0) -> subprocess.CompletedProcess[str]:
    """A command of this program; `most_bytes`: no file of its may grow beyond, as on a full disk."""
    import resource

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, "-m", "live", *map(str, words)],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        preexec_fn=small if most_bytes else None,  # one thread
    )  # fmt: skip


def _rows(control: Control) -> int:
    try:
        return control.status().rows
    except ConfigError:
        return 0


def _until(condition: Callable[[], int | bool], what: str) -> int:
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        if time.monotonic() > end:
            raise UnavailableError(f"{what} did not come within {PATIENCE_S:g} s")
        time.sleep(0.05)
    return int(found)


class _time_server:  # noqa: N801  # used as `with _time_server(...) as address`
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
