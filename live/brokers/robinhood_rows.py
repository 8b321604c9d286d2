"""Robinhood's orders in its own words: what we send, and what it lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from data.calendar import SECOND_NS
from live.brokers.wire import Lost, Refused
from live.brokers.wire_orders import Done, Seen, Status, Ticket
from live.brokers.wire_read import amount, number, rows, text
from live.core.commands import Protect

STATES: dict[str, Status] = {
    "new": "pending",
    "unconfirmed": "pending",
    "queued": "pending",
    "confirmed": "working",
    "partially_filled": "working",
    "pending_cancelled": "working",
    "filled": "filled",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "partially_filled_rest_cancelled": "cancelled",
    "rejected": "rejected",
    "failed": "rejected",
    "voided": "rejected",
}
"""Any other state counts as open."""


def order_arguments(ticket: Ticket, account: str) -> dict[str, Any]:
    """The order as the tools take it: every number a plain decimal text.

    Raises:
        Refused: an order that this broker does not know.
    """
    command = ticket.command
    quantity = Decimal(repr(ticket.quantity)).quantize(Decimal("0.000001"), ROUND_HALF_EVEN).normalize()
    kind = {"market": "market", "limit": "limit"}.get(ticket.kind, "stop_market")
    whole = quantity == quantity.to_integral_value()
    if not whole and kind != "market":
        raise Refused("Robinhood takes fractions of a share as market orders only, and keeps no stop for them")
    asked = {
        "account_number": account,
        "symbol": command.symbol,
        "side": command.side,
        "type": kind,
        "quantity": f"{quantity:f}",
        "time_in_force": "gtc" if isinstance(command, Protect) else "gfd",
        "market_hours": "regular_hours",
    }
    if kind == "limit":
        asked["limit_price"] = price_text(ticket.limit)
    elif kind == "stop_market" and isinstance(command, Protect):
        asked["stop_price"] = price_text(command.stop)
    return asked


def price_text(price: float) -> str:
    """A price on the tick: cents from a dollar on, hundredths of a cent below."""
    tick = Decimal("0.01") if price >= 1.0 else Decimal("0.0001")
    return f"{Decimal(repr(price)).quantize(tick, ROUND_HALF_EVEN):f}"


def seen_of(row: Mapping[str, Any], key: str) -> Seen:
    """A row of `get_equity_orders`, or a receipt.

    Raises:
        Lost: it is not one.
    """
    try:
        done = tuple(
            Done(text(each["id"]), number(each["quantity"], 0.0), number(each["price"], 0.0), amount(each.get("fees")))
            for each in rows(row.get("executions") or [])
        )
        return Seen(
            venue_id=text(row["id"]),
            key=key,
            symbol=str(row.get("symbol", "")),
            side="buy" if text(row["side"]) == "buy" else "sell",
            kind=text(row["type"]),
            quantity=amount(row.get("quantity")),
            status=STATES.get(text(row["state"]), "working"),
            filled=amount(row.get("cumulative_quantity")),
            average=amount(row.get("average_price")),
            created_ns=instant(row.get("created_at")),
            done=done,
            fee=amount(row.get("fees")),
            reason=str(row.get("reject_reason") or ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Lost(f"an order that cannot be read ({type(error).__name__}: {error})") from None


def instant(told: Any) -> int:
    """UTC nanoseconds of an RFC 3339 text, to the microsecond; 0 without one."""
    try:
        return int(dt.datetime.fromisoformat(str(told)).timestamp() * SECOND_NS)
    except ValueError:
        return 0


def likeness(row: Mapping[str, Any]) -> tuple[str, str, str, bool, Decimal]:
    """What a row is, for one that does not carry our key."""
    try:
        quantity = Decimal(str(row.get("quantity")))
    except InvalidOperation:
        quantity = Decimal(-1)
    stop = row.get("trigger") == "stop"
    return str(row.get("symbol")), str(row.get("side")), str(row.get("type")), stop, quantity


def wanted(ticket: Ticket) -> tuple[str, str, str, bool, Decimal]:
    """What an order of ours would be there."""
    kind = "limit" if ticket.kind == "limit" else "market"
    stop = ticket.kind in ("stop", "pair")
    return ticket.symbol, ticket.command.side, kind, stop, Decimal(repr(ticket.quantity))
