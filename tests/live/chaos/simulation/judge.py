"""All invariants over one schedule's evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .checks_books import equal_books, in_order_or_alarmed
from .checks_exits import no_share_is_left_twice
from .checks_flow import nothing_new_after_a_halt, one_writer, rows_once_and_fresh, within_the_budget
from .checks_journal import no_secret, replays, whole_and_kept
from .checks_limits import inside_all_limits
from .checks_orders import each_execution_once, every_order_was_intended, no_end_without_evidence, one_order_per_intent
from .checks_parity import same_decisions
from .coverage import reachable
from .disk import DiskSystem
from .trail import Trail
from .world import Evidence, World

CHECKS: dict[str, Callable[[Evidence, Trail], Iterator[str]]] = {
    "I1": one_order_per_intent,
    "I2": every_order_was_intended,
    "I3": equal_books,
    "I4": each_execution_once,
    "I5": inside_all_limits,
    "I5 exits": no_share_is_left_twice,
    "I6": no_end_without_evidence,
    "I7": whole_and_kept,
    "I8": rows_once_and_fresh,
    "I10": nothing_new_after_a_halt,
    "I11": one_writer,
    "I12": in_order_or_alarmed,
    "I13": within_the_budget,
    "I14": same_decisions,
    "I15": no_secret,
    "I16": replays,
}
"""Checkers; I5 also speaks for I9, and I14 for I17, by the first word of what they say."""


ROTTEN = ("I3", "I5", "I5 exits", "I7", "I12", "I15")
"""What must hold even where a bit of the journal turned: the write-ahead log ends where its checksums do, so records
that were promised may be gone, and only the comparison with the venue can tell."""


@dataclass(frozen=True)
class Violation:
    """One invariant broken by one schedule."""

    seed: int
    invariant: str
    text: str

    def __str__(self) -> str:
        again = f"python tests/live/chaos/run.py --seed {self.seed} --schedules 1"
        return f"{self.invariant} seed {self.seed}: {self.text}\n    again: {again}"


@dataclass(frozen=True)
class Verdict:
    """What became of one schedule. met: (fault, order state) to how often."""

    seed: int
    violations: tuple[Violation, ...]
    met: dict[tuple[str, str], int]
    trace: str
    orders: int


def judged(seed: int, system: DiskSystem, only: tuple[str, ...] = (), folder: Path | None = None) -> Verdict:
    """Run one schedule and judge it."""
    world = World(seed, system, only, folder)
    out_of_reach = reachable()  # what a journal that is damaged or old says of an order is not where the order is
    try:
        evidence = world.run()
        trail = Trail.of(evidence.journal)
        found: list[Violation] = []
        for name, check in CHECKS.items():
            if evidence.damaged and name not in ROTTEN:
                continue
            for text in check(evidence, trail):
                said, _, rest = text.partition(" ")
                own = said if said[:1] == "I" and said[1:].isdigit() else ""
                found.append(Violation(seed, own or name.split()[0], rest if own else text))
        met = {cell: times for cell, times in evidence.met.items() if not (evidence.damaged and out_of_reach[cell])}
        return Verdict(seed, tuple(found), met, evidence.trace, len(evidence.venue.orders))
    finally:
        world.bury()
