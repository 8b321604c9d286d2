"""Indicator results shared between parameter sets, within a budget of memory.

    shared = Shared(bars, book, budget)
    with shared:
        signals = strategy.call(bars, book, params)

Inside the block an indicator that was asked the same before gives the same arrays. The same means: the same step, the
same parameters, and inputs that are a column of the rows, a result of this cache, or equal to an input met before, bit
for bit. Results are read-only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextvars import ContextVar, Token
from dataclasses import fields
from typing import Any, Self

import numpy as np

from data.types import Bars, Book
from research.crossings import crossings
from strategies.common.compiled import run_whole
from strategies.common.steps import Indicator, active

SAMPLE = 61
"""Values of an unknown input that are looked at before it is compared as a whole."""
LOOKS = 4096
"""Unknown inputs remembered; their copies may take a sixteenth of the budget."""

_token: ContextVar[Token[Any] | None] = ContextVar("token", default=None)


class Shared:
    """The driver of a sweep: `call` as `strategies.common.stream.Stream` has it.

    Args:
        budget: bytes of results kept. A result asked for once may take a quarter of it; one asked for again is kept
            until all of it is full, and then the one that was not asked for longest goes.
    """

    def __init__(self, bars: Bars, book: Book | None, budget: int) -> None:
        self.budget = budget
        self.hits = self.misses = 0
        self._lock = threading.Lock()
        self._compiling = threading.Lock()
        self._compiled: set[Any] = set()
        self._serial = self._copied = 0
        self._names: dict[int, tuple[Any, int]] = {}
        self._new: OrderedDict[Any, _Kept] = OrderedDict()
        self._old: OrderedDict[Any, _Kept] = OrderedDict()
        self._bytes = {id(self._new): 0, id(self._old): 0}
        self._seen: OrderedDict[Any, Any] = OrderedDict()
        for column in _columns(bars, book):
            self._name(column)

    def __enter__(self) -> Self:
        _token.set(active.set(self))
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        token = _token.get()
        if token is not None:
            active.reset(token)

    @property
    def nbytes(self) -> int:
        """Bytes of the results kept."""
        return sum(self._bytes.values())

    def resize(self, budget: int) -> None:
        """Keep so many bytes from now on."""
        with self._lock:
            self.budget = budget

    def call(self, indicator: Indicator, args: tuple[Any, ...]) -> Any:
        """The indicator over whole arrays: a result known already, or a new one."""
        count = indicator.inputs
        indicator.checked(args[count:])
        with self._lock:
            key = (id(indicator), args[count:], tuple([self._identity(value) for value in args[:count]]))
            kept = self._find(key)
            if kept is None:
                self.misses += 1
                kept = _Kept(indicator)
                self._new[key] = kept
                mine = True
            else:
                self.hits += 1
                mine = False
        if mine:
            try:
                kept.result = self._compute(indicator, args)
            except BaseException:
                with self._lock:
                    self._new.pop(key, None)
                kept.failed = True
                raise
            finally:
                kept.ready.set()
            with self._lock:
                self._admit(kept)
            return kept.result
        if not kept.ready.is_set():
            kept.ready.wait()
        if kept.failed:
            return self._compute(indicator, args)
        return kept.result

    def _compute(self, indicator: Indicator, args: tuple[Any, ...]) -> Any:
        kind = (id(indicator), len(args))
        if kind in self._compiled:
            return _whole(indicator, args)
        with self._compiling:  # two threads must not compile one step
            result = _whole(indicator, args)
            self._compiled.add(kind)
        return result

    def _find(self, key: Any) -> _Kept | None:
        kept = self._old.get(key)
        if kept is not None:
            self._old.move_to_end(key)
            return kept
        kept = self._new.get(key)
        if kept is not None and kept.size:
            del self._new[key]
            self._bytes[id(self._new)] -= kept.size
            self._old[key] = kept
            self._bytes[id(self._old)] += kept.size
            self._shrink(self._old, self.budget - self.budget // 4)
        return kept

    def _admit(self, kept: _Kept) -> None:
        """Count a result that is ready, name its arrays, and let others go."""
        for array in kept.arrays():
            array.flags.writeable = False
            kept.size += array.nbytes
            self._name(array)
        self._bytes[id(self._new)] += kept.size
        self._shrink(self._new, self.budget // 4)

    def _shrink(self, part: OrderedDict[Any, _Kept], limit: int) -> None:
        over = self._bytes[id(part)] - limit
        going = []
        for key, kept in part.items():
            if over <= 0:
                break
            if kept.size:
                over -= kept.size
                going.append(key)
        for key in going:
            gone = part.pop(key)
            self._bytes[id(part)] -= gone.size
            for array in gone.arrays():
                self._names.pop(id(array), None)

    def _name(self, array: Any) -> int:
        """Give an array a number of its own; a number never comes back, an address may."""
        self._serial += 1
        self._names[id(array)] = (array, self._serial)
        return self._serial

    def _identity(self, value: Any) -> Any:
        """What stands for an input in a key: equal exactly where the input is the same."""
        if not isinstance(value, np.ndarray) or value.ndim == 0:
            return (type(value), repr(value))
        known = self._names.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        owner = value.base
        known = self._names.get(id(owner)) if owner is not None else None
        if known is not None and known[0] is owner:
            offset = value.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
            return (known[1], offset, value.shape, value.strides, value.dtype.str)
        return self._equal(value)

    def _equal(self, value: Any) -> Any:
        """An input we do not know: the number of one equal to the last bit, or a new number that nothing shares yet."""
        step = max(1, len(value) // SAMPLE)
        look = (value.shape, value.dtype.str, np.ascontiguousarray(value[::step]).tobytes())
        known = self._seen.get(look)
        if known is None:
            self._seen[look] = ()  # met once: worth a copy only when it comes again
            self._trim()
        elif isinstance(known, np.ndarray):
            if _same(known, value):
                self._seen.move_to_end(look)
                return self._names[id(known)][1]
        else:
            copy = value.copy(order="K")
            self._seen[look] = copy
            self._copied += copy.nbytes
            self._trim()
            return self._name(copy)
        self._serial += 1
        return self._serial

    def _trim(self) -> None:
        """Forget what was met longest ago."""
        while len(self._seen) > LOOKS or self._copied > self.budget // 16:
            _, gone = self._seen.popitem(last=False)
            if isinstance(gone, np.ndarray):
                self._copied -= gone.nbytes
                self._names.pop(id(gone), None)


class _Kept:
    """A result, or the promise of one."""

    __slots__ = ("failed", "indicator", "ready", "result", "size")

    def __init__(self, indicator: Indicator) -> None:
        self.indicator = indicator
        self.ready = threading.Event()
        self.result: Any = None
        self.failed = False
        self.size = 0

    def arrays(self) -> tuple[Any, ...]:
        if self.result is None:
            return ()
        return tuple(self.result) if self.indicator.result else (self.result,)


def _whole(indicator: Indicator, args: tuple[Any, ...]) -> Any:
    flags = crossings(indicator, args)
    return run_whole(indicator, args) if flags is None else flags


def _same(one: Any, other: Any) -> bool:
    if one.dtype == np.float64:
        one, other = (np.asfortranarray(a).T.reshape(-1).view(np.int64) for a in (one, other))
    return bool(np.array_equal(one, other))


def _columns(bars: Bars, book: Book | None) -> Iterator[Any]:
    for rows in (bars, book):
        for field in fields(rows) if rows is not None else ():
            column = getattr(rows, field.name)
            if isinstance(column, np.ndarray):
                yield column
                if isinstance(column.base, np.ndarray):
                    yield column.base
