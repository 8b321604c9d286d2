"""A dress rehearsal: the whole live process against a sandbox beside it, and what the sandbox says of it afterwards.

    sandbox (a process) ── market, broker ──> python -m live run (a process, the real shell) ── its feed (a process)
        └──────────── record ─────────> the comparison here <──────────── journal

No key and no money: whatever would lead to a vendor leads to this machine, and the account file is a copy with
everything taken out that money could follow.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import msgspec

from data.calendar import MINUTE_NS, SECOND_NS
from data.errors import ConfigError, JournalError, UnavailableError, UsageError
from live.account import Account, load_account
from live.rehearse_account import rehearsal_text, stretched
from live.rehearse_books import Compared, compare_books
from live.rehearse_parity import Parity, alerts_of, decided, parity
from live.rehearse_process import LOOK_S, Process, ask

QUIET_S = 120.0
LEAST_QUIET_S = 4.0
DIFFERENT = 3
AGAIN = (UnavailableError.exit_code, 75, -signal.SIGKILL)
"""Exits after which a service starts the process again: no answer, for the time being, killed."""
MOST_STARTS = 20


class Wishes(msgspec.Struct, frozen=True):
    """What is rehearsed. minutes: of the tape, from when it is first listened to; 0 for all of it. begin: sessions that
    are history already.

    kills: how often the live process is killed with SIGKILL, evenly over `minutes`.
    """

    tape: Path
    speed: float
    faults: str
    folder: Path
    minutes: float = 0.0
    begin: int = 0
    cash: float = 100_000.0
    kills: int = 0


class Rehearsed(msgspec.Struct):
    """What came of it. code: how the live process ended, said: what it said; injected: faults, by name.

    starts: how often it was started: again after it was killed, and after it had given up for the time being.
    stretched: limits that were others than the account's, for the speed or for want of history.
    """

    account: str
    broker: str
    tape: str
    minutes: float
    code: int
    starts: int
    said: list[str]
    summary: dict[str, Any]
    injected: dict[str, int]
    requests: dict[str, int]
    alerts: dict[str, int]
    books: Compared
    parity: Parity
    folder: str
    stretched: dict[str, float] = {}

    @property
    def exit_code(self) -> int:
        """0; 7 where the books differ; 3 where the decisions do; else the live process's own."""
        if self.books.differences:
            return JournalError.exit_code
        if self.parity.different:
            return DIFFERENT
        return 0 if self.code in (0, 130) else self.code


def rehearse(path: Path, wishes: Wishes) -> Rehearsed:
    """Run an account's whole live process against the sandbox.

    Raises:
        ConfigError: the account cannot be rehearsed. UnavailableError: the sandbox or the process did not start.
    """
    account = load_account(path)
    if account.broker == "paper":
        raise ConfigError(
            f"account {account.name!r} is of paper, which has no broker to rehearse with; trade the tape: "
            f"python -m live run {path} --replay {wishes.tape}"
        )
    if any(wishes.folder.glob("*/*.journal")):
        raise UsageError(f"{wishes.folder} holds a rehearsal already; name another folder with --out")
    state = wishes.folder / "state"
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    box = Process(
        [
            "-m", "live", "sandbox", "--tape", str(wishes.tape.resolve()), "--speed", f"{wishes.speed:g}",
            "--faults", wishes.faults, "--begin", str(wishes.begin), "--cash", f"{wishes.cash:g}", "--json",
            "--write-accounts", str(wishes.folder / "sandbox"), "--record", str(wishes.folder / "record.json"),
        ],
        wishes.folder / "sandbox",
        {"SANDBOX_KEY": f"rehearsal-{os.getpid()}"} | os.environ,  # one connection a key: two may rehearse at a time
    )  # fmt: skip
    try:
        told = box.first_document()
        return _rehearsed(account, wishes, state, told)
    finally:
        box.end(signal.SIGTERM)


