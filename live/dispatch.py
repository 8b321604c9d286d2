"""The queue between the core and the broker: exits before entries, and entries only as long as they are fresh.

What waits here has provably not left, and is in the journal before anything else is done: an entry whose deadline
passes expires, an order that is taken back before its turn is cancelled, and after a crash the queue is made again from
the journal. The budget is the broker's own (`VenueBroker.wait_s`): what it has no room for waits here, where it can
still expire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data.calendar import SECOND_NS
from live.brokers.base import Priority
from live.core.commands import Cancel, Protect, Submit

Order = Submit | Protect | Cancel
ENTRIES = ("entry", "reversal")
LONG = 10
"""More than so many waiting is worth waking a person."""


@dataclass
class Waiting:
    """A command in the queue. until_ns: after which it is not sent any more, 0 for never. not_before_ns: nor before."""

    command: Order
    priority: Priority
    until_ns: int = 0
    not_before_ns: int = 0


class Dispatch:
    """Commands that are durable and have not left.

    Args:
        fresh_s: how long after its decision an entry may still be sent.
    """

    def __init__(self, fresh_s: float) -> None:
        self._fresh_ns = int(fresh_s * SECOND_NS)
        self._waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, command: Order, born_ns: int, not_before_ns: int = 0) -> Order | None:
        """Let it wait its turn; the command it makes needless, which then never leaves.

        Only what takes new risk minds `not_before_ns`: an exit never waits for a time.
        A cancel takes back an order that still waits. A changed protection takes the place of the one that waits.
        """
        same = [each for each in self._waiting if each.command.order_id == command.order_id]
        if isinstance(command, Cancel):
            self._waiting = [each for each in self._waiting if each not in same]
            for each in same:
                if isinstance(each.command, Submit) or (isinstance(each.command, Protect) and not each.command.amends):
                    return each.command  # nothing of this order has left: there is nothing to cancel
            self._waiting.append(Waiting(command, "exit"))
            return None
        if isinstance(command, Protect):
            for each in same:
                if isinstance(each.command, Protect) and each.command.amends:
                    each.command = command
                    return None
            self._waiting.append(Waiting(command, "exit"))
            return None
        entry = command.reason in ENTRIES
        if entry:
            self._waiting.append(Waiting(command, "entry", born_ns + self._fresh_ns, not_before_ns))
        else:
            self._waiting.append(Waiting(command, "exit"))
        return None

    def expired(self, now_ns: int) -> list[Submit]:
        """Entries that are too old to be sent; they wait no more."""
        old = [each for each in self._waiting if 0 < each.until_ns <= now_ns]
        self._waiting = [each for each in self._waiting if each not in old]
        return [each.command for each in old if isinstance(each.command, Submit)]

    def take(self, wait_s: Callable[[Priority], float], now_ns: int = 0) -> Order | None:
        """What may go now: the first of the most urgent; None where the budget has no room for any, or it is too early.

        now_ns: as `put` has its times; 0 is before all of them.
        """
        first = self._first(wait_s, now_ns)
        if first is None:
            return None
        self._waiting.remove(first)
        return first.command

    def is_ready(self, wait_s: Callable[[Priority], float], now_ns: int = 0) -> bool:
        """Whether `take` would give something."""
        return self._first(wait_s, now_ns) is not None

    def due_s(self, wait_s: Callable[[Priority], float], now_ns: int = 0) -> float | None:
        """Seconds until something may go; None where nothing waits."""
        waits = [max(wait_s(each.priority), (each.not_before_ns - now_ns) / SECOND_NS) for each in self._waiting]
        return min(waits) if waits else None

    def _first(self, wait_s: Callable[[Priority], float], now_ns: int) -> Waiting | None:
        priorities: tuple[Priority, ...] = ("exit", "entry")
        for priority in priorities:
            ready = (each for each in self._waiting if each.priority == priority and each.not_before_ns <= now_ns)
            first = next(ready, None)
            if first is not None and wait_s(priority) <= 0.0:
                return first
        return None
