"""Robinhood's price book: equity L2, the only one on offer, asked for again and again and given out as a stream.

Nobody streams depth of US equities. Robinhood's official tools give a snapshot of up to four symbols a call, within a
budget, so every book is seconds old: `BookSnapshot.venue_ts` is when the venue last changed it, `recv_ts` when it
was asked. Who asks, and with which session, is the broker adapter's: `stream` is given a callable.

    async for event in stream(["AAPL", "MSFT"], fetch=session.price_book): ...

`fetch(symbols)` gives the tool's answer, `{"books": [{"symbol", "updated_at", "asks", "bids"}]}` or that under
`data`; levels are `{"price", "quantity"}`, a price also as `{"amount"}` (the private route's form).
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from data.calendar import SECOND_NS
from data.errors import AuthError, DataError, OnetapeError, UsageError
from data.events import BookSnapshot, Gap, Level, MarketEvent
from data.sources import http_history
from data.sources.base import Capabilities, Clock, WallClock
from data.sources.budget import Budget

NAME = "robinhood_book"
SIMULATED = False
VENDOR = "Robinhood"
SYMBOLS_A_CALL = 4
REQUESTS_A_MINUTE = 30
"""Half of what the venue is thought to bear; orders come out of the same allowance."""
STALE_S = 10.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0

Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]


def capabilities() -> Capabilities:
    """Books only, by polling; the session is the broker's."""
    return Capabilities(
        history=(),
        clocks=(),
        adjustments=(),
        channels=("books",),
        depth="US equities, polled",
        requests_a_minute=REQUESTS_A_MINUTE,
        connections=1,
        symbols=0,
        variables=(),
        keys_from="connect the broker: python -m live login",
    )


async def stream(
    symbols: Sequence[str],
    *,
    fetch: Fetch,
    wall: Clock | None = None,
    every_s: float = 2.0,
    requests_a_minute: int = REQUESTS_A_MINUTE,
    seed: int = 0,
) -> AsyncGenerator[MarketEvent, None]:
    """Book snapshots of `symbols`, four a call, in turn, as often as the budget allows.

    A call that fails is tried again after 1, 2, 4 ... 60 s. When a symbol's books have not come for ten seconds a
    `Gap` says so at once, and another its whole length when they are back. A book that did not change is not repeated.

    Args:
        fetch: asks for up to four symbols; raises `UnavailableError` or `OSError` where trying again may help.
        every_s: seconds between two rounds, if the budget allows. seed: of the spread of waits.

    Raises:
        AuthError: the session is over. UsageError: a symbol. DataError: answers that are not price books.
    """
    wall = WallClock() if wall is None else wall
    names = http_history.check_tickers(symbols, VENDOR)
    if every_s <= 0.0:
        raise UsageError(f"every_s is {every_s}; it is the pause between two rounds, in seconds, above 0")
    groups = [names[i : i + SYMBOLS_A_CALL] for i in range(0, len(names), SYMBOLS_A_CALL)]
    budget = Budget(requests_a_minute, wall, burst=min(len(groups), max(requests_a_minute // 2, 1)))
    chance = random.Random(seed)
    watch = {name: _Watch(name, wall.now()) for name in names}
    failures = 0
    while True:
        round_began = wall.now()
        for group in groups:
            await budget.pause()
            try:
                answer = await fetch(group)
            except (AuthError, UsageError):
                raise
            except (OnetapeError, OSError, TimeoutError) as error:
                failures += 1
                now = wall.now()
                for name in group:
                    if (gap := watch[name].missed(now, type(error).__name__)) is not None:
                        yield gap
                wait = min(FIRST_WAIT_S * 2.0 ** (failures - 1), LONGEST_WAIT_S)
                await wall.pause(wait * (1.0 + 0.5 * chance.random()))
                continue
            failures = 0
            now = wall.now()
            for book in books_of(answer, now):
                if book.symbol not in watch:
                    continue
                if (gap := watch[book.symbol].came(now)) is not None:
                    yield gap
                if watch[book.symbol].changed(book):
                    yield book
            for name in group:
                if (gap := watch[name].missed(now, "no book in the answer")) is not None:
                    yield gap
        rest = every_s - (wall.now() - round_began) / SECOND_NS
        await wall.pause(max(rest, 0.0))


def books_of(answer: Mapping[str, Any], recv_ts: int) -> list[BookSnapshot]:
    """The books of a tool's answer.

    Raises:
        DataError: it is not one.
    """
    try:
        told = answer.get("data", answer)["books"]
        return [
            BookSnapshot(
                book["symbol"],
                _instant(book.get("updated_at")),
                recv_ts,
                tuple(sorted(map(_level, book.get("bids") or ()), reverse=True)),
                tuple(sorted(map(_level, book.get("asks") or ()))),
            )
            for book in told
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{VENDOR}'s answer is not a price book ({type(error).__name__}: {error}); the tool may have changed"
        ) from None


class _Watch:
    """When a symbol's book was last had, and which it was."""

    def __init__(self, symbol: str, now: int) -> None:
        self._symbol = symbol
        self._last = now
        self._lost = False
        self._book: tuple[object, ...] = ()

    def missed(self, now: int, reason: str) -> Gap | None:
        """A gap, once, when the book is overdue."""
        if self._lost or now - self._last <= STALE_S * SECOND_NS:
            return None
        self._lost = True
        return Gap(self._symbol, 0, now, self._last, now, reason, VENDOR)

    def came(self, now: int) -> Gap | None:
        """The whole gap, when there was one."""
        gap = Gap(self._symbol, 0, now, self._last, now, "the book is back", VENDOR) if self._lost else None
        self._last, self._lost = now, False
        return gap

    def changed(self, book: BookSnapshot) -> bool:
        """Whether it is another one than before."""
        told = (book.venue_ts, book.bids, book.asks)
        if told == self._book:
            return False
        self._book = told
        return True


def _level(told: Mapping[str, Any]) -> Level:
    price = told["price"]
    return float(price["amount"] if isinstance(price, Mapping) else price), float(told["quantity"])


def _instant(told: str | None) -> int:
    """UTC nanoseconds of an RFC 3339 text with up to nine decimals; 0 without one."""
    if not told:
        return 0
    moment = dt.datetime.fromisoformat(told)
    fraction = told.partition(".")[2].rstrip("Z").partition("+")[0].partition("-")[0]
    return int(moment.timestamp()) * SECOND_NS + int(fraction.ljust(9, "0")[:9] or 0)
