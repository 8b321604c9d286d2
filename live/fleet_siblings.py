"""Accounts that should decide alike: same strategy, parameters, clock and symbols. Who does not, where, and why.

Row by row the journals are compared: what was heard, and what was asked for (symbol, side, reason; quantities follow
from cash and fills, which may differ). The reason given is the first of those that the journals show: another row
heard, a row not heard, a halt, a control that said no, another fate of an earlier order, other settings, other code.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

import msgspec

from data.calendar import utc
from live.core.commands import Cancel, Denied, Protect, Submit, decode_command
from live.core.events import (
    Fill,
    Gate,
    Operator,
    OrderCancelled,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderUnknown,
    Row,
    decode_event,
)
from live.core.plan import Plan
from live.fleet_tail import Line
from live.header import Built, JournalHeader

KEPT = 5_000


class Divergence(msgspec.Struct, frozen=True):
    """An account that decided otherwise than its siblings. ts: of the first row. said, others: what was asked for."""

    account: str
    siblings: list[str]
    ts: int
    said: str
    others: str
    why: str

    def told(self) -> str:
        """One sentence."""
        return (
            f"{self.account} at {utc(self.ts)}: {self.said or 'nothing'}; its siblings "
            f"({', '.join(self.siblings)}): {self.others or 'nothing'}; {self.why}"
        )


class Decision(msgspec.Struct):
    """One row and what followed before the next. notes: what might explain a difference, since the last row."""

    ts: int
    row: Row
    asked: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Diary:
    """The decisions of one account, from its journal's records. `plan` and `code` are None and "" before the header."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.code = ""
        self.orders: deque[tuple[int, int]] = deque()  # (ts of the row, orders sent for it)
        self.closes: dict[str, float] = {}
        self.session = 0
        self.done: deque[Decision] = deque(maxlen=KEPT)
        self.halted = ""
        self._fates: deque[str] = deque(maxlen=4)
        self._open: Decision | None = None

    def begin(self, header: JournalHeader) -> None:
        """What the journal is of."""
        self.plan, self.code = header.plan, header.built.code

    def take(self, lines: Iterable[Line]) -> int:
        """Read on; how many orders were asked for in these records."""
        sent = 0
        for line in lines:
            if line.kind == "header":
                self.begin(msgspec.msgpack.decode(line.body, type=JournalHeader))
            elif line.kind == "resumed":
                self.code = msgspec.msgpack.decode(line.body, type=Built).code
            elif line.kind == "event":
                self._event(line.body)
            elif line.kind == "command":
                sent += self._command(line.body)
        return sent

    def _event(self, body: bytes) -> None:
        event = decode_event(body)
        if isinstance(event, Row):
            if self._open is not None:
                self.done.append(self._open)
            notes = tuple(self._fates)
            self._open = Decision(event.ts, event, notes=(self.halted, *notes) if self.halted else notes)
            self.session = event.session
            if self.plan is not None:
                self.closes.update(
                    (name, price) for name, price in zip(self.plan.symbols, event.close, strict=False) if price == price
                )
        elif isinstance(event, Operator):
            what = f"{event.action} by {event.who or 'operator'}" + (f": {event.note}" if event.note else "")
            self.halted = "" if event.action == "resume" else what
        elif isinstance(event, OrderRefused | OrderUnknown | OrderQuarantined):
            self._fates.append(f"an order of it was {type(event).__name__.removeprefix('Order').lower()}")
        elif isinstance(event, OrderExpired | OrderCancelled):
            self._fates.append(f"an order of it {type(event).__name__.removeprefix('Order').lower()} unfilled")
        elif isinstance(event, Gate) and not event.open:
            self._fates.append(f"its gate {event.name} closed: {event.reason}")
        elif isinstance(event, Fill):
            self._fates.append(f"it was filled {event.quantity:g} at {event.price:g}")

    def _command(self, body: bytes) -> int:
        command, row = decode_command(body), self._open
        if row is None:
            return 0
        if isinstance(command, Submit):
            row.asked += (f"{command.side} {command.symbol} ({command.reason})",)
            return 1
        if isinstance(command, Denied):
            row.asked += (f"{command.side} {command.symbol} ({command.reason})",)
            row.denied += (f"{command.code} kept it back ({command.text})",)
        elif isinstance(command, Protect | Cancel):
            return int(isinstance(command, Protect))
        return 0


