"""What a fill does to the account, its order and its trade, while a set runs."""

from __future__ import annotations

from typing import Any

from strategies.common.position import CASH, QTY, SLOTS, apply_fill

# how many there are: places in `tally`
FILLS, ORDERS, CLOSED = 0, 1, 2
# the open trade of a symbol, as backtests.trades counts it: places in `lot`
HOLDS, NOTIONAL, FEES = 0, 1, 2


def book_fill(
    s: Any, a: Any, j: int, quantity: float, price: float, fee: float, k: Any, t: int, order: int,
    tally: Any, where: Any, after: Any, paid: Any, lot: Any, closed_at: Any, pnl: Any,
) -> None:  # fmt: skip
    """Book a fill: into the position, the list of fills, its order and the trade it opens or closes."""
    apply_fill(s, a, j * SLOTS, quantity, price, fee, k)
    at = tally[FILLS]
    tally[FILLS] = at + 1
    where[at, 0] = t
    where[at, 1] = j
    after[at, 0] = s[j * SLOTS + QTY]
    after[at, 1] = a[CASH]
    paid[order, 0] = fee
    paid[order, 1] = abs(price * quantity)
    closes, profit = _match(lot, j, quantity, price, fee)
    if not closes:
        return
    # Trades are listed by the row of their exit, then by symbol; within a row opens come before touches.
    at = tally[CLOSED]
    tally[CLOSED] = at + 1
    while at > 0 and closed_at[at - 1, 0] == t and closed_at[at - 1, 1] > j:
        closed_at[at, 0] = closed_at[at - 1, 0]
        closed_at[at, 1] = closed_at[at - 1, 1]
        pnl[at] = pnl[at - 1]
        at -= 1
    closed_at[at, 0] = t
    closed_at[at, 1] = j
    pnl[at] = profit


def _match(lot: Any, j: int, quantity: float, price: float, fee: float) -> tuple[bool, float]:
    """(whether this fill closes a trade of symbol j, its profit after fees), as `backtests.trades` counts."""
    held = lot[j, HOLDS]
    if held == 0.0:
        lot[j, NOTIONAL] = 0.0
        lot[j, FEES] = 0.0
    if held == 0.0 or (held > 0.0) == (quantity > 0.0):
        lot[j, HOLDS] += quantity
        lot[j, NOTIONAL] += quantity * price
        lot[j, FEES] += fee
        return False, 0.0
    turned = abs(quantity) > abs(held)
    part = -held if turned else quantity
    exit_fee = fee * (part / quantity)
    share = -part / held
    side = 1.0 if held > 0.0 else -1.0
    entry = lot[j, NOTIONAL] / held
    profit = side * abs(part) * (price - entry) - lot[j, FEES] * share - exit_fee
    lot[j, HOLDS] += quantity
    if turned:
        lot[j, NOTIONAL] = lot[j, HOLDS] * price
        lot[j, FEES] = fee - exit_fee
    else:
        lot[j, NOTIONAL] -= lot[j, NOTIONAL] * share
        lot[j, FEES] -= lot[j, FEES] * share
    return True, profit
