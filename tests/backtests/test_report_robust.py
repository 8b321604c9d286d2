"""Robustness, notes, benchmark and comparison on the page: what was asked is drawn, what was not is said."""

import json
import re

import msgspec
import numpy as np
import pytest

from backtests.__main__ import app
from backtests.engine import run_backtest
from backtests.figures import bands, bars, figure, histogram_bars, scale
from backtests.report import report_html, write_report
from backtests.report_compare import comparison_html, differences, titles
from backtests.report_notes import read_notes
from backtests.report_reading import Reading
from backtests.report_risk import benchmark_of, relative, rolling
from backtests.verify import verify
from data.door import call
from data.errors import DataError, UsageError
from data.sources import sample
from data.sources.random_walk import random_bars

PARTS = (
    "surface",
    "walk_forward",
    "paths",
    "null",
    "delay",
    "regimes",
    "bands",
    "luck",
    "symbols_left_out",
    "best_sessions",
)


@pytest.fixture(scope="module")
def result():
    return run_backtest(sample.load(("AAPL", "IBM"), 20040101, 20071231), "ma_cross", {"fast": 10, "slow": 40})


@pytest.fixture(scope="module")
def evidence_for(made):
    return made.sibling("evidence_made").evidence_for


def texts(page):
    return {each.place: each.text for each in Reading(page).texts}


def test_every_part_has_its_figure_and_every_figure_its_place(result, evidence_for):
    page = report_html(result, evidence=evidence_for(result))
    drawn = Reading(page).data["figures"]
    places = re.findall(r'data-figure="(.*?)"', page)
    assert sorted(places) == sorted(drawn)
    wanted = {"surface", "folds", "stitched", "paths", "null", "pbo", "bands", "orders", "delay", "regimes", "left"}
    assert {f"robust-{name}" for name in wanted} <= set(drawn)


def test_the_gates_are_told_with_figure_threshold_and_reason(result, evidence_for):
    page = report_html(result, evidence=evidence_for(result))
    told = texts(page)
    assert told["Robustness, Enough trades, Outcome"] == "FAIL"
    assert told["Robustness, Same function live, Outcome"] == "not asked"
    assert told["Robustness, Sharpe above luck, Figure"] == "2.500"
    assert told["Robustness, Survives higher costs, Figure"] == "–"
    assert told["Robustness, a gate of one's own, Why"] == "because of a gate of one's own"
    assert told["Robustness, How much of it is luck, Trials of this idea, ever"] == "1,342"
    assert "at most 1.2 % pass all of these gates" in page
    assert "4 of 6 gates passed" in page
    assert "DSR 91.0" in page


def test_evidence_of_another_run_counts_for_nothing(result, evidence_for):
    page = report_html(result, evidence=evidence_for(result, rows_hash="0" * 64))
    assert "This evidence is of another run: its rows_hash differ." in page
    assert "Of another run" in page


def test_without_evidence_the_page_says_what_was_not_asked(result):
    page = report_html(result)
    assert "python -m research validate ma_cross --out evidence.json" in page
    assert "Without the number of trials no Sharpe ratio can be judged." in page


@pytest.mark.parametrize("part", PARTS)
def test_any_part_may_be_missing_and_is_said_to_be(result, evidence_for, part):
    empty = [] if part in ("regimes", "symbols_left_out") else None
    page = report_html(result, evidence=evidence_for(result, **{part: empty}, missing={part: "too few sessions"}))
    drawn = Reading(page).data["figures"]
    assert sorted(re.findall(r'data-figure="(.*?)"', page)) == sorted(drawn)
    assert texts(page)[f"Robustness, What could not be asked, {part.replace('_', ' ')}"] == "too few sessions"


