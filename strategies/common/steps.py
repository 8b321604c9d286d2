"""Indicators as steps: one small pure function, run by two drivers to the same bits.

A **recurrent** step takes the state and this row's inputs and gives the next state and this row's value:

    @recurrent(state=(0.0, 0.0))
    def mean_so_far(s, x: Column):
        count, total = s[0] + 1.0, s[1] + x
        return (count, total), total / count

A **rolling** step takes the last n values, oldest first, and gives this row's value; it sees nothing else, so it
is start-independent by construction:

    @rolling
    def mid_range(w: Window, n: int):
        high = low = w[0]
        for x in w:
            if x - x != 0.0:
                return nan
            if x > high:
                high = x
            if x < low:
                low = x
        return (high + low) / 2.0

That is all it takes to add one: `mid_range(bars.close, 20)` now runs whole, in chunks and live, to the same bits.
A missing value is NaN, and `x - x != 0.0` asks for it; a recurrent step then says `return s, nan`.

Rules that keep the drivers bit-identical: floats only in the state, only `+ - * /`, `sqrt`, `abs`, comparisons and
calls of functions that keep these rules (not `max` and `min`, which disagree about NaN and -0.0); never divide by what
may be zero; the state is a tuple of fixed length. Inputs are the parameters annotated `Column` or `Window`; the others
are parameters.
"""

from __future__ import annotations

import inspect
from collections import namedtuple
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Annotated, Any, overload

from data.errors import UsageError

Column = Annotated[float, "column"]
Window = Annotated[Sequence[float], "window"]
State = tuple[float, ...]

nan = float("nan")

active: ContextVar[Any] = ContextVar("active", default=None)
"""The stream whose `with` block we are in; None outside, where a call computes whole arrays."""


class _Missing:
    """Stands where a parameter has no default."""


class Indicator:
    """A step with what its drivers need to know. Called with arrays `(T, N)`, it returns arrays `(T, N)`.

    Outside a stream the step runs compiled over all rows. Inside `with stream:` it continues from the state of its
    call site.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        *,
        marker: str,
        state: tuple[float, ...] = (),
        slide: Callable[..., Any] | None = None,
        reach: int = 0,
        outputs: str = "",
        dtype: type = float,
    ) -> None:
        parameters = list(inspect.signature(step).parameters.values())
        if marker == "Column":
            parameters = parameters[1:]
        inputs = [p for p in parameters if _marked(p.annotation, marker)]
        knobs = parameters[len(inputs) :]
        self.name = step.__name__
        if not inputs or parameters[: len(inputs)] != inputs:
            raise UsageError(f"step {self.name!r} needs inputs annotated {marker} before its other parameters")
        self.step, self.slide, self.state, self.reach = step, slide, state, reach
        self.rolling = marker == "Window"
        self.inputs = len(inputs)
        self.knobs = tuple((p.name, _knob_type(self.name, p), p.default) for p in knobs)
        if self.rolling and (not knobs or self.knobs[0][1] is not int):
            raise UsageError(f"rolling step {self.name!r} needs a window length `n: int` after its inputs")
        self.fields = tuple(outputs.split())
        self.result = namedtuple(f"{self.name}_result", self.fields) if self.fields else None  # noqa: PYI024  its fields are known at run time
        self.dtype = dtype
        self._arity = len(parameters)
        self._names = tuple(p.name for p in parameters)
        self._required = sum(p.default is p.empty for p in parameters)
        self._defaults = tuple(_Missing() if p.default is p.empty else p.default for p in parameters)
        self.__doc__, self.__name__, self.__module__ = step.__doc__, step.__name__, step.__module__
        self.__wrapped__ = step
        shown = [p.replace(annotation=inspect.Parameter.empty) for p in inputs]
        self.__signature__ = inspect.Signature(shown + knobs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != self._arity:
            args = self._bound(args, kwargs)
        stream = active.get()
        if stream is not None:
            return stream.call(self, args)
        from strategies.common.compiled import run_whole

        return run_whole(self, args)

    def __repr__(self) -> str:
        return f"<indicator {self.name}{self.__signature__}>"

    def length(self, knobs: tuple[Any, ...]) -> int:
        """Rows a rolling window spans."""
        return int(knobs[0]) + self.reach

    def checked(self, knobs: Sequence[Any]) -> tuple[Any, ...]:
        """The parameters with their declared types.

        Raises:
            UsageError: a parameter of the wrong type, or a whole number below 1 (0 where that is the default).
        """
        done: list[Any] = []
        for (name, kind, default), value in zip(self.knobs, knobs, strict=True):
            least = 0 if default == 0 else 1
            try:
                typed = kind(value)
            except (TypeError, ValueError):
                typed = None
            if typed is None or typed != value or (kind is int and isinstance(value, bool)):
                raise UsageError(f"{self.name}: {name} must be {kind.__name__}, got {value!r}")
            if kind is int and typed < least:
                raise UsageError(f"{self.name}: {name} must be at least {least}, got {value!r}")
            done.append(typed)
        return tuple(done)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in order, defaults filled in (`Signature.bind` does this at thirty times the cost)."""
        if not kwargs and self._required <= len(args) <= self._arity:
            return args + self._defaults[len(args) :]
        late = self._names[len(args) :]
        values = [kwargs.get(name, default) for name, default in zip(late, self._defaults[len(args) :], strict=True)]
        if len(args) <= self._arity and _Missing not in map(type, values) and kwargs.keys() <= set(late):
            return (*args, *values)
        try:
            self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{self.name}{self.__signature__}: {error}") from None
        raise AssertionError("bind accepts what the quick way refuses")


