"""A limit order book under a stream of orders: one symbol, one session, event by event.

Limit orders, cancellations and market orders arrive at random with the pace of `value_sim`; market makers quote
around a value they learn with a lag, takers who know it better pick off stale quotes, and the rest trade in runs of
one side. Spread, depth, impact and the information in order flow come out of that; none of them is put in.

The book keeps the size at each price. Both sides are stored so that a higher index is a better price: bids by tick,
asks by `TOP` - tick. One set of functions then serves both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from data.sources.compiled import failures, uniform, waiting
from data.sources.value_sim import OPEN, PACE, TILT, VALUE

BID, ASK = 0, 1
TICKS = 100.0  # to one unit of currency
TOP = 131_071  # the highest tick: prices stay under 1310.71
LEVELS = 10
KEPT = 60  # ticks behind the best price after which orders are forgotten
SEED_LEVELS = 30
SECOND_NS = 1_000_000_000

ORDERS_A_SECOND = 12.0
MARKET_ORDERS = 0.035  # of all events
TARGET = 45_000.0  # shares in the book, both sides, towards which limits and cancellations balance
LEARNING = 0.20  # of the gap between the value and what makers believe, closed at each event
HALF_SPREAD = 0.25  # ticks; makers quote at least this far from what they believe
GAIN = 0.6  # ticks; what an informed taker must gain
PERSISTENCE = 0.85  # of a market order having the side of the one before
TILT_OF_TAKERS = 0.40  # how much a full tilt of `value_sim` moves the side of market orders
TILT_OF_LIMITS = 0.22  # and of limit orders
FEWEST = 3_000  # shares of a side below which nobody cancels
REACH = 3  # ticks a market order walks beyond the best price
OPENING_SHARES = 30_000.0
REOPENING_SHARES = 12_000.0
CLOSING_SHARES = 120_000.0

# Columns of `rows_out`, one row of it for each row of the clock; prices in ticks.
FIRST, HIGH, LOW, LAST, SHARES = range(5)
BID_TICK, ASK_TICK, BID_SIZE, ASK_SIZE, OFI, BID_DEPTH, ASK_DEPTH, SOLD, BOUGHT, AGE = range(5, 15)
WIDTH = 15

# Places in `now`: the row being built, counts, the last event and the last quote.
ROW, TRADES, QUOTES, LAST_NS, BB, BS, AA, AS, BUYING = range(9)

# A book is one (2, TOP + 4) int64 array: by side the shares at each index, then these three.
BEST, EDGE, TOTAL = TOP + 1, TOP + 2, TOP + 3  # index of the best price, lowest index in use, shares

# A tape is (now, rows_out, trades, quotes). Arrays are passed one by one where it is written for each event:
# a tuple would be counted in and out each time.


def empty_book() -> Any:
    """A book without an order."""
    book = np.zeros((2, TOP + 4), np.int64)
    book[:, BEST], book[:, EDGE] = -1, TOP
    return book


def price_tick(side: int, index: int) -> int:
    """The tick of an index, and the index of a tick."""
    return index if side == BID else TOP - index


def add(book: Any, side: int, index: int, size: int) -> None:
    """Put `size` shares at `index`."""
    book[side, index] += size
    book[side, TOTAL] += size
    book[side, BEST] = max(book[side, BEST], index)
    book[side, EDGE] = min(book[side, EDGE], index)


def take(book: Any, side: int, index: int, size: int) -> None:
    """Remove `size` shares from `index`; the best price falls back where its level is empty."""
    book[side, index] -= size
    book[side, TOTAL] -= size
    while book[side, BEST] >= book[side, EDGE] and book[side, book[side, BEST]] == 0:
        book[side, BEST] -= 1


def is_one_sided(book: Any) -> bool:
    """True when a side has been swept clean."""
    return bool(book[BID, BEST] < book[BID, EDGE] or book[ASK, BEST] < book[ASK, EDGE])


def forget(book: Any, behind: int) -> None:
    """Drop what lies more than `behind` ticks from the best price of its side."""
    for side in range(2):
        while book[side, EDGE] < book[side, BEST] - behind:
            book[side, TOTAL] -= book[side, book[side, EDGE]]
            book[side, book[side, EDGE]] = 0
            book[side, EDGE] += 1


def clear(book: Any) -> None:
    """Drop everything."""
    for side in range(2):
        book[side, book[side, EDGE] : book[side, BEST] + 1] = 0
        book[side, BEST], book[side, EDGE], book[side, TOTAL] = -1, TOP, 0


def depth_of(book: Any, side: int) -> int:
    """Shares over the best `LEVELS` levels."""
    shares, found, index = 0, 0, book[side, BEST]
    while index >= book[side, EDGE] and found < LEVELS:
        if book[side, index] > 0:
            shares += book[side, index]
            found += 1
        index -= 1
    return int(shares)


def ladder(book: Any, side: int, ticks: Any, sizes: Any) -> None:
    """Write the best `LEVELS` levels into `ticks` and `sizes`, best first; zeros where there are fewer."""
    found, index = 0, book[side, BEST]
    while index >= book[side, EDGE] and found < LEVELS:
        if book[side, index] > 0:
            ticks[found], sizes[found] = price_tick(side, index), book[side, index]
            found += 1
        index -= 1


def order_size(state: Any) -> int:
    """Shares of one order: mostly a few round lots, some odd lots, now and then a large one."""
    kind = uniform(state)
    if kind < 0.2:
        return 1 + int(uniform(state) * 99.0)
    lots = 1 + failures(state, 0.55)
    return 100 * lots * (1 if kind < 0.95 else 5)


def seed_book(state: Any, book: Any, middle: float) -> None:
    """Fill an empty book around `middle` (ticks)."""
    for k in range(SEED_LEVELS):
        for side in range(2):
            centre = middle if side == BID else TOP - middle
            add(book, side, int(centre - HALF_SPREAD) - k, 300 + order_size(state))


def limit_order(state: Any, book: Any, belief: float, tilt: float) -> None:
    """A maker's order, near what makers believe or deep in the book; it never crosses."""
    side = BID if uniform(state) < 0.5 + TILT_OF_LIMITS * tilt else ASK
    centre = belief if side == BID else TOP - belief
    behind = failures(state, 0.38) if uniform(state) < 0.85 else int(uniform(state) * 30.0)
    index = int(centre - HALF_SPREAD) - behind
    add(book, side, min(index, TOP - book[1 - side, BEST] - 1), order_size(state))


