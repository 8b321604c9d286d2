"""The labelled points at which a process may die: tests kill it there, and what it left must still be believed.

A session calls its `mark` with one of these names. It does nothing unless a test gave it something to do.
"""

from __future__ import annotations

from collections.abc import Callable

from live.core.events import (
    AmendSent,
    CashMoved,
    Event,
    Fill,
    Gate,
    Operator,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderSent,
    OrderUnknown,
    PersonSays,
    Row,
    Snapshot,
)

Mark = Callable[[str], None]

KINDS: dict[type[Event], str] = {
    Row: "row",
    OrderSent: "sending",
    AmendSent: "amending",
    OrderAccepted: "ack",
    OrderRefused: "refusal",
    OrderUnknown: "unknown",
    OrderQuarantined: "quarantine",
    OrderExpired: "expiry",
    OrderCancelled: "cancel-ack",
    Fill: "fill",
    Snapshot: "snapshot",
    Operator: "word",
    CashMoved: "cash",
    PersonSays: "person",
    Gate: "gate",
}
"""Events whose way into the journal has points of its own: before it is written, when it is, when it is applied."""

POINTS: tuple[str, ...] = (
    *(f"{kind}.{where}" for kind in KINDS.values() for where in ("before", "written", "applied")),
    "intent.before", "intent.written",  # a Submit or Protect into the journal
    "cancel.before", "cancel.written",  # a Cancel
    "loss.before", "loss.written",  # a halt by the day's or the week's loss
    "day.before", "day.after",  # the first row of another session
    "commit.before", "commit.after",
    "request.before",  # the intent and the mark that it is sent are durable; the broker has not been called
    "request.after",  # the broker has answered; nothing of it is written
    "poll.before", "poll.after",
    "resume.before", "resume.after",
    "open.before", "open.after",
    "books.before", "books.after",
    "depth.before", "depth.after",  # the price book
    "digest.before", "digest.after",
    "close.before", "close.after",
)  # fmt: skip
"""Every name that `mark` is called with."""


def nothing(_name: str) -> None:
    """What a mark does."""
