"""From fills to the numbers of a run, row by row in pieces that stay in the cache, nothing kept but the returns.

The numbers have the bits of `backtests.metrics` on a backtest's arrays: the same expressions, added in the same order.
Pieces of rows without a position are not visited: their returns are zero and their equity does not move.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

import numpy as np

from research.lanes import (
    add8,
    div8,
    least8,
    load8,
    most8,
    moves8,
    mul8,
    pick8,
    same8,
    store8,
    sub8,
    total8,
)
from research.pairwise import LANES, join, pairwise_sum, piece_of_same

nan = float("nan")

# what a set comes to: places in a row of results
END, GROWTH, SHARPE, SORTINO, DRAWDOWN, TRADES, WON, FACTOR, EXPOSED, TURNOVER, PAID = range(11)
NUMBERS = 11
# sums that are joined up the tree: places in `sums`
_EQUITY, _RETURNS, _LOSSES, _SQUARES = 0, 1, 2, 3


def value(
    marks: Any, edges: Any, joins: Any, cash: float, periods: float,
    fills: int, where: Any, after: Any, positions: Any,
    equity: Any, returns: Any, idle: Any, sums: Any, out: Any,
) -> None:  # fmt: skip
    """Write the equity's numbers of one account into `out`.

    Args:
        marks: (N, T + LANES) closes, the last known one where there is none; the last ones are never looked at.
        edges, joins: `pieces(T)`.
        periods: rows per year.
        where, after: the fills, see `research.leap`.
        positions: (N,) scratch, zeros; equity: scratch of a piece, one and LANES more; returns: (T,) scratch;
            idle: scratch, one per piece; sums: (4, DEPTH) scratch.
    """
    rows = edges[joins.shape[0]]
    began = cash
    done = 0
    held = 0
    level = 0
    exposed = 0
    peak, trough, depth = began, began, 0.0
    equity[0] = began
    last = 0
    for p in range(joins.shape[0]):
        first, count = edges[p], edges[p + 1] - edges[p]
        equity[0] = equity[last]
        last = 0
        idle[p] = held == 0 and cash > 0.0 and not (done < fills and where[done, 0] < first + count)
        if idle[p]:
            sums[_EQUITY, level] = piece_of_same(cash, count)
            sums[_RETURNS, level] = 0.0
            sums[_LOSSES, level] = 0.0
        else:
            at = first
            while at < first + count:
                while done < fills and where[done, 0] == at:
                    j = where[done, 1]
                    held += int(after[done, 0] != 0.0) - int(positions[j] != 0.0)
                    positions[j] = after[done, 0]
                    cash = after[done, 1]
                    done += 1
                until = first + count
                if done < fills and where[done, 0] < until:
                    until = where[done, 0]
                _equity_of(marks, positions, held, cash, at, until - at, equity, at - first + 1)
                if held > 0:
                    exposed += until - at
                at = until
            last = count
            piece = returns[first : first + count]
            sums[_EQUITY, level], sums[_RETURNS, level], sums[_LOSSES, level], high, low = _change(equity, piece)
            if high <= peak:
                trough = min(trough, low)
            else:
                for i in range(1, count + 1):
                    if equity[i] > peak:
                        depth = min(depth, trough / peak - 1.0)
                        peak = equity[i]
                        trough = peak
                    elif equity[i] < trough:
                        trough = equity[i]
        join(sums[_EQUITY], level + 1, joins[p])
        join(sums[_RETURNS], level + 1, joins[p])
        level = join(sums[_LOSSES], level + 1, joins[p])
    depth = min(depth, trough / peak - 1.0)
    mean = (0.0 + sums[_RETURNS, 0]) / rows
    out[END] = equity[last]
    out[DRAWDOWN] = depth
    out[EXPOSED] = exposed / rows
    out[TURNOVER] = (0.0 + sums[_EQUITY, 0]) / rows  # the mean equity, until the value traded is known
    out[SHARPE] = nan
    out[SORTINO] = nan
    squares, out[GROWTH] = _squares(returns, mean, edges, joins, idle, sums[_SQUARES])
    if rows < 2:
        return
    deviation = sqrt(squares / (rows - 1))
    if deviation > 0.0:
        out[SHARPE] = mean / deviation * sqrt(periods)
    downside = sqrt((0.0 + sums[_LOSSES, 0]) / rows)
    if downside > 0.0:
        out[SORTINO] = mean / downside * sqrt(periods)


def trade_numbers(
    orders: int, closed: int, still: int, years: float, paid: Any, pnl: Any, part: Any,
    counts: Any, sums: Any, out: Any,
) -> None:  # fmt: skip
    """Write the numbers of trades, fees and turnover into `out`, behind `value`.

    Args:
        orders, closed: how many there are. still: trades that are open at the end.
        years: of all rows. paid, pnl: see `research.leap`.
        part: scratch as long as either. counts, sums: scratch of `pairwise_sum`.
    """
    won = 0
    for i in range(closed):
        if pnl[i] > 0.0:
            part[won] = pnl[i]
            won += 1
    gained = pairwise_sum(part, won, counts, sums)
    lost = 0
    for i in range(closed):
        if pnl[i] < 0.0:
            part[lost] = pnl[i]
            lost += 1
    loss = -pairwise_sum(part, lost, counts, sums)
    out[TRADES] = closed + still
    out[WON] = won / closed if closed > 0 else nan
    out[FACTOR] = gained / loss if loss > 0.0 else nan
    kept = 0
    for i in range(orders):
        if paid[i, 1] >= 0.0:
            part[kept] = paid[i, 0]
            kept += 1
    out[PAID] = pairwise_sum(part, kept, counts, sums)
    kept = 0
    for i in range(orders):
        if paid[i, 1] >= 0.0:
            part[kept] = paid[i, 1]
            kept += 1
    traded = pairwise_sum(part, kept, counts, sums)
    mean = out[TURNOVER]
    out[TURNOVER] = 0.5 * traded / mean / years if mean > 0.0 and years > 0.0 else nan


def _equity_of(
    marks: Any, positions: Any, held: int, cash: float, first: int, count: int, equity: Any, at: int
) -> None:  # fmt: skip
    """Equity of `count` rows from `first` on to `equity` from `at` on, symbols added in order as `mark` does.

    Whole lanes are written, over what the rows behind will have; those are written next.
    """
    n = marks.shape[0]
    money = same8(cash)
    if n == 1 and held == 1:
        shares = same8(positions[0])
        closes = marks[0]
        for i in range(0, count, LANES):
            store8(equity, at + i, add8(money, mul8(shares, load8(closes, first + i))))
        return
    for i in range(0, count, LANES):
        store8(equity, at + i, money)
    if held == 0:
        return
    for j in range(n):
        if positions[j] != 0.0:
            shares = same8(positions[j])
            closes = marks[j]
            for i in range(0, count, LANES):
                store8(equity, at + i, add8(load8(equity, at + i), mul8(shares, load8(closes, first + i))))


def _change(equity: Any, returns: Any) -> tuple[float, float, float, float, float]:
    """Returns of a piece from its equity; (sums of equity, returns and squared losses, highest, lowest equity)."""
    count = returns.shape[0]
    whole = count - count % LANES
    zero, one, missing = same8(0.0), same8(1.0), same8(nan)
    worth, gained, lost = same8(-0.0), same8(-0.0), same8(-0.0)
    highest, lowest = same8(-inf), same8(inf)
    for i in range(0, whole, LANES):
        before = load8(equity, i)
        now = load8(equity, i + 1)
        change = pick8(before, zero, sub8(div8(now, before), one), missing)
        store8(returns, i, change)
        loss = pick8(zero, change, change, zero)
        worth = add8(worth, now)
        gained = add8(gained, change)
        lost = add8(lost, mul8(loss, loss))
        highest = pick8(now, highest, now, highest)
        lowest = pick8(lowest, now, now, lowest)
    money, gain, losses = total8(worth), total8(gained), total8(lost)
    high, low = most8(highest), least8(lowest)
    for i in range(whole, count):
        value = equity[i + 1]
        # np.divide, unlike /, does not stop for a zero.
        now_change = np.divide(value, equity[i]) - 1.0 if equity[i] > 0.0 else nan
        returns[i] = now_change
        down = min(0.0, now_change)
        money += value
        gain += now_change
        losses += down * down
        high = max(high, value)
        low = min(low, value)
    return money, gain, losses, high, low


def _squares(returns: Any, mean: float, edges: Any, joins: Any, idle: Any, sums: Any) -> tuple[float, float]:
    """(sum of the squared deviations from the mean, product of 1 + the returns in order).

    A product waits for the one before, so it is multiplied beside sums that do not wait; rows without a return are
    left out, as they would multiply by one.
    """
    level = 0
    growth = 1.0
    middle = same8(mean)
    off = 0.0 - mean
    for p in range(joins.shape[0]):
        count = edges[p + 1] - edges[p]
        if idle[p]:
            sums[level] = piece_of_same(off * off, count)
        else:
            piece = returns[edges[p] : edges[p + 1]]
            whole = count - count % LANES
            squares = same8(-0.0)
            for i in range(0, whole, LANES):
                change = load8(piece, i)
                away = sub8(change, middle)
                squares = add8(squares, mul8(away, away))
                if moves8(change):
                    growth *= 1.0 + piece[i]
                    growth *= 1.0 + piece[i + 1]
                    growth *= 1.0 + piece[i + 2]
                    growth *= 1.0 + piece[i + 3]
                    growth *= 1.0 + piece[i + 4]
                    growth *= 1.0 + piece[i + 5]
                    growth *= 1.0 + piece[i + 6]
                    growth *= 1.0 + piece[i + 7]
            total = total8(squares)
            for i in range(whole, count):
                far = piece[i] - mean
                total += far * far
                growth *= 1.0 + piece[i]
            sums[level] = total
        level = join(sums, level + 1, joins[p])
    return 0.0 + sums[0], growth
