"""The how-to page's code is code: its strategy certifies and trades, its indicators are the same in both drivers."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from backtests.engine import run_backtest
from data.sources.random_walk import random_bars
from data.sources.sample import load
from strategies.common.certify import certify
from strategies.common.load import load_strategy
from strategies.common.stream import Stream


def blocks(checkout: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (checkout / "docs" / "extend.md").read_text("utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def indicators(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> ModuleType:
    path = tmp_path_factory.mktemp("own") / "own_indicators.py"
    path.write_text("\n".join(blocks(checkout)[1:]))
    spec = importlib.util.spec_from_file_location("own_indicators", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["own_indicators"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_s_strategy_certifies_and_trades(tmp_path: Path, checkout: Path) -> None:
    (tmp_path / "channel.py").write_text(blocks(checkout)[0])
    strategy = load_strategy(tmp_path / "channel.py")
    assert certify(strategy, rows=600, chunkings=5).ok
    assert len(run_backtest(load(start="2005-01-03"), strategy).trades) > 20


@pytest.mark.parametrize("name", ["efficiency", "mid_range"])
def test_the_page_s_indicators_are_the_same_whole_and_row_by_row(indicators: ModuleType, name: str) -> None:
    bars, _ = random_bars(400, 2, 3, gaps=True)
    step = getattr(indicators, name)
    stream, rows = Stream(), []
    for t in range(len(bars)):
        with stream:
            rows.append(step(bars.rows(t, t + 1).close, 9))
    whole = step(bars.close, 9)
    assert np.array_equal(np.concatenate(rows), whole, equal_nan=True)
    assert np.isfinite(whole).any()


def test_the_page_s_middle_is_the_middle(indicators: ModuleType) -> None:
    values = np.array([[1.0], [5.0], [3.0], [np.nan], [2.0], [4.0], [0.0]])
    found = indicators.mid_range(values, 3)[:, 0]
    assert np.array_equal(found, [np.nan, np.nan, 3.0, np.nan, np.nan, np.nan, 2.0], equal_nan=True)
