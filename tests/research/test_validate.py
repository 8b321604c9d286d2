"""The verdict: luck fails, a look-ahead never reaches the statistics, thresholds are the user's, trials add up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.errors import ConfigError
from data.sources.random_walk import random_bars
from data.types import Bars
from research.gates import load_gates
from research.ledger import Ledger
from research.validate import GATES, validate
from strategies.common.costs import Costs
from strategies.common.load import Strategy, load_strategy
from strategies.common.rule import Rule

EDGE = """
from strategies.indicators import ema, lag
from strategies.types import Bars, Signals

CLOCK = "1d"

def signals(bars: Bars, *, span: int = 4) -> Signals:
    mean = ema(bars.close, span)
    return Signals(entries=bars.close > mean, exits=bars.close < mean)
"""
AHEAD = """
import numpy as np
from strategies.types import Bars, Signals

CLOCK = "1d"

def signals(bars: Bars, *, span: int = 4) -> Signals:
    following = np.concatenate([bars.close[1:], bars.close[-1:]])
    return Signals(entries=following > bars.close, exits=following < bars.close)
"""


def written(folder: Path, source: str) -> Strategy:
    (folder / "made.py").write_text(source)
    return load_strategy(folder / "made.py")


def daily(rows: int, symbols: int, seed: int, momentum: float) -> Bars:
    """A daily market whose returns carry a share `momentum` of the last one on: nothing to find at 0."""
    bars, _ = random_bars(rows, symbols, seed, "1d")
    shocks = np.random.Generator(np.random.PCG64(seed)).normal(0.0, 0.01, (rows, symbols))
    steps = shocks.copy()
    for t in range(1, rows):
        steps[t] += momentum * steps[t - 1]
    close = 100.0 * np.exp(np.cumsum(steps, axis=0))
    opening = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opening, close), np.minimum(opening, close)
    return Bars(
        bars.symbols, bars.ts, opening, high, low, close, bars.volume, bars.session, bars.since_open, bars.to_close
    )


def test_a_planted_edge_passes_and_luck_does_not(tmp_path: Path) -> None:
    strategy = written(tmp_path, EDGE)
    options = {"rule": Rule(size=0.3, max_gross=1.0), "costs": Costs.free(), "sets": 12, "draws": 60}
    real = validate(strategy, daily(1_200, 3, 1, 0.5), **options)
    # Its neighbours are as good, and the edge is stale after a row: the family and the delay may object.
    assert {gate.name for gate in real.gates if not gate.passed} <= {"plateau", "overfitting", "delay"}
    luck = validate(strategy, daily(1_200, 3, 1, 0.0), **options)
    failed = {gate.name for gate in luck.gates if not gate.passed}
    assert not luck.passed
    assert failed >= {"deflated_sharpe", "random_entries", "superior"}


def test_a_look_ahead_never_reaches_the_statistics(tmp_path: Path) -> None:
    verdict = validate(written(tmp_path, AHEAD), daily(400, 2, 1, 0.0), sets=4, draws=20)
    assert [gate.name for gate in verdict.gates] == ["certificate"]
    assert not verdict.passed
    assert "REJECTED" in verdict.gates[0].reason


def test_trials_add_up_over_a_lifetime_and_raise_the_bar(tmp_path: Path) -> None:
    strategy, ledger = written(tmp_path, EDGE), tmp_path / "trials.db"
    bars = daily(600, 2, 3, 0.3)
    first = validate(strategy, bars, ledger=ledger, sets=4, draws=20, at_ns=1)
    again = validate(strategy, bars, {"span": 9}, ledger=ledger, sets=4, draws=20, at_ns=2)
    assert again.trials > first.trials
    assert Ledger(ledger).family("made").trials == len(first.table.sets) + len(again.table.sets)  # type: ignore[union-attr]


def test_a_gate_without_time_fails_and_says_so(tmp_path: Path) -> None:
    verdict = validate(written(tmp_path, EDGE), daily(300, 2, 1, 0.3), sets=4, draws=20, time_left=lambda: 0.0)
    assert verdict.skipped == GATES[1:]
    assert not verdict.passed


def test_the_same_seed_gives_the_same_verdict(tmp_path: Path) -> None:
    strategy, bars = written(tmp_path, EDGE), daily(300, 2, 1, 0.3)
    one, two = (validate(strategy, bars, sets=5, draws=20, seed=4).as_dict() for _ in range(2))
    assert json.dumps(one, default=str) == json.dumps(two, default=str)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[trade]\nat_least = 1\n", "gate 'trade' does not exist.*did you mean 'trades'"),
        ("[trades]\nmore = 1\n", "needs one of at_least"),
        ("[trades]\nat_least = 'x'\n", "must be a number, got 'x'"),
        ("[trades\n", "is not TOML"),
        ("", "has no gate; it needs some of certificate, trades"),
        ("[certificate]\ndiffering_bits = 5\n", "cannot be eased"),
        ("[false_positives]\nat_most = 0.5\n", "has no gate"),
    ],
)
def test_a_wrong_gates_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "gates.toml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        load_gates(tmp_path / "gates.toml", GATES)


def test_every_gate_has_a_threshold_of_ours() -> None:
    assert set(load_gates(None, GATES)) == set(GATES)
