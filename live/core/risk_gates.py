"""Controls on what surrounds an order: arming, halts, clock, books, streams, and its own numbers."""

from __future__ import annotations

from live.core.facts import Request, State
from live.core.limits import Limits
from live.core.shared import both

HUGE = 1e15


def _closed(state: State, *names: str) -> str:
    for name in names:
        if name in state.closed:
            return f"gate={name} reason={state.closed[name] or 'not yet green'}"
    return ""


def numbers(request: Request, state: State, _limits: Limits) -> str:
    """R35: finite, positive, in whole lots."""
    quantity, limit = request.quantity, request.limit
    if not 0.0 < quantity < HUGE:
        return f"quantity={quantity}"
    if not 0.0 <= limit < HUGE:
        return f"limit={limit}"
    lots = quantity / state.lot
    if abs(lots - round(lots)) > 1e-6 * max(1.0, lots):
        return f"quantity={quantity} lot={state.lot}"
    return ""


def armed(_request: Request, state: State, _limits: Limits) -> str:
    """R01: a person armed the account."""
    return _closed(state, "armed")


def halted(_request: Request, state: State, _limits: Limits) -> str:
    """R31: the kill switch, and every halt of ours."""
    return f"halted={state.halted}" if state.halted else ""


def source(request: Request, _state: State, _limits: Limits) -> str:
    """R34: orders come from the rule or from a person, never from a model."""
    return "" if request.source in ("rule", "operator") else f"source={request.source}"


def clock(_request: Request, state: State, limits: Limits) -> str:
    """R15: this host's clock against two others."""
    if limits.max_clock_skew_ms is not None:
        skew = abs(state.account.clock_skew_ms)
        if not skew <= limits.max_clock_skew_ms:
            return f"skew_ms={skew:g} limit={limits.max_clock_skew_ms:g}"
    return _closed(state, "clock")


def reconciled(_request: Request, state: State, _limits: Limits) -> str:
    """R28: the books were compared since the last start or reconnect."""
    return _closed(state, "reconciled", "journal")


def books(request: Request, state: State, _limits: Limits) -> str:
    """R28: where the books differ, no more is left than the broker has as well."""
    theirs = state.theirs.get(request.column)
    if theirs is None:
        return ""
    ours = state.positions[request.column]
    if request.quantity < both(ours, theirs) + 0.5 * state.lot:
        return ""
    return f"quantity={request.quantity:g} ours={ours:g} broker={theirs:g}"


def order_stream(_request: Request, state: State, _limits: Limits) -> str:
    """R29: news of our orders reaches us."""
    return _closed(state, "orders")


def heartbeat(_request: Request, state: State, _limits: Limits) -> str:
    """R32: the watchdog hears us."""
    return _closed(state, "heartbeat")


def venue(_request: Request, state: State, _limits: Limits) -> str:
    """R27: the venue's budget is not used up and it answers."""
    return _closed(state, "venue")