def cancel_order(state: Any, book: Any, belief: float) -> None:
    """One order leaves: a stale quote first, else one from anywhere near the top."""
    side = BID if uniform(state) * (book[BID, TOTAL] + book[ASK, TOTAL]) < book[BID, TOTAL] else ASK
    if book[side, TOTAL] < FEWEST:
        return
    centre = belief if side == BID else TOP - belief
    index = book[side, BEST]
    stale = index > centre - 0.25 and uniform(state) < 0.8
    if not stale:
        index -= failures(state, 0.18)
    while index > book[side, EDGE] and book[side, index] == 0:
        index -= 1
    if index >= book[side, EDGE]:
        size = book[side, index] if stale else min(book[side, index], order_size(state))
        take(book, side, index, size)


def market_order(book: Any, now: Any, rows_out: Any, trades: Any, ts: int, buys: bool, size: int, worst: int) -> None:
    """Take up to `size` shares from the other side, no worse than index `worst` there."""
    side = ASK if buys else BID
    while size > 0 and book[side, BEST] >= max(worst, book[side, EDGE]):
        index = book[side, BEST]
        filled = min(size, book[side, index])
        take(book, side, index, filled)
        size -= filled
        print_trade(now, rows_out, trades, ts, price_tick(side, index), filled, 1 if buys else -1)


def print_trade(now: Any, rows_out: Any, trades: Any, ts: int, tick: int, size: int, aggressor: int) -> None:
    """One trade into the row and onto the tape; `aggressor` 1 bought, -1 sold, 0 an auction."""
    r = now[ROW]
    if rows_out[r, SHARES] == 0.0:
        rows_out[r, FIRST], rows_out[r, HIGH], rows_out[r, LOW] = tick, tick, tick
    rows_out[r, HIGH] = max(rows_out[r, HIGH], tick)
    rows_out[r, LOW] = min(rows_out[r, LOW], tick)
    rows_out[r, LAST] = tick
    rows_out[r, SHARES] += size
    if aggressor != 0:
        rows_out[r, BOUGHT if aggressor > 0 else SOLD] += size
    i = now[TRADES]
    if i < len(trades):
        trades[i, 0], trades[i, 1], trades[i, 2], trades[i, 3] = ts, tick, size, aggressor
    now[TRADES] += 1


def note_quote(book: Any, now: Any, rows_out: Any, quotes: Any, ts: int) -> None:
    """The best bid and offer after an event: the flow imbalance of the row, and a quote if anything changed.

    Flow: Cont, Kukanov, Stoikov (2014), "The price impact of order book events", the e_n of section 2, summed.
    """
    now[LAST_NS] = ts
    bid, bid_size, ask, ask_size = 0, 0, 0, 0  # nothing is quoted in a pause
    if book[BID, BEST] >= 0:
        bid, bid_size = book[BID, BEST], book[BID, book[BID, BEST]]
        ask, ask_size = TOP - book[ASK, BEST], book[ASK, book[ASK, BEST]]
    if now[BB] == bid and now[AA] == ask and now[BS] == bid_size and now[AS] == ask_size:
        return
    if now[BB] > 0 and bid > 0:
        flow = 0
        flow += bid_size if bid >= now[BB] else 0
        flow -= now[BS] if bid <= now[BB] else 0
        flow -= ask_size if ask <= now[AA] else 0
        flow += now[AS] if ask >= now[AA] else 0
        rows_out[now[ROW], OFI] += flow
    now[BB], now[BS], now[AA], now[AS] = bid, bid_size, ask, ask_size
    i = now[QUOTES]
    if i < len(quotes):
        quotes[i, 0], quotes[i, 1], quotes[i, 2], quotes[i, 3], quotes[i, 4] = ts, bid, bid_size, ask, ask_size
    now[QUOTES] += 1


