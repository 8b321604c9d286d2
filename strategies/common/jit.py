"""Compiled whole functions, cached like indicator loops: a change in anything they call is never missed."""

from __future__ import annotations

import hashlib
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from strategies.common.compiled import _register, _stored

_done: dict[Callable[..., Any], Callable[..., Any]] = {}


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled by numba (fastmath off, GIL released), with every plain function it calls.

    The compiled code is cached on disk under a hash of all sources involved.
    """
    if function not in _done:
        import numba

        sources = _register(function)
        digest = hashlib.sha256(f"{numba.__version__}|{sys.version}|{sources}".encode()).hexdigest()[:20]
        text = "from __future__ import annotations\n\n\n" + textwrap.dedent(inspect.getsource(function))
        path = _stored(f"{function.__name__}_{digest}.py", text)
        namespace = dict(function.__globals__)
        exec(compile(text, str(path or f"<{function.__name__}>"), "exec"), namespace)  # noqa: S102  our own source
        _done[function] = numba.njit(nogil=True, cache=path is not None)(namespace[function.__name__])
    return _done[function]
