"""A broker's own record of an account: orders, executions, positions, cash, and what was made to go wrong."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from live.sandbox.broker_engine import Venue, VenueOrder
from live.sandbox.broker_faults import FATES, MOMENTS, OPERATIONS


def record_of(venue: Venue) -> dict[str, Any]:
    """Plain JSON; numbers as texts, so that nothing is rounded. Orders are in the order in which they came."""
    return {
        "cash_at_start": text(venue.cash_at_start),
        "cash": text(venue.cash),
        "positions": {symbol: text(held) for symbol, held in sorted(venue.positions.items())},
        "orders": [order_of(order) for order in venue.orders.values()],
        "moves": [
            {"id": each.id, "kind": each.kind, "amount": text(each.amount), "ts": each.ts} for each in venue.moves
        ],
        "requests": dict(venue.faults.counts),
        "faults": dict(sorted(Counter(_fault(*each) for each in venue.faults.injected).items())),
    }


def _fault(what: str, name: str) -> str:
    """A fault as a plan has it; an order's was noted with its symbol, an update's with its event."""
    if what in (*OPERATIONS, *MOMENTS):
        return f"{what}.{name}"
    return f"order.{name}" if name in FATES else f"stream.{name}"


def order_of(order: VenueOrder) -> dict[str, Any]:
    """One order."""
    return {
        "id": order.id,
        "key": order.key,
        "symbol": order.symbol,
        "side": order.side,
        "kind": order.kind,
        "quantity": text(order.quantity),
        "limit": None if order.limit is None else text(order.limit),
        "stop": None if order.stop is None else text(order.stop),
        "status": order.status,
        "filled": text(order.filled),
        "average": None if order.average is None else text(order.average),
        "created": order.created,
        "updated": order.updated or order.created,
        "parent": order.parent,
        "fate": order.fate,
        "by_hand": order.by_hand,
        "executions": [
            {
                "id": each.id,
                "quantity": text(each.quantity),
                "price": text(each.price),
                "fee": text(each.fee),
                "ts": each.ts,
            }
            for each in order.executions
        ],
    }


def text(number: Decimal) -> str:
    """Plain digits."""
    return f"{number.normalize():f}"