def test_evidence_of_a_file_is_shown_and_verified(result, evidence_for, tmp_path, capsys):
    path, out = tmp_path / "evidence.json", tmp_path / "report.html"
    path.write_text(evidence_for(result).to_json())
    asked = [
        "--symbols",
        "AAPL,IBM",
        "--start",
        "2004-01-01",
        "--end",
        "2007-12-31",
        "--set",
        "fast=10",
        "--set",
        "slow=40",
    ]
    assert call(app, ["run", "ma_cross", *asked, "--report", str(out), "--evidence", str(path)]) == 0
    assert "Asked of this source" in out.read_text(encoding="utf-8")
    outcome = verify(out)
    assert outcome.ok, outcome.sentence
    assert outcome.carried == ("evidence (python -m research validate makes it again)",)
    text = out.read_text(encoding="utf-8")
    out.write_text(text.replace(">1,342<", ">42<", 1), encoding="utf-8")
    assert "Trials of this idea, ever: '42' in the file, '1,342' in the rerun" in verify(out).sentence
    assert call(app, ["run", "ma_cross", "--report", str(out), "--evidence", str(out)]) == 3
    assert "this is no evidence" in capsys.readouterr().err


def test_one_parameter_gives_a_line(result, evidence_for):
    surface = evidence_for(result).surface
    one = msgspec.structs.replace(
        surface,
        y=None,
        ys=[],
        values=[[0.1, None, 0.3, 0.2, 0.1, 0.0]],
        plateau=[[False] * 6],
        best=(0, 2),
        chosen=(0, 3),
    )
    drawn = Reading(report_html(result, evidence=evidence_for(result, surface=one))).data["figures"]["robust-surface"]
    assert [mark["kind"] for mark in drawn["marks"]] == ["line", "dots"]


def test_notes_are_text_whatever_is_in_them(result):
    evil = "</script><img src=x onerror=alert(1)>"
    notes = [
        {
            "symbol": evil,
            "ts": int(result.bars.ts[3]),
            "answer": {"pattern": evil, "bias": evil, "confidence": 0.5, "reasons": [evil, "b"]},
            "model": evil,
            "contaminated": True,
            "cutoff": "2023-10-01",
            "support": 1.5,
        },
        {"symbol": "IBM", "answer": None, "reason": "the budget of the month is spent"},
        {},
    ]
    page = report_html(result, notes=notes)
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt; b" in page
    assert "trained to 2023-10-01: it may know what followed" in page
    assert "the budget of the month is spent" in page


def test_notes_come_from_json_of_either_kind(tmp_path):
    path = tmp_path / "notes.json"
    for text in ('[{"symbol": "A"}, {"symbol": "B"}]', '{"symbol": "A"}\n{"symbol": "B"}\n'):
        path.write_text(text)
        assert [note["symbol"] for note in read_notes(path)] == ["A", "B"]
    for text in ("[1]", "nothing"):
        path.write_text(text)
        with pytest.raises(DataError):
            read_notes(path)
    with pytest.raises(DataError, match="No such file"):
        read_notes(tmp_path / "nowhere")


def test_an_unknown_extra_is_named(result, tmp_path):
    with pytest.raises(UsageError, match="a report has no 'certificat'; it takes certificate"):
        write_report(result, tmp_path / "a.html", certificat=None)


def test_relative_numbers_agree_with_least_squares(result):
    other = benchmark_of(result, "IBM")
    ends = np.append(np.flatnonzero(np.diff(result.bars.session)), len(result.bars) - 1)
    mine = np.diff(result.equity[ends], prepend=result.start_cash) / np.concatenate(
        [[result.start_cash], result.equity[ends][:-1]]
    )
    theirs = np.diff(other.value[ends], prepend=result.start_cash) / np.concatenate(
        [[result.start_cash], other.value[ends][:-1]]
    )
    slope, intercept = np.polyfit(theirs, mine, 1)
    told = dict(relative(result, other))
    assert float(told["Beta to it"]) == pytest.approx(slope, abs=0.005)
    assert told["Alpha a year"].startswith(f"{intercept * 25200:+.2f}".replace("-", "\u2212"))
    assert float(told["Correlation with it"]) == pytest.approx(np.corrcoef(mine, theirs)[0, 1], abs=0.005)


def test_rolling_numbers_are_those_of_their_window(result):
    other = benchmark_of(result)
    found = rolling(result, other)
    assert found["window"] == 63
    returns = np.diff(result.equity, prepend=result.start_cash) / np.concatenate(
        [[result.start_cash], result.equity[:-1]]
    )
    last = returns[-63:]
    steps = [step for step in found["sharpe"] if step is not None]
    assert sum(steps) * 1e-4 == pytest.approx(last.mean() / last.std(ddof=1) * np.sqrt(252), abs=1e-3)


