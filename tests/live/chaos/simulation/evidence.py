"""What a schedule leaves for the checkers: notes that grow while it runs, and what is told of its end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from live.core.commands import Alert
from live.core.plan import Plan
from strategies.common.load import Strategy

from .market import Market, Told
from .venue import Venue


@dataclass
class Evidence:
    """What the checkers judge: the venue's record, the journal's file, and what was told to people.

    All times are nanoseconds of the timeline. calm: when the faults stopped; promises: (sequence number, checksum) of
    each commit that came back; alerts: (time, life, alert); words: (time, what a person said); lives: (time, life,
    how it ended); takeovers: (time, the life that took over), and (time, -1) where the lock was held and let it in;
    lost: orders of which nothing is known at the end; stalls: (from, until) in which the process stood still;
    processed: time of a row to when it was heard; closed: (from, until, life) in which the venue had asked for quiet;
    met: (fault, order state) to how often; trace: a hash of all that must be the same when the seed is run again.
    """

    seed: int
    venue: Venue
    market: Market
    plan: Plan
    strategy: Strategy
    journal: Path
    capabilities: Any
    promises: list[tuple[int, bytes]] = field(default_factory=list)
    alerts: list[tuple[int, int, Alert]] = field(default_factory=list)
    words: list[tuple[int, str]] = field(default_factory=list)
    lives: list[tuple[int, int, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    takeovers: list[tuple[int, int]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    refusals: list[tuple[int, int]] = field(default_factory=list)
    stalls: list[tuple[int, int]] = field(default_factory=list)
    processed: dict[int, int] = field(default_factory=dict)
    closed: list[tuple[int, int, int]] = field(default_factory=list)
    external: bool = False
    damaged: bool = False
    calm: int = 0
    end: int = 0
    up: bool = False
    lost: list[str] = field(default_factory=list)
    final: Any = None
    digest: str = ""
    met: dict[tuple[str, str], int] = field(default_factory=dict)
    trace: str = ""
    _hash: Any = field(default_factory=hashlib.sha256, repr=False)

    def lived(self, now: int, life: int, how: str) -> None:
        """A life of the process is over."""
        self.lives.append((now, life, how))
        self._hash.update(f"{now} {how}".encode())

    def sealed(self, now: int) -> Evidence:
        """The schedule is over; with it the session that is left, where one is."""
        self.end, self.external = now, self.external or bool(self.venue.by_hand)
        for order in self.venue.orders:
            self._hash.update(f"{order.key} {order.body} {order.status} {order.executions}".encode())
        self._hash.update(repr(self.venue.requests).encode())
        if self.final is not None:
            self.digest = self.final.core.digest()
            self._hash.update(self.digest.encode())
            self.final.close()
        self.trace = self._hash.hexdigest()
        return self
