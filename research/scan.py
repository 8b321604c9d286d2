"""Which symbols move before the open: ranked by gap, relative volume and momentum, from rows known by then.

    found = scan(bars, 20240103)
    found.symbols                 # the best five, for an account
    found.movers                  # all, with their measures; found.left_out says who is not among them and why

Rows that close after the scan's instant (at the latest the open) are cut off before anything is computed.
"""

from __future__ import annotations

import datetime as dt
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from data.calendar import FIRST_DAY, MINUTE_NS, Day, Session, parse_day, session_of, sessions, sessions_from, utc
from data.errors import DataError, UsageError
from data.types import Bars
from research.scan_measures import MEASURES, Frame, Measured, has_pre_market, measure

LIMIT = 5  # symbols of one stream in the market-data plan
LOOKBACK = 20
DIRECTIONS = ("both", "up", "down")


class Mover(NamedTuple):
    """One ranked symbol. rank: from 1. score: 0 to 1. ranks: its place by each measure that counted.

    close: of the session before. price: the last known. gap, momentum: fractions; relative_volume: a multiple; NaN
    where `missing` says why.
    """

    rank: int
    symbol: str
    score: float
    close: float
    price: float
    gap: float
    relative_volume: float
    momentum: float
    ranks: dict[str, int]
    missing: dict[str, str]


class Scan(NamedTuple):
    """session: yyyymmdd. at_ns: nothing later was known. pre_market: whether gap and volume are of today's pre-market.

    counted: the measures that any symbol has. movers: all, best first. left_out: why others are not among them.
    """

    session: int
    at_ns: int
    pre_market: bool
    lookback: int
    direction: str
    counted: tuple[str, ...]
    movers: tuple[Mover, ...]
    left_out: dict[str, str]
    limit: int

    @property
    def symbols(self) -> tuple[str, ...]:
        """The best, at most `limit` of them, by rank."""
        return tuple(mover.symbol for mover in self.movers[: self.limit])

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        told = self._asdict() | {"at": utc(self.at_ns), "symbols": list(self.symbols)}
        return told | {"movers": [mover._asdict() for mover in self.movers]}


def scan(
    bars: Bars,
    session: Day,
    *,
    limit: int = LIMIT,
    lookback: int = LOOKBACK,
    direction: str = "both",
    minutes_before: float = 0.0,
) -> Scan:
    """The movers of a session, as known before it opens.

    Args:
        bars: of any clock, with or without pre-market; rows after the scan's instant change nothing.
        limit: how many symbols an account is to have.
        lookback: sessions that volume and momentum are compared with.
        direction: `up` ranks by rising gap and momentum, `down` by falling, `both` by their size.
        minutes_before: the scan is made so long before the open.

    A symbol's place by a measure is one more than the number of symbols that are stronger, so equals share it;
    without the measure it comes behind all that have it. The sum of the places decides, then the gap's strength, then
    the name.

    Raises:
        UsageError: a limit, lookback, direction or time that cannot be.
        DataError: the exchange is closed that day, or the calendar does not reach back.
    """
    if limit < 1 or lookback < 1 or minutes_before < 0.0:
        raise UsageError(
            f"limit and lookback must be at least 1 and minutes_before at least 0, got {limit}, {lookback} and "
            f"{minutes_before}"
        )
    if direction not in DIRECTIONS:
        raise UsageError(f"direction {direction!r} is not one of {', '.join(DIRECTIONS)}")
    today = session_of(session)
    at_ns = today.open_ns - int(minutes_before * MINUTE_NS)
    known = bars.rows(0, int(np.searchsorted(bars.ts, at_ns, side="right")))
    frame = Frame(today, sessions_before(session, lookback + 1), minutes_before, has_pre_market(known, today))
    measured = {symbol: measure(known, j, frame) for j, symbol in enumerate(bars.symbols)}
    found = {symbol: each for symbol, each in measured.items() if isinstance(each, Measured)}
    left_out = {symbol: each for symbol, each in measured.items() if isinstance(each, str)}
    counted = tuple(name for name in MEASURES if any(not isnan(getattr(each, name)) for each in found.values()))
    movers = _ranked(found, counted, direction)
    return Scan(today.date, at_ns, frame.pre_market, lookback, direction, counted, movers, left_out, limit)


def sessions_before(session: Day, count: int) -> list[Session]:
    """The `count` sessions before this one, oldest first.

    Raises:
        DataError: the calendar does not reach that far back.
    """
    today = session_of(session)
    day = parse_day(today.date)
    start = max(day - dt.timedelta(days=2 * count + 15), FIRST_DAY)  # closed for a week at most, but for wars
    found = [each for each in sessions(start, day) if each.date < today.date]
    if len(found) < count:
        raise DataError(f"the calendar has {len(found)} sessions before {day}, {count} are needed; take a later one")
    return found[-count:]


def next_session(bars: Bars) -> int:
    """The session that these rows lead up to: that of the last row while it has not opened, else the one after."""
    last, index = int(bars.ts[-1]), len(bars) - 1
    if bars.since_open[index] <= 0.0:
        return int(bars.session[index])
    ahead = sessions_from(parse_day(int(bars.session[index])), 2)
    return next(each.date for each in ahead if each.open_ns > last)


def _ranked(found: dict[str, Measured], counted: tuple[str, ...], direction: str) -> tuple[Mover, ...]:
    strengths = {symbol: {name: _strength(each, name, direction) for name in counted} for symbol, each in found.items()}
    places = {
        symbol: {name: 1 + sum(other[name] > own[name] for other in strengths.values()) for name in counted}
        for symbol, own in strengths.items()
    }
    order = sorted(found, key=lambda s: (sum(places[s].values()), -strengths[s].get("gap", 0.0), s))
    most = len(found) * len(counted)
    return tuple(
        Mover(
            rank=i + 1,
            symbol=symbol,
            score=(most + len(counted) - sum(places[symbol].values())) / most if most else 0.0,
            close=found[symbol].close,
            price=found[symbol].price,
            gap=found[symbol].gap,
            relative_volume=found[symbol].relative_volume,
            momentum=found[symbol].momentum,
            ranks=places[symbol],
            missing=found[symbol].missing,
        )
        for i, symbol in enumerate(order)
    )


def _strength(measured: Measured, name: str, direction: str) -> float:
    """What is ranked, larger first; what is not known comes last."""
    value = float(getattr(measured, name))
    if isnan(value):
        return float("-inf")
    if name == "relative_volume" or direction == "up":
        return value
    return -value if direction == "down" else abs(value)
