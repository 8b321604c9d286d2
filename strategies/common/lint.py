"""What a signal function may not touch: the clock, randomness, the outside, memory of its own. Read from its source."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

FORBIDDEN = {
    "time": "reads the wall clock",
    "datetime": "reads the wall clock",
    "random": "draws random numbers",
    "secrets": "draws random numbers",
    "uuid": "draws random numbers",
    "os": "reads the machine",
    "sys": "reads the machine",
    "io": "reads files",
    "pathlib": "reads files",
    "pickle": "reads files",
    "socket": "talks to the network",
    "urllib": "talks to the network",
    "http": "talks to the network",
    "requests": "talks to the network",
    "subprocess": "starts programs",
    "threading": "starts threads",
    "multiprocessing": "starts programs",
    "asyncio": "starts threads",
    "pandas": "is not in the live process",
    "scipy": "is not in the live process",
    "vectorbt": "is not in the live process",
    "talib": "is not in the live process",
}
CALLS = {
    "now": "reads the wall clock",
    "utcnow": "reads the wall clock",
    "today": "reads the wall clock",
    "default_rng": "draws random numbers",
    "roll": "brings the last row to the first; use strategies.indicators.lag",
    "open": "reads files",
    "exec": "runs text as code",
    "eval": "runs text as code",
    "__import__": "imports by text",
    "setflags": "makes the input writable",
}


class LintFinding(NamedTuple):
    """One line of the source that breaks the rules."""

    line: int
    sentence: str


def lint_source(path: Path) -> list[LintFinding]:
    """The findings of a strategy file, by line."""
    tree = ast.parse(path.read_text(), filename=path.name)
    found: list[LintFinding] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [_banned(node.lineno, alias.name) for alias in node.names if _root(alias.name) in FORBIDDEN]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if _root(node.module) in FORBIDDEN:
                found.append(_banned(node.lineno, node.module))
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found.append(LintFinding(node.lineno, f"`{ast.unparse(node)}` keeps memory outside indicators"))
        elif isinstance(node, ast.Attribute) and node.attr == "random" and _named(node.value) in ("np", "numpy"):
            found.append(LintFinding(node.lineno, "`numpy.random` draws random numbers"))
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else _named(node.func)
            if called in CALLS:
                found.append(LintFinding(node.lineno, f"`{called}(...)` {CALLS[called]}"))
    return sorted(set(found))


def _banned(line: int, name: str) -> LintFinding:
    return LintFinding(line, f"module `{name}` {FORBIDDEN[_root(name)]}")


def _root(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def _named(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""
