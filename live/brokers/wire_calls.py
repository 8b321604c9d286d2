"""How requests to a broker went, counted where their answers come in: how many, and how many failed, by kind.

    429          the broker wanted fewer
    5xx          the broker failed
    401          it did not know the login
    timeout      no whole answer in time
    broken       the connection broke before the answer was whole
    unsent       no connection
    unreadable   a whole answer that was not what had been asked for

A documented no (an order refused, an order not found) is an answer, not an error.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol, runtime_checkable

KINDS = ("429", "5xx", "401", "timeout", "broken", "unsent", "unreadable")
LATELY = 200


class Calls:
    """The requests of one route. total: all of them; errors: of those, by kind; every kind is there from the start."""

    def __init__(self) -> None:
        self.total = 0
        self.errors = dict.fromkeys(KINDS, 0)
        self._lately: deque[bool] = deque(maxlen=LATELY)

    def answered(self, status: int) -> None:
        """A whole answer came."""
        kind = "5xx" if status >= 500 else str(status)
        self._count(kind if kind in self.errors else "")

    def failed(self, error: BaseException, *, sent: bool = True) -> None:
        """None came. sent: something had left."""
        self._count("unsent" if not sent else "timeout" if _is_timeout(error) else "broken")

    def unreadable(self) -> None:
        """The last answer was no use: counted once, and not where that request had failed already."""
        if self._lately and not self._lately[-1]:
            self._lately[-1] = True
            self.errors["unreadable"] += 1

    @property
    def lately(self) -> tuple[int, int]:
        """(how many of the last `LATELY` requests there are, how many of them failed)."""
        held = list(self._lately)
        return len(held), sum(held)

    def _count(self, kind: str) -> None:
        self.total += 1
        self._lately.append(bool(kind))
        if kind:
            self.errors[kind] += 1


@runtime_checkable
class Counted(Protocol):
    """A route, or a broker behind one, whose requests are counted."""

    calls: Calls


def calls_of(broker: object) -> Calls | None:
    """The count of a broker over a network, None of one that makes no requests."""
    route = getattr(broker, "route", None)
    return route.calls if isinstance(route, Counted) else None


def _is_timeout(error: BaseException) -> bool:
    """Whether time ran out, whatever library says so, and however deep in it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TimeoutError) or "timeout" in type(seen).__name__.lower():
            return True
        inner = [each for each in seen.args if isinstance(each, BaseException)]
        seen = inner[0] if inner else seen.__cause__ or seen.__context__
    return False
