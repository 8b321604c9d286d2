"""A pull of trades and quotes: one event tape for each symbol and session, whole or not there at all.

`data.store_events` says where they lie.

A session is asked for by itself and written beside the store's tapes; it takes its name when its last event is on the
disk. So what is there is complete, and a pull that was killed goes on with the session that was on its way.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import heapq
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from data import calendar
from data.calendar import Day, Session
from data.door import did_you_mean
from data.errors import DataError, UsageError
from data.events import MarketEvent
from data.pull import vendor_options
from data.recorder import Recorder
from data.settings import Settings
from data.sources import http_history
from data.sources.base import Clock, Progress, Vendor
from data.store_events import CONTENT, FOLDER, Content, content_of
from data.store_files import folder_name
from data.tape_events import NAME, events_hash

KINDS = ("trades", "quotes")
"""In this order where two have the same time: a trade is judged by the quote before it."""


class PulledTape(NamedTuple):
    """A tape of one symbol and session (yyyymmdd). new: this pull brought it; else it was there already."""

    symbol: str
    session: int
    path: str
    events: int
    hash: str
    new: bool


class PulledEvents(NamedTuple):
    """What a pull of events did. refused: symbol -> why the vendor did not want it."""

    tapes: list[PulledTape]
    refused: dict[str, str]


def pull_events(
    vendor: Vendor,
    what: Sequence[str],
    symbols: Sequence[str],
    start: Day,
    end: Day,
    *,
    settings: Settings,
    wall: Clock,
    progress: Progress | None = None,
    stored: Callable[[PulledTape], None] | None = None,
    **options: Any,
) -> PulledEvents:
    """Bring every trade or quote, or both in the order of their times, from session `start` to `end`, both included.

    All hours of a day are kept. A session that is stored is not asked for again; one without events is an empty tape,
    unless the whole range is without.

    Args:
        what: of `KINDS`. settings: keys and addresses; its `store` holds the tapes. wall: tells what is over.
        progress: told symbol, sessions done, sessions in all. stored: told of each tape, the known ones too.
        options: of the vendor's `trades` and `quotes`; None is not passed.

    Raises:
        UsageError: kinds, symbols, range or an option the vendor does not know; nothing was asked for.
        AuthError, UnavailableError: the pull cannot go on; what is stored stays. DataError: a tape cannot be
            written, or another process pulls the same.
    """
    kinds = check_kinds(what, KINDS)
    given = {kind: vendor_options(vendor, kind, options) for kind in kinds}
    names = http_history.check_stocks(symbols, vendor.NAME)
    days = _sessions(start, end, wall)
    source = vendor.NAME if options.get("feed") in (None, "sip") else f"{vendor.NAME}-{options['feed']}"
    pulled = PulledEvents([], {})

    def keep(tape: PulledTape) -> None:
        pulled.tapes.append(tape)
        if stored is not None:
            stored(tape)

    for symbol in names:
        held, empty = False, []
        try:
            for i, day in enumerate(days):
                place = _Place(settings.store / FOLDER, symbol, day, source, kinds, vendor.SIMULATED)
                tape = place.known()
                if tape is None:
                    asked = [_asked(vendor, kind, symbol, day, settings, given[kind]) for kind in kinds]
                    events = heapq.merge(*asked, key=attrgetter("recv_ts"))
                    first = next(events, None)  # a missing key or a refusal comes before anything is written
                    if first is not None:
                        tape = place.write(itertools.chain((first,), events))
                    elif held:
                        tape = place.write(())
                    else:  # not listed yet, or never: the next sessions tell
                        empty.append(place)
                if tape is not None:
                    for before in empty:
                        keep(before.write(()))
                    empty.clear()
                    held = True
                    keep(tape)
                if progress is not None:
                    progress(symbol, i + 1, len(days))
        except UsageError as error:
            pulled.refused[symbol] = str(error)
        if empty and symbol not in pulled.refused:
            pulled.refused[symbol] = (
                f"{vendor.NAME} has no {' or '.join(kinds)} of {symbol!r} in this range; "
                "check the symbol and when it was listed"
            )
    return pulled


def check_kinds(what: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The kinds in the order of `known`.

    Raises:
        UsageError: none, or one that does not exist.
    """
    if not what:
        raise UsageError(f"nothing asked for; say some of {', '.join(known)}")
    for kind in what:
        if kind not in known:
            raise UsageError(f"there is no {kind!r} to pull{did_you_mean(kind, known)}")
    return tuple(kind for kind in known if kind in what)


