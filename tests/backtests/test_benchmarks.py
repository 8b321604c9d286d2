"""The benchmarks run; how fast they are is no test's business."""

import importlib.util
import json
import sys

import pytest


@pytest.fixture
def runner(checkout):
    spec = importlib.util.spec_from_file_location("benchmark_runner", checkout / "tests" / "benchmarks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_the_backtest_benchmark_gives_rows_beside_every_peer(runner, tmp_path, capsys):
    path = tmp_path / "figures" / "bench.json"
    assert runner.main(["backtest", "--quick", "--json", str(path)]) == 0
    written = json.loads(path.read_text())
    assert [row.get("peer") for row in written["rows"]][3:6] == [
        "vectorbt (rust)",
        "vectorbt (numba)",
        "backtesting.py",
    ]
    assert all(row["value"] > 0.0 for row in written["rows"])
    assert {row["unit"] for row in written["rows"]} == {"ms", "MB"}
    assert [row["what"].split(", ")[-1] for row in written["rows"][6:8]] == ["written", "file"]
    assert "budget" in capsys.readouterr().out


def test_rows_in_nanoseconds_get_the_common_form(runner):
    row = {"name": "ema, batch", "ours_ns": 2.0, "peer": "TA-Lib", "peer_ns": 3.0, "ratio": 0.67}
    assert runner.plain(row) == {"what": "ema, batch", "value": 2.0, "unit": "ns", "peer": "TA-Lib", "ratio": 1.5}
    assert runner.plain({"name": "x", "ours_ns": 2.0, "peer": "", "peer_ns": None}).keys() == {"what", "value", "unit"}


def test_an_unknown_benchmark_is_a_usage_error(runner, capsys):
    assert runner.main(["speed"]) == 2
    assert "no benchmark 'speed'" in capsys.readouterr().err
    assert "backtest" in runner.names()
    assert "run" not in runner.names()
    sys.modules.pop("onetape_benchmark_backtest", None)
