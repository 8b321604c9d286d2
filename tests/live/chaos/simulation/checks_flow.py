"""I8, I10, I11, I13: rows, halts, writers and the budget."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from data.rows import Row
from live.core.commands import Alert, Submit
from live.core.events import Operator, OrderSent

from .clock import SECOND
from .trail import Trail
from .world import Evidence

ENTRIES = ("entry", "reversal")
HALTS = ("risk.halted", "books.differ", "books.contradiction", "halted")
AGE_S = 5.0
FRESH_S, BLOCKED_S = 20.0, 16.0
"""An entry leaves so long after it was decided, and a request that is under way may keep it so much longer."""


def rows_once_and_fresh(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I8: no row is decided on twice, out of order, or when it is old; an entry does not leave late."""
    last = 0
    decided: set[tuple[str, int]] = set()
    for step in trail.steps:
        if isinstance(step.event, Row):
            late = any(isinstance(command, Alert) and command.name == "row.late" for command in step.commands)
            if not late:
                if step.event.ts <= last:
                    yield f"row {step.event.ts} was decided on after row {last} (record {step.seq})"
                last = step.event.ts
        for command in step.commands:
            if not isinstance(command, Submit) or command.reason not in ENTRIES:
                continue
            if (command.symbol, command.ts) in decided:
                yield f"row {command.ts} was decided on twice for {command.symbol}"
            decided.add((command.symbol, command.ts))
            seen = evidence.processed.get(command.ts)
            if seen is not None and seen - command.ts > (AGE_S + 0.5) * SECOND:
                yield f"{command.symbol}: entered on a row of {(seen - command.ts) / SECOND:.1f} s ago"
    for receipt in evidence.venue.receipts:
        intent = trail.intents.get(receipt.key)
        if isinstance(intent, Submit) and intent.reason in ENTRIES:
            frozen = sum(until - since for since, until in evidence.stalls if intent.ts < until <= receipt.left)
            age = (receipt.left - intent.ts - frozen) / SECOND
            if age > AGE_S + FRESH_S + BLOCKED_S:
                yield f"entry {receipt.key} left for the venue {age:.0f} s after its row"


def nothing_new_after_a_halt(evidence: Evidence, trail: Trail) -> Iterator[str]:
    """I10: after a halt no new risk is decided on, and at most the one order on the wire arrives."""
    halted = ""
    arrived = Counter(receipt.key for receipt in evidence.venue.receipts)
    marked: Counter[str] = Counter()  # what is marked as sent after a halt may still be taken back before the wire
    for step in trail.steps:
        event = step.event
        if isinstance(event, Operator):
            halted = "" if event.action == "resume" else f"a person's {event.action}"
        elif halted and isinstance(event, OrderSent):
            intent = trail.intents.get(event.order_id)
            if (
                isinstance(intent, Submit)
                and intent.reason in ENTRIES
                and arrived[event.order_id] > marked[event.order_id]
            ):
                yield f"an entry left after {halted} (record {step.seq})"
        elif isinstance(event, OrderSent):
            marked[event.order_id] += 1
        for command in step.commands:
            if isinstance(command, Alert) and command.name in HALTS:
                halted = halted or command.name
            elif halted and isinstance(command, Submit) and command.reason in ENTRIES:
                yield f"an entry was decided on after {halted} (record {step.seq})"
    entries = [
        receipt
        for receipt in evidence.venue.receipts
        if getattr(trail.intents.get(receipt.key), "reason", "") in ENTRIES
    ]
    for since, until in _halts(evidence):
        for receipt in entries:
            if since < receipt.left < until:
                yield f"entry {receipt.key} left {(receipt.left - since) / SECOND:.1f} s after a halt"
        on_the_wire = [receipt for receipt in entries if receipt.left <= since < receipt.ts]
        if len(on_the_wire) > 1:
            yield f"{len(on_the_wire)} entries were on the wire at a halt"


def _halts(evidence: Evidence) -> Iterator[tuple[int, int]]:
    """(from, until) of a person's halts, as the runner heard them."""
    since = 0
    for ts, action in [*evidence.words, (evidence.end + 1, "resume")]:
        if action != "resume":
            since = since or ts
        elif since:
            yield since, ts
            since = 0


def one_writer(evidence: Evidence, _trail: Trail) -> Iterator[str]:
    """I11: after a take-over nothing of the older process arrives; while the lock is held there is no take-over."""
    for ts, life in evidence.takeovers:
        if life < 0:
            yield "a second runner started although the first held the lock"
            continue
        for receipt in evidence.venue.receipts:
            if receipt.left > ts and receipt.life < life:
                yield f"the process of before the take-over sent {receipt.key}"


def within_the_budget(evidence: Evidence, _trail: Trail) -> Iterator[str]:
    """I13: in no minute more requests than the budget, and none while the venue said to wait."""
    most = evidence.capabilities.requests_a_minute
    lives: dict[int, list[int]] = {}
    for ts, _, _, life in evidence.venue.requests:
        lives.setdefault(life, []).append(ts)
    for times in lives.values():
        for number, ts in enumerate(times):
            count = number - bisect_left(times, ts - 60 * SECOND) + 1
            if count > most:
                yield f"{count} requests in a minute, the budget is {most}"
                break
    # A process that was killed cannot say what it had used: each start may cost the bucket's burst once more, and its
    # own questions. The budget is half of what the venue allows, and so it stays within that.
    every = [ts for ts, _, _, _ in evidence.venue.requests]
    for number, ts in enumerate(every):
        first = bisect_left(every, ts - 60 * SECOND)
        lives_in = {life for _, _, _, life in evidence.venue.requests[first : number + 1]}
        if number - first + 1 > most + (len(lives_in) - 1) * (most // 3 + 5):
            yield f"{number - first + 1} requests in a minute over {len(lives_in)} starts, the budget is {most}"
            break
    for since, until, life in evidence.closed:
        early = [left for _, left, _, of in evidence.venue.requests if of == life and since < left < until]
        if early:
            yield f"a request came {(until - early[0]) / SECOND:.1f} s before the venue's Retry-After was over"
            break
