"""The run against something anyone could have held: benchmark, rolling risk, distribution of session returns."""

from __future__ import annotations

import hashlib
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from backtests import metrics
from backtests.figures import Spec, figure, histogram_bars, rule
from backtests.report_text import local_seconds, number, percent
from backtests.report_traces import benchmark as held_all
from backtests.report_traces import coded
from backtests.result import Result
from data.calendar import SESSIONS_PER_YEAR
from data.door import did_you_mean
from data.errors import UsageError
from data.types import Bars, Floats

WINDOWS = (63, 21)
"""Sessions of a rolling window: a quarter, or a month where there are not three quarters."""


class Benchmark(NamedTuple):
    """What the run is compared with. value: (T,) dollars. symbol: "" for equal parts of all symbols of the run."""

    name: str
    value: Floats
    symbol: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the values."""
        return hashlib.sha256(np.ascontiguousarray(self.value).tobytes()).hexdigest()


def benchmark_of(result: Result, symbol: str = "", bars: Bars | None = None) -> Benchmark:
    """Buy and hold: equal parts of all symbols of the run, or one symbol.

    Args:
        symbol: held alone; "" holds all.
        bars: rows with `symbol`, where the run has none of it; its last close at or before each row counts.

    Raises:
        UsageError: no such symbol, or no price of it at or before the first row.
    """
    if not symbol:
        return Benchmark("Buy and hold", held_all(result.bars, result.start_cash))
    given = result.bars if bars is None else bars
    if symbol not in given.symbols:
        raise UsageError(f"there are no rows of the benchmark {symbol!r}{did_you_mean(symbol, given.symbols)}")
    column = given.close[:, given.symbols.index(symbol)]
    known = np.flatnonzero(np.isfinite(column))
    at = np.searchsorted(given.ts[known], result.bars.ts, side="right") - 1
    late = at < 0
    if late.any() and (bars is not None or late.all()):
        raise UsageError(f"the benchmark {symbol!r} has no price at or before the first row; give earlier rows of it")
    closes = column[known[np.maximum(at, 0)]]
    return Benchmark(f"{symbol} held", np.asarray(result.start_cash * closes / closes[0]), symbol)


def relative(result: Result, other: Benchmark) -> list[tuple[str, str]]:
    """(name, value) of the run against the benchmark, on session returns, annualised."""
    mine, theirs = _sessions(result, other)
    beta, correlation = _beta(mine, theirs)
    apart = mine - theirs
    deviation = float(np.std(apart, ddof=1)) * sqrt(SESSIONS_PER_YEAR) if len(apart) > 1 else metrics.nan
    mean = float(np.mean(apart)) * SESSIONS_PER_YEAR
    alpha = (float(np.mean(mine)) - beta * float(np.mean(theirs))) * SESSIONS_PER_YEAR
    return [
        ("Return of the benchmark", percent(float(other.value[-1]) / result.start_cash - 1.0, sign=True)),
        ("Its deepest drawdown", percent(metrics.max_drawdown(other.value, result.start_cash))),
        ("Its Sharpe ratio, by sessions", number(metrics.sharpe_ratio(theirs, SESSIONS_PER_YEAR))),
        ("Beta to it", number(beta)),
        ("Alpha a year", percent(alpha, sign=True)),
        ("Correlation with it", number(correlation)),
        ("Tracking error a year", percent(deviation)),
        ("Information ratio", number(mean / deviation if deviation > 0.0 else metrics.nan)),
    ]


def rolling(result: Result, other: Benchmark) -> dict[str, Any] | None:
    """Sharpe ratio, volatility and beta of the last sessions, at each session's end; None of too few sessions."""
    mine, theirs = _sessions(result, other)
    window = next((w for w in WINDOWS if len(mine) >= 3 * w), 0)
    if not window:
        return None
    ends = metrics.session_ends(result.bars.session)[window - 1 :]
    a, b = (np.lib.stride_tricks.sliding_window_view(r, window) for r in (mine, theirs))
    mean, deviation = a.mean(axis=1), a.std(axis=1, ddof=1)
    spread = b.var(axis=1)
    shared = ((a - mean[:, None]) * (b - b.mean(axis=1)[:, None])).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe = np.where(deviation > 0.0, mean / deviation * sqrt(SESSIONS_PER_YEAR), np.nan)
        beta = np.where(spread > 0.0, shared / spread, np.nan)
    seconds = local_seconds(result.bars.ts[ends], result.bars.session[ends])
    return {
        "window": window,
        "rows": coded(ends, 1.0),
        "time": coded(seconds, 1.0),
        "unit": 1e-4,
        "sharpe": coded(sharpe, 1e-4),
        "volatility": coded(deviation * sqrt(SESSIONS_PER_YEAR), 1e-4),
        "beta": coded(beta, 1e-4),
    }


def sessions_figure(result: Result) -> Spec | None:
    """How session returns are spread, with mean and the worst twentieth; None of a single session."""
    returns = metrics.session_returns(result.equity, result.bars.session, result.start_cash)
    if len(returns) < 2 or not np.any(returns):
        return None
    made = histogram_bars(returns, say=lambda a, b: f"{percent(a, 2, sign=True)} to {percent(b, 2, sign=True)}")
    if made is None:
        return None
    x, y, drawn = made
    x |= {"unit": "percent", "title": "return of a session"}
    y["title"] = "sessions"
    at_risk = metrics.value_at_risk(returns)
    marks = [
        drawn,
        rule("x", float(np.mean(returns)), name=f"mean {percent(float(np.mean(returns)), 3, sign=True)}"),
        rule("x", at_risk, name=f"worst 5 % below {percent(at_risk)}", tone="loss"),
    ]
    return figure(f"Distribution of {len(returns):,} session returns", x=x, y=y, marks=marks)


def _sessions(result: Result, other: Benchmark) -> tuple[Floats, Floats]:
    session, cash = result.bars.session, result.start_cash
    return (
        metrics.session_returns(result.equity, session, cash),
        metrics.session_returns(other.value, session, cash),
    )


def _beta(mine: Floats, theirs: Floats) -> tuple[float, float]:
    if len(mine) < 2 or not np.var(theirs) > 0.0:
        return metrics.nan, metrics.nan
    shared = float(np.mean((mine - mine.mean()) * (theirs - theirs.mean())))
    beta = shared / float(np.var(theirs))
    both = float(np.std(mine) * np.std(theirs))
    return beta, shared / both if both > 0.0 else metrics.nan
