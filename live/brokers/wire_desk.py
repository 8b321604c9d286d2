"""The desk: orders to a broker over a network, by the rules of evidence. Every such broker is a `Route` behind one.

    command -> Desk -> Route -> the wire
    the wire -> Route -> Seen, or a WireError -> Desk -> events

* Only the broker's documented no is a refusal; a lost answer is a doubt (`wire_doubts`) and counts until then.
* An exit waits until the protection that holds its shares is gone.
* Exits before entries before polls, within the budget; Retry-After is obeyed.

`handle` and `poll` block while the broker answers: a shell calls them from a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from msgspec.structs import replace

from data.calendar import SECOND_NS
from data.errors import AuthError, UnavailableError
from data.rows import BookSnap
from data.sources.base import Clock, WallClock
from data.sources.rehearsal import RehearsalClock
from live.brokers.base import Books, Capabilities, Known, Priority
from live.brokers.wire import Busy, Changed, Duplicate, Lost, NotSent, Refused, WireError
from live.brokers.wire_budget import Budget
from live.brokers.wire_calls import calls_of
from live.brokers.wire_doubts import Doubts
from live.brokers.wire_guards import Guards
from live.brokers.wire_identity import Identity
from live.brokers.wire_orders import Seen, Ticket, key_of, learn
from live.brokers.wire_route import SYMBOLS_A_CALL, DepthRoute, LoginRoute, Patience, Route
from live.core.commands import Cancel, Command, Protect, Submit
from live.core.events import BrokerEvent, OrderRefused

ENTRIES = ("entry", "reversal")
BOOKS_REQUESTS = 4


class Desk:
    """A broker over a network.

    Args:
        route: how this broker is spoken to. patience: how long what is waited for.

    `trouble` says why orders cannot be sent at all: a person must log in.
    """

    def __init__(self, route: Route, clock: Clock | None = None, patience: Patience | None = None) -> None:
        self.route = route
        self.capabilities: Capabilities = route.capabilities
        self.clock = WallClock() if clock is None else clock
        speed = self.clock.speed if isinstance(self.clock, RehearsalClock) else 1.0
        self.patience = patience or Patience().at(speed)
        self.budget = Budget(self.capabilities.requests_a_minute, self.clock)
        self.trouble = ""
        self.fresh_s = self.patience.fresh_s
        self.depth_symbols = SYMBOLS_A_CALL if isinstance(route, DepthRoute) else 0
        self._unheard = ""
        self._tickets: dict[str, Ticket] = {}
        self.guards, self.doubts, self._identity = Guards(self), Doubts(self), Identity(self)
        self._looked = self._heard = self._unheard_ns = 0
        self._lock = threading.RLock()

    def open(self, known: Sequence[Known] = ()) -> None:
        """Connect, check that this is the account and the service that were meant, and take up orders of before.

        Raises:
            AuthError: a person must log in. ConfigError: another account, or a service that has changed.
            UnavailableError: no answer.
        """
        with self._lock:
            self.budget.spend(1)
            try:
                self.route.open()
            except BaseException as error:
                self._waits(error)
                self.route.close()
                raise
            self._identity.opened()
            for each in known:
                self._adopt(each)

    def close(self) -> None:
        """Let go of connections; orders stay as they are."""
        with self._lock:
            self.route.close()

    def handle(self, command: Command) -> list[BrokerEvent]:
        """Act on a command; what is known of it at once."""
        with self._lock:
            if isinstance(command, Submit):
                return self._submit(command)
            if isinstance(command, Protect):
                return self.guards.protect(command)
            if isinstance(command, Cancel):
                return self._cancel(command)
            return []

    def recall(self, order_id: str) -> None:
        """Nothing of this order is to leave any more. From any thread, while a call runs: it is looked at last."""
        self.doubts.recall(order_id)

    def poll(self) -> list[BrokerEvent]:
        """What the broker has told since, and what waited for its time: to be called about once a second."""
        with self._lock:
            events: list[BrokerEvent] = []
            self._identity.look()
            for seen in self.route.pushed():
                if (ticket := self._of(seen)) is not None:
                    events += learn(ticket, seen, self.now())
            if self._look_is_due():
                events += self.look("poll")
            elif not self.out():
                self._unheard, self._unheard_ns = "", 0  # there is nothing to hear of
            for ticket in list(self._tickets.values()):
                events += self._forward(ticket)
            return events + self.guards.advance()

    def books(self) -> Books:
        """The broker's own record, to compare ours with.

        Raises:
            UnavailableError: it was not to be had; an account is never taken for flat.
        """
        with self._lock:
            self.budget.spend(BOOKS_REQUESTS)
            try:
                told = self.route.books()
            except AuthError as over:
                self.trouble = str(over)
                raise
            except Changed as other:
                self._identity.close_for(other)
                raise UnavailableError(str(other)) from None
            except UnavailableError as error:
                self._waits(error)
                raise
            self.budget.answered()
            self.trouble = self._identity.says
            names = {ticket.key: ticket.order_id for ticket in self._tickets.values()}
            names |= {ticket.venue_id: ticket.order_id for ticket in self._tickets.values() if ticket.venue_id}
            alive = list(dict.fromkeys(names.get(key, key) for key in told.open_orders))
            return replace(told, open_orders=alive, absent=self.doubts.absent(alive))

    def depth(self, symbols: Sequence[str]) -> list[BookSnap]:
        """The price books of up to `depth_symbols` symbols, out of what the budget leaves for looking.

        Raises:
            UnavailableError: they are not to be had now.
        """
        with self._lock:
            if not isinstance(self.route, DepthRoute) or not self.budget.claim("poll"):
                return []
            try:
                told = self.route.depth(symbols)
            except (WireError, AuthError) as error:
                self.fails(error)
                raise UnavailableError(f"the price book is not to be had ({error})") from None
            self.budget.answered()
            return told

    @property
    def deaf(self) -> str:
        """Why news of our orders does not reach us, "" where it does; one look that fails is followed by another."""
        since, why = self._unheard_ns, self._unheard
        silent = since and self.now() - since >= self.patience.deaf_s * SECOND_NS
        return (why if silent else "") or self.route.deaf()

    @property
    def token_until(self) -> int:
        """When the login ends unless it is renewed, UTC ns; 0 where there is none or nobody knows."""
        return self.route.token_until if isinstance(self.route, LoginRoute) else 0

    def wait_s(self, priority: Priority) -> float:
        """Seconds until a request of this kind has room in the budget; 0 now."""
        return self.budget.wait_s(priority)

    def hold_s(self) -> float:
        """Seconds for which nothing may be asked at all."""
        return self.budget.hold_s()

    def requests(self) -> tuple[int, int]:
        """Requests of the last minute, and how many are allowed; 0 for any number."""
        return self.budget.used(), self.capabilities.requests_a_minute

    # --- for the guards ---------------------------------------------------------------------------------------------

    def now(self) -> int:
        """UTC nanoseconds."""
        return self.clock.now()

    def track(self, ticket: Ticket) -> None:
        """Keep an eye on a ticket from now on."""
        self._tickets[ticket.key] = ticket

    def send(self, ticket: Ticket) -> list[BrokerEvent]:
        """One attempt at an order."""
        if (refused := self._not_now(ticket)) is not None:
            return refused
        if (closed := self._identity.stops(ticket)) is not None:
            return closed
        doubt = ticket.unknown_ns > 0  # an earlier try may have registered: only finding the order ends that
        if why := self.doubts.stays(ticket):
            return self.doubts.unmark(ticket, why) if doubt else self.drop(ticket)
        ticket.sent_ns, ticket.cleared, ticket.told_unknown = self.now(), False, False
        ticket.first_ns = ticket.first_ns or ticket.sent_ns
        ticket.absences = 0
        try:
            seen = self.route.place(ticket)
        except (Refused, AuthError, Changed) as no:  # a request without a good token is not looked at
            if isinstance(no, Changed):
                self._identity.close_for(no)
            self.trouble = str(no) if isinstance(no, AuthError) else self.trouble
            if doubt:
                return self.doubts.lost(ticket, f"the second try was refused ({no}), which says nothing of the first")
            ticket.stage, ticket.ended = "over", "refused"
            return [OrderRefused(self.now(), ticket.order_id, str(no), late=ticket.accepted)]
        except Busy as busy:
            wait = self.budget.busy(busy.after_s)
            ticket.not_before_ns = self.now() + int(wait * SECOND_NS)
            if self.capabilities.busy_is_refusal and not doubt:
                ticket.stage = "due"
                return []
            return self.doubts.lost(ticket, str(busy))
        except NotSent as unsent:
            if doubt:
                return self.doubts.lost(ticket, str(unsent))
            ticket.stage = "due"
            ticket.not_before_ns = self.now() + int(min(2 ** (ticket.attempts - 1), 30) * SECOND_NS)
            return []
        except Duplicate as known:
            ticket.registered = True
            return self.doubts.lost(ticket, str(known)) + self.look("entry")
        except Lost as lost:
            self.fails(lost)
            return self.doubts.lost(ticket, str(lost))
        finally:
            ticket.settled_ns = self.now()
        self.budget.answered()
        return learn(ticket, seen, self.now())

    def look(self, priority: Priority) -> list[BrokerEvent]:
        """Ask the broker what became of every order that is out."""
        out = self.out()
        if not out or not self.budget.claim(priority):
            return []
        began = self._looked = self.now()
        try:
            found = self.route.look(out)
        except (WireError, AuthError) as error:
            self.fails(error)
            self._unheard = f"the broker does not say what became of our orders ({error})"
            self._unheard_ns = self._unheard_ns or self.now()
            return []
        self.budget.answered()
        self._heard = self.now()
        self._unheard, self._unheard_ns, self.trouble = "", 0, self._identity.says
        events: list[BrokerEvent] = []
        for ticket in out:
            if (seen := found.get(ticket.key)) is not None:
                events += learn(ticket, seen, self.now())
            elif ticket.stage == "unknown":
                ticket.missed += 1
                ticket.absences = ticket.absences + 1 if self.doubts.counts(ticket, began) else 0
                events += self.doubts.lost(ticket, "not found yet")
        return events

    def withdraw(self, ticket: Ticket) -> list[BrokerEvent]:
        """Ask for a cancel, once in a while until the order has ended."""
        ticket.cancel_wanted = True
        if (changed := self._identity.changed) is not None and not changed.ours:
            return []
        if ticket.stage in ("due", "held"):
            return self.drop(ticket)
        # Not before a look has shown that it still stands: cancels alone would use up the budget of the looks.
        seen = self._heard >= ticket.cancel_sent_ns
        again = seen and self.now() - ticket.cancel_sent_ns > self.patience.cancel_again_s * SECOND_NS
        if not ticket.venue_id or ticket.stage == "over" or not again or not self.budget.claim("exit"):
            return []
        ticket.cancel_sent_ns = self.now()
        try:
            self.route.cancel(ticket)
        except (WireError, AuthError) as error:
            self.fails(error)  # whether it was done, came too late or got lost: the look tells
        else:
            self.budget.answered()
        return self.look("exit")

    def _waits(self, error: BaseException) -> None:
        """Heed a Retry-After that a route has told in its own sentence."""
        self._unread(error.__context__)
        if isinstance(error.__context__, Busy):
            self.budget.busy(error.__context__.after_s)

    def fails(self, error: WireError | AuthError) -> None:
        """What a request that failed says of the venue."""
        self._unread(error)
        if isinstance(error, AuthError):
            self.trouble = str(error)
        elif isinstance(error, Busy):
            self.budget.busy(error.after_s)
        elif isinstance(error, Lost) and (error.status >= 500 or error.status == 403):
            self.budget.failed()

    def _unread(self, error: BaseException | None) -> None:
        """Count an answer that came whole and was no use."""
        calls = calls_of(self)
        if calls is not None and isinstance(error, Lost) and not error.status:
            calls.unreadable()

    # --- one order --------------------------------------------------------------------------------------------------

    def _submit(self, command: Submit) -> list[BrokerEvent]:
        if command.order_id in self._tickets:  # the same key is the same order
            return []
        ticket = Ticket(command.order_id, command.order_id, command, command.quantity, command.reason not in ENTRIES)
        ticket.born_ns = self.now()
        self.track(ticket)
        waited = 0.0
        events: list[BrokerEvent] = []
        before = self.guards.filled(command.symbol)
        while self.guards.in_the_way(command.symbol) and waited < self.patience.settle_s:
            events += self.guards.advance()
            if not self.guards.in_the_way(command.symbol):
                break
            self.clock.sleep(self.patience.settle_step_s)
            waited += self.patience.settle_step_s
            events += self.look("exit")
        ticket.filled_before = before
        if self.guards.in_the_way(command.symbol):
            ticket.stage = "held"
            return events
        return events + self._go(ticket)

    def _go(self, ticket: Ticket) -> list[BrokerEvent]:
        """Send what nothing stands in the way of, unless its position is gone."""
        if ticket.exits and self.guards.filled(ticket.symbol) > ticket.filled_before:
            ticket.stage, ticket.ended = "over", "refused"
            reason = "the protection was filled first; what it left is another order's"
            return [OrderRefused(self.now(), ticket.order_id, reason)]
        return self.send(ticket)

    def _cancel(self, command: Cancel) -> list[BrokerEvent]:
        if (events := self.guards.cancel(command)) is not None:
            return events
        ticket = self._tickets.get(command.order_id)
        return [] if ticket is None else self.withdraw(ticket)

    def _forward(self, ticket: Ticket) -> list[BrokerEvent]:
        """Let a ticket do what its time has come for."""
        now = self.now()
        if ticket.stage == "held":
            if self.guards.in_the_way(ticket.symbol):
                return []
            ticket.stage = "due"
            return self._go(ticket)
        if ticket.stage == "due" and now >= ticket.not_before_ns:
            return self.doubts.again(ticket) if self.guards.resize(ticket) else self.drop(ticket)
        if ticket.stage == "unknown":
            return self.doubts.advance(ticket, now)
        if ticket.stage == "open" and ticket.cancel_wanted and not self.guards.owns(ticket):
            return self.withdraw(ticket)
        return []

    def _not_now(self, ticket: Ticket) -> list[BrokerEvent] | None:
        """Wait for room in the budget; not None where there will be none in time."""
        priority: Priority = "exit" if ticket.exits else "entry"
        while not self.budget.claim(priority):
            wait = self.budget.wait_s(priority)
            if wait > self.patience.budget_s:
                ticket.not_before_ns = self.now() + int(wait * SECOND_NS)
                return []
            self.clock.sleep(max(wait, 0.001))
        self.budget.spend(self.route.place_requests - 1)
        return None

    def drop(self, ticket: Ticket) -> list[BrokerEvent]:
        """An order that never left is over."""
        ticket.stage, ticket.ended = "over", "dropped"
        if ticket.quiet:
            return []
        reason = "taken back before it was sent" if ticket.cancel_wanted else "too old to be sent; nothing had left"
        return [OrderRefused(self.now(), ticket.order_id, reason)]

    def is_fresh(self, ticket: Ticket) -> bool:
        """Whether an entry is young enough to be sent."""
        return self.now() - ticket.born_ns < self.patience.fresh_s * SECOND_NS

    def _of(self, seen: Seen) -> Ticket | None:
        for ticket in self._tickets.values():
            if (seen.key and ticket.key == seen.key) or (ticket.venue_id and ticket.venue_id == seen.venue_id):
                return ticket
        return None

    def out(self) -> list[Ticket]:
        """Orders that the broker has, or may have."""
        return [ticket for ticket in self._tickets.values() if ticket.stage in ("unknown", "open")]

    def _look_is_due(self) -> bool:
        out = self.out()
        if not out:
            return False
        pace = self.patience.look_s
        if self.capabilities.order_stream and not any(t.stage == "unknown" or t.cancel_wanted for t in out):
            pace = 0.0 if self.route.stream_was_down() else self.patience.look_behind_stream_s
        return self.now() - self._looked >= pace * SECOND_NS

    def _adopt(self, known: Known) -> None:
        """An order of an earlier process: out, until the broker tells. Taken up once, however often it is opened."""
        command = known.command
        if key_of(command) in self._tickets:
            return
        exits = isinstance(command, Protect) or command.reason not in ENTRIES
        ticket = Ticket(command.order_id, key_of(command), command, command.quantity, exits, stage="unknown")
        ticket.born_ns = ticket.sent_ns = ticket.first_ns = command.ts
        ticket.quiet = isinstance(command, Protect)
        ticket.filled, ticket.paid, ticket.executions = known.filled, known.paid, set(known.executions)
        ticket.fees, ticket.by_sums = known.fees, not known.executions and known.filled > 0.0
        ticket.cleared, ticket.unknown_ns = False, self.now()
        ticket.settled_ns = self.now()  # of when the earlier process last sent it, only its end is known
        self.track(ticket)
        if isinstance(command, Protect):
            self.guards.adopt(command, ticket)
