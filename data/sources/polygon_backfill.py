"""The minute bars of a gap in Polygon's stream, asked for by REST."""

from __future__ import annotations

from collections.abc import Sequence

from data.calendar import MINUTE_NS
from data.events import Bar
from data.settings import Settings
from data.sources import http_history
from data.sources.base import Clock
from data.sources.budget import Budget
from data.sources.http import Caller, Patience
from data.sources.polygon import FREE_REQUESTS_A_MINUTE, KEYS_FROM, VARIABLES, VENDOR
from data.sources.stream_dialect import Backfill
from data.sources.stream_hours import AlwaysOpen, Hours


def backfill_of(
    settings: Settings,
    cluster: str,
    wall: Clock,
    patience: Patience,
    *,
    requests_a_minute: int = FREE_REQUESTS_A_MINUTE,
    package: str | None = None,
) -> Backfill:
    """How to get the minute bars that closed in a gap of this cluster."""
    (key,) = http_history.need(settings, VARIABLES, KEYS_FROM)
    budget = Budget(requests_a_minute, wall)
    hours = AlwaysOpen() if cluster == "crypto" else Hours()

    def fetch(symbols: Sequence[str], start: int, end: int) -> list[Bar]:
        from data.sources.polygon_http import rest_client

        caller = Caller(VENDOR, budget, patience, (key,), None, KEYS_FROM)
        client = rest_client(key.get_secret_value(), settings.massive_base_url, caller, package)
        bars = []
        for symbol in symbols:
            ticker = f"X:{symbol.replace('-', '')}" if cluster == "crypto" else symbol
            found = client.list_aggs(
                ticker, 1, "minute", start // 1_000_000, end // 1_000_000, adjusted=False, sort="asc", limit=50_000
            )
            for row in found:
                close = row.timestamp * 1_000_000 + MINUTE_NS
                if start < close <= end:
                    columns = (row.open, row.high, row.low, row.close, row.volume)
                    # The stream's own bars carry no count of trades: these are to be the same.
                    extended = hours.is_extended(close)
                    bars.append(Bar(symbol, close, wall.now(), "1m", *columns, row.vwap, extended=extended))
        return bars

    return fetch
