"""The shell: the one event loop. It reads the feed, shows rows to the session, and ends in good order.

Garbage is collected between batches of rows and never inside a decision.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from data.calendar import SECOND_NS, parse_clock
from data.errors import ConfigError, JournalError, OnetapeError, UsageError
from data.rows import Row
from data.settings import Settings, load_settings
from data.sources.rehearsal import RehearsalClock, clock_of
from live.account import Account
from live.checks import check_folder, check_start
from live.control import Control, Listener
from live.core.commands import Alert
from live.core.core import SILENT_ROWS
from live.core.events import Timer
from live.core.plan import Plan
from live.feed import Feed as Source
from live.feed import LiveFeed, RowFeed, TapeFeed
from live.header import Feed
from live.lock_journal import held_with_journal
from live.logs import Log, setup
from live.opening import open_live, open_session, say
from live.points import Mark, nothing
from live.risk_arming import until_of
from live.session import GROUP, Tell
from live.session_paper import PaperSession
from live.session_venue import VenueSession, at_once
from live.shell_live import LiveShell
from live.status import status_of
from live.steady import SteadyClock
from live.summary import Summary, summary_of

COLLECT_EVERY = 2_000
LOOK_EVERY_S = 0.5


def run(
    account: Account,
    tape: Path,
    speed: float,
    journal: Path | None = None,
    *,
    feed: Callable[[], RowFeed] | None = None,
) -> Summary:
    """Trade an account over a tape, from where its journal ends. SIGINT and SIGTERM end it in good order.

    Args:
        speed: 1 as it happened, 60 a minute in a second, 0 as fast as it goes.
        journal: another place than the account's own.
        feed: makes another feed than the tape's own player, such as a hub's that plays it for many.

    Raises:
        ConfigError: the account is being run, is not of paper, or its journal is of other settings or another feed.
        DataError: the tape is damaged.
        JournalError: the journal is, or its replay differs; or at the end our books and the broker's differ.
    """
    if account.broker != "paper":
        raise ConfigError(f'broker {account.broker!r} fills no tape; write broker = "paper" to trade one')
    check_folder(account.state)
    path = account.journal if journal is None else journal

    def from_tape() -> RowFeed:
        return TapeFeed(tape, speed)

    with held_with_journal(account.lock, account.name, path), setup(account) as log:
        return _logged(log, lambda: asyncio.run(_run(account, from_tape if feed is None else feed, speed, path, log)))


def run_live(
    account: Account,
    *,
    live: bool = False,
    feed: Callable[[int], Source] | None = None,
    journal: Path | None = None,
    settings: Settings | None = None,
    mark: Mark = nothing,
    delay_s: Callable[[int], float] = at_once,
) -> Summary:
    """Trade an account on a live feed, on paper or through its broker. SIGINT and SIGTERM end it in good order.

    Args:
        live: money was meant. feed: makes another feed than the account's, given rows of history to begin with.
        mark: see `live.points`. delay_s: see `VenueSession`.

    Raises:
        OnetapeError: what stands against a start, or ended the run; each with its exit code.
    """
    settings = load_settings() if settings is None else settings
    if feed is None and not account.feed:
        raise UsageError(
            f"account {account.name!r} names no feed: give --feed alpaca, write feed in its file, or trade a tape with "
            f"--replay"
        )
    if not account.symbols:
        raise ConfigError(f"account {account.name!r} names no symbols; a live feed needs symbols or a watchlist")
    check_start(account, settings, live=live)
    path = account.journal if journal is None else journal
    with held_with_journal(account.lock, account.name, path), setup(account) as log:
        return _logged(log, lambda: asyncio.run(_run_live(account, settings, feed, path, mark, delay_s, log)))


def _logged(log: Log, work: Callable[[], Summary]) -> Summary:
    """Do it, with its beginning and its end in the log."""
    log.info("run.started")
    try:
        done = work()
    except OnetapeError as error:
        log.error("run.failed", kind=type(error).__name__, text=str(error))
        raise
    except Exception:
        log.exception("run.failed")
        raise
    log.info("run.ended", rows=done.rows, orders=done.orders, fills=done.fills, stopped_by=done.stopped_by)
    return done


def _teller(log: Log) -> Tell:
    """Says an alert to whoever watches this process, and to its log."""

    def tell(alert: Alert) -> None:
        say(alert)
        log.tell(alert)

    return tell


async def _run_live(
    account: Account,
    settings: Settings,
    feed: Callable[[int], Source] | None,
    path: Path,
    mark: Mark,
    delay_s: Callable[[int], float],
    log: Log,
) -> Summary:
    told = clock_of(settings.rehearsal)
    clock = told if isinstance(told, RehearsalClock) else SteadyClock()
    depth = account.broker == "robinhood"
    state = account.state / f"{account.name}.feed"

    def from_vendor(warm: int) -> Source:
        return LiveFeed(account.feed, account.symbols or (), account.clock, book=depth, warm=warm, state=state)

    with _stopping() as stop:
        tell = _teller(log)
        session = await open_live(account, settings, clock, path, mark=mark, depth=depth, tell=tell, delay_s=delay_s)
        try:
            shell = LiveShell(
                account,
                session,
                from_vendor if feed is None else feed,
                settings=settings,
                clock=clock,
                stop=stop.event,
                certificate_until=until_of(account),
                tell=tell,
            )
            with _quiet_memory():
                await shell.run()
            shell.last_word()
        except BaseException:
            session.journal.close()  # what was decided stays; what failed is told
            raise
        finally:
            if isinstance(session, VenueSession):
                session.broker.close()
        session.close()
    return summary_of(session, path, "".join(stop.names[:1]))


async def _run(account: Account, make: Callable[[], RowFeed], speed: float, path: Path, log: Log) -> Summary:
    with _stopping() as stop:
        async with make() as feed:
            plan = account.plan(feed.header)
            group = GROUP if speed == 0 else 1
            session = open_session(plan, Feed.of(feed.header), account, path, group=group, tell=_teller(log))
            try:
                _same_books(session.reconcile("start"))
                listener = Listener(Control(account.state, account.name), session, lambda: status_of(session))
                with _quiet_memory():
                    await _trade(session, feed, stop, speed, listener)
            except BaseException:
                session.journal.close()  # what was decided stays; what failed is told
                raise
            session.close()
    _same_books(session.differences())
    return summary_of(session, path, "".join(stop.names[:1]))


def _same_books(differences: list[str]) -> None:
    if differences:
        raise JournalError(f"books do not match: {'; '.join(differences)}; compare them with the broker's own page")


async def _trade(session: PaperSession, feed: RowFeed, stop: _Stop, speed: float, listener: Listener) -> None:
    plan, core = session.core.plan, session.core
    columns = [feed.header.symbols.index(symbol) for symbol in plan.symbols]
    whole = columns == list(range(len(feed.header.symbols)))
    known, rows_since = core.last_ts, 0
    async for rows, waited_s in _batches(feed, stop, _patience(plan, speed), listener.look):
        for row in rows:
            if row.ts > known:
                session.row(row if whole else picked(row, columns))
        if not rows and core.last_ts:
            session.tell(Timer(core.last_ts + int(waited_s * speed * SECOND_NS)))
        rows_since += len(rows)
        if rows_since >= COLLECT_EVERY:
            gc.collect()
            rows_since = 0
        listener.look()
    listener.last_word()


def picked(row: Row, columns: list[int]) -> Row:
    """The symbols of a row at these positions."""

    def some(values: list[float]) -> list[float]:
        return [values[j] for j in columns]

    return Row(
        row.ts,
        row.session,
        row.since_open,
        row.to_close,
        some(row.open),
        some(row.high),
        some(row.low),
        some(row.close),
        some(row.volume),
        None if row.book is None else [some(feature) for feature in row.book],
    )


async def _batches(
    feed: RowFeed, stop: _Stop, patience_s: float | None, look: Callable[[], None]
) -> AsyncIterator[tuple[list[Row], float]]:
    """Rows as they come; no rows, and the seconds waited, whenever patience runs out. Ends when told to stop.

    `look` is called every half second in between: a person's word does not wait for a row.
    """
    look()
    loop = asyncio.get_running_loop()
    stopped = asyncio.ensure_future(stop.event.wait())
    coming: asyncio.Future[list[Row] | None] | None = None
    since = asked = loop.time()
    try:
        while not stop.names:
            coming = asyncio.ensure_future(feed.rows()) if coming is None else coming
            await asyncio.wait((coming, stopped), timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                rows = coming.result()
                if rows is None:
                    return
                coming = None
                since = asked = loop.time()
                yield rows, 0.0
            elif not stop.names:
                look()
                if patience_s is not None and loop.time() - asked >= patience_s:
                    asked = loop.time()
                    yield [], asked - since
    finally:
        left = [future for future in (stopped, coming) if future is not None]
        for future in left:
            future.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _patience(plan: Plan, speed: float) -> float | None:
    """Seconds without a row after which the core is told that time has passed; None where there is no pace.

    Never under a second: at great speeds a busy machine would pass for a silent feed.
    """
    return None if speed == 0 else max(1.0, (SILENT_ROWS + 1) * parse_clock(plan.clock) / speed)


class _Stop:
    """Set by a signal; `names` holds those that came."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.event = asyncio.Event()

    def set(self, name: str) -> None:
        """End after the rows in hand."""
        self.names.append(name)
        self.event.set()


@contextmanager
def _stopping() -> Iterator[_Stop]:
    loop, stop = asyncio.get_running_loop(), _Stop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop.set, number.name)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextmanager
def _quiet_memory() -> Iterator[None]:
    """No garbage collection but the one asked for; what exists already is left out of it."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