class Siblings:
    """The comparison of a fleet, as its journals grow. `found` holds the first divergence of every account."""

    def __init__(self) -> None:
        self.found: dict[str, Divergence] = {}
        self._seen: dict[str, int] = {}  # ts that the group is compared up to

    def forget(self, account: str) -> None:
        """A person looked at it: compare it again from here."""
        self.found.pop(account, None)

    def look(self, diaries: dict[str, Diary]) -> list[Divergence]:
        """Compare what all of a group have decided by now; the divergences that are new."""
        groups: dict[str, list[str]] = {}
        for name, diary in sorted(diaries.items()):
            if diary.plan is not None and name not in self.found:
                groups.setdefault(_kind(diary.plan), []).append(name)
        fresh: list[Divergence] = []
        for kind, names in groups.items():
            if len(names) > 1:
                fresh += self._group(kind, names, diaries)
        self.found.update((each.account, each) for each in fresh)
        return fresh

    def _group(self, kind: str, names: list[str], diaries: dict[str, Diary]) -> list[Divergence]:
        known = self._seen.get(kind, 0)
        by_ts = {name: {each.ts: each for each in diaries[name].done if each.ts > known} for name in names}
        if not all(by_ts.values()):
            return []
        upto = min(max(rows) for rows in by_ts.values())
        since = max(min(rows) for rows in by_ts.values())
        moments = sorted({ts for rows in by_ts.values() for ts in rows if since <= ts <= upto})
        fresh: dict[str, Divergence] = {}
        for ts in moments:
            left = [name for name in names if name not in fresh]
            for each in _odd(ts, {name: by_ts[name].get(ts) for name in left}, diaries):
                fresh[each.account] = each
        self._seen[kind] = upto
        return list(fresh.values())


def _odd(ts: int, rows: dict[str, Decision | None], diaries: dict[str, Diary]) -> list[Divergence]:
    """The accounts of a group that did otherwise than most of it at one row; of two, the later in the alphabet."""
    said = {name: None if row is None else (row.asked, _kept(row)) for name, row in rows.items()}
    counts = Counter(said.values())
    if len(counts) < 2:
        return []
    most = max(counts.values())
    usual = next(told for told in said.values() if counts[told] == most)
    norm = next(name for name, told in said.items() if told == usual)
    siblings = [name for name, told in said.items() if told == usual]
    return [
        Divergence(name, siblings, ts, _told(rows[name]), _told(rows[norm]), _why(name, norm, rows, diaries))
        for name, told in said.items()
        if told != usual
    ]


def _kept(row: Decision) -> int:
    """How many of its orders were kept back: asked for alike, they are still not sent alike."""
    return len(row.denied)


def _told(row: Decision | None) -> str:
    return "no such row" if row is None else ", ".join(row.asked)


def _why(name: str, norm: str, rows: dict[str, Decision | None], diaries: dict[str, Diary]) -> str:
    mine, theirs = rows[name], rows[norm]
    if mine is None or theirs is None:
        return "it did not hear this row" if mine is None else "its siblings did not hear this row"
    heard = _heard(mine.row, theirs.row, diaries[name].plan)
    if heard:
        return heard
    if mine.denied != theirs.denied:
        return "; ".join(mine.denied) if mine.denied else f"its siblings were kept back: {'; '.join(theirs.denied)}"
    if diaries[name].code != diaries[norm].code:
        return f"it runs other code ({diaries[name].code[:12]}, they {diaries[norm].code[:12]})"
    only = [note for note in mine.notes if note not in theirs.notes]
    halts = [note for note in only if " by " in note]
    if halts:
        return f"it is halted ({halts[0]})"
    settings = _settings(diaries[name].plan, diaries[norm].plan)
    if settings:
        return f"its settings differ: {settings}"
    if only:
        return f"before that {', '.join(only)}"
    theirs_only = [note for note in theirs.notes if note not in mine.notes]
    if theirs_only:
        return f"before that, of {norm}: {', '.join(theirs_only)}"
    return "the journals show no reason: replay both (python -m live replay)"


def _heard(mine: Row, theirs: Row, plan: Plan | None) -> str:
    for field in ("open", "high", "low", "close", "volume", "book"):
        ours, others = getattr(mine, field), getattr(theirs, field)
        if msgspec.msgpack.encode(ours) == msgspec.msgpack.encode(others):
            continue
        if field == "book" or ours is None or others is None:
            return "it heard another book"
        at = next(k for k, pair in enumerate(zip(ours, others, strict=True)) if repr(pair[0]) != repr(pair[1]))
        symbol = plan.symbols[at] if plan is not None and at < len(plan.symbols) else f"column {at}"
        return f"it heard another row: {field} of {symbol} is {ours[at]:g}, theirs {others[at]:g}"
    return ""


def _settings(mine: Plan | None, theirs: Plan | None) -> str:
    if mine is None or theirs is None:
        return ""
    named: list[str] = []
    for field in ("cash", "broker", "rule", "costs", "limits"):
        ours, others = getattr(mine, field), getattr(theirs, field)
        if ours == others:
            continue
        if isinstance(ours, dict):
            keys = [key for key in (ours | others) if ours.get(key) != others.get(key)]
            named += [f"{key} is {ours.get(key)}, theirs {others.get(key)}" for key in keys]
        else:
            named.append(f"{field} is {ours}, theirs {others}")
    return ", ".join(named)


def _kind(plan: Plan) -> str:
    told: Sequence[object] = (plan.strategy, plan.source_hash, sorted(plan.params.items()), plan.clock, plan.symbols)
    return repr(told)
