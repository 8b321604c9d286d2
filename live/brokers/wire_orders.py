"""Orders between us and a broker: what we sent, what it says it has, and what may be concluded.

A `Ticket` is one order at the broker. `learn` is the one place where a broker's word becomes events: each execution
once, whatever comes twice or out of order, and an end only when all its fills are known.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from live.brokers.wire import Lost
from live.core.commands import Protect, Side, Submit
from live.core.events import BrokerEvent, Fill, OrderAccepted, OrderCancelled, OrderExpired, OrderRefused
from live.core.orders import NAMESPACE

Status = Literal["pending", "working", "filled", "cancelled", "expired", "rejected"]
"""pending: the broker has it. working: the venue has it, in part filled or not; also any state that we do not know."""
Stage = Literal["due", "held", "unknown", "open", "over"]
"""due: to be sent. held: to be sent when a cancel has ended. unknown: sent, no answer. open: the broker has it."""
SHORT_LOOKS = 3


class Done(msgspec.Struct, frozen=True):
    """One execution in the broker's words."""

    id: str
    quantity: float
    price: float
    fee: float = 0.0
    leg: Literal["", "stop", "target"] = ""


class Seen(msgspec.Struct, frozen=True):
    """An order in the broker's words, whatever its dialect.

    key: as we named it, "" where the broker does not say. filled, average: shares done and their price. done: its
    executions, None where only sums are told. last: the execution that this news is about, where only one is told.
    created_ns: when the broker took it.

    Raises:
        Lost: shares were done, but at no price; or all of them, but none is told of.
    """

    venue_id: str
    key: str
    symbol: str
    side: Side
    kind: str
    quantity: float
    status: Status
    filled: float
    average: float
    created_ns: int
    done: tuple[Done, ...] | None = None
    last: Done | None = None
    fee: float = 0.0
    reason: str = ""

    def __post_init__(self) -> None:
        if self.filled > 0.0 and not self.average > 0.0 and not self.done:
            raise Lost(f"{self.filled:g} shares were done at no price")
        if self.status == "filled" and not self.filled > 0.0:
            raise Lost("an order that is filled without a share")


@dataclass
class Ticket:
    """One order at the broker. key: its name there; ours, but for an amended protection.

    quiet: its end is told by the protection that it is a part of. born_ns: when it was asked for. first_ns, sent_ns:
    when its first try left, and its last. settled_ns: since when no request of its key is under way. absences: whole
    lists in a row, late enough to count, that do not have it. likely: the last list has an order that may be this one.
    """

    order_id: str
    key: str
    command: Submit | Protect
    quantity: float
    exits: bool
    quiet: bool = False
    born_ns: int = 0
    filled_before: float = 0.0
    reason: str = ""
    stage: Stage = "due"
    first_ns: int = 0
    sent_ns: int = 0
    attempts: int = 1
    not_before_ns: int = 0
    cleared: bool = True
    registered: bool = False
    told_unknown: bool = False
    quarantined: bool = False
    unknown_ns: int = 0
    missed: int = 0
    settled_ns: int = 0
    absences: int = 0
    likely: bool = False
    cancel_wanted: bool = False
    cancel_sent_ns: int = 0
    venue_id: str = ""
    accepted: bool = False
    working: bool = False
    filled: float = 0.0
    paid: float = 0.0
    fees: float = 0.0
    ended: str = ""
    executions: set[str] = field(default_factory=set)
    short: int = 0
    by_sums: bool = False

    @property
    def symbol(self) -> str:
        """What it trades."""
        return self.command.symbol

    @property
    def limit(self) -> float:
        """The worst price that it takes; 0 for any."""
        if isinstance(self.command, Submit):
            return self.command.limit
        return self.command.target if self.command.stop != self.command.stop else 0.0

    @property
    def kind(self) -> Literal["market", "stop", "limit", "pair"]:
        """How it stands at the broker; `pair`: a stop and a target, one cancels the other."""
        if isinstance(self.command, Submit):
            return "limit" if self.limit > 0.0 else "market"
        has_stop, has_target = (level == level for level in (self.command.stop, self.command.target))
        return "pair" if has_stop and has_target else "stop" if has_stop else "limit"


def key_of(command: Submit | Protect) -> str:
    """What the order is named at the broker: our id; an amended protection is another order there, so its own."""
    if isinstance(command, Submit) or not command.amends:
        return command.order_id
    what = f"{command.order_id}|{command.ts}|{command.stop!r}|{command.target!r}|{command.quantity!r}"
    return str(uuid.uuid5(NAMESPACE, what))


def learn(ticket: Ticket, seen: Seen, now: int) -> list[BrokerEvent]:
    """What the broker's word about a ticket adds to what is known; nothing where it is old news."""
    events: list[BrokerEvent] = []
    ticket.venue_id = ticket.venue_id or seen.venue_id
    if ticket.stage != "over":
        ticket.stage = "open"
    ended = seen.status not in ("pending", "working")
    if seen.status != "rejected" and not ticket.ended and (not ticket.accepted or not ticket.working):
        working = seen.status != "pending"
        if not ticket.accepted or working:
            events.append(OrderAccepted(now, ticket.order_id, working))
            ticket.accepted, ticket.working = True, working
    events += _fills(ticket, seen, now)
    complete = ticket.filled >= seen.filled - 1e-9
    if ended and not ticket.ended and complete:
        ticket.ended, ticket.stage, ticket.reason = seen.status, "over", seen.reason or "rejected without a reason"
        if ticket.quiet:
            return events
        if seen.status == "cancelled":
            events.append(OrderCancelled(now, ticket.order_id))
        elif seen.status == "expired":
            events.append(OrderExpired(now, ticket.order_id))
        elif seen.status == "rejected":
            events.append(OrderRefused(now, ticket.order_id, ticket.reason, late=ticket.accepted))
    return events


def _fills(ticket: Ticket, seen: Seen, now: int) -> list[BrokerEvent]:
    """Executions not heard of before; where the broker tells sums only, one for what they have grown by."""
    events: list[BrokerEvent] = []
    if seen.done is not None and not ticket.by_sums:
        events += [_filled(ticket, each, now) for each in seen.done if each.id not in ticket.executions]
        if ticket.filled >= seen.filled - 1e-9:
            return events
        ticket.short += 1
        if ticket.short < SHORT_LOOKS:  # the list of executions lags behind its sum: it will come
            return events
    more = seen.filled - ticket.filled
    if more <= 1e-9:
        return events
    ticket.by_sums = True
    leg, name = (seen.last.leg if seen.last else ""), f"{ticket.venue_id}@{seen.filled:.9g}"
    if seen.last is not None and abs(seen.last.quantity - more) < 1e-9:
        price = seen.last.price
    else:
        price = round((seen.average * seen.filled - ticket.paid) / more, 6)
    each = Done(name, round(more, 9), price, max(round(seen.fee - ticket.fees, 6), 0.0), leg)
    events.append(_filled(ticket, each, now))
    return events


def _filled(ticket: Ticket, each: Done, now: int) -> Fill:
    ticket.executions.add(each.id)
    ticket.filled = round(ticket.filled + each.quantity, 9)
    ticket.paid += each.quantity * each.price
    ticket.fees += each.fee
    leg, name = each.leg, each.id
    if ticket.key != ticket.order_id:  # of an amended protection: after a restart it must be known which of its orders
        name = f"{ticket.key}/{name}"
    if not leg and isinstance(ticket.command, Protect):
        leg = "target" if ticket.kind == "limit" else "stop"
    return Fill(now, ticket.order_id, name, each.quantity, each.price, each.fee, leg)
