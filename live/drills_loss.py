"""A lost host: everything dies in the middle of a session, and goes on elsewhere from the backup.

    sandbox ── market, broker ──> hub ──> runner ──> journal ──> backup
                    └───────────────────── another folder: hub ──> runner <── restored from it

The sandbox is not on the lost host: its broker goes on, fills what stands, and is asked at the end what it had.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from live.control import Control, Status
from live.drills_copies import all_copied
from live.drills_parts import SYMBOLS, Step, make_account, make_tape, rows_of, until
from live.drills_sandbox import keys_of
from live.fleet_minder import send
from live.fleet_state import holder
from live.rehearse_books import compare_books
from live.rehearse_process import Process, ask

NAME = "one"
SPEED = 40.0
ROWS_BEFORE, ROWS_AFTER = 4, 4
TRIES = 3
WARM = 20
BACKUP_EVERY_S = 0.2
LOSS_S, READY_S = 1.0, 60.0
QUIET_S = 6.0


class Last(NamedTuple):
    """The end of a journal. seq: of its last event; ts: when that was, on the tape's clock; events: how many."""

    seq: int
    ts: int
    events: int


def copied(folder: Path) -> Iterator[Step]:
    """Everything is killed and the folder is gone; a backup brings it back, and the broker's books are still ours."""
    from live.restore import restore

    box, environment = sandbox(folder)
    running: list[Process] = []
    try:
        environment |= {name: str(value) for name, value in box.first_document().items()}
        home = make_home(folder)
        url, log = environment["SANDBOX_URL"], folder / "backup" / NAME / "journal.log"
        for _ in range(TRIES):
            running += [
                fleet_up(home, folder / "before", environment),
                Process(["-m", "live", "backup", str(home), "--to", str(folder / "backup"),
                         "--every", str(BACKUP_EVERY_S)], folder / "copies", environment),
            ]  # fmt: skip
            rows = in_the_middle(home)
            kill_all(home, running)
            if all_copied(url, log):  # an order left in the last moment otherwise: that loss is another drill
                break
        lost = last_of(home / "state" / f"{NAME}.journal")
        shutil.rmtree(home)
        yield Step("the machine was lost in the middle", not home.exists(), f"after {rows} rows, everything deleted")

        begun = time.monotonic()
        done = restore(folder / "backup", folder / "new")
        kept = last_of(folder / "new" / "state" / f"{NAME}.journal")
        loss_s = (lost.ts - kept.ts) / 1e9 / SPEED
        said = f"{lost.events - kept.events} of {lost.events} events, {loss_s:.2f} s of them"
        yield Step(f"the backup had all but {LOSS_S:g} s of events", loss_s <= LOSS_S, said)
        running.append(fleet_up(folder / "new" / "accounts", folder / "after", environment))
        control = Control(folder / "new" / "state", NAME)
        until(lambda: is_ready(control), "an account that may trade", lambda: state_of(control))
        took_s = time.monotonic() - begun
        yield Step(
            f"it was ready within {READY_S:g} s", took_s <= READY_S, f"{took_s:.1f} s from restore to open gates"
        )
        back = rows_of(control)
        until(lambda: rows_of(control) >= back + ROWS_AFTER, "rows after the loss")
        yield Step("it traded on", True, f"{rows_of(control)} rows")
        ask(f"{url}/close", b"")
        time.sleep(QUIET_S)
        code = running[-1].end(signal.SIGTERM)
        yield Step("it ended in good order", code == 0, f"exit {code}")
        yield from _judged(folder, url, done.accounts[0].file)
    finally:
        end_all(folder, running)
        box.end(signal.SIGTERM)


