"""Protections at a broker that cannot amend: what is wanted, what stands, and the way from one to the other.

A changed level is a cancel, the wait for its end, and a new order under a key of its own, for what is then left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from live.brokers.wire_orders import Ticket, key_of
from live.core.commands import Cancel, Protect
from live.core.events import BrokerEvent, OrderCancelled, OrderExpired, OrderRefused

if TYPE_CHECKING:
    from live.brokers.wire_desk import Desk


@dataclass
class Guard:
    """One position's protection. told: its end has been told."""

    order_id: str
    symbol: str
    wanted: Protect | None
    tickets: list[Ticket] = field(default_factory=list)
    told: bool = False

    @property
    def filled(self) -> float:
        """Shares done under all of its keys."""
        return sum(ticket.filled for ticket in self.tickets)

    @property
    def accepted(self) -> bool:
        """The broker has had it under one of its keys."""
        return any(ticket.accepted for ticket in self.tickets)

    @property
    def standing(self) -> list[Ticket]:
        """Those that may still trade."""
        return [ticket for ticket in self.tickets if ticket.stage != "over"]


class Guards:
    """Every protection of one account."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._guards: dict[str, Guard] = {}

    def protect(self, command: Protect) -> list[BrokerEvent]:
        """Let this stand from now on."""
        guard = self._guards.get(command.order_id)
        if guard is None:
            guard = self._guards[command.order_id] = Guard(command.order_id, command.symbol, command)
        elif guard.told:
            return []
        guard.wanted = command
        return self._advance(guard)

    def cancel(self, command: Cancel) -> list[BrokerEvent] | None:
        """Let nothing stand any more; None where it is no protection."""
        guard = self._guards.get(command.order_id)
        if guard is None:
            return None
        guard.wanted = None
        return self._advance(guard)

    def adopt(self, command: Protect, ticket: Ticket) -> None:
        """A protection of an earlier process; said in the order in which it was wanted."""
        guard = self._guards.setdefault(command.order_id, Guard(command.order_id, command.symbol, command))
        for older in guard.tickets:
            older.cancel_wanted = True  # another took its place: it is never sent again
        guard.tickets.append(ticket)
        guard.wanted = command

    def advance(self) -> list[BrokerEvent]:
        """Take every protection a step further."""
        return [event for guard in list(self._guards.values()) for event in self._advance(guard)]

    def owns(self, ticket: Ticket) -> bool:
        """Whether the ticket is a protection's."""
        return ticket.order_id in self._guards

    def may_go_again(self, ticket: Ticket) -> bool:
        """False where a second try of the ticket could stand beside another order, or be too large."""
        guard = self._guards.get(ticket.order_id)
        if guard is None or not isinstance(ticket.command, Protect):
            return True
        since = guard.filled - ticket.filled - ticket.command.filled
        alone = all(other is ticket for other in guard.standing)
        return alone and abs(ticket.command.quantity - since - ticket.quantity) < 1e-9

    def never(self, ticket: Ticket) -> bool:
        """Whether the broker has had none of this ticket's protection, under any key; that is then its end."""
        guard = self._guards.get(ticket.order_id)
        if guard is None or guard.told or guard.standing or guard.accepted or guard.filled:
            return False
        guard.told = True
        return True

    def resize(self, ticket: Ticket) -> bool:
        """Let a ticket that never left ask for what there is to protect by now; False where that is nothing."""
        guard = self._guards.get(ticket.order_id)
        if guard is not None and isinstance(ticket.command, Protect):
            since = guard.filled - ticket.filled - ticket.command.filled
            ticket.quantity = round(max(ticket.command.quantity - since, 0.0), 9)
        return ticket.quantity > 0.0

    def in_the_way(self, symbol: str) -> bool:
        """Whether an unwanted protection may still hold shares of the symbol."""
        # Where nothing can be sold short, an order that stays unknown may not keep a position from being left.
        shorts = self._desk.capabilities.shorts
        unwanted = [g for g in self._guards.values() if g.symbol == symbol and g.wanted is None]
        return any(shorts or not ticket.quarantined for guard in unwanted for ticket in guard.standing)

    def filled(self, symbol: str) -> float:
        """Shares that protections of the symbol have traded."""
        return sum(guard.filled for guard in self._guards.values() if guard.symbol == symbol)

    def _advance(self, guard: Guard) -> list[BrokerEvent]:
        events: list[BrokerEvent] = []
        wanted = guard.wanted
        for ticket in guard.standing:
            if wanted is None or ticket.key != key_of(wanted):
                events += self._desk.withdraw(ticket)
        if guard.told or guard.standing:
            return events
        last = guard.tickets[-1] if guard.tickets else None
        ended = last is not None and last.ended in ("filled", "refused")  # a refusal was told: what follows is another
        if last is not None and (ended or wanted is None or last.key == key_of(wanted)):
            return events + self._over(guard, last)
        if wanted is None:
            guard.told = True
            return [*events, OrderCancelled(self._desk.now(), guard.order_id)]
        left = round(wanted.quantity - (guard.filled - wanted.filled), 9)
        if left <= 0.0:
            return events + self._over(guard, last)
        ticket = Ticket(guard.order_id, key_of(wanted), wanted, left, exits=True, quiet=True)
        ticket.accepted = ticket.working = guard.accepted
        ticket.born_ns = self._desk.now()
        guard.tickets.append(ticket)
        self._desk.track(ticket)
        return events + self._desk.send(ticket)

    def _over(self, guard: Guard, last: Ticket | None) -> list[BrokerEvent]:
        """Nothing stands and nothing more is wanted: say how it ended, once."""
        guard.told = True
        now = self._desk.now()
        if last is None or last.ended in ("filled", "refused"):
            return []
        if last.ended == "expired":
            return [OrderExpired(now, guard.order_id)]
        if last.ended == "rejected":
            return [OrderRefused(now, guard.order_id, last.reason, late=guard.accepted)]
        return [OrderCancelled(now, guard.order_id)]
