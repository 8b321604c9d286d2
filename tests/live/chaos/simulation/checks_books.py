"""I3, I12: equal books at the end, and an end that is either in order or has called a person."""

from __future__ import annotations

from collections.abc import Iterator

from live.brokers.wire_route import Patience
from live.core.events import Snapshot
from live.core.orders import OPEN, State

from .clock import SECOND
from .trail import Trail
from .world import Evidence

DOUBT = (State.UNKNOWN, State.QUARANTINED)
HEARD_S = 30.0
"""A look at the orders may wait so long for room in the budget, behind the account's books."""
ON_THE_WAY = (State.PLANNED, State.CHECKED, State.SENDING, State.UNKNOWN)


def equal_books(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I3: at the end our positions and cash are the venue's, or someone was told of the difference."""
    if trail.faults:
        return
    told = {alert.name for _, _, alert in evidence.alerts}
    texts = _differences(evidence, trail)
    ours, theirs = trail.positions(), dict(evidence.venue.positions)
    doubtful = _doubtful(evidence)
    excused = bool(told & {"books.differ", "books.contradiction"})
    alarmed_down = (not evidence.up and "stopped" in told) or (_deaf(evidence) and "gate.closed" in told)
    wrong = False
    for symbol in sorted({*ours, *theirs}):
        if abs(ours.get(symbol, 0.0) - theirs.get(symbol, 0.0)) > 1e-6:
            wrong = True
            if abs(ours.get(symbol, 0.0) + _unheard(evidence, trail, symbol) - theirs.get(symbol, 0.0)) <= 1e-6:
                continue
            if not (symbol in texts or alarmed_down or symbol in doubtful):
                both = f"we hold {ours.get(symbol, 0.0):g}, the venue {theirs.get(symbol, 0.0):g}"
                yield f"{symbol}: {both}; nobody was told"
    ours_cash = trail.cash(evidence.plan.cash)
    # What a person did by hand, or what a lost host did since its backup, may change cash by as much as the account's
    # limits call no difference.
    room = max(5.0, 0.001 * abs(ours_cash)) if evidence.external or evidence.damaged else 0.011
    if not wrong and abs(ours_cash - evidence.venue.cash) > room and not (excused or alarmed_down or doubtful):
        yield f"cash: we have {ours_cash:.2f}, the venue {evidence.venue.cash:.2f}; nobody was told"
    if excused and not evidence.external and not evidence.damaged and not _late_fills(evidence):
        first = next(alert for _, _, alert in evidence.alerts if alert.name.startswith("books."))
        yield f"a false alarm: {first.text}"


def _unheard(evidence: Evidence, trail: Trail, symbol: str) -> float:
    """Shares of orders that are open with us, done so lately that a broker that is asked need not have told of them."""
    if not evidence.up or evidence.capabilities.order_stream:
        return 0.0
    ours, since, shares = evidence.final.core.orders, evidence.end - HEARD_S * SECOND, 0.0
    for order in evidence.venue.orders:
        intent = next(iter(trail.keys.get(order.key, ())), None)
        if intent is not None and order.body.symbol == symbol and ours[intent.order_id].state in OPEN:
            shares += sum(order.sign * each.quantity for each in order.executions if each.ts > since)
    return shares


def _differences(evidence: Evidence, trail: Trail) -> set[str]:
    """Symbols of which a person was told that the books differ, or that the venue contradicted itself."""
    told: set[str] = set()
    for _, _, alert in evidence.alerts:
        if alert.name == "books.differ":
            told |= {symbol for symbol in evidence.plan.symbols if f"{symbol}: " in alert.text}
        elif alert.name == "books.contradiction":
            told |= {intent.symbol for key, intent in trail.intents.items() if key in alert.text}
    return told


def _doubtful(evidence: Evidence) -> set[str]:
    """Symbols with an order that a person was called for."""
    if not evidence.up:
        return set()
    core = evidence.final.core
    return {core.symbols[order.column] for order in core.orders.values() if order.state in DOUBT}


def _deaf(evidence: Evidence) -> bool:
    """The venue is not asked, or does not answer, and a light says so."""
    return evidence.up and bool({"venue", "orders"} & set(evidence.final.core.desk.tally.state.closed))


def _late_fills(evidence: Evidence) -> bool:
    """The venue said that an order was over, and filled it afterwards."""
    return any(
        order.ended and each.ts > order.ended for order in evidence.venue.orders for each in order.executions
    )  # fmt: skip


def in_order_or_alarmed(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I12: a minute after the faults all is in order, or a person was called; no order is forgotten as unknown."""
    names = [alert.name for _, _, alert in evidence.alerts]
    called = [(alert.name, alert.text) for _, _, alert in evidence.alerts]
    if not evidence.up:
        broken = evidence.plan.params["mood"] == 5
        if not evidence.damaged and not broken:
            yield f"the process does not come up again: {evidence.lives[-1:]} {evidence.errors[-1:]}"
        elif "stopped" not in names:
            yield "the process is down and nobody was told"
        return
    core = evidence.final.core
    closed = {name: why for name, why in core.desk.tally.state.closed.items() if name != "data"}
    starts = [step.event.ts for step in trail.steps if isinstance(step.event, Snapshot) and step.event.why == "start"]
    # A connection that failed is tried again after half a minute at most: what it is asked about is as young as it is.
    is_young = bool(starts) and evidence.end - starts[-1] < Patience().quarantine_s * SECOND
    for order in core.orders.values():
        if is_young and order.state is State.UNKNOWN and _named(called, "order.unknown", order.order_id):
            continue
        if order.state in ON_THE_WAY and "venue" not in closed and "books.contradiction" not in names:
            yield f"order {order.order_id} is still {order.state.value} a minute after the last fault"
        if order.state is State.QUARANTINED and not _named(called, "order.quarantined", order.order_id):
            yield f"order {order.order_id} is quarantined and nobody was told"
    if core.halted and not {"halted", "risk.halted", "books.differ", "books.contradiction"} & set(names):
        yield f"halted ({core.halted}) and nobody was told"
    for name, why in closed.items():
        if why == "starting":
            yield f"the light {name} is not green a minute after the last fault: the process never finished starting"
        elif not _is_red(called, name):
            yield f"the light {name} is red ({why}) and nobody was told"


def _named(called: list[tuple[str, str]], name: str, order_id: str) -> bool:
    """Whether a person was called for this order."""
    return any(of == name and order_id in text for of, text in called)


def _is_red(called: list[tuple[str, str]], gate: str) -> bool:
    """Whether the last that a person was told of this light is that it is red; books that differ are one of them."""
    red = False
    for name, text in called:
        differ = name == "books.differ" and gate == "reconciled"
        if differ or (name == "gate.closed" and text.startswith(f"no new positions while {gate} ")):
            red = True
        elif (name == "gate.open" and text.startswith(f"{gate} ")) or (name == "reconciled" == gate):
            red = False
    return red