def close_row(book: Any, now: Any, rows_out: Any, ts: int, snapshots: Any) -> None:
    """Sample the book at a row's close and begin the next row; AGE -1 tells that nothing is quoted."""
    row = rows_out[now[ROW]]
    row[AGE] = -1.0
    if now[BB] > 0:
        row[BID_TICK], row[BID_SIZE], row[ASK_TICK], row[ASK_SIZE] = now[BB], now[BS], now[AA], now[AS]
        row[BID_DEPTH], row[ASK_DEPTH] = depth_of(book, BID), depth_of(book, ASK)
        row[AGE] = (ts - now[LAST_NS]) / SECOND_NS
    if now[ROW] < len(snapshots):
        for side in range(2):
            ladder(book, side, snapshots[now[ROW], side, 0], snapshots[now[ROW], side, 1])
    now[ROW] += 1


def one_event(
    state: Any, book: Any, now: Any, rows_out: Any, trades: Any, ts: int, worth: float, belief: float, tilt: float
) -> None:
    """One order of a stream: informed, noise, limit or cancellation. `now[BUYING]`: the side of the noise."""
    kind = uniform(state)
    cheap, dear = worth - GAIN > TOP - book[ASK, BEST], worth + GAIN < book[BID, BEST]
    if (cheap or dear) and uniform(state) < 0.35:
        worst = TOP - int(worth - GAIN) if cheap else int(np.ceil(worth + GAIN))
        market_order(book, now, rows_out, trades, ts, cheap, 2 * order_size(state), worst)
    elif kind < MARKET_ORDERS:
        if uniform(state) > PERSISTENCE:
            now[BUYING] = 1 if uniform(state) < 0.5 + TILT_OF_TAKERS * tilt else 0
        buys = now[BUYING] == 1
        worst = book[ASK if buys else BID, BEST] - REACH
        market_order(book, now, rows_out, trades, ts, buys, order_size(state), worst)
    elif uniform(state) * (book[BID, TOTAL] + book[ASK, TOTAL] + TARGET) < TARGET:
        limit_order(state, book, belief, tilt)
    else:
        cancel_order(state, book, belief)
    if is_one_sided(book):  # makers return at once
        clear(book)
        seed_book(state, book, belief)


def auction(state: Any, now: Any, rows_out: Any, trades: Any, ts: int, belief: float, shares: float) -> None:
    """A single print at what makers believe."""
    print_trade(now, rows_out, trades, ts, int(belief + 0.5), int(shares * (0.5 + uniform(state))), 0)


def run_session(state: Any, value: Any, open_ns: int, rows: Any, tape: Any, snapshots: Any) -> None:
    """One session of one symbol; `now` then counts the trades and quotes made, kept or not.

    Args:
        state: (1,) uint64 of the order stream; what there is room to keep never changes what happens.
        value: (4, S + 1) of `value_sim.value_path`. open_ns: UTC nanoseconds of second 0.
        rows: (R,) int64 row closes on whole seconds, the last at the session's close.
        tape: now (9,) int64; rows_out (R, WIDTH) float64; trades (K, 4) int64 of ts, tick, size, aggressor;
            quotes (K, 5) int64 of ts, bid, size, ask, size. All zeros; K may be 0.
        snapshots: (R or 0, 2, 2, LEVELS) int64: side, tick or size, level; at each row's close.
    """
    now, rows_out, trades, quotes = tape
    book = empty_book()
    belief, trading, seconds = 0.0, False, len(value[VALUE]) - 1
    for s in range(seconds):
        start = open_ns + s * SECOND_NS
        if value[OPEN, s] == 0.0:
            if trading:  # a pause begins
                clear(book)
                note_quote(book, now, rows_out, quotes, start + 1)
                trading = False
        else:
            if not trading:  # the open, or a pause ends
                belief = value[VALUE, s] * TICKS
                seed_book(state, book, belief)
                auction(state, now, rows_out, trades, start + 1, belief, OPENING_SHARES if s == 0 else REOPENING_SHARES)
                note_quote(book, now, rows_out, quotes, start + 1)
                trading = True
            pace = ORDERS_A_SECOND * value[PACE, s]
            clock = waiting(state) / pace
            while clock < 1.0:
                ts = start + 2 + int(clock * (SECOND_NS - 3))
                worth = (value[VALUE, s] + (value[VALUE, s + 1] - value[VALUE, s]) * clock) * TICKS
                belief += LEARNING * (worth - belief)
                one_event(state, book, now, rows_out, trades, ts, worth, belief, value[TILT, s])
                note_quote(book, now, rows_out, quotes, ts)
                clock += waiting(state) / pace
            forget(book, KEPT)
        if s + 1 < seconds and rows[now[ROW]] <= start + SECOND_NS:
            close_row(book, now, rows_out, rows[now[ROW]], snapshots)
    auction(state, now, rows_out, trades, rows[-1], belief, CLOSING_SHARES)
    close_row(book, now, rows_out, rows[-1], snapshots)
