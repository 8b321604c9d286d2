"""The arithmetic of book features and order flow: plain functions of floats, the same compiled and interpreted.

Only + - * / and comparisons; nothing is divided by what may be zero. NaN means nothing known and stays NaN.
"""

from __future__ import annotations

nan = float("nan")
BUY, SELL, UNKNOWN = 1, -1, 0


def mid_of(bid: float, ask: float) -> float:
    """The middle of best bid and best offer."""
    return (bid + ask) / 2.0


def microprice_of(bid: float, ask: float, bid_size: float, ask_size: float) -> float:
    """The mid weighted by the opposite sizes: near the offer when the bid is the larger; NaN without size."""
    both = bid_size + ask_size
    if both > 0.0:
        return (bid * ask_size + ask * bid_size) / both
    return nan


def imbalance_of(bid_depth: float, ask_depth: float) -> float:
    """(bid depth - ask depth) / (both), -1 to 1; NaN without depth."""
    both = bid_depth + ask_depth
    if both > 0.0:
        return (bid_depth - ask_depth) / both
    return nan


def order_flow(
    old_bid: float,
    old_ask: float,
    old_bid_size: float,
    old_ask_size: float,
    bid: float,
    ask: float,
    bid_size: float,
    ask_size: float,
) -> float:
    """What one change of the best quotes adds to the order-flow imbalance, units; 0 where either state lacks a side.

    A bid that rises adds its size, one that falls takes the old size away, one that stays adds the change of size;
    the offer mirrors it.

    Source: Cont, Kukanov and Stoikov (2014), "The Price Impact of Order Book Events", Journal of Financial
    Econometrics 12(1), equation (2).
    """
    if not (old_bid < old_ask or old_bid >= old_ask) or not (bid < ask or bid >= ask):
        return 0.0
    flow = 0.0
    if bid >= old_bid:
        flow += bid_size
    if bid <= old_bid:
        flow -= old_bid_size
    if ask <= old_ask:
        flow -= ask_size
    if ask >= old_ask:
        flow += old_ask_size
    return flow


def side_of(price: float, bid: float, ask: float, last: float, direction: int) -> int:
    """Who crossed the spread: BUY, SELL or UNKNOWN.

    Above the middle of the quotes before the trade it is a buy, below a sell; at the middle, or without quotes, the
    tick test decides: up from the last different price is a buy.

    Args:
        last: price of the trade before, NaN for none. direction: what the tick test said of that one.

    Source: Lee and Ready (1991), "Inferring Trade Direction from Intraday Data", Journal of Finance 46(2); without
    their five-second delay of quotes, which belonged to a slower tape.
    """
    middle = mid_of(bid, ask)
    if price > middle:
        return BUY
    if price < middle:
        return SELL
    return tick_of(price, last, direction)


def tick_of(price: float, last: float, direction: int) -> int:
    """BUY after a lower price, SELL after a higher one, as before after the same; UNKNOWN at the beginning."""
    if price > last:
        return BUY
    if price < last:
        return SELL
    return direction


def sell_share(buys: float, sells: float) -> float:
    """Share of the classified volume that hit the bid, 0 to 1; NaN where none is classified."""
    both = buys + sells
    if both > 0.0:
        return sells / both
    return nan
