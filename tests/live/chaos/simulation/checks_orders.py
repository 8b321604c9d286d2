"""I1, I2, I4, I6: orders and executions, the venue's record against the journal's file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from live.core.commands import Protect, Submit
from live.core.events import OrderCancelled, OrderExpired, OrderRefused, PersonSays

from .trail import Trail
from .venue import ENDED, Body, Order
from .world import Evidence


def one_order_per_intent(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I1: per intent the venue holds exactly one order, or none; of a protection one at a time."""
    by_key: dict[str, list[Order]] = {}
    by_intent: dict[str, list[Order]] = {}
    for order in evidence.venue.orders:
        if not order.by_hand:
            by_key.setdefault(order.key, []).append(order)
            for intent in trail.keys.get(order.key, [])[:1]:
                by_intent.setdefault(intent.order_id, []).append(order)
    for key, orders in by_key.items():
        if len(orders) > 1:
            yield f"key {key} has {len(orders)} orders at the venue"
    for order_id, orders in by_intent.items():
        if len(orders) > 1 and isinstance(trail.intents[order_id], Submit):
            yield f"intent {order_id} has {len(orders)} orders at the venue"
        for one, other in pairwise(orders):
            if one.status not in ENDED or one.ended > other.created:
                yield f"protection {order_id} stood twice at the same time ({one.id}, {other.id})"


def every_order_was_intended(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I2: what the venue was sent had a durable intent of the same key and body by then."""
    for receipt in evidence.venue.receipts:
        if not receipt.durable:
            yield f"an order of key {receipt.key} reached the venue before its intent was durable"
        said = trail.keys.get(receipt.key, [])
        if not said:
            if not trail.faults:
                yield f"an order of key {receipt.key} reached the venue, the journal has no intent of that key"
        elif not any(_same(intent, receipt.body) for intent in said):
            yield f"key {receipt.key} reached the venue with another body than its intent: {receipt.body}"


def _same(intent: Submit | Protect, body: Body) -> bool:
    if (intent.symbol, intent.side) != (body.symbol, body.side):
        return False
    if isinstance(intent, Submit):
        return (intent.quantity, intent.kind, intent.limit) == (body.quantity, body.kind, body.limit)
    levels = (body.stop, body.target) == (intent.stop, intent.target) or _nan(intent, body)
    return levels and 0.0 < body.quantity <= intent.quantity


def _nan(intent: Protect, body: Body) -> bool:
    pairs = ((intent.stop, body.stop), (intent.target, body.target))
    return all(ours == theirs or (ours != ours and theirs != theirs) for ours, theirs in pairs)


def each_execution_once(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I4: never more is booked than was done, and what the core holds is what the journal's executions add up to."""
    theirs: dict[str, float] = {}
    busted: set[str] = set()
    for order in evidence.venue.orders:
        for intent in trail.keys.get(order.key, [])[:1]:
            theirs[intent.order_id] = theirs.get(intent.order_id, 0.0) + order.filled
            if order.busted:
                busted.add(intent.order_id)
    for order_id, fills in trail.fills.items():
        if order_id in busted:  # an execution was taken back: the alarm over it is another checker's
            continue
        ours = sum(fill.quantity for fill in fills.values())
        if ours > theirs.get(order_id, 0.0) + 1e-6:
            yield f"order {order_id}: {ours:g} shares are booked, the venue did {theirs.get(order_id, 0.0):g}"
        intent = trail.intents.get(order_id)
        if isinstance(intent, Submit) and ours > intent.quantity + 1e-6:
            yield f"order {order_id}: {ours:g} shares are booked, {intent.quantity:g} were asked for"
    if evidence.up:
        core = evidence.final.core
        held = {name: shares for name, shares in zip(core.symbols, core.positions, strict=True) if shares != 0.0}
        if held != trail.positions() and core.counts.contradictions == 0:
            yield f"the core holds {held}, its executions add up to {trail.positions()}"


def no_end_without_evidence(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I6: an order is over for us only where it is over at the venue, with all that was done under it."""
    orders: dict[str, list[Order]] = {}
    for order in evidence.venue.orders:
        for intent in trail.keys.get(order.key, [])[:1]:
            orders.setdefault(intent.order_id, []).append(order)
    persons = {step.event.order_id for step in trail.steps if isinstance(step.event, PersonSays)}
    for step in trail.steps:
        event = step.event
        if not isinstance(event, OrderRefused | OrderCancelled | OrderExpired) or event.order_id in persons:
            continue
        guard = isinstance(trail.intents.get(event.order_id), Protect)
        for order in orders.get(event.order_id, ()):
            name = f"{type(event).__name__} of {event.order_id} (record {step.seq})"
            if order.status not in ENDED:
                yield f"{name}: the venue has it {order.status}"
            elif isinstance(event, OrderRefused) and not event.late and order.status != "rejected" and not guard:
                yield f"{name}: the venue took it, and has it {order.status}"
        theirs = sum(each.quantity for order in orders.get(event.order_id, ()) for each in _in_time(order))
        ours = sum(fill.quantity for fill in trail.fills.get(event.order_id, {}).values())
        if theirs > ours + 1e-6 and not any(order.busted for order in orders[event.order_id]):
            name = f"{type(event).__name__} of {event.order_id}"
            yield f"{name}: {theirs:g} shares were done by then, we know of {ours:g}"


def _in_time(order: Order) -> list:  # type: ignore[type-arg]
    """Its executions up to its end; later ones are the venue's own late word."""
    return [each for each in order.executions if not order.ended or each.ts <= order.ended]
