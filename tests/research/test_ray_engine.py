"""Sweeps on Ray: the numbers of the threads to the last bit, also when a worker is killed in the middle."""

import os
import sys
import warnings
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import psutil
import pytest

from data.door import call
from data.errors import StrategyError, UnavailableError, UsageError
from data.sources.random_walk import random_bars
from data.types import Book
from research import ray_engine
from research.__main__ import app
from research.ray_engine import Parcel, Terms, block_size, run_block, software, unpacked
from research.sweep import sweep
from research.sweep_result import read_sweep
from strategies.common.costs import Costs
from strategies.common.load import load_strategy
from strategies.common.rule import Rule

CROSS = """
import time
from strategies.indicators import crossed_above, ema, sma
from strategies.types import Bars, Signals
CLOCK = "1d"

def signals(bars: Bars, *, fast: int = 10, slow: int = 20, wait: float = 0.0) -> Signals:
    time.sleep(wait)
    one, other = ema(bars.close, fast), sma(bars.close, slow)
    return Signals(entries=crossed_above(one, other), exits=crossed_above(other, one))
"""
GRID = {"fast": "2:40:2", "slow": "6:120:6"}


@pytest.fixture(scope="module")
def bars():
    return random_bars(1_500, 2, seed=9, clock="1d")[0]


@pytest.fixture
def cross(tmp_path):
    (tmp_path / "cross.py").write_text(CROSS)
    return load_strategy(tmp_path / "cross.py")


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes of this machine."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed; make setup brings it")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.delenv("RAY_ADDRESS", raising=False)
        ray = ray_engine.connected(2)
        yield ray
        ray.shutdown()


def workers():
    """Processes of this cluster that are running blocks."""
    below = psutil.Process().children(recursive=True)
    return [process for process in below if process.name().startswith("ray::run_block")]


class Killer:
    """Kills one busy worker after the first reports."""

    def __init__(self, kills=1):
        self.kills, self.killed, self.reports = kills, [], 0

    def __call__(self, progress):
        self.reports += 1
        if self.reports < 3 or len(self.killed) == self.kills or progress.done >= progress.total:
            return
        for process in workers()[:1]:
            self.left = progress.total - progress.done
            process.kill()
            self.killed.append(process.pid)


# on a cluster


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(cluster, cross, bars, capsys):
    killer = Killer()
    options = {"grid": GRID, "params": {"wait": 0.004}}
    found = sweep(cross, bars, engine="ray", threads=2, progress=killer, **options)
    assert len(killer.killed) == 1
    assert killer.left > 20
    assert not psutil.pid_exists(killer.killed[0])
    assert "worker died" not in capsys.readouterr().out
    want = sweep(cross, bars, grid=GRID)
    assert found.complete
    assert list(found.sets) == list(want.sets)
    assert found.numbers.tobytes() == want.numbers.tobytes()


@pytest.mark.slow
def test_what_is_done_stays_where_a_block_is_given_up_and_resume_brings_the_rest(
    cluster, cross, bars, tmp_path, monkeypatch
):
    monkeypatch.setattr(ray_engine, "RETRIES", 0)
    path, killer = tmp_path / "kept.parquet", Killer()
    options = {"grid": GRID, "params": {"wait": 0.004}, "engine": "ray", "threads": 2, "resume": path}
    with pytest.warns(RuntimeWarning, match="sets are missing: their worker died 1 times.*resume goes on with it"):
        part = sweep(cross, bars, progress=killer, **options)
    assert not part.complete
    assert 200 < len(part) < 400
    assert list(read_sweep(path).sets) == list(part.sets)
    whole = sweep(cross, bars, **options)
    assert whole.complete
    assert whole.numbers.tobytes() == sweep(cross, bars, grid=GRID).numbers.tobytes()


@pytest.mark.slow
def test_functions_books_accounts_and_searches_travel(cluster, cross, bars):
    shift = 2

    def mine(bars, book, *, fast: int = 10, slow: int = 20):
        from strategies.indicators import crossed_above, ema, sma
        from strategies.types import Signals

        one, other = ema(bars.close, fast + shift), sma(book.mid, slow)
        return Signals(entries=crossed_above(one, other), exits=crossed_above(other, one))

    nothing = np.full(bars.shape, np.nan)
    quotes = dict.fromkeys(("bid_size", "ask_size", "microprice", "imbalance", "ofi"), nothing)
    book = Book(
        bars.symbols, bid=bars.close - 0.01, ask=bars.close + 0.01, spread=np.full(bars.shape, 0.02), mid=bars.close,
        bid_depth=nothing, ask_depth=nothing, sell_flow=nothing, age=nothing, **quotes,
    )  # fmt: skip
    for options in (
        {"grid": GRID, "apart": True},
        {"grid": {"fast": "2..40", "slow": "5..120"}, "search": "tpe", "trials": 24, "constraint": "fast < slow"},
    ):
        found = sweep(mine, bars.rows(100), book=book.rows(100), engine="ray", clock="1d", **options)
        want = sweep(mine, bars.rows(100), book=book.rows(100), clock="1d", **options)
        assert list(found.sets) == list(want.sets)
        assert found.numbers.tobytes() == want.numbers.tobytes()


