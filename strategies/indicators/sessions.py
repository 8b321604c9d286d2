"""Values that begin anew with each exchange session; give them `bars.session` and `bars.since_open`."""

from __future__ import annotations

from strategies.common.steps import Column, nan, recurrent


@recurrent(state=(nan, 0.0, 0.0))
def session_vwap(s, high: Column, low: Column, close: Column, volume: Column, session: Column):  # type: ignore[no-untyped-def]
    """Volume-weighted average price of the session so far, of the typical price (high + low + close) / 3.

    Seed: nothing; the first row of each session starts it. NaN until the session has volume. A missing value keeps
    the state and gives NaN.

    Source: Berkowitz, Logue, Noser (1988), "The Total Cost of Transactions on the NYSE", Journal of Finance 43(1).
    """
    day, money, units = s
    if session != day:
        day, money, units = session, 0.0, 0.0
    typical = (high + low + close) / 3.0
    if not (typical - typical) + (volume - volume) == 0.0:
        return (day, money, units), nan
    money += typical * volume
    units += volume
    if units > 0.0:
        return (day, money, units), money / units
    return (day, money, units), nan


@recurrent(state=(nan, nan, nan), outputs="high low")
def opening_range(s, high: Column, low: Column, session: Column, since_open: Column, minutes: float = 30.0):  # type: ignore[no-untyped-def]
    """(high, low) of the session's first `minutes`, from the row that completes them on; NaN before.

    A row belongs to the opening if it closed no later than `minutes` after the open. A missing value keeps the state
    and gives NaN; a session seen only after its opening gives NaN.

    Source: Crabel (1990), "Day Trading with Short Term Price Patterns and Opening Range Breakout".
    """
    day, top, bottom = s
    if session != day:
        day, top, bottom = session, nan, nan
    if not (high - high) + (low - low) == 0.0:
        return (day, top, bottom), (nan, nan)
    if since_open <= minutes * 60.0:
        if not high <= top:
            top = high
        if not low >= bottom:
            bottom = low
    if since_open >= minutes * 60.0:
        return (day, top, bottom), (top, bottom)
    return (day, top, bottom), (nan, nan)
