"""The command: sources, options, exit codes, JSON."""

import json

import pytest

from backtests.__main__ import app
from data.door import call
from data.sources.random_walk import random_bars
from data.tape import write_tape


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    path = tmp_path_factory.mktemp("tape") / "rows.parquet"
    bars, book = random_bars(1_000, 3, seed=11, clock="1m")
    write_tape(path, bars, book, clock="1m", source="random walk", simulated=True)
    return str(path)


def test_run_on_the_sample_prints_a_summary(capsys):
    assert call(app, ["run", "ma_cross", "--symbols", "IBM, MSFT", "--start", "2010-01-04", "--end", "2010-12-31"]) == 0
    out = capsys.readouterr().out
    assert "252 x 2 on 1d, 2010-01-04 21:00 UTC to 2010-12-31 21:00 UTC" in out
    assert "IBM, MSFT (real prices" in out


def test_run_on_a_tape_gives_one_json_document(tape, capsys):
    changes = ["--set", "stop_atr=3", "--rule", "cooldown=1", "--cost", "times=2", "--cash", "50000"]
    assert call(app, ["run", "momentum", "--source", tape, *changes, "--judge", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["params"]["stop_atr"] == 3.0
    assert (out["rule"]["cooldown"], out["costs"]["times"], out["metrics"]["start_value"]) == (1, 2.0, 50_000.0)
    assert out["provenance"]["source"] == "random walk"
    assert out["judge"]["equity"] <= 1e-9
    assert out["ok"] is True


def test_a_tape_is_cut_to_symbols_and_sessions(tape, capsys):
    wanted = ["--symbols", "S2,S0", "--start", "2010-01-05", "--end", "2010-01-05", "--json"]
    assert call(app, ["run", "momentum", "--source", tape, *wanted]) == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["symbols"], out["rows"]) == (["S2", "S0"], 390)


def test_a_file_of_bars_says_what_its_times_mean(tmp_path, capsys):
    path = tmp_path / "acme.csv"
    days = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
    rows = [f"{day},{10 + i},{12 + i},{9 + i},{11 + i},1000" for i, day in enumerate(days)]
    path.write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    asked = ["run", "ma_cross", "--source", str(path), "--start", "2024-01-03", "--json"]
    assert call(app, [*asked, "--label", "start"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["symbols"], out["rows"], out["clock"]) == (["ACME"], 3, "1d")
    assert call(app, asked) == 2
    assert "say label='start' or label='close'" in capsys.readouterr().err


def test_the_store_gives_what_was_imported(tmp_path, capsys, monkeypatch):
    from data.store import Store

    monkeypatch.setenv("ONETAPE_STORE", str(tmp_path))
    assert call(app, ["run", "ma_cross", "--source", "store"]) == 2
    assert "the store has no rows of 1d" in capsys.readouterr().err
    bars, _ = random_bars(300, 2, seed=2, clock="1d")
    Store(tmp_path).put(bars, "1d", "history.csv", "all")
    assert call(app, ["run", "ma_cross", "--source", "store", "--symbols", "S1", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["symbols"], out["rows"]) == (["S1"], 300)
    assert out["provenance"]["source"] == "store (history.csv)"


def test_the_simulated_market_follows_the_seed(capsys):
    def ran(seed):
        market = ["--source", "simulated", "--end", "2024-01-03", "--seed", seed]
        assert call(app, ["run", "momentum", *market, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    one, again, other = ran("3"), ran("3"), ran("4")
    assert one == again
    assert one["provenance"]["rows_hash"] != other["provenance"]["rows_hash"]
    assert (one["rows"], one["provenance"]["simulated"]) == (780, True)


def test_compare_shows_strategies_side_by_side(tape, capsys):
    assert call(app, ["compare", "momentum", "mean_reversion", "--source", tape]) == 0
    out = capsys.readouterr().out
    assert "momentum" in out.splitlines()[0]
    assert "mean_reversion" in out.splitlines()[0]
    assert "Sharpe Ratio" in out


def test_a_certificate_is_asked_for(tape, capsys, monkeypatch):
    from strategies.common import certify

    class Certificate:
        def __init__(self, ok):
            self.ok = ok

        def line(self):
            return "certified" if self.ok else "NOT certified"

    for ok, code in ((True, 0), (False, 3)):
        monkeypatch.setattr(certify, "certify", lambda *a, ok=ok, **k: Certificate(ok))
        assert call(app, ["run", "momentum", "--source", tape, "--certify"]) == code
        assert "certified" in capsys.readouterr().out


def test_a_report_is_written(tape, tmp_path, capsys):
    path = tmp_path / "report.html"
    assert call(app, ["run", "momentum", "--source", tape, "--report", str(path)]) == 0
    assert path.stat().st_size > 10_000
    assert str(path) in capsys.readouterr().out


def test_rows_that_do_not_suit_the_strategy_are_said(tape):
    with pytest.warns(UserWarning, match="ma_cross is written for 1d rows, these are 1m"):
        assert call(app, ["run", "ma_cross", "--source", tape]) == 0
    with pytest.warns(UserWarning, match="order_flow") as said:
        assert call(app, ["run", "order_flow", "--symbols", "IBM", "--start", "2012-01-03"]) == 0
    assert [str(warning.message) for warning in said] == [
        "order_flow is written for 1m rows, these are 1d",
        "order_flow reads the book (L2) and these rows have none; conditions on it are never true",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("ma_cros", 2, "did you mean 'ma_cross'?"),
        ("nope.py", 2, "strategy file 'nope.py' does not exist"),
        ("ma_cross --set fsat=3", 2, "did you mean 'fast'?"),
        ("ma_cross --set fast=x", 2, "parameter 'fast' must be int"),
        ("ma_cross --set fast", 2, "is not name=value"),
        ("ma_cross --rule stop=touch", 2, "did you mean 'stops'?"),
        ("ma_cross --rule stops=never", 2, "must be one of close, touch"),
        ("ma_cross --cost times=-1", 2, "cost times must be a number from 0"),
        ("ma_cross --source smaple", 2, "did you mean 'sample'?"),
        ("ma_cross --source nope.parquet", 3, "there is no tape nope.parquet"),
        ("ma_cross --source README.md", 3, "README.md"),
        ("ma_cross --symbols APPL", 2, "did you mean 'AAPL'?"),
        ("ma_cross --start 2030-01-02", 2, "has no rows"),
        ("ma_cross --start x", 2, "'x' is not a date"),
        ("ma_cross --clock 1m", 2, "sample has rows of 1d, not of 1m"),
        ("ma_cross --source simulated --clock 7m", 2, "'7m' is not a clock"),
        ("ma_cross --cash 0", 2, "cash must be a positive number"),
        ("ma_cross --cash abc", 2, "--cash"),
    ],
)
def test_bad_input_gives_one_sentence_and_its_code(arguments, code, says, capsys, checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    assert call(app, ["run", *arguments.split()]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.count("\n") == 1


def test_a_tape_says_what_it_has(tape, capsys):
    assert call(app, ["run", "momentum", "--source", tape, "--symbols", "S9"]) == 2
    assert "has no symbol 'S9'" in capsys.readouterr().err
    assert call(app, ["run", "momentum", "--source", tape, "--start", "2020-01-02"]) == 2
    assert "has sessions 20100104 to 20100106" in capsys.readouterr().err


def test_help_loads_nothing_heavy(python):
    heavy = "'numpy', 'pandas', 'numba', 'vectorbt'"
    done = python("-c", f"import sys, backtests.__main__; print(*[m for m in ({heavy}) if m in sys.modules])")
    assert (done.returncode, done.stdout.strip()) == (0, "")
    for arguments in ([], ["run"], ["compare"]):
        assert python("-m", "backtests", *arguments, "--help").returncode == 0
