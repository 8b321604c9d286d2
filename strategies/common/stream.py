"""The live driver: the same steps run by CPython, one row at a time, state carried between calls.

    stream = Stream()
    for row in rows:
        with stream:
            out = signals(row, book_row, fast=12, slow=26)

Inside the block each indicator call is a site, known by its place in the order of calls. A call order that changes
between rows is an error that names the site. No numba here.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from collections import deque
from types import CodeType
from typing import Any, Self

import numpy as np

from data.errors import StrategyError
from data.types import Floats
from strategies.common.inputs import as_columns, first_state
from strategies.common.steps import Indicator, active, nan

_FLOAT = np.dtype(np.float64)


class Stream:
    """The state of every indicator call of one signal function.

    Args:
        compiled: run the rows given in a `with` block through the compiled driver instead: the same state, the same
            bits, faster for long chunks.
    """

    def __init__(self, *, compiled: bool = False) -> None:
        self._sites: list[_Place] = []
        self._compiled = compiled
        self._cursor = 0
        self._known = False
        self._token: Any = None
        self._pending: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        if active.get() is not None:
            raise StrategyError("a stream is entered inside another; one `with stream:` block per row")
        self._cursor = 0
        self._token = active.set(self)
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        active.reset(self._token)
        if kind is None:
            if self._known and self._cursor < len(self._sites):
                raise StrategyError(
                    f"indicator call {self._sites[self._cursor]} was made on earlier rows and not on this one; "
                    f"call every indicator on every row and choose between the results with numpy.where"
                )
            self._known = True

    def call(self, indicator: Indicator, args: tuple[Any, ...]) -> Any:
        """The value of this row (or these rows) at the next call site."""
        frame = sys._getframe(2)
        at = self._cursor
        self._cursor = at + 1
        if at < len(self._sites):
            place = self._sites[at]
            if place.code is not frame.f_code or place.instruction != frame.f_lasti:
                if place.code is None:
                    place.code, place.instruction, place.line = frame.f_code, frame.f_lasti, frame.f_lineno
                else:
                    raise StrategyError(
                        f"indicator call {_name(indicator, frame)} stands where earlier rows called {place}; "
                        f"call every indicator on every row, in one order"
                    )
        elif self._known:
            raise StrategyError(
                f"indicator call {_name(indicator, frame)} is new on this row; "
                f"call every indicator on every row, in one order"
            )
        else:
            place = _Place(indicator, args, frame.f_code, frame.f_lasti, frame.f_lineno)
            self._sites.append(place)
        if place.indicator is not indicator:
            raise StrategyError(f"indicator call {_name(indicator, frame)} stands where {place} was")
        return place.run(args, self._compiled)

    def save(self) -> list[dict[str, Any]]:
        """The whole state as plain lists of floats, exact; what `restore` takes."""
        return [place.save() for place in self._sites]

    @classmethod
    def restore(cls, saved: list[dict[str, Any]], indicators: dict[str, Indicator], *, compiled: bool = False) -> Self:
        """A stream that goes on where `save` was called.

        Raises:
            StrategyError: the state names an indicator that is not among `indicators`.
        """
        stream = cls(compiled=compiled)
        for item in saved:
            if item["indicator"] not in indicators:
                raise StrategyError(f"saved state names indicator {item['indicator']!r}, which does not exist here")
            place = _Place(indicators[item["indicator"]], (), None, 0, 0)
            place.knobs = place.indicator.checked(item["parameters"])
            place.waiting = item["columns"]
            stream._sites.append(place)
        stream._known = bool(saved)
        return stream

    def indicators(self) -> dict[str, Indicator]:
        """The indicators called so far, by qualified name."""
        return {qualified(p.indicator): p.indicator for p in self._sites}

    def digest(self) -> str:
        """SHA-256 over every site's name, parameters and state, NaN canonicalised."""
        sha = hashlib.sha256()
        for item in self.save():
            sha.update(repr((item["indicator"], item["parameters"])).encode())
            for column in item["columns"]:
                sha.update(struct.pack(f"<{len(column)}d", *(v if v == v else nan for v in column)))
        return sha.hexdigest()


def qualified(indicator: Indicator) -> str:
    """`module.name`, the name under which a state is saved."""
    return f"{indicator.__module__}.{indicator.name}"


class _Place:
    """One call site: where it stands in the source, and its driver once the number of columns is known."""

    def __init__(
        self, indicator: Indicator, args: tuple[Any, ...], code: CodeType | None, instruction: int, line: int
    ) -> None:
        self.indicator, self.code, self.instruction, self.line = indicator, code, instruction, line
        self.knobs = indicator.checked(args[indicator.inputs :]) if args else ()
        self.given: tuple[Any, ...] = args[indicator.inputs :]
        self.driver: Any = None
        self.waiting: list[list[float]] | None = None

    def __str__(self) -> str:
        where = f" ({self.code.co_filename.rsplit('/', 1)[-1]}:{self.line})" if self.code else ""
        return f"{self.indicator.name}({', '.join(map(str, self.knobs))}){where}"

    def run(self, args: tuple[Any, ...], compiled: bool) -> Any:
        count = self.indicator.inputs
        if args[count:] != self.given:
            if not self.given and self.knobs == self.indicator.checked(args[count:]):
                self.given = args[count:]
            elif self.given or self.knobs:
                raise StrategyError(
                    f"indicator call {self} is now called with {args[count:]}; parameters must not change between rows"
                )
        driver = self.driver
        if driver is None:
            driver = self._start(args[:count], compiled)
        inputs = args[:count]
        if not compiled and _plain(inputs, driver.columns):
            return driver.run(inputs)
        inputs, columns = as_columns(self.indicator, inputs)
        if columns != driver.columns:
            raise StrategyError(f"indicator call {self} got {columns} symbols after {driver.columns}")
        return driver.run(inputs)

    def _start(self, inputs: tuple[Any, ...], compiled: bool) -> Any:
        columns = as_columns(self.indicator, inputs)[1]
        if compiled:
            from strategies.common.compiled import CompiledSite

            self.driver = CompiledSite(self.indicator, self.knobs, columns)
        else:
            self.driver = InterpretedSite(self.indicator, self.knobs, columns)
        if self.waiting is not None:
            if len(self.waiting) != columns:
                raise StrategyError(f"{self}: saved state has {len(self.waiting)} symbols, this stream {columns}")
            self.driver.load(self.waiting)
            self.waiting = None
        return self.driver

    def save(self) -> dict[str, Any]:
        return {
            "indicator": qualified(self.indicator),
            "parameters": list(self.knobs),
            "columns": self.driver.dump() if self.driver is not None else self.waiting,
        }


