"""A broker's own record of an account: orders, executions, positions, cash, and what was made to go wrong."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from live.sandbox.broker_engine import Venue, VenueOrder


def record_of(venue: Venue) -> dict[str, Any]:
    """Plain JSON; numbers as texts, so that nothing is rounded. Orders are in the order in which they came."""
    return {
        "cash_at_start": text(venue.cash_at_start),
        "cash": text(venue.cash),
        "positions": {symbol: text(held) for symbol, held in sorted(venue.positions.items())},
        "orders": [order_of(order) for order in venue.orders.values()],
        "requests": dict(venue.faults.counts),
        "faults": {
            f"{what}.{name}" if what else name: count
            for (what, name), count in sorted(Counter(venue.faults.injected).items())
        },
    }


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
