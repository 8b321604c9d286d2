"""Polygon's (Massive's) stream, spoken in JSON: the clusters `stocks` and `crypto`, the latter with true L2 (`XL2`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from data.errors import AuthError, UsageError
from data.events import Bar, MarketEvent, Quote, join_conditions
from data.settings import Settings, load_settings
from data.sources import http_history
from data.sources.backfill_apart import Where, apart
from data.sources.base import Channel, Clock, WallClock
from data.sources.http import Patience
from data.sources.lots import Lots
from data.sources.polygon import FREE_REQUESTS_A_MINUTE, KEYS_FROM, TAPES, VARIABLES, VENDOR
from data.sources.polygon_backfill import backfill_of
from data.sources.polygon_wire import (
    BandsMessage,
    BarMessage,
    CryptoBarMessage,
    CryptoBookMessage,
    CryptoQuoteMessage,
    CryptoSecondMessage,
    CryptoTradeMessage,
    QuoteMessage,
    SecondMessage,
    StatusMessage,
    TradeMessage,
    bands_of,
    crypto_book_of,
    crypto_quote_of,
    crypto_trade_of,
    nanoseconds,
    read_frame,
    trade_of,
)
from data.sources.stream import Stream
from data.sources.stream_dialect import Backfill, Lost
from data.sources.stream_hours import AlwaysOpen, Hours
from data.sources.stream_lock import ConnectionLock

HOST = "wss://socket.massive.com"
TOPICS: dict[str, dict[Channel, str]] = {
    "stocks": {"trades": "T", "quotes": "Q", "bars": "AM", "second_bars": "A", "bands": "LULD"},
    "crypto": {"trades": "XT", "quotes": "XQ", "bars": "XA", "second_bars": "XAS", "books": "XL2"},
}
LIVELY: tuple[Channel, ...] = ("trades", "quotes", "books", "second_bars")
STALL_S, BARS_STALL_S = 10.0, 90.0
TAKEN_S = 10.0
MINUTE_BARS = ("AM", "XA")


class PolygonDialect:
    """Logs in, subscribes and reads; see `data.sources.stream.Dialect`."""

    venue = VENDOR

    def __init__(
        self,
        url: str,
        key: str,
        symbols: tuple[str, ...],
        topics: Sequence[str],
        stall_s: float,
        hours: Hours,
        lots: Lots,
    ) -> None:
        self.url = url
        self.headers: dict[str, str] = {}
        self.symbols = symbols
        self.stall_s = stall_s
        self.bad = 0
        self._key = key
        self._wanted = tuple(f"{topic}.{symbol}" for topic in topics for symbol in symbols)
        self._hours = hours
        self._lots = lots
        self._said: set[str] = set()
        self._confirmed: set[str] = set()
        self._makers: dict[type, Callable[[Any, int], MarketEvent]] = {
            TradeMessage: trade_of,
            QuoteMessage: self._quote,
            BarMessage: self._bar,
            SecondMessage: self._bar,
            BandsMessage: bands_of,
            CryptoTradeMessage: crypto_trade_of,
            CryptoQuoteMessage: crypto_quote_of,
            CryptoBookMessage: crypto_book_of,
            CryptoBarMessage: self._bar,
            CryptoSecondMessage: self._bar,
        }

    def __repr__(self) -> str:
        return f"PolygonDialect({self.url}, {len(self.symbols)} symbols)"

    async def enter(self, wire: Any, clock: Clock) -> list[MarketEvent]:
        self._said, self._confirmed = set(), set()
        events: list[MarketEvent] = []
        steps = (("connected", "auth", self._key), ("auth_success", "subscribe", ",".join(self._wanted)))
        for expected, action, params in steps:
            while expected not in self._said:
                events += self.read(await wire.recv(), clock.now())
            await wire.send(msgspec.json.encode({"action": action, "params": params}).decode())
        while not self._confirmed >= set(self._wanted):
            events += self.read(await wire.recv(), clock.now())
        return events

    def read(self, frame: bytes | str, recv_ts: int) -> list[MarketEvent]:
        events = []
        items, bad = read_frame(frame)
        self.bad += bad
        for item in items:
            maker = self._makers.get(type(item))
            if maker is not None:
                events.append(maker(item, recv_ts))
            else:
                self._hear(item)
        return events

    def _hear(self, told: StatusMessage) -> None:
        """A word about the connection.

        Raises:
            AuthError, UsageError, Lost: it is a refusal.
        """
        if told.status in ("connected", "auth_success", "success"):
            self._said.add(told.status)
            if told.message.startswith("subscribed to: "):
                self._confirmed.add(told.message.removeprefix("subscribed to: ").strip())
        elif told.status == "auth_failed":
            raise AuthError(f"{VENDOR} refuses the key for its stream; {KEYS_FROM}")
        elif told.status == "max_connections":
            raise Lost("the key's one connection is taken, perhaps by the one just lost", TAKEN_S)
        elif told.status == "error" and "auth_success" in self._said and not self._confirmed >= set(self._wanted):
            plan = "plan" in told.message and "symbols" not in told.message
            said = f"{VENDOR} refuses the stream: {told.message}"
            raise AuthError(f"{said}; {KEYS_FROM}") if plan else UsageError(f"{said}; check symbols, channels and plan")
        else:
            raise Lost(f"{told.status}: {told.message}")

    def _quote(self, item: QuoteMessage, recv_ts: int) -> MarketEvent:
        nan, at = float("nan"), nanoseconds(item.t)
        lot = self._lots.at(at)
        codes = [item.c] if isinstance(item.c, int) else item.c
        return Quote(
            item.sym,
            at,
            recv_ts,
            item.bp or nan,  # absent or 0: there is no bid
            item.ap or nan,
            item.bs * lot,
            item.as_ * lot,
            join_conditions(codes),
            str(item.bx),
            str(item.ax),
            TAPES.get(item.z, ""),
            item.q,
        )

    def _bar(self, item: BarMessage | CryptoBarMessage, recv_ts: int) -> MarketEvent:
        close = nanoseconds(item.e)
        minute = not isinstance(item, SecondMessage | CryptoSecondMessage)
        symbol = item.sym if isinstance(item, BarMessage) else item.pair
        volume = float(item.dv) if isinstance(item, BarMessage) and item.dv else item.v
        prices = (item.o, item.h, item.l, item.c, volume, item.vw)
        interval, extended = "1m" if minute else "1s", self._hours.is_extended(close)
        return Bar(symbol, close, recv_ts, interval, *prices, extended=extended)


def open_stream(
    symbols: Sequence[str],
    channels: Sequence[Channel],
    *,
    cluster: str = "stocks",
    settings: Settings | None = None,
    wall: Clock | None = None,
    seed: int = 0,
    limit: int = 100_000,
    plan_symbols: int = 5,
    lots: Lots | None = None,
    requests_a_minute: int = FREE_REQUESTS_A_MINUTE,
    package: str | None = None,
    patience: Patience | None = None,
    backfill: Where = "here",
) -> Stream:
    """Polygon's live events, with gaps marked and minute bars filled in.

    Args:
        cluster: `stocks` or `crypto`. wall: clock of waits and `recv_ts`. seed: of the spread of waits.
        limit: events that may wait for the reader. plan_symbols: symbols the plan allows; 0: any number.
        lots: shares of one unit of quoted size; default: the setting ONETAPE_POLYGON_LOT. package: `massive` or
            `polygon`, for the bars of a gap.
        backfill: who asks for those, where minute bars are subscribed.

    Raises:
        AuthError: the key is not set. UsageError: a symbol, channel or cluster, more than the plan allows, or
            another process of this machine has the key's one connection.
    """
    wall = WallClock() if wall is None else wall
    settings = load_settings() if settings is None else settings
    names = http_history.check_tickers(symbols, VENDOR)
    if cluster not in TOPICS:
        raise UsageError(f"{VENDOR} has no cluster {cluster!r} here; there is {', '.join(TOPICS)}")
    topics = TOPICS[cluster]
    for channel in channels:
        if channel not in topics:
            raise UsageError(f"{VENDOR} has no channel {channel!r} in {cluster}; there is {', '.join(topics)}")
    if plan_symbols and len(names) > plan_symbols:
        raise UsageError(f"{len(names)} symbols asked for; the plan allows a stream of {plan_symbols}")
    (key,) = http_history.need(settings, VARIABLES, KEYS_FROM)
    hours = AlwaysOpen() if cluster == "crypto" else Hours()
    stall_s = STALL_S if set(channels) & set(LIVELY) else BARS_STALL_S
    url = f"{settings.massive_stream_url or HOST}/{cluster}"
    asked = [topics[channel] for channel in channels]
    lots = Lots(settings.polygon_lot, "ONETAPE_POLYGON_LOT") if lots is None else lots
    dialect = PolygonDialect(url, key.get_secret_value(), names, asked, stall_s, hours, lots)
    lock = ConnectionLock(settings.store, VENDOR, cluster, key)
    fill: Backfill | None = None
    if "bars" in channels and backfill == "apart":
        fill = apart("polygon", cluster, settings, wall, requests_a_minute)
    elif "bars" in channels and backfill == "here":
        more = {"requests_a_minute": requests_a_minute, "package": package}
        fill = backfill_of(settings, cluster, wall, patience or Patience(), **more)  # type: ignore[arg-type]
    audit = {"trades", "bars"} <= set(channels)
    return Stream(
        dialect, clock=wall, hours=hours, seed=seed, limit=limit, backfill=fill, audit=audit, release=lock.release
    )
