"""Alpaca's stream, spoken in msgpack: stocks (`iex`, `sip`, ...) and, as feed `crypto`, trades, quotes and L2 books."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from data.calendar import MINUTE_NS
from data.errors import AuthError, UsageError
from data.events import Bar, MarketEvent, Quote, Trade, join_conditions
from data.settings import Settings, load_settings
from data.sources import http_history
from data.sources.alpaca import KEYS_FROM, VARIABLES, VENDOR
from data.sources.alpaca_backfill import backfill_of
from data.sources.alpaca_wire import (
    BandsMessage,
    BarMessage,
    BookMessage,
    CancelMessage,
    CorrectionMessage,
    DailyMessage,
    ErrorMessage,
    QuoteMessage,
    StatusMessage,
    SubscriptionMessage,
    SuccessMessage,
    TradeMessage,
    UpdatedMessage,
    bands_of,
    book_of,
    cancel_of,
    correction_of,
    nanoseconds,
    read_frame,
    status_of,
)
from data.sources.backfill_apart import Where, apart
from data.sources.base import Channel, Clock, WallClock
from data.sources.http import Patience
from data.sources.lots import Lots
from data.sources.stream import Stream
from data.sources.stream_dialect import Backfill, Lost
from data.sources.stream_hours import AlwaysOpen, Hours
from data.sources.stream_lock import ConnectionLock

HOST = "wss://stream.data.alpaca.markets"
FEEDS = ("iex", "sip", "delayed_sip", "boats", "overnight", "test", "crypto")
PATHS = {"boats": "v1beta1/boats", "overnight": "v1beta1/overnight", "crypto": "v1beta3/crypto/us"}
NAMES: dict[Channel, str] = {
    "trades": "trades",
    "quotes": "quotes",
    "bars": "bars",
    "updated_bars": "updatedBars",
    "daily_bars": "dailyBars",
    "statuses": "statuses",
    "bands": "lulds",
    "books": "orderbooks",
}
COUNTED: tuple[Channel, ...] = ("trades", "quotes")
LIVELY: tuple[Channel, ...] = ("trades", "quotes", "books")
STALL_S, BARS_STALL_S = 10.0, 90.0
TAKEN_S = 10.0  # a broken connection counts for about 90 s: asking more often than this gains nothing
FINAL = {402, 403, 405, 409, 410, 411}


class AlpacaDialect:
    """Logs in, subscribes and reads; see `data.sources.stream.Dialect`."""

    venue = VENDOR

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        symbols: tuple[str, ...],
        channels: Sequence[Channel],
        hours: Hours,
        lots: Lots,
    ) -> None:
        self.url = url
        self.headers = {"Content-Type": "application/msgpack"}
        self.symbols = symbols
        self.stall_s = STALL_S if set(channels) & set(LIVELY) else BARS_STALL_S
        self.bad = 0
        self._auth = {"action": "auth", "key": key, "secret": secret}
        self._wanted = {NAMES[channel]: list(symbols) for channel in channels}
        self._hours = hours
        self._lots = lots
        self._confirmed = False
        self._greeted: list[str] = []
        self._makers: dict[type, Callable[[Any, int], MarketEvent]] = {
            TradeMessage: self._trade,
            QuoteMessage: self._quote,
            BarMessage: self._bar,
            UpdatedMessage: self._bar,
            DailyMessage: self._bar,
            StatusMessage: status_of,
            BandsMessage: bands_of,
            CorrectionMessage: correction_of,
            CancelMessage: cancel_of,
            BookMessage: book_of,
        }

    def __repr__(self) -> str:
        return f"AlpacaDialect({self.url}, {len(self.symbols)} symbols)"

    async def enter(self, wire: Any, clock: Clock) -> list[MarketEvent]:
        self._greeted, self._confirmed = [], False
        events: list[MarketEvent] = []
        for expected, message in (
            ("connected", self._auth),
            ("authenticated", {"action": "subscribe", **self._wanted}),
        ):
            while expected not in self._greeted:
                events += self.read(await wire.recv(), clock.now())
            await wire.send(msgspec.msgpack.encode(message))
        while not self._confirmed:
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
            elif isinstance(item, SuccessMessage):
                self._greeted.append(item.msg)
            elif isinstance(item, ErrorMessage):
                raise self._refusal(item)
            else:
                self._confirm(item)
        return events

    def _confirm(self, told: SubscriptionMessage) -> None:
        """Whole only if the vendor's list is the wanted one."""
        for name, symbols in self._wanted.items():
            if missing := set(symbols) - set(getattr(told, name)):
                raise Lost(f"{len(missing)} subscriptions to {name} were not confirmed")
        self._confirmed = True

    def _refusal(self, error: ErrorMessage) -> Exception:
        said = f"{VENDOR} refuses the stream: {error.msg} ({error.code})"
        if error.code == 405:
            return UsageError(f"{said}; ask for fewer symbols of trades and quotes, or widen the plan")
        if error.code == 410:
            return UsageError(f"{said}; this feed does not carry one of the channels")
        if error.code in FINAL:
            return AuthError(f"{said}; {KEYS_FROM}")
        if error.code == 406:
            return Lost("the key's one connection is taken, perhaps by the one just lost", TAKEN_S)
        return Lost(f"{error.msg} ({error.code})")

    def _trade(self, item: TradeMessage, recv_ts: int) -> MarketEvent:
        side = {"B": "buy", "S": "sell"}.get(item.tks, "")
        return Trade(
            item.S,
            nanoseconds(item.t),
            recv_ts,
            item.p,
            item.s,
            join_conditions(item.c),
            side,  # type: ignore[arg-type]  # one of the three
            str(item.i),
            item.x,
            item.z,
        )

    def _quote(self, item: QuoteMessage, recv_ts: int) -> MarketEvent:
        nan, at = float("nan"), nanoseconds(item.t)
        lot = self._lots.at(at)
        return Quote(
            item.S,
            at,
            recv_ts,
            item.bp or nan,  # 0 is how this vendor says that there is no bid
            item.ap or nan,
            item.bs * lot,
            item.as_ * lot,
            join_conditions(item.c),
            item.bx,
            item.ax,
            item.z,
        )

    def _bar(self, item: BarMessage, recv_ts: int) -> MarketEvent:
        start = nanoseconds(item.t)
        daily = isinstance(item, DailyMessage)
        session = self._hours.session(start + 12 * 60 * MINUTE_NS) if daily else None
        close = start + MINUTE_NS if not daily else session.close_ns if session is not None else start
        return Bar(
            item.S,
            close,
            recv_ts,
            "1d" if daily else "1m",
            item.o,
            item.h,
            item.l,
            item.c,
            item.v,
            item.vw if item.vw is not None else float("nan"),
            int(item.n) if item.n is not None else -1,
            updated=type(item) is not BarMessage,
            extended=not daily and self._hours.is_extended(close),
        )


