"""Luck does not pass: on walks with nothing to find, the best of a search fails the gates as often as is stated.

A walk is the price of a market maker's screen: the middle goes nowhere, each print is at the bid or the ask. A search
over sixteen sets, half of them following and half fading, takes the best of each walk, and `validate` judges it. The
bounce is what fools a naive search: fading looks good at prints, and the best of sixteen looks good anyway.

`python tests/research/test_false_positives.py 1000` prints the rates of every gate.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest

from data.sources.random_walk import random_bars
from data.types import Bars
from research.gates import stated_rate
from research.sweep import sweep
from research.validate import GATES, Verdict, validate
from strategies.common.certificate import Certificate
from strategies.common.costs import Costs
from strategies.common.load import Strategy, load_strategy

FOLLOW_OR_FADE = '''
"""Stay with a move away from the mean, or against it."""

from strategies.indicators import ema
from strategies.types import Bars, Signals

CLOCK = "1d"


def signals(bars: Bars, *, span: int = 6, fade: bool = False) -> Signals:
    mean = ema(bars.close, span)
    above, below = bars.close > mean, bars.close < mean
    return Signals(entries=below, exits=above) if fade else Signals(entries=above, exits=below)
'''
GRID = {"span": [2, 3, 4, 6, 8, 12, 16, 24], "fade": [False, True]}
DAILY = 0.015
SPREAD = 0.004
"""Of the price; ten times that of a large stock, so that the bounce shows beside a day's move of 1.5 %."""


def bouncing_walk(seed: int, rows: int = 750, symbols: int = 3) -> Bars:
    """A walk without drift whose opens and closes are at the bid or the ask, by chance."""
    like, _ = random_bars(rows, symbols, 1, "1d")
    random = np.random.Generator(np.random.PCG64(seed))
    steps = random.normal(
        -0.5 * DAILY**2, DAILY, (rows, symbols)
    )  # so that the price itself, not its logarithm, is fair
    middle = 100.0 * np.exp(np.cumsum(steps, axis=0))
    sides = random.integers(0, 2, (2, rows, symbols)) * 2.0 - 1.0
    before = np.concatenate([middle[:1], middle[:-1]])
    opens = before * (1.0 + 0.5 * SPREAD * sides[0])
    closes = middle * (1.0 + 0.5 * SPREAD * sides[1])
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    return Bars(
        like.symbols, like.ts, opens, high, low, closes, like.volume, like.session, like.since_open, like.to_close
    )


class Search:
    """A search and its verdict on one walk after the other; a certificate is made once for each set."""

    def __init__(self, folder: Path) -> None:
        (folder / "follow_or_fade.py").write_text(FOLLOW_OR_FADE)
        self.strategy: Strategy = load_strategy(folder / "follow_or_fade.py")
        self.folder = folder
        self.certificates: dict[str, Certificate] = {}

    def verdict(self, seed: int, costs: Costs | None = None) -> Verdict:
        """Everything a user does: sweep, take the best, ask what speaks against it; each walk a lifetime of its own."""
        bars, ledger = bouncing_walk(seed), self.folder / f"{seed}.db"
        costs = costs or Costs()
        params = sweep(self.strategy, bars, grid=GRID, costs=costs, threads=1, ledger=ledger).best().params
        known = self.certificates.get(repr(params))
        found = validate(
            self.strategy, bars, params, costs=costs, certificate=known, ledger=ledger, sets=16, draws=100, seed=seed
        )
        self.certificates[repr(params)] = found.certificate
        ledger.unlink()
        return found


class Rates(NamedTuple):
    """walks: how many. passed: of all gates. gates: passed of each. naive: the best set's PSR alone is above 95 %."""

    walks: int
    passed: int
    gates: Counter[str]
    naive: int


def rates(seeds: Iterable[int], folder: Path, costs: Costs | None = None) -> Rates:
    """What became of the best set of every walk."""
    search, gates, passed, walks = Search(folder), Counter[str](), 0, 0
    for seed in seeds:
        found = search.verdict(seed, costs)
        assert found.gates[0].passed, "the certificate is not what luck fails by"
        walks += 1
        passed += found.passed
        gates.update(gate.name for gate in found.gates if gate.passed)
    return Rates(walks, passed, gates, gates["probabilistic_sharpe"])


def highest_rate(passed: int, walks: int, confidence: float = 0.95) -> float:
    """The largest true rate that `passed` of `walks` does not refute: Clopper, Pearson (1934), Biometrika 26(4)."""
    from scipy.stats import beta

    return 1.0 if passed == walks else float(beta.ppf(confidence, passed + 1, walks - passed))


def test_the_bound_is_the_binomial_distributions() -> None:
    from scipy.stats import binom

    for passed, walks in ((0, 60), (3, 60), (4, 1_000)):
        bound = highest_rate(passed, walks)
        assert binom.cdf(passed, walks, bound) == pytest.approx(0.05)
    assert highest_rate(0, 1_000) == pytest.approx(0.003, abs=1e-4)


def test_a_walk_has_no_drift_but_a_bounce() -> None:
    changes = np.concatenate([np.diff(np.log(bouncing_walk(seed).close), axis=0) for seed in range(20)])
    assert abs(changes.mean()) < 3.0 * changes.std() / np.sqrt(changes.size)
    together = (changes[1:] * changes[:-1]).mean() / changes.var()
    # Roll (1984): the covariance of neighbouring changes is minus the square of half the spread.
    assert together == pytest.approx(-((0.5 * SPREAD) ** 2) / changes.var(), abs=0.008)
    assert together < -0.004


def test_luck_passes_no_more_often_than_is_stated(tmp_path: Path) -> None:
    from scipy.stats import binom

    found = rates(range(60), tmp_path, Costs.free())
    assert found.passed <= binom.ppf(0.99, found.walks, stated_rate())
    assert found.naive >= 6, "searching sixteen sets fools the single test; else this market asks nothing of the gates"
    assert found.gates["trades"] == 60, "luck fails by the statistics, not by having too few trades"


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_of_a_thousand_walks_no_more_pass_than_is_stated(tmp_path: Path) -> None:
    for costs in (None, Costs.free()):
        found = rates(range(1_000), tmp_path, costs)
        assert highest_rate(found.passed, found.walks) <= stated_rate(), found


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        for name, costs in (("costs as they are", None), ("without costs", Costs.free())):
            found = rates(range(int(sys.argv[1])), Path(made), costs)
            bound = highest_rate(found.passed, found.walks)
            sys.stdout.write(
                f"{name}: {found.passed} of {found.walks} passed all gates, rate below {bound:.2%} (95 %)\n"
            )
            for gate in GATES:
                sys.stdout.write(f"  {gate:<22}{found.gates[gate] / found.walks:>8.1%}\n")
