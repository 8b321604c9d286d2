"""A saved result comes back to the last bit; one that was changed, cut or is of another kind is refused."""

import json
import zipfile

import numpy as np
import pytest

from backtests.engine import run_backtest
from backtests.result import Result
from backtests.saved import arrays_of
from data.errors import DataError
from data.sources.random_walk import random_bars
from strategies.common.costs import Costs
from strategies.common.rule import Rule


@pytest.fixture(scope="module")
def result():
    bars, book = random_bars(600, 2, seed=3, clock="1m", gaps=True)
    return run_backtest(bars, "momentum", {"stop_atr": 0.1}, book=book, origin={"source": "walk", "simulated": True})


def bits(array):
    return array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes()


def test_everything_comes_back_to_the_last_bit(result, tmp_path):
    again = Result.load(result.save(tmp_path / "run.result"))
    assert [(name, bits(array)) for name, array in arrays_of(again)] == [
        (name, bits(array)) for name, array in arrays_of(result)
    ]
    for name in ("strategy", "source_hash", "params", "clock", "start_cash", "origin", "provenance", "rule", "costs"):
        assert getattr(again, name) == getattr(result, name)
    assert again.metrics == result.metrics or str(again.metrics) == str(result.metrics)
    assert again.strategy_path == "strategies/momentum.py"
    assert again.summary() == result.summary()


@pytest.mark.parametrize("seed", range(12))
def test_any_run_comes_back(made, seed, tmp_path):
    bars, book, signals = made.random_market(seed)
    rule, costs, cash = made.random_options(seed)
    run = run_backtest(bars, lambda bars: signals, book=book, rule=rule, costs=costs, cash=cash, clock="30m")
    again = Result.load(run.save(tmp_path / "run"))
    assert [bits(array) for _, array in arrays_of(again)] == [bits(array) for _, array in arrays_of(run)]
    assert (again.book is None) == (book is None)
    assert str(again.metrics) == str(run.metrics)


def test_equal_results_are_equal_bytes(result, tmp_path):
    first, second = (result.save(tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second
    assert Result.load(tmp_path / "a").save(tmp_path / "c").read_bytes() == first


def rewritten(path, name, change):
    """The archive with one member changed, its own checksums right."""
    with zipfile.ZipFile(path) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    parts[name] = change(parts[name])
    other = path.with_suffix(".changed")
    with zipfile.ZipFile(other, "w") as archive:
        for each, content in parts.items():
            archive.writestr(each, content)
    return other


@pytest.mark.parametrize("name", ["equity.npy", "bars.close.npy", "orders.npy"])
def test_one_changed_bit_is_refused(result, tmp_path, name):
    path = result.save(tmp_path / "run.result")
    other = rewritten(path, name, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match="does not have the content hash"):
        Result.load(other)


def test_a_changed_parameter_is_refused(result, tmp_path):
    path = result.save(tmp_path / "run.result")
    with pytest.raises(DataError, match="does not have the content hash"):
        Result.load(rewritten(path, "manifest.json", lambda text: text.replace(b'"stop_atr": 0.1', b'"stop_atr": 0.2')))


def test_a_later_version_says_so(result, tmp_path):
    path = result.save(tmp_path / "run.result")
    later = rewritten(path, "manifest.json", lambda text: json.dumps(json.loads(text) | {"version": 2}).encode())
    with pytest.raises(DataError, match="of version 2, this code reads version 1"):
        Result.load(later)


def test_other_files_are_refused_in_a_sentence(result, tmp_path):
    text = tmp_path / "text"
    text.write_text("no zip")
    empty = tmp_path / "empty.zip"
    zipfile.ZipFile(empty, "w").close()
    cut = tmp_path / "cut"
    cut.write_bytes(result.save(tmp_path / "run").read_bytes()[:5_000])
    for path in (text, empty, cut):
        with pytest.raises(DataError, match="cannot be read as a saved result"):
            Result.load(path)
    with pytest.raises(DataError, match="does not exist"):
        Result.load(tmp_path / "nowhere")


@pytest.mark.parametrize("seed", range(30))
def test_cost_parts_of_a_fill_add_up_at_any_multiple(made, seed):
    bars, book, signals = made.random_market(seed, rows=110)
    rule, costs, cash = made.random_options(seed)
    run = run_backtest(bars, lambda bars: signals, book=book, rule=rule, costs=costs, cash=cash, clock="30m")
    fills, parts = run.fills, run.cost_parts
    paid = fills["quantity"] * (fills["price"] - fills["reference"]) + fills["fee"]
    np.testing.assert_allclose(parts.total, paid, rtol=1e-9, atol=1e-9)
    assert min(np.min(part, initial=0.0) for part in parts) >= -1e-9


def test_slippage_and_impact_follow_the_multiple():
    bars, _ = random_bars(2_000, 1, seed=3, clock="1m")
    costs = Costs(half_spread_bps=0.0, use_book=False, slippage_bps=2.0, impact_bps=0.0, regulatory=False)
    run = run_backtest(bars, "ma_cross", costs=costs.scaled(3.0), rule=Rule(size=0.5))
    sums = run.cost_parts.sums()
    assert sums["slippage"] == pytest.approx(run.metrics["total_costs_paid"], rel=1e-9)
    assert abs(sums["half_spread"]) < 1e-6
    frame = run.orders_frame
    assert frame["slippage"].sum() == pytest.approx(sums["slippage"])
    assert (frame.loc[frame["filled"].isna(), "slippage"] == 0.0).all()