def open_stream(
    symbols: Sequence[str],
    channels: Sequence[Channel],
    *,
    feed: str = "iex",
    settings: Settings | None = None,
    wall: Clock | None = None,
    seed: int = 0,
    limit: int = 100_000,
    plan_symbols: int = 30,
    lots: Lots | None = None,
    patience: Patience | None = None,
    backfill: Where = "here",
) -> Stream:
    """Alpaca's live events, with gaps marked and minute bars filled in.

    Daily bars are sent again each minute while the day lasts, labelled by its close and `updated`.

    Args:
        feed: `iex`, `sip`, ..., or `crypto`. wall: clock of waits and `recv_ts`. seed: of the spread of waits.
        limit: events that may wait for the reader. plan_symbols: trades and quotes the plan allows; 0: any number.
        lots: shares of one unit of quoted size; default: the setting ONETAPE_ALPACA_LOT. backfill: who asks for the
            minute bars of a gap, where they are subscribed.

    Raises:
        AuthError: a key is not set. UsageError: a symbol, channel or feed, more than the plan allows, or another
            process of this machine has the key's one connection.
    """
    wall = WallClock() if wall is None else wall
    settings = load_settings() if settings is None else settings
    names = http_history.check_tickers(symbols, VENDOR)
    if feed not in FEEDS:
        raise UsageError(f"{VENDOR} has no feed {feed!r}; there is {', '.join(FEEDS)}")
    crypto = feed == "crypto"
    for channel in channels:
        if channel not in NAMES or (channel == "books" and not crypto):
            known = [each for each in NAMES if each != "books" or crypto]
            raise UsageError(f"{VENDOR} has no channel {channel!r} on {feed}; there is {', '.join(known)}")
    counted = len(names) * len(set(channels) & set(COUNTED))
    if plan_symbols and counted > plan_symbols and not crypto:
        raise UsageError(f"{counted} channels of trades and quotes asked for; the plan allows {plan_symbols}")
    key, secret = http_history.need(settings, VARIABLES, KEYS_FROM)
    if lots is None or crypto:
        lots = Lots("1" if crypto else settings.alpaca_lot, "ONETAPE_ALPACA_LOT")
    path = PATHS.get(feed, f"v2/{feed}")
    hours = AlwaysOpen() if feed in ("crypto", "test") else Hours()
    dialect = AlpacaDialect(
        f"{settings.apca_stream_url or HOST}/{path}",
        key.get_secret_value(),
        secret.get_secret_value(),
        names,
        channels,
        hours,
        lots,
    )
    lock = ConnectionLock(settings.store, VENDOR, path, key)
    fill: Backfill | None = None
    if "bars" in channels and backfill == "apart":
        fill = apart("alpaca", feed, settings, wall)
    elif "bars" in channels and backfill == "here":
        fill = backfill_of(settings, feed, wall, patience or Patience())
    audit = {"trades", "bars"} <= set(channels)
    return Stream(
        dialect, clock=wall, hours=hours, seed=seed, limit=limit, backfill=fill, audit=audit, release=lock.release
    )
