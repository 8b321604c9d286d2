"""Where a result came from: what must be equal for a rerun to give the same bits."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.tape import content_hash

if TYPE_CHECKING:
    from backtests.result import Result

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = ("numpy", "numba", "pandas", "vectorbt")
DECIDING = ("backtests", "backtests/templates", "strategies/common", "strategies/indicators")
APART = ("__main__", "cli_", "plots", "result_html", "saved", "verify", "report_compare", "report_reading")
"""Modules of `backtests` that neither compute a result nor draw its report, by the start of their names."""
SUFFIXES = (".py", ".html", ".css", ".js")
DECIDING_FILES = ("strategies/types.py", "data/types.py", "data/calendar.py", "data/tape.py", "data/checks.py")


def provenance_of(result: Result) -> dict[str, Any]:
    """Hashes of rows, strategy and code, its parameters, versions, and the commit where there is one."""
    return {
        **result.origin,
        "rows_hash": content_hash(result.bars, result.book),
        "strategy": result.strategy,
        "source_hash": result.source_hash,
        "params": dict(result.params),
        "code_hash": code_hash(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


@lru_cache(maxsize=1)
def code_hash(root: Path = CHECKOUT) -> str:
    """SHA-256 over names and contents of all that computes a result and draws its report."""
    digest = hashlib.sha256()
    paths = [
        path
        for folder in DECIDING
        for path in (root / folder).glob("*.*")
        if path.suffix in SUFFIXES and not (folder == "backtests" and path.name.startswith(APART))
    ]
    for path in sorted([*paths, *(root / name for name in DECIDING_FILES)]):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@lru_cache(maxsize=1)
def _commit() -> str:
    """The commit of this checkout, with `-dirty` where files were changed since; "none" outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(  # noqa: S603  a fixed command
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return "none"
    return done.stdout.strip() or "none"
