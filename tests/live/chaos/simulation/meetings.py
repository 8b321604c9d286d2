"""Which faults meet orders in which states: the notes that the matrix of coverage is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from live.brokers.wire_orders import Ticket
from live.core.orders import Order, State

from .faults import Weather
from .venue import Order as VenueOrder

if TYPE_CHECKING:
    from .world import World

TWINS = {"unknown": State.UNKNOWN, "open": State.WORKING, "due": State.SENDING}
AT_VENUE = {"cancelled": State.CANCELLED, "expired": State.EXPIRED}


class Meetings:
    """Notes in `weather.met` what a fault meets. orders: those that the process has now, by their ids."""

    def __init__(self, weather: Weather, orders: Callable[[], Mapping[str, Order]]) -> None:
        self._weather, self._orders = weather, orders

    def every(self, fault: str) -> None:
        """A fault of the process or the world met every order."""
        for order in self._orders().values():
            self._note(fault, order.state)

    def tickets(self, fault: str, tickets: Sequence[Ticket]) -> None:
        """A request met these. A protection that was replaced is one order with us and more at the venue: what is asked
        behind its end is asked about the other of them, and counts where the desk has that one."""
        orders = self._orders()
        for ticket in tickets:
            order = orders.get(ticket.order_id)
            if order is not None:
                other = order.is_over and ticket.stage in TWINS
                self._note(fault, TWINS[ticket.stage] if other else order.state)

    def at_venue(self, fault: str, at_venue: VenueOrder) -> None:
        """The venue did something to an order; to the other one of a protection that is over, where there are two.

        A replaced one that was cancelled there may still fill late, after the one that came for it was filled or thrown
        out: it is met where it is at the venue. What the venue threw out itself stays that."""
        order = self._orders().get(at_venue.key)
        if order is not None and self._weather.has(fault):
            state = order.state
            if state is State.FILLED:
                state = AT_VENUE.get(at_venue.status, State.WORKING)
            elif state is State.REJECTED:
                state = AT_VENUE.get(at_venue.status, state)
            self._note(fault, state)

    def _note(self, fault: str, state: State) -> None:
        self._weather.met[(fault, state.value)] += 1


def lasting(world: World) -> list[str]:
    """The faults that are in force now, as long as they are."""
    now, feed = world.timeline.now, world.feed
    names = [name for name in ("F30", "F38") if world.weather.has(name)]
    spans = {"F15": feed.held, "F16": feed.silences, "F17": feed.bare, "F18": feed.refusals}
    names += [name for name, times in spans.items() if any(since <= now < until for since, until in times)]
    if any(since <= now < until for _, since, until in world.market.halts):
        names.append("F31")
    if world.venue.restricted or now < world.network.maintenance_until:
        names.append("F33")
    if world.halt_stands:
        names.append("F37")
    if world.skew:
        names.append("F19")
    if world.was_split:
        names.append("F29")
    return names
