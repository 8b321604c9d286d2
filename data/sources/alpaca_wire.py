"""The messages of Alpaca's stream in msgpack, and the events they become."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import msgspec

from data.calendar import SECOND_NS
from data.events import (
    BookDelta,
    BookSnapshot,
    Level,
    MarketEvent,
    Status,
    TradeCancel,
    TradeCorrection,
    join_conditions,
)

STATES = {"T": "trading", "3": "trading", "P": "paused", "M": "paused", "Q": "quoting", "5": "quoting", "6": "quoting"}
Ext = msgspec.msgpack.Ext


class ItemMessage(msgspec.Struct, tag_field="T"):
    """Any message; each kind names its fields as the vendor does."""


class SymbolMessage(ItemMessage):
    S: str
    t: Ext


class TradeMessage(SymbolMessage, tag="t"):
    p: float
    s: float
    i: int | str = ""
    x: str = ""
    c: list[str] | None = None
    z: str = ""
    tks: str = ""


class QuoteMessage(SymbolMessage, tag="q"):
    bp: float
    ap: float
    bs: float
    as_: float = msgspec.field(name="as")
    bx: str = ""
    ax: str = ""
    c: list[str] | None = None
    z: str = ""


class BarMessage(SymbolMessage, tag="b"):
    o: float
    h: float
    l: float  # noqa: E741  # the vendor's name
    c: float
    v: float
    n: float | None = None
    vw: float | None = None


class UpdatedMessage(BarMessage, tag="u"):
    pass


class DailyMessage(BarMessage, tag="d"):
    pass


class StatusMessage(SymbolMessage, tag="s"):
    sc: str
    sm: str = ""
    rc: str = ""
    rm: str = ""
    z: str = ""


class BandsMessage(SymbolMessage, tag="l"):
    u: float
    d: float
    i: str = ""
    z: str = ""


class CorrectionMessage(SymbolMessage, tag="c"):
    oi: int | str
    op: float
    os: float
    ci: int | str
    cp: float
    cs: float
    cc: list[str] | None = None
    x: str = ""
    z: str = ""


class CancelMessage(SymbolMessage, tag="x"):
    i: int | str
    p: float
    s: float
    a: str = ""
    x: str = ""
    z: str = ""


class LevelMessage(msgspec.Struct):
    p: float
    s: float


class BookMessage(SymbolMessage, tag="o"):
    b: list[LevelMessage]
    a: list[LevelMessage]
    r: bool = False


class SuccessMessage(ItemMessage, tag="success"):
    msg: str


class ErrorMessage(ItemMessage, tag="error"):
    code: int
    msg: str = ""


class SubscriptionMessage(ItemMessage, tag="subscription"):
    trades: list[str] = []  # msgspec copies it
    quotes: list[str] = []
    bars: list[str] = []
    updatedBars: list[str] = []  # noqa: N815  # the vendor's name
    dailyBars: list[str] = []  # noqa: N815
    statuses: list[str] = []
    lulds: list[str] = []
    orderbooks: list[str] = []


_MARKET = (
    TradeMessage
    | QuoteMessage
    | BarMessage
    | UpdatedMessage
    | DailyMessage
    | StatusMessage
    | BandsMessage
    | CorrectionMessage
    | CancelMessage
    | BookMessage
)
_frames = msgspec.msgpack.Decoder(list[_MARKET | SuccessMessage | ErrorMessage | SubscriptionMessage])
_item = msgspec.msgpack.Decoder(_MARKET | SuccessMessage | ErrorMessage | SubscriptionMessage)
_raw = msgspec.msgpack.Decoder(list[msgspec.Raw])


def read_frame(frame: bytes | str) -> tuple[list[Any], int]:
    """The messages of a frame, and how many could not be read: one bad item does not take its neighbours along."""
    if isinstance(frame, str):
        return [], 1
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


def nanoseconds(stamp: Ext) -> int:
    """UTC nanoseconds of msgpack's timestamp type, in any of its three sizes."""
    data = bytes(stamp.data)
    if len(data) == 8:
        (both,) = struct.unpack(">Q", data)
        return int((both & 0x3_FFFF_FFFF) * SECOND_NS + (both >> 34))
    if len(data) == 4:
        return int.from_bytes(data, "big") * SECOND_NS
    part, seconds = struct.unpack(">Iq", data)
    return int(seconds * SECOND_NS + part)


def status_of(item: StatusMessage, recv_ts: int) -> MarketEvent:
    state = STATES.get(item.sc, "halted")  # an unknown code is taken for the worst
    told = {"code": item.sc, "reason": item.rm or item.sm, "tape": item.z}
    return Status(item.S, nanoseconds(item.t), recv_ts, state, **told)  # type: ignore[arg-type]  # one of the states


def bands_of(item: BandsMessage, recv_ts: int) -> MarketEvent:
    return Status(item.S, nanoseconds(item.t), recv_ts, "bands", item.d, item.u, code=item.i, tape=item.z)


def correction_of(item: CorrectionMessage, recv_ts: int) -> MarketEvent:
    return TradeCorrection(
        item.S,
        nanoseconds(item.t),
        recv_ts,
        str(item.oi),
        item.cp,
        item.cs,
        join_conditions(item.cc),
        str(item.ci),
        item.op,
        item.os,
        exchange=item.x,
        tape=item.z,
    )


def cancel_of(item: CancelMessage, recv_ts: int) -> MarketEvent:
    reason = {"C": "cancel", "E": "error"}.get(item.a, "")
    at = nanoseconds(item.t)
    return TradeCancel(item.S, at, recv_ts, str(item.i), item.p, item.s, reason, exchange=item.x, tape=item.z)


def book_of(item: BookMessage, recv_ts: int) -> MarketEvent:
    bids: list[Level] = [(each.p, each.s) for each in item.b]
    asks: list[Level] = [(each.p, each.s) for each in item.a]
    if not item.r:
        return BookDelta(item.S, nanoseconds(item.t), recv_ts, tuple(bids), tuple(asks))
    bids.sort(reverse=True)
    asks.sort()
    return BookSnapshot(item.S, nanoseconds(item.t), recv_ts, tuple(bids), tuple(asks))
