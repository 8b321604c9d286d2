"""The direction of imports holds, and a module that breaks it is named."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
ROOMS = ("data", "strategies", "backtests", "live", "research")
LINTER = Path(sys.executable).parent / "lint-imports"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINTER, "--no-cache", "--config", folder / "pyproject.toml"],
        cwd=folder,
        env={
            "PATH": str(LINTER.parent),
            "PYTHONPATH": str(folder),
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """Five rooms with one empty module each, under the contracts of this checkout."""
    (tmp_path / "pyproject.toml").write_bytes((CHECKOUT / "pyproject.toml").read_bytes())
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
        (tmp_path / room / "part.py").touch()
    return tmp_path


def test_the_contracts_hold_here():
    done = lint(CHECKOUT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_hold_for_the_allowed_direction(skeleton):
    for room, below in [("research", "backtests"), ("backtests", "strategies"), ("live", "strategies")]:
        (skeleton / room / "part.py").write_text(f"from {below} import part\n")
    (skeleton / "strategies" / "part.py").write_text("import numba\nfrom data import part\n")
    (skeleton / "backtests" / "other.py").write_text("import vectorbt\n")
    done = lint(skeleton)
    assert done.returncode == 0, done.stdout + done.stderr


BREACHES = {
    "data uses strategies": ("data", "from strategies import part"),
    "strategies use backtests": ("strategies", "from backtests import part"),
    "backtests use live": ("backtests", "from live import part"),
    "live uses backtests": ("live", "from backtests import part"),
    "research uses live": ("research", "from live import part"),
    "data uses research": ("data", "def f():\n    from research import part"),
    "live uses vectorbt": ("live", "import vectorbt"),
    "live uses pandas": ("live", "def f():\n    import pandas"),
    "live uses numba": ("live", "import numba"),
    "strategies use vectorbt": ("strategies", "import vectorbt"),
    "data uses vectorbt": ("data", "import vectorbt"),
}


@pytest.mark.parametrize(("room", "line"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_named(skeleton, room, line):
    (skeleton / room / "part.py").write_text(line + "\n")
    done = lint(skeleton)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{room}.part" in done.stdout
