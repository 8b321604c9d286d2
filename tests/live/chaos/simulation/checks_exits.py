"""I5, of exits: where the books are known to differ, nothing leaves a share that the venue does not have."""

from __future__ import annotations

from collections.abc import Iterator

from live.core.commands import Alert, Submit
from live.core.events import Snapshot

from .checks_flow import ENTRIES
from .trail import Trail
from .world import Evidence


def no_share_is_left_twice(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """An exit of a symbol that is known to differ does not turn the venue's position round.

    Judged by what the venue held when the exit came in. What moved there since the last comparison could not be known.
    """
    differ: list[str] = []
    compared = 0
    decided: dict[str, int] = {}
    for step in trail.steps:
        if isinstance(step.event, Snapshot):
            compared = step.event.ts
        for command in step.commands:
            if isinstance(command, Alert) and command.name == "books.differ":
                differ = [symbol for symbol in evidence.plan.symbols if f"{symbol}: we hold" in command.text]
            elif isinstance(command, Alert) and command.name == "reconciled":
                differ = []
            elif isinstance(command, Submit) and command.reason not in ENTRIES and command.symbol in differ:
                decided[command.order_id] = compared
    for receipt in evidence.venue.receipts:
        since, body = decided.get(receipt.key), receipt.body
        if since is None or not receipt.taken or _moved(evidence, body.symbol, since, receipt.ts):
            continue
        sign = 1.0 if body.side == "buy" else -1.0
        if body.quantity > max(-sign * receipt.held, 0.0) + 1e-6:
            yield f"{body.side} {body.quantity:g} {body.symbol} left against the {receipt.held:g} that the venue has"


def _moved(evidence: Evidence, symbol: str, since: int, until: int) -> bool:
    """Whether something of the symbol happened at the venue in between."""
    second = 1_000_000_000  # the venue counts a comparison's own second as it answers
    times = [ts for ts, _ in evidence.venue.by_hand]
    times += [each.ts for order in evidence.venue.orders if order.body.symbol == symbol for each in order.executions]
    return any(since - second < ts <= until for ts in times)
