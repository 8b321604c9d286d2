"""Reconciliation: the broker's record against ours, at start, after a crash and after every reconnect.

One path. First the record is taken in as evidence: fills we had not heard of, orders that work or ended, keys that
provably never arrived. Only then the books are compared. A difference that open orders can explain is pending: if it is
still the same at a later comparison, and nothing of the symbol was filled since, nothing was on its way. An order that
the broker's list of open ones does not show has probably ended there, and its news is waited for longer. Any other
halts, with both sides shown, and of that symbol no more is left than both sides have. Cash that differs by less than
half a cent is the same: both sides are sums of floats, and neither is rounded. An order without evidence stays as it
is: a list that does not show it proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from data.calendar import SECOND_NS
from live.core.commands import Alert, Command
from live.core.desk import Desk
from live.core.events import (
    Fill,
    Gate,
    Operator,
    OrderAccepted,
    OrderRefused,
    OrderSeen,
    OrderUnknown,
    PersonSays,
    Snapshot,
)
from live.core.orders import OPEN, Order, State

ENDS = {"cancelled": State.CANCELLED, "expired": State.EXPIRED, "rejected": State.REJECTED}
EXACT = 1e-9
HALF_CENT = 0.005
GAP_NS = 15 * SECOND_NS
"""So long at least until the same difference is no longer one that news on its way explains."""
SILENT_GAP_NS = 4 * GAP_NS
"""The same where the list does not show an order that explains it: what became of that one is still being asked."""
LOST = (State.UNKNOWN, State.QUARANTINED)


class Findings(msgspec.Struct):
    """What a comparison found, a sentence each. pending: explained by orders that are still open.

    gaps: (shares that only such orders explain, since when), by symbol. coming: symbols with shares that the record
    tells of without their executions. theirs: the broker's shares where they differ, by column. cash: its cash, None
    before the first comparison.
    """

    differences: list[str] = []
    pending: list[str] = []
    gaps: dict[str, tuple[float, int]] = {}
    coming: dict[str, None] = {}
    theirs: dict[int, float] = {}
    cash: float | None = None


def reconcile(desk: Desk, snapshot: Snapshot) -> tuple[list[Command], Findings]:
    """Take the broker's record in, then compare; what is to be done about it."""
    commands: list[Command] = []
    findings = Findings(cash=snapshot.cash)
    for fill in snapshot.fills:
        _fill(desk, fill, commands, findings)
    for seen in snapshot.orders:
        _order(desk, snapshot, seen, commands, findings)
    for key in snapshot.absent:
        _absent(desk, snapshot, key, commands, findings)
    silent = _silent(desk, snapshot, commands, findings)
    _compare(desk, snapshot, silent, findings)
    desk.gaps = findings.gaps
    for j in desk.shared.compared(findings.theirs):
        desk.shrink(j, snapshot.ts, commands)
    if findings.differences:
        text = "; ".join(findings.differences)
        news = desk.tally.on_news(Gate(snapshot.ts, "reconciled", open=False, reason=text))
        if desk.halted and news:  # who halted for another reason has not heard of this
            commands.append(Alert(snapshot.ts, "critical", "books.differ", f"books do not match: {text}"))
        desk.halt(snapshot.ts, "books.differ", f"books do not match: {text}", commands)
    elif desk.tally.on_news(Gate(snapshot.ts, "reconciled", open=True)):
        pending = f"; pending: {'; '.join(findings.pending)}" if findings.pending else ""
        commands.append(Alert(snapshot.ts, "info", "reconciled", f"the broker's books are ours{pending}"))
    return commands, findings


def person_says(desk: Desk, event: PersonSays) -> list[Command]:
    """End an order on a person's word; only where the broker's was waited for in vain."""
    order = desk.orders.get(event.order_id)
    if order is None or order.state not in (State.UNKNOWN, State.QUARANTINED):
        state = "not ours" if order is None else order.state.value
        return [Alert(event.ts, "warning", "person.ignored", f"order {event.order_id} is {state}: nothing to decide")]
    if not event.who:
        return [Alert(event.ts, "warning", "person.ignored", f"order {event.order_id}: say who decides")]
    state = State.REFUSED if event.outcome == "never arrived" and order.filled == 0.0 else State.CANCELLED
    done = desk.ended(event, state)
    text = f"order {event.order_id} {event.outcome}, says {event.who}"
    return [Alert(event.ts, "warning", "person.decided", text), *done]


