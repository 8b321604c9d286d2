"""The accounts of a host as one read model: each with its status, its orders, what stands against it, its age."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from data.calendar import SECOND_NS
from live.control import Control, Status, Word
from live.logs import ROTATED
from live.watch.roster import Place, Roster
from live.watch.story import Story
from live.watch.tail import Tail

SILENT_S = 10.0
"""A runner that says nothing for longer is silent: it says something every second."""

State = Literal["problem", "never run", "silent", "halted", "running", "ended"]


@dataclass(frozen=True)
class PositionView:
    """A position, ours and the broker's. broker: shares in its last record, None where it was never asked.

    price: average of what opened it, where the fills read so far add up to `ours`; last: close of the last row; pnl:
    of what is held, dollars; NaN where unknown.
    """

    symbol: str
    ours: float
    broker: float | None
    price: float
    last: float
    pnl: float

    @property
    def differs(self) -> bool:
        """True where the broker's record had another quantity."""
        return self.broker is not None and abs(self.ours - self.broker) > 1e-9


@dataclass(frozen=True)
class AccountView:
    """An account as its files tell it.

    status: what its runner last said, None before the first time. age_s: seconds since then, NaN without a status.
    halt: the halt that stands in its folder. problem: what of it cannot be read. log_bytes: of its log, rotated ones
    too.
    """

    place: Place
    status: Status | None
    age_s: float
    halt: Word | None
    story: Story
    problem: str
    journal_bytes: int
    log_bytes: int

    @property
    def name(self) -> str:
        """The account's name."""
        return self.place.name

    @property
    def is_silent(self) -> bool:
        """True where a runner that has not ended says nothing."""
        return self.status is not None and not self.status.ended and not self.age_s <= SILENT_S

    @property
    def is_running(self) -> bool:
        """True where a runner says how it stands."""
        return self.status is not None and not self.status.ended and not self.is_silent

    @property
    def halted(self) -> str:
        """Why no new positions are opened, '' where they are."""
        if self.status is not None and self.status.halted:
            return self.status.halted
        if self.halt is None:
            return ""
        return f"{self.halt.action} by {self.halt.who or 'unknown'}" + (f": {self.halt.note}" if self.halt.note else "")

    @property
    def state(self) -> State:
        """The account in one word; the worst one first."""
        if self.problem:
            return "problem"
        if self.status is None:
            return "never run"
        if self.is_silent:
            return "silent"
        if self.halted:
            return "halted"
        return "ended" if self.status.ended else "running"

    def positions(self) -> list[PositionView]:
        """What is held by us or by the broker."""
        if self.status is None:
            return []
        ours, books = self.status.positions, self.story.books
        theirs = {} if books is None else {symbol: held for symbol, held in books.positions.items() if held}
        lines = []
        for symbol in sorted(ours | theirs):
            held, last = self.story.held.get(symbol), self.story.closes.get(symbol, float("nan"))
            quantity = ours.get(symbol, 0.0)
            price = held.price if held is not None and held.quantity == quantity else float("nan")
            broker = None if books is None or self._is_older(books.ts, symbol) else theirs.get(symbol, 0.0)
            lines.append(PositionView(symbol, quantity, broker, price, last, (last - price) * quantity))
        return lines

    def _is_older(self, ts: int, symbol: str) -> bool:
        """True where something of the symbol was filled after the broker's record was taken."""
        return any(order.symbol == symbol and order.filled_at > ts for order in self.story.orders.values())


class Watch:
    """Looks at the files of some accounts; each look reads only what changed.

    Args:
        paths: account files and folders of them; none for the checkout's own.
        clock_ns: UTC nanoseconds, to tell how old a status is.
    """

    def __init__(self, paths: Iterable[Path] = (), clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.roster = Roster(paths)
        self._clock_ns = clock_ns
        self._known: dict[tuple[Path, str], _Files] = {}

    def look(self) -> list[AccountView]:
        """Every account as it stands."""
        now, known, views = self._clock_ns(), {}, []
        for place in self.roster.places():
            key = place.state, place.name
            files = self._known.get(key) or _Files(place)
            known[key] = files
            views.append(files.view(place, now))
        self._known = known
        return views

    def stamp(self) -> tuple[object, ...]:
        """Changes when a journal, a halt or an account file does: cheap enough to ask several times a second."""
        places = self.roster.places()
        return tuple((place, self._stamp(place)) for place in places)

    def _stamp(self, place: Place) -> tuple[object, ...]:
        files = self._known.get((place.state, place.name))
        return () if files is None else (files.tail.stamp(), files.control.flag.exists())


class _Files:
    """The files of one account, as last read."""

    def __init__(self, place: Place) -> None:
        self.control = Control(place.state, place.name)
        self.tail = Tail(place.journal)
        self._status: Status | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._problem = ""

    def view(self, place: Place, now_ns: int) -> AccountView:
        if place.problem:
            return AccountView(place, None, float("nan"), None, Story(), place.problem, 0, 0)
        self._read_status()
        self.tail.look()
        status = self._status
        said = 0 if status is None or self._stamp is None else status.said or self._stamp[1]
        return AccountView(
            place=place,
            status=status,
            age_s=max(0.0, (now_ns - said) / SECOND_NS) if said else float("nan"),
            halt=self.control.standing(),
            story=self.tail.story,
            problem=self._problem or self.tail.problem,
            journal_bytes=self.tail.size,
            log_bytes=sum(_size(place.state / name) for name in log_names(place.name)),
        )

    def _read_status(self) -> None:
        try:
            file = self.control.status_file.stat()
            stamp = (file.st_ino, file.st_mtime_ns, file.st_size)
            if stamp != self._stamp:
                self._status = msgspec.json.decode(self.control.status_file.read_bytes(), type=Status)
                self._stamp, self._problem = stamp, ""
        except FileNotFoundError:
            self._status, self._stamp, self._problem = None, None, ""
        except (OSError, msgspec.MsgspecError) as error:
            self._problem = f"{self.control.status_file.name} cannot be read ({error})"


def share(used: float, limit: float) -> float:
    """How much of a limit is used, 0 to 1 and above; of a limit of nothing all, once anything is used."""
    if limit > 0.0:
        return max(0.0, used / limit)
    return 1.0 if used > 0.0 else 0.0


def log_names(name: str) -> list[str]:
    """The files of an account's log: the one being written and those rotated away."""
    return [f"{name}.log", *(f"{name}.log.{i}.gz" for i in range(1, ROTATED + 1))]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
