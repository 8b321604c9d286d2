"""Controls on how often: messages, repeats, doubles, and orders nobody knows the fate of."""

from __future__ import annotations

from data.calendar import SECOND_NS
from live.core.facts import Request, State
from live.core.limits import Limits
from live.core.orders import State as OrderState

LOST = (OrderState.UNKNOWN, OrderState.QUARANTINED)
TEN_MINUTES_S = 600.0


def same_key(request: Request, state: State, _limits: Limits) -> str:
    """R19: a key is used once."""
    return f"order_id={request.order_id}" if request.order_id in state.keys else ""


def same_order(request: Request, state: State, limits: Limits) -> str:
    """R19: the same symbol, side and quantity as a moment ago."""
    if limits.same_order_window_s is None:
        return ""
    since = request.ts - int(limits.same_order_window_s * SECOND_NS)
    wanted = ("entry", request.column, request.side, request.quantity)
    for sent in state.sent:
        if sent.ts > since and (sent.what, sent.column, sent.side, sent.quantity) == wanted:
            return f"seconds_ago={(request.ts - sent.ts) / SECOND_NS:g} window_s={limits.same_order_window_s:g}"
    return ""


def self_trade(request: Request, state: State, limits: Limits) -> str:
    """R20: an order of ours, in this account or another, that this one could meet."""
    if not limits.deny_self_trade:
        return ""
    for order in state.open:
        if order.column == request.column and order.side != request.side:
            return f"meets={order.order_id}"
    facts = state.symbols.get(request.symbol)
    return "meets=another account's order" if facts is not None and facts.has_accounts_order else ""


def unknown(request: Request, state: State, limits: Limits) -> str:
    """R30: orders without an answer, by symbol and in all."""
    lost = [order for order in state.open if order.state in LOST]
    here = sum(order.column == request.column for order in lost)
    if limits.max_unknown_symbol is not None and here >= limits.max_unknown_symbol:
        return f"unknown_symbol={here} limit={limits.max_unknown_symbol}"
    if limits.max_unknown is not None and len(lost) >= limits.max_unknown:
        return f"unknown={len(lost)} limit={limits.max_unknown}"
    return ""


def orders_per_intent(request: Request, state: State, limits: Limits) -> str:
    """R09: one intent, one order: no second one of the same symbol and side while the first lives."""
    if limits.max_orders_per_intent is None:
        return ""
    alive = sum(
        order.column == request.column and order.side == request.side and order.kind != "protect"
        for order in state.open
    )
    return "" if alive < limits.max_orders_per_intent else f"orders={alive + 1} limit={limits.max_orders_per_intent}"


def messages(request: Request, state: State, limits: Limits) -> str:
    """R07: messages of every kind in a window, this one included; and refusals, which count for more."""
    windows = (
        ("second", 1.0, limits.max_messages_second, False),
        ("minute", 60.0, limits.max_messages_minute, False),
        ("symbol_minute", 60.0, limits.max_messages_symbol_minute, True),
        ("hour", 3_600.0, limits.max_messages_hour, False),
        ("day", 86_400.0, limits.max_messages_day, False),
    )
    for name, seconds, limit, symbol in windows:
        if limit is None:
            continue
        since = request.ts - int(seconds * SECOND_NS)
        count = 1 + sum(sent.ts > since and (not symbol or sent.column == request.column) for sent in state.sent)
        if count > limit:
            return f"messages_{name}={count} limit={limit}"
    return ""


def repeats(request: Request, state: State, limits: Limits) -> str:
    """R08: the same entry again and again is a strategy gone wild; a person must look."""
    windows = (
        ("10_minutes", TEN_MINUTES_S, limits.max_entries_symbol_10_minutes),
        ("day", 86_400.0, limits.max_entries_symbol_day),
    )
    for name, seconds, limit in windows:
        if limit is None:
            continue
        since = request.ts - int(seconds * SECOND_NS)
        count = 1 + sum(
            sent.what == "entry" and sent.ts > since and (sent.column, sent.side) == (request.column, request.side)
            for sent in state.sent
        )
        if count > limit:
            return f"entries_{name}={count} limit={limit}"
    return ""


def too_many_denials(state: State, limits: Limits) -> str:
    """R07: refusals in ten minutes that stop everything; '' where there were fewer."""
    if limits.max_denials_10_minutes is None:
        return ""
    since = state.ts - int(TEN_MINUTES_S * SECOND_NS)
    count = sum(ts > since for ts in state.denials)
    return "" if count < limits.max_denials_10_minutes else f"{count} refusals for pace in 10 minutes"
