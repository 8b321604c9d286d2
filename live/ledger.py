"""Orders, fills and trades as tables, told from a journal's events and commands."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from live.core.commands import Command, Denied, Protect, Submit
from live.core.events import (
    Event,
    Fill,
    OrderCancelled,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderUnknown,
    Row,
)

ENDED: dict[type, str] = {
    OrderExpired: "expired",
    OrderCancelled: "cancelled",
    OrderRefused: "refused",
    OrderUnknown: "unknown",
    OrderQuarantined: "quarantined",
}


class OrderLine(msgspec.Struct):
    """One order, with its fills averaged. quantity: signed shares. decided, filled: ts of rows; filled 0 for not.

    A standing stop or target is a line only once it was met; decided and filled are then the same row.
    """

    order_id: str
    symbol: str
    decided: int
    quantity: float
    reason: str
    filled: int = 0
    price: float = float("nan")
    fee: float = 0.0
    state: str = "open"


class FillLine(msgspec.Struct):
    """One execution. quantity: signed shares."""

    execution_id: str
    order_id: str
    symbol: str
    ts: int
    quantity: float
    price: float
    fee: float
    reason: str


class TradeLine(msgspec.Struct):
    """From flat to flat (or through zero). quantity: signed shares at entry. pnl: after fees, dollars."""

    symbol: str
    quantity: float
    entry_ts: int
    entry_price: float
    exit_ts: int
    exit_price: float
    fees: float
    pnl: float
    reason: str


class Ledger:
    """Reads events and commands in journal order; `orders`, `fills` and `trades` are what came of them.

    denied: orders that a control kept back; they never left.
    """

    def __init__(self) -> None:
        self.orders: list[OrderLine] = []
        self.fills: list[FillLine] = []
        self.denied: list[Denied] = []
        self.rows = 0
        self._lines: dict[str, OrderLine] = {}
        self._guards: dict[str, Protect] = {}
        self._executions: dict[str, None] = {}

    def take(self, event: Event, commands: Iterable[Command]) -> None:
        """One step of the journal."""
        if isinstance(event, Row):
            self.rows += 1
        elif isinstance(event, Fill):
            self._fill(event)
        elif type(event) in ENDED:
            line = self._lines.get(event.order_id)  # type: ignore[union-attr]  # all of ENDED have one
            if line is not None and not line.filled:
                line.state = ENDED[type(event)]
        for command in commands:
            if isinstance(command, Submit):
                signed = command.quantity if command.side == "buy" else -command.quantity
                line = OrderLine(command.order_id, command.symbol, command.ts, signed, command.reason)
                self._lines[command.order_id] = line
                self.orders.append(line)
            elif isinstance(command, Protect):
                self._guards[command.order_id] = command
            elif isinstance(command, Denied):
                self.denied.append(command)

    def _fill(self, event: Fill) -> None:
        if event.execution_id in self._executions:
            return
        guard = self._guards.get(event.order_id)
        line = self._lines.get(event.order_id)
        if line is None and guard is not None:
            sign = 1.0 if guard.side == "buy" else -1.0
            reason = "target" if event.leg == "target" else guard.stop_reason
            line = OrderLine(event.order_id, guard.symbol, event.ts, sign * guard.quantity, reason)
            self._lines[event.order_id] = line
            self.orders.append(line)
        if line is None:
            return
        self._executions[event.execution_id] = None
        signed = event.quantity if line.quantity > 0.0 else -event.quantity
        before = sum(fill.quantity for fill in self.fills if fill.order_id == event.order_id) if line.filled else 0.0
        line.price = (line.price * before + event.price * signed) / (before + signed) if before else event.price
        line.fee += event.fee
        line.filled = event.ts
        line.state = "filled" if abs(before + signed) >= abs(line.quantity) - 1e-9 else "partial"
        self.fills.append(
            FillLine(
                event.execution_id, line.order_id, line.symbol, event.ts, signed, event.price, event.fee, line.reason
            )
        )

    def trades(self) -> list[TradeLine]:
        """Closed trades in the order of their exits; a fill that turns a position ends one trade and begins the next.

        Prices are averages over the fills; the fee of a turning fill is split by shares.
        """
        held: dict[str, _Open] = {}
        done: list[TradeLine] = []
        for fill in self.fills:
            left, fee = fill.quantity, fill.fee
            trade = held.get(fill.symbol)
            if trade is not None and trade.quantity * left < 0.0:
                closing = -trade.quantity if abs(left) >= abs(trade.quantity) else left
                share = fee * closing / left
                trade.close(closing, fill.price, share)
                left, fee = left - closing, fee - share
                if trade.quantity == 0.0:
                    done.append(trade.line(fill))
                    del held[fill.symbol]
            if left != 0.0:
                held.setdefault(fill.symbol, _Open(fill.ts)).add(left, fill.price, fee)
        return done


class _Open:
    """A trade that is not over."""

    def __init__(self, ts: int) -> None:
        self.ts = ts
        self.quantity = self.entered = self.paid = self.left = self.got = self.fees = 0.0

    def add(self, quantity: float, price: float, fee: float) -> None:
        self.quantity += quantity
        self.entered += quantity
        self.paid += quantity * price
        self.fees += fee

    def close(self, quantity: float, price: float, fee: float) -> None:
        self.quantity += quantity
        self.left -= quantity
        self.got -= quantity * price
        self.fees += fee

    def line(self, last: FillLine) -> TradeLine:
        return TradeLine(
            symbol=last.symbol,
            quantity=self.entered,
            entry_ts=self.ts,
            entry_price=self.paid / self.entered,
            exit_ts=last.ts,
            exit_price=self.got / self.left,
            fees=self.fees,
            pnl=self.got - self.paid - self.fees,
            reason=last.reason,
        )
