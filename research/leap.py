"""The position rule, leaping over rows on which nothing can happen.

A row is worked through as in `backtests.scan`, by the same functions of `strategies.common.position`. Between two such
rows no order waits, no signal that matters is given, no stop is met, no session ends and no holding time runs out; what
those rows do to the state (marks, holding times, cooldowns, trailing stops) is caught up in one go. What comes out is
fills and the profits of trades, nothing per row. `tests/research/test_sweep_equality.py` holds every set of every
sweep to the backtest that scans all rows, to the last bit.
"""

from __future__ import annotations

from typing import Any

from research.booking import CLOSED, FILLS, ORDERS, book_fill
from research.flags import coming_any, coming_unless
from research.lanes import fetch
from strategies.common.position import (
    BEST,
    CLOSE,
    COOL,
    COVER,
    ENTER,
    FIELDS,
    HELD,
    HIGH,
    K_FLAT,
    K_SHORTS,
    K_SLOTS,
    K_TIME,
    K_TOUCH,
    LAST_SPREAD,
    LAST_VOLUME,
    LEAVE,
    LOW,
    MARK,
    OPEN,
    ORDER,
    QTY,
    SHORT,
    SIZE,
    SLOTS,
    SPREAD,
    STOP,
    STOP_AT,
    TARGET,
    TARGET_AT,
    TRAIL,
    TRAIL_AT,
    VOLUME,
    clear_order,
    decide,
    mark,
    open_fill,
    opens_risk,
    stop_level,
    touch_fill,
    touched,
)

# the market, per symbol and row: OPEN to SPREAD as in `position`, then these
M_MARK, M_PERIOD, M_FIELDS = 6, 7, 8


def leap(
    n: int,
    enter: Any, leave: Any, short: Any, cover: Any, size: Any, stop: Any, target: Any, trail: Any,
    m: Any, to_close: Any, next_flat: Any, table: Any, k: Any,
    s: Any, a: Any, x: Any, waiting: Any, coming: Any, lot: Any, tally: Any,
    where: Any, after: Any, paid: Any, closed_at: Any, pnl: Any,
) -> bool:  # fmt: skip
    """Run the rule over all rows; False where a table became too small (then nothing counts).

    Args:
        n: how many symbols; a number written where this is called is compiled in.
        enter, leave, short, cover: (N, T) uint8. size, stop, target, trail: (N, T).
        m: (N, T, M_FIELDS) the market, all that is known of a row and symbol in one line of the processor's cache.
        next_flat: (T + 1,) the next row, this one included, that is within `flat_before_s` of its session's close.
        where, after: per fill its row and symbol; its position and the cash behind it.
        paid: per order its fee and the value traded, the latter negative while it is not filled.
        closed_at, pnl: per closed trade its row and symbol, in that order; its profit after fees.
    """
    rows = enter.shape[1]
    t = -1
    while True:
        ahead = _next_row(n, enter, leave, short, cover, m, next_flat, k, s, coming, t)
        if ahead >= rows:
            return True
        if ahead > t + 1:
            _catch_up(n, m, k, s, t, ahead)
        t = ahead
        room = min(where.shape[0] - tally[FILLS], paid.shape[0] - tally[ORDERS], pnl.shape[0] - tally[CLOSED])
        if room < 2 * n:
            return False
        costs = table[int(m[0, t, M_PERIOD])]
        _meet_opens(n, m, t, costs, k, s, a, waiting, lot, tally, where, after, paid, closed_at, pnl)
        if k[K_TOUCH] > 0.0:
            _meet_ranges(n, m, t, costs, k, s, a, lot, tally, where, after, paid, closed_at, pnl)
        for j in range(n):
            f = j * FIELDS
            for field in range(M_MARK):
                x[f + field] = m[j, t, field]  # OPEN to SPREAD
            x[f + ENTER] = float(enter[j, t])
            x[f + LEAVE] = float(leave[j, t])
            x[f + SHORT] = float(short[j, t])
            x[f + COVER] = float(cover[j, t])
            x[f + SIZE] = size[j, t]
            x[f + STOP_AT] = stop[j, t]
            x[f + TARGET_AT] = target[j, t]
            x[f + TRAIL_AT] = trail[j, t]
        mark(s, a, x, k, n)
        if decide(s, a, x, k, n, to_close[t] if k[K_FLAT] > 0.0 else 0.0) > 0:
            for j in range(n):
                if s[j * SLOTS + ORDER] != 0.0 and waiting[j] < 0:
                    waiting[j] = tally[ORDERS]
                    paid[tally[ORDERS], 1] = -1.0
                    tally[ORDERS] += 1


