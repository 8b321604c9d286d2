"""The messages of Polygon's (Massive's) stream, and the events they become."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from data.calendar import SECOND_NS
from data.events import BookSnapshot, MarketEvent, Quote, Status, Trade, join_conditions
from data.sources.polygon import TAPES


class ItemMessage(msgspec.Struct, tag_field="ev"):
    """Any message; each kind names its fields as the vendor does."""


class TradeMessage(ItemMessage, tag="T"):
    sym: str
    p: float
    t: int
    s: float = 0.0
    i: str = ""
    x: int = 0
    z: int = 0
    c: list[int] | None = None
    q: int = -1
    ds: str = ""


class QuoteMessage(ItemMessage, tag="Q"):
    sym: str
    t: int
    bp: float = 0.0
    ap: float = 0.0
    bs: float = 0.0
    as_: float = msgspec.field(name="as", default=0.0)
    bx: int = 0
    ax: int = 0
    c: int | list[int] | None = None
    z: int = 0
    q: int = -1


class BarMessage(ItemMessage, tag="AM"):
    sym: str
    o: float
    h: float
    l: float  # noqa: E741  # the vendor's name
    c: float
    v: float
    s: int
    e: int
    vw: float = float("nan")
    dv: str = ""


class SecondMessage(BarMessage, tag="A"):
    pass


class BandsMessage(ItemMessage, tag="LULD"):
    T: str
    h: float
    l: float  # noqa: E741  # the vendor's name
    t: int
    i: list[int] | None = None
    z: int = 0


class CryptoTradeMessage(ItemMessage, tag="XT"):
    pair: str
    p: float
    s: float
    t: int
    i: str = ""
    x: int = 0
    c: list[int] | None = None


class CryptoQuoteMessage(ItemMessage, tag="XQ"):
    pair: str
    bp: float
    bs: float
    ap: float
    as_: float = msgspec.field(name="as")
    t: int
    x: int = 0


class CryptoBookMessage(ItemMessage, tag="XL2"):
    pair: str
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    t: int
    x: int = 0


class CryptoBarMessage(ItemMessage, tag="XA"):
    pair: str
    o: float
    h: float
    l: float  # noqa: E741  # the vendor's name
    c: float
    v: float
    s: int
    e: int
    vw: float = float("nan")


class CryptoSecondMessage(CryptoBarMessage, tag="XAS"):
    pass


class StatusMessage(ItemMessage, tag="status"):
    status: str
    message: str = ""


_MARKET = (
    TradeMessage
    | QuoteMessage
    | BarMessage
    | SecondMessage
    | BandsMessage
    | CryptoTradeMessage
    | CryptoQuoteMessage
    | CryptoBookMessage
    | CryptoBarMessage
    | CryptoSecondMessage
)
_frames = msgspec.json.Decoder(list[_MARKET | StatusMessage])
_item = msgspec.json.Decoder(_MARKET | StatusMessage)
_raw = msgspec.json.Decoder(list[msgspec.Raw])


def read_frame(frame: bytes | str) -> tuple[list[Any], int]:
    """The messages of a frame, and how many could not be read: one bad item does not take its neighbours along."""
    try:
        return _frames.decode(frame), 0
    except msgspec.DecodeError:
        pass
    try:
        parts = _raw.decode(frame)
    except msgspec.DecodeError:
        return [], 1
    items = []
    for part in parts:
        with contextlib.suppress(msgspec.DecodeError):
            items.append(_item.decode(part))
    return items, len(parts) - len(items)


def nanoseconds(told: int) -> int:
    """UTC nanoseconds of a time in seconds, milli-, micro- or nanoseconds: told by its size, not by the manual."""
    if told < 100_000_000_000:
        return told * SECOND_NS
    if told < 100_000_000_000_000:
        return told * 1_000_000
    if told < 100_000_000_000_000_000:
        return told * 1_000
    return told


def trade_of(item: TradeMessage, recv_ts: int) -> MarketEvent:
    size = float(item.ds) if item.ds else item.s
    codes, tape = join_conditions(item.c), TAPES.get(item.z, "")
    at = nanoseconds(item.t)
    return Trade(item.sym, at, recv_ts, item.p, size, codes, "", item.i, str(item.x), tape, item.q)


def bands_of(item: BandsMessage, recv_ts: int) -> MarketEvent:
    code = ",".join(str(each) for each in item.i or ())
    return Status(item.T, nanoseconds(item.t), recv_ts, "bands", item.l, item.h, code=code, tape=TAPES.get(item.z, ""))


def crypto_trade_of(item: CryptoTradeMessage, recv_ts: int) -> MarketEvent:
    # Here 1 and 2 say who crossed the spread; in stocks the same numbers are sale conditions.
    side = "sell" if item.c and 1 in item.c else "buy" if item.c and 2 in item.c else ""
    at = nanoseconds(item.t)
    return Trade(item.pair, at, recv_ts, item.p, item.s, "", side, item.i, str(item.x))  # type: ignore[arg-type]


def crypto_quote_of(item: CryptoQuoteMessage, recv_ts: int) -> MarketEvent:
    venue = str(item.x)
    at = nanoseconds(item.t)
    return Quote(item.pair, at, recv_ts, item.bp, item.ap, item.bs, item.as_, "", venue, venue)


def crypto_book_of(item: CryptoBookMessage, recv_ts: int) -> MarketEvent:
    bids, asks = tuple(sorted(item.b, reverse=True)), tuple(sorted(item.a))
    return BookSnapshot(item.pair, nanoseconds(item.t), recv_ts, bids, asks)
