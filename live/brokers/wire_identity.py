"""Whether the broker is still the account, and the service, of the login; nothing new is sent to another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.calendar import SECOND_NS
from data.errors import AuthError
from live.brokers.wire import Changed, WireError
from live.brokers.wire_orders import Ticket
from live.brokers.wire_route import CheckedRoute
from live.core.events import BrokerEvent, OrderRefused

if TYPE_CHECKING:
    from live.brokers.wire_desk import Desk


class Identity:
    """changed: what it is now, where that is another; None where it is the same."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._checked = 0
        self.changed: Changed | None = None

    def opened(self) -> None:
        """It was looked at by opening the connection."""
        self._checked, self.changed = self._desk.now(), None

    @property
    def says(self) -> str:
        """What changed, "" for nothing."""
        return str(self.changed or "")

    def look(self) -> None:
        """Look again whether this is the account of the login: after each new connection or token, and at times."""
        desk = self._desk
        route = desk.route
        if not isinstance(route, CheckedRoute) or self.changed is not None:
            return
        due = route.renewed() or desk.now() - self._checked >= desk.patience.check_s * SECOND_NS
        if not due or not desk.budget.claim("poll"):
            return
        try:
            route.check()
        except Changed as other:
            self.close_for(other)
        except (WireError, AuthError) as error:
            desk.fails(error)  # it is asked again at the next poll; new risk waits meanwhile
        else:
            self._checked = desk.now()
            desk.budget.answered()

    def close_for(self, other: Changed) -> None:
        """Nothing new is sent until someone has looked and started again."""
        self.changed, self._desk.trouble = other, str(other)

    def stops(self, ticket: Ticket) -> list[BrokerEvent] | None:
        """What is not sent where the account, or the way to it, is another; None where the order may go."""
        desk = self._desk
        if not ticket.exits:
            self.look()
            if isinstance(desk.route, CheckedRoute) and desk.route.renewed() and self.changed is None:
                ticket.not_before_ns = desk.now()
                return []  # nobody could say: it is asked again at the next poll
        if self.changed is None or (ticket.exits and self.changed.ours):
            return None
        if ticket.unknown_ns:
            return desk.doubts.lost(ticket, str(self.changed))
        ticket.stage, ticket.ended = "over", "refused"
        return [OrderRefused(desk.now(), ticket.order_id, str(self.changed), late=ticket.accepted)]