def _meet_opens(
    n: int, m: Any, t: int, costs: Any, k: Any, s: Any, a: Any, waiting: Any,
    lot: Any, tally: Any, where: Any, after: Any, paid: Any, closed_at: Any, pnl: Any,
) -> None:  # fmt: skip
    """Waiting orders meet the opens of row t: filled, or expired, or they wait on."""
    for j in range(n):
        b = j * SLOTS
        if s[b + ORDER] == 0.0:
            continue
        opening = m[j, t, OPEN]
        if opening - opening == 0.0:
            quantity = s[b + ORDER]
            price, fee = open_fill(s, b, opening, costs)
            clear_order(s, b)
            at = waiting[j]
            book_fill(s, a, j, quantity, price, fee, k, t, at, tally, where, after, paid, lot, closed_at, pnl)
            waiting[j] = -1
        elif opens_risk(s, b):
            clear_order(s, b)
            waiting[j] = -1


def _meet_ranges(
    n: int, m: Any, t: int, costs: Any, k: Any, s: Any, a: Any,
    lot: Any, tally: Any, where: Any, after: Any, paid: Any, closed_at: Any, pnl: Any,
) -> None:  # fmt: skip
    """Standing stops and targets meet the highs and lows of row t."""
    for j in range(n):
        b = j * SLOTS
        if s[b + QTY] == 0.0 or s[b + ORDER] != 0.0:
            continue
        reason, level = touched(s, b, m[j, t, OPEN], m[j, t, HIGH], m[j, t, LOW])
        if reason == 0.0:
            continue
        quantity = -s[b + QTY]
        price, fee = touch_fill(s, b, reason, level, costs)
        at = tally[ORDERS]
        tally[ORDERS] = at + 1
        book_fill(s, a, j, quantity, price, fee, k, t, at, tally, where, after, paid, lot, closed_at, pnl)


def _next_row(
    n: int, enter: Any, leave: Any, short: Any, cover: Any,
    m: Any, next_flat: Any, k: Any, s: Any, coming: Any, t: int,
) -> int:  # fmt: skip
    """The next row behind t on which the rule may do something; the number of rows where there is none."""
    rows = enter.shape[1]
    used = 0.0
    for j in range(n):
        if s[j * SLOTS + ORDER] != 0.0:
            _fetch_behind(enter, leave, m, s, coming, j, t + 1)
            return t + 1
        if s[j * SLOTS + QTY] != 0.0:
            used += 1.0
    ahead = rows
    for j in range(n):
        b = j * SLOTS
        if s[b + QTY] == 0.0:
            if used < k[K_SLOTS]:
                # A cooldown of c behind this row ends on row t + c.
                first = t + max(1, int(s[b + COOL]))
                ahead = min(ahead, coming_unless(coming, 0, enter, leave, j, first))
                if k[K_SHORTS] > 0.0:
                    ahead = min(ahead, coming_unless(coming, 1, short, cover, j, first))
            continue
        if s[b + QTY] > 0.0:
            ahead = min(ahead, coming_any(coming, 2, leave, j, t + 1))
            if k[K_SHORTS] > 0.0:
                ahead = min(ahead, coming_unless(coming, 1, short, cover, j, t + 1))
        else:
            ahead = min(ahead, coming_any(coming, 3, cover, j, t + 1))
            ahead = min(ahead, coming_unless(coming, 0, enter, leave, j, t + 1))
        if k[K_TIME] > 0.0:
            ahead = min(ahead, t + max(1, int(k[K_TIME] - s[b + HELD])))
    if used > 0.0 and k[K_FLAT] > 0.0:
        ahead = min(ahead, next_flat[t + 1])
    for j in range(n):
        ahead = _stopped(s, j, m, t + 1, ahead, k)
    return ahead


