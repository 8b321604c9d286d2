"""The position rule: from signals and prices to orders, one step shared by backtests and live.

A row goes through four steps, in this order:

    open_fills    orders decided at earlier closes meet this row's open          (live: the broker)
    touches       standing stops and targets meet this row's high and low        (live: the broker)
    mark          the row's close values the account; trailing stops follow
    decide        the rule wants a position; a wanted change becomes an order    <- nothing here sees a later row

Backtests scan the rows in a compiled loop (`backtests.scan`); live calls the same functions row by row
(`live.core`). So a decision at row t is filled after t, and this is the only place that says so.

State is flat: `s` holds SLOTS floats per symbol, `a` the account, `x` the FIELDS of this row per symbol. They are
float64 arrays under numba and lists of floats under CPython; the functions cannot tell.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence

from strategies.common.costs import fill_fee, market_price

nan = float("nan")

Slots = MutableSequence[float]
Knobs = Sequence[float]

# per symbol: position
QTY, ENTRY, STOP, TARGET, TRAIL, BEST, HELD, COOL, MARK = 0, 1, 2, 3, 4, 5, 6, 7, 8
# per symbol: the order that waits for the next open, and what its position will carry
ORDER, REASON, STOP_BY, TARGET_BY, TRAIL_BY = 9, 10, 11, 12, 13
# per symbol: what the last row told the cost model
LAST_SPREAD, LAST_VOLUME = 14, 15
SLOTS = 16
# account
CASH, EQUITY = 0, 1
# this row, per symbol
OPEN, HIGH, LOW, CLOSE, VOLUME, SPREAD = 0, 1, 2, 3, 4, 5
ENTER, LEAVE, SHORT, COVER, SIZE, STOP_AT, TARGET_AT, TRAIL_AT = 6, 7, 8, 9, 10, 11, 12, 13
FIELDS = 14
# knobs of the rule, see Rule.knobs
K_SIZE, K_RISK, K_SLOTS, K_GROSS, K_LOT, K_TOUCH, K_TIME, K_COOL, K_FLAT, K_SHORTS, K_VOLUME = range(11)
# reasons
NONE, ENTRY_SIGNAL, EXIT_SIGNAL, STOP_HIT, TARGET_HIT, TRAIL_HIT, TIME_STOP, SESSION_END, REVERSAL = range(9)
REASONS = ("none", "entry", "exit", "stop", "target", "trail", "time", "session end", "reversal")


def fresh(symbols: int) -> list[float]:
    """The state of `symbols` symbols that were never traded."""
    one = [0.0] * SLOTS
    for slot in (ENTRY, STOP, TARGET, TRAIL, BEST, MARK, STOP_BY, TARGET_BY, TRAIL_BY, LAST_SPREAD, LAST_VOLUME):
        one[slot] = nan
    return one * symbols


def stop_level(s: Slots, b: int) -> float:
    """The nearer of stop and trailing stop of the position at `b`; NaN without either."""
    level = s[b + STOP]
    if s[b + TRAIL] > 0.0:
        if s[b + QTY] > 0.0:
            trail = s[b + BEST] - s[b + TRAIL]
            if not level >= trail:
                level = trail
        else:
            trail = s[b + BEST] + s[b + TRAIL]
            if not level <= trail:
                level = trail
    return level


def apply_fill(s: Slots, a: Slots, b: int, quantity: float, price: float, fee: float, k: Knobs) -> None:
    """Book a fill of signed `quantity` into the position at `b` and the account's cash.

    A fill that opens (or turns) the position takes over the stop, target and trail its order carried; a distance that
    is not positive is none. Fills in parts of one order average the entry price.
    """
    before = s[b + QTY]
    after = before + quantity
    a[CASH] -= quantity * price + fee
    s[b + QTY] = after
    if after == 0.0:
        s[b + ENTRY] = nan
        s[b + STOP] = nan
        s[b + TARGET] = nan
        s[b + TRAIL] = nan
        s[b + BEST] = nan
        s[b + HELD] = 0.0
        s[b + COOL] = k[K_COOL] + 1.0 if k[K_COOL] > 0.0 else 0.0
    elif before == 0.0 or (before > 0.0) != (after > 0.0):
        side = 1.0 if after > 0.0 else -1.0
        s[b + ENTRY] = price
        s[b + STOP] = price - side * s[b + STOP_BY] if s[b + STOP_BY] > 0.0 else nan
        s[b + TARGET] = price + side * s[b + TARGET_BY] if s[b + TARGET_BY] > 0.0 else nan
        s[b + TRAIL] = s[b + TRAIL_BY]
        s[b + BEST] = price
        s[b + HELD] = 0.0
    elif (after > 0.0) == (quantity > 0.0):
        s[b + ENTRY] = (s[b + ENTRY] * before + price * quantity) / after


def clear_order(s: Slots, b: int) -> None:
    """Forget the waiting order at `b`: it was filled, or it expired."""
    s[b + ORDER] = 0.0
    s[b + REASON] = 0.0


def opens_risk(s: Slots, b: int) -> bool:
    """True where the waiting order at `b` opens a position from flat: it is good for the next row only.

    A reversal is not: it leaves a position first, and waits for a price as a whole.
    """
    return s[b + REASON] == ENTRY_SIGNAL


def touched(s: Slots, b: int, opening: float, high: float, low: float) -> tuple[float, float]:
    """(reason, level) of the standing stop or target that this row's range meets; (0, NaN) for none.

    Where a row spans both, the stop is taken: nobody knows which came first. A level the row opened beyond is
    filled at the open.
    """
    quantity = s[b + QTY]
    if quantity == 0.0 or opening - opening != 0.0:
        return 0.0, nan
    level = stop_level(s, b)
    target = s[b + TARGET]
    if quantity > 0.0:
        if low <= level:
            reason = float(STOP_HIT) if level == s[b + STOP] else float(TRAIL_HIT)
            return reason, (min(level, opening))
        if high >= target:
            return float(TARGET_HIT), (max(target, opening))
    else:
        if high >= level:
            reason = float(STOP_HIT) if level == s[b + STOP] else float(TRAIL_HIT)
            return reason, (max(level, opening))
        if low <= target:
            return float(TARGET_HIT), (min(target, opening))
    return 0.0, nan


def touch_fill(s: Slots, b: int, reason: float, level: float, c: Knobs) -> tuple[float, float]:
    """(price, fee) of closing the position at `b` at a touched level.

    A target is a limit order and pays no slippage; a stop becomes a market order.
    """
    quantity = -s[b + QTY]
    side = 1.0 if quantity > 0.0 else -1.0
    price = level
    if reason != TARGET_HIT:
        price = market_price(level, side, quantity * side, s[b + LAST_SPREAD], s[b + LAST_VOLUME], c)
    return price, fill_fee(side, quantity * side, price, c)


def mark(s: Slots, a: Slots, x: Slots, k: Knobs, n: int) -> None:
    """Value the account at this row's closes and let trailing stops and holding times follow."""
    equity = a[CASH]
    for j in range(n):
        b = j * SLOTS
        f = j * FIELDS
        close = x[f + CLOSE]
        if close - close == 0.0:
            s[b + MARK] = close
        s[b + LAST_SPREAD] = x[f + SPREAD]
        s[b + LAST_VOLUME] = x[f + VOLUME]
        quantity = s[b + QTY]
        if quantity == 0.0:
            if s[b + COOL] > 0.0:
                s[b + COOL] -= 1.0
            continue
        equity += quantity * s[b + MARK]
        s[b + HELD] += 1.0
        if close - close == 0.0:
            reach = close
            if quantity > 0.0:
                if k[K_TOUCH] > 0.0:
                    reach = x[f + HIGH]
                if reach > s[b + BEST]:
                    s[b + BEST] = reach
            else:
                if k[K_TOUCH] > 0.0:
                    reach = x[f + LOW]
                if reach < s[b + BEST]:
                    s[b + BEST] = reach
    a[EQUITY] = equity


