"""The supervisor of a fleet: one process per account, forked from this one, and a hub that feeds them all.

It starts, watches, restarts and adds up; it never trades, holds no key and is not needed for trading: when it dies, its
runners go on, and the next one finds them by their locks. A halt does not need it either (`fleet halt` writes the
words of `live.control` itself).
"""

from __future__ import annotations

import contextlib
import functools
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from data.errors import ConfigError
from live.control import Control, Word
from live.fleet_ask import answered
from live.fleet_child import Source, spawn, trade
from live.fleet_files import Fleet, Member
from live.fleet_hub import HubMinder
from live.fleet_limits import Use, uses
from live.fleet_minder import Minder, ended, heard, read_on, seen_of, send
from live.fleet_notify import notify, watchdog_every_s
from live.fleet_roll import Roll, verify
from live.fleet_siblings import Siblings
from live.fleet_state import DOWN, FleetStatus, Runner, publish
from live.header import code_hash
from live.hub import Hub
from live.hub_socket import listening

LOOK_EVERY_S = 1.0
TICK_S = 0.25


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
        self._again, self._tell = again or [], tell
        now = self.now_s()
        self._minders = {member.name: Minder(fleet, member, now) for member in fleet.members}
        self.hub = HubMinder(fleet, hub, self.code, now, tell) if hub is not None else None
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
            if self.hub is not None and not self._exec:
                self.hub.stop()
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
            answered(listener, self._answer)

    # --- starting and ending ----------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        """Find the runners that an earlier supervisor left, and go on with them."""
        for name, minder in self._minders.items():
            if minder.adopt(self.now_s()):
                self._tell(f"{name}: runs already as {minder.runner.pid}")
        if self._wants_roll:
            self._roll = Roll(self, [name for name, minder in self._minders.items() if minder.runner.pid])
        if self.hub is not None:
            self.hub.adopt()

    def _start(self) -> None:
        now = self.now_s()
        if self.hub is not None:
            self.hub.look(now, ending=self._ending)
            if self.hub.failed and not self.source.live and not self._ending:
                self.failed = f"no rows: {self.hub.failed}"
                self.end()
        for minder in self._minders.values():
            if minder.due_s is None or now < minder.due_s or minder.runner.pid:
                continue
            work = functools.partial(trade, minder.member.path, self.source, self.fleet.stagger)
            pid = spawn(self.fleet.log_of(minder.name), minder.member.env, work)
            minder.runner.starts += 1
            minder.begun(pid, self.code, now)
            self._tell(f"{minder.name}: started as {pid}")

    def _reap(self) -> None:
        for name, minder in self._minders.items():
            if not minder.runner.pid:
                continue
            code = ended(minder.runner.pid, minder.handle)
            if code is not None:
                again = minder.coming_back
                minder.gone(code, self.now_s(), ending=self._ending)
                if minder.runner.pid:
                    self._tell(f"{name}: runs already as {minder.runner.pid}")
                elif not again:
                    self._tell(f"{name}: {minder.runner.state} (exit {code}; {minder.runner.said})")
                    self._publish()
            elif minder.kill_s is not None and self.now_s() >= minder.kill_s:
                minder.kill_s = None
                self._tell(f"{name}: did not end, killed")
                send(minder.runner.pid, signal.SIGKILL)

    def end(self, names: list[str] | None = None) -> None:
        """Tell runners to end in good order, and leave them down; all of them end the supervisor too."""
        for minder in self._named(names):
            minder.end(self.now_s())
        self._ending |= names is None

    def again(self, name: str) -> None:
        """End a runner in good order and start it anew; one that is down is started."""
        self._minders[name].again(self.now_s())
        self._siblings.forget(name)

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
        return ended(pid, None)

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
            hub=self.hub.runner if self.hub is not None else None,
            uses=self._uses,
            divergences=list(self._siblings.found.values()),
            rolling=self._roll.told if self._roll is not None else "",
            ended=ended,
        )

    # --- being asked ------------------------------------------------------------------------------------------------

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
