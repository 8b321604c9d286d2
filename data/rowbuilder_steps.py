"""What one event does to the rows: plain functions over the state of `data.rowbuilder_state`, run compiled over
history and interpreted live, to the same bits.
"""

from __future__ import annotations

from typing import Any

from data.conditions import CLOSING, EXTENDED, FLOW, HIGH_LOW, LAST, ONLY, SAME, VOLUME
from data.flow import nan, order_flow, side_of, tick_of
from data.rowbuilder_state import (
    ASK,
    ASK_DEPTH,
    ASK_SIZE,
    BAR_MARK,
    BID,
    BID_DEPTH,
    BID_SIZE,
    BUYS,
    BY_COUNT,
    BY_VOLUME,
    CLOSE_,
    CLOSE_T,
    CLOSING_F,
    CLOSING_K,
    COUNT,
    CURRENT_F,
    CURRENT_K,
    DEAD,
    DIRECTION,
    DIRTY,
    EXCHANGE,
    EXTENDED_HOURS,
    FAR,
    FROZEN,
    HALTED,
    HIGH_,
    IN_CLOSING,
    IN_CURRENT,
    LABEL,
    LATE,
    LEVEL2,
    LOGGED,
    LOW_,
    OFI,
    OPEN_,
    OPEN_T,
    OUTSIDE,
    P_CLOSE,
    P_SEGMENT,
    P_START,
    PENDING,
    QUALIFIED,
    QUOTED,
    SEGMENT,
    SELLS,
    START,
    TRADED_AT,
    UPDATED,
    VOLUME_,
    WAS_EXCHANGE,
    WAS_QUALIFIED,
    auction_time,
    freeze,
    place_of,
    roll,
)


def add_trade(
    f: Any, k: Any, at: int, kat: int, t: int, price: float, size: float, bits: int, side: int, exchange: int, day: int
) -> None:
    """Count one trade into a row, as far as its bits allow; open and close go by `t`, whatever the order of arrival."""
    if bits & VOLUME:
        f[at + VOLUME_] += size
    if bits & (VOLUME | LAST):
        k[kat + COUNT] += 1
    if bits & FLOW:
        if side > 0:
            f[at + BUYS] += size
        elif side < 0:
            f[at + SELLS] += size
    if bits & HIGH_LOW:
        if not f[at + HIGH_] >= price:
            f[at + HIGH_] = price
        if not f[at + LOW_] <= price:
            f[at + LOW_] = price
    fresh = k[QUALIFIED] != day
    if bits & LAST or (bits & ONLY and fresh) or (bits & SAME and (fresh or k[EXCHANGE] == exchange)):
        if t < k[kat + OPEN_T]:
            f[at + OPEN_], k[kat + OPEN_T] = price, t
        if t >= k[kat + CLOSE_T]:
            f[at + CLOSE_], k[kat + CLOSE_T] = price, t
        k[QUALIFIED], k[EXCHANGE] = day, exchange


def add_bar(
    f: Any, k: Any, at: int, kat: int, t: int, open_: float, high: float, low: float, close: float, volume: float
) -> None:
    """Count a smaller bar into a row."""
    if volume > 0.0:
        f[at + VOLUME_] += volume
    if not close <= close:
        return
    k[kat + COUNT] += 1
    if not f[at + HIGH_] >= high:
        f[at + HIGH_] = high
    if not f[at + LOW_] <= low:
        f[at + LOW_] = low
    if t < k[kat + OPEN_T]:
        f[at + OPEN_], k[kat + OPEN_T] = open_, t
    if t >= k[kat + CLOSE_T]:
        f[at + CLOSE_], k[kat + CLOSE_T] = close, t


def on_trade(
    g: Any,
    f: Any,
    k: Any,
    segments: Any,
    t: int,
    price: float,
    size: float,
    flags: int,
    side: int,
    exchange: int,
) -> tuple[int, int, int]:
    """A trade of one symbol: (its place, its time, its side), the last two as they are to be remembered."""
    opens, closes, kinds, sessions = segments
    if flags & CLOSING:
        t = auction_time(g, closes, kinds, t)
    place = place_of(g, opens, closes, t)
    k[LOGGED] += 1
    if place == LATE:
        g[DIRTY] = 1
        return place, t, side
    if flags & FLOW:
        if side == 0:
            side = side_of(price, f[BID], f[ASK], f[TRADED_AT], k[DIRECTION])
        k[DIRECTION] = tick_of(price, f[TRADED_AT], k[DIRECTION])
        f[TRADED_AT] = price
    if place != OUTSIDE:
        at, kat = (CURRENT_F, CURRENT_K) if place == IN_CURRENT else (CLOSING_F, CLOSING_K)
        segment = g[SEGMENT] if place == IN_CURRENT else g[P_SEGMENT]
        bits = flags >> EXTENDED if kinds[segment] == EXTENDED_HOURS else flags & (1 << EXTENDED) - 1
        add_trade(f, k, at, kat, t, price, size, bits, side, exchange, sessions[segment])
    return place, t, side


