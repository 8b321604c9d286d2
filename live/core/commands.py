"""What the core may ask for. A command is in the journal before the broker sees it.

Side and quantity are what the order does, not what the position becomes. Quantities in shares, positive.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

Side = Literal["buy", "sell"]


class Submit(msgspec.Struct, frozen=True, gc=False, tag="submit"):
    """Send an order.

    order_id: the client key, the same for every attempt. ts: the row it was decided at. good_for: "row" expires when
    the next row has no open for the symbol (entries), "fill" waits until it is filled (exits). limit: the worst price a
    limit order takes, 0 for a market order.
    """

    order_id: str
    ts: int
    symbol: str
    side: Side
    quantity: float
    reason: str
    good_for: Literal["row", "fill"]
    kind: Literal["market", "limit"] = "market"
    limit: float = 0.0


class Protect(msgspec.Struct, frozen=True, gc=False, tag="protect"):
    """Keep a stop and a target standing for a position; the one that is met first cancels the other.

    stop, target: levels; NaN for none. The stop becomes a market order when it is met, the target is a limit order.
    stop_reason: which of the two set the stop's level. Sent again under the same order_id (`amends`), it replaces
    levels and quantity. quantity: what is to stand; filled: shares of this order that were done when that was said, for
    a fill may come before it is sent.
    """

    order_id: str
    ts: int
    symbol: str
    side: Side
    quantity: float
    stop: float
    target: float
    stop_reason: Literal["stop", "trail"] = "stop"
    amends: bool = False
    filled: float = 0.0


class Cancel(msgspec.Struct, frozen=True, gc=False, tag="cancel"):
    """Take an order back."""

    order_id: str
    ts: int
    symbol: str


class Denied(msgspec.Struct, frozen=True, gc=False, tag="denied"):
    """An order that a control kept back: it never left. code: of the control; text: its numbers, as key=value."""

    order_id: str
    ts: int
    symbol: str
    side: Side
    quantity: float
    reason: str
    code: str
    text: str


class Alert(msgspec.Struct, frozen=True, gc=False, tag="alert"):
    """Tell a person. name: what it is, in dotted words that stay the same; text: one sentence."""

    ts: int
    level: Literal["info", "warning", "critical"]
    name: str
    text: str


Command = Submit | Protect | Cancel | Denied | Alert

_decoder = msgspec.msgpack.Decoder(Command)
_encoder = msgspec.msgpack.Encoder()


def decode_command(body: bytes) -> Command:
    """The command of these bytes.

    Raises:
        msgspec.MsgspecError: they are not a command.
    """
    command: Command = _decoder.decode(body)
    return command


def body_hash(command: Submit | Protect) -> bytes:
    """SHA-256 of an intent's canonical bytes: the same key with another body is a mistake of ours, not a retry."""
    return hashlib.sha256(_encoder.encode(command)).digest()
