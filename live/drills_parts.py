"""What drills are made of: a step and its outcome, a tape, an account, the commands of this program."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from data.errors import ConfigError, UnavailableError
from live.header import CHECKOUT

if TYPE_CHECKING:
    from live.control import Control

SYMBOLS = ("AAPL", "MSFT")
PATIENCE_S = 240.0

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


def make_tape(folder: Path, rows: int) -> Path:
    from data.sources.random_walk import random_bars
    from data.tape import write_tape

    path = folder / "drill.tape"
    bars, book = random_bars(rows, SYMBOLS, 11, "1m", start=20240102)
    write_tape(path, bars, book, clock="1m", source="random walk", simulated=True)
    return path


def make_account(folder: Path, name: str, broker: str, state: Path | None = None) -> Path:
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


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  # ourselves
        [sys.executable, "-m", "live", *map(str, words)],
        cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(*words: object, most_bytes: int = 0) -> subprocess.CompletedProcess[str]:
    """A command of this program; `most_bytes`: no file of its may grow beyond, as on a full disk."""
    import resource

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.run(  # noqa: S603  # ourselves
        [sys.executable, "-m", "live", *map(str, words)],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        preexec_fn=small if most_bytes else None,  # one thread
    )  # fmt: skip


def rows_of(control: Control) -> int:
    try:
        return control.status().rows
    except ConfigError:
        return 0


def until(condition: Callable[[], int | bool], what: str, said: Callable[[], str] = str) -> int:
    """Wait for a condition. what: what it is, for the error; said: what is so instead."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        if time.monotonic() > end:
            words = said()
            raise UnavailableError(f"{what} did not come within {PATIENCE_S:g} s{': ' if words else ''}{words}")
        time.sleep(0.05)
    return int(found)
