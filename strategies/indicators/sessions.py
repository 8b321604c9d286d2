"""Values that begin anew with each exchange session; give them `bars.session` and `bars.since_open`."""

from __future__ import annotations

from strategies.common.steps import Column, State, nan, recurrent


@recurrent(state=(nan, 0.0, 0.0))
def session_vwap(
    s: State, high: Column, low: Column, close: Column, volume: Column, session: Column
) -> tuple[State, float]:
    """Volume-weighted average price of the session so far, of the typical price (high + low + close) / 3.

    Seed: the first row of each session starts it. NaN until the session has volume. A missing value keeps the state
    and gives NaN.

    Source: Berkowitz, Logue, Noser (1988), "The Total Cost of Transactions on the NYSE", Journal of Finance 43(1).
    """
    day, money, units = s
    if session != day:
        money, units = 0.0, 0.0
    flow = (high + low + close) / 3.0 * volume
    if flow - flow != 0.0:
        return (session, money, units), nan
    money += flow
    units += volume
    if units > 0.0:
        return (session, money, units), money / units
    return (session, money, units), nan


@recurrent(state=(nan, 0.0))
def session_sum(s: State, x: Column, session: Column) -> tuple[State, float]:
    """Sum over the session so far, such as the volume of the day.

    Seed: the first row of each session starts it. A missing value keeps the state and gives NaN.
    """
    day, total = s
    if session != day:
        total = 0.0
    if x - x != 0.0:
        return (session, total), nan
    total += x
    return (session, total), total


@recurrent(state=(nan, nan))
def session_high(s: State, high: Column, session: Column) -> tuple[State, float]:
    """Highest value of the session so far.

    Seed: the first row of each session starts it. A missing value keeps the state and gives NaN.
    """
    day, top = s
    if session != day:
        top = nan
    if high - high != 0.0:
        return (session, top), nan
    if not high <= top:
        top = high
    return (session, top), top


@recurrent(state=(nan, nan))
def session_low(s: State, low: Column, session: Column) -> tuple[State, float]:
    """Lowest value of the session so far.

    Seed: the first row of each session starts it. A missing value keeps the state and gives NaN.
    """
    day, bottom = s
    if session != day:
        bottom = nan
    if low - low != 0.0:
        return (session, bottom), nan
    if not low >= bottom:
        bottom = low
    return (session, bottom), bottom


@recurrent(state=(nan, nan))
def session_open(s: State, x: Column, session: Column) -> tuple[State, float]:
    """First value of the session that was not missing; give it `bars.open`.

    NaN before it is known; a missing value later does not hide it.
    """
    day, first = s
    if session != day:
        first = nan
    if first != first and x - x == 0.0:
        first = x
    return (session, first), first


@recurrent(state=(nan, nan, nan))
def previous_close(s: State, close: Column, session: Column) -> tuple[State, float]:
    """Last value of the session before that was not missing: the reference of an overnight gap.

    NaN throughout the first session; a missing value does not hide it.
    """
    day, last, before = s
    if session != day:
        before = last
    if close - close == 0.0:
        last = close
    return (session, last, before), before


@recurrent(state=(nan, nan, nan), outputs="high low")
def opening_range(
    s: State, high: Column, low: Column, session: Column, since_open: Column, minutes: float = 30.0
) -> tuple[State, tuple[float, float]]:
    """Highest high and lowest low of the session's first `minutes`; NaN before the row that completes them.

    A row belongs to the opening if it closed no later than `minutes` after the open. A missing value keeps the state
    and gives NaN; a session first seen after its opening gives NaN throughout.

    Source: Crabel (1990), "Day Trading with Short Term Price Patterns and Opening Range Breakout".
    """
    day, top, bottom = s
    if session != day:
        top, bottom = nan, nan
    both = high + low
    if both - both != 0.0:
        return (session, top, bottom), (nan, nan)
    if since_open <= minutes * 60.0:
        if not high <= top:
            top = high
        if not low >= bottom:
            bottom = low
    if since_open >= minutes * 60.0:
        return (session, top, bottom), (top, bottom)
    return (session, top, bottom), (nan, nan)