class InterpretedSite:
    """One call site under CPython: a state tuple and, for rolling steps, the windows of each column."""

    def __init__(self, indicator: Indicator, knobs: tuple[Any, ...], columns: int) -> None:
        self.indicator, self.knobs, self.columns = indicator, knobs, columns
        self.states: list[tuple[float, ...]] = [first_state(indicator, knobs)] * columns
        self._one = indicator.inputs == 1
        self._slide: Any = indicator.slide
        span = indicator.length(knobs) if indicator.rolling else 0
        self.windows = [[deque([nan] * span, span) for _ in range(indicator.inputs)] for _ in range(columns)]
        if not indicator.rolling:
            self._row = self._recurrent_one if self._one else self._recurrent
        elif indicator.slide is None:
            self._row = self._rolling
        else:
            self._row = self._sliding_one if self._one else self._sliding

    def run(self, inputs: tuple[Floats, ...]) -> Any:
        """The values of these rows, `(T, N)` each; the state moves on."""
        indicator = self.indicator
        if inputs[0].shape[0] == 1:
            rows = [self._row([x[0].tolist() for x in inputs])]
            if indicator.result is None:
                return np.array(rows, indicator.dtype)
        else:
            rows = [self._row([x[t].tolist() for x in inputs]) for t in range(inputs[0].shape[0])]
        if indicator.result is None:
            return np.array(rows, dtype=indicator.dtype).reshape(len(rows), self.columns)
        cube: Any = np.array(rows, dtype=indicator.dtype).reshape(len(rows), self.columns, len(indicator.fields))
        return indicator.result(*(cube[:, :, k] for k in range(len(indicator.fields))))

    def _recurrent_one(self, row: list[list[float]]) -> list[Any]:
        step, states, knobs, values = self.indicator.step, self.states, self.knobs, []
        for j, x in enumerate(row[0]):
            states[j], value = step(states[j], x, *knobs)
            values.append(value)
        return values

    def _recurrent(self, row: list[list[float]]) -> list[Any]:
        step, states, knobs, values = self.indicator.step, self.states, self.knobs, []
        for j, xs in enumerate(zip(*row, strict=True)):
            states[j], value = step(states[j], *xs, *knobs)
            values.append(value)
        return values

    def _rolling(self, row: list[list[float]]) -> list[Any]:
        step, knobs, values = self.indicator.step, self.knobs, []
        for j, windows in enumerate(self.windows):
            for window, x in zip(windows, row, strict=True):
                window.append(x[j])
            values.append(step(*map(list, windows), *knobs))
        return values

    def _sliding_one(self, row: list[list[float]]) -> list[Any]:
        slide, states, knobs, values = self._slide, self.states, self.knobs, []
        for j, x in enumerate(row[0]):
            window = self.windows[j][0]
            old = window[0]
            window.append(x)
            state, value, exact = slide(states[j], x, old, *knobs)
            if not exact:
                state, value = self.indicator.step(list(window), *knobs)
            states[j] = state
            values.append(value)
        return values

    def _sliding(self, row: list[list[float]]) -> list[Any]:
        slide, states, knobs, values = self._slide, self.states, self.knobs, []
        for j, windows in enumerate(self.windows):
            pairs: list[float] = []
            for window, x in zip(windows, row, strict=True):
                pairs += (x[j], window[0])
                window.append(x[j])
            state, value, exact = slide(states[j], *pairs, *knobs)
            if not exact:
                state, value = self.indicator.step(*map(list, windows), *knobs)
            states[j] = state
            values.append(value)
        return values

    def dump(self) -> list[list[float]]:
        """Each column's state as floats: the windows oldest first, then the step's own."""
        return [
            [float(v) for window in self.windows[j] for v in window] + [float(v) for v in self.states[j]]
            for j in range(self.columns)
        ]

    def load(self, columns: list[list[float]]) -> None:
        """Put back what `dump` gave."""
        for j, values in enumerate(columns):
            at = 0
            for k, window in enumerate(self.windows[j]):
                size = window.maxlen or 0
                self.windows[j][k] = deque(values[at : at + size], size)
                at += size
            self.states[j] = tuple(values[at:])


def _plain(inputs: tuple[Any, ...], columns: int) -> bool:
    """True where every input is already a float64 `(T, columns)` array with the same rows: the usual case, fast."""
    first = inputs[0]
    if type(first) is not np.ndarray or first.ndim != 2 or first.shape[1] != columns:
        return False
    shape = first.shape
    return all(type(x) is np.ndarray and x.dtype is _FLOAT and x.shape == shape for x in inputs)


def _name(indicator: Indicator, frame: Any) -> str:
    return f"{indicator.name} ({frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno})"
