"""The live driver's half of a call site: a step run by CPython, one row at a time, state carried between rows.

The loop over the symbols is written out for each step, as `compiled` writes its loop over the rows: a direct call with
plain arguments is what keeps a row cheap. No numba here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from data.errors import StrategyError
from data.types import Floats
from strategies.common.inputs import first_state
from strategies.common.steps import Indicator, nan

_FLOAT = np.dtype(np.float64)


class InterpretedSite:
    """One call site under CPython: a state tuple and, for rolling steps, the windows of each column."""

    def __init__(self, indicator: Indicator, knobs: tuple[Any, ...], columns: int) -> None:
        self.indicator, self.knobs, self.columns = indicator, knobs, columns
        self.states: list[tuple[float, ...]] = [first_state(indicator, knobs)] * columns
        span = indicator.length(knobs) if indicator.rolling else 0
        inputs = range(indicator.inputs if span else 0)
        self.windows = [[deque([nan] * span, span) for _ in range(columns)] for _ in inputs]
        self._checked = False
        self.row, self._loop = _maker(indicator, columns == 1)(
            indicator.step,
            indicator.slide,
            self.states,
            self.windows,
            self._cells,
            knobs,
            (1, columns),
            np.dtype(indicator.dtype),
            indicator.result,
        )

    def run(self, inputs: tuple[Floats, ...]) -> Any:
        """The values of these rows, `(T, N)` each; the state moves on."""
        indicator = self.indicator
        outs = indicator.fields or ("value",)
        rows = inputs[0].shape[0]
        cube: Any = np.empty((len(outs), rows, self.columns), dtype=indicator.dtype)
        for t in range(rows):
            values = self._loop(*[x[t].tolist() for x in inputs])
            if not self._checked:
                self._check(values)
            cube[:, t] = values
        return indicator.result(*cube) if indicator.result else cube[0]

    def _cells(self, x: Any) -> list[float]:
        """One row of an input that is not simply `(1, N)` floats: one number for all symbols, or flags.

        Raises:
            TypeError: anything else; the general way handles or refuses it.
        """
        if type(x) is np.ndarray:
            if x.shape == (1,) and x.dtype.kind in "iuf":
                return [float(x.item())] * self.columns
            if x.shape == (1, self.columns) and x.dtype.kind in "biu":
                return list(map(float, x.tolist()[0]))
        elif type(x) is float or type(x) is int:
            return [float(x)] * self.columns
        raise TypeError

    def _check(self, values: list[list[Any]]) -> None:
        """The first row shows whether the step keeps its contract; numba would refuse it too, less politely."""
        self._checked = True
        name, want = self.indicator.name, len(first_state(self.indicator, self.knobs))
        for state in self.states:
            if type(state) is not tuple or len(state) != want or any(type(v) is not float for v in state):
                raise StrategyError(
                    f"step {name!r} returned the state {state!r}; expected a tuple of {want} floats, as declared "
                    f"(write 0.0, not 0)"
                )
        kind = self.indicator.dtype
        for value in (v for out in values for v in out):
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise StrategyError(f"step {name!r} returned the value {value!r}; expected {kind.__name__}")

    def dump(self) -> list[list[float]]:
        """Each column's state as floats: the windows oldest first, then the step's own."""
        return [
            [float(v) for windows in self.windows for v in windows[j]] + [float(v) for v in self.states[j]]
            for j in range(self.columns)
        ]

    def load(self, columns: list[list[float]]) -> None:
        """Put back what `dump` gave."""
        for j, values in enumerate(columns):
            at = 0
            for windows in self.windows:
                size = windows[j].maxlen or 0
                windows[j].extend(values[at : at + size])
                at += size
            self.states[j] = tuple(values[at:])


@cache
def _maker(indicator: Indicator, single: bool) -> Callable[..., Any]:
    namespace: dict[str, Any] = {"array": np.array, "empty": np.empty, "ndarray": np.ndarray, "FLOAT": _FLOAT}
    exec(compile(_source(indicator, single), f"<{indicator.name}, row by row>", "exec"), namespace)  # noqa: S102  our own text
    made: Callable[..., Any] = namespace["make"]
    return made


def _source(indicator: Indicator, single: bool) -> str:
    """The source of `make(...) -> (row, loop)`: `loop` takes lists of N values, `row` the call's own arguments.

    `row` gives None where an input is not one plain row or a parameter has changed: then the general way decides.
    """
    every = range(indicator.inputs)
    fields = range(len(indicator.fields) or 1)
    ps = [f"p{i}" for i in range(len(indicator.knobs))]
    tail = "".join(f", {p}" for p in ps)
    xs = ", ".join(f"x{i}" for i in every)
    vs = ", ".join(f"v{i}" for i in fields)
    value = f"({vs})" if indicator.fields else vs
    if not indicator.rolling:
        names, sources = [f"a{i}" for i in every], [f"x{i}" for i in every]
        body = [f"states[j], {value} = step(states[j], {', '.join(names)}{tail})"]
    else:
        names = [f"{k}{i}" for i in every for k in "aw"]
        sources = [f"{k}{i}" for i in every for k in ("x", "windows")]
        push = "; ".join(f"w{i}.append(a{i})" for i in every)
        whole = f"step({', '.join(f'list(w{i})' for i in every)}{tail})"
        if indicator.slide is None:
            body = [push, f"{value} = {whole}"]
        else:
            pairs = ", ".join(f"a{i}, w{i}[0]" for i in every)
            body = [
                f"s, {value}, exact = slide(states[j], {pairs}{tail})",
                push,
                f"if not exact: s, {value} = {whole}",
                "states[j] = s",
            ]
    pull = f"zip({', '.join(sources)})" if len(sources) > 1 else sources[0]
    plain = "type(x{0}) is ndarray and x{0}.dtype is FLOAT and x{0}.shape == shape"
    listed = [f"x{i} = x{i}.tolist()[0] if {plain.format(i)} else cells(x{i})" for i in every]
    answer = _one(body, names, len(fields)) if single else [f"cube = array(loop({xs}), dtype)"]
    rows = ", ".join(f"cube[{i}:{i + 1}]" for i in fields)
    given = f"result({rows})" if indicator.fields else "cube"
    changed = " or ".join(f"q{i} != p{i}" for i in range(len(ps))) or "False"
    lines = [
        "def make(step, slide, states, windows, cells, knobs, shape, dtype, result):",
        *([f"    {', '.join(f'windows{i}' for i in every)}, = windows"] if indicator.rolling else []),
        *([f"    {', '.join(ps)}, = knobs"] if ps else []),
        f"    def loop({xs}):",
        f"        {'; '.join(f'o{i} = []' for i in fields)}",
        "        j = 0",
        f"        for {', '.join(names)} in {pull}:",
        *(f"            {line}" for line in body),
        f"            {'; '.join(f'o{i}.append(v{i})' for i in fields)}",
        "            j += 1",
        f"        return [{', '.join(f'o{i}' for i in fields)}]",
        f"    def row({', '.join([f'x{i}' for i in every] + [f'q{i}' for i in range(len(ps))])}):",
        f"        if {changed}: return None",
        "        try:",
        *(f"            {line}" for line in listed),
        "        except TypeError: return None",
        *(f"        {line}" for line in answer),
        f"        return {given}",
        "    return row, loop",
    ]
    return "\n".join(lines)


def _one(body: list[str], names: list[str], fields: int) -> list[str]:
    """One symbol: the same body without a loop, and no lists made of single values."""
    pulled = [f"{name} = {'x' if name[0] == 'a' else 'windows'}{name[1:]}[0]" for name in names]
    filled = [f"cube[{i}, 0] = v{i}" for i in range(fields)]
    return [*pulled, "j = 0", *body, f"cube = empty(({fields}, 1), dtype)", *filled]
