"""Planted bugs: our own code, broken on purpose, for the checkers to catch.

Each is a way in which a trading program has been wrong: the policies of the feasibility probe, and those that the
acceptance plan names. A mutant changes the code that runs, in this process, for as long as it is entered.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np
from msgspec.structs import replace

from data import calendar
from live import journal, session_venue, unfinished
from live.brokers import wire_budget, wire_desk, wire_orders
from live.brokers.wire_doubts import Doubts
from live.core import desk as core_desk
from live.core import risk, tally
from live.core.events import Fill, OrderCancelled, OrderRefused
from live.core.facts import State as RiskState
from live.core.orders import State
from live.core.shared import Shared

from . import route

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Mutant:
    """A planted bug. faults: those it needs to show. seed: of a schedule that shows it."""

    name: str
    faults: tuple[str, ...]
    caught_by: tuple[str, ...]
    plant: Callable[[], AbstractContextManager[None]]


MUTANTS: dict[str, Mutant] = {}


def mutant(
    name: str, *caught_by: str, faults: tuple[str, ...]
) -> Callable[[Callable[[], Iterator[None]]], Callable[[], AbstractContextManager[None]]]:
    """Enter a planted bug under its name."""

    def enter(plant: Callable[[], Iterator[None]]) -> Callable[[], AbstractContextManager[None]]:
        manager = contextmanager(plant)
        MUTANTS[name] = Mutant(name, faults, caught_by, manager)
        return manager

    return enter


@contextmanager
def patched(where: Any, name: str, new: Any) -> Iterator[None]:
    """`where.name` is `new` for a while."""
    old = where.__dict__[name]
    setattr(where, name, new)
    try:
        yield
    finally:
        setattr(where, name, old)


# --- the policies of the probe ------------------------------------------------------------------------------------


@mutant("fresh key per retry", "I1", "I2", faults=("F06", "F10", "F09"))
def fresh_key() -> Iterator[None]:
    old, number = route.Toy.place, itertools.count()

    def place(self: route.Toy, ticket: wire_orders.Ticket) -> Any:
        if ticket.attempts > 1:
            ticket.key = f"{ticket.key}-{next(number)}"
        return old(self, ticket)

    with patched(route.Toy, "place", place):
        yield


@mutant("send, then journal", "I2", faults=("F01", "F02"))
def send_first() -> Iterator[None]:
    old = session_venue.VenueSession._take

    def take(self: Any, event: Any) -> None:
        """An order goes to the broker before the journal has been made durable."""
        commit, self._commit = self._commit, lambda: None
        try:
            old(self, event)
        finally:
            self._commit = commit

    def send(self: Any, command: Any, now: int) -> None:
        pass

    with patched(session_venue.VenueSession, "_take", take), patched(session_venue.VenueSession, "_send", send):
        yield


@mutant("no answer after three tries is a rejection", "I6", "I3", faults=("F06", "F10"))
def three_tries() -> Iterator[None]:
    old = Doubts.advance

    def unknown(self: Doubts, ticket: wire_orders.Ticket, now: int) -> Any:
        if ticket.missed >= 3:
            ticket.stage, ticket.ended = "over", "refused"
            return [OrderRefused(now, ticket.order_id, "no answer after three tries")]
        return old(self, ticket, now)

    with patched(Doubts, "advance", unknown):
        yield


@mutant("not found twice is a rejection", "I6", "I3", faults=("F06", "F10"))
def not_found_twice() -> Iterator[None]:
    old = wire_desk.Desk.look

    def look(self: wire_desk.Desk, priority: Any) -> Any:
        events = old(self, priority)
        for ticket in self._tickets.values():
            if ticket.stage == "unknown" and ticket.missed >= 2:
                ticket.stage, ticket.ended = "over", "refused"
                events.append(OrderRefused(self.now(), ticket.order_id, "not found twice"))
        return events

    with patched(wire_desk.Desk, "look", look):
        yield


@mutant("unfinished intents are dropped on a restart", "I3", "I6", "I12", faults=("F01",))
def dropped() -> Iterator[None]:
    with (
        patched(unfinished.Unfinished, "known", lambda *_: []),
        patched(unfinished.Unfinished, "unsent", lambda *_: []),
    ):
        yield


@mutant("a key is sent again to a broker that does not dedupe", "I1", faults=("F06", "F10"))
def resent() -> Iterator[None]:
    def claims(self: Doubts, ticket: wire_orders.Ticket, now: int) -> Any:
        desk = self._desk
        honest = desk.capabilities
        desk.capabilities = replace(honest, dedupes="refuses", key_window_s=3600.0)
        try:
            return old(self, ticket, now)
        finally:
            desk.capabilities = honest

    old = Doubts.advance
    with patched(Doubts, "advance", claims), patched(Doubts, "stays", lambda *_: ""):
        yield


# --- limits ---------------------------------------------------------------------------------------------------------


@mutant("a limit ignores open orders", "I5", faults=("F21", "F06"))
def no_open_orders() -> Iterator[None]:
    none = lambda *_: ""  # noqa: E731
    with (
        patched(RiskState, "pending", lambda *_: 0.0),
        _control("R09.orders_per_intent", none),
        _control("R06.count", none),
        _control("R20.self_trade", none),
    ):
        yield


@mutant("a limit ignores unknown orders", "I5", faults=("F06", "F10"))
def no_unknown_orders() -> Iterator[None]:
    old = tally.Tally.look

    def look(self: tally.Tally, *told: Any) -> Any:
        state = old(self, *told)
        state.open = [order for order in state.open if order.state not in (State.UNKNOWN, State.QUARANTINED)]
        return state

    with patched(tally.Tally, "look", look):
        yield


@contextmanager
def _control(code: str, check: Any) -> Iterator[None]:
    controls = tuple(each._replace(check=check) if each.code == code else each for each in risk.CONTROLS)
    with patched(risk, "CONTROLS", controls):
        yield


@mutant("an exit is not held to what the broker has", "I5", faults=("F24", "F34", "F21"))
def exits_of_nothing() -> Iterator[None]:
    with patched(Shared, "room", lambda _self, _column, held: abs(held)), _control("R28.books", lambda *_: ""):
        yield


# --- fills ----------------------------------------------------------------------------------------------------------


@mutant("a fill is applied twice", "I3", "I4", "I16", faults=("F14", "F21"))
def fill_twice() -> Iterator[None]:
    old, done = core_desk.Desk.filled, core_desk.apply_fill

    def twice(slots: Any, account: Any, b: int, quantity: float, *rest: Any) -> None:
        done(slots, account, b, quantity, *rest)
        if quantity > 30.0:
            done(slots, account, b, quantity, *rest)

    with patched(core_desk, "apply_fill", twice), patched(core_desk.Desk, "filled", old):
        yield


@mutant("a fill is dropped after a reconnect", "I3", "I6", faults=("F01", "F14"))
def fill_dropped() -> Iterator[None]:
    old = wire_desk.Desk._adopt

    def adopt(self: wire_desk.Desk, known: Any) -> None:
        old(self, known)
        ticket = self._tickets[wire_orders.key_of(known.command)]
        ticket.filled = known.command.quantity  # as if it had been told of before
        ticket.by_sums = True

    with patched(wire_desk.Desk, "_adopt", adopt):
        yield


@mutant("a partial fill counts as the whole order", "I3", "I4", faults=("F21",))
def partial_is_whole() -> Iterator[None]:
    old = wire_orders._filled

    def filled(ticket: wire_orders.Ticket, each: Any, now: int) -> Fill:
        whole = replace(each, quantity=ticket.quantity - ticket.filled)
        return old(ticket, whole, now)

    with patched(wire_orders, "_filled", filled):
        yield


@mutant("the word of a cancel is its end, before a late fill", "I6", "I3", faults=("F23", "F21"))
def cancel_is_the_end() -> Iterator[None]:
    old = wire_desk.Desk.withdraw

    def withdraw(self: wire_desk.Desk, ticket: wire_orders.Ticket) -> Any:
        was = ticket.cancel_sent_ns
        events = old(self, ticket)
        if ticket.cancel_sent_ns != was and ticket.stage == "open" and not ticket.quiet:
            ticket.stage, ticket.ended = "over", "cancelled"
            events.append(OrderCancelled(self.now(), ticket.order_id))
        return events

    with patched(wire_desk.Desk, "withdraw", withdraw):
        yield


@mutant("a short has the wrong sign", "I3", "I4", faults=("F21",))
def wrong_sign() -> Iterator[None]:
    old = core_desk.apply_fill

    def booked(slots: Any, account: Any, b: int, quantity: float, *rest: Any) -> None:
        opens_short = quantity < 0.0 and slots[b + core_desk.QTY] == 0.0
        old(slots, account, b, -quantity if opens_short else quantity, *rest)

    with patched(core_desk, "apply_fill", booked):
        yield


# --- pace, halts, data ----------------------------------------------------------------------------------------------


@mutant("a retry ignores Retry-After", "I13", faults=("F08",))
def no_retry_after() -> Iterator[None]:
    with patched(wire_budget.Budget, "hold", lambda *_: None):
        yield


@mutant("a halt is looked at before the queue, not at the wire", "I10", faults=("F37", "F05", "F08"))
def halt_before_the_queue() -> Iterator[None]:
    old = session_venue.VenueSession._queue

    def queue(self: Any, command: Any, born_ns: int) -> None:
        if isinstance(command, session_venue.Cancel) and self.core.halted:
            return  # what was asked for already goes its way
        old(self, command, born_ns)

    with patched(session_venue.VenueSession, "_queue", queue):
        yield


@mutant("an old book is used after a reconnect", "I9", faults=("F14", "F16"))
def old_book() -> Iterator[None]:
    with _control("R14.stale", lambda *_: ""):
        yield


@mutant("a row is decided on twice", "I8", faults=("F14",))
def row_twice() -> Iterator[None]:
    from live.core import core

    old = core.Core._on_row

    def on_row(self: Any, row: Any) -> Any:
        if row.ts <= self.desk.last_ts:
            self.desk.last_ts = row.ts - 1
        return old(self, row)

    with patched(core.Core, "_on_row", on_row):
        yield


@mutant("the time zone is off by the summer's hour", "I5", faults=("F30",))
def summer_time() -> Iterator[None]:
    old = calendar.session_columns

    def columns(ts: Any, clock: str) -> Any:
        session, since, left = old(ts, clock)
        return session, np.asarray(since) + 3600.0, np.asarray(left) + 3600.0

    with patched(calendar, "session_columns", columns):
        yield


# --- one writer, one journal ----------------------------------------------------------------------------------------


@mutant("the lease is never looked at again", "I11", "I7", "I1", faults=("F25",))
def no_lease() -> Iterator[None]:
    """A writer that finds another's record in its place writes on behind it."""
    old = journal.SqliteJournal._append

    def append(self: Any, kind: str, body: bytes) -> None:
        try:
            self._begin()
            last = self._db.execute("SELECT seq, checksum FROM record ORDER BY seq DESC LIMIT 1").fetchone()
        except apsw.Error as error:
            raise self._failed(error) from error
        if last is not None:
            self._seq, self._checksum = last
        old(self, kind, body)

    with (
        patched(journal.SqliteJournal, "_append", append),
        patched(journal.SqliteJournal, "check_writer", lambda _: None),
    ):
        yield


