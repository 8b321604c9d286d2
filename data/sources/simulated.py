"""A simulated intraday market with a real limit order book behind every price. Nothing here was printed by a venue.

Seeded and exact: a seed gives the same bits on every machine, and a symbol's session is the same whichever other
symbols, sessions or clock are asked for. Sessions are the exchange's own, half days included. The first use compiles
for some seconds and is kept on disk. Needs numba, imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from data.calendar import SECOND_NS, Day, Session, parse_clock, row_times, session_columns, sessions_from
from data.errors import UsageError
from data.jit import jit
from data.sources.chance import bell, state_of, uniform
from data.types import Bars, Book, Floats, Ints

NAME = "simulated"
SIMULATED = True
SYMBOLS = ("AAA", "BBB", "CCC")
START = 20240102
FACTOR_DEVIATION = 0.0075  # of the common factor, a day
GAP_DEVIATION = 0.005  # of the value between a close and the next open
LOWEST, HIGHEST = 5.0, 1_200.0

TRADE = np.dtype([("ts", "i8"), ("price", "f8"), ("size", "i8"), ("aggressor", "i8")])
QUOTE = np.dtype([("ts", "i8"), ("bid", "f8"), ("bid_size", "i8"), ("ask", "f8"), ("ask_size", "i8")])
SNAPSHOT = np.dtype(
    [
        ("ts", "i8"),
        ("bid", "f8", (10,)),
        ("bid_size", "i8", (10,)),
        ("ask", "f8", (10,)),
        ("ask_size", "i8", (10,)),
    ]
)


class Events(NamedTuple):
    """Everything one symbol did in one session, in order of time; `ts` is UTC nanoseconds.

    trades: dtype `TRADE`; aggressor 1 bought, -1 sold, 0 an auction. quotes: dtype `QUOTE`, one for each change of the
    best bid or offer; NaN prices and size 0 in a pause. snapshots: dtype `SNAPSHOT`, ten levels a side, best first;
    NaN and 0 where there are fewer.
    """

    symbol: str
    session: Session
    trades: Any
    quotes: Any
    snapshots: Any


def market(
    symbols: Sequence[str] = SYMBOLS,
    sessions: int = 5,
    seed: int = 7,
    clock: str = "1m",
    start: Day = START,
) -> tuple[Bars, Book]:
    """Rows of the simulated market on a clock, and the book features at each row's close.

    A row without a trade has NaN prices and volume 0. In a pause of trading nothing is quoted and the book is NaN.
    `sell_flow` is the sellers' share of the volume that had an aggressor: auctions count for neither side.

    Args:
        sessions: how many, from the first on or after `start`.

    Raises:
        UsageError: no symbols, one twice, no sessions, an unknown clock.
        DataError: the calendar does not reach that far.
    """
    names = _checked(symbols)
    days = sessions_from(start, sessions)
    ts = row_times(days, clock)
    session, since_open, to_close = session_columns(ts, clock)
    columns = np.stack([_symbol_rows(name, days, seed, clock) for name in names], axis=1)
    traded = columns[..., _sim().SHARES] > 0

    def column(place: int, scale: float = 1.0) -> Floats:
        return np.asfortranarray(columns[..., place] / scale)

    def price(place: int) -> Floats:
        return np.where(traded, column(place, _sim().TICKS), np.nan)

    sim = _sim()
    prices = [price(place) for place in (sim.FIRST, sim.HIGH, sim.LOW, sim.LAST)]
    bars = Bars(names, ts, *prices, column(sim.SHARES), session, since_open, to_close)  # type: ignore[arg-type, call-arg]
    return bars, _book(names, columns)


def events(symbol: str = "AAA", session: int = 0, *, seed: int = 7, start: Day = START, interval: str = "1s") -> Events:
    """All trades, quotes and book snapshots of one session: those that `market` makes its rows of.

    Args:
        session: counted from the first on or after `start`, 0 is that one.
        interval: clock of the snapshots.

    Raises:
        UsageError: an unknown clock, or a negative session.
        DataError: the calendar does not reach that far.
    """
    sim = _sim()
    days = sessions_from(start, session + 1)
    *_, (day, value) = _values(symbol, days, seed)
    rows = row_times([day], interval)
    room = 1 << 19
    while True:
        snapshots = np.zeros((len(rows), 2, 2, sim.LEVELS), np.int64)
        tape, counts = _run(symbol, day, value, rows, seed, room, snapshots)
        if max(counts) <= room:
            break
        room = max(counts)
    trades, quotes = tape[2][: counts[0]], tape[3][: counts[1]]
    return Events(
        symbol,
        day,
        _records(TRADE, ts=trades[:, 0], price=_price(trades[:, 1]), size=trades[:, 2], aggressor=trades[:, 3]),
        _records(
            QUOTE,
            ts=quotes[:, 0],
            bid=_price(quotes[:, 1]),
            bid_size=quotes[:, 2],
            ask=_price(quotes[:, 3]),
            ask_size=quotes[:, 4],
        ),
        _records(
            SNAPSHOT,
            ts=rows,
            bid=_price(snapshots[:, 0, 0]),
            bid_size=snapshots[:, 0, 1],
            ask=_price(snapshots[:, 1, 0]),
            ask_size=snapshots[:, 1, 1],
        ),
    )


def _sim() -> Any:
    """The compiled order book, imported when it is first needed: numba is heavy."""
    from data.sources import orderbook_sim

    return orderbook_sim


def _checked(symbols: Sequence[str]) -> tuple[str, ...]:
    names = tuple(symbols)
    if not names or len(set(names)) < len(names) or not all(names):
        raise UsageError(f"symbols {', '.join(map(repr, names)) or 'none'}: give one or more different names")
    return names


def _values(symbol: str, days: list[Session], seed: int) -> Iterator[tuple[Session, Floats]]:
    """What the symbol is worth in each session, one after the other: its close carries over with a gap."""
    from data.sources.value_sim import VALUE, factor_path, value_path

    traits = uniform(state_of(seed, symbol, "traits"), 3)
    value = 50.0 + 150.0 * float(traits[0])
    beta, own = 0.6 + 0.8 * float(traits[1]), 0.007 + 0.005 * float(traits[2])
    for day in days:
        seconds = (day.close_ns - day.open_ns) // SECOND_NS
        factor = jit(factor_path)(_state(seed, "factor", day.date), seconds, FACTOR_DEVIATION)
        mood = 0.75 + 0.7 * float(uniform(state_of(seed, symbol, "mood", day.date), 1)[0])
        path = jit(value_path)(_state(seed, symbol, "value", day.date), factor, beta, value, own * mood)
        yield day, path
        gap = GAP_DEVIATION * float(bell(state_of(seed, symbol, "gap", day.date), 1)[0])
        value = min(max(float(path[VALUE, -1]) * (1.0 + gap), LOWEST), HIGHEST)


def _symbol_rows(symbol: str, days: list[Session], seed: int, clock: str) -> Floats:
    """(T, WIDTH) rows of one symbol as the kernel fills them."""
    parse_clock(clock)
    nothing = np.zeros((0, 2, 2, _sim().LEVELS), np.int64)
    parts = []
    for day, value in _values(symbol, days, seed):
        tape, _ = _run(symbol, day, value, row_times([day], clock), seed, 0, nothing)
        parts.append(tape[1])
    return np.concatenate(parts)


def _run(symbol: str, day: Session, value: Floats, rows: Ints, seed: int, room: int, snapshots: Ints) -> Any:
    """One session through the kernel: its tape, and the counts of trades and quotes made."""
    sim = _sim()
    tape = (
        np.zeros(9, np.int64),
        np.zeros((len(rows), sim.WIDTH)),
        np.zeros((room, 4), np.int64),
        np.zeros((room, 5), np.int64),
    )
    jit(sim.run_session)(_state(seed, symbol, "orders", day.date), value, day.open_ns, rows, tape, snapshots)
    return tape, (int(tape[0][sim.TRADES]), int(tape[0][sim.QUOTES]))


def _book(symbols: tuple[str, ...], columns: Floats) -> Book:
    sim = _sim()
    quoted = columns[..., sim.AGE] >= 0

    def known(place: int, scale: float = 1.0) -> Floats:
        return np.where(quoted, columns[..., place] / scale, np.nan)

    bid, ask = known(sim.BID_TICK, sim.TICKS), known(sim.ASK_TICK, sim.TICKS)
    bid_size, ask_size = known(sim.BID_SIZE), known(sim.ASK_SIZE)
    bid_depth, ask_depth = known(sim.BID_DEPTH), known(sim.ASK_DEPTH)
    sold, bought = columns[..., sim.SOLD], columns[..., sim.BOUGHT]
    flowed = sold + bought > 0
    return Book(
        symbols,
        bid=bid,
        ask=ask,
        bid_size=bid_size,
        ask_size=ask_size,
        spread=ask - bid,
        mid=(bid + ask) / 2.0,
        microprice=(bid * ask_size + ask * bid_size) / (bid_size + ask_size),
        imbalance=(bid_depth - ask_depth) / (bid_depth + ask_depth),
        ofi=known(sim.OFI),
        bid_depth=bid_depth,
        ask_depth=ask_depth,
        sell_flow=np.where(flowed, sold / np.where(flowed, sold + bought, 1.0), np.nan),
        age=known(sim.AGE),
    )


def _state(seed: int, *names: str | int) -> Any:
    return np.array([state_of(seed, *names)], np.uint64)


def _price(ticks: Ints) -> Floats:
    return np.where(ticks > 0, ticks / _sim().TICKS, np.nan)


def _records(dtype: Any, **columns: Any) -> Any:
    out = np.zeros(len(columns["ts"]), dtype)
    for name, column in columns.items():
        out[name] = column
    return out
