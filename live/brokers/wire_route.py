"""How a broker over a network is spoken to: what every one of them must be able to do for the desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from data.rows import BookSnap
from live.brokers.base import Books, Capabilities
from live.brokers.wire_orders import Seen, Ticket


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the desk waits, in seconds.

    look_s: between two looks at orders that are out; look_behind_stream_s: where a stream tells too.
    fresh_s: an entry is sent at most so long after it was decided. budget_s: to wait for room in the budget.
    settle_s: at once for a cancel that an exit waits for, in steps of settle_step_s; then from poll to poll.
    cancel_again_s: before a cancel is repeated. resends: with the same key. arrives_s: how
    long after it left a request may still arrive.
    quarantine_s: unknown for so long, and a person is called.
    deaf_s: looks that fail for so long, and news of our orders is said not to come.
    check_s: between two looks at whether the account is still that of the login.
    absent_s: after the last try, before a list that does not have an order says anything; absent_looks: so many of them
    in a row are evidence.
    """

    look_s: float = 2.0
    look_behind_stream_s: float = 15.0
    fresh_s: float = 20.0
    budget_s: float = 10.0
    settle_s: float = 5.0
    settle_step_s: float = 0.25
    cancel_again_s: float = 3.0
    resends: int = 1
    arrives_s: float = 15.0
    quarantine_s: float = 45.0
    deaf_s: float = 3.0
    check_s: float = 600.0
    absent_s: float = 30.0
    absent_looks: int = 3

    def at(self, speed: float) -> Patience:
        """The same on a clock that runs `speed` times as fast: what waits for machines waits as long as before.

        How often is looked, how long a venue needs to show an order and what it lets be asked stay the tape's.
        """
        if speed <= 1.0:
            return self
        names = ("fresh_s", "budget_s", "settle_s", "settle_step_s", "quarantine_s", "deaf_s")
        return replace(self, **{name: getattr(self, name) * speed for name in names})


class Route(Protocol):
    """One broker's dialect. Every method may block, and raises a `WireError` that says what is known."""

    capabilities: Capabilities
    place_requests: int
    """How many requests one order costs."""

    def open(self) -> None:
        """Connect and check the account."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...

    def place(self, ticket: Ticket) -> Seen:
        """Send the order under `ticket.key`."""
        ...

    def cancel(self, ticket: Ticket) -> None:
        """Ask for a cancel of `ticket.venue_id`."""
        ...

    def look(self, tickets: Sequence[Ticket]) -> dict[str, Seen]:
        """Those of these orders that the broker has, by key; from whole lists only.

        Sets `likely` of a ticket that is not found, though the list has an order that may be it.
        """
        ...

    def pushed(self) -> list[Seen]:
        """What a stream has told since."""
        ...

    def stream_was_down(self) -> bool:
        """True once after the stream was away: what it missed is to be asked for."""
        ...

    def deaf(self) -> str:
        """Why a stream that should tell of orders does not; "" where it does, or where there is none."""
        ...

    def books(self) -> Books:
        """Positions, cash and open orders."""
        ...


SYMBOLS_A_CALL = 4


@runtime_checkable
class DepthRoute(Protocol):
    """A route that also has a price book to look at."""

    def depth(self, symbols: Sequence[str]) -> list[BookSnap]:
        """The books of up to `SYMBOLS_A_CALL` symbols."""
        ...


@runtime_checkable
class CheckedRoute(Protocol):
    """A route that can look again whether this is still the account, and the service, of the login.

    Others see it in every answer that their books come from, and raise `Changed` there.
    """

    def renewed(self) -> bool:
        """Whether a connection or a token is another than at the last check."""
        ...

    def check(self) -> None:
        """Look again.

        Raises:
            Changed: it is not. WireError: nobody can say now.
        """
        ...


@runtime_checkable
class LoginRoute(Protocol):
    """A route whose login ends."""

    @property
    def token_until(self) -> int:
        """When, UTC ns."""
        ...