def leaving(s: Slots, x: Slots, b: int, f: int, k: Knobs, to_close: float) -> int:
    """The reason to leave the position at `b` at this close, or 0."""
    quantity = s[b + QTY]
    if k[K_FLAT] > 0.0 and to_close <= k[K_FLAT]:
        return SESSION_END
    close = x[f + CLOSE]
    if k[K_TOUCH] == 0.0:
        level = stop_level(s, b)
        if (quantity > 0.0 and close <= level) or (quantity < 0.0 and close >= level):
            return STOP_HIT if level == s[b + STOP] else TRAIL_HIT
        target = s[b + TARGET]
        if (quantity > 0.0 and close >= target) or (quantity < 0.0 and close <= target):
            return TARGET_HIT
    if (quantity > 0.0 and x[f + LEAVE] > 0.0) or (quantity < 0.0 and x[f + COVER] > 0.0):
        return EXIT_SIGNAL
    if k[K_TIME] > 0.0 and s[b + HELD] >= k[K_TIME]:
        return TIME_STOP
    return NONE


def wanted_side(x: Slots, f: int, k: Knobs) -> float:
    """1 to be long, -1 to be short, 0 for no entry; contradicting signals want nothing."""
    long = x[f + ENTER] > 0.0 and not x[f + LEAVE] > 0.0
    short = k[K_SHORTS] > 0.0 and x[f + SHORT] > 0.0 and not x[f + COVER] > 0.0
    if long == short:
        return 0.0
    return 1.0 if long else -1.0


