"""Polygon's market data (now Massive): bars, trades and quotes of US stocks, and live streams.

    bars = history(["AAPL", "MSFT"], "2024-01-02", "2024-12-31", "1m", adjustment="split")
    async for event in stream(["AAPL"], ["trades", "quotes", "bars"]): ...

Goes through `massive` where it is installed, else through `polygon-api-client`; `package` picks one. `adjustment` is
always said: `raw` as printed, or `split`; Polygon does not adjust for dividends. Its quotes are the national best
bid and offer; it streams L2 for crypto only. Without `extended` only rows of the regular session are kept; with it
`since_open` and `to_close` tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from data import calendar
from data.calendar import Day
from data.errors import UsageError
from data.events import Quote, Trade, join_conditions
from data.settings import Settings, load_settings
from data.sources import http_history
from data.sources.base import Adjustment, Capabilities, Channel, Clock, Progress, WallClock
from data.sources.budget import Budget, shared_budget
from data.sources.http import Caller, Patience
from data.sources.http_history import Columns, Window
from data.sources.http_pages import Pages
from data.sources.lots import Lots
from data.sources.stream import Stream
from data.types import PRICES, Bars

NAME = "polygon"
SIMULATED = False
VENDOR = "Polygon"
KEYS_FROM = "make a key at https://massive.com/dashboard/api-keys and put it into .env (POLYGON_API_KEY works too)"
VARIABLES = {"massive_api_key": "MASSIVE_API_KEY"}
FREE_REQUESTS_A_MINUTE = 5
PAGE = 50_000
MONTHS = 2  # of minutes with their extended hours: about one page
MILLISECOND_NS = 1_000_000
TAPES = {1: "A", 2: "B", 3: "C"}


def capabilities() -> Capabilities:
    """What Polygon has, by the terms of its free plan: five requests a minute, a stream of five symbols."""
    return Capabilities(
        history=("bars", "trades", "quotes"),
        clocks=("1s", "5s", "10s", "30s", "1m", "2m", "5m", "10m", "15m", "30m", "1h", "1d"),
        adjustments=("raw", "split"),
        channels=("trades", "quotes", "bars", "second_bars", "bands", "books"),
        depth="crypto, by stream",
        requests_a_minute=FREE_REQUESTS_A_MINUTE,
        connections=1,
        symbols=5,
        variables=tuple(VARIABLES.values()),
        keys_from=KEYS_FROM,
    )


def history(
    symbols: Sequence[str],
    start: Day,
    end: Day,
    clock: str = "1m",
    *,
    adjustment: Adjustment,
    extended: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
    wall: Clock | None = None,
    patience: Patience | None = None,
    requests_a_minute: int = FREE_REQUESTS_A_MINUTE,
    package: str | None = None,
) -> Bars:
    """Rows from session `start` to session `end`, both included, labelled by their close.

    Pages are kept under the store until the pull is complete: a pull that was killed resumes at its last page.

    Args:
        extended: keep rows before the open and after the close as well.
        progress: told symbol, windows done, windows in all. package: `massive` or `polygon`.
        wall: the clock of limits and dates; default: this machine's. requests_a_minute: of your plan.

    Raises:
        AuthError: the key is not set or refused, or the plan does not cover this. UsageError: symbols, range, clock
            or adjustment. UnavailableError: no answer after all attempts. DataError: bars out of order.
    """
    asked = http_history.check_terms(clock, adjustment, extended, capabilities(), VENDOR)
    pull = _Pull(symbols, start, end, (asked, adjustment), settings, wall, patience, requests_a_minute, package)
    parts = http_history.windows(pull.first, pull.last, 240 if asked == "1d" else MONTHS)
    multiplier, timespan = _span(asked)

    def one(symbol: str, part: Window) -> Columns:
        found = pull.client.list_aggs(
            symbol,
            multiplier,
            timespan,
            part.start_ns // MILLISECOND_NS,
            part.end_ns // MILLISECOND_NS - 1,
            adjusted=adjustment == "split",
            sort="asc",
            limit=PAGE,
        )
        # Straight into columns: the SDK yields its objects one by one, and a month of seconds is a million of them.
        rows = np.fromiter(
            ((bar.timestamp, *(_number(bar, name) for name in PRICES)) for bar in found),
            dtype=[("start", np.int64), *((name, np.float64) for name in PRICES)],
        )
        return Columns(rows["start"] * MILLISECOND_NS, np.stack([rows[name] for name in PRICES], axis=1))

    def told(symbol: str, done: int) -> None:
        if progress is not None:
            progress(symbol, done, len(parts))

    columns = http_history.gather(pull.symbols, parts, one, told)
    bars = http_history.as_bars(columns, clock, asked, extended, VENDOR)
    pull.pages.close()
    return bars


def trades(
    symbols: Sequence[str],
    start: Day,
    end: Day,
    *,
    settings: Settings | None = None,
    progress: Progress | None = None,
    wall: Clock | None = None,
    patience: Patience | None = None,
    requests_a_minute: int = FREE_REQUESTS_A_MINUTE,
    package: str | None = None,
) -> Iterator[Trade]:
    """Every trade of these sessions, symbol by symbol, a page in memory at a time.

    `venue_ts` is the consolidated tape's time, `recv_ts` the same: nobody was listening.

    Raises:
        As `history`, some of it while iterating.
    """
    pull = _Pull(symbols, start, end, ("trades",), settings, wall, patience, requests_a_minute, package)
    for symbol, trade in pull.records("trades", progress):
        yield Trade(
            symbol,
            trade.sip_timestamp,
            trade.sip_timestamp,
            float(trade.price),
            float(getattr(trade, "decimal_size", None) or trade.size),
            join_conditions(trade.conditions),
            trade_id=str(trade.id or ""),
            exchange=str(trade.exchange or ""),
            tape=TAPES.get(trade.tape, ""),
            sequence=trade.sequence_number if trade.sequence_number is not None else -1,
        )
    pull.pages.close()


def quotes(
    symbols: Sequence[str],
    start: Day,
    end: Day,
    *,
    lots: Lots | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    wall: Clock | None = None,
    patience: Patience | None = None,
    requests_a_minute: int = FREE_REQUESTS_A_MINUTE,
    package: str | None = None,
) -> Iterator[Quote]:
    """Every quote of these sessions, as `trades`; sizes in shares.

    Args:
        lots: shares of the vendor's unit; default: the setting ONETAPE_POLYGON_LOT.

    Raises:
        As `history`, some of it while iterating.
    """
    pull = _Pull(symbols, start, end, ("quotes",), settings, wall, patience, requests_a_minute, package)
    lots = Lots((settings or load_settings()).polygon_lot, "ONETAPE_POLYGON_LOT") if lots is None else lots
    for symbol, quote in pull.records("quotes", progress):
        lot = lots.at(quote.sip_timestamp)
        yield Quote(
            symbol,
            quote.sip_timestamp,
            quote.sip_timestamp,
            quote.bid_price or np.nan,  # absent or 0: there is no bid
            quote.ask_price or np.nan,
            (quote.bid_size or 0.0) * lot,
            (quote.ask_size or 0.0) * lot,
            join_conditions(quote.conditions),
            str(quote.bid_exchange or ""),
            str(quote.ask_exchange or ""),
            TAPES.get(quote.tape, ""),
            quote.sequence_number if quote.sequence_number is not None else -1,
        )
    pull.pages.close()


class _Pull:
    """What the three kinds of history share: checked terms, the SDK's client and the pages."""

    def __init__(
        self,
        symbols: Sequence[str],
        start: Day,
        end: Day,
        terms: tuple[str, ...],
        settings: Settings | None,
        wall: Clock | None,
        patience: Patience | None,
        requests_a_minute: int,
        package: str | None,
    ) -> None:
        from data.sources.polygon_http import rest_client

        settings = load_settings() if settings is None else settings
        self.symbols = http_history.check_stocks(symbols, VENDOR)
        self.first, self.last = http_history.check_range(start, end, wall or WallClock())
        (key,) = http_history.need(settings, VARIABLES, KEYS_FROM)
        self.pages = Pages.of_pull(settings.store, NAME, self.symbols, self.first, self.last, *terms)
        budget = shared_budget(VENDOR, key, requests_a_minute) if wall is None else Budget(requests_a_minute, wall)
        caller = Caller(
            VENDOR,
            budget,
            patience or Patience(),
            (key,),
            self.pages if http_history.is_settled(self.last, wall or WallClock()) else None,
            KEYS_FROM,
        )
        self.client = rest_client(key.get_secret_value(), settings.massive_base_url, caller, package)

    def records(self, what: str, progress: Progress | None) -> Iterator[tuple[str, Any]]:
        """(symbol, record): the SDK follows the pages one by one."""
        days = calendar.sessions(self.first, self.last)
        for symbol in self.symbols:
            found = False
            for i, session in enumerate(days):
                part = http_history.window(*(calendar.parse_day(session.date),) * 2)
                call = getattr(self.client, f"list_{what}")
                for record in call(
                    symbol,
                    timestamp_gte=part.start_ns,
                    timestamp_lt=part.end_ns,
                    order="asc",
                    sort="timestamp",
                    limit=PAGE,
                ):
                    found = True
                    yield symbol, record
                if progress is not None:
                    progress(symbol, i + 1, len(days))
            if not found:
                raise UsageError(f"{VENDOR} has no {what} of {symbol!r} in this range; check the symbol")


def _number(bar: Any, name: str) -> float:
    value = getattr(bar, name)
    return np.nan if value is None else float(value)


def _span(clock: str) -> tuple[int, str]:
    seconds = calendar.parse_clock(clock)
    if clock == "1d":
        return 1, "day"
    return (seconds // 60, "minute") if seconds % 60 == 0 else (seconds, "second")


def stream(
    symbols: Sequence[str],
    channels: Sequence[Channel] = ("trades", "quotes", "bars"),
    *,
    settings: Settings | None = None,
    wall: Clock | None = None,
    **options: Any,
) -> Stream:
    """Live events of these symbols; see `data.sources.polygon_stream.open_stream` for the options.

    Raises:
        AuthError, UsageError: at once, or while iterating where only the vendor can tell.
    """
    from data.sources.polygon_stream import open_stream

    return open_stream(symbols, channels, settings=settings, wall=wall, **options)
