"""The market of one schedule: the true price at every time, and the rows that a feed makes of it, faults included."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from data import calendar
from data.rows import Row
from data.types import FEATURES

from .clock import SECOND, ns

SYMBOLS = ("AAA", "BBB")
ROW_S = 10
STEP_S = 2
DAYS = (
    20250122, 20250307, 20250310, 20250311, 20250602, 20250703, 20251031, 20251103, 20251104, 20251128, 20251224,
)  # fmt: skip
"""Ordinary days, those around both changes of the clocks, and three half days."""
nan = float("nan")
_F = {name: number for number, name in enumerate(FEATURES)}


@dataclass(frozen=True)
class Told:
    """A row as it reaches the process. faults: what was done to it."""

    arrives: int
    row: Row
    faults: tuple[str, ...] = ()


@dataclass
class Market:
    """Prices and rows. sessions: (open, close) ns of every session touched; halts: (symbol, from, until)."""

    chance: random.Random
    sessions: list[calendar.Session]
    times: list[int]
    halts: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        gauss = self.chance.gauss
        self._starts = [0]
        for before, after in zip(self.times, self.times[1:], strict=False):
            self._starts.append(self._starts[-1] + (after - before > 3 * ROW_S * SECOND))
        steps = len(self.times) * (ROW_S // STEP_S) + 1
        self.paths: list[list[float]] = []
        for j in range(len(SYMBOLS)):
            price, path = 40.0 + 60.0 * j, []
            for _ in range(steps):
                price = max(price * (1.0 + gauss(0.0, 0.0012)), 5.0)
                path.append(round(price, 2))
            self.paths.append(path)

    @classmethod
    def made(cls, chance: random.Random, rows: int, *, days: int, where: str, day: int) -> Market:
        """Some rows of one session or two. where: open, middle or close of the (first) session."""
        sessions = calendar.sessions_from(day, days)
        times: list[int] = []
        share = rows // days
        for number, session in enumerate(sessions):
            length = (session.close_ns - session.open_ns) // (ROW_S * SECOND)
            part = {"open": 0, "middle": length // 2, "close": length - share + 1}[where if number == 0 else "open"]
            first = session.open_ns + part * ROW_S * SECOND
            times += [first + (i + 1) * ROW_S * SECOND for i in range(share)]
        return cls(chance, sessions, times)

    def mid(self, symbol: str, ts: int) -> float:
        """The price at a time; the last one before where the market was shut."""
        path = self.paths[SYMBOLS.index(symbol)]
        at = next((i for i, close in enumerate(self.times) if close >= ts), len(self.times) - 1)
        into = max(ts - (self.times[at] - ROW_S * SECOND), 0) // (STEP_S * SECOND)
        return path[min(at * (ROW_S // STEP_S) + int(into), len(path) - 1)]

    def quote(self, symbol: str, ts: int) -> tuple[float, float]:
        """(bid, ask)."""
        mid = self.mid(symbol, ts)
        return round(mid - 0.01, 2), round(mid + 0.01, 2)

    def is_open(self, ts: int) -> bool:
        """Whether a session is on."""
        return any(session.open_ns <= ts < session.close_ns for session in self.sessions)

    def opens_after(self, ts: int) -> int:
        """The next open from `ts` on; `ts` itself where a session is on or none comes."""
        opens = [session.open_ns for session in self.sessions if session.open_ns > ts]
        return ts if self.is_open(ts) or not opens else opens[0]

    def is_halted(self, symbol: str, ts: int) -> bool:
        """Whether the symbol is halted."""
        return any(name == symbol and since <= ts < until for name, since, until in self.halts)

    def rows(self, codes: list[list[int]], *, with_book: bool) -> list[Row]:
        """The rows as an honest feed makes them; `codes[t][j]` goes into the volume."""
        session, since_open, to_close = calendar.session_columns(np.array(self.times), "10s")
        per = ROW_S // STEP_S
        rows = []
        for t, ts in enumerate(self.times):
            parts = [path[t * per : (t + 1) * per + 1] for path in self.paths]
            book = None
            if with_book:
                close = [part[-1] for part in parts]
                book = [[nan] * len(SYMBOLS) for _ in FEATURES]
                book[_F["bid"]] = [round(price - 0.01, 2) for price in close]
                book[_F["ask"]] = [round(price + 0.01, 2) for price in close]
                book[_F["spread"]] = [0.02] * len(SYMBOLS)
                book[_F["mid"]] = list(close)
                book[_F["bid_depth"]] = [100_000.0] * len(SYMBOLS)
                book[_F["ask_depth"]] = [100_000.0] * len(SYMBOLS)
                book[_F["age"]] = [0.3] * len(SYMBOLS)
            rows.append(
                Row(
                    ts, int(session[t]), float(since_open[t]), float(to_close[t]),
                    [part[0] for part in parts], [max(part) for part in parts], [min(part) for part in parts],
                    [part[-1] for part in parts], [8.0 * 500 + codes[t][j] for j in range(len(SYMBOLS))], book,
                )
            )  # fmt: skip
        return rows


def spoiled(row: Row, chance: random.Random, how: str) -> Row:
    """The row with one symbol's numbers wrong."""
    j = chance.randrange(len(SYMBOLS))
    copy = {name: list(getattr(row, name)) for name in ("open", "high", "low", "close", "volume")}
    book = None if row.book is None else [list(feature) for feature in row.book]
    if how == "print":
        factor = chance.choice([0.0, 10.0, 0.1, nan])
        for name in ("open", "high", "low", "close"):
            copy[name][j] = round(copy[name][j] * factor, 2)
    elif book is not None and how == "crossed":
        book[_F["bid"]][j], book[_F["ask"]][j] = book[_F["ask"]][j] + 0.05, book[_F["bid"]][j] - 0.05
        book[_F["spread"]][j] = -0.1
    elif book is not None and how == "stale":
        book[_F["age"]][j] = chance.choice([2.5, 10.0, 60.0, nan])
    elif book is not None and how == "depth":
        for feature in ("bid_depth", "ask_depth"):
            book[_F[feature]] = [nan] * len(SYMBOLS)
    return Row(row.ts, row.session, row.since_open, row.to_close, **copy, book=book)


