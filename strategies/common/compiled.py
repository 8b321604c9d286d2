"""The batch driver: a step compiled by numba into a loop over the rows, cached on disk, running without the GIL.

The loop is written to a small source file named by a hash of the step, all it calls and the numba version, so a
changed step can never meet a stale binary. numba is imported here and only when a batch runs.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from data.errors import StrategyError
from data.jit import register, stored
from data.types import Floats
from strategies.common.inputs import as_columns, first_state
from strategies.common.steps import Indicator, nan

THREADED = 1 << 16
"""Values (rows x symbols) from which columns are spread over threads."""


class CompiledSite:
    """One call site under the batch driver: the state of N columns and the kernel that carries it on."""

    def __init__(self, indicator: Indicator, knobs: tuple[Any, ...], columns: int) -> None:
        self.indicator, self.knobs, self.columns = indicator, knobs, columns
        start = first_state(indicator, knobs)
        self.state = np.array([start] * columns, dtype=np.float64).reshape(columns, len(start))
        span = indicator.length(knobs) if indicator.rolling else 0
        self.tail = [np.full((span, columns), nan, order="F") for _ in range(indicator.inputs if span else 0)]

    def run(self, inputs: tuple[Floats, ...]) -> Any:
        """The values of these rows, `(T, N)` each; the state moves on."""
        indicator, rows = self.indicator, inputs[0].shape[0]
        outs: list[Any] = [
            np.empty((rows, self.columns), dtype=indicator.dtype, order="F") for _ in indicator.fields or ("value",)
        ]
        kernel = _kernel(indicator, len(self.knobs), self.state.shape[1])
        if not indicator.rolling:
            self._spread(kernel, (*inputs, *outs), rows)
        else:
            span = indicator.length(self.knobs)
            head = [np.concatenate([t, x[:span]]) for t, x in zip(self.tail, inputs, strict=True)]
            self._spread(kernel, (*head, *outs, span, 0, span), min(rows, span))
            if rows > span:
                self._spread(kernel, (*inputs, *outs, span, span, span), rows - span)
                self.tail = [np.asfortranarray(x[rows - span :]) for x in inputs]
            else:
                self.tail = [np.asfortranarray(h[rows:]) for h in head]
        return indicator.result(*outs) if indicator.result else outs[0]

    def _spread(self, kernel: Callable[..., None], arguments: tuple[Any, ...], rows: int) -> None:
        workers = min(self.columns, os.cpu_count() or 1) if rows * self.columns >= THREADED else 1
        if workers == 1:
            kernel(*arguments, self.state, 0, self.columns, *self.knobs)
            return
        edges = [self.columns * k // workers for k in range(workers + 1)]
        jobs = [_pool().submit(kernel, *arguments, self.state, a, b, *self.knobs) for a, b in pairwise(edges)]
        for job in jobs:
            job.result()

    def dump(self) -> list[list[float]]:
        """Each column's state as floats: the windows oldest first, then the step's own."""
        return [
            [v for tail in self.tail for v in tail[:, j].tolist()] + self.state[j].tolist() for j in range(self.columns)
        ]

    def load(self, columns: list[list[float]]) -> None:
        """Put back what `dump` gave."""
        for j, values in enumerate(columns):
            at = 0
            for tail in self.tail:
                tail[:, j] = values[at : at + len(tail)]
                at += len(tail)
            self.state[j] = values[at:]


def run_whole(indicator: Indicator, args: tuple[Any, ...]) -> Any:
    """The indicator over whole arrays, from the beginning."""
    inputs, columns = as_columns(indicator, args[: indicator.inputs])
    return CompiledSite(indicator, indicator.checked(args[indicator.inputs :]), columns).run(inputs)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="indicator")


_kernels: dict[tuple[int, int, int], tuple[Indicator, Callable[..., None]]] = {}


def _kernel(indicator: Indicator, knobs: int, slots: int) -> Callable[..., None]:
    key = (id(indicator), knobs, slots)
    if key not in _kernels:
        _kernels[key] = (indicator, _compile(indicator, slots))
    return _kernels[key][1]


def _compile(indicator: Indicator, slots: int) -> Callable[..., None]:
    import numba
    from numba import types as nt

    parts = [f for f in (indicator.step, indicator.slide) if f is not None]
    text = _loop(indicator, slots)
    sources = "\n".join(f"{part.__module__} {register(part)}" for part in parts)
    digest = hashlib.sha256(f"{numba.__version__}|{sys.version}|{text}|{sources}".encode()).hexdigest()[:20]
    path = stored(f"{indicator.name}_{digest}.py", text)
    namespace: dict[str, Any] = {"__name__": __name__, "step": indicator.step, "slide": indicator.slide}
    exec(compile(text, str(path or f"<{indicator.name}>"), "exec"), namespace)  # noqa: S102  our own generated text

    seen = nt.Array(nt.float64, 2, "A", readonly=True)
    out = nt.Array(nt.boolean if indicator.dtype is bool else nt.float64, 2, "A")
    scalars = {int: nt.int64, float: nt.float64, bool: nt.boolean}
    places = [nt.int64] * 3 if indicator.rolling else []
    signature = nt.void(
        *[seen] * indicator.inputs,
        *[out] * len(indicator.fields or ("value",)),
        *places,
        nt.Array(nt.float64, 2, "C"),
        nt.int64,
        nt.int64,
        *[scalars[kind] for _, kind, _ in indicator.knobs],
    )
    try:
        try:
            return numba.njit(signature, nogil=True, cache=path is not None)(namespace["kernel"])
        except (OSError, RuntimeError):  # the cache folder is full or not ours to write: compile for this process
            return numba.njit(signature, nogil=True)(namespace["kernel"])
    except numba.core.errors.NumbaError as error:
        reason = str(error).strip().splitlines()
        raise StrategyError(
            f"step {indicator.name!r} does not compile: {reason[0] if reason else error}; a step takes and returns "
            f"floats, keeps its state a tuple of {slots or 'fixed number of'} floats, and calls only functions that do"
        ) from error


def _loop(indicator: Indicator, slots: int) -> str:
    """The source of the loop around a step (`span <= i` always holds: it spares the compiler negative indices)."""
    xs = [f"x{i}" for i in range(indicator.inputs)]
    outs = [f"out{i}" for i in range(len(indicator.fields or ("value",)))]
    ps = [f"p{i}" for i in range(len(indicator.knobs))]
    load = f"({''.join(f'state[j, {k}], ' for k in range(slots))})"
    save = "; ".join(f"state[j, {k}] = s[{k}]" for k in range(slots)) or "pass"
    tail = "".join(f", {p}" for p in ps)
    places = ["span", "at", "ahead"] if indicator.rolling else []
    head = f"def kernel({', '.join([*xs, *outs, *places, 'state', 'j0', 'j1', *ps])}):"
    fill = [f"{o}[row, j] = v[{i}]" if indicator.fields else f"{o}[row, j] = v" for i, o in enumerate(outs)]
    put = "; ".join(fill)
    windows = ", ".join(f"{x}[i - span + 1 : i + 1, j]" for x in xs)
    if not indicator.rolling:
        now = ", ".join(f"{x}[row, j]" for x in xs)
        body = f"""
    for j in range(j0, j1):
        s = {load}
        for row in range(x0.shape[0]):
            s, v = step(s, {now}{tail})
            {put}
        {save}
"""
    elif indicator.slide is None:
        body = f"""
    for j in range(j0, j1):
        for i in range(ahead, x0.shape[0]):
            row = i - ahead + at
            v = step({windows}{tail})
            {put}
"""
    else:
        pairs = ", ".join(f"{x}[i, j], {x}[i - span, j]" for x in xs)
        body = f"""
    for j in range(j0, j1):
        s = {load}
        i = ahead
        while i < x0.shape[0]:
            while span <= i < x0.shape[0]:
                following, v, exact = slide(s, {pairs}{tail})
                if not exact:
                    break
                s = following
                row = i - ahead + at
                {put}
                i += 1
            if i < x0.shape[0]:
                s, v = step({windows}{tail})
                row = i - ahead + at
                {put}
                i += 1
        {save}
"""
    return head + body
