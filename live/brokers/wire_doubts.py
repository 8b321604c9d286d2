"""Orders that the broker may have, or may not: the rules of evidence for them.

* A lost answer is UNKNOWN, and counts until the broker tells.
* A second try carries the same key, and is told of (`OrderSent`) one `poll` before it leaves, so that it is durable. It
  stays here where the order was asked back meanwhile, or where the broker may forget the key before it arrives.
* Not finding an order proves nothing by itself. Whole lists of the broker's that do not have it, several in a row, long
  after the last try, are evidence (`Books.absent`); an order that stays unknown for longer is quarantined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from data.calendar import SECOND_NS
from live.brokers.wire_orders import Ticket
from live.core.events import BrokerEvent, OrderQuarantined, OrderSent, OrderUnknown

if TYPE_CHECKING:
    from live.brokers.wire_desk import Desk


class Doubts:
    """What may be concluded, and done, about the orders of one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._recalled: set[str] = set()

    def recall(self, order_id: str) -> None:
        """Nothing of this order is to leave any more. From any thread, while a call runs: it is looked at last."""
        self._recalled.add(order_id)

    def lost(self, ticket: Ticket, reason: str) -> list[BrokerEvent]:
        """No answer, or one that does not say; told once for each try."""
        ticket.stage = "unknown"
        ticket.unknown_ns = ticket.unknown_ns or self._desk.now()
        if ticket.told_unknown:
            return []
        ticket.told_unknown = True
        return [OrderUnknown(self._desk.now(), ticket.order_id, reason)]

    def advance(self, ticket: Ticket, now: int) -> list[BrokerEvent]:
        """What the time has come for: a second try, or a person."""
        desk = self._desk
        may_resend = (
            desk.capabilities.dedupes != "no"
            and not ticket.registered
            and ticket.missed > 0
            and ticket.attempts <= desk.patience.resends
            and now >= ticket.not_before_ns
            and now - ticket.sent_ns > desk.capabilities.visibility_delay_s * SECOND_NS
            and (ticket.exits or desk.is_fresh(ticket))
            and desk.guards.may_go_again(ticket)
        )
        why = self.stays(ticket)
        if ticket.cleared and why:
            return self.unmark(ticket, why)
        if ticket.cleared or (may_resend and not why):
            return self.again(ticket)
        if not ticket.quarantined and now - ticket.unknown_ns > desk.patience.quarantine_s * SECOND_NS:
            ticket.quarantined = True
            known = "it was registered, but is not in any list" if ticket.registered else "it was found nowhere"
            return [OrderQuarantined(now, ticket.order_id, known)]
        return []

    def again(self, ticket: Ticket) -> list[BrokerEvent]:
        """Send once more; what is about to leave is told first, and leaves at the next poll."""
        desk = self._desk
        if not ticket.exits and not desk.is_fresh(ticket) and ticket.stage == "due":
            return desk.drop(ticket)
        if not ticket.cleared:
            ticket.cleared = True
            ticket.attempts += 1
            return [OrderSent(desk.now(), ticket.order_id, ticket.attempts)]
        return desk.send(ticket)

    def stays(self, ticket: Ticket) -> str:
        """Why nothing of the order may leave now, whatever was planned; "" where it may."""
        desk = self._desk
        if ticket.cancel_wanted or ticket.order_id in self._recalled:
            ticket.cancel_wanted = True
            return "it was taken back before it was sent again"
        window_s = desk.capabilities.key_window_s - desk.patience.arrives_s
        if ticket.unknown_ns and desk.now() - ticket.first_ns >= window_s * SECOND_NS:
            return "the broker may forget its key before it arrives"
        return ""

    def unmark(self, ticket: Ticket, why: str) -> list[BrokerEvent]:
        """A second try that was told of, and does not leave after all."""
        ticket.cleared = False
        ticket.attempts -= 1
        return [OrderUnknown(self._desk.now(), ticket.order_id, why)]

    def counts(self, ticket: Ticket, began: int) -> bool:
        """Whether a whole list, asked for at `began`, that does not have the order says anything.

        No request of its key is under way, and the last one is longer ago than the broker needs to show an order, by a
        good deal: it may have been held up on its way, or the list come from an old copy. Never where the broker has
        said that it knows the key, or where an order in the list may be this one.
        """
        desk = self._desk
        least_s = max(desk.patience.absent_s, 3.0 * desk.capabilities.visibility_delay_s)
        late = began - ticket.settled_ns >= least_s * SECOND_NS
        return late and desk.capabilities.list_includes_closed and not ticket.registered and not ticket.likely

    def absent(self, alive: Sequence[str]) -> list[str]:
        """Orders of which the broker's lists are the evidence that it never had them; they are over."""
        desk = self._desk
        found = []
        for ticket in desk.out():
            never = ticket.stage == "unknown" and not ticket.cleared and not ticket.filled and not ticket.accepted
            if never and ticket.absences >= desk.patience.absent_looks and ticket.order_id not in alive:
                ticket.stage, ticket.ended = "over", "dropped"
                if not ticket.quiet or desk.guards.never(ticket):
                    found.append(ticket.order_id)
        return found
