"""A session from an account and its journal: new, or gone through again from the first row."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from data.errors import ConfigError
from data.settings import Settings
from data.sources.base import Clock
from data.sources.rehearsal import RehearsalClock
from live.account import Account
from live.brokers import capabilities_of, venue_broker
from live.brokers.base import Books, VenueBroker
from live.brokers.paper import PaperBroker
from live.core.commands import Alert
from live.core.core import Core
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import SqliteJournal, exists
from live.points import Mark, nothing
from live.replay import replay as replayed
from live.session import Tell
from live.session_paper import PaperSession
from live.session_venue import VenueSession, at_once


def open_session(
    plan: Plan,
    feed: Feed,
    account: Account,
    path: Path,
    *,
    group: int,
    clock: Clock | None = None,
    mark: Mark = nothing,
    tell: Tell | None = None,
) -> PaperSession:
    """A session on paper, on the journal at `path`, gone through again where it holds something.

    Args:
        clock: of a live feed; without one the last row's time is what is known.
        tell: called with every alert; default: `say`.

    Raises:
        ConfigError: the journal is of other settings or another feed.
        JournalError: it is damaged, or its replay differs.
    """
    journal, begun = open_journal(plan, feed, path)
    try:
        core = Core(journal.header.plan, account.strategy)
        broker = PaperBroker(plan.symbols, plan.the_costs(), plan.cash)
        session = PaperSession(core, broker, journal, group=group, tell=tell or say, mark=mark, clock=clock)
        if begun:
            session.resume()
            journal.append_resumed(built())
    except BaseException:
        journal.close()
        raise
    return session


def open_venue_session(
    plan: Plan,
    feed: Feed,
    account: Account,
    path: Path,
    broker: VenueBroker,
    *,
    clock: Clock,
    depth: bool = False,
    mark: Mark = nothing,
    tell: Tell | None = None,
    **more: Any,
) -> VenueSession:
    """A session with a broker of its own, gone through again where its journal holds something; raises likewise.

    The cash of a new journal is `plan.cash`; an old one goes on with its own.
    """
    journal, begun = open_journal(plan, feed, path, any_cash=True)
    try:
        core = Core(journal.header.plan, account.strategy)
        session = VenueSession(core, broker, journal, clock=clock, tell=tell or say, mark=mark, depth=depth, **more)
        session.resume()
        if begun:
            journal.append_resumed(built())
    except BaseException:
        journal.close()
        raise
    return session


async def open_live(
    account: Account,
    settings: Settings,
    clock: Clock,
    path: Path,
    *,
    mark: Mark = nothing,
    depth: bool = False,
    tell: Tell | None = None,
    delay_s: Callable[[int], float] = at_once,
) -> PaperSession | VenueSession:
    """A session for a live feed, on paper or with the account's own broker.

    A new journal begins with the broker's cash, and only where the account holds nothing. A watchlist that has changed
    begins a new journal where the old one holds nothing; the old one is kept under its last session's date.

    Args:
        tell: called with every alert; default: `say`. delay_s: see `VenueSession`; paper does not wait.

    Raises:
        OnetapeError: as `open_session`, or as the broker has it.
    """
    symbols = list(account.symbols or ())
    feed = Feed(account.feed, settings.rehearsal is not None, "")
    if account.broker == "paper":
        plan = account.plan_of(symbols)
        roll(plan, account, path)
        return open_session(plan, feed, account, path, group=1, clock=clock, mark=mark, tell=tell)
    broker = venue_broker(account, settings, clock)
    plan = account.plan_of(symbols, async_cancels=capabilities_of(account).cancel_is_async)
    roll(plan, account, path)
    if not exists(path):
        books = await asyncio.to_thread(_first_books, broker)
        if books.positions or books.open_orders:
            held = ", ".join(f"{symbol} {shares:+g}" for symbol, shares in sorted(books.positions.items()))
            raise ConfigError(
                f"account {account.name!r} begins with {held or 'no positions'} and {len(books.open_orders)} open "
                f"orders that no journal of ours knows; leave them first, or name the journal with --journal"
            )
        plan = replace(plan, cash=books.cash)
    speed = clock.speed if isinstance(clock, RehearsalClock) else 1.0
    return open_venue_session(
        plan, feed, account, path, broker, clock=clock, depth=depth, mark=mark, tell=tell, speed=speed, delay_s=delay_s
    )


def _first_books(broker: VenueBroker) -> Books:
    broker.open()
    try:
        return broker.books()
    finally:
        broker.close()


def roll(plan: Plan, account: Account, path: Path) -> None:
    """Put the journal of another day's watchlist aside, where it left nothing behind.

    Raises:
        ConfigError: it holds a position or an open order. JournalError: it cannot be believed.
    """
    if not account.watches or not exists(path):
        return
    journal = SqliteJournal.open(path)
    try:
        old = journal.header.plan
        if old.symbols == plan.symbols:
            return
        core = Core(old, account.strategy)
        replayed(core, journal)
    finally:
        journal.close()
    left = [symbol for symbol, held in zip(core.symbols, core.positions, strict=True) if held != 0.0]
    left += [core.symbols[order.column] for order in core.orders.values() if not order.is_over]
    if left:
        raise ConfigError(
            f"journal {path.name} still has {', '.join(dict.fromkeys(left))}, which the watchlist no longer names; "
            f"run the old watchlist once more and leave it, or name another journal with --journal"
        )
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.stem}.{core.last_ts}{path.suffix}{suffix}"))


def open_journal(plan: Plan, feed: Feed, path: Path, *, any_cash: bool = False) -> tuple[SqliteJournal, bool]:
    """The journal at `path`, and whether it holds anything yet.

    Raises:
        ConfigError: it is of other settings or another feed, or cannot be written.
        JournalError: it is damaged.
    """
    if not exists(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"journal {path} cannot be written ({error.strerror})") from None
        return SqliteJournal.create(path, JournalHeader(plan, feed, built())), False
    journal = SqliteJournal.open(path)
    try:
        expected = replace(plan, cash=journal.header.plan.cash) if any_cash else plan
        _same_settings(journal.header, expected, feed, path)
    except BaseException:
        journal.close()
        raise
    return journal, True


def _same_settings(header: JournalHeader, plan: Plan, feed: Feed, path: Path) -> None:
    for name in plan.__struct_fields__:
        old, new = getattr(header.plan, name), getattr(plan, name)
        if old != new:
            raise ConfigError(
                f"journal {path.name} was written with {name} {_difference(old, new)}; "
                f"restore the account file, or start another journal with --journal"
            )
    if header.feed != feed:
        raise ConfigError(
            f"journal {path.name} was written from another tape ({header.feed.source}, content "
            f"{header.feed.content[:12]}), this one is {feed.content[:12]}; start another journal with --journal"
        )


def _difference(old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in (old | new) if old.get(name) != new.get(name)]
        was = ", ".join(f"{name} = {old.get(name)!r}" for name in names)
        now = ", ".join(f"{name} = {new.get(name)!r}" for name in names)
        return f"{was}, the account file says {now}"
    return f"{old!r}, now it is {new!r}"


def say(alert: Alert) -> None:
    """An alert, for whoever reads what this process prints."""
    sys.stderr.write(f"{alert.level}: {alert.name}: {alert.text}\n")
