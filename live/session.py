"""One account's session: events into the journal, then into the core; its commands into the journal, then out.

    broker.on_row(row) -> fills ─┐
    row ─────────────────────────┴─> journal -> core -> journal -> broker -> answers ─> (again)

A session over a journal that already holds something first goes through it again: the same rows into the same broker
and core must give the same events and the same commands, byte for byte. Then it goes on behind the last row. So a
restart, a crash and a replay are one path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter_ns
from typing import Literal

import msgspec

from data.errors import JournalError
from live.brokers.base import SimulatedBroker
from live.core.commands import Alert, Command, Denied, Protect, Submit, decode_command
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
from live.latency import Latency

GROUP = 512
DIGEST_EVERY = 1_000
OUTSIDE = (Operator, Timer, Gate, SymbolFacts, AccountFacts, Snapshot, PersonSays)


class Session:
    """Core, broker and journal of one account.

    Args:
        core: fresh.
        broker: fresh.
        journal: where everything is written; what it holds already is gone through by `resume`.
        group: events that one transaction may hold; 1 makes every event durable before its commands leave.
        tell: called with every alert.
    """

    def __init__(
        self,
        core: Core,
        broker: SimulatedBroker,
        journal: Journal,
        *,
        group: int = 1,
        tell: Callable[[Alert], None] = lambda _: None,
    ) -> None:
        self.core, self.broker, self.journal = core, broker, journal
        self.latency = Latency()
        self.resumed = 0
        self._group, self._tell = group, tell
        self._appended = 0
        self._past: Iterator[Step] = iter(())
        self._next: Step | None = None

    def resume(self) -> None:
        """Go through what the journal holds; afterwards everything stands as it did when it was last written.

        Raises:
            JournalError: the journal is damaged, or the same rows do not give the same events and commands again.
        """
        self._past = steps(self.journal)
        self._next = next(self._past, None)
        for row in _rows(self.journal):
            self._outside()
            self.row(row)
            self.resumed += 1
        self._outside()

    def row(self, row: Row) -> None:
        """Show a row to the broker, then let the core decide on it."""
        if row.ts > self.core.last_ts:
            for event in self.broker.on_row(row):
                self._take(event)
        self._take(row)
        if self._next is None and self.core.counts.rows % DIGEST_EVERY == 0:
            self.journal.append_digest(self.core.digest())

    def tell(self, event: Operator | Timer | News | Snapshot | PersonSays) -> None:
        """Take in what neither the market nor the broker said."""
        self._take(event)

    @property
    def is_current(self) -> bool:
        """True where the journal holds nothing more that the feed has to give again."""
        return self._next is None

    def reconcile(self, why: Literal["start", "reconnect", "timer", "person"]) -> list[str]:
        """Compare the broker's books with ours; the differences that nothing explains. New risk is then halted.

        While the journal still holds steps that the feed has to give again, there is nothing to compare yet.
        """
        if self._next is not None:
            return []
        books = self.broker.books()
        orders = [OrderSeen(key, "working") for key in books.open_orders]
        self._take(Snapshot(self.core.last_ts, why, books.positions, books.cash, orders))
        return self.core.findings.differences

    def close(self) -> None:
        """Write the final state's digest and let go of the journal."""
        if self._next is None:
            self.journal.append_digest(self.core.digest())
        self.journal.close()

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
        commands = self._decide(event)
        if not commands:
            if self._appended >= self._group:
                self._commit()
            return
        for command in commands:
            if isinstance(command, Submit) or (isinstance(command, Protect) and not command.amends):
                self._decide(OrderSent(command.ts, command.order_id))
        if self._appended >= self._group:
            self._commit()
        for command in commands:
            if isinstance(command, Alert):
                self._tell(command)
            if isinstance(command, (Alert, Denied)):
                continue
            for answer in self.broker.handle(command):
                self._take(answer)

    def _decide(self, event: Event) -> list[Command]:
        if self._next is not None:
            return self._again(event, self._next)
        self.journal.append_event(event)
        self._appended += 1
        start = perf_counter_ns()
        commands = self.core.step(event)
        if type(event) is Row:
            self.latency.add(perf_counter_ns() - start)
        if commands:
            self.journal.append_commands(commands)
        return commands

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

    def _commit(self) -> None:
        self.journal.commit()
        self._appended = 0


class Replayed(msgspec.Struct, frozen=True):
    """What a replay went through. digests: how many states were compared. digest: of the last state."""

    events: int
    rows: int
    commands: int
    digests: int
    digest: str


def replay(core: Core, journal: Journal) -> Replayed:
    """Step a fresh core through a journal's events.

    Raises:
        JournalError: the journal is damaged, or a command or state differs; it names the first record that does.
    """
    events = commands = digests = 0
    for step in steps(journal):
        compare(step, core.step(decode_event(step.event)), core)
        events += 1
        commands += len(step.commands)
        digests += bool(step.digest)
    return Replayed(events, core.counts.rows, commands, digests, core.digest())


def compare(step: Step, commands: list[Command], core: Core) -> None:
    """
    Raises:
        JournalError: these are not the journal's commands, to the byte, or the state is not the one it had.
    """
    fresh = [encode(command) for command in commands]
    if fresh != step.commands:
        at = next((i for i, (a, b) in enumerate(zip(fresh, step.commands, strict=False)) if a != b), -1)
        at = min(len(fresh), len(step.commands)) if at < 0 else at
        had = told(decode_command(step.commands[at])) if at < len(step.commands) else "none"
        now = told(commands[at]) if at < len(commands) else "none"
        raise JournalError(
            f"record {step.seq} ({told(decode_event(step.event))}): command {at + 1} differs; "
            f"the journal has {had}, the replay gives {now}"
        )
    if step.digest and step.digest != core.digest():
        raise JournalError(
            f"record {step.seq} ({told(decode_event(step.event))}): the commands are the same, the state is not: "
            f"digest {step.digest[:12]} in the journal, {core.digest()[:12]} in the replay"
        )


def told(message: Event | Command) -> str:
    """An event or command in a few words."""
    if isinstance(message, Row):
        return f"row {message.ts}"
    fields = msgspec.structs.asdict(message)
    shown = [f"{name}={value}" for name, value in fields.items() if name not in ("ts", "order_id", "text")]
    return f"{type(message).__name__}({', '.join(shown)})"


def _rows(journal: Journal) -> Iterator[Row]:
    for record in journal.read():
        if record.kind == "event":
            event = decode_event(record.body)
            if isinstance(event, Row):
                yield event