def on_bar(
    g: Any, f: Any, k: Any, segments: Any, t: int, open_: float, high: float, low: float, close: float, volume: float
) -> int:
    """A bar of one symbol whose last instant is `t`: its place."""
    place = place_of(g, segments[0], segments[1], t)
    k[LOGGED] += 1
    if place == IN_CURRENT:
        add_bar(f, k, CURRENT_F, CURRENT_K, t, open_, high, low, close, volume)
    elif place == IN_CLOSING:
        add_bar(f, k, CLOSING_F, CLOSING_K, t, open_, high, low, close, volume)
    elif place == LATE:
        g[DIRTY] = 1
    return place


def on_top(
    g: Any,
    f: Any,
    k: Any,
    t: int,
    level2: int,
    bid: float,
    ask: float,
    bid_size: float,
    ask_size: float,
    bid_depth: float,
    ask_depth: float,
) -> None:
    """New best quotes of one symbol, from a book (`level2` 1) or from a quote (0), which a valid book outranks."""
    if k[LEVEL2] > level2:
        return
    freeze(g, f, k, t)
    if k[LEVEL2] == level2 and not k[HALTED]:
        flow = order_flow(f[BID], f[ASK], f[BID_SIZE], f[ASK_SIZE], bid, ask, bid_size, ask_size)
        if t >= g[START]:
            f[CURRENT_F + OFI] += flow
        elif g[PENDING] and g[P_START] <= t < g[P_CLOSE] and not k[CLOSING_K + FROZEN]:
            f[CLOSING_F + OFI] += flow
    k[LEVEL2] = level2
    f[BID], f[ASK], f[BID_SIZE], f[ASK_SIZE], f[BID_DEPTH], f[ASK_DEPTH] = (
        bid,
        ask,
        bid_size,
        ask_size,
        bid_depth,
        ask_depth,
    )
    k[UPDATED] = max(k[UPDATED], t)


def on_broken(g: Any, f: Any, k: Any, t: int) -> None:
    """The book of one symbol is broken; quotes, where it lives on them, still stand."""
    if k[LEVEL2]:
        on_void(g, f, k, t)


def on_void(g: Any, f: Any, k: Any, t: int) -> None:
    """Nothing is known of the book any more, until a quote or a snapshot comes."""
    freeze(g, f, k, t)
    for n in range(QUOTED):
        f[n] = nan
    k[LEVEL2] = 0


def on_halt(g: Any, f: Any, k: Any, t: int, halted: int) -> None:
    """The symbol stops (1) or goes on (0) trading."""
    freeze(g, f, k, t)
    k[HALTED] = halted


def on_full(g: Any, f: Any, k: Any, t: int) -> bool:
    """Volume and tick bars: close the current row at `t` when it has enough; labels never repeat."""
    enough = g[BY_VOLUME] and f[0][CURRENT_F + VOLUME_] >= g[BY_VOLUME]
    if not (enough or (g[BY_COUNT] and k[0][CURRENT_K + COUNT] >= g[BY_COUNT])):
        return False
    roll(g, f, k, max(t, g[LABEL] + 1))
    return True


def rebuild(
    f: Any,
    k: Any,
    at: int,
    kat: int,
    log: Any,
    first: int,
    last: int,
    start: int,
    close: int,
    kind: int,
    day: int,
) -> None:
    """The trades of one row again, from the log entries `first:last` with start <= t < close, in order of arrival.

    log: columns t, a, b, c, d, e, bits, side, exchange; a and b are a trade's price and size, a to e a bar's prices
    and volume. `k` is left with what the row qualifies.
    """
    times, a, b, c, d, e, flags, sides, exchanges = log
    f[at + VOLUME_] = f[at + BUYS] = f[at + SELLS] = 0.0
    for n in range(4):
        f[at + n] = nan
    k[kat + COUNT] = 0
    k[kat + OPEN_T] = FAR
    k[kat + CLOSE_T] = -1
    k[QUALIFIED], k[EXCHANGE] = k[kat + WAS_QUALIFIED], k[kat + WAS_EXCHANGE]
    for n in range(first, last):
        t, bits = times[n], flags[n]
        if start <= t < close:
            if bits == BAR_MARK:
                add_bar(f, k, at, kat, t, a[n], b[n], c[n], d[n], e[n])
            elif bits != DEAD:
                bits = bits >> EXTENDED if kind == EXTENDED_HOURS else bits & (1 << EXTENDED) - 1
                add_trade(f, k, at, kat, t, a[n], b[n], bits, sides[n], exchanges[n], day)
