"""What a broker is to the shell: commands in, evidence out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

from data.rows import Row
from live.core.commands import Command
from live.core.events import BrokerEvent


class Capabilities(msgspec.Struct, frozen=True):
    """What a broker promises, and so how a lost answer may be treated.

    dedupes: what the same client key twice does: "returns first" tells of the first order, "refuses" proves that it
        exists, "no" makes a second order. key_window_s: for how long.
    lookup_by_key: an order can be asked for by its client key. list_includes_closed: lists of orders show ended ones.
    visibility_delay_s: the 99th percentile of the time until a new order shows in a lookup.
    cancel_is_async: a cancel is a wish; the order may still fill. replace_is_cancel_new: an amendment is two orders.
    order_stream: fills are pushed. stream_replays: and those missed are sent again after a reconnect.
    busy_is_refusal: HTTP 429 proves that nothing was accepted.
    standing_stops: protection stands at the broker. fractional, shorts: taken at all.
    requests_a_minute: the budget, 0 for none.
    """

    dedupes: Literal["returns first", "refuses", "no"]
    key_window_s: float
    lookup_by_key: bool
    list_includes_closed: bool
    visibility_delay_s: float
    cancel_is_async: bool
    replace_is_cancel_new: bool
    order_stream: bool
    stream_replays: bool
    busy_is_refusal: bool
    standing_stops: bool
    fractional: bool
    shorts: bool
    requests_a_minute: int


class Books(msgspec.Struct, frozen=True):
    """What the broker says the account holds: signed shares of every symbol held, cash, keys of its open orders."""

    positions: dict[str, float]
    cash: float
    open_orders: list[str]


class Broker(Protocol):
    """Takes commands that are already durable; its answers are evidence, never guesses."""

    capabilities: Capabilities

    def handle(self, command: Command) -> list[BrokerEvent]:
        """Act on a command; what is known of it at once."""
        ...

    def books(self) -> Books:
        """The broker's own record, to compare ours with."""
        ...


class SimulatedBroker(Broker, Protocol):
    """A broker that fills from the market rows it is shown."""

    def on_row(self, row: Row) -> Iterator[BrokerEvent]:
        """What the row did to the orders that wait.

        Events come one by one; commands that answer one (the protection of a new position) are handled before the
        next is made. The row is over when the iterator is: only then may the core decide on it.
        """
        ...