@mutant("the journal is not synced", "I2", "I7", faults=("F02",))
def no_sync() -> Iterator[None]:
    old = journal.SqliteJournal._set_up

    def set_up(self: Any) -> None:
        old(self)
        self._db.execute("PRAGMA synchronous = OFF").fetchall()

    with patched(journal.SqliteJournal, "_set_up", set_up):
        yield


@mutant("checksums are not looked at", "I7", faults=("F02",))
def no_checksums() -> Iterator[None]:
    old = journal.SqliteJournal.read

    def read(self: Any) -> Iterator[Any]:
        honest = journal._chained
        rows = self._db.execute("SELECT CAST(checksum AS BLOB) FROM record ORDER BY seq").fetchall()
        given = iter([row[0] for row in rows])
        journal._chained = lambda *_: next(given)
        try:
            yield from old(self)
        finally:
            journal._chained = honest

    with patched(journal.SqliteJournal, "read", read):
        yield


@mutant("another body under the same key", "I2", faults=("F05", "F06"))
def other_body() -> Iterator[None]:
    old = Doubts.again

    def again(self: Doubts, ticket: wire_orders.Ticket) -> Any:
        if ticket.cleared and isinstance(ticket.command, wire_desk.Submit):
            ticket.command = replace(ticket.command, limit=round(ticket.command.limit * 1.001, 2))
        return old(self, ticket)

    with patched(Doubts, "again", again):
        yield


