"""The sandbox's books against ours: its record of the account, and what our journal says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from live.core.commands import Cancel, Denied, Protect, Submit, decode_command
from live.core.core import Core
from live.core.events import (
    Event,
    Gate,
    Operator,
    OrderExpired,
    OrderQuarantined,
    OrderRefused,
    OrderUnknown,
    PersonSays,
    Row,
    Snapshot,
    decode_event,
)
from live.core.orders import OPEN, Order, State
from live.journal import SqliteJournal, steps
from strategies.common.load import Strategy

SHARE, CENT = 1e-6, 0.005


class OrderLine(msgspec.Struct):
    """One order, and why it is. decided: UTC nanoseconds of the row. state: with us; why: the control's or broker's."""

    key: str
    decided: int
    symbol: str
    side: str
    quantity: float
    reason: str
    state: str
    filled: float = 0.0
    price: float = float("nan")
    why: str = ""
    venue_state: str = ""


class Compared(msgspec.Struct):
    """What the comparison found. differences: sentences; pending: orders that nobody has told the end of."""

    orders: list[OrderLine]
    denied: dict[str, int]
    differences: list[str]
    pending: list[str]
    positions: dict[str, float]
    cash: float
    their_positions: dict[str, float]
    their_cash: float
    digest: str


def compare_books(path: Path, strategy: Strategy, record: dict[str, Any]) -> Compared:
    """Replay a journal and hold it against the broker's record of the account (see `sandbox.broker_record`).

    Raises:
        JournalError: the journal is damaged.
    """
    journal = SqliteJournal.open(path)
    try:
        core = Core(journal.header.plan, strategy)
        lines: dict[str, OrderLine] = {}
        denied: dict[str, int] = {}
        said: dict[str, str] = {}
        for step in steps(journal):
            event = decode_event(step.event)
            if isinstance(event, OrderRefused | OrderUnknown | OrderQuarantined):
                said[event.order_id] = event.reason
            elif isinstance(event, PersonSays):
                said[event.order_id] = f"{event.outcome}, says {event.who}"
            elif isinstance(event, OrderExpired):
                said.setdefault(event.order_id, "its time was over")
            elif isinstance(event, Snapshot):
                said |= dict.fromkeys(event.absent, "it never arrived: the broker's whole lists do not have it")
            core.step(event)
            for body in step.commands:
                command = decode_command(body)
                if isinstance(command, Cancel):
                    said[command.order_id] = f"taken back: {_cause(event)}"
                if isinstance(command, Denied):
                    denied[command.code] = denied.get(command.code, 0) + 1
                    lines[command.order_id] = _line(command, "denied", f"{command.code} {command.text}")
                elif isinstance(command, Submit | Protect):
                    lines[command.order_id] = _line(command, "")
    finally:
        journal.close()
    theirs = {order["key"]: order for order in record["orders"]}
    for key, order in core.orders.items():
        if key in lines and lines[key].state != "denied":
            line = lines[key]
            line.state, line.filled, line.why = order.state.value, order.filled, _why(order, said.get(key, ""))
        if key in theirs and key in lines:
            lines[key].venue_state = theirs[key]["status"]
            lines[key].price = float(theirs[key]["average"] or "nan")
    held = {symbol: shares for symbol, shares in zip(core.symbols, core.positions, strict=True) if shares}
    done = Compared(
        orders=list(lines.values()),
        denied=denied,
        differences=[],
        pending=[
            f"order {order.order_id} of {core.symbols[order.column]} is {order.state.value}"
            for order in core.orders.values()
            if order.state in OPEN and order.state is not State.JOURNALED and order.kind != "protect"
        ],
        positions=held,
        cash=core.cash,
        their_positions={symbol: float(shares) for symbol, shares in record["positions"].items()},
        their_cash=float(record["cash"]),
        digest=core.digest(),
    )
    done.differences = _differences(done, core, record)
    return done


def _cause(event: Event) -> str:
    """Why an order was asked back when this was heard."""
    if isinstance(event, Row):
        return "it had not filled by the next row"
    if isinstance(event, Gate):
        return f"{event.name} was not in order: {event.reason}"
    if isinstance(event, Operator):
        return f"{event.action} by {event.who or 'a person'}"
    return "the position has changed"


def _why(order: Order, said: str) -> str:
    """Why an order has not done all that it was for; "" where it has."""
    if order.state is State.FILLED:
        return ""
    return said or ("the broker ended it" if order.is_over else "nobody has told its end")


def _line(command: Submit | Protect | Denied, state: str, why: str = "") -> OrderLine:
    reason = "protect" if isinstance(command, Protect) else command.reason
    return OrderLine(
        command.order_id, command.ts, command.symbol, command.side, command.quantity, reason, state, why=why
    )


def _differences(done: Compared, core: Core, record: dict[str, Any]) -> list[str]:
    found = []
    for symbol in sorted({*done.positions, *done.their_positions}):
        ours, theirs = done.positions.get(symbol, 0.0), done.their_positions.get(symbol, 0.0)
        if abs(ours - theirs) > SHARE:
            found.append(f"{symbol}: we hold {ours:g}, the broker {theirs:g}")
    if not abs(done.cash - done.their_cash) <= CENT:
        found.append(f"cash: we have {done.cash:.2f}, the broker {done.their_cash:.2f}")
    keys: dict[str, int] = {}
    for order in record["orders"]:
        if not order["parent"] and not order["by_hand"]:
            keys[order["key"]] = keys.get(order["key"], 0) + 1
    found += [f"order {key}: {count} orders at the broker under one key" for key, count in keys.items() if count > 1]
    for order in record["orders"]:
        mine = core.orders.get(order["key"])
        if mine is None:
            continue  # a changed protection has a key of its own, a person's order is not ours
        if order["kind"] == "market" and abs(mine.filled - float(order["filled"])) > SHARE:
            found.append(f"order {order['key']}: {mine.filled:g} shares booked, the broker filled {order['filled']}")
        if mine.state is State.REFUSED and order["status"] != "rejected":
            found.append(f"order {order['key']} is refused with us, {order['status']} at the broker")
    return found
