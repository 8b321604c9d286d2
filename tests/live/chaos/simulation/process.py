"""One life of the runner: the real session, core, desk and journal, from its start to its end or its death."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import apsw

from data.errors import OnetapeError
from data.rows import Row
from live.brokers.wire_desk import Desk
from live.core.commands import Alert
from live.core.core import SILENT_ROWS, Core
from live.core.events import Operator, SymbolFacts, Timer
from live.core.facts import AccountFacts
from live.core.orders import OPEN
from live.journal import SqliteJournal, exists
from live.lock import held
from live.session_venue import VenueSession

from .clock import SECOND, HostClock
from .market import ROW_S, SYMBOLS
from .route import Toy

if TYPE_CHECKING:
    from .world import World


TIMER_S = 5.0


class Killed(BaseException):
    """SIGKILL, or no power: nothing of the process runs any more. point: where it was."""

    def __init__(self, point: str) -> None:
        super().__init__(point)
        self.point = point


class Gone(BaseException):
    """The process ended while it waited for an answer."""


class Acked:
    """Between the session and its journal: notes what a commit has promised."""

    def __init__(self, journal: SqliteJournal, promised: Callable[[int, bytes], None]) -> None:
        self._journal, self._promised, self._last = journal, promised, -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def commit(self) -> None:
        """Make durable, then remember that it was."""
        self._journal.commit()
        if self._journal._seq != self._last:
            self._last = self._journal._seq
            self._promised(self._last, self._journal._checksum)


class Process:
    """A started runner. `life` counts them; `stopped` says why it ended by itself."""

    def __init__(self, world: World, life: int, path: Path) -> None:
        self.world, self.life, self.path = world, life, path
        self.clock = HostClock(world.timeline, world.skew, world.elapse)
        self.stopped = ""
        self.alerts: list[Alert] = []
        self.session: VenueSession | None = None
        self.journal: SqliteJournal | None = None
        self._lock: AbstractContextManager[None] | None = None
        self._told_skew = 0.0
        self._timer_ns = 0

    def start(self) -> None:
        """Open the journal, go through it, and begin to connect.

        Raises:
            OnetapeError: it cannot be started.
        """
        world = self.world
        if world.lock_path is not None:
            lock = held(world.lock_path, "toy")
            lock.__enter__()
            self._lock = lock
        if exists(self.path):
            journal = SqliteJournal.open(self.path)
        else:
            world.disk.files.clear()  # a creation that was cut short
            journal = SqliteJournal.create(self.path, world.header)
        self.journal = journal
        desk = Desk(Toy(world.network), self.clock, world.patience)
        session = VenueSession(
            Core(world.plan, world.strategy),
            desk,
            Acked(journal, world.promised),  # type: ignore[arg-type]  # a journal in all it does
            clock=self.clock,
            tell=self._heard,
            mark=world.point,
        )
        self.session = session
        session.resume()
        now = session.now()
        session.tell(AccountFacts(now, settled_cash=world.plan.cash, day_trades=0, good_faith_violations=0,
                                  day_trade_regime="off", clock_skew_ms=0.0, accounts_loss_pct=0.0))  # fmt: skip
        for symbol in SYMBOLS:
            session.tell(world.facts_of(symbol, now))
        for name in ("armed", "heartbeat", "clock"):
            session.gate(name, "")  # type: ignore[arg-type]  # of GateName
        session.gate("data", "no row yet")
        if world.halt_stands and not session.core.halted:
            self.say(world.halt_stands, "the flag stands")

    def _heard(self, alert: Alert) -> None:
        self.alerts.append(alert)
        self.world.alerts.append((self.world.timeline.now, self.life, alert))

    # --- what the shell does ----------------------------------------------------------------------------------------

    def row(self, row: Row) -> None:
        """A row has come: one that is too old closes the light of the data first."""
        session = self._alive()
        self.watch()
        age = (session.now() - row.ts) / SECOND
        limit = session.core.desk.tally.limits.max_row_age_s or 5.0
        late = row.ts <= session.core.last_ts
        if not late:
            session.gate("data", f"a row of {age:.0f} s ago" if age > limit else "")
        session.row(row)

    def tick(self) -> float:
        """Make what is due happen; seconds until it should be called again."""
        session = self._alive()
        self.watch()
        self._time_goes_by(session)
        session.pump()
        return max(session.due_s(), 0.05)

    def _time_goes_by(self, session: VenueSession) -> None:
        """Every five seconds, where something waits or the feed is silent, the core is told of the time."""
        now, core = session.now(), session.core
        if now - self._timer_ns < TIMER_S * SECOND or not core.last_ts:
            return
        self._timer_ns = now
        silent = now - core.last_ts > (SILENT_ROWS + 1) * core.clock_ns
        if silent or any(order.state in OPEN for order in core.desk.tally.state.open):
            session.tell(Timer(now))

    def watch(self) -> None:
        """The lights that a shell keeps: data, and the clock."""
        session, world = self._alive(), self.world
        core = session.core
        since = (session.now() - core.last_ts) / SECOND
        if core.last_ts and since > 3 * ROW_S and "data" not in core.desk.tally.state.closed:
            session.gate("data", f"no row for {since:.0f} s")
        skew = (session.now() - world.timeline.now) / 1e6
        if skew != self._told_skew:
            self._told_skew = skew
            wrong = abs(skew) > (core.desk.tally.limits.max_clock_skew_ms or 250.0)
            session.gate("clock", f"skew {skew:.0f} ms" if wrong else "")

    def say(self, action: Literal["halt", "resume", "flatten"], note: str = "") -> None:
        """A person's word."""
        session = self._alive()
        session.tell(Operator(session.now(), action, "ada", note))

    def feed_refused(self, why: str) -> None:
        """The feed cannot be had: the light of the data is red at once."""
        self._alive().gate("data", why)

    def facts(self, facts: SymbolFacts) -> None:
        """News of a symbol."""
        self._alive().tell(facts)

    def stop(self) -> None:
        """The shell ends in good order: what failed is told."""
        if self.session is not None:
            try:
                self.session.journal.close()
            except OnetapeError as error:
                self.stopped = self.stopped or str(error)
        self.let_go()

    def bury(self) -> None:
        """Let go of a dead process's memory; only where its writes reach nobody's disk any more."""
        if self.journal is not None:
            with contextlib.suppress(apsw.Error):
                self.journal._db.close()

    def let_go(self) -> None:
        """The system lets go of the lock."""
        if self._lock is not None:
            lock, self._lock = self._lock, None
            lock.__exit__(None, None, None)

    def _alive(self) -> VenueSession:
        assert self.session is not None
        return self.session
