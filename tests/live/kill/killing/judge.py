"""The judge of a killed process: the broker's own record against what the journal and the last life say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import apsw

from live.sandbox.broker_engine import Venue, VenueOrder

ROOM = 1e-6


class Witness:
    """Stands at the broker's door: every order that comes in must be durable at that very moment (I2)."""

    def __init__(self, venue: Venue, journal: str) -> None:
        self.found: list[str] = []
        self._journal = journal
        venue.listeners.append(self._hear)

    def _hear(self, event: str, order: VenueOrder, _execution: object) -> None:
        if event != "new" or order.parent:
            return
        try:
            reader = apsw.Connection(self._journal, flags=apsw.SQLITE_OPEN_READONLY)
            reader.set_busy_timeout(20_000)
            intent = reader.execute("SELECT count(*) FROM intent WHERE order_id = ?", (order.key,)).fetchone()
            marked = reader.execute(
                "SELECT count(*) FROM record WHERE kind = 'event' AND instr(body, CAST(? AS BLOB)) > 0", (order.key,)
            ).fetchone()
            reader.close()
        except apsw.Error as error:
            self.found.append(f"I2 order {order.key} came while the journal could not be read ({error})")
            return
        if not marked[0]:
            self.found.append(f"I2 order {order.key} came before it was durably marked as sent")
        if not intent[0] and marked[0] < 1:
            self.found.append(f"I2 order {order.key} came without a durable intent")


def after_a_death(examined: dict[str, Any], acknowledged: int) -> list[str]:
    """What is wrong with the journal that a killed process left (I7, I16)."""
    if "error" in examined:
        return [f"I7 the journal cannot be read: {examined['error'].strip().splitlines()[-1]}"]
    found = []
    if examined["last"] < acknowledged:
        found.append(f"I7 record {acknowledged} was durable and is gone: the journal ends at {examined['last']}")
    if len(set(examined["digests"])) != 1:
        found.append("I16 two replays of one journal end in different states")
    return found


def is_late(told: dict[str, Any]) -> bool:
    """Whether a life ended before it could know: the machine was slow, or the broker has not told the end yet.

    Such a life is no evidence of anything; a longer one on the same journal is.
    """
    return bool(told.get("late") or told.get("asked"))


def at_the_end(venue: Venue, told: dict[str, Any], examined: dict[str, Any]) -> list[str]:
    """Where the last life and the broker differ (I1, I3, I4, I6)."""
    if "positions" not in told and told.get("late"):
        return [f"the last life could not begin: {told['late']}"]
    if "error" in told:
        return [f"the last life failed: {told['error'].strip().splitlines()[-1]}"]
    found = []
    keys = Counter(order.key for order in venue.orders.values() if not order.parent)
    found += [f"I1 {key} is {count} orders at the broker" for key, count in keys.items() if count > 1]
    held = {symbol: float(quantity) for symbol, quantity in venue.positions.items()}
    for symbol in set(held) | set(told["positions"]):
        ours, theirs = told["positions"].get(symbol, 0.0), held.get(symbol, 0.0)
        if abs(ours - theirs) > ROOM:
            found.append(f"I3 {symbol}: we hold {ours}, the broker {theirs}")
    if abs(told["cash"] - float(venue.cash)) > ROOM:
        found.append(f"I3 cash: we have {told['cash']}, the broker {venue.cash}")
    found += _orders(venue, told)
    if len(examined["executions"]) != len(set(examined["executions"])):
        found.append("I4 an execution was applied twice")
    filled = sum(float(order.filled) for order in venue.orders.values())
    if abs(sum(examined["fills"].values()) - filled) > ROOM:
        found.append(f"I4 {sum(examined['fills'].values())} shares were booked, the broker filled {filled}")
    if told["differences"]:
        found.append(f"I3 it found differences itself: {told['differences']}")
    return found


def _orders(venue: Venue, told: dict[str, Any]) -> list[str]:
    found = []
    by_key = {order.key: order for order in venue.orders.values()}
    for key, order in by_key.items():
        ours = told["orders"].get(key)
        if ours is None:
            continue  # an amended protection has a key of its own; its fills are counted below
        if order.kind == "market" and abs(ours["filled"] - float(order.filled)) > ROOM:
            found.append(f"I4 order {key}: {ours['filled']} booked, {order.filled} filled")
        if ours["state"] == "refused" and order.status != "rejected":
            found.append(f"I6 order {key} is called refused, the broker has it {order.status}")
    for key, ours in told["orders"].items():
        if ours["state"] in ("filled", "rejected") and key not in by_key and ours["filled"] > 0.0:
            found.append(f"I6 order {key} is called {ours['state']}, the broker has never had it")
    return found
