"""Where a result came from: what must be equal for a rerun to give the same bits."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.tape import content_hash

if TYPE_CHECKING:
    from backtests.result import Result

PACKAGES = ("numpy", "numba", "pandas", "vectorbt")


def provenance_of(result: Result) -> dict[str, Any]:
    """Hashes of the rows and of the strategy's source, its parameters, versions, and the commit where there is one."""
    return {
        **result.origin,
        "rows_hash": content_hash(result.bars, result.book),
        "strategy": result.strategy,
        "source_hash": result.source_hash,
        "params": dict(result.params),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


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