def _marked(annotation: Any, marker: str) -> bool:
    """True for `Column` or `Window`, as written or as a string, however the module was imported."""
    if isinstance(annotation, str):
        return annotation.rpartition(".")[2] == marker
    return bool(annotation == {"Column": Column, "Window": Window}[marker])


def _knob_type(name: str, parameter: inspect.Parameter) -> type:
    kinds: dict[Any, type] = {"int": int, "float": float, "bool": bool, int: int, float: float, bool: bool}
    if parameter.annotation not in kinds:
        raise UsageError(f"step {name!r}: annotate parameter {parameter.name!r} with int, float or bool")
    return kinds[parameter.annotation]


def recurrent(
    *, state: tuple[float, ...], outputs: str = "", dtype: type = float
) -> Callable[[Callable[..., Any]], Indicator]:
    """Make an indicator of a step `(state, inputs..., parameters...) -> (state, value)`.

    Args:
        state: what the state is before the first row; floats.
        outputs: names of the values, space-separated, when the step gives a tuple of them.
        dtype: `bool` for flags.
    """
    return lambda step: Indicator(step, marker="Column", state=state, outputs=outputs, dtype=dtype)


@overload
def rolling(step: Callable[..., Any], /) -> Indicator: ...
@overload
def rolling(
    *, slide: Callable[..., Any] | None = None, reach: int = 0, outputs: str = "", dtype: type = float
) -> Callable[[Callable[..., Any]], Indicator]: ...
def rolling(
    step: Callable[..., Any] | None = None,
    /,
    *,
    slide: Callable[..., Any] | None = None,
    reach: int = 0,
    outputs: str = "",
    dtype: type = float,
) -> Any:
    """Make an indicator of a step over a window: `(windows..., n, parameters...) -> value`.

    Before n rows are known the window holds NaN at its old end, and the step says what follows from that.

    Args:
        slide: a shortcut `(state, new, old, n, parameters...) -> (state, value, exact)` from one window to the next
            (with several windows: new, old of each in turn). Where it cannot be exact it says so, and the step
            computes the window afresh; the step then returns `(state, value)`. Both must agree to the last bit.
        reach: rows beyond n that the window spans (1 for a value n rows ago).
        outputs, dtype: as for `recurrent`.
    """

    def wrap(step: Callable[..., Any]) -> Indicator:
        return Indicator(step, marker="Window", slide=slide, reach=reach, outputs=outputs, dtype=dtype)

    return wrap if step is None else wrap(step)
