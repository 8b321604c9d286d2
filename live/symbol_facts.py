"""What is known of each symbol besides its rows, put together from those who know it.

the feed     halts, pauses, a crossed quote
history      20-day volumes, the last session's close, how long it has been listed; by a process of its own
a person     which are leveraged: `leveraged = [...]` in the account file
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import os
import sys
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from data.calendar import NEW_YORK, SECOND_NS
from data.errors import UnavailableError
from data.feed_warm import Question, fetch
from data.rows import Row, Trading
from data.settings import CHECKOUT, Settings, environment_of
from live.core.facts import SymbolFacts

SESSIONS = 21
"""Of history: twenty for the averages, and the last close."""
AVERAGED = 20


class Book:
    """The facts of every symbol, and which of them are news.

    Args:
        leveraged: the symbols that are, as a person says; None where nobody did.
        max_crossed_s: a quote that is crossed for longer is told of.
    """

    def __init__(self, symbols: Sequence[str], leveraged: Sequence[str] | None, max_crossed_s: float | None) -> None:
        self._max_crossed_s = max_crossed_s if max_crossed_s is not None else math.inf
        self._facts = {
            symbol: SymbolFacts(0, symbol, is_leveraged=None if leveraged is None else symbol in leveraged)
            for symbol in symbols
        }
        self._told: dict[str, SymbolFacts] = {}

    def trading(self, news: Trading) -> None:
        """A symbol halts or trades again; one of which nothing was said trades."""
        known = self._facts.get(news.symbol)
        if known is None:
            return
        halted = news.state in ("halted", "luld")
        resumed = news.ts if known.is_halted and not halted else known.resumed_ts
        self._facts[news.symbol] = replace(known, is_halted=halted, resumed_ts=resumed)

    def crossed(self, symbol: str, seconds: float) -> None:
        """For how long the quote has been crossed; whether it is too long is what matters."""
        seconds = seconds if seconds > self._max_crossed_s else 0.0
        known = self._facts[symbol]
        if (known.crossed_s > 0.0) != (seconds > 0.0):
            self._facts[symbol] = replace(known, crossed_s=seconds)

    def history(self, rows: Iterable[Row], symbols: Sequence[str], session: int) -> None:
        """Daily rows, oldest first, of the sessions before `session`."""
        before = [row for row in rows if row.session < session]
        for j, symbol in enumerate(symbols):
            days = [(row.close[j], row.volume[j]) for row in before if row.close[j] == row.close[j]]
            last = days[-AVERAGED:]
            if not last or symbol not in self._facts:
                continue
            self._facts[symbol] = replace(
                self._facts[symbol],
                average_volume=sum(volume for _, volume in last) / len(last),
                average_dollar_volume=sum(close * volume for close, volume in last) / len(last),
                reference_close=last[-1][0],
                listed_days=len(days),
            )

    def actions(self, symbols: Iterable[str] | None) -> None:
        """Symbols with a split, dividend or renaming today; None where nobody knows."""
        known = None if symbols is None else set(symbols)
        for symbol, facts in self._facts.items():
            self._facts[symbol] = replace(facts, has_corporate_action=None if known is None else symbol in known)

    def news(self, ts: int) -> list[SymbolFacts]:
        """The facts that changed since they were told."""
        fresh = []
        for symbol, facts in self._facts.items():
            if repr(self._told.get(symbol)) != repr(facts):  # NaN is not equal to itself
                self._told[symbol] = facts
                fresh.append(replace(facts, ts=ts))
        return fresh


async def daily_rows(feed: str, symbols: Sequence[str], now: int, settings: Settings) -> list[Row]:
    """The last sessions' daily rows, from the vendor of the feed; none where it has none to give.

    Raises:
        OnetapeError: what the vendor said.
    """
    vendor, _, part = feed.partition(":")
    part = part or {"alpaca": "iex", "polygon": "stocks"}[vendor]
    return await fetch(
        Question(list(symbols), "1d", "regular", SESSIONS, now, vendor, part, "split"),
        settings,
    )


async def actions_today(feed: str, symbols: Sequence[str], now: int, settings: Settings) -> list[str]:
    """The symbols that have a corporate action today, from the vendor of the feed, by a process of its own.

    Raises:
        OnetapeError: what the vendor said.
    """
    asked = msgspec.json.encode({"vendor": feed.partition(":")[0], "symbols": list(symbols), "now": now}).decode()
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "live.symbol_actions",
        asked,
        env=os.environ | environment_of(settings) | {"PYTHONPATH": str(CHECKOUT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, said = await child.communicate()
    except asyncio.CancelledError:
        child.kill()
        raise
    if child.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or [f"exit {child.returncode}"]
        raise UnavailableError(lines[-1].removeprefix("error: "))
    return msgspec.json.decode(out, type=list[str])


def session_of(now: int) -> int:
    """The session's date of an instant, YYYYMMDD in New York."""
    day = dt.datetime.fromtimestamp(now / SECOND_NS, NEW_YORK).date()
    return day.year * 10_000 + day.month * 100 + day.day
