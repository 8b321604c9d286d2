"""The position rule scanned over history: the compiled loop of a backtest, with full records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.types import Bars, Book, Floats
from strategies.common.costs import Costs
from strategies.common.jit import jit
from strategies.common.position import (
    CASH,
    CLOSE,
    COVER,
    ENTER,
    EQUITY,
    FIELDS,
    HIGH,
    K_TOUCH,
    LEAVE,
    LOW,
    OPEN,
    ORDER,
    QTY,
    REASON,
    SHORT,
    SIZE,
    SLOTS,
    SPREAD,
    STOP_AT,
    TARGET_AT,
    TRAIL_AT,
    VOLUME,
    apply_fill,
    clear_order,
    decide,
    fresh,
    mark,
    nan,
    open_fill,
    opens_risk,
    touch_fill,
    touched,
)
from strategies.types import Signals

ORDERS = np.dtype(
    [
        ("decided", np.int64),
        ("column", np.int64),
        ("quantity", np.float64),
        ("reason", np.int64),
        ("filled", np.int64),
        ("price", np.float64),
        ("fee", np.float64),
    ]
)
"""One order: rows by number, `filled` -1 where it expired or still waits. A touched stop or target has both
rows equal."""


@dataclass(frozen=True)
class Scan:
    """What the rule did, row by row: orders as `ORDERS`, equity and cash (T,), positions (T, N) in shares."""

    orders: Any
    equity: Floats
    cash: Floats
    positions: Floats


def scan(bars: Bars, book: Book | None, signals: Signals, knobs: Sequence[float], costs: Costs, cash: float) -> Scan:
    """Run the position rule over all rows.

    Args:
        signals: checked, every field (T, N).
        knobs: `Rule.knobs(clock)`.
        cash: at the start, quote currency.
    """
    rows, symbols = bars.shape
    shape = bars.shape

    def column(given: Any, empty: Any) -> Any:
        return np.broadcast_to(empty, shape) if given is None else given

    spread = column(None if book is None else book.spread, np.float64(np.nan))
    sessions, index = np.unique(bars.session, return_inverse=True)
    table = np.array([costs.knobs(int(session)) for session in sessions], dtype=np.float64)
    equity, ready = np.empty(rows), np.empty(rows)
    positions = np.empty((rows, symbols), order="F")
    state = np.array(fresh(symbols))
    account = np.array([cash, cash])
    row = np.zeros(symbols * FIELDS)
    capacity = 1024 + rows // 16
    while True:
        orders = np.empty(capacity, dtype=ORDERS)
        count = jit(_scan)(
            bars.open, bars.high, bars.low, bars.close, bars.volume, spread,
            signals.entries, signals.exits,
            column(signals.short_entries, np.False_), column(signals.short_exits, np.False_),
            column(signals.size, np.float64(np.nan)), column(signals.stop, np.float64(np.nan)),
            column(signals.target, np.float64(np.nan)), column(signals.trail, np.float64(np.nan)),
            bars.to_close, index.astype(np.int64), table, np.array(knobs, dtype=np.float64),
            state.copy(), account.copy(), row, np.full(symbols, -1, dtype=np.int64),
            orders, equity, ready, positions,
        )  # fmt: skip
        if count >= 0:
            return Scan(orders[:count].copy(), equity, ready, positions)
        capacity *= 4


def _scan(
    o: Any, h: Any, l: Any, c: Any, v: Any, spread: Any,  # noqa: E741  open, high, low, close, volume
    enter: Any, leave: Any, short: Any, cover: Any, size: Any, stop: Any, target: Any, trail: Any,
    to_close: Any, session: Any, table: Any, k: Any,
    s: Any, a: Any, x: Any, waiting: Any,
    orders: Any, equity: Any, cash: Any, positions: Any,
) -> int:  # fmt: skip
    """Orders recorded, or -1 where the table is too small."""
    rows, n = c.shape
    count = 0
    for t in range(rows):
        if count + 2 * n > orders.shape[0]:
            return -1
        costs = table[session[t]]
        for j in range(n):
            if s[j * SLOTS + ORDER] != 0.0:
                _meet_open(s, a, j, o[t, j], t, costs, k, waiting, orders)
        if k[K_TOUCH] > 0.0:
            for j in range(n):
                count += _meet_range(s, a, j, o[t, j], h[t, j], l[t, j], t, costs, k, orders, count)
        for j in range(n):
            f = j * FIELDS
            x[f + OPEN] = o[t, j]
            x[f + HIGH] = h[t, j]
            x[f + LOW] = l[t, j]
            x[f + CLOSE] = c[t, j]
            x[f + VOLUME] = v[t, j]
            x[f + SPREAD] = spread[t, j]
            x[f + ENTER] = 1.0 if enter[t, j] else 0.0
            x[f + LEAVE] = 1.0 if leave[t, j] else 0.0
            x[f + SHORT] = 1.0 if short[t, j] else 0.0
            x[f + COVER] = 1.0 if cover[t, j] else 0.0
            x[f + SIZE] = size[t, j]
            x[f + STOP_AT] = stop[t, j]
            x[f + TARGET_AT] = target[t, j]
            x[f + TRAIL_AT] = trail[t, j]
        mark(s, a, x, k, n)
        if decide(s, a, x, k, n, to_close[t]) > 0:
            count = _record(s, n, t, waiting, orders, count)
        for j in range(n):
            positions[t, j] = s[j * SLOTS + QTY]
        equity[t] = a[EQUITY]
        cash[t] = a[CASH]
    return count


def _meet_open(s: Any, a: Any, j: int, opening: float, t: int, costs: Any, k: Any, waiting: Any, orders: Any) -> None:
    """The waiting order of symbol j meets the open of row t: filled, or expired, or it waits on."""
    b = j * SLOTS
    if opening - opening == 0.0:
        quantity = s[b + ORDER]
        price, fee = open_fill(s, b, opening, costs)
        clear_order(s, b)
        apply_fill(s, a, b, quantity, price, fee, k)
        orders[waiting[j]].filled = t
        orders[waiting[j]].price = price
        orders[waiting[j]].fee = fee
        waiting[j] = -1
    elif opens_risk(s, b):
        clear_order(s, b)
        waiting[j] = -1


def _meet_range(
    s: Any, a: Any, j: int, opening: float, high: float, low: float, t: int, costs: Any, k: Any, orders: Any, count: int
) -> int:
    """1 where the standing stop or target of symbol j was touched on row t, filled and recorded; else 0."""
    b = j * SLOTS
    if s[b + QTY] == 0.0 or s[b + ORDER] != 0.0:
        return 0
    reason, level = touched(s, b, opening, high, low)
    if reason == 0.0:
        return 0
    quantity = -s[b + QTY]
    price, fee = touch_fill(s, b, reason, level, costs)
    apply_fill(s, a, b, quantity, price, fee, k)
    orders[count].decided = t
    orders[count].column = j
    orders[count].quantity = quantity
    orders[count].reason = int(reason)
    orders[count].filled = t
    orders[count].price = price
    orders[count].fee = fee
    return 1


def _record(s: Any, n: int, t: int, waiting: Any, orders: Any, count: int) -> int:
    """Write down the orders placed at row t; returns the new count."""
    for j in range(n):
        b = j * SLOTS
        if s[b + ORDER] != 0.0 and waiting[j] < 0:
            waiting[j] = count
            orders[count].decided = t
            orders[count].column = j
            orders[count].quantity = s[b + ORDER]
            orders[count].reason = int(s[b + REASON])
            orders[count].filled = -1
            orders[count].price = nan
            orders[count].fee = 0.0
            count += 1
    return count