def _fill(desk: Desk, fill: Fill, commands: list[Command], findings: Findings) -> None:
    order = desk.orders.get(fill.order_id)
    if order is None:
        findings.differences.append(f"a fill of {fill.quantity} at {fill.price} is of order {fill.order_id}, not ours")
    elif fill.execution_id not in order.executions:
        commands += desk.filled(fill)


def _order(desk: Desk, snapshot: Snapshot, seen: OrderSeen, commands: list[Command], findings: Findings) -> None:
    order = desk.orders.get(seen.order_id)
    if order is None:
        if seen.status == "working":
            findings.differences.append(f"order {seen.order_id} works at the broker and is not ours")
        return
    missing = 0.0 if seen.filled is None else seen.filled - order.filled
    if missing > EXACT:
        findings.pending.append(f"order {seen.order_id}: {missing:g} shares are filled whose executions did not come")
        findings.coming[desk.symbols[order.column]] = None
        return
    if seen.status == "working":
        if order.state in (State.SENDING, State.UNKNOWN, State.QUARANTINED):
            commands += desk.moved(OrderAccepted(snapshot.ts, seen.order_id, working=True), State.WORKING)
        elif order.state not in OPEN:
            findings.differences.append(f"order {seen.order_id} works at the broker, we have it {order.state.value}")
    elif seen.status in ENDS and order.state in OPEN:
        if order.state is State.JOURNALED:
            findings.differences.append(f"order {seen.order_id} is {seen.status} at the broker, we never sent it")
            return
        commands += desk.ended(OrderAccepted(snapshot.ts, seen.order_id), ENDS[seen.status])
    elif seen.status == "filled" and order.state in OPEN:
        findings.pending.append(f"order {seen.order_id} is filled, we know of {order.filled:g} of {order.quantity:g}")


def _absent(desk: Desk, snapshot: Snapshot, key: str, commands: list[Command], findings: Findings) -> None:
    """The whole history was asked for the key, late enough and with no request of it in flight: it never arrived."""
    order = desk.orders.get(key)
    if order is None or order.state not in OPEN:
        return
    if order.filled > 0.0 or order.state in (State.ACKED, State.WORKING, State.PARTIAL):
        findings.differences.append(f"order {key} is {order.state.value} with us, the broker has never had it")
    elif order.state is State.JOURNALED or order.kind == "protect":  # of a protection: the position needs another
        commands += desk.ended(OrderAccepted(snapshot.ts, key), State.CANCELLED)
    else:
        commands += desk.refused(OrderRefused(snapshot.ts, key, "it never arrived"))


def _silent(desk: Desk, snapshot: Snapshot, commands: list[Command], findings: Findings) -> set[int]:
    """Orders of ours that the record does not mention; the columns of those that have left."""
    silent: set[int] = set()
    told: dict[str, None] = dict.fromkeys([*snapshot.absent, *(seen.order_id for seen in snapshot.orders)])
    for order in [order for order in desk.tally.state.open if order.state in OPEN]:
        if order.order_id in told:
            continue
        if order.state is State.SENDING:
            commands += desk.lost(OrderUnknown(snapshot.ts, order.order_id, "no answer, and not in the broker's list"))
        findings.pending.append(f"order {order.order_id} is {order.state.value}, the broker's list does not show it")
        if order.state is not State.JOURNALED:
            silent.add(order.column)
    return silent


