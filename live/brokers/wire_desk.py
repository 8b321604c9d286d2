"""The desk: orders to a broker over a network, by the rules of evidence. Every such broker is a `Route` behind one.

    command -> Desk -> Route -> the wire
    the wire -> Route -> Seen, or a WireError -> Desk -> events

* A lost answer is UNKNOWN, and counts until the broker tells. Only its documented no is a refusal.
* A resend carries the same key, and is told of (`OrderSent`) one `poll` before it leaves, so that it is durable.
* Not finding an order proves nothing by itself. Whole lists of the broker's that do not have it, several in a row, long
  after the last try, are evidence (`Books.absent`); an order that stays unknown for longer is quarantined.
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
from live.brokers.wire_guards import Guards
from live.brokers.wire_orders import Seen, Ticket, key_of, learn
from live.brokers.wire_route import SYMBOLS_A_CALL, CheckedRoute, DepthRoute, LoginRoute, Patience, Route
from live.core.commands import Cancel, Command, Protect, Submit
from live.core.events import BrokerEvent, OrderQuarantined, OrderRefused, OrderSent, OrderUnknown

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
        self._changed: Changed | None = None
        self._tickets: dict[str, Ticket] = {}
        self._guards = Guards(self)
        self._looked = self._heard = self._unheard_ns = 0
        self._checked = 0
        self._recalled: set[str] = set()
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
            self._checked, self._changed = self.now(), None
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
                return self._guards.protect(command)
            if isinstance(command, Cancel):
                return self._cancel(command)
            return []

    def recall(self, order_id: str) -> None:
        """Nothing of this order is to leave any more. From any thread, while a call runs: it is looked at last."""
        self._recalled.add(order_id)

    def poll(self) -> list[BrokerEvent]:
        """What the broker has told since, and what waited for its time: to be called about once a second."""
        with self._lock:
            events: list[BrokerEvent] = []
            self._check()
            for seen in self.route.pushed():
                if (ticket := self._of(seen)) is not None:
                    events += learn(ticket, seen, self.now())
            if self._look_is_due():
                events += self.look("poll")
            elif not self._out():
                self._unheard, self._unheard_ns = "", 0  # there is nothing to hear of
            for ticket in list(self._tickets.values()):
                events += self._forward(ticket)
            return events + self._guards.advance()

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
                self._close_for(other)
                raise UnavailableError(str(other)) from None
            except UnavailableError as error:
                self._waits(error)
                raise
            self._answered()
            self.trouble = str(self._changed or "")
            names = {ticket.key: ticket.order_id for ticket in self._tickets.values()}
            names |= {ticket.venue_id: ticket.order_id for ticket in self._tickets.values() if ticket.venue_id}
            alive = list(dict.fromkeys(names.get(key, key) for key in told.open_orders))
            return replace(told, open_orders=alive, absent=self._absent(alive))

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
                self._fails(error)
                raise UnavailableError(f"the price book is not to be had ({error})") from None
            self._answered()
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
        if (closed := self._not_there(ticket)) is not None:
            return closed
        doubt = ticket.unknown_ns > 0  # an earlier try may have registered: only finding the order ends that
        if why := self._stays(ticket):
            return self._unmark(ticket, why) if doubt else self._drop(ticket)
        ticket.sent_ns, ticket.cleared, ticket.told_unknown = self.now(), False, False
        ticket.first_ns = ticket.first_ns or ticket.sent_ns
        ticket.absences = 0
        try:
            seen = self.route.place(ticket)
        except (Refused, AuthError, Changed) as no:  # a request without a good token is not looked at
            if isinstance(no, Changed):
                self._close_for(no)
            self.trouble = str(no) if isinstance(no, AuthError) else self.trouble
            if doubt:
                return self._lost(ticket, f"the second try was refused ({no}), which says nothing of the first")
            ticket.stage, ticket.ended = "over", "refused"
            return [OrderRefused(self.now(), ticket.order_id, str(no), late=ticket.accepted)]
        except Busy as busy:
            wait = self.budget.busy(busy.after_s)
            ticket.not_before_ns = self.now() + int(wait * SECOND_NS)
            if self.capabilities.busy_is_refusal and not doubt:
                ticket.stage = "due"
                return []
            return self._lost(ticket, str(busy))
        except NotSent as unsent:
            if doubt:
                return self._lost(ticket, str(unsent))
            ticket.stage = "due"
            ticket.not_before_ns = self.now() + int(min(2 ** (ticket.attempts - 1), 30) * SECOND_NS)
            return []
        except Duplicate as known:
            ticket.registered = True
            return self._lost(ticket, str(known)) + self.look("entry")
        except Lost as lost:
            self._fails(lost)
            return self._lost(ticket, str(lost))
        finally:
            ticket.settled_ns = self.now()
        self._answered()
        return learn(ticket, seen, self.now())

    def look(self, priority: Priority) -> list[BrokerEvent]:
        """Ask the broker what became of every order that is out."""
        out = self._out()
        if not out or not self.budget.claim(priority):
            return []
        began = self._looked = self.now()
        try:
            found = self.route.look(out)
        except (WireError, AuthError) as error:
            self._fails(error)
            self._unheard = f"the broker does not say what became of our orders ({error})"
            self._unheard_ns = self._unheard_ns or self.now()
            return []
        self._answered()
        self._heard = self.now()
        self._unheard, self._unheard_ns, self.trouble = "", 0, str(self._changed or "")
        events: list[BrokerEvent] = []
        for ticket in out:
            if (seen := found.get(ticket.key)) is not None:
                events += learn(ticket, seen, self.now())
            elif ticket.stage == "unknown":
                ticket.missed += 1
                ticket.absences = ticket.absences + 1 if self._counts(ticket, began) else 0
                events += self._lost(ticket, "not found yet")
        return events

    def withdraw(self, ticket: Ticket) -> list[BrokerEvent]:
        """Ask for a cancel, once in a while until the order has ended."""
        ticket.cancel_wanted = True
        if self._changed is not None and not self._changed.ours:
            return []
        if ticket.stage in ("due", "held"):
            return self._drop(ticket)
        # Not before a look has shown that it still stands: cancels alone would use up the budget of the looks.
        seen = self._heard >= ticket.cancel_sent_ns
        again = seen and self.now() - ticket.cancel_sent_ns > self.patience.cancel_again_s * SECOND_NS
        if not ticket.venue_id or ticket.stage == "over" or not again or not self.budget.claim("exit"):
            return []
        ticket.cancel_sent_ns = self.now()
        try:
            self.route.cancel(ticket)
        except (WireError, AuthError) as error:
            self._fails(error)  # whether it was done, came too late or got lost: the look tells
        else:
            self._answered()
        return self.look("exit")

    def _check(self) -> None:
        """Look again whether this is the account of the login: after each new connection or token, and at times."""
        route = self.route
        if not isinstance(route, CheckedRoute) or self._changed is not None:
            return
        due = route.renewed() or self.now() - self._checked >= self.patience.check_s * SECOND_NS
        if not due or not self.budget.claim("poll"):
            return
        try:
            route.check()
        except Changed as other:
            self._close_for(other)
        except (WireError, AuthError) as error:
            self._fails(error)  # it is asked again at the next poll; new risk waits meanwhile
        else:
            self._checked = self.now()
            self._answered()

    def _close_for(self, other: Changed) -> None:
        """Nothing new is sent until someone has looked and started again."""
        self._changed, self.trouble = other, str(other)

    def _not_there(self, ticket: Ticket) -> list[BrokerEvent] | None:
        """What is not sent where the account, or the way to it, is another; None where the order may go."""
        if not ticket.exits:
            self._check()
            if isinstance(self.route, CheckedRoute) and self.route.renewed() and self._changed is None:
                ticket.not_before_ns = self.now()
                return []  # nobody could say: it is asked again at the next poll
        if self._changed is None or (ticket.exits and self._changed.ours):
            return None
        if ticket.unknown_ns:
            return self._lost(ticket, str(self._changed))
        ticket.stage, ticket.ended = "over", "refused"
        return [OrderRefused(self.now(), ticket.order_id, str(self._changed), late=ticket.accepted)]

    def _waits(self, error: BaseException) -> None:
        """Heed a Retry-After that a route has told in its own sentence."""
        self._unread(error.__context__)
        if isinstance(error.__context__, Busy):
            self.budget.busy(error.__context__.after_s)

    def _answered(self) -> None:
        self.budget.answered()

    def _fails(self, error: WireError | AuthError) -> None:
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
        before = self._guards.filled(command.symbol)
        while self._guards.in_the_way(command.symbol) and waited < self.patience.settle_s:
            events += self._guards.advance()
            if not self._guards.in_the_way(command.symbol):
                break
            self.clock.sleep(self.patience.settle_step_s)
            waited += self.patience.settle_step_s
            events += self.look("exit")
        ticket.filled_before = before
        if self._guards.in_the_way(command.symbol):
            ticket.stage = "held"
            return events
        return events + self._go(ticket)

    def _go(self, ticket: Ticket) -> list[BrokerEvent]:
        """Send what nothing stands in the way of, unless its position is gone."""
        if ticket.exits and self._guards.filled(ticket.symbol) > ticket.filled_before:
            ticket.stage, ticket.ended = "over", "refused"
            reason = "the protection was filled first; what it left is another order's"
            return [OrderRefused(self.now(), ticket.order_id, reason)]
        return self.send(ticket)

    def _cancel(self, command: Cancel) -> list[BrokerEvent]:
        if (events := self._guards.cancel(command)) is not None:
            return events
        ticket = self._tickets.get(command.order_id)
        return [] if ticket is None else self.withdraw(ticket)

    def _forward(self, ticket: Ticket) -> list[BrokerEvent]:
        """Let a ticket do what its time has come for."""
        now = self.now()
        if ticket.stage == "held":
            if self._guards.in_the_way(ticket.symbol):
                return []
            ticket.stage = "due"
            return self._go(ticket)
        if ticket.stage == "due" and now >= ticket.not_before_ns:
            return self._again(ticket) if self._guards.resize(ticket) else self._drop(ticket)
        if ticket.stage == "unknown":
            return self._unknown(ticket, now)
        if ticket.stage == "open" and ticket.cancel_wanted and not self._guards.owns(ticket):
            return self.withdraw(ticket)
        return []

    def _unknown(self, ticket: Ticket, now: int) -> list[BrokerEvent]:
        may_resend = (
            self.capabilities.dedupes != "no"
            and not ticket.registered
            and ticket.missed > 0
            and ticket.attempts <= self.patience.resends
            and now >= ticket.not_before_ns
            and now - ticket.sent_ns > self.capabilities.visibility_delay_s * SECOND_NS
            and (ticket.exits or self._is_fresh(ticket))
            and self._guards.may_go_again(ticket)
        )
        why = self._stays(ticket)
        if ticket.cleared and why:
            return self._unmark(ticket, why)
        if ticket.cleared or (may_resend and not why):
            return self._again(ticket)
        if not ticket.quarantined and now - ticket.unknown_ns > self.patience.quarantine_s * SECOND_NS:
            ticket.quarantined = True
            known = "it was registered, but is not in any list" if ticket.registered else "it was found nowhere"
            return [OrderQuarantined(now, ticket.order_id, known)]
        return []

    def _stays(self, ticket: Ticket) -> str:
        """Why nothing of the order may leave now, whatever was planned; "" where it may."""
        if ticket.cancel_wanted or ticket.order_id in self._recalled:
            ticket.cancel_wanted = True
            return "it was taken back before it was sent again"
        window_s = self.capabilities.key_window_s - self.patience.arrives_s
        if ticket.unknown_ns and self.now() - ticket.first_ns >= window_s * SECOND_NS:
            return "the broker may forget its key before it arrives"
        return ""

    def _unmark(self, ticket: Ticket, why: str) -> list[BrokerEvent]:
        """A second try that was told of, and does not leave after all."""
        ticket.cleared = False
        ticket.attempts -= 1
        return [OrderUnknown(self.now(), ticket.order_id, why)]

    def _again(self, ticket: Ticket) -> list[BrokerEvent]:
        """Send once more; what is about to leave is told first, and leaves at the next poll."""
        if not ticket.exits and not self._is_fresh(ticket) and ticket.stage == "due":
            return self._drop(ticket)
        if not ticket.cleared:
            ticket.cleared = True
            ticket.attempts += 1
            return [OrderSent(self.now(), ticket.order_id, ticket.attempts)]
        return self.send(ticket)

    def _lost(self, ticket: Ticket, reason: str) -> list[BrokerEvent]:
        ticket.stage = "unknown"
        ticket.unknown_ns = ticket.unknown_ns or self.now()
        if ticket.told_unknown:
            return []
        ticket.told_unknown = True
        return [OrderUnknown(self.now(), ticket.order_id, reason)]

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

    def _drop(self, ticket: Ticket) -> list[BrokerEvent]:
        """An order that never left is over."""
        ticket.stage, ticket.ended = "over", "dropped"
        if ticket.quiet:
            return []
        reason = "taken back before it was sent" if ticket.cancel_wanted else "too old to be sent; nothing had left"
        return [OrderRefused(self.now(), ticket.order_id, reason)]

    def _counts(self, ticket: Ticket, began: int) -> bool:
        """Whether a whole list, asked for at `began`, that does not have the order says anything.

        No request of its key is under way, and the last one is longer ago than the broker needs to show an order, by a
        good deal: it may have been held up on its way, or the list come from an old copy. Never where the broker has
        said that it knows the key, or where an order in the list may be this one.
        """
        least_s = max(self.patience.absent_s, 3.0 * self.capabilities.visibility_delay_s)
        late = began - ticket.settled_ns >= least_s * SECOND_NS
        return late and self.capabilities.list_includes_closed and not ticket.registered and not ticket.likely

    def _absent(self, alive: Sequence[str]) -> list[str]:
        """Orders of which the broker's lists are the evidence that it never had them; they are over."""
        found = []
        for ticket in self._out():
            never = ticket.stage == "unknown" and not ticket.cleared and not ticket.filled and not ticket.accepted
            if never and ticket.absences >= self.patience.absent_looks and ticket.order_id not in alive:
                ticket.stage, ticket.ended = "over", "dropped"
                if not ticket.quiet or self._guards.never(ticket):
                    found.append(ticket.order_id)
        return found

    def _is_fresh(self, ticket: Ticket) -> bool:
        return self.now() - ticket.born_ns < self.patience.fresh_s * SECOND_NS

    def _of(self, seen: Seen) -> Ticket | None:
        for ticket in self._tickets.values():
            if (seen.key and ticket.key == seen.key) or (ticket.venue_id and ticket.venue_id == seen.venue_id):
                return ticket
        return None

    def _out(self) -> list[Ticket]:
        """Orders that the broker has, or may have."""
        return [ticket for ticket in self._tickets.values() if ticket.stage in ("unknown", "open")]

    def _look_is_due(self) -> bool:
        out = self._out()
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
            self._guards.adopt(command, ticket)
