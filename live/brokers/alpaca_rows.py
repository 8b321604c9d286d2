"""Alpaca's orders in its own words: what we send, and what it tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from data.calendar import SECOND_NS
from live.brokers.wire import Lost, Refused
from live.brokers.wire_orders import Done, Seen, Status, Ticket
from live.core.commands import Protect

STATES: dict[str, Status] = {
    "accepted": "pending",
    "pending_new": "pending",
    "pending_review": "pending",
    "accepted_for_bidding": "pending",
    "held": "pending",
    "filled": "filled",
    "canceled": "cancelled",
    "replaced": "cancelled",
    "expired": "expired",
    "done_for_day": "expired",
    "rejected": "rejected",
}
"""Any other state counts as working."""


def order_body(ticket: Ticket) -> dict[str, Any]:
    """The order as Alpaca takes it, numbers as texts.

    Raises:
        Refused: an order that this broker does not know.
    """
    command = ticket.command
    quantity = Decimal(repr(ticket.quantity)).quantize(Decimal("0.000000001"), ROUND_HALF_EVEN).normalize()
    if quantity != quantity.to_integral_value() and ticket.kind != "market":
        raise Refused("Alpaca keeps no stop and no target for a fraction of a share")
    body: dict[str, Any] = {
        "client_order_id": ticket.key,
        "symbol": command.symbol,
        "side": command.side,
        "qty": f"{quantity:f}",
        "type": "limit" if ticket.kind in ("limit", "pair") else ticket.kind,
        "time_in_force": "gtc" if isinstance(command, Protect) else "day",
    }
    if isinstance(command, Protect) and ticket.kind == "pair":
        body |= {"order_class": "oco", "take_profit": {"limit_price": price_text(command.target)}}
        return body | {"stop_loss": {"stop_price": price_text(command.stop)}}
    if isinstance(command, Protect) and ticket.kind == "stop":
        return body | {"stop_price": price_text(command.stop)}
    return body | ({"limit_price": price_text(ticket.limit)} if ticket.kind == "limit" else {})


def price_text(price: float) -> str:
    """A price on the tick: cents from a dollar on, hundredths of a cent below."""
    tick = Decimal("0.01") if price >= 1.0 else Decimal("0.0001")
    return f"{Decimal(repr(price)).quantize(tick, ROUND_HALF_EVEN):f}"


def seen_of(row: Mapping[str, Any], key: str, last: Done | None = None) -> Seen:
    """An order of Alpaca's; a pair is one order, ended when both of its are.

    Args:
        last: the execution that the news is about.

    Raises:
        Lost: it is not one.
    """
    try:
        both = [row, *(row.get("legs") or ())]
        sums = [(float(each.get("filled_qty") or 0.0), float(each.get("filled_avg_price") or 0.0)) for each in both]
        filled = sum(quantity for quantity, _ in sums)
        paid = sum(quantity * price for quantity, price in sums)
        states = [STATES.get(str(each["status"]), "working") for each in both]
        if last is None and len(both) > 1 and filled:
            last = Done("", 0.0, 0.0, leg="target" if sums[0][0] else "stop")
        return Seen(
            venue_id=str(row["id"]),
            key=key,
            symbol=str(row["symbol"]),
            side="buy" if row["side"] == "buy" else "sell",
            kind=str(row.get("type") or row.get("order_type")),
            quantity=float(row.get("qty") or 0.0),
            status=_of_both(states, filled >= float(row.get("qty") or 0.0) - 1e-9),
            filled=filled,
            average=paid / filled if filled else 0.0,
            created_ns=int(dt.datetime.fromisoformat(str(row["created_at"])).timestamp() * SECOND_NS),
            last=last,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Lost(f"an order that cannot be read ({type(error).__name__}: {error})") from None


def _of_both(states: list[Status], whole: bool) -> Status:
    if "filled" in states and whole:
        return "filled"
    for alive in ("working", "pending"):
        if alive in states:
            return "working" if alive == "working" else "pending"
    return "filled" if all(state == "filled" for state in states) else next(s for s in states if s != "filled")
