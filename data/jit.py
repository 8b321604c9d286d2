"""Plain functions compiled by numba and cached on disk: a change in anything they call is never missed.

Every compiled function lies in a small source file named by a hash of its own source, of all it calls and of the
numba version, so that a changed function can never meet a stale binary. numba is imported inside the functions.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

        sources = register(function)
        digest = hashlib.sha256(f"{numba.__version__}|{sys.version}|{signature}|{sources}".encode()).hexdigest()[:20]
        text = "from __future__ import annotations\n\n\n" + textwrap.dedent(inspect.getsource(function))
        path = stored(f"{function.__name__}_{digest}.py", text)
        namespace = dict(function.__globals__)
        exec(compile(text, str(path or f"<{function.__name__}>"), "exec"), namespace)  # noqa: S102  our own source
        compiler = numba.njit(signature or None, nogil=True, cache=path is not None)
        _done[function, signature] = compiler(namespace[function.__name__])
    return _done[function, signature]


_registered: dict[int, str] = {}


def register(function: types.FunctionType | Callable[..., Any]) -> str:
    """Make a plain function callable from compiled code, with all it calls; returns their sources, for the hash."""
    from numba.extending import register_jitable

    if id(function) in _registered:
        return _registered[id(function)]
    _registered[id(function)] = ""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = function.__code__.co_code.hex() + repr(function.__code__.co_consts)
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, types.FunctionType):
            source += register(value)
        elif isinstance(value, (int, float)):
            source += f"\n{name} = {value!r}"
    register_jitable(function)
    _registered[id(function)] = source
    return source


def cache_folder() -> Path:
    """Where compiled loops are kept: $ONETAPE_CACHE, else the user's cache folder."""
    root = os.environ.get("ONETAPE_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "onetape" / "kernels"


def stored(name: str, text: str) -> Path | None:
    """The kernel's source file, written once and atomically; None where the disk does not let us."""
    path = cache_folder() / name
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(text)
        draft.replace(path)
    except OSError:
        return None
    return path
