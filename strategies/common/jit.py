"""Compiled whole functions, cached like indicator loops: a change in anything they call is never missed."""

from __future__ import annotations

import hashlib
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from strategies.common.compiled import _register, _stored

_done: dict[tuple[Callable[..., Any], str], Callable[..., Any]] = {}


def jit(function: Callable[..., Any], signature: str = "") -> Callable[..., Any]:
    """`function` compiled by numba (fastmath off, GIL released), with every plain function it calls.

    The compiled code is cached on disk under a hash of all sources involved.

    Args:
        signature: numba's text for the types of the result and the arguments. With it there is one compilation,
            whatever memory layouts the callers bring; without it one for every combination met.
    """
    if (function, signature) not in _done:
        import numba

        sources = _register(function)
        digest = hashlib.sha256(f"{numba.__version__}|{sys.version}|{signature}|{sources}".encode()).hexdigest()[:20]
        text = "from __future__ import annotations\n\n\n" + textwrap.dedent(inspect.getsource(function))
        path = _stored(f"{function.__name__}_{digest}.py", text)
        namespace = dict(function.__globals__)
        exec(compile(text, str(path or f"<{function.__name__}>"), "exec"), namespace)  # noqa: S102  our own source
        compiler = numba.njit(signature or None, nogil=True, cache=path is not None)
        _done[function, signature] = compiler(namespace[function.__name__])
    return _done[function, signature]