def _compare(desk: Desk, snapshot: Snapshot, silent: set[int], findings: Findings) -> None:
    state, limits = desk.tally.state, desk.tally.limits
    state.positions = desk.positions
    state.open = [order for order in state.open if order.state in OPEN]
    half_lot = 0.5 * state.lot
    pending = False
    for symbol, theirs in sorted(snapshot.positions.items()):
        if symbol not in desk.symbols and theirs != 0.0:
            findings.differences.append(f"{symbol}: we do not trade it, the broker holds {theirs:g}")
    for j, symbol in enumerate(desk.symbols):
        ours, theirs = state.positions[j], snapshot.positions.get(symbol, 0.0)
        if abs(ours - theirs) < half_lot:
            continue
        most, least = _reach(state.open, j, ours)
        lost = any(order.column == j and order.state in LOST for order in state.open)
        doubt = lost or symbol in findings.coming or "orders" in state.closed
        before, since = desk.gaps.get(symbol, (0.0, 0))
        same = abs(before - (theirs - ours)) < half_lot
        again = same and snapshot.ts - since >= (SILENT_GAP_NS if j in silent else GAP_NS)
        if least - half_lot < theirs < most + half_lot and (doubt or not again):
            pending = True
            findings.gaps[symbol] = (theirs - ours, since if same else snapshot.ts)
            findings.pending.append(f"{symbol}: we hold {ours:g}, the broker {theirs:g}; open orders explain it")
        else:
            findings.differences.append(f"{symbol}: we hold {ours:g}, the broker {theirs:g}")
            findings.theirs[j] = theirs
    if pending or any("executions did not come" in line for line in findings.pending):
        return  # cash follows the fills that are on their way
    ours, theirs = desk.account[0], snapshot.cash
    room = max(limits.max_cash_difference_usd or 0.0, (limits.max_cash_difference_pct or 0.0) / 100.0 * abs(ours))
    if not (abs(ours - theirs) < HALF_CENT or abs(ours - theirs) <= room):
        text = f"cash: we have {ours:.2f}, the broker {theirs:.2f} ({theirs - ours:+.2f})"
        if not findings.differences:  # else a person's word on the cash would not be taken
            text += (
                ": no fill, fee or payment that it tells of explains it; look at its statement, then: "
                f"python -m live resume ACCOUNT.toml --cash {theirs:.2f}"
            )
        findings.differences.append(text)
    elif not findings.differences:
        desk.fee_room = max(desk.fee_room, 0.0) if abs(ours - theirs) >= HALF_CENT else 0.0


def confirmed(desk: Desk, findings: Findings, event: Operator) -> list[Command]:
    """Take the broker's cash for ours on a person's word; why not, where the word is not the broker's."""
    typed, told = event.cash or 0.0, findings.cash
    if told is None or not abs(typed - told) < HALF_CENT:
        said = "has not been asked yet" if told is None else f"last said {told:.2f}"
        text = f"still halted: cash was confirmed as {typed:.2f}, and the broker {said}; look again"
        return [Alert(event.ts, "warning", "resume.refused", text)]
    if any(not line.startswith("cash: ") for line in findings.differences):
        text = f"still halted: more than cash differs: {'; '.join(findings.differences)}"
        return [Alert(event.ts, "warning", "resume.refused", text)]
    desk.take_cash(told - desk.account[0], outside=True)
    return []


def _reach(alive: list[Order], column: int, held: float) -> tuple[float, float]:
    """(most, least) shares that orders can have made of `held` by now; one that has not left can have done nothing."""
    most = least = held
    for order in alive:
        if order.column == column and order.state is not State.JOURNALED:
            left = order.quantity - order.filled
            most, least = (most + left, least) if order.side == "buy" else (most, least - left)
    return most, least


def aged(orders: list[Order], ts: int, alarm_ns: int, page_ns: int, tell: Callable[[Order, bool], Any]) -> None:
    """Tell of every order without an answer that is older than it should be; `tell(order, True)` past the page."""
    for order in orders:
        age = ts - order.since
        if order.state is State.UNKNOWN and age > page_ns:
            tell(order, True)
        elif not order.alarmed and age > alarm_ns and (order.state is State.UNKNOWN or order.cancelling):
            order.alarmed = True
            tell(order, False)
