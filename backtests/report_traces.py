"""What the report draws: traces thinned by shape and written as small integers.

A trace keeps the rows that carry its shape: of every bucket of rows the lowest and the highest value of every
series in it, so that no drawdown, spike or gap is lost, and the rows around every trade. The page thins once more to
what is in view, at most 2,000 points a trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from backtests import metrics
from backtests.report_text import local_seconds
from backtests.result import Result
from data.calendar import parse_clock
from data.types import Bars, Floats, Ints
from strategies.common.position import REASONS

if TYPE_CHECKING:
    from backtests.report_risk import Benchmark

BUCKETS = 1_000
WHOLE = 6_000
"""Up to so many rows a trace keeps all of them."""
DETAIL = 150_000
"""Rows around trades that the price charts of all symbols may keep together, beyond the thinned ones."""
PADS = (60, 30, 15, 5, 0)
FEWEST, MOST = 8, 46


def payload(result: Result, other: Benchmark | None = None, backtest: Result | None = None) -> dict[str, Any]:
    """Everything the page's script draws but the figures, plain values for JSON.

    Args:
        other: the benchmark; all symbols held where None. backtest: of the rows of a session, drawn beside it.
    """
    from backtests.report_risk import benchmark_of, rolling

    other = other or benchmark_of(result)
    bars: Bars = result.bars
    seconds = local_seconds(bars.ts, bars.session)
    trades = result.trades.records
    return {
        "daily": parse_clock(result.clock) >= 86_400,
        "rows": len(bars),
        "touch": result.rule.stops == "touch",
        "reasons": list(REASONS),
        "symbols": list(bars.symbols),
        "equity": _equity(result, seconds, other, backtest),
        "rolling": rolling(result, other),
        "prices": [_prices(bars, j, trades[trades["column"] == j], seconds) for j in range(len(bars.symbols))],
        "trades": _trades(result, seconds),
        "returns": histogram(trades["return"][~trades["open"]]),
    }


def kept_rows(series: Sequence[Floats], buckets: int = BUCKETS) -> Ints:
    """Sorted rows of the minimum and maximum of every series in every bucket, and the first and last row.

    NaN is passed over. At most 2 * len(series) * buckets + 2 rows; all of them where there are few.
    """
    rows = len(series[0])
    if rows <= WHOLE:
        return np.arange(rows)
    width = -(-rows // buckets)
    padded = np.full(width * -(-rows // width), np.nan)
    first = np.arange(0, len(padded), width)
    found = [np.array([0, rows - 1])]
    for values in series:
        padded[:rows] = values
        grid = padded.reshape(-1, width)
        known = np.isfinite(grid)
        some = known.any(axis=1)
        found.append((first + np.where(known, grid, np.inf).argmin(axis=1))[some])
        found.append((first + np.where(known, grid, -np.inf).argmax(axis=1))[some])
    return np.unique(np.concatenate(found))


def trade_rows(trades: Any, rows: int, room: int) -> Ints:
    """Sorted rows around entries and exits, and all between them where the trade is short; as wide as `room` lets."""
    if not len(trades) or rows <= WHOLE:
        return np.empty(0, dtype=np.int64)
    entry, leave = trades["entry_row"], trades["exit_row"]
    for pad in PADS:
        short = leave - entry <= 4 * pad
        starts = np.concatenate([entry - pad, leave[~short] - pad])
        stops = np.concatenate([np.where(short, leave, entry) + pad + 1, leave[~short] + pad + 1])
        edges = np.zeros(rows + 1, dtype=np.int64)
        np.add.at(edges, np.clip(starts, 0, rows), 1)
        np.add.at(edges, np.clip(stops, 0, rows), -1)
        inside = np.flatnonzero(np.cumsum(edges[:rows]) > 0)
        if len(inside) <= room:
            break
    return np.asarray(inside)


def coded(values: Any, unit: float) -> list[int | None]:
    """Multiples of `unit` as differences to the last known value; None where the value is not finite."""
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    steps = np.diff(np.rint(values[known] / unit).astype(np.int64), prepend=0)
    if known.all():
        done: list[int | None] = steps.tolist()
        return done
    done = [None] * len(values)
    for row, step in zip(np.flatnonzero(known).tolist(), steps.tolist(), strict=True):
        done[row] = step
    return done


def unit_of(prices: Floats) -> float:
    """A cent, or finer where the median price has fewer than five digits in cents."""
    known = prices[np.isfinite(prices) & (prices > 0.0)]
    if not len(known):
        return 0.01
    return float(10.0 ** -max(2, 4 - floor(log10(float(np.median(known))))))


def benchmark(bars: Bars, cash: float) -> Floats:
    """(T,) value of equal parts of all symbols, each bought at its first close and held; no costs."""
    marks = metrics.marks_of(bars.close)
    growth = np.ones(bars.shape)
    for j in range(bars.shape[1]):
        known = np.flatnonzero(marks[:, j] > 0.0)
        if len(known):
            growth[known[0] :, j] = marks[known[0] :, j] / marks[known[0], j]
    return np.asarray(cash * growth.mean(axis=1))


def histogram(returns: Floats) -> dict[str, Any]:
    """Trades per bin of return, zero an edge between two bins: {"width": fraction, "first": bin, "counts": [...]}.

    The width is Freedman and Diaconis' (1981), 2 * IQR / n ** (1 / 3), kept between what gives 8 and 46 bins, then
    rounded up to 1, 2 or 5 times a power of ten.
    """
    known = returns[np.isfinite(returns)]
    if not len(known):
        return {"width": 0.01, "first": 0, "counts": [], "mean": None, "median": None}
    low, high = float(known.min()), float(known.max())
    quarter, three = np.quantile(known, [0.25, 0.75])
    rule = 2.0 * float(three - quarter) / len(known) ** (1 / 3)
    width = _round_width(max(min(rule, (high - low) / FEWEST), (high - low) / MOST, 1e-6))
    places = np.floor(known / width).astype(np.int64)
    first = int(min(places.min(), -1))
    return {
        "width": width,
        "first": first,
        "counts": np.bincount(places - first, minlength=1 - first).tolist(),
        "mean": round(float(known.mean()), 8),
        "median": round(float(np.median(known)), 8),
    }


def _round_width(width: float) -> float:
    power = 10.0 ** floor(log10(width))
    step = next(m for m in (1, 2, 5, 10) if m * power >= width * (1 - 1e-9))
    return round(step * power, 12)


def _equity(result: Result, seconds: Ints, other: Benchmark, backtest: Result | None) -> dict[str, Any]:
    equity, held, under = result.equity, other.value, result.drawdowns
    beside = [] if backtest is None else [backtest.equity]
    rows = kept_rows([equity, held, under, *beside])
    drawn = {
        "start": result.start_cash,
        "rows": coded(rows, 1.0),
        "time": coded(seconds[rows], 1.0),
        "unit": 0.01,
        "value": coded(equity[rows], 0.01),
        "name": "Strategy" if backtest is None else "Session",
        "benchmark": coded(held[rows], 0.01),
        "benchmark_name": other.name,
        "under_unit": 1e-6,
        "under": coded(under[rows], 1e-6),
    }
    if backtest is not None:
        drawn["backtest"] = coded(backtest.equity[rows], 0.01)
    return drawn


def _prices(bars: Bars, j: int, trades: Any, seconds: Ints) -> dict[str, Any]:
    columns = [np.asarray(a[:, j]) for a in (bars.open, bars.high, bars.low, bars.close)]
    room = DETAIL // len(bars.symbols)
    rows = np.union1d(kept_rows(columns[1:3]), trade_rows(trades, len(bars), room))
    unit = unit_of(columns[3])
    close = columns[3][rows]
    return {
        "rows": coded(rows, 1.0),
        "time": coded(seconds[rows], 1.0),
        "unit": unit,
        "close": coded(close, unit),
        **{name: _above(columns[i][rows], close, unit) for i, name in enumerate(("open", "high", "low"))},
    }


def _above(values: Floats, close: Floats, unit: float) -> list[int | None]:
    """Multiples of `unit` over the row's close, both rounded first, so that the page finds the same tick again."""
    known = np.isfinite(values) & np.isfinite(close)
    safe = np.where(known, np.rint(values / unit) - np.rint(close / unit), 0.0).astype(np.int64).tolist()
    return [step if ok else None for step, ok in zip(safe, known.tolist(), strict=True)]


