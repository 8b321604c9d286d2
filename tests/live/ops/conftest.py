"""Tapes, accounts and fleets small enough to start and kill many of."""

import numpy as np
import pytest

from data.tape import write_tape
from data.types import FEATURES, Bars, Book

MINUTE = 60_000_000_000

NOISE = '''"""Signals drawn from the prices themselves, behind a mean: many orders, memory, every kind of protection."""
from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars, *, n: int = 5) -> Signals:
    mean = sma(bars.close, n)
    noise = (bars.close * 1e4) % 1.0
    other = (bars.volume * 0.37) % 1.0
    near = bars.close * 0.004
    return Signals(
        (noise > 0.8) & (bars.close > mean), other > 0.9, (noise < 0.2) & (bars.close < mean), other < 0.1,
        stop=near, target=near * 1.5, trail=near * 1.2,
    )
'''


@pytest.fixture(scope="session")
def market():
    """`market(rows, symbols, seed)`: bars of that many minutes, 390 a session, and a book."""

    def make(rows, symbols=("AAA", "BBB"), seed=3):
        rng = np.random.default_rng(seed)
        shape = (rows, len(symbols))
        close = np.round(50.0 * np.exp(np.cumsum(rng.normal(0, 2e-3, shape), axis=0)), 2)
        opening = np.round(np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 1e-3, shape)), 2)
        high, low = np.maximum(opening, close) + 0.04, np.minimum(opening, close) - 0.04
        at = np.arange(rows)
        bars = Bars(
            symbols, (at + 1) * MINUTE, opening, high, low, close, np.floor(rng.exponential(5_000, shape)),
            20250102 + at // 390, (at % 390 + 1) * 60.0, (389.0 - at % 390) * 60.0,
        )  # fmt: skip
        features = {name: rng.random(shape) for name in FEATURES} | {"spread": np.full(shape, 0.02)}
        return bars, Book(symbols, **features)

    return make


@pytest.fixture(scope="session")
def tape(market, tmp_path_factory):
    """`tape(rows)`: the path of a tape of that many rows, made once."""
    folder, made = tmp_path_factory.mktemp("tapes"), {}

    def make(rows, seed=3):
        if (rows, seed) not in made:
            made[rows, seed] = folder / f"{rows}-{seed}.tape"
            bars, book = market(rows, seed=seed)
            write_tape(made[rows, seed], bars, book, clock="1m", source="test", simulated=True)
        return made[rows, seed]

    return make


@pytest.fixture
def accounts(tmp_path):
    """`accounts("a", "b", more="...")`: a folder with these paper accounts and the strategy they trade."""

    def make(*names, more="", folder="accounts", strategy=NOISE):
        home = tmp_path / folder
        home.mkdir(exist_ok=True)
        (home / "noise.py").write_text(strategy)
        for name in names:
            (home / f"{name}.toml").write_text(
                f'name = "{name}"\nstrategy = "noise.py"\nstate = "{home}/state"\n{more}'
                "[rule]\nsize = 0.4\nstops = 'touch'\nshorts = true\n"
            )
        return home

    return make