@mutant("a budget for each caller instead of one for all", "I13", faults=("F20", "F23"))
def own_budgets() -> Iterator[None]:
    """Every kind of request has a full bucket of its own."""
    old = wire_desk.Desk.__init__

    class Many(wire_budget.Budget):
        def claim(self, priority: Any) -> bool:
            own = self.__dict__.setdefault("own", {})
            bucket = own.setdefault(priority, wire_budget.Budget(2 * self.per_minute, self._clock))
            return bool(bucket.claim(priority))

        def wait_s(self, priority: Any) -> float:
            return 0.0

    def init(self: Any, *args: Any, **more: Any) -> None:
        old(self, *args, **more)
        self.budget = Many(self.capabilities.requests_a_minute, self.clock)
        self.budget.per_minute = self.capabilities.requests_a_minute
        self.patience = wire_desk.Patience(look_s=0.5, look_behind_stream_s=0.5)

    with patched(wire_desk.Desk, "__init__", init):
        yield


@mutant("the next day lifts the halt", "I10", faults=("F30", "F37"))
def day_lifts_the_halt() -> Iterator[None]:
    from live.core import core

    old = core.Core._on_row

    def on_row(self: Any, row: Any) -> Any:
        if row.session != self.desk.tally.state.market.session:
            self.desk.halted = ""
        return old(self, row)

    with patched(core.Core, "_on_row", on_row):
        yield
