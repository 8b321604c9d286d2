"""The paper broker: fills from market rows by the backtest's own functions, so that both give the same bits.

A row first shows its opens, symbol by symbol: waiting orders are filled there, or at their limit where the row comes to
it; entries whose symbol did not open, or whose limit was not reached, expire; exits wait on. Then it shows its ranges:
standing stops and targets that are met are filled, the stop first where both are. That is the order in which
`backtests.scan` goes through a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data.rows import Row
from data.types import FEATURES
from live.brokers.base import Books, Capabilities
from live.core.commands import Cancel, Command, Protect, Submit
from live.core.events import BrokerEvent, Fill, OrderAccepted, OrderCancelled, OrderExpired, OrderRefused
from strategies.common.costs import Costs, fill_fee
from strategies.common.position import (
    LAST_SPREAD,
    LAST_VOLUME,
    ORDER,
    QTY,
    SLOTS,
    STOP,
    TARGET,
    TARGET_HIT,
    fresh,
    nan,
    open_fill,
    touch_fill,
    touched,
)

_SPREAD = FEATURES.index("spread")

CAPABILITIES = Capabilities(
    dedupes="returns first",
    key_window_s=float("inf"),
    lookup_by_key=True,
    list_includes_closed=False,
    visibility_delay_s=0.0,
    cancel_is_async=False,
    replace_is_cancel_new=False,
    order_stream=True,
    stream_replays=False,
    busy_is_refusal=True,
    standing_stops=True,
    pairs=True,
    fractional=True,
    shorts=True,
    requests_a_minute=0,
)


class PaperBroker:
    """A broker in this process, without money.

    Args:
        symbols: in the order of every row's lists.
        costs: what fills cost.
        cash: at the start.
    """

    capabilities = CAPABILITIES

    def __init__(self, symbols: Sequence[str], costs: Costs, cash: float) -> None:
        self._symbols = tuple(symbols)
        self._column = {symbol: j for j, symbol in enumerate(self._symbols)}
        self._costs = costs
        self._session = -1
        self._rates: tuple[float, ...] = ()
        self._cash = cash
        self._slots = fresh(len(self._symbols))
        self._waiting: dict[int, Submit] = {}
        self._guards: dict[int, Protect] = {}
        self._seen: dict[str, int] = {}

    def handle(self, command: Command) -> list[BrokerEvent]:
        """Act on a command; what is known of it at once."""
        if isinstance(command, Submit):
            return self._take(command)
        if isinstance(command, Protect):
            return self._guard(command)
        if isinstance(command, Cancel):
            return self._cancel(command)
        return []

    def on_row(self, row: Row) -> Iterator[BrokerEvent]:
        """What the row did to the orders that wait: all opens first, then all ranges."""
        if row.session != self._session:
            self._session, self._rates = row.session, self._costs.knobs(row.session)
        for j in sorted(self._waiting):
            yield from self._meet_open(j, row)
        for j in sorted(self._guards):
            yield from self._meet_range(j, row)
        for j in range(len(self._symbols)):
            self._slots[j * SLOTS + LAST_SPREAD] = nan if row.book is None else row.book[_SPREAD][j]
            self._slots[j * SLOTS + LAST_VOLUME] = row.volume[j]

    def books(self) -> Books:
        """The broker's own record, to compare ours with."""
        held = {symbol: self._slots[j * SLOTS + QTY] for j, symbol in enumerate(self._symbols)}
        return Books(
            positions={symbol: quantity for symbol, quantity in held.items() if quantity != 0.0},
            cash=self._cash,
            open_orders=[
                *(self._waiting[j].order_id for j in sorted(self._waiting)),
                *(self._guards[j].order_id for j in sorted(self._guards)),
            ],
        )

    def _take(self, order: Submit) -> list[BrokerEvent]:
        j = self._column[order.symbol]
        if order.order_id in self._seen:  # the same key is the same order
            return [OrderAccepted(order.ts, order.order_id)]
        if j in self._waiting:
            return [OrderRefused(order.ts, order.order_id, f"another order waits in {order.symbol}")]
        self._seen[order.order_id] = 0
        self._waiting[j] = order
        self._slots[j * SLOTS + ORDER] = order.quantity if order.side == "buy" else -order.quantity
        return [OrderAccepted(order.ts, order.order_id)]

    def _guard(self, order: Protect) -> list[BrokerEvent]:
        j = self._column[order.symbol]
        b = j * SLOTS
        quantity = self._slots[b + QTY]
        if quantity == 0.0 or (quantity > 0.0) != (order.side == "sell") or order.quantity != abs(quantity):
            return [OrderRefused(order.ts, order.order_id, f"{quantity} {order.symbol} held, protection does not fit")]
        self._guards[j] = order
        self._slots[b + STOP] = order.stop
        self._slots[b + TARGET] = order.target
        if order.amends and order.order_id in self._seen:
            return []
        self._seen[order.order_id] = 0
        return [OrderAccepted(order.ts, order.order_id, working=True)]

    def _cancel(self, command: Cancel) -> list[BrokerEvent]:
        j = self._column[command.symbol]
        for order in (self._waiting.get(j), self._guards.get(j)):
            if order is not None and order.order_id == command.order_id:
                self._forget(j, order)
                return [OrderCancelled(command.ts, command.order_id)]
        return []

    def _meet_open(self, j: int, row: Row) -> Iterator[BrokerEvent]:
        order = self._waiting[j]
        b = j * SLOTS
        found = self._price(order, b, row.open[j], row.high[j], row.low[j])
        if found is not None:
            price, fee = found
            signed = self._slots[b + ORDER]
            self._forget(j, order)
            yield self._filled(j, row.ts, order, signed, price, fee, "")
        elif order.good_for == "row":
            self._forget(j, order)
            yield OrderExpired(row.ts, order.order_id)

    def _price(self, order: Submit, b: int, opening: float, high: float, low: float) -> tuple[float, float] | None:
        """(price, fee) of the row for an order; None where it has no open, or never comes to the order's limit.

        A limit that the open's price, costs included, is within is filled there, like an order without one; one that
        the row reaches later is filled at the limit itself.
        """
        if opening - opening != 0.0:
            return None
        price, fee = open_fill(self._slots, b, opening, self._rates)
        if order.kind == "market":
            return price, fee
        side = 1.0 if order.side == "buy" else -1.0
        if (order.limit - price) * side >= 0.0:
            return price, fee
        reached = low <= order.limit if side > 0.0 else high >= order.limit
        if not reached:
            return None
        return order.limit, fill_fee(side, order.quantity, order.limit, self._rates)

    def _meet_range(self, j: int, row: Row) -> Iterator[BrokerEvent]:
        order = self._guards.get(j)
        b = j * SLOTS
        if order is None or j in self._waiting:
            return
        reason, level = touched(self._slots, b, row.open[j], row.high[j], row.low[j])
        if reason == 0.0:
            return
        price, fee = touch_fill(self._slots, b, reason, level, self._rates)
        signed = -self._slots[b + QTY]
        self._forget(j, order)
        yield self._filled(j, row.ts, order, signed, price, fee, "target" if reason == TARGET_HIT else "stop")

    def _filled(
        self, j: int, ts: int, order: Submit | Protect, signed: float, price: float, fee: float, leg: str
    ) -> Fill:
        self._slots[j * SLOTS + QTY] += signed
        self._cash -= signed * price + fee
        self._seen[order.order_id] += 1
        execution = f"{order.order_id}/{self._seen[order.order_id]}"
        return Fill(ts, order.order_id, execution, abs(signed), price, fee, leg)  # type: ignore[arg-type]

    def _forget(self, j: int, order: Submit | Protect) -> None:
        b = j * SLOTS
        if isinstance(order, Submit):
            del self._waiting[j]
            self._slots[b + ORDER] = 0.0
        else:
            del self._guards[j]
            self._slots[b + STOP] = nan
            self._slots[b + TARGET] = nan