def _sessions(start: Day, end: Day, wall: Clock) -> list[Session]:
    """The sessions of the range, all of them over: a tape is complete, or it is not there."""
    first, last = http_history.check_range(start, end, wall)
    days = calendar.sessions(first, last)
    date = calendar.parse_day(days[-1].date)
    if http_history.window(date, date).end_ns > wall.now():
        raise UsageError(
            f"the session of {date} is not over before New York's midnight, and trades and quotes are kept by whole "
            f"sessions; end on {date - dt.timedelta(days=1)}"
        )
    return days


def _asked(
    vendor: Vendor, kind: str, symbol: str, day: Session, settings: Settings, given: dict[str, Any]
) -> Iterator[MarketEvent]:
    """The events of one session. Vendors refuse a range without any: here that is a session without any."""
    answered = False

    def told(*_: object) -> None:
        nonlocal answered
        answered = True

    try:
        yield from getattr(vendor, kind)([symbol], day.date, day.date, settings=settings, progress=told, **given)
    except UsageError:
        if not answered:
            raise


class _Place(NamedTuple):
    """Where the tape of one symbol and session lies. root: of all tapes."""

    root: Path
    symbol: str
    day: Session
    source: str
    kinds: tuple[str, ...]
    simulated: bool

    @property
    def path(self) -> Path:
        date = str(calendar.parse_day(self.day.date))
        return self.root / folder_name(self.symbol) / date / f"{self.source}.{'+'.join(self.kinds)}"

    def known(self) -> PulledTape | None:
        """The tape that is there."""
        if not (self.path / NAME).is_file():
            return None
        return self._told(content_of(self.path), new=False)

    def write(self, events: Iterable[MarketEvent]) -> PulledTape:
        """The tape of these events, under its name when all of it is on the disk.

        Raises:
            DataError: the disk is full or the folder cannot be written, or another process writes it. And whatever
                `events` raises; nothing is left then.
        """
        with self._draft() as draft:
            options: dict[str, Any] = {"source": self.source, "symbols": [self.symbol], "channels": self.kinds}
            with Recorder(draft, simulated=self.simulated, **options) as recorder:
                digest, count = events_hash(_through(recorder, events))
            (draft / ".lock").unlink()
            (draft / CONTENT).write_bytes(msgspec.json.encode(Content(count, digest)) + b"\n")
            for path in (draft / CONTENT, *(each for each in draft.rglob("*") if each.is_dir()), draft):
                _sync(path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(self.path)
            for folder in (self.path.parent, self.path.parent.parent, self.root):
                _sync(folder)
        return self._told(Content(count, digest), new=True)

    @contextlib.contextmanager
    def _draft(self) -> Iterator[Path]:
        """An empty folder for this symbol's next tape, of this process alone; gone at the end."""
        drafts = self.root / ".drafts"
        draft = drafts / f"{folder_name(self.symbol)}.{self.source}.{'+'.join(self.kinds)}"
        try:
            drafts.mkdir(parents=True, exist_ok=True)
            with (drafts / f"{draft.name}.lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise DataError(
                        f"another process pulls {' and '.join(self.kinds)} of {self.symbol!r}; let it end, then pull "
                        "the rest"
                    ) from None
                shutil.rmtree(draft, ignore_errors=True)  # of a pull that was killed
                try:
                    yield draft
                finally:
                    shutil.rmtree(draft, ignore_errors=True)
        except (DataError, OSError) as error:
            reason = error if isinstance(error, OSError) else error.__context__
            if not isinstance(reason, OSError) or (isinstance(error, DataError) and str(draft) not in str(error)):
                raise
            raise DataError(
                f"{self.path} cannot be written ({reason.strerror or reason}); sessions stored before stay, so free "
                "some space or choose another --store, and run the same pull again"
            ) from error

    def _told(self, content: Content, *, new: bool) -> PulledTape:
        return PulledTape(self.symbol, self.day.date, str(self.path), content.events, content.hash, new)


def _through(recorder: Recorder, events: Iterable[MarketEvent]) -> Iterator[MarketEvent]:
    for event in events:
        recorder.add(event)
        yield event


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