class Feed:
    """What the process is told of a market, and when.

    Args:
        wanted: name of a feed's fault to its chance per row.
    """

    def __init__(self, rows: list[Row], chance: random.Random, wanted: dict[str, float]) -> None:
        self.told: list[Told] = []
        self.silences: list[tuple[int, int]] = []
        """(from, until) without a row from a connection that stands."""
        self.held: list[tuple[int, int]] = []
        """(from, until) in which rows are held back."""
        self.refusals: list[tuple[int, int]] = []
        """(from, until) without a connection."""
        self.bare: list[tuple[int, int]] = []
        """(from, until) with the best prices only, without their depth."""
        silent_until = burst_until = l1_until = refused_until = 0
        for number, row in enumerate(rows):
            draw = {name: chance.random() < odds for name, odds in wanted.items()}
            arrives = row.ts + ns(chance.uniform(0.05, 0.6))
            faults: list[str] = []
            if draw.get("F16"):
                silent_until = row.ts + chance.choice([40, 80]) * SECOND
                self.silences.append((row.ts, silent_until))
            if draw.get("F18"):
                refused_until = row.ts + chance.choice([15, 40]) * SECOND
                self.refusals.append((row.ts, refused_until))
            if draw.get("F15"):
                burst_until = row.ts + chance.choice([20, 40]) * SECOND
                self.held.append((row.ts, burst_until))
            if draw.get("F17"):
                l1_until = row.ts + chance.choice([20, 60]) * SECOND
                self.bare.append((row.ts, l1_until))
            if row.ts < max(silent_until, refused_until):
                continue
            if row.ts < burst_until:
                arrives, faults = max(arrives, burst_until + ns(0.01 * number)), ["F15"]
            if row.ts < l1_until:
                row, faults = spoiled(row, chance, "depth"), [*faults, "F17"]
            if draw.get("F32"):
                row, faults = spoiled(row, chance, "print"), [*faults, "F32"]
            if draw.get("F14"):
                how = chance.choice(["gap", "twice", "late", "crossed", "stale"])
                faults.append("F14")
                if how == "gap":
                    continue
                if how in ("crossed", "stale"):
                    row = spoiled(row, chance, how)
                elif how == "late":
                    arrives += ns(chance.uniform(1.0, 25.0))
                else:
                    again = arrives + ns(chance.uniform(0.0, 12.0))
                    self.told.append(Told(again, row, ("F14",)))
            self.told.append(Told(arrives, row, tuple(faults)))
        self.told.sort(key=lambda told: told.arrives)
