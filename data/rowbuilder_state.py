"""The state of a row builder and how its rows follow each other: plain functions, compiled or interpreted.

State of a symbol: `f`, floats: its best quotes and depths, then two rows: the one that is *closing* (its time is
over, late events are awaited) and the *current* one. `k`, int64, beside it: times, counts, flags. `g`, int64: which
rows these are, for all symbols. Only + - * / and comparisons touch a float, so that both ways give the same bits.

Segments are the stretches of time that have rows: `opens`, `closes` (ns), `kinds` (REGULAR, EXTENDED_HOURS,
ENDLESS), `sessions` (yyyymmdd). A row covers start <= t < close.
"""

from __future__ import annotations

from typing import Any

from data.flow import imbalance_of, microprice_of, mid_of, nan, sell_share

REGULAR, EXTENDED_HOURS, ENDLESS = 0, 1, 2

# f: what is known now, then the two rows.
BID, ASK, BID_SIZE, ASK_SIZE, BID_DEPTH, ASK_DEPTH, TRADED_AT = 0, 1, 2, 3, 4, 5, 6
CLOSING_F, CURRENT_F, FLOATS = 7, 21, 35
OPEN_, HIGH_, LOW_, CLOSE_, VOLUME_, BUYS, SELLS, OFI, SAMPLE = 0, 1, 2, 3, 4, 5, 6, 7, 8
QUOTED = 6  # floats of a sample: bid to ask depth

# k: the same for what is counted.
UPDATED, DIRECTION, HALTED, LEVEL2, QUALIFIED, EXCHANGE, LOGGED = 0, 1, 2, 3, 4, 5, 6
CLOSING_K, CURRENT_K, INTS = 7, 15, 23
COUNT, OPEN_T, CLOSE_T, FROZEN, SAMPLE_T, WAS_QUALIFIED, WAS_EXCHANGE, FIRST = 0, 1, 2, 3, 4, 5, 6, 7

# g: the rows themselves.
SEGMENT, START, CLOSE, PENDING, P_START, P_CLOSE, P_SEGMENT, DIRTY = 0, 1, 2, 3, 4, 5, 6, 7
STEP, WAIT, KEEP, LABEL, BY_VOLUME, BY_COUNT, GLOBALS = 8, 9, 10, 11, 12, 13, 14

OUTSIDE, IN_CLOSING, IN_CURRENT, LATE = 0, 1, 2, 3
DUE, BEYOND = 1, 2
TRADED, SEEN = 1, 2
BAR_MARK, DEAD = -1, -2  # in the log, in place of a trade's bits
AUCTION_NS = 15 * 60 * 1_000_000_000
SECOND = 1e9
FAR = 1 << 62
WIDTH = 18  # five prices, thirteen features


def reset(f: Any, k: Any, at: int, kat: int) -> None:
    """An empty row in this place."""
    for n in range(at, at + SAMPLE + QUOTED):
        f[n] = nan
    f[at + VOLUME_] = f[at + BUYS] = f[at + SELLS] = f[at + OFI] = 0.0
    k[kat + COUNT] = k[kat + FROZEN] = k[kat + SAMPLE_T] = 0
    k[kat + OPEN_T] = FAR
    k[kat + CLOSE_T] = -1
    k[kat + WAS_QUALIFIED] = k[QUALIFIED]
    k[kat + WAS_EXCHANGE] = k[EXCHANGE]
    k[kat + FIRST] = k[LOGGED]


def roll(g: Any, f: Any, k: Any, close: int) -> None:
    """The current row of every symbol becomes the closing one, which must have been taken, labelled `close`."""
    for j in range(len(f)):
        fj, kj = f[j], k[j]
        for n in range(CURRENT_F - CLOSING_F):
            fj[CLOSING_F + n] = fj[CURRENT_F + n]
        for n in range(CURRENT_K - CLOSING_K):
            kj[CLOSING_K + n] = kj[CURRENT_K + n]
        reset(fj, kj, CURRENT_F, CURRENT_K)
    g[PENDING] = 1
    g[P_START], g[P_CLOSE], g[P_SEGMENT] = g[START], close, g[SEGMENT]


def enter(g: Any, opens: Any, closes: Any, segment: int, r: int) -> None:
    """Make current the row of this segment that holds instant `r`, its first one where `r` lies before it."""
    start = opens[segment]
    if r > start:
        start += (r - start) // g[STEP] * g[STEP]
    g[SEGMENT], g[START] = segment, start
    g[CLOSE] = min(start + g[STEP], closes[segment])


