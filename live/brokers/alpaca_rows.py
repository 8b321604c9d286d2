"""Alpaca's orders in its own words: what we send, and what it tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

from data.calendar import SECOND_NS
from live.brokers.wire import Lost, Refused
from live.brokers.wire_orders import Done, Seen, Status, Ticket
from live.brokers.wire_read import amount, number, row, rows, text
from live.core.commands import Protect
from live.core.events import CashMoved

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


ACTIVITIES: dict[str, Literal["fee", "dividend", "interest", "deposit", "withdrawal"]] = {
    "FEE": "fee",
    "CFEE": "fee",
    "PTC": "fee",
    "INT": "interest",
    "CSD": "deposit",
    "CSW": "withdrawal",
}
"""Every `DIV...` is a dividend, every `INT...` interest; journals and transfers are paid in or out, by their sign."""


def move_of(told: Mapping[str, Any]) -> CashMoved | None:
    """One of the account's activities that are no trades; None where it moved no cash, or has not happened.

    Raises:
        Lost: it is not one.
    """
    name = text(told.get("activity_type"))
    moved = number(told.get("net_amount") or 0.0)
    if not moved or told.get("status", "executed") != "executed":
        return None
    kind = ACTIVITIES.get(name)
    if kind is None and name.startswith(("JNL", "ACAT", "TRANS")):
        kind = "deposit" if moved > 0.0 else "withdrawal"
    if kind is None and name.startswith(("DIV", "INT")):
        kind = "dividend" if name.startswith("DIV") else "interest"
    note = " ".join(filter(None, (name, str(told.get("symbol") or ""), str(told.get("date") or ""))))
    return CashMoved(0, moved, kind or "other", "broker", text(told.get("id")), note)


def price_text(price: float) -> str:
    """A price on the tick: cents from a dollar on, hundredths of a cent below."""
    tick = Decimal("0.01") if price >= 1.0 else Decimal("0.0001")
    return f"{Decimal(repr(price)).quantize(tick, ROUND_HALF_EVEN):f}"


def seen_of(told: Mapping[str, Any], key: str, last: Done | None = None) -> Seen:
    """An order of Alpaca's; a pair is one order, ended when both of its are.

    Args:
        last: the execution that the news is about.

    Raises:
        Lost: it is not one.
    """
    try:
        both = [row(told), *rows(told.get("legs") or [])]
        sums = [(amount(each["filled_qty"]), amount(each.get("filled_avg_price"))) for each in both]
        quantity = amount(told.get("qty"))
        filled = sum(done for done, _ in sums)
        paid = sum(done * price for done, price in sums)
        states = [STATES.get(text(each["status"]), "working") for each in both]
        if last is None and len(both) > 1 and filled:
            last = Done("", 0.0, 0.0, leg="target" if sums[0][0] else "stop")
        return Seen(
            venue_id=text(told["id"]),
            key=key,
            symbol=text(told["symbol"]),
            side="buy" if text(told["side"]) == "buy" else "sell",
            kind=text(told.get("type") or told.get("order_type")),
            quantity=quantity,
            status=_of_both(states, filled >= quantity - 1e-9),
            filled=filled,
            average=paid / filled if filled else 0.0,
            created_ns=int(dt.datetime.fromisoformat(text(told["created_at"])).timestamp() * SECOND_NS),
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
