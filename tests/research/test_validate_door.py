"""`python -m research validate` from outside: a real edge passes every gate, a look-ahead is asked nothing but one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from backtests.evidence import read_evidence
from data.sources.random_walk import random_bars
from data.tape import write_tape
from data.types import Bars
from research.ledger import Ledger
from research.validate import GATES, validate
from strategies.common.certify import certify
from strategies.common.load import load_strategy

WAIT, SPAN = 8, 12
EDGE = '''
"""Hold what rose a while ago."""

from strategies.indicators import lag
from strategies.types import Bars, Signals

CLOCK = "1d"


def signals(bars: Bars, *, wait: int = 4, span: int = 4) -> Signals:
    late, early = lag(bars.close, wait), lag(bars.close, wait + span)
    return Signals(entries=late > early, exits=late < early)
'''
AHEAD = '''
"""Hold what will rise: the next close is read off the table."""

import numpy as np

from strategies.types import Bars, Signals

CLOCK = "1d"


def signals(bars: Bars, *, span: int = 4) -> Signals:
    following = np.concatenate([bars.close[1:], bars.close[-1:]])
    return Signals(entries=following > bars.close, exits=following < bars.close)
'''


def planted(seed: int, share: float = 0.25, rows: int = 2_000, symbols: int = 3) -> Bars:
    """Daily rows whose returns carry on, after `WAIT` rows, what the `SPAN` rows before had brought by chance."""
    like, _ = random_bars(rows, symbols, 1, "1d")
    chance = np.random.Generator(np.random.PCG64(seed)).normal(0.0, 0.012, (rows, symbols))
    steps = chance.copy()
    for t in range(WAIT + SPAN, rows):
        steps[t] += share * chance[t - WAIT - SPAN : t - WAIT].sum(axis=0) / SPAN**0.5
    close = 100.0 * np.exp(np.cumsum(steps, axis=0))
    opens = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opens, close), np.minimum(opens, close)
    return Bars(
        like.symbols, like.ts, opens, high, low, close, like.volume, like.session, like.since_open, like.to_close
    )


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "planted.parquet"
    write_tape(path, planted(3), clock="1d", source="planted", simulated=True)
    return path


def strategy(folder: Path, name: str, source: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(source)
    return path


Python = Callable[..., CompletedProcess[str]]


def test_a_planted_edge_is_found_and_passes_every_gate(tmp_path: Path, tape: Path, python: Python) -> None:
    edge, ledger = strategy(tmp_path, "edge", EDGE), tmp_path / "trials.db"
    where = ("--source", str(tape), "--ledger", str(ledger), "--json")
    swept = python("-m", "research", "sweep", str(edge), "--grid", "wait=2:16:2", "--grid", "span=4:24:4", *where)
    assert swept.returncode == 0, swept.stderr
    best = json.loads(swept.stdout)["best"]["params"]
    chosen = [word for name, value in best.items() for word in ("--set", f"{name}={value}")]
    out = tmp_path / "evidence.json"
    size = ("--sets", "40", "--draws", "60", "--out", str(out))
    done = python("-m", "research", "validate", str(edge), *chosen, *size, *where)
    told: dict[str, Any] = json.loads(done.stdout)
    assert [gate["name"] for gate in told["gates"] if not gate["passed"]] == []
    assert (done.returncode, told["passed"]) == (0, True)
    assert [gate["name"] for gate in told["gates"]] == list(GATES)
    assert told["trials"] == Ledger(ledger).family("edge").distinct > 48  # the sweep's sets count against the winner
    evidence = read_evidence(out)
    assert evidence.passed
    assert evidence.false_positive_rate == 0.01


def test_the_same_pipeline_finds_nothing_where_nothing_was_planted(tmp_path: Path, python: Python) -> None:
    tape, edge = tmp_path / "nothing.parquet", strategy(tmp_path, "edge", EDGE)
    write_tape(tape, planted(3, share=0.0), clock="1d", source="planted", simulated=True)
    done = python("-m", "research", "validate", str(edge), "--source", str(tape), "--sets", "20", "--draws", "60")
    assert done.returncode == 3
    assert "FAIL  deflated_sharpe" in done.stdout


def test_a_look_ahead_is_asked_nothing_but_the_certificate(tmp_path: Path, tape: Path, python: Python) -> None:
    ahead, ledger, out = strategy(tmp_path, "ahead", AHEAD), tmp_path / "trials.db", tmp_path / "evidence.json"
    pictures = tmp_path / "pictures"
    words = ("--source", str(tape), "--ledger", str(ledger), "--out", str(out), "--pictures", str(pictures), "--json")
    done = python("-m", "research", "validate", str(ahead), *words)
    told = json.loads(done.stdout)
    assert (done.returncode, told["passed"]) == (3, False)
    assert [gate["name"] for gate in told["gates"]] == ["certificate"]
    assert "REJECTED" in told["certificate"]
    assert (told["figures"], told["trials"]) == ({}, 0)
    assert not ledger.exists()
    assert not pictures.exists()
    evidence = read_evidence(out)
    assert (evidence.passed, evidence.luck, evidence.missing) == (
        False,
        None,
        {"all": "without a certificate nothing else was asked"},
    )


def test_no_gates_file_lets_a_look_ahead_through(tmp_path: Path, tape: Path, python: Python) -> None:
    ahead, gates = strategy(tmp_path, "ahead", AHEAD), tmp_path / "gates.toml"
    gates.write_text("[trades]\nat_least = 1\n")
    done = python("-m", "research", "validate", str(ahead), "--source", str(tape), "--gates", str(gates))
    assert done.returncode == 3
    assert "FAIL  certificate" in done.stdout
    assert "failed 1: certificate" in done.stdout


def test_a_certificate_of_something_else_is_refused(tmp_path: Path) -> None:
    from data.errors import CertificateError

    edge = load_strategy(strategy(tmp_path, "edge", EDGE))
    other = certify(edge, {"wait": 3}, rows=300, chunkings=2)
    with pytest.raises(CertificateError, match=r"is of edge with .*'wait': 3.*, not of what is judged; certify again"):
        validate(edge, planted(3, rows=300), {"wait": 5}, certificate=other)
    own = validate(edge, planted(3, rows=300), {"wait": 3}, certificate=other, sets=4, draws=20)
    assert own.certificate is other


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nothing_like_it"], 2, "nothing_like_it"),
        (["ma_cross", "--set", "fats=3"], 2, "did you mean 'fast'"),
        (["ma_cross", "--gates", "missing.toml"], 78, "gates file missing.toml does not exist"),
        (["ma_cross", "--source", "nowhere.parquet"], 3, "nowhere.parquet"),
        (["ma_cross", "--sets", "1"], 2, "--sets"),
    ],
)
def test_wrong_input_is_one_sentence(python: Python, words: list[str], code: int, sentence: str) -> None:
    done = python("-m", "research", "validate", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_too_few_rows_and_trades_fail_in_words(tmp_path: Path, python: Python) -> None:
    tape = tmp_path / "short.parquet"
    write_tape(tape, planted(3, rows=8), clock="1d", source="planted", simulated=True)
    done = python("-m", "research", "validate", "ma_cross", "--source", str(tape), "--json", "--ledger",
                  str(tmp_path / "t.db"))  # fmt: skip
    gates = {gate["name"]: gate for gate in json.loads(done.stdout)["gates"]}
    assert done.returncode == 3
    assert gates["trades"]["reason"] == "0 closed trades over 8 sessions"
    assert gates["probabilistic_sharpe"]["figure"] is None
    assert gates["probabilistic_sharpe"]["reason"] == "the run never held anything"
    assert "too few" in gates["overfitting"]["reason"]
    assert "Traceback" not in done.stderr
