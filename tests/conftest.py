"""Fixtures every room's tests may use: the checkout, a fresh interpreter in it, and real market data if it is here."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
os.environ.setdefault("ONETAPE_LEDGER", "off")  # what tests evaluate is no trial of anybody's idea


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder the rooms stand in."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """`shared("equity_daily/SPY_2008_2017.parquet")`: a file of real market data, else the test is skipped.

    The files are not part of the project (their licences do not allow it). They are looked for in
    `$ONETAPE_SHARED/data` and in `../shared/data` beside the checkout.
    """

    def find(name: str) -> Path:
        roots = [os.environ.get("ONETAPE_SHARED"), CHECKOUT.parent / "shared"]
        for root in filter(None, roots):
            path = Path(root) / "data" / name
            if path.exists():
                return path
        pytest.skip(f"real market data {name} is not on this machine")

    return find


@pytest.fixture(scope="session")
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python("-m", "data", "--help")`: a fresh interpreter started in the checkout; output as text."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        return subprocess.run(
            [sys.executable, *arguments],
            check=False,
            **{"cwd": CHECKOUT, "env": environment, "capture_output": True, "text": True} | options,
        )

    return run
