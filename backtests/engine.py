"""A backtest: the strategy is asked once for its signals, the position rule is scanned over the rows."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from backtests.result import Result
from backtests.scan import scan
from backtests.trials import AUTO, Where, ledger_path, record, trial_of
from data.calendar import CLOCKS, DAY_SECONDS, SECOND_NS, parse_clock, utc
from data.errors import DataError, UsageError
from data.types import Bars, Book
from strategies.common.costs import Costs
from strategies.common.load import ROOM, Strategy, load_strategy, read_signature
from strategies.common.rule import Rule
from strategies.types import Signals

DEFAULT_COSTS = Costs()
Named = Strategy | str | Path | Callable[..., Signals]


def run_backtest(
    bars: Bars,
    strategy: Named,
    params: Mapping[str, Any] | None = None,
    costs: Costs = DEFAULT_COSTS,
    *,
    book: Book | None = None,
    rule: Rule | None = None,
    cash: float = 100_000.0,
    clock: str | None = None,
    origin: Mapping[str, Any] | None = None,
    ledger: Where = AUTO,
) -> Result:
    """What would have happened. A decision at the close of a row is filled at the open of a later one.

    Args:
        strategy: a name in `strategies/`, the path of a file, what `load_strategy` gave, or a function
            `signals(bars, *, ...)` or `signals(bars, book, *, ...)` from a notebook.
        params: by name; texts are read as the parameter's type. The others keep their defaults.
        rule: the position rule; the strategy's own where it is None.
        cash: at the start, dollars.
        clock: of the rows, as in `1m` or `1d`; read off the rows where it is None. It annualises, and it sets when
            the rule's `flat_before_s` of None begins.
        origin: where the rows came from, for the report: {"source": "...", "simulated": False}.
        ledger: the trial ledger that the run is appended to, see `backtests.trials`; None: to none.

    Raises:
        DataError: no rows, times that do not increase, prices that cannot be.
        StrategyError: the strategy broke its contract.
        UsageError: an unknown strategy, parameter or clock, a wrong type, or cash that is not positive.
    """
    if isinstance(cash, bool) or not 0.0 < cash < inf:
        raise UsageError(f"cash must be a positive number of dollars, got {cash!r}")
    known = as_strategy(strategy)
    values = known.bind(params)
    check_rows(bars, book)
    clock = clock_of(bars, known.clock) if clock is None else clock
    parse_clock(clock)
    rule = known.rule if rule is None else rule
    signals = known.call(bars, book, values)
    done = scan(bars, book, signals, rule.knobs(clock), costs, float(cash))
    result = Result(
        strategy=known.name,
        source_hash=known.source_hash,
        params=values,
        bars=bars,
        book=book,
        signals=signals,
        rule=rule,
        costs=costs,
        clock=clock,
        start_cash=float(cash),
        orders=done.orders,
        equity=done.equity,
        cash=done.cash,
        positions=done.positions,
        origin=dict(origin or {}),
        strategy_path=_path_of(known),
        strategy_source="" if known.clock else _source_of(known.signals),
    )
    if ledger_path(ledger) is not None:
        record([trial_of(result)], ledger)
    return result


def as_strategy(strategy: Named) -> Strategy:
    """The strategy of a name, path or function; a `Strategy` passes.

    Raises:
        UsageError: no such strategy, or something else altogether.
        StrategyError: a function of another signature.
    """
    if isinstance(strategy, Strategy):
        return strategy
    if isinstance(strategy, (str, Path)):
        return load_strategy(strategy)
    if not callable(strategy):
        raise UsageError(
            f"a strategy is a name, a path or a function signals(bars, *, ...), got {type(strategy).__name__}"
        )
    name = getattr(strategy, "__name__", type(strategy).__name__)
    inputs, parameters = read_signature(strategy, name)
    source = _source_of(strategy) or repr(getattr(strategy, "__code__", name))
    return Strategy(
        name=name,
        path=Path(inspect.getsourcefile(strategy) or name),
        signals=strategy,
        clock="",
        rule=Rule(),
        needs_book="book" in inputs,
        parameters=parameters,
        doc=inspect.getdoc(strategy) or "",
        source_hash=hashlib.sha256(source.encode()).hexdigest(),
    )


def _source_of(function: Callable[..., Any]) -> str:
    """The text of a function; "" where Python has none."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _path_of(strategy: Strategy) -> str:
    """Where a strategy's file lies: from the checkout's root for our own, "" for a function of a notebook."""
    if not strategy.clock:
        return ""
    path = strategy.path
    return f"{path.parent.name}/{path.name}" if path.parent == ROOM else str(path)


def clock_of(bars: Bars, otherwise: str = "") -> str:
    """The clock of these rows: the commonest step within sessions, `1d` where every row is a session of its own.

    Args:
        otherwise: what to take where a single row, or a step that is no clock, does not tell.
    """
    same = bars.session[1:] == bars.session[:-1]
    if len(bars) > 1 and not same.any():
        return "1d"
    steps, counts = np.unique(np.diff(bars.ts)[same] // SECOND_NS, return_counts=True)
    seconds = int(steps[np.argmax(counts)]) if len(steps) else 0
    found = next((name for name, length in CLOCKS.items() if length == seconds and length < DAY_SECONDS), otherwise)
    if not found:
        raise UsageError(f"rows {seconds} s apart are no clock; give clock= one of {', '.join(CLOCKS)}")
    return found


def check_rows(bars: Bars, book: Book | None) -> None:
    """Refuse rows on which a backtest would mean nothing.

    Raises:
        DataError: no rows or symbols, times that do not increase, a symbol without a single price, prices that are not
            positive or known only in part, a book beside other rows.
    """
    rows, symbols = bars.shape
    if not rows or not symbols:
        raise DataError(f"{rows} rows of {symbols} symbols: there is nothing to test; widen the range or the symbols")
    wrong = np.diff(bars.ts) <= 0
    if wrong.any():
        t = int(np.argmax(wrong)) + 1
        before, now = utc(int(bars.ts[t - 1])), utc(int(bars.ts[t]))
        raise DataError(f"row {t} is at {now}, the one before at {before}; times must increase, sort and drop doubles")
    if book is not None and (len(book), book.symbols) != (rows, bars.symbols):
        raise DataError(f"book is {book!r} beside {bars!r}; both need the same rows and symbols")
    for j, symbol in enumerate(bars.symbols):
        _check_prices(bars, j, symbol)


def _check_prices(bars: Bars, j: int, symbol: str) -> None:
    columns = {name: getattr(bars, name)[:, j] for name in ("open", "high", "low", "close")}
    known = columns["close"] == columns["close"]  # not NaN
    if not known.any():
        raise DataError(f"{symbol} has no price on any of {len(bars)} rows; leave it out or choose another range")
    for name, column in columns.items():
        wrong = ((column > 0.0) & (column < inf)) != known
        if wrong.any():
            t = int(np.argmax(wrong))
            raise DataError(
                f"{symbol} has {name} {column[t]:g} at {utc(int(bars.ts[t]))} (row {t}); a row has all four prices, "
                f"positive, or none"
            )
    wrong = (columns["high"] < columns["low"]) | (bars.volume[:, j] < 0.0)
    if wrong.any():
        t = int(np.argmax(wrong))
        raise DataError(
            f"{symbol} at {utc(int(bars.ts[t]))} (row {t}) has high {columns['high'][t]:g}, low "
            f"{columns['low'][t]:g} and volume {bars.volume[t, j]:g}; check the rows with python -m data"
        )
