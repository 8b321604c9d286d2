"""Work for a broker: what is to be asked, run where it may block, and what that brought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from data.errors import OnetapeError
from data.rows import BookSnap
from live.brokers.base import Books, Known, VenueBroker
from live.core.events import Event
from live.dispatch import Order
from live.session import Why

Task = Literal["open", "handle", "poll", "books", "depth"]


class Result(NamedTuple):
    """What a call brought. error: why it brought nothing more."""

    events: list[Event]
    books: Books | None = None
    depth: Sequence[BookSnap] = ()
    error: OnetapeError | None = None


class Call(NamedTuple):
    """One piece of work for the broker; `run` blocks."""

    task: Task
    command: Order | None = None
    known: Sequence[Known] = ()
    why: Why = "timer"
    symbols: Sequence[str] = ()

    def run(self, broker: VenueBroker) -> Result:
        """Do it; errors that a user can meet are results, any other is a mistake of ours."""
        events: list[Event] = []
        try:
            if self.task == "handle" and self.command is not None:
                events += broker.handle(self.command)
                return Result(events)
            if self.task == "depth":
                return Result(events, depth=broker.depth(self.symbols))
            if self.task == "open":
                broker.open(self.known)
            events += broker.poll()
            if self.task == "poll":
                return Result(events)
            return Result(events, broker.books())
        except OnetapeError as error:
            return Result(events, error=error)
