"""The five plain room names resolve into this checkout, wherever Python is started.

`data`, `live` and the others are names a stranger's package may also carry; one that lands in the environment
would win over ours for a notebook. This checker fails then, and the second test shows that it can.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
ROOMS = ("data", "strategies", "backtests", "live", "research")


def strangers(folder: Path, *planted: Path) -> dict[str, str]:
    """Rooms that a fresh interpreter started in `folder` finds elsewhere than in this checkout, and where."""
    code = (
        f"import importlib.util, sys; sys.path[1:1] = {[str(path) for path in planted]!r}\n"
        f"for name in {ROOMS!r}:\n"
        "    spec = importlib.util.find_spec(name)\n"
        "    print(name, spec.origin if spec else 'not found', sep='\\t')\n"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    found = dict(line.split("\t") for line in done.stdout.splitlines())
    return {name: found[name] for name in ROOMS if found[name] != str(CHECKOUT / name / "__init__.py")}


@pytest.fixture
def on_path():
    """Skip where the checkout was not put on the environment's path (a bare `python -m pytest`)."""
    if not (Path(sysconfig.get_path("purelib")) / "onetape.pth").exists():
        pytest.skip("the environment was not made by `make setup`")


@pytest.mark.usefixtures("on_path")
def test_every_room_is_ours_from_a_foreign_folder(tmp_path):
    assert strangers(tmp_path) == {}


@pytest.mark.usefixtures("on_path")
def test_every_room_is_ours_from_the_notebooks_folder():
    assert strangers(CHECKOUT / "notebooks" if (CHECKOUT / "notebooks").is_dir() else CHECKOUT / "tests") == {}


def test_every_room_is_ours_from_the_checkout():
    assert strangers(CHECKOUT) == {}


@pytest.mark.usefixtures("on_path")
def test_a_stranger_s_live_is_noticed(tmp_path):
    planted = tmp_path / "site"
    (planted / "live").mkdir(parents=True)
    (planted / "live" / "__init__.py").write_text("")
    assert strangers(tmp_path, planted) == {"live": str(planted / "live" / "__init__.py")}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_s_init_holds_its_sentence_and_nothing_else(room):
    """A folder without `__init__.py` loses to a stranger's with one; code in it would slow every import."""
    import ast

    tree = ast.parse((CHECKOUT / room / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1