def advance(g: Any, f: Any, k: Any, opens: Any, closes: Any, kinds: Any, r: int) -> int:
    """Bring the rows up to receive time `r`: DUE when the closing row is to be taken first (then call again)."""
    while True:
        if g[PENDING] and (r >= g[P_CLOSE] + g[WAIT] or r >= g[CLOSE]):
            return DUE
        if r < g[CLOSE]:
            return 0
        segment = g[SEGMENT]
        over = r - g[WAIT]
        kept = g[KEEP] and kinds[segment] != EXTENDED_HOURS
        if kept or g[DIRTY] or anything(k, CURRENT_K) or over < g[CLOSE]:
            roll(g, f, k, g[CLOSE])
            if g[CLOSE] < closes[segment]:
                enter(g, opens, closes, segment, g[CLOSE])
                continue
            segment += 1
        else:
            for j in range(len(f)):
                reset(f[j], k[j], CURRENT_F, CURRENT_K)
            while (
                segment < len(closes) and over >= closes[segment] and not (g[KEEP] and kinds[segment] != EXTENDED_HOURS)
            ):
                segment += 1
            if segment == g[SEGMENT]:
                enter(g, opens, closes, segment, over)
                continue
        if segment == len(closes):
            return BEYOND
        enter(g, opens, closes, segment, opens[segment])


def anything(k: Any, kat: int) -> bool:
    """Did any symbol trade in this row."""
    for j in range(len(k)):  # noqa: SIM110  numba knows no generators
        if k[j][kat + COUNT]:
            return True
    return False


def place_of(g: Any, opens: Any, closes: Any, t: int) -> int:
    """Which row an event of time `t` belongs to."""
    if t >= g[START]:
        return IN_CURRENT
    if g[PENDING] and t >= g[P_START]:
        return IN_CLOSING if t < g[P_CLOSE] else OUTSIDE
    segment = g[SEGMENT]
    if g[START] == opens[segment] and (segment == 0 or t >= closes[segment - 1]):
        return OUTSIDE
    return LATE


def auction_time(g: Any, closes: Any, kinds: Any, t: int) -> int:
    """A closing print of the minutes after a regular close belongs to the session's last row; else `t` itself."""
    segment = g[SEGMENT]
    for s in range(segment, max(segment - 3, -1), -1):
        if kinds[s] == REGULAR and closes[s] <= t:
            return closes[s] - 1 if t - closes[s] < AUCTION_NS else t
    return t


def freeze(g: Any, f: Any, k: Any, t: int) -> None:
    """Before an event of time `t` changes a book: the closing row, if its time is over, keeps what was known."""
    if g[PENDING] and t >= g[P_CLOSE] and not k[CLOSING_K + FROZEN]:
        sample(f, k)


def sample(f: Any, k: Any) -> None:
    """What is known now goes into the closing row; nothing while the symbol is halted."""
    for n in range(QUOTED):
        f[CLOSING_F + SAMPLE + n] = nan if k[HALTED] else f[n]
    k[CLOSING_K + SAMPLE_T] = 0 if k[HALTED] else k[UPDATED]
    k[CLOSING_K + FROZEN] = 1


def take(g: Any, f: Any, k: Any, out: Any, marks: Any) -> int:
    """The closing row into `out` (symbols x WIDTH) and `marks` (symbols x 4): TRADED and SEEN, as far as they hold.

    out: open high low close volume, then the features of `data.types.FEATURES`. marks: where the row begins in the
    symbol's log, what was qualified before it, and where it ends if it ends by volume or trades.
    """
    seen = False
    for j in range(len(f)):
        fj, kj = f[j], k[j]
        if not kj[CLOSING_K + FROZEN]:
            sample(fj, kj)
        prices(fj, CLOSING_F, out[j])
        if features(fj, kj, g[P_CLOSE], out[j]):
            seen = True
        marks[j][0] = kj[CLOSING_K + FIRST]
        marks[j][1] = kj[CLOSING_K + WAS_QUALIFIED]
        marks[j][2] = kj[CLOSING_K + WAS_EXCHANGE]
        marks[j][3] = kj[CURRENT_K + FIRST]
    g[PENDING] = 0
    g[LABEL] = g[P_CLOSE]
    return (TRADED if anything(k, CLOSING_K) else 0) + (SEEN if seen else 0)


def prices(f: Any, at: int, out: Any) -> None:
    """open high low close volume of a row; no price where no trade could set one."""
    known = f[at + CLOSE_] <= f[at + CLOSE_]
    for n in range(4):
        out[n] = f[at + n] if known else nan
    out[4] = f[at + VOLUME_]


def features(f: Any, k: Any, close: int, out: Any) -> bool:
    """The thirteen features of one symbol's closing row, behind its prices; without a quote all NaN, and False."""
    at = CLOSING_F + SAMPLE
    bid, ask, bid_size, ask_size = f[at + BID], f[at + ASK], f[at + BID_SIZE], f[at + ASK_SIZE]
    bid_depth, ask_depth = f[at + BID_DEPTH], f[at + ASK_DEPTH]
    out[5], out[6], out[7], out[8] = bid, ask, bid_size, ask_size
    out[9], out[10] = ask - bid, mid_of(bid, ask)
    out[11] = microprice_of(bid, ask, bid_size, ask_size)
    out[12] = imbalance_of(bid_depth, ask_depth)
    known = bool(bid <= bid or ask <= ask)
    out[13] = f[CLOSING_F + OFI] if known else nan
    out[14], out[15] = bid_depth, ask_depth
    out[16] = sell_share(f[CLOSING_F + BUYS], f[CLOSING_F + SELLS]) if known else nan
    out[17] = max(close - k[CLOSING_K + SAMPLE_T], 0) / SECOND if known else nan
    return known
