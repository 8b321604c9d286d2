"""A session with a broker over a network: every request is durable before it leaves, and one is made at a time.

    row, news, answers -> journal -> core -> journal -> Dispatch -> mark as sent -> commit -> Call -> broker
                                                        answers <- journal <- core <- journal <────────┘

An order that leaves at once is made durable by one commit: the row, the intent and the mark that it is being sent. One
that has to wait is durable while it waits, and is marked by another commit when its turn comes; an answer is committed
with the mark of the order behind it, or by itself. What is not marked has provably not left.

The session never calls the broker by itself. It says what is to be done next (`next_call`), whoever drives it runs that
where it may block, and brings the result back (`done`): a shell on a thread, a test or a simulator through `pump`.

Start, crash and reconnect are one path: what the journal holds goes through the core without the broker, for the
broker's answers are in it; then the broker is asked about every order that is not over, its books are compared with
ours, and only then do the gates open.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from data.calendar import SECOND_NS
from data.errors import AuthError, OnetapeError
from data.sources.base import Clock
from live.brokers.base import Books, VenueBroker
from live.brokers.wire_orders import key_of
from live.calls import Call, Result
from live.core.cash import explained
from live.core.commands import Alert, Cancel, Command, Denied, Protect, Submit
from live.core.core import STARTING, Core
from live.core.events import (
    AmendSent,
    Event,
    Gate,
    News,
    Operator,
    OrderCancelled,
    OrderExpired,
    OrderSeen,
    OrderSent,
    OrderUnknown,
    PersonSays,
    Row,
    Snapshot,
    Timer,
    decode_event,
)
from live.core.facts import GATES
from live.core.orders import State
from live.day_trades import DayTrades
from live.dispatch import LONG, Dispatch, Order
from live.journal import Journal, steps
from live.points import Mark, nothing
from live.replay import compare
from live.session import DIGEST_EVERY, Session, Tell, Why, to_nobody
from live.unfinished import Unfinished

POLL_EVERY_S = 1.0
POLL_AFTER_SEND_S = 0.25
OPEN_AGAIN_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
RECONCILE_S = 60.0
GAP_S = 20
DOUBT_S = 40
"""How soon the books are compared after an answer was lost: when lists of orders begin to be evidence."""
SILENCE_S = 5.0

DEPTH_EVERY_S = 2.0
TOO_MANY = f"more than {LONG} orders wait to be sent"


def at_once(_ts: int) -> float:
    """No pause."""
    return 0.0


class VenueSession(Session):
    """Core, broker and journal of one account with a broker of its own.

    Args:
        broker: not opened yet.
        clock: of everything that is not a row: deadlines, polls, the times of what we say ourselves.
        depth: whether the broker's price book is asked for. speed: of the clock, against the machine's.
        delay_s: how long what takes new risk waits before it is sent, given the time of the row it was decided at.
        The others: see `live.session.Session`.

    `on_sent` is called as an order is about to leave; `clock_skew_ms` is ours less the broker's.
    """

    def __init__(
        self,
        core: Core,
        broker: VenueBroker,
        journal: Journal,
        *,
        clock: Clock,
        tell: Tell = to_nobody,
        mark: Mark = nothing,
        depth: bool = False,
        speed: float = 1.0,
        delay_s: Callable[[int], float] = at_once,
    ) -> None:
        super().__init__(core, journal, tell=tell, mark=mark)
        self.broker, self.clock, self._delay_s = broker, clock, delay_s
        self.dispatch = Dispatch(broker.fresh_s)
        self._compared_ns = 0
        self.opened = False
        self.error: OnetapeError | None = None
        self.clock_skew_ms = float("nan")
        self.on_sent: Callable[[Submit], None] = lambda _: None
        self._unfinished = Unfinished()
        self._day_trades = DayTrades()
        self._busy: Call | None = None
        self._heard_ns = self._polled_ns = self._since_open = 0
        self._poll_soon = False
        size = broker.depth_symbols if depth else 0
        names = core.plan.symbols
        self._groups = [names[i : i + size] for i in range(0, len(names), size)] if size else []
        self._depth_ns = self._turn = 0
        self._books_due: Why | None = None
        self._open_failures = 0
        self._not_before_ns = 0
        self._owed = self._long = False
        limits = core.desk.tally.limits
        self._reconcile_ns = int((limits.reconcile_every_s or RECONCILE_S) * SECOND_NS)
        self._silence_ns = int((limits.max_order_stream_silence_s or SILENCE_S) * SECOND_NS * speed)

    # --- the beginning ----------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Go through the journal without the broker, then close every gate and take up what was not finished."""
        self._mark("resume.before")
        for step in steps(self.journal):
            event = decode_event(step.event)
            commands = self.core.step(event)
            compare(step, commands, self.core)
            self._unfinished.take(event, commands)
            self._day_trades.take(event, self.core)
            self.resumed += type(event) is Row
        now = self.now()
        for name in GATES:
            if name not in self.core.desk.tally.state.closed:
                self._take(Gate(now, name, open=False, reason=STARTING))
        for command in self._unfinished.unsent(self.core):
            self._queue(command, command.ts)
        self._commit()
        self.gate("journal", "")
        self._mark("resume.after")

    def begin(self) -> list[str]:
        """Resume, connect and compare, blocking: for drivers without a loop. What did not match, a sentence each.

        Raises:
            OnetapeError: the broker cannot be opened.
        """
        self.resume()
        while not self.opened:
            call = self.next_call()
            if call is not None:
                self.done(call, call.run(self.broker))
            if self.error is not None:
                raise self.error
        self.pump()
        return self.core.findings.differences

    # --- what comes in ----------------------------------------------------------------------------------------------

    def row(self, row: Row) -> None:
        """The market's next row."""
        self._take(row)
        if self.core.counts.rows % DIGEST_EVERY == 0:
            self._digest()
            self._unfinished.forget(self.core)
        self._commit_soon()

    def tell(self, event: Operator | Timer | News | Snapshot | PersonSays) -> None:
        """Take in what neither the market nor the broker said."""
        self._take(event)
        self._commit()

    def reconcile(self, why: Why) -> None:
        """Have the books compared by the next call."""
        self._books_due = why

    def now(self) -> int:
        """UTC nanoseconds."""
        return self.clock.now()

    # --- what goes out ----------------------------------------------------------------------------------------------

    def next_call(self) -> Call | None:
        """What the broker is to be asked now; None where nothing is, or the last call is not done yet.

        What it is asked to do is durable, and so is the mark that it is being sent.
        """
        now = self.now()
        self._watch(now)
        if self._busy is not None or now < self._not_before_ns:
            return None
        call = self._next(now)
        if call is None:
            self.journal.rest()
            return None
        self.journal.check_writer()
        self._busy = call
        self._mark("open.before" if call.task == "open" else _POINTS[call.task][0])
        return call

    def done(self, call: Call, result: Result) -> None:
        """What a call brought: written, decided on, made durable."""
        self._mark("open.after" if call.task == "open" else _POINTS[call.task][1])
        self._busy = None
        now = self.now()
        self._poll_soon = call.task == "handle"
        for event in result.events:
            self._take(event)
            if isinstance(event, OrderUnknown):  # the books may tell that it never arrived
                self._compared_ns = min(self._compared_ns, now - self._reconcile_ns + DOUBT_S * SECOND_NS)
        if result.error is not None:
            self._failed(call, result.error, now)
        else:
            if call.task not in ("handle", "depth"):
                self._polled_ns = now
            self._heard_ns = now
        if call.task == "open" and result.error is None:
            self.opened, self._open_failures, self.error = True, 0, None
        if result.books is not None:
            self._compare(call, result.books, now)
        if self.opened:
            self._around()
        self._commit_soon()

    def due_s(self) -> float:
        """Seconds until `next_call` may have something, as it stands now; 0 where it may at once."""
        now = self.now()
        if self._busy is not None:
            return POLL_EVERY_S
        at = self._not_before_ns
        if self.opened:
            poll = self._polled_ns + int((POLL_AFTER_SEND_S if self._poll_soon else POLL_EVERY_S) * SECOND_NS)
            waits = self.dispatch.due_s(self.broker.wait_s, now)
            due = poll if waits is None else min(poll, now + int(waits * SECOND_NS))
            if self._groups:
                due = min(due, max(self._depth_ns, now + int(self.broker.wait_s("poll") * SECOND_NS)))
            at = max(at, now if self._books_due is not None else due)
        return max(at - now, 0) / SECOND_NS

    def pump(self) -> None:
        """Make every call that is due, here and now."""
        while (call := self.next_call()) is not None:
            self.done(call, call.run(self.broker))

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return self._busy is not None

    @property
    def queue(self) -> int:
        """Orders that wait to be sent."""
        return len(self.dispatch)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _next(self, now: int) -> Call | None:
        if not self.opened:
            if self.broker.hold_s() > 0.0:
                return None
            self._since_open = self._since_open or now
            return Call("open", known=self._unfinished.known(self.core), why="start")
        for stale in self.dispatch.expired(now):
            self._take(OrderExpired(now, stale.order_id))
        if (command := self.dispatch.take(self.broker.wait_s, now)) is not None:
            self._send(command, now)
            return Call("handle", command)
        self._commit()
        if self._books_due is None and now - self._compared_ns >= self._reconcile_ns:
            self._books_due = "timer"
        if self._books_due is not None and self.broker.wait_s("poll") <= 0.0:
            why, self._books_due = self._books_due, None
            return Call("books", why=why)
        pace = POLL_AFTER_SEND_S if self._poll_soon else POLL_EVERY_S
        if now - self._polled_ns >= pace * SECOND_NS:
            return Call("poll")
        if self._groups and now >= self._depth_ns and self.broker.wait_s("poll") <= 0.0:
            self._turn = (self._turn + 1) % len(self._groups)
            self._depth_ns = now + int(DEPTH_EVERY_S / len(self._groups) * SECOND_NS)
            return Call("depth", symbols=self._groups[self._turn])
        return None

    def _send(self, command: Order, now: int) -> None:
        """Mark it as sent, durably; what is not so marked has provably not left. A cancel needs no mark."""
        if isinstance(command, Protect) and command.amends:
            self._take(AmendSent(now, command.order_id, key_of(command)))
        elif not isinstance(command, Cancel):
            self._take(OrderSent(now, command.order_id))
        self._commit()
        if isinstance(command, Submit):
            self.on_sent(command)

    def _commit_soon(self) -> None:
        """Commit; or leave it to the next call, where that is an order which leaves at once, once in a row."""
        ready = self.opened and self._busy is None and self.now() >= self._not_before_ns
        if ready and not self._owed and self.dispatch.is_ready(self.broker.wait_s, self.now()):
            self._owed = True
        else:
            self._commit()

    def _commit(self) -> None:
        super()._commit()
        self._owed = False

    def _take(self, event: Event) -> None:
        """Journal, decide, journal; what is to be sent waits its turn."""
        commands = self._decide(event)
        self._unfinished.take(event, commands)
        self._day_trades.take(event, self.core)
        for command in commands:
            if isinstance(command, Alert):
                self._tell(command)
            elif not isinstance(command, Denied):
                self._queue(command, self.now())

    def _queue(self, command: Command, born_ns: int) -> None:
        assert isinstance(command, Submit | Protect | Cancel)  # noqa: S101  # the only ones that go out
        if isinstance(command, Cancel):
            self.broker.recall(command.order_id)
        not_before = command.ts + int(self._delay_s(command.ts) * SECOND_NS)
        needless = self.dispatch.put(command, born_ns, not_before)
        if needless is not None:
            self._take(OrderCancelled(self.now(), needless.order_id))

    def _compare(self, call: Call, books: Books, now: int) -> None:
        """The broker's word on the account, then its books against ours."""
        self.account_news(
            equity=books.equity,
            settled_cash=books.settled_cash,
            day_trades=books.day_trades if books.day_trades is not None else self._day_trades.count(),
            good_faith_violations=books.good_faith_violations,
            day_trade_regime=books.day_trade_regime,
        )
        self.clock_skew_ms = books.clock_skew_ms
        orders = [OrderSeen(key, "working") for key in books.open_orders]
        for move in explained(self.core.desk, books.positions, books.cash, books.moves, now):
            self._take(replace(move, ts=now))
        self._take(Snapshot(now, call.why, books.positions, books.cash, orders, absent=books.absent))
        self._compared_ns = now
        doubts = any(order.state is State.UNKNOWN for order in self.core.desk.tally.state.open)
        if self.core.findings.gaps or self.core.findings.theirs or doubts:  # again soon, when news has had time to come
            self._compared_ns -= self._reconcile_ns - GAP_S * SECOND_NS
        if not self.core.findings.differences:
            self.reconciled_ns = now

    def _failed(self, call: Call, error: OnetapeError, now: int) -> None:
        """A call that brought nothing: what was asked is asked again, later each time."""
        if call.task == "open":
            self.error = error
            self._not_before_ns = now + int(OPEN_AGAIN_S[min(self._open_failures, 5)] * SECOND_NS)
            self._open_failures += 1
        elif call.task == "books":
            self._books_due = call.why
            self._not_before_ns = now + SECOND_NS
        if isinstance(error, AuthError):
            self.error = error

    def _around(self) -> None:
        """Gates that the last call says something of."""
        if self.broker.trouble:
            self.gate("venue", self.broker.trouble, grave=True)
        elif self.broker.hold_s() > 0.0:
            self.gate("venue", "the broker asked us to wait, or fails again and again")
        else:
            self.gate("venue", TOO_MANY if self._long else "")

    def _watch(self, now: int) -> None:
        """Silence and long queues are noticed even while a call hangs."""
        if not self.opened:
            return
        deaf = self.broker.deaf
        silent = now - self._heard_ns > self._silence_ns
        closed = "orders" in self.core.desk.tally.state.closed
        if deaf or silent:
            self.gate("orders", deaf or "no answer from the broker")
            if not closed:
                self.gate("reconciled", "the broker was away")
        elif closed:
            self.gate("orders", "")
            if self._compared_ns < now and "reconciled" in self.core.desk.tally.state.closed and not self.core.halted:
                self.reconcile("reconnect")
        long = len(self.dispatch) > LONG
        if long != self._long:
            self._long = long
            if long:
                text = f"{len(self.dispatch)} orders wait to be sent"
                self._tell(Alert(now, "critical", "queue.long", text))
                self.gate("venue", TOO_MANY)


_POINTS = {
    "handle": ("request.before", "request.after"),
    "poll": ("poll.before", "poll.after"),
    "books": ("books.before", "books.after"),
    "depth": ("depth.before", "depth.after"),
}