def lots(quantity: float, lot: float) -> float:
    """`quantity` rounded down to the lot: 1 for whole shares, 1e-6 for fractional ones.

    The float nearest to a number of that many decimals, so that it prints as one.
    """
    if not 0.0 < quantity < 1e15 * lot:
        return 0.0
    scale = 1.0 / lot
    return float(int(quantity * scale)) / scale


def sized(x: Slots, f: int, equity: float, room: float, k: Knobs) -> float:
    """Shares of an entry at this row: a fraction of equity, or the risk per trade over the stop's distance.

    Never more than `room`, the notional that the gross limit leaves.
    """
    close = x[f + CLOSE]
    if not close > 0.0 or not equity > 0.0:
        return 0.0
    share = x[f + SIZE]
    if share - share != 0.0:
        share = k[K_SIZE]
    notional = equity * share
    if k[K_RISK] > 0.0:
        distance = x[f + STOP_AT]
        if not distance > 0.0:
            return 0.0
        risked = equity * k[K_RISK] / distance * close
        if risked < notional:
            notional = risked
    if notional > room:
        notional = room
    return lots(notional / close, k[K_LOT])


def place(s: Slots, x: Slots, b: int, f: int, quantity: float, reason: int) -> None:
    """Let a signed order wait for the next open, with the distances its position will carry."""
    s[b + ORDER] = quantity
    s[b + REASON] = float(reason)
    s[b + STOP_BY] = x[f + STOP_AT]
    s[b + TARGET_BY] = x[f + TARGET_AT]
    s[b + TRAIL_BY] = x[f + TRAIL_AT]


def may_enter(s: Slots, x: Slots, b: int, f: int, k: Knobs) -> bool:
    """True where the signals want a position and nothing stands against it but slots and money."""
    close = x[f + CLOSE]
    idle = s[b + QTY] == 0.0 and s[b + ORDER] == 0.0 and s[b + COOL] == 0.0
    return idle and close - close == 0.0 and wanted_side(x, f, k) != 0.0


def next_entry(s: Slots, x: Slots, k: Knobs, n: int, after: int, after_volume: float) -> tuple[int, float]:
    """(symbol, rank) of the next entry behind the one ranked last; (-1, NaN) when there is none."""
    best = -1
    best_volume = nan
    for j in range(n):
        if not may_enter(s, x, j * SLOTS, j * FIELDS, k):
            continue
        volume = 0.0
        if k[K_VOLUME] > 0.0:
            volume = x[j * FIELDS + CLOSE] * x[j * FIELDS + VOLUME]
            if volume != volume:
                volume = 0.0
        behind = after < 0 or volume < after_volume or (volume == after_volume and j > after)
        if behind and (best < 0 or volume > best_volume):
            best = j
            best_volume = volume
    return best, best_volume


