"""What is left of a backtest when it is made harder: costs, delay, luck of entry, a symbol or the best days missing.

Each question runs the same position rule again over the same rows with one thing changed. Figures are on session
returns, annualised by 252 sessions. Other costs and more money: `backtests.cost_parts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from backtests import metrics as m
from backtests.result import Result
from backtests.scan import scan
from data.calendar import SESSIONS_PER_YEAR
from data.errors import UsageError
from data.types import Bars, Book, Floats
from strategies.common.costs import Costs
from strategies.types import FLAGS, LEVELS, Signals


class Figures(NamedTuple):
    """One run in short. returns: (S,) of its sessions. sharpe: annualised; 0 where nothing was ever held."""

    total_return: float
    sharpe: float
    fills: int
    returns: Floats


class Line(NamedTuple):
    """A named figure of a question: `delayed 1 row`, `without AAPL`, ..."""

    name: str
    total_return: float
    sharpe: float
    fills: int


@dataclass(frozen=True)
class Null:
    """Luck of entry. sharpes: (draws,) of runs with moved entries; p_value: share of them at or above the run's own."""

    sharpes: Floats
    own: float
    p_value: float


def figures(
    result: Result,
    *,
    signals: Signals | None = None,
    costs: Costs | None = None,
    bars: Bars | None = None,
    book: Book | None = None,
) -> Figures:
    """The run of `result` with something replaced."""
    if signals is None and costs is None and bars is None:
        return _figures(result, result.bars, result.equity, len(result.fills))
    rows = bars or result.bars
    there = result.book if bars is None else book
    used = signals or result.signals
    done = scan(rows, there, used, result.rule.knobs(result.clock), costs or result.costs, result.start_cash)
    return _figures(result, rows, done.equity, int((done.orders["filled"] >= 0).sum()))


def _figures(result: Result, rows: Bars, equity: Floats, fills: int) -> Figures:
    returns = m.session_returns(equity, rows.session, result.start_cash)
    sharpe = m.sharpe_ratio(returns, SESSIONS_PER_YEAR)
    total = float(equity[-1]) / result.start_cash - 1.0
    return Figures(total, sharpe if np.isfinite(sharpe) else 0.0, fills, returns)


def delayed(result: Result, rows: int = 1) -> Line:
    """The run with every signal known `rows` rows later: an edge that lives in one row dies here."""
    if not 1 <= rows < len(result.bars):
        raise UsageError(f"a delay must be from 1 to {len(result.bars) - 1} rows, got {rows}")
    return _line(f"delayed {rows} row{'s' if rows > 1 else ''}", figures(result, signals=_moved(result.signals, rows)))


def without_symbols(result: Result) -> list[Line]:
    """The run without each symbol in turn; empty for a single one."""
    symbols = result.bars.symbols
    if len(symbols) < 2:
        return []
    lines = []
    for left_out, symbol in enumerate(symbols):
        keep = [j for j in range(len(symbols)) if j != left_out]
        picked = _picked(result.signals, keep)
        book = None if result.book is None else result.book.pick(keep)
        lines.append(
            _line(f"without {symbol}", figures(result, signals=picked, bars=result.bars.pick(keep), book=book))
        )
    return lines


def without_best_sessions(result: Result, count: int = 5) -> Line:
    """The run's sessions less the `count` best ones: what rests on a handful of days shows here."""
    own = figures(result)
    kept = np.sort(own.returns)[: max(0, len(own.returns) - count)]
    sharpe = m.sharpe_ratio(kept, SESSIONS_PER_YEAR) if len(kept) > 1 else 0.0
    total = m.total_return(kept) if len(kept) else 0.0
    return Line(f"without its {count} best sessions", total, sharpe if np.isfinite(sharpe) else 0.0, own.fills)


def random_entries(
    result: Result, *, draws: int = 200, seed: int = 0, progress: Callable[[int], None] = lambda _: None
) -> Null:
    """The run against its own entries and exits at other times: same number, same holding times, same rule and costs.

    In each draw the flags of each symbol are turned around in time by a random number of sessions (of rows, for
    fewer than ten sessions), so that exposure, clustering and time of day stay and only the moment is luck. The
    p-value counts the run itself: (1 + draws at or above) / (1 + draws).
    """
    if draws < 1:
        raise UsageError(f"draws must be at least 1, got {draws}")
    random = np.random.Generator(np.random.PCG64(seed))
    ends = m.session_ends(result.bars.session) + 1
    starts = np.concatenate([[0], ends])
    rows = len(result.bars)
    sharpes = np.empty(draws)
    own = figures(result).sharpe
    for draw in range(draws):
        picks = random.integers(1, max(2, len(starts) - 1), len(result.bars.symbols))
        turns = starts[picks] if len(ends) >= 10 else random.integers(1, max(2, rows), len(result.bars.symbols))
        sharpes[draw] = figures(result, signals=_turned(result.signals, turns.tolist())).sharpe
        progress(draw + 1)
    return Null(sharpes, own, float((1 + (sharpes >= own).sum()) / (1 + draws)))


def by_regime(result: Result, window: int = 20) -> list[Line]:
    """The run's sessions split by what the market did: calm, usual and wild thirds by the deviation of the last
    `window` sessions, and up or down by their sum; known before each session began."""
    own = figures(result)
    market = _market_sessions(result)
    past = np.array([market[max(0, k - window) : k].std() if k >= 2 else np.nan for k in range(len(market))])
    trend = np.array([market[max(0, k - window) : k].sum() if k >= 2 else np.nan for k in range(len(market))])
    if np.isfinite(past).sum() < 3:
        return []
    low, high = np.nanquantile(past, [1 / 3, 2 / 3])
    parts = {
        "calm": past <= low,
        "usual": (past > low) & (past <= high),
        "wild": past > high,
        "after a rise": trend > 0.0,
        "after a fall": trend <= 0.0,
    }
    lines = []
    for name, chosen in parts.items():
        kept = own.returns[chosen]
        sharpe = m.sharpe_ratio(kept, SESSIONS_PER_YEAR) if len(kept) > 1 else 0.0
        total = m.total_return(kept) if len(kept) else 0.0
        lines.append(Line(name, total, sharpe if np.isfinite(sharpe) else 0.0, int(chosen.sum())))
    return lines


def _market_sessions(result: Result) -> Floats:
    """(S,) mean return of the symbols per session."""
    ends = m.session_ends(result.bars.session)
    marks = m.marks_of(result.bars.close)[ends]
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = marks[1:] / marks[:-1] - 1.0
    return np.concatenate([[0.0], np.nan_to_num(steps).mean(axis=1)])


def _line(name: str, done: Figures) -> Line:
    return Line(name, done.total_return, done.sharpe, done.fills)


def _moved(signals: Signals, rows: int) -> Signals:
    def later(name: str, array: Any) -> Any:
        empty = np.zeros_like(array) if name in FLAGS else np.full(array.shape, np.nan)
        empty[rows:] = array[:-rows]
        return empty

    return Signals(**{name: later(name, array) for name, array in signals.columns()})


def _turned(signals: Signals, turns: list[int]) -> Signals:
    def turned(array: Any) -> Any:
        return np.stack([np.concatenate([array[-k:, j], array[:-k, j]]) for j, k in enumerate(turns)], axis=1)

    return Signals(**{n: array if n in LEVELS else turned(array) for n, array in signals.columns()})


def _picked(signals: Signals, keep: list[int]) -> Signals:
    chosen = {field.name: getattr(signals, field.name) for field in fields(signals)}
    return Signals(**{name: None if array is None else array[:, keep] for name, array in chosen.items()})
