"""One parameter set in one compiled pass: signals in, the numbers of its run out, no record of any row.

fused = Fused(bars, book, rule, costs, cash, clock)
work = fused.work()                                # one for every thread
numbers = fused.run(strategy.call(bars, book, params), work)      # (accounts, len(NAMES))

With `sessions=True` a row goes on with the equity at each session's end and `research.sessions.EXTRAS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from backtests.metrics import marks_of, nan, session_ends
from data.calendar import periods_per_year
from data.jit import jit
from data.types import Bars, Book, Floats
from research.booking import CLOSED, FILLS, HOLDS, ORDERS
from research.leap import M_FIELDS, leap
from research.lend import lend
from research.pairwise import DEPTH, LANES, PIECE, pieces
from research.sessions import EXTRAS, keep_sessions
from research.valuation import NUMBERS, trade_numbers, value
from strategies.common.costs import Costs
from strategies.common.position import FIELDS, SLOTS, fresh
from strategies.common.rule import Rule
from strategies.types import Signals

NAMES = (
    "total_return",
    "annual_return",
    "sharpe",
    "sortino",
    "max_drawdown",
    "trades",
    "win_rate",
    "profit_factor",
    "exposure",
    "turnover",
    "fees",
)
"""What a sweep knows of every set, each as `Result.metrics` has it under the name in `backtests.stats`."""
LONG_NAMES = (
    "total_return",
    "annual_return",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "total_trades",
    "win_rate",
    "profit_factor",
    "time_in_market",
    "turnover",
    "total_fees_paid",
)

_FLAG = "Array(uint8, 2, 'C', readonly=True)"
_SEEN = "Array(float64, 2, 'A', readonly=True)"
_ROWS = "Array(float64, 2, 'C', readonly=True)"
_GRID = "Array(float64, 2, 'C')"
_PAIR = "Array(int64, 2, 'C')"
_INTS = "Array(int64, 1, 'C')"
_ONES = "Array(float64, 1, 'C')"
_SIGNATURE = (
    f"boolean({', '.join([_FLAG] * 4 + [_SEEN] * 4)}, Array(float64, 3, 'C'), {_ROWS}, "
    f"Array(float64, 1, 'A', readonly=True), {_INTS}, {_GRID}, {_ONES}, {_INTS}, {_INTS}, float64, float64, float64, "
    f"{', '.join([_ONES] * 4)}, {_INTS}, {_PAIR}, {_GRID}, {_INTS}, {_PAIR}, {_GRID}, {_GRID}, {_PAIR}, "
    f"{', '.join([_ONES] * 5)}, Array(boolean, 1, 'C'), {_INTS}, {_GRID}, int64, {_GRID}, {_INTS}, {_PAIR}, {_GRID})"
)


class Work:
    """The memory one thread works in; it grows when a set has more orders than any before."""

    def __init__(self, symbols: int, rows: int, orders: int) -> None:
        self.start = np.array(fresh(symbols))
        self.state = (np.zeros(symbols * SLOTS), np.zeros(2), np.zeros(symbols * FIELDS))
        self.counters = (np.zeros(symbols, np.int64), np.zeros((symbols, 4), np.int64), np.zeros((symbols, 3)))
        self.valuing = (
            np.zeros(symbols), np.zeros(PIECE + 1 + LANES), np.zeros(rows),
            np.zeros(rows // 8 + 1, np.bool_), np.zeros(DEPTH, np.int64), np.zeros((4, DEPTH)),
        )  # fmt: skip
        self.tally = np.zeros(3, np.int64)
        self.runs = np.zeros((symbols, 2), np.int64)
        self.grow(orders)

    def grow(self, orders: int) -> None:
        """Room for so many orders of one account."""
        self.orders = orders
        self.tables = (
            np.zeros((orders, 2), np.int64), np.zeros((orders, 2)), np.zeros((orders, 2)),
            np.zeros((orders, 2), np.int64), np.zeros(orders),
        )  # fmt: skip
        self.part = np.zeros(orders)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return sum(a.nbytes for a in (*self.state, *self.counters, *self.valuing, *self.tables, self.part))


class Fused:
    """Rows, rule and costs made ready for any number of parameter sets.

    Args:
        apart: every symbol is an account of its own with all of `cash`; else all of them are one account.
        sessions: keep the equity of session ends too; `ends` are their rows, `columns` the length of a row of `run`.
    """

    def __init__(
        self,
        bars: Bars,
        book: Book | None,
        rule: Rule,
        costs: Costs,
        cash: float,
        clock: str,
        *,
        apart: bool = False,
        sessions: bool = False,
    ) -> None:
        rows, symbols = bars.shape
        self.rows, self.symbols, self.cash = rows, symbols, cash
        self.width = 1 if apart else symbols
        self.accounts = symbols // self.width
        firsts, table = costs.table()
        knobs = np.array(rule.knobs(clock))
        self.periods = periods_per_year(clock)
        self.ends = session_ends(bars.session) if sessions else np.empty(0, np.int64)
        self.columns = len(NAMES) + (len(self.ends) + EXTRAS if sessions else 0)
        edges, joins = pieces(rows)
        self._unknown = np.broadcast_to(np.float64(nan), (symbols, rows))
        self._never = np.zeros((symbols, rows), np.uint8)
        known = np.isfinite(bars.close)
        marks = np.where(np.logical_or.accumulate(known, axis=0), marks_of(bars.close), nan)
        periods = np.searchsorted(firsts, bars.session, side="right")
        spread = self._unknown if book is None else book.spread.T
        prices = (bars.open.T, bars.high.T, bars.low.T, bars.close.T, bars.volume.T)
        self._market = (
            _lines((*prices, spread, marks.T, periods.astype(np.float64))),
            np.pad(marks.T, ((0, 0), (0, LANES))),
            bars.to_close,
            _next_flat(bars.to_close, knobs[8]),
            np.array(table),
            knobs,
            edges,
            joins,
        )
        self._loop = _compiled()

    def work(self) -> Work:
        """Memory for one thread."""
        return Work(self.width, self.rows, 1024 + 8 * self.width)

    def run(self, signals: Signals, work: Work) -> Floats:
        """The numbers of one set, (accounts, columns).

        Args:
            signals: checked, every field (T, N).
        """
        out = np.empty((self.accounts, NUMBERS))
        kept = np.empty((self.accounts, self.columns - len(NAMES)))
        flags = [self._flags(getattr(signals, n)) for n in ("entries", "exits", "short_entries", "short_exits")]
        levels = [self._levels(getattr(signals, name)) for name in ("size", "stop", "target", "trail")]
        market, years = self._market, self.rows / self.periods
        while not self._loop(
            *flags, *levels, *market, self.cash, self.periods, years,
            work.start, *work.state, *work.counters, work.tally, *work.tables, work.part, *work.valuing,
            self.width, out, self.ends, work.runs, kept,
        ):  # fmt: skip
            work.grow(4 * work.orders)
        out[:, 0] = out[:, 0] / self.cash - 1.0
        for account in out:
            growth = float(account[1])
            account[1] = growth ** (self.periods / self.rows) - 1.0 if growth > 0.0 else -1.0
        return out if not kept.shape[1] else np.concatenate([out, kept], axis=1)

    def _flags(self, given: Any) -> Any:
        return self._never if given is None else np.ascontiguousarray(given.T).view(np.uint8)

    def _levels(self, given: Any) -> Any:
        return self._unknown if given is None else given.T


def _lines(columns: tuple[Any, ...]) -> Any:
    """(N, T, 8) from columns (N, T) or (T,), each row and symbol a line of the processor's cache of its own."""
    symbols, rows = columns[0].shape
    room = np.empty(symbols * rows * M_FIELDS + 8)
    ahead = (-room.ctypes.data // 8) % 8
    lines = room[ahead : ahead + symbols * rows * M_FIELDS].reshape(symbols, rows, M_FIELDS)
    for place, column in enumerate(columns):
        lines[:, :, place] = column
    return lines


@cache
def _compiled() -> Callable[..., bool]:
    _inline(_run, set())
    return jit(_run, _SIGNATURE)


def _inline(function: Callable[..., Any], seen: set[Any]) -> None:
    """Have every plain function that `function` calls compiled into it: handing forty arrays over costs more."""
    from numba.extending import register_jitable

    for called in inspect.getclosurevars(function).globals.values():
        if inspect.isfunction(called) and called not in seen:
            seen.add(called)
            _inline(called, seen)
            register_jitable(forceinline=True)(called)


def _next_flat(to_close: Floats, flat: float) -> Any:
    """(T + 1,) the next row, this one included, within `flat` seconds of its session's close; T where there is none."""
    rows = len(to_close)
    ends = np.flatnonzero(to_close <= flat) if flat > 0.0 else np.empty(0, np.int64)
    return np.append(ends, rows)[np.searchsorted(ends, np.arange(rows + 1))]


def _run(
    enter: Any, leave: Any, short: Any, cover: Any, size: Any, stop: Any, target: Any, trail: Any,
    m: Any, marks: Any, to_close: Any, next_flat: Any, table: Any, k: Any, edges: Any, joins: Any,
    cash: float, periods: float, years: float,
    start: Any, s: Any, a: Any, x: Any, waiting: Any, coming: Any, lot: Any,
    tally: Any, where: Any, after: Any, paid: Any, closed_at: Any, pnl: Any, part: Any,
    positions: Any, equity: Any, returns: Any, idle: Any, counts: Any, sums: Any,
    width: int, out: Any, ends: Any, runs: Any, kept: Any,
) -> bool:  # fmt: skip
    """Run accounts of `width` symbols each, one row of `out` for each; False where a table was too small."""
    enter, leave, short, cover = lend(enter), lend(leave), lend(short), lend(cover)
    size, stop, target, trail = lend(size), lend(stop), lend(target), lend(trail)
    m, marks = lend(m), lend(marks)
    to_close, next_flat, table, k = lend(to_close), lend(next_flat), lend(table), lend(k)
    edges, joins, s, a, x, waiting = lend(edges), lend(joins), lend(s), lend(a), lend(x), lend(waiting)
    coming, lot, tally, where, after = lend(coming), lend(lot), lend(tally), lend(where), lend(after)
    paid, closed_at, pnl, part, positions = lend(paid), lend(closed_at), lend(pnl), lend(part), lend(positions)
    equity, returns, idle = lend(equity), lend(returns), lend(idle)
    counts, sums, start, out = lend(counts), lend(sums), lend(start), lend(out)
    ends, runs, kept = lend(ends), lend(runs), lend(kept)
    for account in range(out.shape[0]):
        i, j = account * width, (account + 1) * width
        for slot in range(s.shape[0]):
            s[slot] = start[slot]
        a[0] = cash
        a[1] = cash
        tally[:] = 0
        waiting[:] = -1
        coming[:] = -1
        lot[:] = 0.0
        positions[:] = 0.0
        if width == 1:
            done = leap(
                1, enter[i:j], leave[i:j], short[i:j], cover[i:j], size[i:j], stop[i:j], target[i:j], trail[i:j],
                m[i:j], to_close, next_flat, table, k,
                s, a, x, waiting, coming, lot, tally, where, after, paid, closed_at, pnl,
            )  # fmt: skip
        else:
            done = leap(
                width, enter[i:j], leave[i:j], short[i:j], cover[i:j], size[i:j], stop[i:j], target[i:j], trail[i:j],
                m[i:j], to_close, next_flat, table, k,
                s, a, x, waiting, coming, lot, tally, where, after, paid, closed_at, pnl,
            )  # fmt: skip
        if not done:
            return False
        value(
            marks[i:j], edges, joins, cash, periods, tally[FILLS], where, after, positions,
            equity, returns, idle, sums, out[account],
        )  # fmt: skip
        if kept.shape[1] > 0:
            keep_sessions(marks[i:j], ends, cash, tally[FILLS], where, after, positions, runs, kept[account])
        still = 0
        for symbol in range(width):
            still += int(lot[symbol, HOLDS] != 0.0)
        trade_numbers(tally[ORDERS], tally[CLOSED], still, years, paid, pnl, part, counts, sums[0], out[account])
    return True
