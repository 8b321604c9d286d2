"""Controls on how much: of one order, of one position, of the whole account. Open and UNKNOWN orders count in full."""

from __future__ import annotations

from live.core.facts import Request, State
from live.core.limits import Limits


def notional(request: Request, state: State) -> float:
    """Dollars of the order at its limit or the last price, whichever is more."""
    return request.quantity * max(request.limit, state.market.price[request.column])


def _after(request: Request, state: State, column: int) -> tuple[float, float]:
    """(most, least) signed shares of a column once the order is out as well."""
    most, least = state.reach(column)
    if column == request.column:
        if request.side == "buy":
            most += request.quantity
        else:
            least -= request.quantity
    return most, least


def order_notional(request: Request, state: State, limits: Limits) -> str:
    """R02: dollars of one order."""
    caps = []
    if limits.max_order_usd is not None:
        caps.append(limits.max_order_usd)
    if limits.max_order_pct is not None:
        caps.append(limits.max_order_pct / 100.0 * state.value())
    if not caps:
        return ""
    value, cap = notional(request, state), min(caps)
    return "" if value <= cap else f"notional={value:.2f} limit={cap:.2f}"


def order_quantity(request: Request, state: State, limits: Limits) -> str:
    """R03: shares of one order, by themselves, by the day's volume, and by what the book shows."""
    j, quantity = request.column, request.quantity
    if limits.max_order_shares is not None and not quantity <= limits.max_order_shares:
        return f"shares={quantity:g} limit={limits.max_order_shares:g}"
    if limits.max_order_volume_pct is not None:
        facts = state.symbols.get(request.symbol)
        cap = limits.max_order_volume_pct / 100.0 * (facts.average_volume if facts else float("nan"))
        if not quantity <= cap:
            return f"shares={quantity:g} volume_limit={cap:g}"
    if limits.max_order_depth_pct is not None:
        depth = state.market.ask_depth[j] if request.side == "buy" else state.market.bid_depth[j]
        cap = limits.max_order_depth_pct / 100.0 * depth
        if not quantity <= cap:
            return f"shares={quantity:g} depth_limit={cap:g}"
    return ""


def position(request: Request, state: State, limits: Limits) -> str:
    """R04: dollars of the position that the order can make."""
    if limits.max_position_pct is None:
        return ""
    most, least = _after(request, state, request.column)
    value = max(abs(most), abs(least)) * max(request.limit, state.market.price[request.column])
    cap = limits.max_position_pct / 100.0 * state.value()
    return "" if value <= cap else f"position={value:.2f} limit={cap:.2f}"


def exposure(request: Request, state: State, limits: Limits) -> str:
    """R05: dollars of all positions, and of longs less shorts, at the worst that open orders can make of them."""
    if limits.max_gross_pct is None and limits.max_net_pct is None:
        return ""
    gross = long = short = 0.0
    for j, price in enumerate(state.market.price):
        most, least = _after(request, state, j)
        if most == 0.0 and least == 0.0:
            continue
        at = max(request.limit, price) if j == request.column else price
        gross += max(abs(most), abs(least)) * at
        long += most * at
        short += least * at
    net = max(abs(long), abs(short))
    for name, value, limit in (("gross", gross, limits.max_gross_pct), ("net", net, limits.max_net_pct)):
        if limit is not None and not value <= limit / 100.0 * state.value():
            return f"{name}={value:.2f} limit={limit / 100.0 * state.value():.2f}"
    return ""


def count(request: Request, state: State, limits: Limits) -> str:
    """R06: positions, and orders that are open."""
    if limits.max_positions is not None:
        columns = {j for j, held in enumerate(state.positions) if held != 0.0}
        columns.update(order.column for order in state.open)
        columns.add(request.column)
        if len(columns) > limits.max_positions:
            return f"positions={len(columns)} limit={limits.max_positions}"
    total = len(state.open) + 1
    if limits.max_open_orders is not None and total > limits.max_open_orders:
        return f"open_orders={total} limit={limits.max_open_orders}"
    here = sum(order.column == request.column for order in state.open) + 1
    if limits.max_open_orders_symbol is not None and here > limits.max_open_orders_symbol:
        return f"open_orders_symbol={here} limit={limits.max_open_orders_symbol}"
    return ""
