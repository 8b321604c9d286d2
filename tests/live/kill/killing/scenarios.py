"""Small days, each written so that some of the labelled points are passed; together they pass nearly all.

A step is (what, value): `row` a row whose volume says what is wanted, `price` the middle of the quote, `wait` seconds,
`halt`, `resume`, `person`, `reconcile`, `day` (the next row is of the next session).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NOTHING, BUY, SELL = 0, 1, 2
Step = tuple[str, float]


@dataclass(frozen=True)
class Scenario:
    """One day. faults: of the broker. rule, params, limits: of the plan. brokers: that can trade it."""

    steps: tuple[Step, ...]
    faults: str = ""
    rule: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    brokers: tuple[str, ...] = ("alpaca", "robinhood_private", "robinhood")


def rows(*says: float) -> tuple[Step, ...]:
    """A row for each, and the time to trade it."""
    return tuple(step for say in says for step in (("row", say), ("wait", 4.0)))


SCENARIOS = {
    "trade": Scenario(
        (
            *rows(NOTHING, BUY, NOTHING, SELL, NOTHING),
            ("reconcile", 0),
            ("day", 0),
            *rows(BUY, NOTHING, SELL, NOTHING),
        )
    ),
    "protected": Scenario(
        (
            *rows(NOTHING, BUY),
            ("price", 102.0),
            *rows(NOTHING),
            ("price", 104.0),
            *rows(NOTHING),
            ("price", 99.0),
            *rows(NOTHING, NOTHING),
        ),
        rule={"stops": "touch"},
        params={"stop": 5.0, "trail": 3.0, "target": 30.0},
        brokers=("alpaca",),
    ),
    "doubt": Scenario(
        (
            *rows(BUY, NOTHING, SELL, NOTHING, NOTHING),
            ("person", 0),
            *rows(BUY, NOTHING, SELL, NOTHING, BUY, NOTHING, SELL, NOTHING),
        ),
        faults="place.lost@1,place.drop@3,place.504-after@5,look.503@3,order.split@2,order.no-cash@5,order.lag@3",
    ),
    "taken back": Scenario(
        (
            *rows(BUY, NOTHING, NOTHING),
            ("halt", 0),
            ("wait", 4.0),
            ("resume", 0),
            *rows(BUY, NOTHING, SELL, NOTHING),
        ),
        faults="order.hold@1,cancel.lost@1,order.late-reject@2",
    ),
    "halted": Scenario(
        (
            *rows(BUY, NOTHING),
            ("halt", 0),
            *rows(BUY, NOTHING),
            ("resume", 0),
            *rows(SELL, NOTHING, BUY),
            ("price", 80.0),
            *rows(NOTHING, NOTHING),
            ("day", 0),
            *rows(NOTHING, SELL, NOTHING),
        ),
        limits={"halt_loss_pct": 1.0, "reduce_only_loss_pct": 0.5},
    ),
}

LABELS: dict[str, tuple[str, ...]] = {
    "before the intent is written": ("intent.before",),
    "after the intent is written": ("intent.written",),
    "before the commit": ("commit.before",),
    "after the commit": ("commit.after",),
    "before the mark that it is being sent": ("sending.before",),
    "after the mark that it is being sent": ("sending.written", "sending.applied"),
    "the request about to leave": ("request.before",),
    "in the middle of writing the request": ("request.half",),
    "before the answer is read": ("answer.unread",),
    "after the answer is read": ("request.after",),
    "before the acknowledgement is written": ("ack.before",),
    "after the acknowledgement is written": ("ack.written", "ack.applied"),
    "before the fill is written": ("fill.before",),
    "after the fill is written, before the position": ("fill.written",),
    "after the position": ("fill.applied",),
    "the cancel's intent": ("cancel.before", "cancel.written"),
    "the cancel being sent": ("cancel.half", "cancel.unread"),
    "the cancel's acknowledgement": ("cancel-ack.before", "cancel-ack.written", "cancel-ack.applied"),
    "a changed protection": ("amending.before", "amending.written"),
    "the state's digest (checkpoint)": ("digest.before", "digest.after"),
    "the broker's snapshot": ("snapshot.before", "snapshot.written", "snapshot.applied"),
    "each step of a reconciliation": (
        "resume.before",
        "resume.after",
        "open.before",
        "open.after",
        "books.before",
        "books.after",
    ),
    "a halt being set": ("word.before", "word.written", "word.applied"),
    "a loss being remembered": ("loss.before", "loss.written"),
    "the day rolling over": ("day.before", "day.after"),
    "an answer that was lost": ("unknown.before", "unknown.written", "unknown.applied"),
    "a refusal": ("refusal.before", "refusal.written", "refusal.applied"),
}
"""The write points of an account's process, in a reader's words, and the names they have in `live.points`."""

ELSEWHERE = {
    "token save": "test_a_login_survives_a_death_while_it_is_renewed",
    "migration": "the journal has one schema; none is migrated",
    "log rotate": "the process keeps no log of its own: it says what it says on standard error",
    "config reload": "an account file is read once, at the start",
    "lease renew": "the account's lock is the kernel's, which lets go of it with the process",
    "archive upload": "no archive is uploaded by the process that trades",
}
"""Points of the list that this process does not have, and why; or where they are killed instead."""
