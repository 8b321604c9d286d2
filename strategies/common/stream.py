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
from types import CodeType, FrameType
from typing import Any, Self

from data.errors import StrategyError
from strategies.common.inputs import as_columns
from strategies.common.interpreted import InterpretedSite
from strategies.common.steps import Indicator, active, nan

_COMPOSITES = "strategies.indicators."


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
            if (
                place.instruction != frame.f_lasti
                or place.code is not frame.f_code
                or place.indicator is not indicator
                or (place.caller is not None and place.caller != _caller(frame))
            ):
                place.expect(indicator, frame)
        elif self._known:
            raise StrategyError(
                f"indicator call {_name(indicator, frame)} is new on this row; "
                f"call every indicator on every row, in one order"
            )
        else:
            place = _Place(indicator, indicator.checked(args[indicator.inputs :]))
            place.stand(frame)
            self._sites.append(place)
        if place.row is not None:
            value = place.row(*args)
            if value is not None:
                return value
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
            indicator = indicators[item["indicator"]]
            place = _Place(indicator, indicator.checked(item["parameters"]))
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

    def __init__(self, indicator: Indicator, knobs: tuple[Any, ...]) -> None:
        self.indicator, self.knobs = indicator, knobs
        self.code: CodeType | None = None
        self.instruction = self.line = 0
        self.caller: tuple[CodeType, int] | None = None
        self.driver: Any = None
        self.row: Any = None
        self.waiting: list[list[float]] | None = None

    def __str__(self) -> str:
        where = f" ({self.code.co_filename.rsplit('/', 1)[-1]}:{self.line})" if self.code else ""
        return f"{self.indicator.name}({', '.join(map(str, self.knobs))}){where}"

    def stand(self, frame: FrameType) -> None:
        """This is where the call stands; for one inside a composite indicator, also where that was called."""
        self.code, self.instruction, self.line = frame.f_code, frame.f_lasti, frame.f_lineno
        self.caller = _caller(frame) if frame.f_globals.get("__name__", "").startswith(_COMPOSITES) else None

    def expect(self, indicator: Indicator, frame: FrameType) -> None:
        """The first call after a restore says where this place stands; any other difference is an error."""
        if self.code is None and self.indicator is indicator:
            self.stand(frame)
            return
        raise StrategyError(
            f"indicator call {_name(indicator, frame)} stands where earlier rows called {self}; "
            f"call every indicator on every row, in one order"
        )

    def run(self, args: tuple[Any, ...], compiled: bool) -> Any:
        """The general way: any shape that `as_columns` takes, any number of rows, and every check."""
        count = self.indicator.inputs
        if self.indicator.checked(args[count:]) != self.knobs:
            raise StrategyError(
                f"indicator call {self} is now called with ({', '.join(map(str, args[count:]))}); "
                f"parameters must not change between rows"
            )
        inputs, columns = as_columns(self.indicator, args[:count])
        if self.driver is None:
            self._start(columns, compiled)
        elif columns != self.driver.columns:
            raise StrategyError(f"indicator call {self} got {columns} symbols after {self.driver.columns}")
        return self.driver.run(inputs)

    def _start(self, columns: int, compiled: bool) -> None:
        if self.waiting is not None and len(self.waiting) != columns:
            raise StrategyError(f"{self}: saved state has {len(self.waiting)} symbols, this stream {columns}")
        if compiled:
            from strategies.common.compiled import CompiledSite

            self.driver = CompiledSite(self.indicator, self.knobs, columns)
        else:
            self.driver = InterpretedSite(self.indicator, self.knobs, columns)
            self.row = self.driver.row
        if self.waiting is not None:
            self.driver.load(self.waiting)
            self.waiting = None

    def save(self) -> dict[str, Any]:
        return {
            "indicator": qualified(self.indicator),
            "parameters": list(self.knobs),
            "columns": self.driver.dump() if self.driver is not None else self.waiting,
        }


def _caller(frame: FrameType) -> tuple[CodeType, int] | None:
    back = frame.f_back
    return (back.f_code, back.f_lasti) if back else None


def _name(indicator: Indicator, frame: FrameType) -> str:
    return f"{indicator.name} ({frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno})"
