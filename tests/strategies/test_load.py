"""Loading strategies: names, files, parameters with types and ranges, and the sentences for what is wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.errors import StrategyError, UsageError
from data.sources.random_walk import random_bars
from strategies.common.load import load_strategy, strategy_names

CHECKOUT = Path(__file__).resolve().parents[2]
PLAIN = """
from typing import Annotated
from strategies.common.load import Range
from strategies.types import Bars, Signals

def signals(bars: Bars, *, fast: Annotated[int, Range(2, 50)] = 5, lean: float = 1, on: bool = True, how: str = "x"):
    return Signals(entries=bars.close > fast, exits=bars.close < lean)
"""


def plain(folder: Path, source: str = PLAIN, name: str = "plain.py") -> Path:
    path = folder / name
    path.write_text(source)
    return path


def test_names_are_the_files_with_a_signals_function() -> None:
    assert strategy_names() == ["ma_cross", "mean_reversion", "momentum", "opening_range", "order_flow"]


def test_parameters_come_from_the_signature_with_types_and_ranges(tmp_path: Path) -> None:
    strategy = load_strategy(plain(tmp_path))
    kinds = {p.name: (p.kind, p.default, p.range and tuple(p.range)) for p in strategy.parameters}
    assert kinds == {
        "fast": (int, 5, (2, 50)),
        "lean": (float, 1.0, None),
        "on": (bool, True, None),
        "how": (str, "x", None),
    }
    assert strategy.bind({"fast": "7", "on": "no", "lean": 2}) == {"fast": 7, "lean": 2.0, "on": False, "how": "x"}
    assert strategy.bind({"fast": np.int64(7)})["fast"] == 7


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"fsat": 3}, "plain has no parameter 'fsat'; did you mean 'fast'"),
        ({"fast": "x"}, "parameter 'fast' must be int, got 'x'|parameter 'fast' must be int from 2 to 50"),
        ({"fast": 2.5}, "parameter 'fast' must be int, got 2.5"),
        ({"fast": 1}, "parameter 'fast' must be int from 2 to 50, got 1"),
        ({"fast": True}, "parameter 'fast' must be int, got True"),
        ({"lean": "nan"}, "parameter 'lean' must be float, got 'nan'"),
        ({"on": "maybe"}, "parameter 'on' must be bool, got 'maybe'"),
    ],
)
def test_a_wrong_parameter_is_one_clear_sentence(tmp_path: Path, given: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load_strategy(plain(tmp_path)).bind(given)


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no strategy 'momentm'; did you mean 'momentum'"):
        load_strategy("momentm")
    with pytest.raises(UsageError, match="does not exist"):
        load_strategy("nowhere/mine.py")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("x = 1\n", "has no function `signals"),
        ("def signals(bars, n=3):\n    return None\n", "keyword-only after the star"),
        ("def signals(bars, *, n):\n    return None\n", "parameter 'n' needs a default"),
        ("def signals(bars, *, n=None):\n    return None\n", "parameter 'n' needs a default"),
        ("def signals(bars, **kw):\n    return None\n", "parameter 'kw' needs a default"),
        ("import nothing_like_this\n", "cannot be imported: ModuleNotFoundError"),
        ("def signals(:\n", "cannot be imported: SyntaxError"),
        ("CLOCK = '7m'\ndef signals(bars, *, n=3):\n    return None\n", "7m"),
        ("RULE = 3\ndef signals(bars, *, n=3):\n    return None\n", "RULE must be"),
    ],
)
def test_a_file_that_is_no_strategy_says_what_it_lacks(tmp_path: Path, source: str, sentence: str) -> None:
    with pytest.raises((StrategyError, UsageError), match=sentence):
        load_strategy(plain(tmp_path, source, f"odd{abs(hash(source))}.py"))


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("None", "returned NoneType"),
        ("Signals(entries=bars.close, exits=bars.close < 0)", "entries has dtype float64, expected bool"),
        ("Signals(entries=bars.close[1:] > 0, exits=bars.close < 0)", "entries has shape"),
        ("Signals(entries=bars.close > 0, exits=bars.close < 0, stop=bars.close[:, 0])", "stop has shape"),
    ],
)
def test_a_wrong_output_is_one_clear_sentence(tmp_path: Path, returned: str, sentence: str) -> None:
    source = f"from strategies.types import *\ndef signals(bars, *, n: int = 3):\n    return {returned}\n"
    strategy = load_strategy(plain(tmp_path, source, "wrong.py"))
    bars, book = random_bars(20, 2)
    with pytest.raises(StrategyError, match=sentence):
        strategy.call(bars, book, strategy.bind())


OWN = """
from strategies.common.steps import Column, nan, recurrent
from strategies.types import Bars, Signals

@recurrent(state=(0.0,))
def ratio(s, x: Column):
    return (x,), x / s[0] if s[0] > 0.0 else nan

def signals(bars: Bars, *, level: float = 1.0) -> Signals:
    return Signals(entries=ratio(bars.close) > level, exits=ratio(bars.open) < level)
"""


def test_a_file_with_its_own_indicator_may_be_edited_and_moved_between_processes(
    tmp_path: Path, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    environment = os.environ | {"ONETAPE_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(CHECKOUT)}
    script = (
        "import sys\nfrom data.sources.random_walk import random_bars\n"
        "from strategies.common.load import load_strategy\n"
        "bars, book = random_bars(60, 2); mine = load_strategy(sys.argv[1])\n"
        "print(int(mine.call(bars, book, mine.bind()).entries.sum()))"
    )
    (tmp_path / "elsewhere").mkdir()
    answers = set()
    for path, extra in (("mine.py", ""), ("mine.py", "# a note\n"), ("elsewhere/mine.py", "# a note\n")):
        done = python("-c", script, str(plain(tmp_path, OWN + extra, path)), env=environment)
        assert done.returncode == 0, done.stderr
        answers.add(done.stdout)
    assert len(answers) == 1
