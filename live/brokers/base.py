"""What a broker is to the shell: commands in, evidence out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import msgspec

from data.rows import BookSnap, Row
from live.core.commands import Command, Protect, Submit
from live.core.events import BrokerEvent, CashMoved
from strategies.common.position import nan

Priority = Literal["exit", "entry", "poll"]
"""In this order: what may not wait, what must not be late, and what only asks."""


class Capabilities(msgspec.Struct, frozen=True):
    """What a broker promises, and so how a lost answer may be treated.

    dedupes: what the same client key twice does: "returns first" tells of the first order, "refuses" proves that it
        exists, "no" makes a second order. key_window_s: for how long.
    lookup_by_key: an order can be asked for by its client key. list_includes_closed: lists of orders show ended ones.
    visibility_delay_s: the 99th percentile of the time until a new order shows in a lookup.
    cancel_is_async: a cancel is a wish; the order may still fill. replace_is_cancel_new: an amendment is two orders.
    order_stream: fills are pushed. stream_replays: and those missed are sent again after a reconnect.
    busy_is_refusal: HTTP 429 proves that nothing was accepted.
    standing_stops: protection stands at the broker. pairs: a stop and a target may both stand, one cancels the other;
    without it only the stop does. fractional, shorts: taken at all.
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
    pairs: bool
    fractional: bool
    shorts: bool
    requests_a_minute: int


class Books(msgspec.Struct, frozen=True):
    """What the broker says the account holds: signed shares of every symbol held, cash, keys of its open orders.

    equity, settled_cash, clock_skew_ms (ours less theirs): NaN where it does not say. day_trades,
    good_faith_violations: None likewise, day_trade_regime: "". absent: keys of ours that it provably never had.
    moves: cash that moved without an order in the last days, in its words; None where it tells of none.
    """

    positions: dict[str, float]
    cash: float
    open_orders: list[str]
    equity: float = nan
    settled_cash: float = nan
    day_trades: int | None = None
    good_faith_violations: int | None = None
    day_trade_regime: Literal["", "legacy_pdt", "intraday_margin", "off"] = ""
    clock_skew_ms: float = nan
    absent: list[str] = []
    moves: list[CashMoved] | None = None


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


class Known(msgspec.Struct, frozen=True):
    """What the journal knows of an order that had not ended. filled: shares, paid: their dollars, fees: theirs;
    executions: by id.

    Of a protection that was amended, every `Protect` is one of these, in the order in which they were sent.
    """

    command: Submit | Protect
    filled: float = 0.0
    paid: float = 0.0
    executions: tuple[str, ...] = ()
    fees: float = 0.0


class VenueBroker(Broker, Protocol):
    """A broker over a network; one call at a time.

    trouble: why nothing can be sent at all, "" where it can. deaf: why news of our orders does not reach us. Both may
    be read while a call runs. fresh_s: how long after its decision an entry may be sent. depth_symbols: of how many
    symbols one call gives the price book, 0 for none.
    """

    trouble: str
    fresh_s: float
    depth_symbols: int

    @property
    def token_until(self) -> int:
        """When the login ends unless it is renewed, UTC ns; 0 where there is none or nobody knows."""
        ...

    @property
    def deaf(self) -> str:
        """Why news of our orders does not reach us, "" where it does."""
        ...

    def recall(self, order_id: str) -> None:
        """Nothing of this order is to leave any more, while its cancel still waits: may be said while a call runs."""
        ...

    def wait_s(self, priority: Priority) -> float:
        """Seconds until a request of this kind has room in the budget; 0 now. Between calls only, as is `hold_s`."""
        ...

    def hold_s(self) -> float:
        """Seconds for which nothing may be asked at all: the broker said so, or fails."""
        ...

    def open(self, known: Sequence[Known] = ()) -> None:
        """Connect, check that this is the account that was meant, and take up the orders of an earlier process."""
        ...

    def poll(self) -> list[BrokerEvent]:
        """What the broker has told since; to be called about once a second, from a thread: it may block."""
        ...

    def depth(self, symbols: Sequence[str]) -> list[BookSnap]:
        """The price books of these symbols.

        Raises:
            UnavailableError: they are not to be had now.
        """
        ...

    def requests(self) -> tuple[int, int]:
        """Requests of the last minute, and how many are allowed; 0 for any number. Between calls only."""
        ...

    def close(self) -> None:
        """Disconnect; orders stay as they are."""
        ...


def unsupported(capabilities: Capabilities, *, touch: bool, shorts: bool) -> str:
    """Why a rule cannot be traded as it was tested; "" where it can.

    touch: stops and targets are met between rows, so both must stand at the broker. shorts: the rule sells short.
    """
    if touch and not (capabilities.standing_stops and capabilities.pairs):
        return "this broker keeps a stop or a target standing, not both; let the rule decide on them at the close"
    if shorts and not capabilities.shorts:
        return "this broker sells only what is held; let the rule go long only"
    return ""
