"""Plain functions compiled by numba and cached on disk: a change in anything they call is never missed.

Every compiled function lies in a small source file named by a hash of its own source, of all it calls and of the
numba version, so that a changed function can never meet a stale binary. numba is imported inside the functions.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
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
        text = "from __future__ import annotations\n\n\n" + textwrap.dedent(inspect.getsource(function))
        whole = f"{numba.__version__}|{sys.version}|{function.__module__}|{signature}|{text}|{sources}"
        digest = hashlib.sha256(whole.encode()).hexdigest()[:20]
        path = stored(f"{function.__name__}_{digest}.py", text)
        namespace = dict(function.__globals__)
        exec(compile(text, str(path or f"<{function.__name__}>"), "exec"), namespace)  # noqa: S102  our own source
        compiler = numba.njit(signature or None, nogil=True, cache=path is not None)
        _done[function, signature] = compiler(namespace[function.__name__])
    return _done[function, signature]


_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_registered: dict[Callable[..., Any], str] = {}


def register(function: Callable[..., Any]) -> str:
    """Make a plain function callable from compiled code, with all it calls; returns what it does, for the hash.

    What it does is read from the code in memory, not from the source file, which may have been edited since: its
    bytecode and constants, its defaults, the values it finds in its module and closure, and so on for the functions
    it calls.
    """
    from numba.extending import register_jitable

    if function in _registered:
        return _registered[function]
    _registered[function] = function.__name__
    found = inspect.getclosurevars(function)
    parts = [_code(function.__code__), repr(function.__defaults__)]
    for name, value in sorted({**found.globals, **found.nonlocals}.items()):
        parts.append(f"{name} = {_meaning(value, function.__code__)}")
    register_jitable(function)
    _registered[function] = "\n".join(parts)
    return _registered[function]


def _code(code: types.CodeType) -> str:
    inner = [_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars} {inner}"


def _meaning(value: Any, user: types.CodeType) -> str:
    """What a name stands for, the same text in every process: never an address."""
    if isinstance(value, types.FunctionType):
        return f"({register(value)})"
    if isinstance(value, types.ModuleType):
        held = vars(value)
        constants = {name: held[name] for name in user.co_names if isinstance(held.get(name, value), _PLAIN)}
        version = held.get("__version__", "")
        return f"{value.__name__} {version} {constants}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


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
