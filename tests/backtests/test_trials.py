"""Every evaluation is a trial: from scripts, notebooks and commands, by many processes at once, none of them lost."""

import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest

from backtests import trials
from backtests.engine import run_backtest
from data.door import call
from data.errors import DataError
from data.sources.random_walk import random_bars
from data.tape import content_hash
from research.ledger import Ledger
from research.sweep import sweep
from research.validate import validate
from strategies.common.load import load_strategy


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """The ledger of the settings."""
    path = tmp_path / "trials.db"
    monkeypatch.setenv("ONETAPE_LEDGER", str(path))
    return path


@pytest.fixture(scope="module")
def bars():
    return random_bars(400, 2, seed=3, clock="1d")[0]


def test_a_backtest_is_appended_with_what_it_was(ledger, bars):
    result = run_backtest(bars, "ma_cross", {"fast": 5, "slow": 20})
    (trial,) = Ledger(ledger).trials()
    assert trial["family"] == "ma_cross"
    assert trial["parameters"] == {"fast": 5, "slow": 20}
    assert trial["dataset"] == result.provenance["rows_hash"]
    assert trial["rows"] == 400
    assert trial["sharpe"] * 252**0.5 == pytest.approx(result.metrics["session_sharpe_ratio"])
    assert trial["metrics"] == {"total_return": pytest.approx(result.metrics["total_return"])}
    assert trial["origin"] == "run"
    assert trial["at_ns"] > 1_700_000_000_000_000_000


def test_a_sweep_from_python_and_a_validation_are_appended_and_counted_once(ledger, bars):
    grid = {"fast": [5, 10], "slow": [20, 40]}
    sweep("ma_cross", bars, grid=grid, metric="sortino")
    kept = Ledger(ledger).trials()
    assert [line["parameters"] for line in reversed(kept)] == [
        {"fast": f, "slow": s} for f in grid["fast"] for s in grid["slow"]
    ]
    assert set(kept[0]["metrics"]) == {"total_return", "sortino"}
    run_backtest(bars, "ma_cross", {"fast": 5, "slow": 20})
    assert (Ledger(ledger).family("ma_cross").trials, Ledger(ledger).family("ma_cross").distinct) == (5, 4)
    verdict = validate(load_strategy("ma_cross"), bars, {"fast": 5, "slow": 20}, sets=6, draws=20)
    family = Ledger(ledger).family("ma_cross")
    assert family.trials == 5 + 6
    assert verdict.trials == family.distinct > 6 - 1


def test_a_sweep_that_stops_half_way_keeps_the_trials_it_made(ledger, bars, tmp_path):
    (tmp_path / "brittle.py").write_text(
        "from data.errors import StrategyError\n"
        "from strategies.types import Bars, Signals\n"
        'CLOCK = "1d"\n\n'
        "def signals(bars: Bars, *, n: int = 1) -> Signals:\n"
        "    if n == 7:\n"
        '        raise StrategyError("seven")\n'
        "    return Signals(entries=bars.close > n, exits=bars.close < n)\n"
    )
    with pytest.raises(Exception, match="seven"):
        sweep(tmp_path / "brittle.py", bars, grid={"n": "1:30"}, search="tpe", trials=30, seed=1)
    family = Ledger(ledger).family("brittle")
    assert 0 < family.trials < 30


def test_trials_can_be_placed_or_left_out(ledger, bars, tmp_path):
    elsewhere = tmp_path / "deep" / "mine.db"
    run_backtest(bars, "ma_cross", ledger=elsewhere)
    sweep("ma_cross", bars, grid={"fast": [5]}, ledger=None)
    run_backtest(bars, "ma_cross", ledger=None)
    assert Ledger(elsewhere).family("ma_cross").trials == 1
    assert not ledger.exists()


def test_the_projects_own_tests_are_nobodys_trials(bars):
    assert os.environ["ONETAPE_LEDGER"] == "off"
    assert trials.ledger_path() is None


def test_a_ledger_that_cannot_be_written_stops_no_run_but_is_said(ledger, bars):
    ledger.write_text("not a database " * 100)
    with pytest.warns(RuntimeWarning, match=r"1 trials are not recorded: .*trials.db cannot be used as a trial ledger"):
        run_backtest(bars, "ma_cross")
    with pytest.raises(DataError, match="name another by ONETAPE_LEDGER"):
        run_backtest(bars, "ma_cross", ledger=ledger)


def test_a_notebook_is_known_as_one(monkeypatch):
    assert not trials.in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))
    assert trials.in_notebook()


def test_a_cell_in_ipython_is_a_trial(ledger, tmp_path, python, checkout):
    code = (
        "from data.sources.random_walk import random_bars; from backtests.engine import run_backtest; "
        "run_backtest(random_bars(200, 1, 3, '1d')[0], 'ma_cross')"
    )
    done = python("-m", "IPython", "--no-banner", "--no-confirm-exit", "-c", code,
                  env=os.environ | {"IPYTHONDIR": str(tmp_path), "PYTHONPATH": str(checkout)})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line["origin"] for line in Ledger(ledger).trials()] == ["notebook"]


def test_the_doors_append(ledger, tmp_path, capsys):
    from backtests.__main__ import app

    other = tmp_path / "other.py"
    other.write_text(
        "from strategies.types import Bars, Signals\n"
        'CLOCK = "1d"\n\n'
        "def signals(bars: Bars) -> Signals:\n"
        "    return Signals(entries=bars.close > bars.open, exits=bars.close < bars.open)\n"
    )
    assert call(app, ["run", "ma_cross", "--set", "fast=5", "--start", "2011-01-03"]) == 0
    assert call(app, ["compare", "ma_cross", str(other), "--start", "2011-01-03"]) == 0
    capsys.readouterr()
    assert [f.name for f in Ledger(ledger).families()] == ["ma_cross", "other"]
    assert Ledger(ledger).family("ma_cross").trials == 2


WRITER = """
import sys
from pathlib import Path
from backtests.trials import Trial, record
for n in range(40):
    record([Trial("many", "s", {"who": sys.argv[2], "n": n, "k": k}, "d", 1, 0.1, {}, "run") for k in range(3)],
           Path(sys.argv[1]))
"""


def test_many_processes_append_at_once_and_lose_nothing(tmp_path, checkout):
    path = tmp_path / "trials.db"
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(k)], cwd=checkout, env=environment)
        for k in range(5)
    ]
    assert [writer.wait(120) for writer in writers] == [0] * 5
    family = Ledger(path).family("many")
    assert (family.trials, family.distinct) == (600, 600)


def test_rows_are_hashed_once_while_they_live(bars, monkeypatch):
    calls = []
    monkeypatch.setattr(trials, "content_hash", lambda *rows: calls.append(1) or content_hash(*rows))
    fresh = bars.rows(0, 300)
    first = trials.dataset_of(fresh, None)
    assert trials.dataset_of(fresh, None) == first == content_hash(fresh)
    assert trials.dataset_of(bars.rows(0, 300), None) == first
    assert len(calls) == 2


def test_equal_sets_are_equal_texts():
    import numpy as np

    assert trials.text({"b": np.int64(1), "a": float("nan")}) == '{"a": null, "b": 1}'
    assert trials.text({"a": None, "b": 1}) == '{"a": null, "b": 1}'
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trials.record([], None) == 0