def sandbox(folder: Path) -> tuple[Process, dict[str, str]]:
    """The market and the broker, which are lost with no host of ours; and what processes beside it are started with."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"SANDBOX_KEY": f"drill-{os.getpid()}"}
    box = Process(
        ["-m", "live", "sandbox", "--tape", str(make_tape(folder, 2 * 390)), "--speed", f"{SPEED:g}", "--begin", "1",
         "--json", "--record", str(folder / "record.json")],
        folder / "sandbox", environment,
    )  # fmt: skip
    return box, dict(environment)


def make_home(folder: Path) -> Path:
    """A fleet of one account."""
    home = folder / "accounts"
    make_account(home, NAME, "alpaca", state=home / "state")
    (home / "fleet.toml").write_text(f'state = "{home}/fleet"\n[stagger]\nseconds = 0\n')
    return home


def fleet_up(home: Path, base: Path, environment: dict[str, str]) -> Process:
    """Its supervisor."""
    feed = f"stream --source alpaca --symbols {','.join(SYMBOLS)} --clock 1m --warm {WARM}"
    return Process(["-m", "live", "fleet", "up", str(home), "--feed", feed], base, environment)


def in_the_middle(home: Path) -> int:
    """Wait for the middle of a session, with something held; rows until then."""
    control = Control(home / "state", NAME)
    warm = until(
        lambda: rows_of(control) if is_ready(control) else 0, "an account that may trade", lambda: state_of(control)
    )

    def held() -> int:
        status = status_of(control)
        return status.rows if status and status.positions and status.rows >= warm + ROWS_BEFORE else 0

    return until(held, "a position")


def kill_all(home: Path, running: list[Process]) -> None:
    """Everything dies at one moment."""
    pids = [holder(lock) for lock in (*home.glob("state/*.lock"), *home.glob("fleet/*.lock"))]
    for pid in filter(None, pids):
        send(pid, signal.SIGKILL)
    for process in running:
        process.end(signal.SIGKILL)
    until(lambda: not any(holder(lock) for lock in home.glob("*/*.lock")), "the end of all processes")


def end_all(folder: Path, running: list[Process]) -> None:
    """Leave nothing behind, however it went."""
    for process in running:
        process.end(signal.SIGKILL)
    for pid in map(holder, (*folder.glob("*/state/*.lock"), *folder.glob("*/fleet/*.lock"))):
        if pid:
            send(pid, signal.SIGKILL)


def status_of(control: Control) -> Status | None:
    """What the runner last said of itself, None where it has not yet."""
    from data.errors import ConfigError

    try:
        return control.status()
    except ConfigError:
        return None


def is_ready(control: Control) -> bool:
    """Whether new orders may leave: it lives, every gate is open, nothing halts it."""
    status = status_of(control)
    return status is not None and status.rows > 0 and not status.ended and not status.gates_closed and not status.halted


def state_of(control: Control) -> str:
    """Why an account is not ready, in its own words."""
    status = status_of(control)
    if status is None:
        return "it says nothing"
    gates = ", ".join(f"{name}: {why}" for name, why in dict(status.gates_closed).items())
    return f"{status.rows} rows; {status.halted or 'not halted'}; closed: {gates or 'nothing'}"


def last_of(journal: Path) -> Last:
    """The end of a journal, read from a copy as a person would who found the disk."""
    from live.core.events import decode_event
    from live.journal import SqliteJournal

    last, book = Last(-1, 0, 0), SqliteJournal.open(journal)
    try:
        for record in book.read():
            if record.kind == "event":
                last = Last(record.seq, max(last.ts, decode_event(record.body).ts), last.events + 1)
    finally:
        book.close()
    return last


def _judged(folder: Path, url: str, file: str) -> Iterator[Step]:
    """What the broker says in the end, held against the restored journal."""
    from live.account import load_account

    record: dict[str, Any] = ask(f"{url}/record")
    (folder / "judged.json").write_text(json.dumps(record), "utf-8")
    keys, twice = keys_of(folder / "judged.json", "alpaca")
    yield Step("no order was sent twice", bool(keys) and not twice, f"{keys} orders at the broker")
    account = load_account(folder / "new" / "accounts" / file)
    books = compare_books(account.journal, account.strategy, record["brokers"]["alpaca"])
    ours = {line.key for line in books.orders}
    theirs = {each["key"] for each in record["brokers"]["alpaca"]["orders"] if not each["parent"]}
    strange = sorted(theirs - ours)
    yield Step("the broker has no order that the journal does not", not strange, "; ".join(strange) or "none")
    held = ", ".join(f"{symbol} {shares:g}" for symbol, shares in sorted(books.their_positions.items())) or "flat"
    said = (
        "; ".join(books.differences) or f"{held}, cash {books.their_cash:,.2f}, {len(books.pending)} orders still open"
    )
    yield Step("our books are the broker's", not books.differences, said)
