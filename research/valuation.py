"""From fills to the numbers of a run, row by row in pieces that stay in the cache, nothing kept but the returns.

The numbers have the bits of `backtests.metrics` on a backtest's arrays: the same expressions, added in the same order.
Pieces of rows without a position are not visited: their returns are zero and their equity does not move.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from research.pairwise import join, pairwise_sum, piece_of_same, piece_sum

nan = float("nan")

# what a set comes to: places in a row of results
END, GROWTH, SHARPE, SORTINO, DRAWDOWN, TRADES, WON, FACTOR, EXPOSED, TURNOVER, PAID = range(11)
NUMBERS = 11
# sums that are joined up the tree: places in `sums`
_EQUITY, _RETURNS, _LOSSES, _SQUARES = 0, 1, 2, 3


def value(
    marks: Any, edges: Any, joins: Any, cash: float, periods: float,
    fills: int, where: Any, after: Any, positions: Any,
    equity: Any, losses: Any, returns: Any, idle: Any, sums: Any, out: Any,
) -> None:  # fmt: skip
    """Write the equity's numbers of one account into `out`.

    Args:
        marks: (N, T) closes, the last known one where there is none.
        edges, joins: `pieces(T)`.
        periods: rows per year.
        where, after: the fills, see `research.leap`.
        positions: (N,) scratch, zeros; equity, losses: scratch of a piece and one more; returns: (T,) scratch;
            idle: scratch, one per piece; sums: (4, DEPTH) scratch.
    """
    rows = marks.shape[1]
    began = cash
    done = 0
    held = 0
    level = 0
    exposed = 0
    growth = 1.0
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
                _equity_of(marks, positions, held, cash, at, equity[at - first + 1 : until - first + 1])
                if held > 0:
                    exposed += until - at
                at = until
            last = count
            growth, high, low = _change(
                equity[:count], equity[1 : count + 1], returns[first : first + count], losses[:count], growth
            )
            sums[_EQUITY, level] = piece_sum(equity[1 : count + 1])
            sums[_RETURNS, level] = piece_sum(returns[first : first + count])
            sums[_LOSSES, level] = piece_sum(losses[:count])
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
    out[GROWTH] = growth
    out[DRAWDOWN] = depth
    out[EXPOSED] = exposed / rows
    out[TURNOVER] = (0.0 + sums[_EQUITY, 0]) / rows  # the mean equity, until the value traded is known
    out[SHARPE] = nan
    out[SORTINO] = nan
    if rows < 2:
        return
    deviation = sqrt(_squares(returns, mean, edges, joins, idle, sums[_SQUARES]) / (rows - 1))
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


def _equity_of(marks: Any, positions: Any, held: int, cash: float, first: int, equity: Any) -> None:
    """Equity of the rows from `first` on, symbols added in order as `mark` does.

    Slices begin at zero here and below: an index that could be negative keeps a loop from taking eight rows at a time.
    """
    n = marks.shape[0]
    count = equity.shape[0]
    if n == 1 and held == 1:
        quantity = positions[0]
        closes = marks[0, first : first + count]
        for i in range(count):
            equity[i] = cash + quantity * closes[i]
        return
    for i in range(count):
        equity[i] = cash
    if held == 0:
        return
    for j in range(n):
        quantity = positions[j]
        if quantity != 0.0:
            closes = marks[j, first : first + count]
            for i in range(count):
                equity[i] += quantity * closes[i]


def _change(before: Any, after: Any, returns: Any, losses: Any, growth: float) -> tuple[float, float, float]:
    """Returns and squared losses of a piece, from its equity; (growth, highest, lowest equity)."""
    for i in range(after.shape[0]):
        # np.divide, unlike /, does not stop for a zero.
        change = np.divide(after[i], before[i]) - 1.0
        change = change if before[i] > 0.0 else nan
        loss = min(0.0, change)
        returns[i] = change
        losses[i] = loss * loss
    high = after[0]
    low = after[0]
    for i in range(after.shape[0]):
        growth *= 1.0 + returns[i]
        now = after[i]
        high = max(high, now)
        low = min(low, now)
    return growth, high, low


def _squares(returns: Any, mean: float, edges: Any, joins: Any, idle: Any, sums: Any) -> float:
    """Sum of the squared deviations from the mean; `returns` are overwritten."""
    level = 0
    for p in range(joins.shape[0]):
        if idle[p]:
            off = 0.0 - mean
            sums[level] = piece_of_same(off * off, edges[p + 1] - edges[p])
        else:
            piece = returns[edges[p] : edges[p + 1]]
            for i in range(piece.shape[0]):
                off = piece[i] - mean
                piece[i] = off * off
            sums[level] = piece_sum(piece)
        level = join(sums, level + 1, joins[p])
    return 0.0 + sums[0]