@pytest.mark.slow
def test_an_error_of_the_strategy_is_the_threads_own_sentence(cluster, bars):
    def broken(bars, *, fast: int = 10):
        return None if fast == 7 else __import__("strategies.types").types.Signals(bars.close > 0, bars.close < fast)

    with pytest.raises(StrategyError) as threads:
        sweep(broken, bars, grid={"fast": [5, 6, 7]}, clock="1d")
    with pytest.raises(StrategyError) as ray:
        sweep(broken, bars, grid={"fast": [5, 6, 7]}, clock="1d", engine="ray")
    assert str(ray.value) == str(threads.value)


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(cluster, cross, bars):
    def stop(progress):
        if progress.done:
            raise KeyboardInterrupt

    part = sweep(cross, bars, grid=GRID, engine="ray", params={"wait": 0.004}, progress=stop)
    assert not part.complete
    assert 0 < len(part) < 400


# without one


def parcel(strategy, bars, **changes):
    made = Parcel(
        ray_engine._sent(strategy), ray_engine._columns(bars), None, ("fast",), {"slow": 30, "wait": 0.0},
        Terms(Rule(), Costs(), 1e5, "1d", False), 64 << 20, software(),
    )  # fmt: skip
    return replace(made, **changes)


def test_a_strategy_travels_as_its_text(cross, bars):
    packed = parcel(cross, bars)
    cross.path.unlink()
    runner = unpacked(packed)
    assert runner.strategy.source_hash == cross.source_hash
    (want,) = sweep(cross, bars, grid={"fast": [7]}, params={"slow": 30}, rule=Rule()).numbers
    assert runner.run_set((7,)).tobytes() == want.tobytes()


def test_a_worker_of_other_software_is_refused(cross, bars):
    other = parcel(cross, bars, software=software() | {"numpy": "1.0"})
    with pytest.raises(UnavailableError, match=r"has numpy \S+, this process 1.0: .*make setup"):
        unpacked(other)


def test_an_error_comes_back_as_a_value(cross, bars, monkeypatch):
    monkeypatch.setattr(ray_engine, "_ready", {"one": unpacked(parcel(cross, bars))})
    assert run_block("one", [], [(5,), (6,)]).shape == (2, 1, 11)
    assert isinstance(run_block("one", [], [(5,), (0,)]), Exception)


def test_blocks_are_fair_and_bounded():
    assert block_size(10_000, 2, 1_000) == 512
    assert block_size(400, 2, 1_000) == 25
    assert block_size(10_000, 2, 1_000_000) == 32
    assert block_size(1, 64, 10**12) == 1


def test_ray_absent_is_one_sentence(bars, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnavailableError, match="package ray, which is not installed; run: make setup"):
        sweep("ma_cross", bars, grid={"fast": [5, 10]}, engine="ray")
    words = ["sweep", "ma_cross", "--grid", "fast=5,10", "--ledger", str(tmp_path / "t.db")]
    assert call(app, [*words, "--engine", "ray"]) == 6
    assert "package ray" in capsys.readouterr().err
    assert call(app, [*words, "--engine", "rai"]) == 2
    assert "did you mean 'ray'" in capsys.readouterr().err
    with pytest.raises(UsageError, match="engine 'dask' is not one of"):
        sweep("ma_cross", bars, grid={"fast": [5, 10]}, engine="dask")


def test_a_cluster_that_does_not_answer_is_one_sentence(monkeypatch):
    class Silent:
        @staticmethod
        def is_initialized():
            return False

        @staticmethod
        def init(**options):
            assert "num_cpus" not in options
            raise ConnectionError("nobody at 10.0.0.1:6379\nsecond line")

    monkeypatch.setitem(sys.modules, "ray", Silent)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(UnavailableError, match=r"no Ray cluster at RAY_ADDRESS=10.0.0.1:6379: nobody at \S+; start"):
        ray_engine.connected(2)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
