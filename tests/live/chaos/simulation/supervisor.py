"""What starts the process, again where it has ended, and lets go of it when it is dead."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from data.errors import OnetapeError
from live.core.commands import Alert
from live.fleet_files import Restart
from live.fleet_restart import Backoff

from .clock import SECOND, ns
from .process import Gone, Killed, Process

if TYPE_CHECKING:
    from .world import World


class Supervisor:
    """The lives of the process, one behind the other. life: how many there were; robbed: those that lost their lock's
    file to a second runner."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.process: Process | None = None
        self.life = 0
        self.robbed: set[int] = set()
        self._graves: list[Process] = []
        self._backoff = Backoff(Restart(), str(world.seed))

    def do(self, what: Callable[[], None]) -> None:
        """Run something of the process; what ends it is noted and it is started again."""
        process = self.process
        try:
            what()
        except Gone:
            pass  # who ended it has noted it
        except Killed as killed:
            self._ended(f"killed at {killed.point}")
        except OnetapeError as error:
            self._world.evidence.errors.append(f"{type(error).__name__}: {error}")
            self._stop(process, str(error))
        except ZeroDivisionError as error:  # of the strategy
            self._stop(process, f"the strategy failed: {error}")
        if self._world.own_files and self.process is None and process is not None:
            process.let_go()

    def start(self) -> None:
        """Start the process, if none is there."""
        if self.process is not None:
            return
        self.life += 1
        self._world.network.life = self.life
        self.process = self.born(self.life)
        self.process.start()
        self._world.agenda.at(self._world.timeline.now, self.ticks(self.life))

    def born(self, life: int) -> Process:
        """A process that is kept until the schedule is over: a connection that is collected writes a last time."""
        process = Process(self._world, life, self._world.path)
        self._graves.append(process)
        return process

    def ticks(self, life: int) -> Callable[[], None]:
        """The first tick of a life; each plans the next one, until the life is over."""
        world = self._world

        def tick() -> None:
            process = self.process
            if process is None or process.life != life:
                return
            wait = process.tick()
            now = world.timeline.now
            night = (world.market.opens_after(now) - now) / SECOND - 20.0
            wait = max(wait, min(night, 3_600.0))  # nothing to see between the sessions
            world.agenda.at(now + ns(wait), tick)

        return tick

    def by_a_person(self) -> None:
        """A person starts it in a second, if none is there, however often it has failed."""
        self._backoff.forget()
        self._world.agenda.at(self._world.timeline.now + SECOND, self.start)

    def bury(self) -> None:
        """Let go of every process; where they wrote is not to be read after this."""
        for process in self._graves:
            process.bury()
            process.let_go()

    def _stop(self, process: Process | None, why: str) -> None:
        current = self.process or process
        if current is not None:
            now = self._world.timeline.now
            self._world.alerts.append((now, self.life, Alert(now, "critical", "stopped", why)))
            current.stop()
        self._ended(f"stopped: {why}")

    def _ended(self, how: str) -> None:
        """It is started again, later each time; when it is given up, a person does."""
        process, self.process = self.process, None
        now = self._world.timeline.now
        self._world.evidence.lived(now, self.life, how)
        if process is not None:
            process.let_go()
            if self._world.own_files:
                for dead in self._graves:  # of a take-over both are
                    dead.bury()
        wait = self._backoff.crashed(now / SECOND)
        if wait is None:  # it is given up; a person starts it when the faults are over
            return
        self._world.agenda.at(now + ns(wait), self.start)
