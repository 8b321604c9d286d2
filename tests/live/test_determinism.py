"""What decides reads no clock, draws no lot, asks no system, and goes through nothing without an order.

Reliability rule 3.6: an AST test over every module that takes part in a decision. A line may be waived with
`# deterministic: <why>`.
"""

import ast
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
# Tools of the researcher: they compile, load and prove; none of them runs between a row and its commands.
TOOLS = {"__main__.py", "certificate.py", "certify.py", "compiled.py", "hostile.py", "jit.py", "lint.py", "load.py"}
BANNED_MODULES = {
    "asyncio", "datetime", "io", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "shutil", "signal",
    "socket", "sqlite3", "subprocess", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
BANNED_NAMES = {"open", "input", "hash", "breakpoint"}
BANNED_ATTRIBUTES = {
    "now",
    "utcnow",
    "today",
    "uuid1",
    "uuid4",
    "environ",
    "getenv",
    "random",
    "default_rng",
    "urandom",
}


def deciding():
    paths = [*(CHECKOUT / "live/core").glob("*.py"), *(CHECKOUT / "live/brokers").glob("paper.py")]
    paths += [path for path in (CHECKOUT / "strategies").rglob("*.py") if path.name not in TOOLS]
    return sorted(paths)


def sins(source):
    """(line, what) of everything a deciding module may not do."""
    lines = source.splitlines()
    found = [sin for node in ast.walk(ast.parse(source)) for sin in of_node(node)]
    return sorted((line, what) for line, what in found if "# deterministic: " not in lines[line - 1])


def of_node(node):
    if isinstance(node, ast.Import):
        names = [alias.name.split(".")[0] for alias in node.names]
        return [(node.lineno, f"imports {name}") for name in names if name in BANNED_MODULES]
    if isinstance(node, ast.ImportFrom):
        module = (node.module or "").split(".")[0]
        return [(node.lineno, f"imports {module}")] if module in BANNED_MODULES else []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BANNED_NAMES:
        return [(node.lineno, f"calls {node.func.id}")]
    if isinstance(node, ast.Attribute) and node.attr in BANNED_ATTRIBUTES:
        return [(node.lineno, f"uses {node.attr}")]
    if isinstance(node, ast.For | ast.comprehension):
        line = node.iter.lineno
        return [(line, "goes through a set")] if is_set(node.iter) else []
    if isinstance(node, ast.Call) and any(is_set(argument) for argument in node.args):
        ordered = isinstance(node.func, ast.Name) and node.func.id in ("sorted", "len", "min", "max", "any", "all")
        takes = isinstance(node.func, ast.Name) and node.func.id in ("list", "tuple", "iter", "enumerate", "next")
        return [(node.lineno, "goes through a set")] if takes and not ordered else []
    return []


def is_set(node):
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")


@pytest.mark.parametrize("path", deciding(), ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_a_deciding_module_is_deterministic(path):
    assert sins(path.read_text()) == []


PLANTED = {
    "a clock": "import time\nx = time.time()",
    "a date": "from datetime import datetime",
    "today": "def f(d):\n    return d.now()",
    "chance": "import numpy as np\nx = np.random.normal()",
    "a random id": "import uuid\nx = uuid.uuid4()",
    "the environment": "import sys\nx = sys.modules['os'].environ",
    "a file": "x = open('a')",
    "a socket": "import socket",
    "a thread": "from threading import Thread",
    "a loop over a set": "for x in {1, 2}:\n    pass",
    "a comprehension over a set": "x = [y for y in set((1, 2))]",
    "a list of a set": "x = list({1, 2})",
    "a hash of a text": "x = hash('a')",
}


@pytest.mark.parametrize("source", PLANTED.values(), ids=PLANTED)
def test_a_planted_sin_is_found(source):
    assert sins(source) != []


INNOCENT = ["import uuid\nx = uuid.uuid5(a, 'b')", "x = 3 in {1, 2}", "for x in sorted({1, 2}):\n    pass",
            "import os  # deterministic: it is said why"]  # fmt: skip


@pytest.mark.parametrize("source", INNOCENT)
def test_what_is_allowed_is_not_found(source):
    assert sins(source) == []


def test_the_core_and_the_strategies_are_looked_at():
    names = {path.relative_to(CHECKOUT).as_posix() for path in deciding()}
    assert {"live/core/core.py", "strategies/momentum.py", "strategies/common/position.py"} <= names
