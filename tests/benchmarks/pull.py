"""How fast history is pulled and a stream is read, beside the vendors' own SDKs doing the same.

`run()` gives the rows for `make bench`; as a script it prints them. Both sides ask the same sandbox on loopback for
the same bars; what counts is the processor time of the asking thread, so that the serving one, and whoever else uses
the machine, changes little. Medians of rounds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))

ROUNDS = 3
SESSIONS = 128
SYMBOLS = ["AAPL", "MSFT"]
FIRST = 20230103
FRAMES, ITEMS = 2_000, 20


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Rows for `make bench`."""
    return [*_pulls(10 if quick else SESSIONS, 1 if quick else ROUNDS), *_frames(FRAMES // 10 if quick else FRAMES)]


def _pulls(sessions: int, rounds: int) -> list[dict[str, Any]]:
    from data.settings import load_settings
    from data.sources import alpaca, polygon
    from data.sources.random_walk import random_bars
    from live.sandbox.market_tape import market_of_rows
    from live.sandbox.server import Sandbox, running

    bars, _ = random_bars(sessions * 390, SYMBOLS, 7, "1m", start=FIRST)
    last, count = int(bars.session[-1]), sessions * 390 * len(SYMBOLS)
    sandbox = Sandbox(market_of_rows(bars))
    with tempfile.TemporaryDirectory() as folder, running(sandbox):
        settings = load_settings(Path(folder), environ=sandbox.environment())
        terms: dict[str, Any] = {"adjustment": "raw", "settings": settings, "requests_a_minute": 10**6}

        def ours_alpaca() -> Any:
            return alpaca.history(SYMBOLS, FIRST, last, **terms)

        def ours_polygon() -> Any:
            return polygon.history(SYMBOLS, FIRST, last, **terms)

        pairs: list[tuple[str, Callable[[], Any], str, Callable[[], Any]]] = [
            ("alpaca", ours_alpaca, "alpaca-py BarSet to DataFrame", lambda: _alpaca_py(sandbox, last)),
            ("polygon", ours_polygon, "massive list_aggs to DataFrame", lambda: _massive(sandbox, last)),
        ]
        rows = []
        for vendor, ours, peer, theirs in pairs:
            (mine, wall), (other, _) = _timed([ours, theirs], rounds)
            what = f"{vendor}: history of 100,000 minute bars, pages kept on disk, processor"
            rows.append(_row(what, mine / count * 1e8, "ms", peer=peer, ratio=other / mine))
            rows.append(
                _row(f"{vendor}: minute bars pulled a second, sandbox in the same process", count / wall, "bars/s")
            )
    return rows


def _alpaca_py(sandbox: Any, last: int) -> Any:
    import datetime as dt

    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.requests import StockBarsRequest
    from alpaca.data.timeframe import TimeFrame

    client = StockHistoricalDataClient(sandbox.terms.key, sandbox.terms.secret, url_override=sandbox.http_url)
    start, end = (dt.datetime.strptime(str(day), "%Y%m%d").replace(tzinfo=dt.UTC) for day in (FIRST, last))
    asked = StockBarsRequest(
        symbol_or_symbols=SYMBOLS, timeframe=TimeFrame.Minute, start=start, end=end + dt.timedelta(days=1)
    )
    return client.get_stock_bars(asked).df


def _massive(sandbox: Any, last: int) -> Any:
    import massive
    import pandas as pd

    from data.calendar import parse_day

    client = massive.RESTClient(api_key=sandbox.terms.key, base=sandbox.http_url)
    start, end = (parse_day(day).isoformat() for day in (FIRST, last))
    return [
        pd.DataFrame(client.list_aggs(symbol, 1, "minute", start, end, sort="asc", limit=50_000)) for symbol in SYMBOLS
    ]


def _frames(count: int) -> list[dict[str, Any]]:
    """Quotes of a stream from bytes: ours to events, the SDK's to its models."""
    import msgpack
    import msgspec
    from alpaca.data.models import Quote

    from data.sources.alpaca_stream import AlpacaDialect
    from data.sources.stream_hours import Hours
    from live.sandbox.alpaca_rest import quote_fields
    from live.sandbox.alpaca_stream import timestamp

    start = 1_704_205_800 * 10**9
    frames = [
        msgspec.msgpack.encode(
            [
                {"T": "q", "S": "AAPL", **quote_fields(100.0, 100.01, 300.0 + i, 500.0), "t": timestamp(start + i)}
                for i in range(k * ITEMS, (k + 1) * ITEMS)
            ]
        )
        for k in range(count)
    ]
    dialect = AlpacaDialect("ws://x", "k", "s", ("AAPL",), ("quotes",), Hours(), 100.0)

    def ours() -> None:
        for frame in frames:
            dialect.read(frame, start)

    def theirs() -> None:
        for frame in frames:
            for told in msgpack.unpackb(frame):
                told["t"] = told["t"].to_datetime()
                Quote(told["S"], told)

    (mine, _), (other, _) = _timed([ours, theirs], ROUNDS)
    quotes = count * ITEMS
    return [
        _row(
            "alpaca stream: quotes a second, bytes to events",
            quotes / mine,
            "quotes/s",
            budget=100_000,
            peer="alpaca-py's models",
            ratio=other / mine,
        )
    ]


def _timed(calls: list[Callable[[], Any]], rounds: int) -> list[tuple[float, float]]:
    """(processor seconds of this thread, wall seconds) of each call, medians, taken in turn."""
    taken: list[list[tuple[float, float]]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, taken, strict=True):
            cpu, wall = thread_time(), perf_counter()
            call()
            times.append((thread_time() - cpu, perf_counter() - wall))
    return [tuple(statistics.median(column) for column in zip(*times, strict=True)) for times in taken]  # type: ignore[misc]


def _row(what: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {"what": what, "value": value, "unit": unit, **more}


if __name__ == "__main__":
    for row in run():
        print(row)
