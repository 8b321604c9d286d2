"""The dead man's side: what is done for an account whose runner does not live any more.

    heartbeat older than `after`, not ended ─> take the lock ─> resume, open, ask entries back ─> wait ─> let go

It is a session like any other, so everything it does is in the journal, and the runner that starts next goes on from
there. Nothing is sold and nothing is opened: the halt that it says keeps the account so until a person resumes it.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from data.errors import ConfigError, HaltedError
from data.settings import Settings, load_settings
from data.sources.base import Clock
from live.account import Account
from live.brokers import capabilities_of, venue_broker
from live.core.events import Operator
from live.core.orders import OPEN
from live.header import Feed
from live.heartbeat import read_beat
from live.lock_journal import held_with_journal
from live.opening import open_venue_session
from live.session_venue import VenueSession
from live.steady import SteadyClock

LOOK_EVERY_S = 5.0
WAIT_S = 30.0
WHO = "watchdog"


class Said(NamedTuple):
    """What was done. code: the exit code."""

    text: str
    code: int


def look(account: Account, now_ns: int, after_s: float) -> Said | None:
    """Look at the heartbeat once; None where all is well or nobody runs."""
    beat = read_beat(account.state / f"{account.name}.heartbeat")
    if beat is None or beat.ended or now_ns - beat.said <= after_s * 1e9:
        return None
    silent = (now_ns - beat.said) / 1e9
    if account.broker == "paper":
        return Said(f"{account.name}: no sign of life for {silent:.0f} s; on paper there is nothing to cancel", 0)
    try:
        left = cancel_entries(account, load_settings(), SteadyClock())
    except ConfigError as error:
        return Said(f"{account.name}: no sign of life for {silent:.0f} s, and it holds its account: {error}", 4)
    if left:
        return Said(f"{account.name}: silent for {silent:.0f} s; {left} entry orders did not confirm their cancel", 4)
    return Said(f"{account.name}: silent for {silent:.0f} s; no entry order is left at the broker, and it is halted", 0)


def cancel_entries(account: Account, settings: Settings, clock: Clock) -> int:
    """Halt the account and ask its entry orders back; how many did not end.

    Raises:
        ConfigError: a runner holds the account. HaltedError: there is no journal to go by.
    """
    if not account.journal.exists():
        raise HaltedError(f"account {account.name!r} has no journal; look at the broker's own page")
    with held_with_journal(account.lock, account.name, account.journal):
        broker = venue_broker(account, settings, clock)
        plan = account.plan_of(list(account.symbols or ()), async_cancels=capabilities_of(account).cancel_is_async)
        feed = Feed(account.feed, settings.rehearsal is not None, "")
        session = open_venue_session(plan, feed, account, account.journal, broker, clock=clock)
        try:
            session.tell(Operator(session.now(), "halt", WHO, "the runner gave no sign of life"))
            until = time.monotonic() + WAIT_S
            while time.monotonic() < until and (not session.opened or waiting(session) or session.queue):
                session.pump()
                time.sleep(0.2)
            return waiting(session)
        finally:
            broker.close()
            session.close()


def waiting(session: VenueSession) -> int:
    """Orders that were asked back and have not ended."""
    orders = session.core.desk.waiting
    return sum(order is not None and order.state in OPEN and order.cancelling for order in orders)
