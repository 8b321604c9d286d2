"""The oracle, and small markets that are hard on the rule: gaps, halts, ties, half-known books."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from data.types import Bars, Book
from strategies.types import Signals

SESSION_ROWS = 13
ROW_SECONDS = 1_800


def sibling(name):
    """A module of this folder; there may be a stranger's package `tests` on the path."""
    qualified = f"backtest_tests_{name}"
    if qualified not in sys.modules:
        spec = importlib.util.spec_from_file_location(qualified, Path(__file__).with_name(f"{name}.py"))
        sys.modules[qualified] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[qualified]


def bars_of(close, *, opening=None, high=None, low=None, volume=None, dates=None, to_close=None):
    """Bars from closes (T,) or (T, N); the open is the close before, the range spans both; one session a row."""
    close = np.asarray(close, dtype=float)
    close = close.reshape(len(close), -1)
    opening = np.vstack([close[:1], close[:-1]]) if opening is None else np.asarray(opening, float).reshape(close.shape)
    high = np.maximum(opening, close) if high is None else np.asarray(high, float).reshape(close.shape)
    low = np.minimum(opening, close) if low is None else np.asarray(low, float).reshape(close.shape)
    volume = np.full(close.shape, 1e6) if volume is None else np.asarray(volume, float).reshape(close.shape)
    rows = np.arange(len(close))
    dates = 20240101 + rows if dates is None else np.asarray(dates)
    return Bars(
        tuple("ABCDEFGHIJKLMNOP"[: close.shape[1]]),
        1_704_229_200_000_000_000 + rows * 86_400_000_000_000,
        opening, high, low, close, volume, dates,
        np.full(len(close), 23_400.0), np.zeros(len(close)) if to_close is None else to_close,
    )  # fmt: skip


def random_market(seed, rows=None, symbols=None):
    """(bars, book or None, signals) of a market with every awkwardness, from one seed."""
    r = np.random.default_rng(seed)
    rows = int(r.integers(1, 120)) if rows is None else rows
    symbols = int(r.integers(1, 13)) if symbols is None else symbols
    shape = (rows, symbols)
    step = r.choice([0.002, 0.01, 0.04])
    walk = r.choice([8.0, 50.0, 300.0], symbols) * np.exp(np.cumsum(r.normal(0, step, shape), axis=0))
    close = np.round(walk, 2 if r.random() < 0.7 else 6)
    opening = np.round(np.vstack([close[:1], close[:-1]]) * np.exp(r.normal(0, step / 2, shape)), 2)
    high = np.round(np.maximum(opening, close) * (1 + abs(r.normal(0, step / 2, shape))), 2)
    low = np.round(np.minimum(opening, close) * (1 - abs(r.normal(0, step / 2, shape))), 2)
    high, low = np.maximum(high, np.maximum(opening, close)), np.minimum(low, np.minimum(opening, close))
    volume = r.choice([0.0, 1.0, 100.0, 5_000.0, 1e6], shape)
    spread = np.where(r.random(shape) < 0.2, np.nan, np.round(r.uniform(-0.01, 0.1, shape), 2))
    missing = (r.random(shape) < 0.05) | (r.random((rows, 1)) < 0.03)
    for column in (opening, high, low, close, volume):
        column[missing] = np.nan
    index = np.arange(rows)
    dates = r.choice([20110103, 20180521, 20211231, 20230226]) + index // SESSION_ROWS
    within = index % SESSION_ROWS
    bars = Bars(
        tuple(f"S{j}" for j in range(symbols)), 10**18 + index * ROW_SECONDS * 10**9,
        opening, high, low, close, volume, dates,
        (within + 1.0) * ROW_SECONDS, (SESSION_ROWS - 1.0 - within) * ROW_SECONDS,
    )  # fmt: skip
    blank = np.full(shape, np.nan)
    book = Book(bars.symbols, *[blank] * 4, spread, *[blank] * 8) if r.random() < 0.5 else None

    def flags():
        return r.random(shape) < r.choice([0.02, 0.1, 0.4])

    def levels(scale):
        if r.random() < 0.3:
            return None
        values = np.round(close * r.uniform(0.2, 3.0, shape) * scale, 2)
        return np.where(r.random(shape) < 0.2, r.choice([np.nan, 0.0, -1.0], shape), values)

    signals = Signals(
        entries=flags(),
        exits=flags(),
        short_entries=flags() if r.random() < 0.7 else None,
        short_exits=flags() if r.random() < 0.7 else None,
        size=np.where(r.random(shape) < 0.5, np.nan, r.uniform(-0.1, 1.5, shape)) if r.random() < 0.4 else None,
        stop=levels(step),
        target=levels(2 * step),
        trail=levels(step),
    )
    return bars, book, signals.checked(shape, "test")


def random_options(seed):
    """(rule, costs, cash) that go with it."""
    from strategies.common.costs import Costs
    from strategies.common.rule import Rule

    r = np.random.default_rng([seed, 1])
    rule = Rule(
        size=float(r.choice([0.05, 0.1, 0.3, 1.0, 2.0])),
        risk=float(r.choice([0.0, 0.0, 0.002, 0.02])),
        max_positions=int(r.choice([1, 2, 3, 10])),
        max_gross=float(r.choice([0.5, 0.98, 2.0])),
        fractional=bool(r.random() < 0.3),
        stops=str(r.choice(["close", "touch"])),
        time_stop=int(r.choice([0, 0, 1, 2, 7])),
        cooldown=int(r.choice([0, 0, 1, 3])),
        flat_before_s=[None, 0.0, 1800.0, 9000.0][int(r.integers(4))],
        shorts=bool(r.random() < 0.6),
        priority=str(r.choice(["order", "volume"])),
    )
    costs = Costs.free() if r.random() < 0.25 else Costs(
        half_spread_bps=float(r.choice([0.0, 1.0, 30.0])),
        use_book=bool(r.random() < 0.5),
        slippage_bps=float(r.choice([0.0, 0.5, 20.0])),
        impact_bps=float(r.choice([0.0, 10.0, 500.0])),
        commission_per_share=float(r.choice([0.0, 0.005])),
        commission_min=float(r.choice([0.0, 1.0])),
        regulatory=bool(r.random() < 0.7),
        times=float(r.choice([1.0, 1.0, 2.5])),
    )  # fmt: skip
    return rule, costs, float(r.choice([500.0, 10_000.0, 1e6]))


@pytest.fixture(scope="session")
def made():
    """What the tests of this folder are made of: `bars_of`, `random_market`, `random_options`, `Oracle`, `sibling`."""
    return SimpleNamespace(
        bars_of=bars_of,
        random_market=random_market,
        random_options=random_options,
        Oracle=sibling("oracle").Oracle,
        sibling=sibling,
        row_seconds=ROW_SECONDS,
    )
