"""The shell of a live feed: the one event loop, one thread for the broker, one process for the market.

    feed process ──frames──> loop: session ──calls──> worker thread: broker
                              │  ^                         │
                              │  └──────── results ────────┘
                              └─ every half second: a person's words, gates, time, status, heartbeat

Only the loop touches the session. A broker that hangs stops neither rows nor a halt; a feed that dies is started again
while orders go on being looked after; a journal that cannot be written ends everything at once.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import cast

from data.calendar import SECOND_NS
from data.errors import DataError, OnetapeError, UnavailableError
from data.rows import FeedMessage, FeedNews, Header, Row, Touch, Trading
from data.settings import Settings
from data.sources.base import Clock
from data.sources.rehearsal import RehearsalClock
from live.account import Account
from live.calls import Result
from live.control import Control, Listener
from live.core.commands import Alert, Submit
from live.core.core import SILENT_ROWS, WARMING
from live.core.events import Timer
from live.core.facts import GateName
from live.core.orders import OPEN
from live.core.risk_money import loss_pct
from live.feed import Feed
from live.heartbeat import Heart
from live.latency import Latency
from live.opening import say
from live.quotes import KEEP_S, Quotes
from live.session import Tell
from live.session_paper import PaperSession
from live.session_venue import VenueSession
from live.standing import SILENT_S, Standing
from live.status import Around, status_of
from live.symbol_facts import Book, actions_today, daily_rows, session_of
from live.worker import Worker

LOOK_EVERY_S = 0.25
TIMER_EVERY_S = 5.0
COLLECT_EVERY_S = 30.0
AGAIN_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
GOODBYE_S = 10.0
MOST_GAP_ROWS = 2_000
FACTS_AGAIN_S = 60.0

FeedMaker = Callable[[int], Feed]
"""Makes a feed that begins with so many rows of history."""


class LiveShell:
    """Everything around one session on a live feed.

    Args:
        feed: makes the feed, again after each failure. settings: for history. clock: the feed's time.
        stop: set when a person wants it to end. tell: called with alerts that are not the session's.
    """

    def __init__(
        self,
        account: Account,
        session: PaperSession | VenueSession,
        feed: FeedMaker,
        *,
        settings: Settings,
        clock: Clock,
        stop: asyncio.Event,
        certificate_until: int = 0,
        tell: Tell = say,
    ) -> None:
        self.account, self.session, self.clock, self.stop = account, session, clock, stop
        self._tell = tell
        limits, speed = session.core.desk.tally.limits, self._speed
        # In a rehearsal what takes a second of ours takes `speed` seconds of the tape.
        self.standing = Standing(account.needs, silent_s=SILENT_S * speed)
        self.quotes, self.wire = Quotes(KEEP_S * speed), Latency()
        leveraged = account.leveraged
        if settings.rehearsal and leveraged is None:
            leveraged = ()  # of a made-up market nobody needs to say it
        self.facts = Book(session.core.symbols, leveraged, limits.max_crossed_s)
        self._settings, self._make_feed = settings, feed
        self._row_age_s = (limits.max_row_age_s if limits.max_row_age_s is not None else 5.0) * speed
        self._reconcile_s = limits.reconcile_every_s or 60.0
        self._kick = asyncio.Event()
        self._worker = Worker(f"broker-{account.name}") if isinstance(session, VenueSession) else None
        self._heart = Heart(account.state / f"{account.name}.heartbeat", limits.heartbeat_s or 30.0)
        self._row_at = 0.0
        self._warm_left = 0
        self._late = ""
        self._timer_at = self._collect_at = self._reconcile_at = 0.0
        self._feed: Feed | None = None
        self._facts_of = 0
        around = Around(account, self.standing, self.quotes, self.wire, certificate_until)
        self._listener = Listener(
            Control(account.state, account.name), session, lambda: status_of(session, around, self.clock.now())
        )
        if isinstance(session, VenueSession):
            session.on_sent = self._sent

    async def run(self) -> None:
        """Trade until told to stop.

        Raises:
            OnetapeError: what cannot be helped by trying again; JournalError above all.
        """
        self._gates_at_start()
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(self._hear()), asyncio.create_task(self._look_often())]
        tasks.append(asyncio.create_task(self._keep_facts()))
        if self._worker is not None:
            tasks.append(asyncio.create_task(self._talk()))
        stopped = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            await self._leave(tasks)
        finally:
            for task in [*tasks, stopped]:
                task.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)
            if self._worker is not None:
                self._worker.end()

    def last_word(self) -> None:
        """Say how it stands at the end, and that this is one."""
        self._listener.last_word()
        self._heart.beat(time.time_ns(), ended=True)

    # --- the market -------------------------------------------------------------------------------------------------

    async def _hear(self) -> None:
        """Rows and news as they come; a feed that fails is begun again, later each time."""
        failures = 0
        while True:
            began = time.monotonic()
            try:
                async with self._make_feed(self._gap_rows()) as feed:
                    self._begin(feed.header)
                    self._feed = feed
                    while (messages := await feed.messages()) is not None:
                        self._take(messages)
                return
            except (UnavailableError, DataError) as error:
                self.standing.lost(self.clock.now(), str(error))
                self._look()
                failures = 0 if time.monotonic() - began > 60.0 else failures + 1
                await asyncio.sleep(AGAIN_S[min(failures, len(AGAIN_S) - 1)])
            finally:
                self._feed = None

    def _begin(self, header: Header) -> None:
        """A feed begins: with rows that the indicators need and nobody trades on."""
        plan = self.session.core.plan
        if (header.symbols, header.clock) != (plan.symbols, plan.clock):
            raise DataError(f"the feed has {header.clock} rows of {', '.join(header.symbols)}, which is not the plan's")
        self._warm_left = header.warm_rows
        if self._warm_left:
            self.session.gate("data", WARMING)

    def _take(self, messages: list[FeedMessage]) -> None:
        for message in messages:
            kind = type(message)
            if kind is Row:
                self._row(cast("Row", message))
            elif kind is Touch:
                self.quotes.put(cast("Touch", message))
            elif kind is FeedNews:
                self._news(cast("FeedNews", message))
            elif kind is Trading:
                self.facts.trading(cast("Trading", message))
                self._tell_facts()
        self._kick.set()

    def _row(self, row: Row) -> None:
        self._row_at = time.perf_counter()
        warming = self._warm_left > 0
        self._warm_left -= warming
        if row.ts <= self.session.core.last_ts:
            return
        if not warming:
            age = (self.clock.now() - row.ts) / SECOND_NS
            self._late = f"a row came {age:.1f} s after its close" if age > self._row_age_s else ""
            self._gate_data()
        self.session.row(row)

    def _news(self, news: FeedNews) -> None:
        if isinstance(self.clock, RehearsalClock):
            self.clock.keep_up(news.ts)
        self.standing.heard(news)

    def _gap_rows(self) -> int:
        """Rows of history to ask for: those that were missed, or, at the very first start, those that warm."""
        core = self.session.core
        if not core.last_ts:
            return self.account.warm
        missed = (self.clock.now() - core.last_ts) // core.clock_ns
        return int(min(max(missed, 0), MOST_GAP_ROWS)) if self.account.warm or missed > 1 else 0

    # --- the broker -------------------------------------------------------------------------------------------------

    async def _talk(self) -> None:
        """One call at a time, the most urgent first."""
        session, worker = self.session, self._worker
        assert isinstance(session, VenueSession)  # noqa: S101  # else there is no worker
        assert worker is not None  # noqa: S101  # likewise
        while True:
            self._listener.look()  # a halt is obeyed up to the moment at which an order leaves
            call = session.next_call()
            if call is None:
                self._kick.clear()
                wait = min(max(session.due_s(), 0.005), 1.0) / self._speed
                try:
                    async with asyncio.timeout(wait):
                        await self._kick.wait()
                except TimeoutError:
                    pass
                continue
            result: Result = await worker.call(lambda call=call: call.run(session.broker))  # type: ignore[misc]
            session.done(call, result)
            if result.error is not None and call.task == "open" and not isinstance(result.error, UnavailableError):
                raise result.error
            if self._feed is not None:
                for book in result.depth:
                    await self._feed.give(book)

    def _sent(self, _order: Submit) -> None:
        if self._row_at:
            self.wire.add(int((time.perf_counter() - self._row_at) * 1e9))

    @property
    def _speed(self) -> float:
        return self.clock.speed if isinstance(self.clock, RehearsalClock) else 1.0

    # --- time -------------------------------------------------------------------------------------------------------

    async def _look_often(self) -> None:
        while True:
            self._listener.look()
            self._look()
            await asyncio.sleep(LOOK_EVERY_S / min(self._speed, 10.0))

    def _look(self) -> None:
        """Whatever goes by time."""
        session, core, now = self.session, self.session.core, self.clock.now()
        wall = time.monotonic()
        self.standing.look(now)
        if self._late and (now - core.last_ts) / SECOND_NS > core.clock_ns / SECOND_NS + self._row_age_s:
            self._late = "the rows come late"
        self._gate_data()
        self._gate_clock()
        state = core.desk.tally.state
        lost = loss_pct(state.value(), state.day_equity)
        session.account_news(accounts_loss_pct=round(max(lost, 0.0), 2) if lost == lost else 0.0)
        session.gate("heartbeat", self._heart.beat(time.time_ns()))
        for symbol in core.symbols:
            self.facts.crossed(symbol, self.quotes.crossed_s(symbol, now))
        self._tell_facts()
        if wall - self._timer_at >= TIMER_EVERY_S / self._speed:
            self._timer_at = wall
            waiting = any(order.state in OPEN for order in core.desk.tally.state.open)
            silent = core.last_ts and now - core.last_ts > (SILENT_ROWS + 1) * core.clock_ns
            if core.last_ts and (waiting or silent):
                session.tell(Timer(now))
        if isinstance(session, PaperSession) and wall - self._reconcile_at >= self._reconcile_s / self._speed:
            self._reconcile_at = wall
            session.reconcile("timer")
        if wall - self._collect_at >= COLLECT_EVERY_S:
            self._collect_at = wall
            gc.collect()
        self._kick.set()

    def _gates_at_start(self) -> None:
        session = self.session
        at_once: tuple[GateName, ...] = ("journal", "armed", "heartbeat")
        for name in at_once:
            session.gate(name, "")
        session.gate("data", "no word from the feed yet")
        if isinstance(session, PaperSession):
            theirs: tuple[GateName, ...] = ("reconciled", "orders", "venue")
            for name in theirs:
                session.gate(name, "")
            session.reconcile("start")
        self._gate_clock()

    def _gate_data(self) -> None:
        if self._warm_left > 0:
            return
        self.session.gate("data", self._late or self.standing.against())

    def _gate_clock(self) -> None:
        """Against the broker's clock; a rehearsal's is its sandbox's, and paper has no other to be compared with."""
        session, limits = self.session, self.session.core.desk.tally.limits
        if isinstance(self.clock, RehearsalClock) or isinstance(session, PaperSession):
            skew = 0.0
        else:
            skew = session.clock_skew_ms
        session.account_news(clock_skew_ms=skew)
        most = limits.max_clock_skew_ms
        against = "" if most is None or abs(skew) <= most else f"this clock is off by more than {most:g} ms"
        session.gate("clock", against if skew == skew else "nobody has said what time it is")

    # --- facts ------------------------------------------------------------------------------------------------------

    def _tell_facts(self) -> None:
        for news in self.facts.news(self.clock.now()):
            self.session.tell(news)

    async def _keep_facts(self) -> None:
        """Volumes, closes and corporate actions, in every new session; again while they are not to be had."""
        if isinstance(self.session, PaperSession):
            core = self.session.core
            self.session.account_news(settled_cash=core.cash, day_trades=0, good_faith_violations=0)
        while True:
            now = self.clock.now()
            today = session_of(now)
            if today != self._facts_of:
                symbols, feed = self.session.core.symbols, self.account.feed
                try:
                    self.facts.history(await daily_rows(feed, symbols, now, self._settings), symbols, today)
                    made_up = self._settings.rehearsal is not None
                    self.facts.actions([] if made_up else await actions_today(feed, symbols, now, self._settings))
                    self._facts_of = today
                except OnetapeError as error:
                    self._tell(
                        Alert(now, "warning", "facts.missing", f"history of the symbols is not to be had: {error}")
                    )
                self._tell_facts()
            await asyncio.sleep(FACTS_AGAIN_S / self._speed)

    # --- the end ----------------------------------------------------------------------------------------------------

    async def _leave(self, tasks: list[asyncio.Task[object]]) -> None:
        """Hear no more rows, ask entries back, and let what was begun come to its end; orders that stand stay."""
        for task in (tasks[0], tasks[2]):
            task.cancel()
        self.session.gate("data", "the runner stops")
        session = self.session
        if not isinstance(session, VenueSession):
            return
        until = time.monotonic() + GOODBYE_S
        while time.monotonic() < until and not tasks[-1].done():
            entries = [o for o in session.core.desk.waiting if o is not None and o.state in OPEN and o.cancelling]
            if not session.busy and not session.queue and not entries:
                return
            self._kick.set()
            await asyncio.sleep(0.05)
