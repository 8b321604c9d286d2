"""A session from an account and its journal: new, or gone through again from the first row."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from live.account import Account
from live.brokers.paper import PaperBroker
from live.core.commands import Alert
from live.core.core import Core
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import SqliteJournal, exists
from live.session_paper import PaperSession


def open_session(plan: Plan, feed: Feed, account: Account, path: Path, *, group: int) -> PaperSession:
    """A session on the journal at `path`, gone through again where it holds something.

    Raises:
        ConfigError: the journal is of other settings or another feed.
        JournalError: it is damaged, or its replay differs.
    """
    now = built()
    if not exists(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"journal {path} cannot be written ({error.strerror})") from None
        journal = SqliteJournal.create(path, JournalHeader(plan, feed, now))
        begun = False
    else:
        journal = SqliteJournal.open(path)
        begun = True
    try:
        _same_settings(journal.header, plan, feed, path)
        core = Core(plan, account.strategy)
        broker = PaperBroker(plan.symbols, plan.the_costs(), plan.cash)
        session = PaperSession(core, broker, journal, group=group, tell=_say)
        if begun:
            session.resume()
            journal.append_resumed(now)
    except BaseException:
        journal.close()
        raise
    return session


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


def _say(alert: Alert) -> None:
    sys.stderr.write(f"{alert.level}: {alert.name}: {alert.text}\n")