def _rehearsed(account: Account, wishes: Wishes, state: Path, told: dict[str, Any]) -> Rehearsed:
    told.pop("accounts", None)
    control = str(told["SANDBOX_URL"])
    record = ask(f"{control}/record")
    _take_login(wishes.folder / "sandbox" / "state", state, account)
    derived = wishes.folder / f"{account.name}.toml"
    warm = account.warm if wishes.begin else 0
    wider = stretched(account, wishes.speed, wishes.begin)
    derived.write_text(rehearsal_text(account, list(record["market"]["symbols"]), state, warm, wider), "utf-8")
    environment = os.environ | {str(name): str(value) for name, value in told.items()}
    service = _Service(["-m", "live", "run", str(derived), "--json"], wishes, environment)
    try:
        start_ns = service.watch(control)
        if service.runner.is_running:
            ask(f"{control}/close", b"")  # nothing trades or fails any more: what happened can now be learnt
            time.sleep(max(QUIET_S / wishes.speed, LEAST_QUIET_S))
    finally:
        service.runner.end(signal.SIGTERM)
    record = ask(f"{control}/record")
    return _told(account, wishes, state, record, service, start_ns)


def _told(
    account: Account, wishes: Wishes, state: Path, record: dict[str, Any], service: _Service, start_ns: int
) -> Rehearsed:
    journal, runner = state / f"{account.name}.journal", service.runner
    if not journal.exists() or not decided(journal):
        why = runner.last_words() or f"exit {runner.code}"
        raise UnavailableError(f"the live process saw no row of the market ({why}); its words are in {wishes.folder}")
    theirs = record["brokers"][account.broker]
    injected = dict(theirs["faults"])
    for fault in record["market"]["faults"]:
        name = f"market.{fault['name']}"
        injected[name] = injected.get(name, 0) + 1
    return Rehearsed(
        account=account.name,
        broker=account.broker,
        tape=str(wishes.tape),
        minutes=round((record["clock"]["now"] - start_ns) / SECOND_NS / 60.0, 1),
        code=runner.code,
        starts=service.starts,
        said=runner.errors(),
        summary=runner.document(),
        injected=dict(sorted(injected.items())),
        requests=theirs["requests"],
        alerts=alerts_of(journal),
        books=compare_books(journal, account.strategy, theirs),
        parity=parity(journal, account.strategy),
        folder=str(wishes.folder),
        stretched=stretched(account, wishes.speed, wishes.begin),
    )


def _take_login(source: Path, state: Path, account: Account) -> None:
    """The login that the sandbox made: one program's alone, so it is moved."""
    for suffix in ("grant", "token"):
        made = source / f"sandbox-{account.broker}.{suffix}"
        if made.exists():
            made.rename(state / f"{account.name}.{suffix}")


class _Service:
    """The live process as a service keeps it: started again after a death, and after it gave up for the time being."""

    def __init__(self, command: list[str], wishes: Wishes, environment: dict[str, str]) -> None:
        self.starts = 0
        self._command, self._wishes, self._environment = command, wishes, environment
        self.runner = self._start()

    def watch(self, control: str) -> int:
        """Look after it until the time is over, or it has ended for good; when the market was first listened to."""
        wishes, start_ns, span_ns = self._wishes, 0, int(self._wishes.minutes * MINUTE_NS)
        deaths: list[int] = []
        while True:
            clock = ask(f"{control}/clock")
            if not start_ns and clock["listening"]:
                start_ns = int(clock["now"])
                deaths = [start_ns + span_ns * (i + 1) // (wishes.kills + 1) for i in range(wishes.kills)]
            if clock["done"] or (span_ns and start_ns and clock["now"] >= start_ns + span_ns):
                return start_ns
            if deaths and clock["now"] >= deaths[0] and self.runner.is_running:
                deaths.pop(0)
                self.runner.end(signal.SIGKILL)
            if not self.runner.is_running:
                if self.runner.code not in AGAIN or self.starts >= MOST_STARTS:
                    return start_ns
                self.runner = self._start()
            time.sleep(LOOK_S)

    def _start(self) -> Process:
        self.starts += 1
        return Process(self._command, self._wishes.folder / f"run-{self.starts}", self._environment)
