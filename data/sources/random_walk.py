"""A plain random-walk market, made in milliseconds: for certificates and benchmarks, not for research.

Its rows lie on the real calendar (half days, clock changes), its book agrees with its prices, and with `gaps` it
has what breaks careless strategies: missing rows, halts, lost books, a symbol that lists late. The market with an
order book behind it is `data.sources.simulated`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data import calendar
from data.errors import UsageError
from data.sources.chance import bell, state_of, uniform
from data.types import Bars, Book, Floats, Ints

START = 20100104
TICKS = 100.0  # to one unit of currency
LOT = 100.0
DAILY_VOLATILITY = 0.016
TREND_ROWS = 30
HALT_ROWS = 5


def random_bars(
    rows: int,
    symbols: int | Sequence[str] = 3,
    seed: int = 7,
    clock: str = "1m",
    *,
    gaps: bool = False,
    start: calendar.Day = START,
) -> tuple[Bars, Book]:
    """`rows` rows of a seeded random walk with book features, the same bits on every machine.

    Args:
        symbols: names, or how many (`S0`, `S1`, ...).
        gaps: prices NaN and volume 0 in 1 % of the cells and in halts of 5 rows, the book NaN in 1 %, the last
            symbol (of several) absent in the first twentieth.
        start: first session on or after this day.

    Raises:
        UsageError: no rows, no symbols, or more rows than the calendar has from `start`.
    """
    names = tuple(f"S{i}" for i in range(symbols)) if isinstance(symbols, int) else tuple(symbols)
    if rows < 1 or not names:
        raise UsageError(f"{rows} rows of {len(names)} symbols asked for; ask for at least one of each")
    ts = _times(rows, clock, start)
    session, since_open, to_close = calendar.session_columns(ts, clock)
    shape = (len(names), rows)

    # Symbols are rows here, so that the transposes below are columns without copying.
    noise = bell(state_of(seed, "noise"), *shape)
    regimes = bell(state_of(seed, "trend"), shape[0], rows // TREND_ROWS + 1)
    trend = np.repeat(regimes, TREND_ROWS, axis=1)[:, :rows]
    deviation = DAILY_VOLATILITY / _root(calendar.periods_per_year(clock) / calendar.SESSIONS_PER_YEAR)
    first = 20.0 + np.rint(uniform(state_of(seed, "first"), shape[0], 1) * 180.0)
    walk = first * np.cumprod(1.0 + deviation * (noise + 0.2 * trend), axis=1)
    close = np.maximum(np.rint(walk * TICKS), 200.0)  # in ticks until the end
    open_ = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    reach = np.maximum(np.rint(close * deviation), 1.0)
    high = np.maximum(open_, close) + np.floor(uniform(state_of(seed, "high"), *shape) * (reach + 1.0))
    low = np.minimum(open_, close) - np.floor(uniform(state_of(seed, "low"), *shape) * (reach + 1.0))
    low = np.maximum(low, 1.0)

    busy = uniform(state_of(seed, "volume"), *shape) * (1.0 + np.abs(noise)) * _day_curve(since_open, to_close)
    volume = np.rint(busy * 40.0 + 1.0) * LOT
    features = _book(seed, close, noise)
    if gaps:
        _punch(seed, (open_, high, low, close), volume, features)
    opens, highs, lows, closes = ((column / TICKS).T for column in (open_, high, low, close))
    return (
        Bars(names, ts, opens, highs, lows, closes, volume.T, session, since_open, to_close),
        Book(names, **{name: column.T for name, column in features.items()}),
    )


def _times(rows: int, clock: str, start: calendar.Day) -> Ints:
    """The first `rows` row closes from `start`; from the calendar's beginning where that is too late."""
    for day in (calendar.parse_day(start), calendar.FIRST_DAY):
        ts = calendar.row_times(calendar.sessions(day, calendar.LAST_DAY), clock)
        if len(ts) >= rows:
            return ts[:rows]
    raise UsageError(f"{rows} rows of {clock} are more than the calendar holds ({len(ts)}); ask for fewer")


def _root(value: float) -> float:
    return float(np.sqrt(value))  # correctly rounded everywhere, as IEEE 754 demands


def _day_curve(since_open: Floats, to_close: Floats) -> Floats:
    """(T,) how busy a row is: 3 at the open and the close, 1 at noon."""
    middle = (since_open - to_close) / (since_open + to_close)
    return 1.0 + 2.0 * middle * middle


def _book(seed: int, close: Floats, noise: Floats) -> dict[str, Floats]:
    """The features of `data.types.FEATURES`, (N, T), around `close` in ticks; the next return leans on the sizes."""
    shape = close.shape

    def lots(name: str, most: float) -> Floats:
        return np.floor(1.0 + uniform(state_of(seed, name), *shape) * most) * LOT

    coming = np.concatenate([noise[:, 1:], np.zeros((shape[0], 1))], axis=1)
    lean = 1.0 + np.clip(coming, -2.0, 2.0) * 0.25
    width = np.floor(1.0 + uniform(state_of(seed, "spread"), *shape) * 2.5)
    bid = close - np.floor(uniform(state_of(seed, "side"), *shape) * (width + 1.0))
    bid, ask = bid / TICKS, (bid + width) / TICKS
    bid_size = np.rint(lots("bid_size", 20.0) * lean)
    ask_size = np.rint(lots("ask_size", 20.0) * (2.0 - lean))
    bid_depth = bid_size + np.rint(lots("bid_depth", 150.0) * lean)
    ask_depth = ask_size + np.rint(lots("ask_depth", 150.0) * (2.0 - lean))
    return {
        "bid": bid,
        "ask": ask,
        "bid_size": bid_size,
        "ask_size": ask_size,
        "spread": ask - bid,
        "mid": (bid + ask) / 2.0,
        "microprice": (bid * ask_size + ask * bid_size) / (bid_size + ask_size),
        "imbalance": (bid_depth - ask_depth) / (bid_depth + ask_depth),
        "ofi": np.rint((noise + bell(state_of(seed, "ofi"), *shape)) * 20.0) * LOT,
        "bid_depth": bid_depth,
        "ask_depth": ask_depth,
        "sell_flow": np.clip(0.5 - 0.15 * noise + 0.1 * bell(state_of(seed, "flow"), *shape), 0.0, 1.0),
        "age": uniform(state_of(seed, "age"), *shape),
    }


def _punch(seed: int, prices: tuple[Floats, ...], volume: Floats, features: dict[str, Floats]) -> None:
    """Make the holes that `gaps` promises, in place."""
    shape = volume.shape
    missing = uniform(state_of(seed, "missing"), *shape) < 0.01
    halted = uniform(state_of(seed, "halted"), *shape) < 0.0005
    for back in range(HALT_ROWS):
        missing[:, back:] |= halted[:, : shape[1] - back]
    lost = uniform(state_of(seed, "lost"), *shape) < 0.01
    if shape[0] > 1:
        unlisted = max(shape[1] // 20, 1)
        missing[-1, :unlisted] = lost[-1, :unlisted] = True
    for column in prices:
        column[missing] = np.nan
    volume[missing] = 0.0
    for column in features.values():
        column[lost] = np.nan
    features["sell_flow"][missing] = np.nan
