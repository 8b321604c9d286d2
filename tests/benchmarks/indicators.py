"""Indicators timed: whole history against TA-Lib, row by row against talipp.

    python tests/benchmarks/indicators.py

Batch: one column of a million rows, nanoseconds a row. Stream: one row of ten symbols inside `with stream:`, and of one
symbol, nanoseconds a symbol and row, with everything a live row pays. Peers are timed in turn with ours, in one
process, and the median of several rounds counts; it is processor time, so that a busy machine changes little.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import thread_time_ns
from typing import Any

import numpy as np

from strategies import indicators as ind
from strategies.common.stream import Stream

ROWS, ROUNDS = 1_000_000, 9
STREAMED, SYMBOLS, STREAM_ROUNDS = 600, 10, 9


def run() -> list[dict[str, Any]]:
    """One dict per figure: name, ours_ns, peer, peer_ns, ratio (ours over the peer's; below 1 is faster)."""
    return [*_batch(), *_stream()]


def _market(rows: int, symbols: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    close = np.asfortranarray(np.round(100.0 + rng.normal(size=(rows, symbols)).cumsum(axis=0) * 0.05, 2))
    return {
        "close": close,
        "high": np.asfortranarray(close + np.round(rng.random(close.shape), 2)),
        "low": np.asfortranarray(close - np.round(rng.random(close.shape), 2)),
        "volume": np.asfortranarray(np.round(rng.random(close.shape) * 1000.0)),
    }


def _timed(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Median nanoseconds of each call, taken in turn."""
    times: list[list[int]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(rounds):
        for call, taken in zip(calls, times, strict=True):
            start = thread_time_ns()
            call()
            taken.append(thread_time_ns() - start)
    return [median(taken) for taken in times]


def _figure(name: str, ours: float, peer: str, theirs: float | None) -> dict[str, Any]:
    ratio = None if theirs is None else round(ours / theirs, 2)
    return {
        "name": name,
        "ours_ns": round(ours, 2),
        "peer": peer,
        "peer_ns": None if theirs is None else round(theirs, 2),
        "ratio": ratio,
    }


def _batch() -> list[dict[str, Any]]:
    import talib

    market = _market(ROWS, 1)
    x, high, low, volume = market["close"], market["high"], market["low"], market["volume"]
    c, h, lo, v = (np.ascontiguousarray(a[:, 0]) for a in (x, high, low, volume))
    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "ema": (lambda: ind.ema(x, 20), lambda: talib.EMA(c, 20)),
        "rsi": (lambda: ind.rsi(x), lambda: talib.RSI(c)),
        "atr": (lambda: ind.atr(high, low, x), lambda: talib.ATR(h, lo, c)),
        "macd": (lambda: ind.macd(x), lambda: talib.MACD(c)),
        "adx": (lambda: ind.adx(high, low, x), lambda: talib.ADX(h, lo, c)),
        "obv": (lambda: ind.obv(x, volume), lambda: talib.OBV(c, v)),
        "sma": (lambda: ind.sma(x, 20), lambda: talib.SMA(c, 20)),
        "rolling_sum": (lambda: ind.rolling_sum(x, 20), lambda: talib.SUM(c, 20)),
        "wma": (lambda: ind.wma(x, 20), lambda: talib.WMA(c, 20)),
        "rolling_std": (lambda: ind.rolling_std(x, 20), lambda: talib.STDDEV(c, 20)),
        "rolling_var": (lambda: ind.rolling_var(x, 20), lambda: talib.VAR(c, 20)),
        "bollinger": (lambda: ind.bollinger(x, 20), lambda: talib.BBANDS(c, 20, 2.0, 2.0)),
        "rolling_max": (lambda: ind.rolling_max(x, 20), lambda: talib.MAX(c, 20)),
        "stochastic": (lambda: ind.stochastic(high, low, x), lambda: talib.STOCH(h, lo, c, 14, 3, 0, 3, 0)),
        "cci": (lambda: ind.cci(high, low, x), lambda: talib.CCI(h, lo, c, 20)),
    }
    figures = []
    for name, (ours, theirs) in pairs.items():
        mine, peer = _timed([ours, theirs], ROUNDS)
        figures.append(_figure(f"{name}, batch", mine / ROWS, "TA-Lib", peer / ROWS))
    return figures


def _stream() -> list[dict[str, Any]]:
    from talipp import indicators as talipp
    from talipp.ohlcv import OHLCV

    wide = _market(STREAMED, SYMBOLS)
    bars = [OHLCV(*row) for row in zip(*(wide[k][:, 0].tolist() for k in ("close", "high", "low", "close", "volume")))]  # noqa: B905
    closes = wide["close"][:, 0].tolist()
    calls: dict[str, tuple[Callable[[dict[str, Any]], Any], Callable[[], Any] | None, list[Any]]] = {
        "ema": (lambda b: ind.ema(b["close"], 20), lambda: talipp.EMA(20), closes),
        "rsi": (lambda b: ind.rsi(b["close"]), lambda: talipp.RSI(14), closes),
        "atr": (lambda b: ind.atr(b["high"], b["low"], b["close"]), lambda: talipp.ATR(14), bars),
        "macd": (lambda b: ind.macd(b["close"]), lambda: talipp.MACD(12, 26, 9), closes),
        "adx": (lambda b: ind.adx(b["high"], b["low"], b["close"]), lambda: talipp.ADX(14, 14), bars),
        "sma": (lambda b: ind.sma(b["close"], 20), lambda: talipp.SMA(20), closes),
        "rolling_sum": (lambda b: ind.rolling_sum(b["close"], 20), None, []),
        "rolling_std": (lambda b: ind.rolling_std(b["close"], 20), lambda: talipp.StdDev(20), closes),
        "bollinger": (lambda b: ind.bollinger(b["close"], 20), lambda: talipp.BB(20, 2.0), closes),
        "rolling_max": (lambda b: ind.rolling_max(b["close"], 20), None, []),
        "crossed_above": (lambda b: ind.crossed_above(b["close"], b["high"]), None, []),
    }
    figures = []
    for name, (call, peer, values) in calls.items():
        live: list[Callable[[], Any]] = [_streaming(call, wide, SYMBOLS), _streaming(call, wide, 1)]
        if peer is not None:
            live.append(_feeding(peer, values))
        ten, one, *theirs = _timed(live, STREAM_ROUNDS)
        other = theirs[0] / STREAMED if theirs else None
        figures.append(
            _figure(f"{name}, stream of {SYMBOLS}", ten / STREAMED / SYMBOLS, "talipp" if theirs else "", other)
        )
        figures.append(_figure(f"{name}, stream of 1", one / STREAMED, "talipp" if theirs else "", other))
    return figures


def _streaming(call: Callable[[dict[str, Any]], Any], wide: dict[str, np.ndarray], symbols: int) -> Callable[[], None]:
    rows = [{k: a[t : t + 1, :symbols] for k, a in wide.items()} for t in range(STREAMED)]

    def once() -> None:
        stream = Stream()
        for row in rows:
            with stream:
                call(row)

    return once


def _feeding(make: Callable[[], Any], values: list[Any]) -> Callable[[], None]:
    def once() -> None:
        indicator = make()
        for value in values:
            indicator.add(value)

    return once


def main() -> None:
    """Print the table."""
    print(f"{'':28}{'ours ns':>10}{'peer ns':>10}{'ratio':>8}  peer")
    for figure in run():
        peer = "" if figure["peer_ns"] is None else f"{figure['peer_ns']:10.2f}{figure['ratio']:8.2f}  {figure['peer']}"
        print(f"{figure['name']:28}{figure['ours_ns']:10.2f}{peer}")


if __name__ == "__main__":
    main()
