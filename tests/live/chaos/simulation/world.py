"""One schedule: everything that one seed decides, from the first row to the judgement."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from live.brokers.wire_route import Patience
from live.core.commands import Alert
from live.core.events import SymbolFacts
from live.core.orders import Order, State

from . import drawn, strikes, surroundings
from .agenda import Agenda
from .clock import SECOND, Timeline, ns
from .disk import Disk, DiskSystem
from .drawn import toy
from .evidence import Evidence
from .faults import Weather
from .market import Told
from .meetings import Meetings, lasting
from .process import Gone, Killed, Process
from .route import DIALECTS, Network
from .supervisor import Supervisor

__all__ = ["Evidence", "World", "toy"]

CALM_S = 66
"""Virtual seconds after the faults until all must be in order, or a person called: a start, a minute until the books
are compared once more, and what that takes."""
MOST_LIVES = 5


class World:
    """A schedule. seed decides everything; system: the file system that its disk is mounted in.

    Args:
        only: faults to draw from, all by default.
        folder: for the schedules that need files of their own (a second runner); None leaves those out.
    """

    def __init__(self, seed: int, system: DiskSystem, only: tuple[str, ...] = (), folder: Path | None = None) -> None:
        self.seed = seed
        self.chance = chance = random.Random(seed)
        self.weather = weather = Weather(chance, only)
        dialect = chance.choice(sorted(DIALECTS))
        capabilities = DIALECTS[dialect]
        self.market = drawn.market(chance, weather)
        self.timeline = Timeline(self.market.times[0] - 12 * SECOND)
        self.agenda = Agenda(self.timeline)
        self.venue = drawn.venue(chance, weather, self.timeline, self.market, capabilities)
        self.network = Network(self.timeline, self.venue, weather, chance, capabilities)
        self.patience = Patience()
        self.strategy = toy()
        self.plan = drawn.plan(chance, weather, dialect, capabilities)
        self.header = drawn.header(self.plan)
        self._kills = drawn.kills(chance, weather)
        self.feed = drawn.feed(chance, weather, self.market)
        self.met = Meetings(weather, self._orders)
        self.venue.met = self.met.at_venue
        self.network.durable, self.network.met, self.network.point = self._durable, self.met.tickets, self.point
        self.network.elapse = self.elapse
        self.disk = system.mounted = Disk(self._refused, lambda: surroundings.slow_sync(self))
        self._system = system
        self.own_files = folder is not None and weather.has("F25")
        self.lock_path = folder / "toy.lock" if self.own_files and folder is not None else None
        self.path = folder / "journal.db" if self.own_files and folder is not None else system.journal
        self.evidence = Evidence(
            seed, self.venue, self.market, self.plan, self.strategy, self.path, capabilities,
            told=self.feed.told, closed=self.network.closed,
        )  # fmt: skip
        self.supervisor = Supervisor(self)
        self.skew = 0
        self.halt_stands: Literal["", "halt", "flatten"] = ""
        self.was_split = False
        self.backup: dict[str, bytes] | None = None
        self.ambushes: dict[tuple[str, int], list[Callable[[], None]]] = {}
        """(point, occurrence) to what strikes behind it."""
        self._passed: dict[str, int] = {}
        self.inside = False
        """Whether the process's thread is speaking to the broker, and its loop goes on meanwhile."""

    @property
    def process(self) -> Process | None:
        """The one that runs, if one does."""
        return self.supervisor.process

    @property
    def alerts(self) -> list[tuple[int, int, Alert]]:
        """(time, life, alert): what people were told."""
        return self.evidence.alerts

    # --- what happens -----------------------------------------------------------------------------------------------

    def run(self) -> Evidence:
        """The whole schedule."""
        strikes.plan(self)
        self.supervisor.do(self.supervisor.start)
        self._until(self.market.times[-1] + ns(1.0))
        calm = self._calm_down()
        self._until(calm + (CALM_S - 12) * SECOND)
        self.venue.frozen = True
        self._until(calm + CALM_S * SECOND)
        return self._judgeable(calm)

    def _until(self, end: int) -> None:
        while (what := self.agenda.due(end)) is not None:
            self.supervisor.do(what)
        self.timeline.advance(max(end, self.timeline.now))

    def elapse(self, to: int) -> None:
        """Time goes on while the process's thread waits: its loop hears rows and people meanwhile, and may end.

        Raises:
            Gone: it has ended, and with it the thread.
        """
        if not self.inside:
            owner, self.inside = self.process, True
            try:
                while (what := self.agenda.due(max(to, self.timeline.now))) is not None:
                    self.supervisor.do(what)
                    if self.process is not owner:
                        raise Gone
            finally:
                self.inside = False
        self.timeline.advance(max(to, self.timeline.now))

    def point(self, name: str) -> None:
        """A labelled point is passed; a process may end here, and the world may change.

        Raises:
            Killed: the process ends here.
        """
        if self.weather.calm:
            return
        times = self._passed[name] = self._passed.get(name, 0) + 1
        if name in strikes.HITS:
            for act in self.ambushes.pop((name, times), ()):
                self.agenda.at(self.timeline.now, act)
            for fault in lasting(self):
                self.met.every(fault)
        how = self._kills.get((name, times))
        if how is None or len(self.evidence.lives) >= MOST_LIVES:
            return
        del self._kills[(name, times)]
        self.met.every("F01" if how == "killed" else "F02")
        if not self.own_files:
            if how == "killed":
                self.disk.kill()
            else:
                surroundings.power_loss(self)
        raise Killed(name)

    # --- what the process is told, and tells ------------------------------------------------------------------------

    def row(self, told: Told) -> None:
        """A row arrives; nobody hears it where no process runs."""
        for fault in told.faults:
            self.met.every(fault)
        if self.process is not None:
            self.evidence.processed.setdefault(told.row.ts, self.timeline.now)
            self.process.row(told.row)
            self.agenda.at(self.timeline.now, self._kick)  # behind what lies in wait for its orders

    def _kick(self) -> None:
        """A row wakes the thread that speaks to the broker; one that is speaking looks again when it is done."""
        if self.process is not None and not self.inside:
            self.process.tick()

    def facts_of(self, symbol: str, ts: int, **news: Any) -> SymbolFacts:
        """What is known of a symbol besides its rows. news: halted, resumed, action, as in `drawn.facts_of`."""
        return drawn.facts_of(self.market, symbol, ts, **news)

    def tell_facts(self, symbol: str, **news: Any) -> None:
        """The process hears news of a symbol, at what it takes for the time."""
        if self.process is not None:
            self.process.facts(self.facts_of(symbol, self.process.clock.now(), **news))

    def promised(self, seq: int, checksum: bytes) -> None:
        """A commit came back."""
        self.evidence.promises.append((seq, checksum))

    def _refused(self) -> None:
        self.evidence.refusals.append((self.timeline.now, self.supervisor.life))

    def _durable(self, order_id: str) -> bool:
        return self.own_files or self.disk.holds(order_id.encode())

    def _orders(self) -> dict[str, Order]:
        if self.process is None or self.process.session is None:
            return {}
        return self.process.session.core.orders

    # --- the end ----------------------------------------------------------------------------------------------------

    def _calm_down(self) -> int:
        """Faults stop; what is wrong with the world is put right."""
        self.weather.calm = True
        surroundings.unrestrict(self)
        for name in ("late_fill", "bust", "late_reject", "expire"):
            self.venue.wild.pop(name, None)
        self.network.maintenance_until = self.network.no_token_until = self.network.stream_down_until = 0
        surroundings.disk_well(self)
        surroundings.clock_well(self)
        self.supervisor.by_a_person()
        return self.timeline.now

    def _judgeable(self, calm: int) -> Evidence:
        evidence = self.evidence
        evidence.calm = calm
        evidence.final = self.process.session if self.process is not None else None
        evidence.up = evidence.final is not None
        evidence.lost = [id_ for id_, order in self._orders().items() if order.state in (State.UNKNOWN, State.SENDING)]
        evidence.met = dict(self.weather.met)
        return evidence.sealed(self.timeline.now)

    def bury(self) -> None:
        """Let go of every process; the disk is not to be read after this."""
        self._system.mounted = Disk()
        self.supervisor.bury()