def _trades(result: Result, seconds: Ints) -> dict[str, Any]:
    """One list a field, in the order of the trades."""
    r = result.trades.records
    digits = 6
    distances = _distances(result, r)

    def prices(values: Any) -> list[float | None]:
        return [round(v, digits) if ok else None for v, ok in zip(values.tolist(), np.isfinite(values), strict=True)]

    side = r["side"].astype(np.float64)
    return {
        "symbol": r["column"].tolist(),
        "side": r["side"].tolist(),
        "quantity": prices(r["quantity"]),
        "entry_row": r["entry_row"].tolist(),
        "exit_row": r["exit_row"].tolist(),
        "entry_time": seconds[r["entry_row"]].tolist(),
        "exit_time": seconds[r["exit_row"]].tolist(),
        "entry": prices(r["entry_price"]),
        "exit": prices(r["exit_price"]),
        "fee": prices(r["entry_fee"] + r["exit_fee"]),
        "pnl": prices(r["pnl"]),
        "return": prices(r["return"]),
        "mae": prices(r["mae"]),
        "mfe": prices(r["mfe"]),
        "reason": r["reason_out"].tolist(),
        "open": r["open"].astype(np.int64).tolist(),
        "stop": prices(r["entry_price"] - side * distances["stop"]),
        "target": prices(r["entry_price"] + side * distances["target"]),
        "trail": prices(distances["trail"]),
    }


def _distances(result: Result, trades: Any) -> dict[str, Floats]:
    """Stop, target and trail the entry order of each trade carried, as the strategy gave them at its decision."""
    orders = result.orders
    opening = orders[(orders["filled"] >= 0) & (orders["decided"] < orders["filled"])]
    rows = len(result.bars)
    key = opening["column"] * rows + opening["filled"]
    order = np.argsort(key, kind="stable")
    wanted = trades["column"] * rows + trades["entry_row"]
    place = np.searchsorted(key[order], wanted)
    found = np.full(len(trades), -1, dtype=np.int64)
    inside = place < len(key)
    hit = inside.copy()
    hit[inside] = key[order][place[inside]] == wanted[inside]
    found[hit] = opening["decided"][order][place[hit]]
    done = {}
    for name in ("stop", "target", "trail"):
        given = getattr(result.signals, name)
        distance = np.full(len(trades), np.nan)
        if given is not None:
            distance[hit] = np.asarray(given)[found[hit], trades["column"][hit]]
        done[name] = distance
    return done
