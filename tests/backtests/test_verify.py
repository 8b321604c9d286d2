"""A report is run again from what it carries: MATCH, or the first thing that is not as it says, in a reader's words."""

import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtests.__main__ import app
from backtests.engine import run_backtest
from backtests.report import embedded, write_report
from backtests.report_reading import Reading, first_difference
from backtests.rows import load_rows
from backtests.verify import verify
from data.door import call
from data.errors import DataError, UsageError
from data.seals import open_seal, seal
from data.sources.random_walk import random_bars
from data.store import Store
from data.tape import read_tape, write_tape
from strategies.common.certify import certify
from strategies.common.load import load_strategy
from strategies.types import Signals

STRATEGY = '''"""In and out by the clock."""

import numpy as np

from strategies.types import Bars, Signals

CLOCK = "1d"


def signals(bars: Bars, *, every: int = 9) -> Signals:
    row = np.zeros(bars.shape, dtype=int) + (bars.session % 100)[:, None]
    return Signals(entries=row % every == 1, exits=row % every == 5, stop=bars.close * 0.05)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def sample_report(folder):
    rows = load_rows("sample", ("AAPL", "IBM"), "2005-01-03", "2007-12-31")
    result = run_backtest(rows.bars, "ma_cross", {"fast": 10, "slow": 40}, origin=rows.origin)
    notes = [{"symbol": "IBM", "ts": int(rows.bars.ts[9]), "answer": {"pattern": "flag", "reasons": ["<b>up</b>"]}}]
    good = certify(load_strategy("ma_cross"), {"fast": 10, "slow": 40}, rows=300, chunkings=2)
    return write_report(result, folder / "sample.html", certificate=good, notes=notes, with_source=True)


def changed(path, old, new, name="changed.html"):
    """The report with one text replaced where it stands first."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    other = path.with_name(name)
    other.write_text(text.replace(old, new, 1), encoding="utf-8")
    return other


def edited(path, what, edit):
    """The report with its embedded JSON changed."""
    text = path.read_text(encoding="utf-8")
    pattern = re.compile(rf'(<script type="application/json" id="{what}">)(.*?)(</script>)', re.DOTALL)
    told = json.loads(pattern.search(text)[2])
    edit(told)
    other = path.with_name("edited.html")
    other.write_text(pattern.sub(lambda m: m[1] + embedded(told) + m[3], text), encoding="utf-8")
    return other


def bars_of_sessions(run):
    return run["figures"]["sessions"]["marks"][0]["y"]


def test_an_honest_report_matches(sample_report, capsys):
    outcome = verify(sample_report)
    assert outcome.ok, outcome.sentence
    assert outcome.sentence.startswith("MATCH  sample.html: ma_cross over 754 rows x 2 gives ")
    assert outcome.trades > 5
    assert [text.split(" (")[0] for text in outcome.carried] == ["pattern notes", "the certificate"]
    assert call(app, ["verify", str(sample_report), "--certify"]) == 0
    out = capsys.readouterr().out
    assert "MATCH" in out
    assert "the certificate (verify" not in out


def test_one_digit_in_the_verdict_is_named(sample_report, capsys):
    text = sample_report.read_text(encoding="utf-8")
    value = re.search(r'<div class="value [a-z]*">(.*?)</div>', text)[1]
    forged = value.replace(value[1], "9" if value[1] != "9" else "8", 1)
    other = changed(sample_report, f">{value}<", f">{forged}<")
    assert call(app, ["verify", str(other)]) == 3
    out = capsys.readouterr().out
    said = f"Verdict, Total return: '{forged}' in the file, '{value}' in the rerun"
    assert said.replace("\u00a0", " ") in out


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("pnl", 123456.78, "trade 3 (IBM): pnl is 123456.78 in the file"),
        ("reason", 4, "trade 3 (IBM): reason is 4 in the file"),
        ("exit", 1.0, "trade 3 (IBM): exit is 1.0 in the file"),
    ],
)
def test_the_first_trade_that_differs_is_named(sample_report, field, value, named):
    other = edited(sample_report, "run", lambda run: run["trades"][field].__setitem__(2, value))
    sentence = verify(other).sentence.replace("(AAPL)", "(IBM)")
    assert sentence.startswith(f"DIFFERS  {named}")


def test_a_trade_left_out_is_named(sample_report):
    def drop(run):
        for values in run["trades"].values():
            values.pop()

    assert "the rerun" in verify(edited(sample_report, "run", drop)).sentence


@pytest.mark.parametrize(
    ("place", "edit"),
    [
        ("the equity chart 'value' [7]", lambda run: run["equity"]["value"].__setitem__(7, 1)),
        ("the price chart of IBM 'close' [3]", lambda run: run["prices"][1]["close"].__setitem__(3, 1)),
        ("the figure 'sessions' 'marks' [0] 'y' [4]", lambda run: bars_of_sessions(run).__setitem__(4, 99)),
        ("the rolling risk chart 'sharpe' [5]", lambda run: run["rolling"]["sharpe"].__setitem__(5, 9)),
        ("the distribution of trade returns 'mean'", lambda run: run["returns"].__setitem__("mean", 0.5)),
    ],
)  # fmt: skip
def test_a_chart_s_value_is_named(sample_report, place, edit):
    assert verify(edited(sample_report, "run", edit)).sentence.startswith(f"DIFFERS  {place}:")


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda m: m["numbers"].__setitem__("sharpe_ratio", 3.0), "the manifest's sharpe ratio is 3.0"),
        (lambda m: m.__setitem__("trades", "0" * 64), "the manifest's digest of the trades"),
        (lambda m: m["params"].__setitem__("fast", 11), "the manifest's"),
        (lambda m: m["costs"].__setitem__("slippage_bps", 0.0), "the manifest's"),
        (lambda m: m["rows"].__setitem__("hash", "0" * 64), "have changed since"),
        (lambda m: m["provenance"].__setitem__("code_hash", "0" * 64), "numbers and trades of its manifest"),
        (lambda m: m["provenance"].__setitem__("source", "a better one"), "the rows' source is 'sample'"),
        (lambda m: m["strategy"].__setitem__("source_hash", "0" * 64), "is not the one that ran"),
        (lambda m: m["extras"]["notes"][0].__setitem__("symbol", "MSFT"), "'IBM' in the file, 'MSFT' in the rerun"),
    ],
)
def test_a_manifest_that_lies_is_named(sample_report, edit, named):
    outcome = verify(edited(sample_report, "manifest", edit))
    assert not outcome.ok
    assert named in outcome.sentence


def test_simulated_rows_cannot_be_called_real(folder):
    rows = load_rows("simulated", ("AAA",), None, "2024-01-03", clock="1m")
    honest = write_report(
        run_backtest(rows.bars, "ma_cross", book=rows.book, clock="1m", origin=rows.origin), folder / "sim.html"
    )
    assert verify(honest).ok
    lie = edited(honest, "manifest", lambda m: m["provenance"].__setitem__("simulated", False))
    assert "the rows are simulated, the report calls them real" in verify(lie).sentence


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_byte_that_changes_is_found(sample_report, data):
    text = sample_report.read_text(encoding="utf-8")
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.sampled_from('0123456789.-aZ<>" '))
    if new == text[at]:
        return
    forged = text[:at] + new + text[at + 1 :]
    try:
        found = first_difference(forged, text)
    except DataError:
        return
    assert found


def test_every_visible_number_is_found_by_its_place(sample_report):
    text = sample_report.read_text(encoding="utf-8")
    start, stop = text.index("<main"), text.index("</main>")
    seen = set()
    for match in re.finditer(r">([^<>]*\d[^<>]*)<", text[start:stop]):
        at = start + match.start(1) + re.search(r"\d", match[1]).start()
        forged = text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]
        found = first_difference(forged, text)
        assert " in the file, " in found
        assert not found.startswith(("byte", "the page's"))
        seen.add(found.split(":")[0])
    assert len(seen) > 150
    assert {"Metrics, Sharpe Ratio", "Verdict, Costs", "Costs and capacity, Slippage, Paid"} <= seen


def test_rows_from_a_file_are_found_beside_the_report_or_by_data(tmp_path, monkeypatch, capsys):
    bars, book = random_bars(500, 2, seed=5, clock="1m")
    tape = tmp_path / "rows.parquet"
    write_tape(tape, bars, book, clock="1m", source="a walk", simulated=True)
    report = tmp_path / "out" / "report.html"
    report.parent.mkdir()
    assert call(app, ["run", "momentum", "--source", str(tape), "--report", str(report)]) == 0
    assert str(tmp_path) not in report.read_text(encoding="utf-8")
    capsys.readouterr()
    assert call(app, ["verify", str(report)]) == 2
    assert "rows.parquet is not here; say where it is with --data PATH" in capsys.readouterr().err
    assert call(app, ["verify", str(report), "--data", str(tape)]) == 0
    beside = report.parent / "rows.parquet"
    beside.write_bytes(tape.read_bytes())
    assert call(app, ["verify", str(report), "--json"]) == 0
    _, again, book = read_tape(tape)
    close = again.close.copy()
    close[100, 1] = again.high[100, 1]
    columns = {
        name: getattr(again, name)
        for name in ("ts", "open", "high", "low", "volume", "session", "since_open", "to_close")
    }
    write_tape(
        beside, type(again)(again.symbols, close=close, **columns), book, clock="1m", source="a walk", simulated=True
    )
    capsys.readouterr()
    assert call(app, ["verify", str(report)]) == 3
    assert f"the rows of {again.symbols[1]} have changed since" in capsys.readouterr().out


def test_rows_of_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("ONETAPE_STORE", str(tmp_path / "store"))
    bars, _ = random_bars(300, 2, seed=2, clock="1d")
    Store(tmp_path / "store").put(bars, "1d", "history.csv", "all")
    report = tmp_path / "report.html"
    assert call(app, ["run", "ma_cross", "--source", "store", "--symbols", "S1", "--report", str(report)]) == 0
    assert verify(report).ok
    more, _ = random_bars(300, 2, seed=3, clock="1d")
    Store(tmp_path / "store").put(more, "1d", "history.csv", "all", revision=True, received=1)
    assert "the rows of S1 have changed since" in verify(report).sentence


def test_rows_that_were_sealed_stay_left_out_when_the_seal_is_opened(tmp_path):
    bars, _ = random_bars(300, 1, seed=2, clock="1d")
    tape, report = tmp_path / "rows.parquet", tmp_path / "report.html"
    write_tape(tape, bars, clock="1d", source="walk", simulated=True)
    seal(str(tape), int(bars.session[200]), at_ns=1)
    with pytest.warns(UserWarning, match="is sealed from"):
        rows = load_rows(str(tape))
    write_report(run_backtest(rows.bars, "ma_cross", {"slow": 30}, origin=rows.origin), report)
    assert "sealed, so left out from" in report.read_text(encoding="utf-8")
    open_seal(str(tape), by="a person", reason="final", at_ns=2)
    assert verify(report).ok


def test_a_strategy_of_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(STRATEGY)
    report = tmp_path / "report.html"
    assert call(app, ["run", str(file), "--symbols", "IBM", "--start", "2010-01-04", "--report", str(report)]) == 0
    assert verify(report).ok  # beside the report
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    file.rename(moved / "mine.py")
    with pytest.raises(UsageError, match=r"mine\.py is not here; say where it is with --strategy PATH"):
        verify(report)
    assert verify(report, strategy=str(moved / "mine.py")).ok
    (moved / "mine.py").write_text(STRATEGY.replace("== 5", "== 6"))
    assert "is not the one that ran" in verify(report, strategy=str(moved / "mine.py")).sentence


def test_a_function_of_a_notebook_cannot_be_run_again(tmp_path):
    def mine(bars):
        nothing = np.zeros(bars.shape, dtype=bool)
        return Signals(entries=nothing, exits=nothing)

    bars, _ = random_bars(100, 1, seed=2, clock="1d")
    report = write_report(run_backtest(bars, mine), tmp_path / "report.html", with_source=True)
    assert "nothing = np.zeros" in report.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="'mine' is a function of a notebook; keep it in a file"):
        verify(report)


def test_rows_of_nowhere_ask_for_data(tmp_path):
    bars, _ = random_bars(100, 1, seed=2, clock="1d")
    report = write_report(run_backtest(bars, "ma_cross"), tmp_path / "report.html")
    with pytest.raises(UsageError, match=r"does not say how its rows were loaded.*--data PATH"):
        verify(report)


def test_what_is_no_report_is_refused_in_a_sentence(tmp_path, sample_report):
    text, binary = tmp_path / "a.html", tmp_path / "b.html"
    text.write_text("<p>hello</p>")
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (text, binary, tmp_path / "nowhere.html"):
        with pytest.raises(DataError):
            verify(path)
    later = edited(sample_report, "manifest", lambda m: m.__setitem__("version", 9))
    with pytest.raises(DataError, match="of version 9, this code reads 1"):
        verify(later)
    for name in ("params", "rows", "extras", "strategy"):
        with pytest.raises(DataError, match="damaged"):
            verify(edited(sample_report, "manifest", lambda m, name=name: m.pop(name)))


def test_a_benchmark_of_another_symbol_is_loaded_again(tmp_path):
    report = tmp_path / "report.html"
    asked = [
        "run",
        "ma_cross",
        "--symbols",
        "IBM",
        "--start",
        "2005-01-03",
        "--benchmark",
        "MSFT",
        "--report",
        str(report),
    ]
    assert call(app, asked) == 0
    assert "MSFT held" in report.read_text(encoding="utf-8")
    assert verify(report).ok


def test_a_page_is_read_with_its_places(sample_report):
    reading = Reading(sample_report.read_text(encoding="utf-8"))
    places = {told.place: told.text for told in reading.texts}
    assert places["the strategy's name"] == "ma_cross"
    assert places["Monthly returns, %, 2006, Mar"].strip("+\u2212").replace(".", "").isdigit()
    assert reading.manifest["kind"] == "onetape report"
