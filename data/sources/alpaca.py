"""Alpaca's market data through alpaca-py: bars, trades and quotes of US stocks, and live streams.

    bars = history(["AAPL", "MSFT"], "2024-01-02", "2024-12-31", "1m", adjustment="raw")
    async for event in stream(["AAPL"], ["trades", "quotes", "bars"]): ...

`adjustment` is always said: `raw` as printed, `split`, or `all` (splits and dividends). Adjusted prices are those of
the day of the pull: a later split changes them. Alpaca's quotes are best bid and offer; it streams L2 for crypto only.
Without `extended` only rows of the regular session are kept; with it `since_open` and `to_close` tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from data import calendar
from data.calendar import SECOND_NS, Day
from data.errors import UsageError
from data.events import Quote, Trade, join_conditions
from data.settings import Secret, Settings, load_settings
from data.sources import http_history
from data.sources.base import Adjustment, Capabilities, Channel, Clock, Progress, WallClock
from data.sources.budget import Budget, shared_budget
from data.sources.http import Caller, Patience
from data.sources.http_history import Columns, Window
from data.sources.http_pages import Pages
from data.sources.lots import Lots
from data.sources.stream import Stream
from data.types import Bars

NAME = "alpaca"
SIMULATED = False
VENDOR = "Alpaca"
KEYS_FROM = "make a key at https://app.alpaca.markets (Home, API Keys) and put it into .env"
VARIABLES = {"apca_api_key_id": "APCA_API_KEY_ID", "apca_api_secret_key": "APCA_API_SECRET_KEY"}
REQUESTS_A_MINUTE = 200

Feed = Literal["sip", "iex", "delayed_sip", "otc", "boats", "overnight"]


def capabilities() -> Capabilities:
    """What Alpaca has: `sip` needs a plan for the last 15 minutes, `iex` is free and one exchange only."""
    return Capabilities(
        history=("bars", "trades", "quotes"),
        clocks=("1m", "2m", "5m", "10m", "15m", "30m", "1h", "1d"),
        adjustments=("raw", "split", "all"),
        channels=("trades", "quotes", "bars", "updated_bars", "daily_bars", "statuses", "bands", "books"),
        depth="crypto, by stream",
        requests_a_minute=REQUESTS_A_MINUTE,
        connections=1,
        symbols=30,
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
    feed: Feed = "sip",
    settings: Settings | None = None,
    progress: Progress | None = None,
    wall: Clock | None = None,
    patience: Patience | None = None,
    requests_a_minute: int = REQUESTS_A_MINUTE,
) -> Bars:
    """Rows from session `start` to session `end`, both included, labelled by their close.

    Pages are kept under the store until the pull is complete: a pull that was killed resumes at its last page.

    Args:
        extended: keep rows before the open and after the close as well.
        feed: `sip` is every exchange, `iex` one. progress: told symbol, windows done, windows in all.
        wall: the clock of limits and dates; default: this machine's. requests_a_minute: of your plan.

    Raises:
        AuthError: a key is not set or refused, or the plan does not cover this. UsageError: symbols, range, clock
            or adjustment. UnavailableError: no answer after all attempts. DataError: bars out of order.
    """
    asked = http_history.check_terms(clock, adjustment, extended, capabilities(), VENDOR)
    pull = _Pull(symbols, start, end, (asked, adjustment, feed), settings, wall, patience, requests_a_minute)
    parts = http_history.windows(pull.first, pull.last, 12 if asked == "1d" else 1)

    def one(symbol: str, part: Window) -> Columns:
        from alpaca.data.enums import Adjustment as Adjusted
        from alpaca.data.enums import DataFeed
        from alpaca.data.requests import StockBarsRequest

        found = pull.client.get_stock_bars(
            StockBarsRequest(
                symbol_or_symbols=[symbol],
                timeframe=_timeframe(asked),
                start=http_history.moment(part.start_ns),
                end=http_history.moment(part.end_ns - SECOND_NS),
                adjustment=Adjusted(adjustment),
                feed=DataFeed(feed),
            )
        ).get(symbol, [])
        prices = np.array([[bar["o"], bar["h"], bar["l"], bar["c"], bar["v"]] for bar in found], dtype=np.float64)
        return Columns(http_history.instants([bar["t"] for bar in found]), prices.reshape(len(found), 5))

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
    feed: Feed = "sip",
    settings: Settings | None = None,
    progress: Progress | None = None,
    wall: Clock | None = None,
    patience: Patience | None = None,
    requests_a_minute: int = REQUESTS_A_MINUTE,
) -> Iterator[Trade]:
    """Every trade of these sessions, symbol by symbol, a page in memory at a time; `recv_ts` is the venue's time.

    Raises:
        As `history`, some of it while iterating.
    """
    pull = _Pull(symbols, start, end, ("trades", feed), settings, wall, patience, requests_a_minute)
    for symbol, times, page in pull.pages_of("trades", feed, progress):
        for ts, trade in zip(times, page, strict=True):
            yield Trade(
                symbol,
                ts,
                ts,
                float(trade["p"]),
                float(trade["s"]),
                join_conditions(trade.get("c")),
                trade_id=str(trade.get("i", "")),
                exchange=trade.get("x") or "",
                tape=trade.get("z") or "",
            )
    pull.pages.close()


def quotes(
    symbols: Sequence[str],
    start: Day,
    end: Day,
    *,
    feed: Feed = "sip",
    lots: Lots | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    wall: Clock | None = None,
    patience: Patience | None = None,
    requests_a_minute: int = REQUESTS_A_MINUTE,
) -> Iterator[Quote]:
    """Every quote of these sessions, as `trades`; sizes in shares.

    Args:
        lots: shares of the vendor's unit; default: the setting ONETAPE_ALPACA_LOT.

    Raises:
        As `history`, some of it while iterating.
    """
    pull = _Pull(symbols, start, end, ("quotes", feed), settings, wall, patience, requests_a_minute)
    lots = Lots((settings or load_settings()).alpaca_lot, "ONETAPE_ALPACA_LOT") if lots is None else lots
    for symbol, times, page in pull.pages_of("quotes", feed, progress):
        for ts, quote in zip(times, page, strict=True):
            lot = lots.at(ts)
            yield Quote(
                symbol,
                ts,
                ts,
                quote["bp"] or np.nan,  # 0 is how this vendor says that there is no bid
                quote["ap"] or np.nan,
                quote["bs"] * lot,
                quote["as"] * lot,
                join_conditions(quote.get("c")),
                quote.get("bx") or "",
                quote.get("ax") or "",
                quote.get("z") or "",
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
    ) -> None:
        from data.sources.alpaca_http import historical_client

        settings = load_settings() if settings is None else settings
        self.symbols = http_history.check_stocks(symbols, VENDOR)
        self.first, self.last = http_history.check_range(start, end, wall or WallClock())
        key, secret = http_history.need(settings, VARIABLES, KEYS_FROM)
        self.pages = Pages.of_pull(settings.store, NAME, self.symbols, self.first, self.last, *terms)
        caller = Caller(
            VENDOR,
            _budget(key, requests_a_minute, wall),
            patience or Patience(),
            (key, secret),
            self.pages if http_history.is_settled(self.last, wall or WallClock()) else None,
            KEYS_FROM,
        )
        self.client = historical_client(
            key.get_secret_value(), secret.get_secret_value(), settings.apca_data_url, caller
        )

    def pages_of(self, what: str, feed: Feed, progress: Progress | None) -> Iterator[tuple[str, list[int], list[Any]]]:
        """(symbol, instants, records) page by page: the SDK's own call would hold a whole day in memory."""
        days = calendar.sessions(self.first, self.last)
        for symbol in self.symbols:
            found = 0
            for i, session in enumerate(days):
                part = http_history.window(*(calendar.parse_day(session.date),) * 2)
                token: str | None = None
                while True:
                    answer = self.client.get(
                        f"/stocks/{what}",
                        {
                            "symbols": symbol,
                            "start": http_history.moment(part.start_ns).isoformat(),
                            "end": http_history.moment(part.end_ns - 1).isoformat(),
                            "limit": 10_000,
                            "feed": feed,
                            "sort": "asc",
                            "page_token": token,
                        },
                    )
                    page = answer[what].get(symbol, [])
                    found += len(page)
                    yield symbol, http_history.instants([each["t"] for each in page]).tolist(), page
                    token = answer.get("next_page_token")
                    if not token:
                        break
                if progress is not None:
                    progress(symbol, i + 1, len(days))
            if not found:
                raise UsageError(f"{VENDOR} has no {what} of {symbol!r} in this range; check the symbol")


def _budget(key: Secret, per_minute: int, wall: Clock | None) -> Budget:
    return shared_budget(VENDOR, key, per_minute) if wall is None else Budget(per_minute, wall)


def _timeframe(clock: str) -> Any:
    from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

    if clock == "1d":
        return TimeFrame(1, TimeFrameUnit.Day)
    return TimeFrame(calendar.parse_clock(clock) // 60, TimeFrameUnit.Minute)


def stream(
    symbols: Sequence[str],
    channels: Sequence[Channel] = ("trades", "quotes", "bars"),
    *,
    feed: str = "iex",
    settings: Settings | None = None,
    wall: Clock | None = None,
    **options: Any,
) -> Stream:
    """Live events of these symbols; see `data.sources.alpaca_stream.open_stream` for the options.

    Raises:
        AuthError, UsageError: at once, or while iterating where only the vendor can tell.
    """
    from data.sources.alpaca_stream import open_stream

    return open_stream(symbols, channels, feed=feed, settings=settings, wall=wall, **options)
