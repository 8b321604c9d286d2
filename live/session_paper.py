"""A session on paper: a broker in this process fills from the rows it is shown.

    broker.on_row(row) -> fills ─┐
    row ─────────────────────────┴─> journal -> core -> journal -> broker -> answers ─> (again)

A session over a journal that already holds something first goes through it again: the same rows into the same broker
and core must give the same events and the same commands, byte for byte. Then it goes on behind the last row. So a
restart, a crash and a replay are one path.
"""

from __future__ import annotations

from collections.abc import Iterator

from data.errors import JournalError
from data.sources.base import Clock
from live.brokers.base import SimulatedBroker
from live.core.commands import Alert, Command, Denied, Protect, Submit
from live.core.core import Core
from live.core.events import (
    AccountFacts,
    Event,
    Gate,
    News,
    Operator,
    OrderSeen,
    OrderSent,
    PersonSays,
    Row,
    Snapshot,
    SymbolFacts,
    Timer,
    decode_event,
    encode,
)
from live.journal import Journal, Step, steps
from live.points import Mark, nothing
from live.replay import compare, told
from live.session import DIGEST_EVERY, Session, Tell, Why, to_nobody

OUTSIDE = (Operator, Timer, Gate, SymbolFacts, AccountFacts, Snapshot, PersonSays)


class PaperSession(Session):
    """Core, broker and journal of one account on paper.

    Args:
        broker: fresh. clock: of a live feed. The others: see `live.session.Session`.
    """

    def __init__(
        self,
        core: Core,
        broker: SimulatedBroker,
        journal: Journal,
        *,
        group: int = 1,
        tell: Tell = to_nobody,
        mark: Mark = nothing,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(core, journal, group=group, tell=tell, mark=mark)
        self.broker, self._clock = broker, clock
        self._past: Iterator[Step] = iter(())
        self._next: Step | None = None
        self._later: dict[tuple[type, str], News] = {}

    def resume(self) -> None:
        """Go through what the journal holds; afterwards everything stands as it did when it was last written."""
        self._mark("resume.before")
        self._past = steps(self.journal)
        self._next = next(self._past, None)
        for row in _rows(self.journal):
            self._outside()
            self.row(row)
            self.resumed += 1
        self._outside()
        self._mark("resume.after")

    def row(self, row: Row) -> None:
        """Show a row to the broker, then let the core decide on it."""
        if row.ts > self.core.last_ts:
            for event in self.broker.on_row(row):
                self._take(event)
        self._take(row)
        if self._next is None and self._later:
            news, self._later = self._later, {}
            for late in news.values():
                self._take(late)
        if self._next is None and self.core.counts.rows % DIGEST_EVERY == 0:
            self._digest()

    def now(self) -> int:
        """UTC nanoseconds: the clock's, or the last row's without one."""
        return self.core.last_ts if self._clock is None else self._clock.now()

    def tell(self, event: Operator | Timer | News | Snapshot | PersonSays) -> None:
        """Take in what neither the market nor the broker said.

        A process that died between a row's fills and the row itself leaves a journal that goes on with that row and
        nothing else: until the feed has given it again, news waits, and a timer has nothing to tell.
        """
        if self._next is None:
            self._take(event)
        elif isinstance(event, Gate | SymbolFacts | AccountFacts):
            self._later[type(event), _about(event)] = event
        elif not isinstance(event, Timer):
            self._take(event)

    @property
    def is_current(self) -> bool:
        """True where the journal holds nothing more that the feed has to give again."""
        return self._next is None

    def reconcile(self, why: Why) -> list[str]:
        """Compare the broker's books with ours; the differences that nothing explains. New risk is then halted.

        While the journal still holds steps that the feed has to give again, there is nothing to compare yet.
        """
        if self._next is not None:
            return []
        books = self.broker.books()
        orders = [OrderSeen(key, "working") for key in books.open_orders]
        self._take(Snapshot(self.now(), why, books.positions, books.cash, orders))
        if not self.core.findings.differences:
            self.reconciled_ns = self.now()
        return self.core.findings.differences

    def differences(self) -> list[str]:
        """Where the broker's books are not ours, one sentence each."""
        books, core = self.broker.books(), self.core
        ours = {symbol: held for symbol, held in zip(core.symbols, core.positions, strict=True) if held != 0.0}
        found = [
            f"{symbol}: we hold {ours.get(symbol, 0.0)}, the broker {books.positions.get(symbol, 0.0)}"
            for symbol in core.symbols
            if ours.get(symbol) != books.positions.get(symbol)
        ]
        if books.cash != core.cash:
            found.append(f"cash: we have {core.cash}, the broker {books.cash}")
        return found

    def _take(self, event: Event) -> None:
        """Journal, decide, journal, send; then the same for every answer."""
        commands = self._again(event, self._next) if self._next is not None else self._decide(event)
        if not commands:
            if self._appended >= self._group:
                self._commit()
            return
        for command in commands:
            if isinstance(command, Submit) or (isinstance(command, Protect) and not command.amends):
                sent = OrderSent(command.ts, command.order_id)
                if self._next is not None:
                    self._again(sent, self._next)
                else:
                    self._decide(sent)
        if self._appended >= self._group:
            self._commit()
        for command in commands:
            if isinstance(command, Alert):
                self._tell(command)
            if isinstance(command, Alert | Denied):
                continue
            for answer in self.broker.handle(command):
                self._take(answer)

    def _again(self, event: Event, step: Step) -> list[Command]:
        """The event that the journal has next, taken in once more."""
        if encode(event) != step.event:
            raise JournalError(
                f"record {step.seq} differs: the journal has {told(decode_event(step.event))}, "
                f"the same rows now give {told(event)}"
            )
        commands = self.core.step(event)
        compare(step, commands, self.core)
        self._next = next(self._past, None)
        return commands

    def _outside(self) -> None:
        """Take in what people and timers said at this point of the journal."""
        while self._next is not None:
            event = decode_event(self._next.event)
            if not isinstance(event, OUTSIDE):
                return
            self._take(event)


def _about(news: News) -> str:
    """Whose or which news it is: a later one of the same takes its place."""
    if isinstance(news, Gate):
        return news.name
    return news.symbol if isinstance(news, SymbolFacts) else ""


def _rows(journal: Journal) -> Iterator[Row]:
    for record in journal.read():
        if record.kind == "event":
            event = decode_event(record.body)
            if isinstance(event, Row):
                yield event
