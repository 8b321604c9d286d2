"""What a vendor's stream has to know and to say, so that `data.sources.stream` can carry it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from data.events import Bar, MarketEvent
from data.sources.base import Clock

Backfill = Callable[[Sequence[str], int, int], list[Bar]]
"""(symbols, start, end) -> minute bars that closed between; called in a thread, may block."""


class Lost(Exception):  # noqa: N818  # not an error: the stream goes on after it
    """The connection is of no more use. after_s: what to wait at least."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Dialect(Protocol):
    """How one vendor's stream is spoken."""

    venue: str
    url: str
    headers: dict[str, str]
    symbols: tuple[str, ...]
    stall_s: float

    async def enter(self, wire: Any, clock: Clock) -> list[MarketEvent]:
        """Log in and subscribe; return when everything is confirmed, with the events that came meanwhile.

        Raises:
            AuthError, UsageError: trying again cannot help. Lost: it can.
        """

    def read(self, frame: bytes | str, recv_ts: int) -> list[MarketEvent]:
        """The events of a frame; items that cannot be read are counted in `bad`.

        Raises:
            As `enter`.
        """

    bad: int


@dataclass
class StreamStats:
    """What happened so far. bad: items that could not be read. last_loss: why the connection was lost last."""

    connects: int = 0
    events: int = 0
    gaps: int = 0
    stalls: int = 0
    backfilled: int = 0
    conflated: int = 0
    doubles: int = 0
    bad: int = 0
    last_loss: str = ""
    waits: list[float] = field(default_factory=list)
