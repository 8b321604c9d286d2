"""Controls on price, book, hours and symbol. Without a book the reference is the row's close."""

from __future__ import annotations

from math import ceil, floor

from data.calendar import SECOND_NS
from live.core.facts import Request, State
from live.core.limits import Limits

EXACT = 1e-9  # a price of two decimals is not exact in binary: less than this is no difference


def quote(request: Request, state: State) -> tuple[float, float]:
    """(bid, ask) the order is measured against; the close twice where there is no book."""
    j = request.column
    bid, ask = state.market.bid[j], state.market.ask[j]
    if bid > 0.0 and ask > 0.0:
        return bid, ask
    return state.market.price[j], state.market.price[j]


def worst_price(request: Request, state: State, limits: Limits) -> float:
    """The limit of a marketable order: the collar beyond the quote, for exits the hard collar; rounded inside it."""
    bid, ask = quote(request, state)
    facts = state.symbols.get(request.symbol)
    tick = facts.tick if facts is not None else 0.01
    share = (limits.collar_pct if limits.collar_pct is not None else 0.0) / 100.0
    near, far = (ask, 1.0 + share) if request.side == "buy" else (bid, 1.0 - share)
    price = near * far
    if request.reduces and limits.hard_collar_pct is not None:
        hard = limits.hard_collar_pct / 100.0
        price = (bid + ask) / 2.0 * (1.0 + hard if request.side == "buy" else 1.0 - hard)
    if price - price != 0.0:
        return price
    ticks = price / tick
    return round((floor(ticks + 1e-9) if request.side == "buy" else ceil(ticks - 1e-9)) * tick, 6)


def order_type(request: Request, _state: State, limits: Limits) -> str:
    """R12: only these kinds of order."""
    if limits.order_types is None or request.kind in limits.order_types:
        return ""
    return f"kind={request.kind} allowed={','.join(limits.order_types)}"


def collar(request: Request, state: State, limits: Limits) -> str:
    """R10: how far a limit may lie from the market; for exits the hard collar alone."""
    if request.limit == 0.0:
        return ""
    bid, ask = quote(request, state)
    mid = (bid + ask) / 2.0
    away = abs(request.limit - mid)
    if limits.hard_collar_pct is not None and not away <= (limits.hard_collar_pct / 100.0 + EXACT) * mid:
        return f"limit={request.limit} mid={mid} hard_collar_pct={limits.hard_collar_pct:g}"
    if request.reduces or limits.collar_pct is None:
        return ""
    room = max(limits.collar_pct / 100.0 * max(ask, mid), (limits.collar_spreads or 0.0) * (ask - bid))
    share = limits.collar_pct / 100.0 + EXACT
    beyond = request.limit > ask * (1.0 + share) if request.side == "buy" else request.limit < bid * (1.0 - share)
    if beyond or not away <= room + (ask - bid) / 2.0 + EXACT * mid:
        return f"limit={request.limit} bid={bid} ask={ask} collar_pct={limits.collar_pct:g}"
    return ""


def from_close(request: Request, state: State, limits: Limits) -> str:
    """R11: how far the price may be from the last session's close."""
    if limits.max_from_close_pct is None:
        return ""
    facts = state.symbols.get(request.symbol)
    close = facts.reference_close if facts is not None else float("nan")
    price = request.limit or state.market.price[request.column]
    if abs(price - close) <= limits.max_from_close_pct / 100.0 * close:
        return ""
    return f"price={price} close={close} limit_pct={limits.max_from_close_pct:g}"


def book(request: Request, state: State, limits: Limits) -> str:
    """R13: a spread that can be paid, and a book that is not crossed."""
    bid, ask = state.market.bid[request.column], state.market.ask[request.column]
    if limits.max_spread_pct is not None and not ask - bid <= limits.max_spread_pct / 100.0 * (ask + bid) / 2.0:
        return f"bid={bid} ask={ask} max_spread_pct={limits.max_spread_pct:g}"
    facts = state.symbols.get(request.symbol)
    crossed = facts.crossed_s if facts is not None else 0.0
    if limits.max_crossed_s is not None and (crossed > limits.max_crossed_s or ask < bid):
        return f"bid={bid} ask={ask} crossed_s={crossed:g} limit={limits.max_crossed_s:g}"
    return ""


def stale(request: Request, state: State, limits: Limits) -> str:
    """R14: quotes, rows and feed must be fresh."""
    age = state.market.age[request.column]
    if limits.max_quote_age_s is not None and not age <= limits.max_quote_age_s:
        return f"quote_age_s={age:g} limit={limits.max_quote_age_s:g}"
    row_age = (state.ts - state.market.row_ts) / SECOND_NS
    if limits.max_row_age_s is not None and not row_age <= limits.max_row_age_s:
        return f"row_age_s={row_age:g} limit={limits.max_row_age_s:g}"
    if "data" in state.closed:
        return f"gate=data reason={state.closed['data'] or 'not yet green'}"
    return ""


def hours(_request: Request, state: State, limits: Limits) -> str:
    """R24: not in the first seconds of a session, nor in its last ones, nor outside."""
    since, left = state.market.since_open, state.market.to_close
    if limits.first_entry_s is not None and not since >= limits.first_entry_s:
        return f"since_open_s={since:g} first_entry_s={limits.first_entry_s:g}"
    if limits.last_entry_s is not None and not left >= limits.last_entry_s:
        return f"to_close_s={left:g} last_entry_s={limits.last_entry_s:g}"
    return ""


def halt(request: Request, state: State, limits: Limits) -> str:
    """R25: nothing in a trading halt, nor in the first seconds after one."""
    facts = state.symbols.get(request.symbol)
    if limits.halt_quiet_s is None or facts is None:
        return ""
    if facts.is_halted:
        return f"symbol={request.symbol} halted=yes"
    quiet = (state.ts - facts.resumed_ts) / SECOND_NS
    if facts.resumed_ts and quiet < limits.halt_quiet_s:
        return f"resumed_s_ago={quiet:g} halt_quiet_s={limits.halt_quiet_s:g}"
    return ""


def symbol(request: Request, state: State, limits: Limits) -> str:
    """R26: price, turnover, age and kind of the symbol."""
    price = state.market.price[request.column]
    if limits.min_price_usd is not None and not price >= limits.min_price_usd:
        return f"price={price} limit={limits.min_price_usd:g}"
    if limits.restricted is not None and request.symbol in limits.restricted:
        return f"symbol={request.symbol} restricted=yes"
    facts = state.symbols.get(request.symbol)
    traded = facts.average_dollar_volume if facts is not None else float("nan")
    if limits.min_dollar_volume_usd is not None and not traded >= limits.min_dollar_volume_usd:
        return f"dollar_volume={traded:g} limit={limits.min_dollar_volume_usd:g}"
    days = facts.listed_days if facts is not None else None
    if limits.min_listed_days is not None and (days is None or days < limits.min_listed_days):
        return f"listed_days={days} limit={limits.min_listed_days}"
    if limits.allow_leveraged is False and (facts is None or facts.is_leveraged is not False):
        return f"symbol={request.symbol} leveraged={'unknown' if facts is None else facts.is_leveraged}"
    if limits.allow_corporate_action_day is False and (facts is None or facts.has_corporate_action is not False):
        return f"symbol={request.symbol} corporate_action={'unknown' if facts is None else facts.has_corporate_action}"
    return ""
