"""The minute bars of a gap in Alpaca's stream, asked for by REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data.calendar import MINUTE_NS
from data.events import Bar
from data.settings import Settings
from data.sources import http_history
from data.sources.alpaca import KEYS_FROM, REQUESTS_A_MINUTE, VARIABLES, VENDOR
from data.sources.base import Clock
from data.sources.budget import Budget
from data.sources.http import Caller, Patience
from data.sources.stream_dialect import Backfill
from data.sources.stream_hours import AlwaysOpen, Hours


def backfill_of(
    settings: Settings,
    feed: str,
    wall: Clock,
    patience: Patience,
    *,
    requests_a_minute: int = REQUESTS_A_MINUTE,
) -> Backfill:
    """How to get the minute bars that closed in a gap of this feed."""
    key, secret = http_history.need(settings, VARIABLES, KEYS_FROM)
    budget = Budget(requests_a_minute, wall)
    hours = AlwaysOpen() if feed in ("crypto", "test") else Hours()

    def fetch(symbols: Sequence[str], start: int, end: int) -> list[Bar]:
        from data.sources.alpaca_http import historical_client

        caller = Caller(VENDOR, budget, patience, (key, secret), None, KEYS_FROM)
        client = historical_client(key.get_secret_value(), secret.get_secret_value(), settings.apca_data_url, caller)
        asked: dict[str, Any] = {
            "symbols": ",".join(symbols),
            "timeframe": "1Min",
            "start": http_history.moment(start).isoformat(),
            "end": http_history.moment(end).isoformat(),
            "limit": 10_000,
        }
        path, version = "/crypto/us/bars", "v1beta3"
        if feed != "crypto":
            path, version = "/stocks/bars", "v2"
            asked["feed"] = feed
        bars: list[Bar] = []
        while True:
            answer = client.get(path, asked, api_version=version)
            for symbol, rows in answer["bars"].items():
                starts = http_history.instants([row["t"] for row in rows]).tolist()
                for at, row in zip(starts, rows, strict=True):
                    close, now = at + MINUTE_NS, wall.now()
                    if start < close <= end:
                        columns = (row["o"], row["h"], row["l"], row["c"], row["v"], row["vw"], row["n"])
                        extended = hours.is_extended(close)
                        bars.append(Bar(symbol, close, now, "1m", *columns, extended=extended))
            if not (token := answer.get("next_page_token")):
                return bars
            asked["page_token"] = token

    return fetch