def exposure(s: Slots, b: int) -> float:
    """Notional of the position at `b`, or of what its waiting order makes of it where that is more."""
    now = s[b + QTY]
    soon = now + s[b + ORDER]
    held = now if now > 0.0 else -now
    due = soon if soon > 0.0 else -soon
    return max(due, held) * s[b + MARK]


def leave_or_turn(
    s: Slots, x: Slots, b: int, f: int, k: Knobs, to_close: float, may_open: bool, equity: float, room: float
) -> bool:
    """Place the order that this row wants for the position at `b`; False where it wants none.

    A position is turned within `room`, the notional that the gross limit leaves for its new side; without room, or
    with a size of nothing, it is only left.
    """
    quantity = s[b + QTY]
    close = x[f + CLOSE]
    if may_open and close - close == 0.0:
        side = wanted_side(x, f, k)
        if side * quantity < 0.0:
            size = sized(x, f, equity, room, k)
            place(s, x, b, f, side * size - quantity, REVERSAL if size > 0.0 else EXIT_SIGNAL)
            return True
    reason = leaving(s, x, b, f, k, to_close)
    if reason != NONE:
        place(s, x, b, f, -quantity, reason)
        return True
    return False


def decide(s: Slots, a: Slots, x: Slots, k: Knobs, n: int, to_close: float) -> int:
    """Turn this row's signals into waiting orders; returns how many were placed.

    Exits and reversals first, for every symbol in order. Then entries while there are slots and room: in the order of
    the symbols, or by the row's dollar volume, larger first. A symbol with a waiting order, in its cooldown, or
    without a close on this row gets no entry; without a close it can be left, not turned. Near the session's end
    (`flat_before_s`) nothing is opened. A position that is being left keeps its slot and its notional until it is
    filled.
    """
    placed = 0
    used = 0.0
    gross = 0.0
    wanted = False
    may_open = not (k[K_FLAT] > 0.0 and to_close <= k[K_FLAT])
    equity = a[EQUITY]
    for j in range(n):
        b = j * SLOTS
        if s[b + QTY] != 0.0 or s[b + ORDER] != 0.0:
            used += 1.0
            gross += exposure(s, b)
        elif may_open and not wanted:
            wanted = may_enter(s, x, b, j * FIELDS, k)
    if used > 0.0:
        for j in range(n):
            b = j * SLOTS
            if s[b + QTY] == 0.0 or s[b + ORDER] != 0.0:
                continue
            others = gross - exposure(s, b)
            room = equity * k[K_GROSS] - others
            if leave_or_turn(s, x, b, j * FIELDS, k, to_close, may_open, equity, room):
                gross = others + exposure(s, b)
                placed += 1
    if not wanted:
        return placed
    best = -1
    rank = nan
    while used < k[K_SLOTS]:
        best, rank = next_entry(s, x, k, n, best, rank)
        if best < 0:
            break
        f = best * FIELDS
        size = sized(x, f, equity, equity * k[K_GROSS] - gross, k)
        if size > 0.0:
            place(s, x, best * SLOTS, f, wanted_side(x, f, k) * size, ENTRY_SIGNAL)
            gross += size * x[f + CLOSE]
            used += 1.0
            placed += 1
    return placed


def open_fill(s: Slots, b: int, opening: float, c: Knobs) -> tuple[float, float]:
    """(price, fee) of the waiting order at `b` when it meets this open."""
    quantity = s[b + ORDER]
    side = 1.0 if quantity > 0.0 else -1.0
    price = market_price(opening, side, quantity * side, s[b + LAST_SPREAD], s[b + LAST_VOLUME], c)
    return price, fill_fee(side, quantity * side, price, c)