def _fetch_behind(enter: Any, leave: Any, m: Any, s: Any, coming: Any, j: int, first: int) -> None:
    """Have the row fetched that likely matters once the waiting order is filled: then it need not be waited for."""
    if s[j * SLOTS + ORDER] > 0.0:
        fetch(m, j, coming_any(coming, 2, leave, j, first))
    else:
        fetch(m, j, coming_unless(coming, 0, enter, leave, j, first))


def _stopped(s: Any, j: int, m: Any, first: int, last: int, k: Any) -> int:
    """The first row before `last` on which a stop, trail or target of symbol j is met; `last` where none is."""
    b = j * SLOTS
    trails = s[b + TRAIL] > 0.0
    if s[b + QTY] == 0.0:
        return last
    if s[b + STOP] != s[b + STOP] and s[b + TARGET] != s[b + TARGET] and not trails:
        return last
    best = s[b + BEST]
    quantity = s[b + QTY]
    target = s[b + TARGET]
    t = first
    while t < last:
        if k[K_TOUCH] > 0.0:
            reason, _ = touched(s, b, m[j, t, OPEN], m[j, t, HIGH], m[j, t, LOW])
            if reason != 0.0:
                break
            if trails:
                _follow(s, b, m[j, t, HIGH], m[j, t, LOW], m[j, t, CLOSE], k)
        else:
            close = m[j, t, CLOSE]
            if trails:
                _follow(s, b, m[j, t, HIGH], m[j, t, LOW], close, k)
            level = stop_level(s, b)
            if quantity > 0.0:
                if close <= level or close >= target:
                    break
            elif close >= level or close <= target:
                break
        t += 1
    s[b + BEST] = best
    return t


def _follow(s: Any, b: int, high: float, low: float, close: float, k: Any) -> None:
    """The best price since the entry after one more row, as `mark` has it."""
    if close - close != 0.0:
        return
    reach = close
    if s[b + QTY] > 0.0:
        if k[K_TOUCH] > 0.0:
            reach = high
        if reach > s[b + BEST]:
            s[b + BEST] = reach
    else:
        if k[K_TOUCH] > 0.0:
            reach = low
        if reach < s[b + BEST]:
            s[b + BEST] = reach


def _catch_up(n: int, m: Any, k: Any, s: Any, t: int, ahead: int) -> None:
    """Bring the state from behind row t to behind the row before `ahead`, as far as `ahead` will look at it.

    What a row tells the cost model is asked for by a touched stop alone, and the last close where `ahead` has none:
    `mark` writes both anew. A look at a row that is not needed costs more than all the rest.
    """
    last = ahead - 1
    skipped = float(last - t)
    for j in range(n):
        b = j * SLOTS
        if s[b + QTY] == 0.0:
            s[b + COOL] = max(s[b + COOL] - skipped, 0.0)
            continue
        close = m[j, ahead, CLOSE]
        if k[K_TOUCH] > 0.0 or close - close != 0.0:
            s[b + MARK] = m[j, last, M_MARK]
            s[b + LAST_SPREAD] = m[j, last, SPREAD]
            s[b + LAST_VOLUME] = m[j, last, VOLUME]
        s[b + HELD] += skipped
        if s[b + TRAIL] > 0.0:
            for i in range(t + 1, ahead):
                _follow(s, b, m[j, i, HIGH], m[j, i, LOW], m[j, i, CLOSE], k)
