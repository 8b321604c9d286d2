"""The hash under which compiled code is cached: the same in every process, another after any change."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import numpy as np

from data import jit

SCALE = 2.0


def inner(x: float) -> float:
    return x * SCALE


def outer(x: float) -> float:
    return min(np.sqrt(inner(x)), np.float64(9.0))


def test_the_hash_is_the_same_in_every_process(python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    script = (
        "import numpy as np, hashlib\nfrom data.jit import register\nfrom backtests.scan import _scan\n"
        "from data.sources.orderbook_sim import *\nfrom data.sources import orderbook_sim as s\n"
        "own = [f for _, f in sorted(vars(s).items()) if getattr(f, '__module__', '') == s.__name__]\n"
        "fs = [_scan] + [f for f in own if type(f).__name__ == 'function']\n"
        "print(hashlib.sha256(''.join(map(register, fs)).encode()).hexdigest())"
    )
    runs = {python("-c", script).stdout for _ in range(2)}
    assert len(runs) == 1
    assert len(runs.pop()) == 65


def test_no_address_and_no_library_function_enters_the_hash() -> None:
    text = jit.register(outer)
    assert " at 0x" not in text
    assert "SCALE = 2.0" in text
    assert len(text) < 4_000


def test_a_changed_constant_of_a_called_function_changes_the_hash() -> None:
    before = jit._meaning(inner, outer.__code__)
    jit._registered.clear()
    globals()["SCALE"] = 3.0
    try:
        assert jit._meaning(inner, outer.__code__) != before
    finally:
        globals()["SCALE"] = 2.0
        jit._registered.clear()
