"""A world in which every look at the clock and every random draw gives another answer: what a certificate runs in."""

from __future__ import annotations

import contextlib
import datetime as real_datetime
import random
import time
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time")
YEAR_NS = 365 * 86_400 * 10**9


class _Clock:
    """Nanoseconds since 1970 that leap by days to decades at every reading, the same leaps for one seed."""

    def __init__(self, seed: int) -> None:
        self._draw = np.random.Generator(np.random.PCG64(seed))

    def read(self) -> int:
        return int(self._draw.integers(0, 60 * YEAR_NS))


@contextlib.contextmanager
def hostile_world(seed: int, function: Callable[..., Any]) -> Iterator[None]:
    """Patch clocks and random generators, in their modules and where `function`'s own module imported them by name.

    Seeds that differ give other clocks and other draws, so that a function which looks at either gives other bits.
    Warnings are silent inside: bits are what is judged.
    """
    clock = _Clock(seed)

    class Moment(real_datetime.datetime):
        @classmethod
        def now(cls, tz: real_datetime.tzinfo | None = None) -> Any:
            return real_datetime.datetime.fromtimestamp(clock.read() / 1e9, tz or real_datetime.UTC)

        @classmethod
        def utcnow(cls) -> Any:
            return real_datetime.datetime.fromtimestamp(clock.read() / 1e9, real_datetime.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

    class Day(real_datetime.date):
        @classmethod
        def today(cls) -> Any:
            return Moment.now().date()

    swaps: dict[int, Any] = {id(real_datetime.datetime): Moment, id(real_datetime.date): Day}
    changes: list[tuple[Any, str, Any]] = [(real_datetime, "datetime", Moment), (real_datetime, "date", Day)]
    for name in CLOCKS:
        read = clock.read if name.endswith("_ns") else lambda: clock.read() / 1e9
        swaps[id(getattr(time, name))] = read
        changes.append((time, name, read))
    for name, value in list(function.__globals__.items()):
        if id(value) in swaps and not isinstance(value, ModuleType):
            changes.append((_Globals(function.__globals__), name, swaps[id(value)]))
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  the legacy generator is what we guard against
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  as above
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            setattr(owner, name, value)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002  as above


class _Globals:
    """A module's namespace with attribute access."""

    def __init__(self, names: dict[str, Any]) -> None:
        object.__setattr__(self, "_names", names)

    def __getattr__(self, name: str) -> Any:
        return self._names[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._names[name] = value
