"""The event tapes in the store: one for each symbol, session and source, as `data.pull_events` leaves them.

    <store>/events/AAPL/2024-01-02/alpaca.trades+quotes/tape.json ...   as data.tape_events says
                                                       /content.json    how many events, and their hash

pyarrow is imported where events are read.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from data import calendar
from data.calendar import SECOND_NS, utc
from data.checks import Finding
from data.checks_events import EventChecks
from data.errors import DataError
from data.events import MarketEvent
from data.tape_events import events_hash, is_event_tape, replay

FOLDER = "events"
CONTENT = "content.json"


class Content(msgspec.Struct, frozen=True):
    """What a tape holds. hash: as `data.tape_events.events_hash`."""

    events: int
    hash: str


class StoredTape(NamedTuple):
    """A tape of one symbol and session (yyyymmdd). name: source and kinds, as `alpaca.trades+quotes`."""

    symbol: str
    session: int
    name: str
    path: Path

    def __str__(self) -> str:
        return f"{self.symbol} {calendar.parse_day(self.session)} {self.name}"


class EventEntry(NamedTuple):
    """All tapes of a symbol under one name. first, last: sessions. hash: `hash_of` them."""

    symbol: str
    name: str
    sessions: int
    events: int
    first: int
    last: int
    hash: str


def tapes_of(root: Path, symbol: str = "") -> list[StoredTape]:
    """The tapes in the store, of one symbol or of all, by symbol, name and session; no tape is opened."""
    found = (
        StoredTape(unquote(path.parent.parent.name), day, path.name, path)
        for path in (root / FOLDER).glob("[!.]*/*/*/")
        if is_event_tape(path) and (day := _day(path.parent.name))
    )
    return _by_name(tape for tape in found if symbol in ("", tape.symbol))


def content_of(path: Path) -> Content:
    """What the tape is said to hold; counted where nobody said it.

    Raises:
        DataError: a damaged tape.
    """
    try:
        return msgspec.json.decode((path / CONTENT).read_bytes(), type=Content)
    except (OSError, msgspec.MsgspecError):  # a tape that came here otherwise
        digest, count = events_hash(replay(path))
        return Content(count, digest)


def hash_of(sessions: Iterable[tuple[int, str]]) -> str:
    """SHA-256 (hex) over the sessions and hashes of a symbol's tapes in order: the name of the whole range."""
    told = [list(each) for each in sorted(sessions)]
    return hashlib.sha256(b"onetape sessions 1\n" + msgspec.json.encode(told)).hexdigest()


def ls_events(root: Path) -> list[EventEntry]:
    """What there is, one line for all sessions of a symbol under one name.

    Raises:
        DataError: a tape that nobody counted is damaged.
    """
    found = []
    for (symbol, name), group in groupby(tapes_of(root), key=attrgetter("symbol", "name")):
        tapes = list(group)
        contents = [content_of(tape.path) for tape in tapes]
        digest = hash_of((tape.session, each.hash) for tape, each in zip(tapes, contents, strict=True))
        events = sum(each.events for each in contents)
        found.append(EventEntry(symbol, name, len(tapes), events, tapes[0].session, tapes[-1].session, digest))
    return found


def verify_tape(tape: StoredTape) -> tuple[list[Finding], int]:
    """What is wrong with one tape, and how many events it has: damage, order, clocks, days, quotes, trades, losses."""
    checks, stray = EventChecks(), [0, 0]
    start, end = _bounds(tape.session)

    def looked() -> Iterator[MarketEvent]:
        for event in replay(tape.path):
            checks.add(event)
            if not start <= event.recv_ts < end:
                stray[:] = [stray[0] + 1, stray[1] or event.recv_ts]
            yield event

    try:
        digest, count = events_hash(looked())
    except DataError as error:
        return [Finding(tape.symbol, 0, "damaged", "error", f"{tape}: {error}")], checks.count
    found = []
    if (told := content_of(tape.path)) != Content(count, digest):
        what = f"holds {count} events of hash {digest[:12]}, and {told.events} of {told.hash[:12]} were stored"
        found.append(
            Finding(tape.symbol, 0, "damaged", "error", f"{tape}: {what}; delete {tape.path} and pull it again")
        )
    if stray[0]:
        what = f"{stray[0]} events are of another day, first {utc(stray[1])}; delete {tape.path} and pull it again"
        found.append(Finding(tape.symbol, stray[1], "day", "error", f"{tape}: {what}"))
    found += [finding._replace(sentence=f"{tape}: {finding.sentence}") for finding in checks.findings()]
    return found, count


def verify_sessions(tapes: Iterable[StoredTape]) -> list[Finding]:
    """Sessions of the exchange that are missing between the first and the last tape of a symbol under one name."""
    found = []
    for (symbol, name), group in groupby(_by_name(tapes), key=attrgetter("symbol", "name")):
        have = [tape.session for tape in group]
        missing = [day for day in calendar.sessions(have[0], have[-1]) if day.date not in set(have)]
        if missing:
            first = calendar.parse_day(missing[0].date)
            what = f"{len(missing)} sessions are missing, first {first}; pull the range again"
            found.append(Finding(symbol, missing[0].open_ns, "gap", "warning", f"{symbol} {name}: {what}"))
    return found


def _by_name(tapes: Iterable[StoredTape]) -> list[StoredTape]:
    return sorted(tapes, key=attrgetter("symbol", "name", "session"))


def _day(text: str) -> int:
    """20240102 of 2024-01-02; 0 where it is no date."""
    try:
        return calendar.as_yyyymmdd(dt.date.fromisoformat(text))
    except ValueError:
        return 0


def _bounds(session: int) -> tuple[int, int]:
    """New York's midnights around a session, ns."""
    date = calendar.parse_day(session)
    ends = (date, date + dt.timedelta(days=1))
    start, end = (dt.datetime.combine(each, dt.time(), calendar.NEW_YORK).timestamp() for each in ends)
    return int(start) * SECOND_NS, int(end) * SECOND_NS
