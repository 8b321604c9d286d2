"""Market events: what a venue said, one message each, with two clocks.

`venue_ts` is when the venue says it happened, `recv_ts` when it reached us; both int64 UTC nanoseconds. `venue_ts`
is 0 where a venue gives no time. An event's place in a stream is the order in which it was received, never a sort
by either clock.

msgspec only, for the live process uses it; `data.events_columns` holds the same events as columns and as Parquet.
Equity sizes are in shares (a source that is told round lots converts), crypto sizes in coins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from data.errors import DataError

nan = float("nan")
NONE = -1
"""A sequence number or checksum the venue did not give."""

Level = tuple[float, float]
"""(price, size): one price level of a book."""
Side = Literal["buy", "sell", ""]


class Trade(msgspec.Struct, frozen=True, gc=False, tag="trade"):
    """One transaction printed by a venue.

    conditions: the vendor's sale-condition codes as given, joined by commas (`join_conditions`).
    aggressor: who crossed the spread; "" where the venue does not say. trade_id: "" where it gives none.
    exchange: the vendor's code of the venue. tape: `A`, `B` or `C` for US equities, else "".
    """

    symbol: str
    venue_ts: int
    recv_ts: int
    price: float
    size: float
    conditions: str = ""
    aggressor: Side = ""
    trade_id: str = ""
    exchange: str = ""
    tape: str = ""
    sequence: int = NONE


class TradeCorrection(msgspec.Struct, frozen=True, gc=False, tag="correction"):
    """A trade was printed wrongly: `trade_id` is to be read with the new price, size and conditions.

    trade_ts: `venue_ts` of the trade in question, 0 where the vendor does not repeat it.
    new_id: what later messages call the trade; "" keeps its id.
    """

    symbol: str
    venue_ts: int
    recv_ts: int
    trade_id: str
    price: float
    size: float
    conditions: str = ""
    new_id: str = ""
    old_price: float = nan
    old_size: float = nan
    trade_ts: int = 0
    exchange: str = ""
    tape: str = ""


class TradeCancel(msgspec.Struct, frozen=True, gc=False, tag="cancel"):
    """A trade never happened. reason: `cancel` (by agreement), `error` (by the venue) or "".

    trade_ts: as in `TradeCorrection`.
    """

    symbol: str
    venue_ts: int
    recv_ts: int
    trade_id: str
    price: float = nan
    size: float = nan
    reason: str = ""
    trade_ts: int = 0
    exchange: str = ""
    tape: str = ""


class Quote(msgspec.Struct, frozen=True, gc=False, tag="quote"):
    """Best bid and offer with their sizes: NBBO of a consolidated feed, or one venue's own. NaN: no such side."""

    symbol: str
    venue_ts: int
    recv_ts: int
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    conditions: str = ""
    bid_exchange: str = ""
    ask_exchange: str = ""
    tape: str = ""
    sequence: int = NONE


class BookSnapshot(msgspec.Struct, frozen=True, gc=False, tag="snapshot"):
    """A whole book: what was known before is void.

    bids, asks: levels, best first. sequence: number of the last change it holds. checksum: the venue's CRC32.
    """

    symbol: str
    venue_ts: int
    recv_ts: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    sequence: int = NONE
    checksum: int = NONE


class BookDelta(msgspec.Struct, frozen=True, gc=False, tag="delta"):
    """One message of changed levels, to be applied whole.

    bids, asks: (price, new total size); size 0 removes the level. A feed that sends one level a message fills one
    of the two. first, last: numbers of the first and last change in the message; prev: of the message before it.
    complete: False when more messages of the same instant follow, before which the book must not be read.
    """

    symbol: str
    venue_ts: int
    recv_ts: int
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    first: int = NONE
    last: int = NONE
    prev: int = NONE
    checksum: int = NONE
    complete: bool = True


class Bar(msgspec.Struct, frozen=True, gc=False, tag="bar"):
    """A vendor's own bar, labelled by its **close** instant (vendors stamp the start; a source adds the interval).

    venue_ts: the close. interval: a clock of `data.calendar` (`1s`, `1m`, `1d`). vwap: NaN where not given.
    trades: how many, -1 where not given. updated: a late trade changed a bar that was sent before.
    extended: it lies outside the regular session.
    """

    symbol: str
    venue_ts: int
    recv_ts: int
    interval: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float = nan
    trades: int = NONE
    updated: bool = False
    extended: bool = False


class Status(msgspec.Struct, frozen=True, gc=False, tag="status"):
    """May the symbol trade, and between which prices.

    state: `trading`, `halted`, `paused` (LULD or auction), `quoting` (quotes only), or `bands` when only the LULD
    bands moved. limit_down, limit_up: the bands, NaN where not told. code, reason: the vendor's words.
    """

    symbol: str
    venue_ts: int
    recv_ts: int
    state: Literal["trading", "halted", "paused", "quoting", "bands"]
    limit_down: float = nan
    limit_up: float = nan
    code: str = ""
    reason: str = ""
    tape: str = ""


class Gap(msgspec.Struct, frozen=True, gc=False, tag="gap"):
    """The feed was lost: what happened from `start_ts` to `end_ts` is not in the stream.

    symbol: "" for all. venue_ts: 0, no venue says this. start_ts: receive time of the last good message; end_ts: of
    the moment the feed was whole again, or of this event when it is not yet. A book is void until its next snapshot.
    """

    symbol: str
    venue_ts: int
    recv_ts: int
    start_ts: int
    end_ts: int
    reason: str
    feed: str = ""


MarketEvent: TypeAlias = Trade | TradeCorrection | TradeCancel | Quote | BookSnapshot | BookDelta | Bar | Status | Gap
KINDS: dict[str, type[MarketEvent]] = {
    "trade": Trade,
    "correction": TradeCorrection,
    "cancel": TradeCancel,
    "quote": Quote,
    "snapshot": BookSnapshot,
    "delta": BookDelta,
    "bar": Bar,
    "status": Status,
    "gap": Gap,
}
"""Every kind of event by its tag; also the names of a recording's tables."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(MarketEvent)


def encode_event(event: MarketEvent) -> bytes:
    """The canonical bytes (msgpack) of an event; floats keep all bits."""
    return _encoder.encode(event)


def decode_event(body: bytes) -> MarketEvent:
    """The event of these bytes.

    Raises:
        DataError: they are not an event.
    """
    try:
        event: MarketEvent = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise DataError(f"{len(body)} bytes are not a market event: {error}") from error
    return event


def join_conditions(codes: Iterable[str | int] | None) -> str:
    """Condition codes as one text: SIP characters as they are (`@,I`), Polygon's numbers with a hash (`#12,#37`).

    The hash tells the two apart, for both know a `4` and mean different things by it.
    """
    return ",".join(f"#{code}" if isinstance(code, int) else code for code in codes or ())