def test_a_benchmark_needs_rows(result):
    with pytest.raises(UsageError, match="no rows of the benchmark 'MSF'"):
        benchmark_of(result, "MSF")
    late = sample.load(("MSFT",), start=20050101)
    with pytest.raises(UsageError, match="no price at or before the first row"):
        benchmark_of(result, "MSFT", late)
    early = sample.load(("MSFT",), start=20030101)
    assert benchmark_of(result, "MSFT", early).value[0] == result.start_cash


def test_figures_hold_plain_rounded_numbers():
    drawn = figure(
        "a",
        x=bands(["a", "b"]),
        y=scale([1.0, float("nan"), None]),
        marks=[bars([0, 1], [1 / 3, np.nan], width=0.5, texts=["a", "b"])],
    )
    assert json.loads(json.dumps(drawn, allow_nan=False)) == drawn
    assert drawn["marks"][0]["y"] == [0.333333, None]


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0, 5.0], list(np.linspace(-3, 7, 500)), [1e-9, 2e-9], [1e12, -1e12]])
def test_histograms_count_every_value(values):
    _, _, drawn = histogram_bars(np.array(values), say=lambda a, b: f"{a} {b}")
    assert sum(drawn["y"]) == len(values)
    assert histogram_bars(np.array([np.nan]), say=str) is None


def test_a_comparison_says_what_differs_and_by_how_much(result):
    other = run_backtest(result.bars, "ma_cross", {"fast": 5, "slow": 40})
    assert titles(result, other) == ("fast=10", "fast=5")
    assert differences(result, other) == [("parameter fast", "10", "5")]
    assert differences(result, result) == []
    page = comparison_html(result, other)
    assert page == comparison_html(result, other)
    told = texts(page)
    apart = other.metrics["total_trades"] - result.metrics["total_trades"]
    assert told["Verdict, Trades, Second less first"].replace("\u2212", "-") == f"{apart:+.0f}"
    assert "Nothing: strategy, parameters, rule, costs and rows are the same." in comparison_html(result, result)


def test_results_of_other_rows_lie_over_the_same_instants(result):
    bars_, _ = random_bars(50, 2, 3, "1d")
    data = Reading(comparison_html(result, run_backtest(bars_, "ma_cross"))).data
    assert data["rows"] == len(np.union1d(result.bars.ts, bars_.ts))
    assert len(data["first"]) == len(data["second"]) == len(data["time"])


def test_the_command_compares_saved_results_and_parameter_sets(tmp_path, capsys):
    one, other, out = tmp_path / "a", tmp_path / "b", tmp_path / "c.html"
    base = ["run", "ma_cross", "--symbols", "IBM", "--start", "2010-01-04"]
    assert call(app, [*base, "--save", str(one)]) == 0
    assert call(app, [*base, "--set", "fast=5", "--save", str(other)]) == 0
    assert call(app, ["report", "--compare", str(one), str(other), "--out", str(out)]) == 0
    first = out.read_bytes()
    rows = ["--symbols", "IBM", "--start", "2010-01-04"]
    assert call(app, ["report", "ma_cross", *rows, "--compare", "fast=20", "fast=5", "--out", str(out)]) == 0
    assert out.read_bytes() == first
    capsys.readouterr()
    assert call(app, ["report", "--compare", "fast=20", str(one), "--out", str(out)]) == 2
    assert "'fast=20' is no saved result" in capsys.readouterr().err
    assert call(app, ["verify", str(out)]) == 3
    assert "manifest" in capsys.readouterr().err
    assert call(app, ["report", "--out", str(out)]) == 2


def test_the_report_of_a_saved_result_can_be_verified(tmp_path, capsys):
    kept, out = tmp_path / "kept", tmp_path / "c.html"
    asked = ["--symbols", "IBM", "--start", "2010-01-04"]
    assert call(app, ["run", "ma_cross", *asked, "--save", str(kept)]) == 0
    assert call(app, ["report", str(kept), "--out", str(out), "--certify", "--with-source"]) == 0
    text = out.read_text(encoding="utf-8")
    assert "0 differing bits" in text
    assert "def signals(" in text
    assert verify(out).ok
