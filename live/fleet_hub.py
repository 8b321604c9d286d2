"""The hub of a fleet as its supervisor has it: started, started again when it ends, and rolled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import time
from collections.abc import Callable

from data.errors import DataError
from live.fleet_child import spawn
from live.fleet_files import Fleet
from live.fleet_minder import GRACE_S, ended, handle_of, send
from live.fleet_restart import NEEDS_A_PERSON, TAKEN, Backoff
from live.fleet_roll import last_line
from live.fleet_state import Runner, holder
from live.hub import Hub, read_status, serve
from live.lock import held

HUB = "hub"
FAREWELL_MS = 5_000


class HubMinder:
    """The process of a fleet's hub.

    Args:
        make: the hub itself, in its own process.
        code: of the sources.
        now_s: of a clock that only goes forward.
        tell: called with a sentence for every event.

    `failed` says why a start would only bring the same, "" where one may help.
    """

    def __init__(
        self, fleet: Fleet, make: Callable[[], Hub], code: str, now_s: float, tell: Callable[[str], None]
    ) -> None:
        self.runner, self.failed = Runner(HUB), ""
        self._fleet, self._make, self._code, self._tell = fleet, make, code, tell
        self._backoff = Backoff(fleet.restart, HUB)
        self._due_s, self._kill_s = now_s, float("inf")
        self._handle: int | None = None
        self._coming_back = False

    def adopt(self) -> bool:
        """Take over a hub that runs already; False where none does."""
        pid = holder(self._fleet.state / "hub.lock")
        if pid:
            self._begun(pid, "")
        return bool(pid)

    def look(self, now_s: float, *, ending: bool) -> None:
        """Notice its end, and start it when it is time. ending: nothing is started any more."""
        runner = self.runner
        if runner.pid:
            code = ended(runner.pid, self._handle)
            if code is not None:
                self._gone(code, now_s)
            elif now_s >= self._kill_s:
                self._kill_s = float("inf")
                send(runner.pid, signal.SIGKILL)
        if not runner.pid and now_s >= self._due_s and not ending:
            self._start()

    def again(self, now_s: float) -> None:
        """End it and start it anew; the runners wait for it, as they do when it is lost."""
        self._coming_back, self.failed = True, ""
        self._backoff.forget()
        self.runner.crashes = 0
        self._due_s, self._kill_s = now_s, now_s + GRACE_S
        if self.runner.pid:
            send(self.runner.pid, signal.SIGTERM)

    def readers(self) -> int:
        """How many hear this very process, -1 before it has said anything or while its feed is in trouble."""
        told = read_status(self._fleet.hub)
        fresh = told is not None and told.pid == self.runner.pid and not told.trouble and bool(told.source)
        return told.readers if told is not None and fresh else -1

    def stop(self) -> None:
        """End it, and see to it."""
        runner = self.runner
        if not runner.pid:
            return
        send(runner.pid, signal.SIGTERM)
        if self._handle is not None:
            poll = select.poll()
            poll.register(self._handle, select.POLLIN)
            if not poll.poll(FAREWELL_MS):
                send(runner.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(runner.pid, 0)
        self._let_go()
        runner.pid, runner.state = 0, "stopped"

    def _start(self) -> None:
        state, make = self._fleet.state, self._make

        def work() -> int:
            with held(state / "hub.lock", HUB):
                asyncio.run(serve(make()))
            return 0

        self._begun(spawn(self._fleet.log_of(HUB), self._fleet.hub_env, work), self._code)
        self.runner.starts += 1
        self._tell(f"hub: started as {self.runner.pid}")

    def _begun(self, pid: int, code: str) -> None:
        runner = self.runner
        runner.pid, runner.state, runner.since, runner.code, runner.said = pid, "running", time.time_ns(), code, ""
        self._handle, self._kill_s = handle_of(pid), float("inf")

    def _gone(self, code: int, now_s: float) -> None:
        runner = self.runner
        self._let_go()
        runner.pid, runner.since, self._kill_s = 0, time.time_ns(), float("inf")
        runner.said = last_line(self._fleet.log_of(HUB))
        if self._coming_back:
            self._coming_back = False
            self._due_s, runner.state = now_s, "starting"
            return
        if code == TAKEN and self.adopt():
            return
        runner.crashes += 1
        if code in (*NEEDS_A_PERSON, DataError.exit_code):
            runner.state, self._due_s, self.failed = "failed", float("inf"), runner.said
            self._tell(f"hub: failed (exit {code}; {runner.said})")
            return
        wait_s = self._backoff.crashed(now_s)
        runner.state = "waiting"
        self._due_s = now_s + (self._fleet.restart.most_s if wait_s is None else wait_s)
        self._tell(f"hub: ended with {code} ({runner.said}); started again soon, the runners wait for it")

    def _let_go(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
