"""One account's session: events into the journal, then into the core; its commands into the journal, then out.

    event -> journal -> core -> journal -> commit -> out

`live.session_paper` fills from the rows it is shown; `live.session_venue` trades through a broker over a network. What
both share is here: nothing is acted on before it is written, and nothing leaves before it is durable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Literal

from msgspec.structs import replace

from live.core.commands import Alert, Cancel, Command, Protect, Submit
from live.core.core import Core
from live.core.events import Event, Gate, News, Operator, PersonSays, Row, Snapshot, Timer
from live.core.facts import GateName
from live.journal import Journal
from live.latency import Latency
from live.points import KINDS, Mark, nothing

GROUP = 512
DIGEST_EVERY = 1_000
Why = Literal["start", "reconnect", "timer", "person"]
Tell = Callable[[Alert], None]


def to_nobody(_alert: Alert) -> None:
    """Where alerts go when nobody was named."""


class Session(ABC):
    """Core and journal of one account.

    Args:
        core: fresh.
        journal: where everything is written; what it holds already is gone through by `resume`.
        group: events that one transaction may hold; 1 makes every event durable before its commands leave.
        tell: called with every alert.
        mark: called at each of `live.points.POINTS`.
    """

    def __init__(
        self, core: Core, journal: Journal, *, group: int = 1, tell: Tell = to_nobody, mark: Mark = nothing
    ) -> None:
        self.core, self.journal = core, journal
        self.latency = Latency()
        self.resumed = 0
        self.reconciled_ns = 0
        self._group, self._tell, self._mark = group, tell, mark
        self._appended = 0

    @abstractmethod
    def resume(self) -> None:
        """Go through what the journal holds; afterwards everything stands as it did when it was last written.

        Raises:
            JournalError: the journal is damaged, or the same events do not give the same commands again.
        """

    @abstractmethod
    def row(self, row: Row) -> None:
        """The market's next row."""

    @abstractmethod
    def tell(self, event: Operator | Timer | News | Snapshot | PersonSays) -> None:
        """Take in what neither the market nor the broker said."""

    def now(self) -> int:
        """UTC nanoseconds on the clock of what we say ourselves; the last row's, where there is no other."""
        return self.core.last_ts

    def gate(self, name: GateName, reason: str, *, grave: bool = False) -> None:
        """Say that one of the lights is green ("") or why it is not; told on only where that is news."""
        closed = self.core.desk.tally.state.closed
        if (name in closed) != bool(reason) or closed.get(name, "") != reason:
            self.tell(Gate(self.now(), name, open=not reason, reason=reason, grave=grave))

    def account_news(self, **changed: Any) -> None:
        """Say what is new about the account; told on only where it is."""
        known = self.core.desk.tally.state.account
        news = replace(known, ts=self.now(), **changed)
        if replace(news, ts=known.ts) != known and repr(replace(news, ts=known.ts)) != repr(known):
            self.tell(news)

    @property
    def is_current(self) -> bool:
        """True where the journal holds nothing more that the feed has to give again."""
        return True

    def close(self) -> None:
        """Write the final state's digest and let go of the journal."""
        self._mark("close.before")
        if self.is_current:
            self._digest()
        self.journal.close()
        self._mark("close.after")

    def _decide(self, event: Event) -> list[Command]:
        """Write an event, let the core decide on it, and write what it answers."""
        kind, mark = KINDS.get(type(event), ""), self._mark
        other_day = type(event) is Row and event.session != self.core.desk.tally.state.market.session
        if kind:
            mark(f"{kind}.before")
        if other_day:
            mark("day.before")
        self.journal.append_event(event)
        self._appended += 1
        if kind:
            mark(f"{kind}.written")
        start = perf_counter_ns()
        commands = self.core.step(event)
        if type(event) is Row:
            self.latency.add(perf_counter_ns() - start)
        if kind:
            mark(f"{kind}.applied")
        if other_day:
            mark("day.after")
        if commands:
            what = _what(commands)
            if what:
                mark(f"{what}.before")
            self.journal.append_commands(commands)
            if what:
                mark(f"{what}.written")
        return commands

    def _digest(self) -> None:
        self._mark("digest.before")
        self.journal.append_digest(self.core.digest())
        self._mark("digest.after")

    def _commit(self) -> None:
        self._mark("commit.before")
        self.journal.commit()
        self._mark("commit.after")
        self._appended = 0


def _what(commands: list[Command]) -> str:
    """The point that writing these is, "" for none."""
    for command in commands:
        if isinstance(command, Submit | Protect):
            return "intent"
        if isinstance(command, Cancel):
            return "cancel"
        if isinstance(command, Alert) and command.name == "risk.halted":
            return "loss"
    return ""
