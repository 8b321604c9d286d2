"""The tools of Robinhood's trading server as they were last seen: names, arguments, and rows as it writes them."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from live.sandbox.broker_engine import Venue, VenueOrder

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": ["null", "array"], "items": {"type": "string"}}
_LOTS: dict[str, Any] = {"type": ["null", "array"], "items": {"type": "object"}}
_ORDER = ("account_number", "symbol", "side", "type")
_ORDER_MORE = ("quantity", "dollar_amount", "limit_price", "stop_price", "time_in_force", "market_hours")


def _schema(required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    kinds = {"symbols": _TEXTS, "tax_lots": _LOTS}
    return {
        "type": "object",
        "properties": {name: kinds.get(name, _TEXT) for name in (*required, *optional)},
        "required": list(required),
        "additionalProperties": False,
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "get_accounts": _schema(()),
    "get_portfolio": _schema(("account_number",)),
    "get_equity_positions": _schema(("account_number",), ("cursor",)),
    "get_equity_quotes": _schema(("symbols",)),
    "get_equity_price_book": _schema(("symbols",)),
    "get_equity_tradability": _schema(("account_number", "symbols")),
    "review_equity_order": _schema(_ORDER, (*_ORDER_MORE, "tax_lots")),
    "place_equity_order": _schema(_ORDER, (*_ORDER_MORE, "tax_lots", "ref_id")),
    "get_equity_orders": _schema(
        ("account_number",), ("order_id", "state", "symbol", "created_at_gte", "placed_agent", "cursor")
    ),
    "cancel_equity_order": _schema(("account_number", "order_id")),
    "get_watchlists": _schema(()),
}

LAG_LISTS = 2
STATES = {
    "new": "unconfirmed",
    "working": "confirmed",
    "partial": "partially_filled",
    "cancelling": "pending_cancelled",
    "expired": "cancelled",
}


def misfit(tool: str, arguments: dict[str, Any]) -> str:
    """Why these arguments are not the tool's; "" where they are."""
    schema = SCHEMAS[tool]
    for name in schema["required"]:
        if name not in arguments:
            return f"missing required argument {name!r}"
    for name, value in arguments.items():
        if name not in schema["properties"]:
            return f"unexpected argument {name!r}"
        kinds = schema["properties"][name]["type"]
        if not isinstance(value, str if kinds == "string" else list | None):
            return f"argument {name!r} must be {kinds}"
    return ""


def order_row(order: VenueOrder, echo: bool) -> dict[str, Any]:
    """An order as `get_equity_orders` lists it. echo: with the client's `ref_id`."""
    kind = "limit" if order.kind in ("limit", "stop_limit") else "market"
    state = STATES.get(order.status, order.status)
    if order.status == "cancelled" and order.filled:
        state = "partially_filled_rest_cancelled"
    average = order.average
    done = order.executions
    if order.fate == "lag" and done and order.patience < LAG_LISTS:
        order.patience += 1
        done = []
    return {
        "id": order.id,
        "instrument_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, order.symbol)),
        **({"ref_id": order.key} if echo else {}),
        "symbol": order.symbol,
        "side": order.side,
        "type": kind,
        "trigger": "stop" if order.stop is not None else "immediate",
        "state": state,
        "quantity": f"{order.quantity:.6f}",
        "cumulative_quantity": f"{order.filled:.6f}",
        "price": None if order.limit is None else f"{order.limit:.6f}",
        "stop_price": None if order.stop is None else f"{order.stop:.6f}",
        "average_price": None if average is None else f"{average:.6f}",
        "fees": f"{order.fees:.6f}",
        "dollar_based_amount": None,
        "time_in_force": order.life,
        "market_hours": order.hours,
        "placed_agent": "agentic",
        "created_at": stamp(order.created),
        "last_transaction_at": stamp(order.updated or order.created),
        "executions": [
            {
                "id": each.id,
                "price": f"{each.price:.6f}",
                "quantity": f"{each.quantity:.6f}",
                "timestamp": stamp(each.ts),
                "fees": f"{each.fee:.6f}",
            }
            for each in done
        ],
    }


def position_rows(venue: Venue) -> list[dict[str, Any]]:
    """What is held, and an empty row for everything that was."""
    once = {order.symbol for order in venue.orders.values() if order.executions}
    rows = []
    for symbol in sorted(once | set(venue.positions)):
        quantity = venue.positions.get(symbol, Decimal(0))
        held = venue.held_for_sells(symbol)
        rows.append(
            {
                "symbol": symbol,
                "quantity": f"{quantity:.6f}",
                "intraday_quantity": f"{quantity:.6f}",
                **({"average_buy_price": "1.000000"} if quantity else {}),
                "shares_available_for_sells": f"{quantity - held:.6f}",
                "shares_held_for_sells": f"{held:.6f}",
                "type": "long" if quantity else "empty",
            }
        )
    return rows


def stamp(ts: int) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return f"{dt.datetime.fromtimestamp(ts / 1e9, dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
