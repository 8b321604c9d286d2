"""The position rule scanned over history: the compiled loop of a backtest, with full records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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
        ("reference", np.float64),
        ("price", np.float64),
        ("fee", np.float64),
    ]
)
"""One order. `decided` and `filled` are rows; `filled` is -1 where it expired or still waits. A touched stop or target
has both rows equal. `quantity` is signed shares, `column` the symbol, `reason` a place in `position.REASONS`.
`reference` is the price before costs: the open, or the level touched; `price` what was paid; `fee` in dollars."""

# The same as places in a row of the table the loop writes.
DECIDED, COLUMN, QUANTITY, WHY, FILLED, REFERENCE, PRICE, FEE = range(8)

_FIELDS = ORDERS.names or ()
_SEEN = "Array(float64, 2, 'A', readonly=True)"
_FLAG = "Array(boolean, 2, 'A', readonly=True)"
_ONES = "Array(float64, 1, 'C')"
_INTS = "Array(int64, 1, 'C')"
_GRID = "Array(float64, 2, 'A')"
_SIGNATURE = (
    f"int64({', '.join([_SEEN] * 6 + [_FLAG] * 4 + [_SEEN] * 4)}, Array(float64, 1, 'A', readonly=True), {_INTS}, "
    f"{_GRID}, {_ONES}, {_ONES}, {_ONES}, {_ONES}, {_INTS}, {_INTS}, int64, {_GRID}, {_ONES}, {_ONES}, {_GRID})"
)
"""One signature whatever fields a strategy leaves out: the loop is compiled once and found on disk ever after."""


@dataclass(frozen=True)
class Scan:
    """What the rule did, row by row: orders as `ORDERS`, equity and cash (T,), positions (T, N) in shares."""

    orders: npt.NDArray[Any]
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
    unknown = np.broadcast_to(np.float64(np.nan), bars.shape)
    never = np.broadcast_to(np.False_, bars.shape)

    def column(given: Any, empty: Any) -> Any:
        return empty if given is None else given

    firsts, table = costs.table()
    equity, ready = np.empty(rows), np.empty(rows)
    positions = np.empty((rows, symbols), order="F")
    at = np.zeros(1, dtype=np.int64)
    written = np.empty((1024 + 2 * symbols + rows // 16, len(_FIELDS)))
    inputs = (
        bars.open, bars.high, bars.low, bars.close, bars.volume,
        unknown if book is None else book.spread,
        signals.entries, signals.exits, column(signals.short_entries, never), column(signals.short_exits, never),
        column(signals.size, unknown), column(signals.stop, unknown),
        column(signals.target, unknown), column(signals.trail, unknown),
        bars.to_close, np.searchsorted(firsts, bars.session, side="right"), np.array(table), np.array(knobs),
        np.array(fresh(symbols)), np.array([cash, cash]), np.zeros(symbols * FIELDS),
        np.full(symbols, -1, dtype=np.int64), at,
    )  # fmt: skip
    loop = jit(_scan, _SIGNATURE)
    count = loop(*inputs, 0, written, equity, ready, positions)
    while at[0] < rows:
        written = np.concatenate([written[:count], np.empty((3 * len(written), len(_FIELDS)))])
        count = loop(*inputs, count, written, equity, ready, positions)
    orders = np.empty(count, dtype=ORDERS)
    for place, name in enumerate(_FIELDS):
        orders[name] = written[:count, place]
    return Scan(orders, equity, ready, positions)


def _scan(
    o: Any, h: Any, l: Any, c: Any, v: Any, spread: Any,  # noqa: E741  open, high, low, close, volume
    enter: Any, leave: Any, short: Any, cover: Any, size: Any, stop: Any, target: Any, trail: Any,
    to_close: Any, period: Any, table: Any, k: Any,
    s: Any, a: Any, x: Any, waiting: Any, at: Any,
    count: int, orders: Any, equity: Any, cash: Any, positions: Any,
) -> int:  # fmt: skip
    """Orders recorded. Stops before a row, `at[0]`, where `orders` may become too small, and goes on from there."""
    rows, n = c.shape
    for t in range(at[0], rows):
        if count + 2 * n > orders.shape[0]:
            at[0] = t
            return count
        costs = table[period[t]]
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
    at[0] = rows
    return count


def _meet_open(s: Any, a: Any, j: int, opening: float, t: int, costs: Any, k: Any, waiting: Any, orders: Any) -> None:
    """The waiting order of symbol j meets the open of row t: filled, or expired, or it waits on."""
    b = j * SLOTS
    if opening - opening == 0.0:
        quantity = s[b + ORDER]
        price, fee = open_fill(s, b, opening, costs)
        clear_order(s, b)
        apply_fill(s, a, b, quantity, price, fee, k)
        order = orders[waiting[j]]
        order[FILLED], order[REFERENCE], order[PRICE], order[FEE] = t, opening, price, fee
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
    order = orders[count]
    order[DECIDED], order[COLUMN], order[QUANTITY], order[WHY] = t, j, quantity, reason
    order[FILLED], order[REFERENCE], order[PRICE], order[FEE] = t, level, price, fee
    return 1


def _record(s: Any, n: int, t: int, waiting: Any, orders: Any, count: int) -> int:
    """Write down the orders placed at row t; returns the new count."""
    for j in range(n):
        b = j * SLOTS
        if s[b + ORDER] != 0.0 and waiting[j] < 0:
            waiting[j] = count
            order = orders[count]
            order[DECIDED], order[COLUMN], order[QUANTITY], order[WHY] = t, j, s[b + ORDER], s[b + REASON]
            order[FILLED], order[REFERENCE], order[PRICE], order[FEE] = -1, nan, nan, 0.0
            count += 1
    return count
