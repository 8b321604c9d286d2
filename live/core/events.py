"""What the core may hear of: market rows, what the broker says, timers, and a person's word.

Every event carries `ts`, UTC nanoseconds on the feed's clock, given by whoever made it: the core has no clock.
Prices in quote currency, quantities in shares and positive; the order says which side.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from data.rows import Row
from live.core.facts import AccountFacts, Gate, SymbolFacts

__all__ = [
    "AccountFacts",
    "AmendSent",
    "BrokerEvent",
    "CashMoved",
    "Event",
    "Fill",
    "Gate",
    "News",
    "Operator",
    "OrderAccepted",
    "OrderCancelled",
    "OrderExpired",
    "OrderQuarantined",
    "OrderRefused",
    "OrderSeen",
    "OrderSent",
    "OrderUnknown",
    "PersonSays",
    "Row",
    "Snapshot",
    "SymbolFacts",
    "Timer",
    "decode_event",
    "encode",
]


class OrderSent(msgspec.Struct, frozen=True, gc=False, tag="sent"):
    """The shell is about to send: durable before the first byte leaves. attempt: 1 the first time."""

    ts: int
    order_id: str
    attempt: int = 1


class AmendSent(msgspec.Struct, frozen=True, gc=False, tag="amending"):
    """The shell is about to send a changed protection under a key of its own: durable before the first byte leaves."""

    ts: int
    order_id: str
    key: str


class OrderAccepted(msgspec.Struct, frozen=True, gc=False, tag="accepted"):
    """The broker has the order. working: it also said that the order is live at the venue."""

    ts: int
    order_id: str
    working: bool = False


class OrderRefused(msgspec.Struct, frozen=True, gc=False, tag="refused"):
    """The broker's documented refusal; never a lost answer. late: it had accepted the order before."""

    ts: int
    order_id: str
    reason: str
    late: bool = False


class OrderUnknown(msgspec.Struct, frozen=True, gc=False, tag="unknown"):
    """The answer was lost. The order counts in full until evidence comes."""

    ts: int
    order_id: str
    reason: str


class OrderQuarantined(msgspec.Struct, frozen=True, gc=False, tag="quarantined"):
    """Evidence did not come; a person is needed."""

    ts: int
    order_id: str
    reason: str


class OrderExpired(msgspec.Struct, frozen=True, gc=False, tag="expired"):
    """The order's time ran out; what was not filled is gone."""

    ts: int
    order_id: str


class OrderCancelled(msgspec.Struct, frozen=True, gc=False, tag="cancelled"):
    """The broker confirms a cancel; what was not filled is gone."""

    ts: int
    order_id: str


class Fill(msgspec.Struct, frozen=True, gc=False, tag="fill"):
    """One execution of an order. execution_id: the broker's; the same one twice is one fill. fee in dollars.

    leg: of a protection, which level was met.
    """

    ts: int
    order_id: str
    execution_id: str
    quantity: float
    price: float
    fee: float
    leg: Literal["", "stop", "target"] = ""


class OrderSeen(msgspec.Struct, frozen=True, gc=False):
    """An order in the broker's record. filled: shares, None where the record does not say."""

    order_id: str
    status: Literal["working", "filled", "cancelled", "expired", "rejected"]
    filled: float | None = None


class Snapshot(msgspec.Struct, frozen=True, gc=False, tag="snapshot"):
    """The broker's record at one time, to compare the books with.

    positions: signed shares of all that is held. orders: those it shows, ended ones where it shows them. fills: recent
    executions. absent: keys whose whole history was asked for, longer after the last attempt than the broker needs to
    show an order, with no request of theirs in flight, and that it does not have.
    """

    ts: int
    why: Literal["start", "reconnect", "timer", "person"]
    positions: dict[str, float]
    cash: float
    orders: list[OrderSeen] = []
    fills: list[Fill] = []
    absent: list[str] = []


class CashMoved(msgspec.Struct, frozen=True, gc=False, tag="cash"):
    """Cash came or went without an order of ours. amount: dollars, negative where it went.

    source: who says so: the broker's list of such moves, or what the fees of sales can be, where it has none. evidence:
    its name there; the same one twice is one move. note: in the broker's words. A deposit or a withdrawal is no profit
    and no loss.
    """

    ts: int
    amount: float
    kind: Literal["fee", "dividend", "interest", "deposit", "withdrawal", "other"]
    source: Literal["broker", "fee model"]
    evidence: str
    note: str = ""


class PersonSays(msgspec.Struct, frozen=True, gc=False, tag="person"):
    """What became of an order that the broker does not tell of, by the word of a person with a name."""

    ts: int
    order_id: str
    outcome: Literal["never arrived", "cancelled"]
    who: str


class Timer(msgspec.Struct, frozen=True, gc=False, tag="timer"):
    """Time has passed without a row."""

    ts: int


class Operator(msgspec.Struct, frozen=True, gc=False, tag="operator"):
    """A person's word. halt: no new risk, waiting entries are cancelled. flatten: halt, and leave every position.

    cash: typed with a resume, the broker's cash as the person has seen it there; ours becomes that.
    """

    ts: int
    action: Literal["halt", "resume", "flatten"]
    who: str = ""
    note: str = ""
    cash: float | None = None


BrokerEvent = (
    OrderSent | OrderAccepted | OrderRefused | OrderUnknown | OrderQuarantined | OrderExpired | OrderCancelled | Fill
)
News = Gate | SymbolFacts | AccountFacts
"""What neither the market's rows nor the broker's answers say; see `live.core.facts`."""
Event = Row | BrokerEvent | AmendSent | Timer | Operator | News | Snapshot | PersonSays | CashMoved

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Event)


def encode(message: msgspec.Struct) -> bytes:
    """The canonical bytes of an event or a command; floats keep all bits."""
    return _encoder.encode(message)


def decode_event(body: bytes) -> Event:
    """The event of these bytes.

    Raises:
        msgspec.MsgspecError: they are not an event.
    """
    event: Event = _decoder.decode(body)
    return event
