"""The supervisor of a fleet: one process per account, forked from this one, and a hub that feeds them all.

It starts, watches, restarts and adds up; it never trades, holds no key and is not needed for trading: when it dies, its
runners go on, and the next one finds them by their locks. A halt does not need it either (`fleet halt` writes the
words of `live.control` itself).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from data.errors import ConfigError, DataError, OnetapeError, UnavailableError
from live.control import Control, Word
from live.fleet_child import Source, spawn, trade
from live.fleet_files import Fleet, Member, member_of
from live.fleet_limits import Use, uses
from live.fleet_minder import Minder, heard, read_on, seen_of, send
from live.fleet_notify import notify, watchdog_every_s
from live.fleet_restart import ASKED, NEEDS_A_PERSON, Backoff
from live.fleet_roll import Roll, last_line, verify
from live.fleet_siblings import Siblings
from live.fleet_state import DOWN, FleetStatus, Runner, holder, publish
from live.header import code_hash
from live.hub import Hub
from live.hub_socket import is_own, listening

GRACE_S = 20.0
LOOK_EVERY_S = 1.0
TICK_S = 0.25
HUB = "hub"


class Supervisor:
    """Runs a fleet until it is told to stop, or every account is over.

    Args:
        fleet: see `live.fleet_files`.
        source: where the runners hear the market.
        hub: the hub's own command, None where there is none.
        again: arguments to start this program again in this process, for a roll.
        rolling: begin by rolling every runner that is found.
        tell: called with a sentence for every event.
    """

    def __init__(
        self,
        fleet: Fleet,
        source: Source,
        hub: Callable[[], Hub] | None = None,
        *,
        again: list[str] | None = None,
        rolling: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.fleet, self.source = fleet, source
        self.code = code_hash()
        self._hub, self._again, self._tell = hub, again or [], tell
        now = self.now_s()
        self._minders = {member.name: Minder(fleet, member, now) for member in fleet.members}
        self._hub_runner = Runner(HUB) if hub is not None else None
        self._hub_backoff, self._hub_due, self._hub_handle = Backoff(fleet.restart, HUB), now, -1
        self._siblings = Siblings()
        self._uses: list[Use] = []
        self._over: set[str] = set()
        self._ending = False
        self._roll: Roll | None = None
        self._wants_roll = rolling
        self._checked: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()
        self._exec = False
        self.failed = ""  # why no account can trade

    # --- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Supervise. SIGTERM and SIGINT stop the runners in good order, then this returns."""
        listener = listening(self.fleet.socket)
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, "ask")
        self._selector.register(wake, selectors.EVENT_READ, "signal")
        before = {number: signal.signal(number, self._signalled) for number in (signal.SIGTERM, signal.SIGINT)}
        signal.signal(signal.SIGCHLD, lambda *_: None)
        old = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            self._adopt()
            notify("READY=1", f"STATUS={len(self._minders)} accounts")
            looked = watched = 0.0
            while not self._is_over():
                self._reap()
                self._start()
                now = self.now_s()
                if now - looked >= LOOK_EVERY_S:
                    looked = now
                    self._look()
                    self._publish()
                if (every := watchdog_every_s()) and now - watched >= every:
                    watched = now
                    notify("WATCHDOG=1")
                for key, _ in self._selector.select(TICK_S):
                    self._happened(key.data, listener, wake)
            self._look()  # what came between the last look and the end
            if self._exec:
                self._publish()
                notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")
                os.execv(sys.executable, [sys.executable, *self._again])  # noqa: S606  # ourselves, with the new code
        finally:
            notify("STOPPING=1")
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._stop_hub()
            self._selector.close()
            for each in (listener, wake, waker):
                each.close()
            self.fleet.socket.unlink(missing_ok=True)
            self._publish(ended=True)

    def now_s(self) -> float:
        """Seconds of a clock that only goes forward."""
        return time.monotonic()

    def _signalled(self, *_: object) -> None:
        self.end()

    def _is_over(self) -> bool:
        return self._exec or all(minder.runner.state in DOWN for minder in self._minders.values())

    def _happened(self, what: Any, listener: socket.socket, wake: socket.socket) -> None:
        if what == "signal":
            with contextlib.suppress(BlockingIOError):
                wake.recv(4_096)
        elif what == "ask":
            self._asked(listener)

    # --- starting and ending ----------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        """Find the runners that an earlier supervisor left, and go on with them."""
        for minder in self._minders.values():
            pid = holder(minder.member.account.lock)
            if pid:
                self._begun(minder, pid, code="")
                self._tell(f"{minder.member.name}: runs already as {pid}")
        if self._wants_roll:
            running = [name for name, minder in self._minders.items() if minder.runner.pid]
            self._roll = Roll(self, running)
        if self._hub_runner is not None:
            pid = holder(self.fleet.state / "hub.lock")
            if pid:
                self._hub_runner.pid, self._hub_runner.state = pid, "running"
                self._hub_handle = os.pidfd_open(pid)

    def _begun(self, minder: Minder, pid: int, code: str) -> None:
        runner = minder.runner
        runner.pid, runner.state, runner.since, runner.code = pid, "running", time.time_ns(), code
        runner.next_start, runner.said = 0, ""
        minder.due_s = minder.kill_s = None
        minder.heard_s = self.now_s()
        try:
            minder.handle = os.pidfd_open(pid)
        except OSError:
            minder.handle = None

    def _start(self) -> None:
        now = self.now_s()
        if self._hub_runner is not None and not self._hub_runner.pid and now >= self._hub_due and not self._ending:
            self._start_hub(self._hub_runner)
        for minder in self._minders.values():
            if minder.due_s is None or now < minder.due_s or minder.runner.pid:
                continue
            work = functools.partial(trade, minder.member.path, self.source, self.fleet.stagger)
            pid = spawn(self.fleet.log_of(minder.member.name), minder.member.env, work)
            minder.runner.starts += 1
            self._begun(minder, pid, self.code)
            self._tell(f"{minder.member.name}: started as {pid}")

    def _start_hub(self, runner: Runner) -> None:
        from live.hub import serve
        from live.lock import held

        make, state = self._hub, self.fleet.state
        assert make is not None  # noqa: S101  # there is a runner for it

        def work() -> int:
            import asyncio

            with held(state / "hub.lock", HUB):
                asyncio.run(serve(make()))
            return 0

        runner.pid = spawn(self.fleet.log_of(HUB), self.fleet.hub_env, work)
        runner.state, runner.since, runner.code = "running", time.time_ns(), self.code
        runner.starts += 1
        self._hub_handle = os.pidfd_open(runner.pid)
        self._tell(f"hub: started as {runner.pid}")

    def _reap(self) -> None:
        for minder in self._minders.values():
            if minder.runner.pid:
                code = self._ended(minder.runner.pid, minder.handle)
                if code is not None:
                    self._gone(minder, code)
                elif minder.kill_s is not None and self.now_s() >= minder.kill_s:
                    minder.kill_s = None
                    self._tell(f"{minder.member.name}: did not end, killed")
                    send(minder.runner.pid, signal.SIGKILL)
        runner = self._hub_runner
        if runner is not None and runner.pid:
            code = self._ended(runner.pid, self._hub_handle)
            if code is not None:
                os.close(self._hub_handle)
                self._hub_gone(runner, code)

    def _hub_gone(self, runner: Runner, code: int) -> None:
        """The hub ended: it is started again, or, where that would only bring the same, everything ends."""
        runner.pid, runner.crashes = 0, runner.crashes + 1
        runner.said = last_line(self.fleet.log_of(HUB))
        if code in (*NEEDS_A_PERSON, DataError.exit_code):
            runner.state, self._hub_due = "failed", float("inf")
            self._tell(f"hub: failed (exit {code}; {runner.said})")
            if not self.source.live:
                self.failed = f"no rows: {runner.said}"
                self.end()
            return
        wait_s = self._hub_backoff.crashed(self.now_s())
        runner.state = "waiting"
        self._hub_due = self.now_s() + (self.fleet.restart.most_s if wait_s is None else wait_s)
        self._tell(f"hub: ended with {code} ({runner.said}); started again soon, the runners wait for it")

    def _ended(self, pid: int, handle: int | None) -> int | None:
        """The exit code of a process that is over, None while it runs; 1 where it was not our child."""
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            if handle is None:
                return 1
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            return 1 if poll.poll(0) else None
        if not done:
            return None
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _gone(self, minder: Minder, code: int) -> None:
        runner, now = minder.runner, self.now_s()
        if minder.handle is not None:
            os.close(minder.handle)
        minder.handle = minder.kill_s = None
        runner.pid, runner.since = 0, time.time_ns()
        runner.said = last_line(self.fleet.log_of(minder.member.name))
        if minder.again and not self._ending:
            minder.again = False
            minder.due_s, runner.state = now, "starting"
            return
        if minder.stopping or code in ASKED:
            runner.state, runner.said = "stopped", runner.said or "told to end"
        elif code == 0:
            runner.state = "done"
        elif code in NEEDS_A_PERSON:
            runner.state = "failed"
            runner.said = f"{NEEDS_A_PERSON[code]}: {runner.said}"
        else:
            self._crashed(minder, code, now)
        self._tell(f"{minder.member.name}: {runner.state} (exit {code}; {runner.said})")
        self._publish()

    def _crashed(self, minder: Minder, code: int, now: float) -> None:
        runner = minder.runner
        runner.crashes += 1
        runner.said = runner.said if code != 128 + signal.SIGKILL else "it was killed"
        wait_s = minder.backoff.crashed(now)
        if wait_s is None and code == UnavailableError.exit_code:
            wait_s = self.fleet.restart.most_s  # the venue is down, not the runner
        if wait_s is None or self._ending:
            runner.state = "looping" if wait_s is None else "stopped"
            runner.said = f"crashed {runner.crashes} times, left down: {runner.said}"
        else:
            runner.state, minder.due_s = "waiting", now + wait_s
            runner.next_start = time.time_ns() + int(wait_s * 1e9)

    def end(self, names: list[str] | None = None) -> None:
        """Tell runners to end in good order, and leave them down; all of them end the supervisor too."""
        for minder in self._named(names):
            minder.stopping, minder.again = True, False
            self._tell_to_end(minder)
            if not minder.runner.pid and minder.runner.state not in DOWN:
                minder.runner.state, minder.due_s = "stopped", None
        self._ending |= names is None

    def again(self, name: str) -> None:
        """End a runner in good order and start it anew; one that is down is started."""
        minder = self._minders[name]
        minder.member = member_of(minder.member.path)
        minder.stopping = False
        minder.backoff.forget()
        minder.runner.crashes = 0
        self._siblings.forget(name)
        if minder.runner.pid:
            minder.again = True
            self._tell_to_end(minder)
        else:
            minder.due_s, minder.runner.state = self.now_s(), "starting"

    def _tell_to_end(self, minder: Minder) -> None:
        if minder.runner.pid:
            send(minder.runner.pid, signal.SIGTERM)
            minder.kill_s = self.now_s() + GRACE_S

    def _stop_hub(self) -> None:
        runner = self._hub_runner
        if runner is None or not runner.pid or self._exec:
            return
        send(runner.pid, signal.SIGTERM)
        poll = select.poll()
        poll.register(self._hub_handle, select.POLLIN)
        if not poll.poll(5_000):
            send(runner.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(runner.pid, 0)
        os.close(self._hub_handle)
        runner.pid, runner.state = 0, "stopped"

    # --- for a roll -------------------------------------------------------------------------------------------------

    def runner(self, name: str) -> Runner:
        """How an account's process stands."""
        return self._minders[name].runner

    def check(self, member: Member) -> int:
        """Replay an account's journal in a process of its own; its id."""
        log = self.fleet.log_of(f"{member.name}.check")
        log.unlink(missing_ok=True)
        return spawn(log, None, lambda: verify(member))

    def checked(self, pid: int) -> int | None:
        """The exit code of a check, None while it goes on."""
        return self._ended(pid, None)

    # --- looking ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        now, seen = self.now_s(), []
        for name, minder in self._minders.items():
            read_on(minder, now)
            status = heard(minder, now)
            if minder.runner.pid and now - minder.heard_s > self.fleet.restart.hung_s:
                self._tell(f"{name}: not a word for {self.fleet.restart.hung_s:g} s, killed to start it again")
                minder.heard_s = now
                send(minder.runner.pid, signal.SIGKILL)
            if status is not None:
                seen.append(seen_of(minder, status))
        self._keep_limits(uses(self.fleet.limits, seen))
        for each in self._siblings.look({name: minder.diary for name, minder in self._minders.items()}):
            self._tell(f"DIFFERS: {each.told()}")
        if self._roll is not None and not self._roll.over:
            before = self._roll.told
            self._roll.look()
            if self._roll.told != before:
                self._tell(f"roll: {self._roll.told}")

    def _keep_limits(self, used: list[Use]) -> None:
        self._uses = used
        over = {use.limit for use in used if use.is_over}
        for use in used:
            if use.limit in over - self._over:
                self._tell(f"HALT: {use.told()}: {', '.join(use.accounts)}")
            if use.is_over:
                self._halt(use)
        self._over = over

    def _halt(self, use: Use) -> None:
        """Whoever takes part opens nothing new; said again until it stands."""
        for name in use.accounts:
            account = self._minders[name].member.account
            control = Control(account.state, account.name)
            if control.standing() is None:
                with contextlib.suppress(ConfigError):
                    control.say(Word("halt", "fleet", use.told()))

    def _publish(self, *, ended: bool = False) -> None:
        publish(self.fleet.state, self.status(ended=ended))

    def status(self, *, ended: bool = False) -> FleetStatus:
        """How the fleet stands."""
        return FleetStatus(
            name=self.fleet.name,
            pid=os.getpid(),
            said=time.time_ns(),
            code=self.code,
            runners=[minder.runner for minder in self._minders.values()],
            hub=self._hub_runner,
            uses=self._uses,
            divergences=list(self._siblings.found.values()),
            rolling=self._roll.told if self._roll is not None else "",
            ended=ended,
        )

    # --- being asked ------------------------------------------------------------------------------------------------

    def _asked(self, listener: socket.socket) -> None:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        with line:
            line.settimeout(1.0)
            try:
                if not is_own(line):
                    return
                request = json.loads(line.recv(65_536))
                answer = self._answer(request)
            except (OSError, ValueError):
                return
            except OnetapeError as error:
                answer = {"error": str(error)}
            with contextlib.suppress(OSError):
                line.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        what = request.get("do")
        names = request.get("names") or list(self._minders)
        if what == "status":
            answer: dict[str, Any] = msgspec.to_builtins(self.status())
            return answer
        if what == "down":
            self.end(None if not request.get("names") else [minder.member.name for minder in self._named(names)])
        elif what == "restart":
            for minder in self._named(names):
                self.again(minder.member.name)
        elif what == "roll":
            if self._roll is not None and not self._roll.over:
                raise ConfigError(f"a roll goes on already: {self._roll.told}")
            self._roll, self._exec = None, True
        else:
            raise ConfigError(f"the supervisor does not know {what!r}")
        return {"done": what, "names": names}

    def _named(self, names: list[str] | None) -> list[Minder]:
        for name in names or ():
            if name not in self._minders:
                raise ConfigError(f"there is no account {name!r} in this fleet; there is {', '.join(self._minders)}")
        return [minder for name, minder in self._minders.items() if names is None or name in names]
