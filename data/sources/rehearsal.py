"""The time of a rehearsal: that of a sandbox's tape, in a process of its own.

A sandbox plays a tape of another day, perhaps faster than it happened. What marks events with the time at which they
came must know the tape's time: `ONETAPE_REHEARSAL=<tape ns>@<unix ns>*<speed>` says what it was at one instant of this
machine's clock, and how fast it runs.
"""

from __future__ import annotations

import asyncio
import time

from data.errors import ConfigError
from data.sources.base import Clock, WallClock


class RehearsalClock:
    """A tape's time as a `data.sources.base.Clock`.

    Args:
        tape_ns: the tape's time at `unix_ns` of this machine's clock. speed: how many times as fast as the wall's.
    """

    def __init__(self, tape_ns: int, unix_ns: int, speed: float) -> None:
        self.speed = speed
        self._tape, self._unix = tape_ns, unix_ns

    def now(self) -> int:
        """UTC nanoseconds of the tape."""
        return self._tape + int((time.time_ns() - self._unix) * self.speed)

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of the tape, in a thread."""
        time.sleep(seconds / self.speed)

    async def pause(self, seconds: float) -> None:
        """Wait for so many seconds of the tape, on an event loop."""
        await asyncio.sleep(seconds / self.speed)

    def keep_up(self, ts: int) -> None:
        """The tape is at `ts` already, for a sandbox leaps over nights: go on from there."""
        self._tape += max(ts - self.now(), 0)


def told(clock: Clock, speed: float) -> str:
    """The value of ONETAPE_REHEARSAL for a tape that is where `clock` is now."""
    return f"{clock.now()}@{time.time_ns()}*{speed:g}"


def clock_of(text: str | None) -> Clock:
    """The clock of this value of ONETAPE_REHEARSAL; None: this machine's.

    Raises:
        ConfigError: it is not of the form.
    """
    if text is None:
        return WallClock()
    try:
        tape, _, rest = text.partition("@")
        unix, _, speed = rest.partition("*")
        clock = RehearsalClock(int(tape), int(unix), float(speed))
    except ValueError:
        clock = None
    if clock is None or not 0.0 < clock.speed <= 10_000.0:
        raise ConfigError(f"ONETAPE_REHEARSAL is {text!r}; it is what the sandbox printed: <tape ns>@<unix ns>*<speed>")
    return clock
