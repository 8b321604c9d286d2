"""The certificate: honest functions pass with no differing bit, every planted cheat is rejected and named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data.errors import CertificateError
from strategies.common.certify import certify
from strategies.common.load import load_strategy, strategy_names

HEAD = """
import numpy as np
from strategies.indicators import crossed_above, ema, rolling_max
from strategies.types import Bars, Book, Signals

CLOCK = "1m"
"""

CHEATS = {
    "a one-row look-ahead": """
def signals(bars: Bars, *, span: int = 10) -> Signals:
    following = np.full_like(bars.close, np.nan)
    following[:-1] = bars.close[1:]
    return Signals(entries=following > ema(bars.close, span), exits=bars.close < 0.0)
""",
    "a look-ahead inside an indicator": """
def signals(bars: Bars, *, n: int = 5) -> Signals:
    top = rolling_max(bars.high, n)
    return Signals(entries=np.concatenate([bars.close[1:], bars.close[-1:]]) > top, exits=bars.close < 0.0)
""",
    "a full-sample normalisation": """
def signals(bars: Bars) -> Signals:
    score = (bars.close - np.nanmean(bars.close, axis=0)) / np.nanstd(bars.close, axis=0)
    return Signals(entries=score > 1.0, exits=score < 0.0)
""",
    "np.roll": """
def signals(bars: Bars) -> Signals:
    return Signals(entries=bars.close > np.roll(bars.close, 1, axis=0), exits=bars.close < 0.0)
""",
    "a pandas rolling mean": """
import pandas as pd

def signals(bars: Bars) -> Signals:
    mean = pd.DataFrame(bars.close).rolling(20, min_periods=1).mean().to_numpy()
    return Signals(entries=bars.close > mean, exits=bars.close < mean)
""",
    "a pandas shift": """
import pandas as pd

def signals(bars: Bars) -> Signals:
    before = pd.DataFrame(bars.close).shift(1).to_numpy()
    return Signals(entries=bars.close > before, exits=bars.close < before)
""",
    "a windowed approximation": """
def signals(bars: Bars) -> Signals:
    mean = np.array([np.nanmean(bars.close[max(0, t - 49) : t + 1], axis=0) for t in range(len(bars))])
    return Signals(entries=bars.close > mean, exits=bars.close < mean)
""",
    "a memory of its own": """
SEEN = []

def signals(bars: Bars) -> Signals:
    SEEN.append(len(bars))
    return Signals(entries=(bars.close > 0.0) & (len(SEEN) % 2 == 1), exits=bars.close < 0.0)
""",
    "a random call": """
def signals(bars: Bars) -> Signals:
    return Signals(entries=np.random.random(bars.close.shape) > 0.5, exits=bars.close < 0.0)
""",
    "a seeded random call": """
def signals(bars: Bars) -> Signals:
    draws = np.random.default_rng(7).random(bars.close.shape)
    return Signals(entries=draws > 0.5, exits=bars.close < 0.0)
""",
    "a wall-clock read": """
import time

def signals(bars: Bars) -> Signals:
    return Signals(entries=(bars.close > 0.0) & (int(time.time()) % 2 == 0), exits=bars.close < 0.0)
""",
    "a wall-clock read by an imported name": """
from datetime import datetime

def signals(bars: Bars) -> Signals:
    return Signals(entries=(bars.close > 0.0) & (datetime.now().second % 2 == 0), exits=bars.close < 0.0)
""",
    "an in-place change of the input": """
def signals(bars: Bars) -> Signals:
    close = bars.close
    close[np.isnan(close)] = 0.0
    return Signals(entries=close > 10.0, exits=close < 0.0)
""",
    "a conditional indicator call": """
def signals(bars: Bars) -> Signals:
    entries = bars.close > 0.0
    if np.nanmax(bars.close) > 0.0 and len(bars) % 3 == 1 and bars.volume[-1, 0] > 2000.0:
        entries = bars.close > ema(bars.close, 5)
    return Signals(entries=entries, exits=crossed_above(bars.close, ema(bars.close, 9)))
""",
    "a look at the neighbour's column": """
def signals(bars: Bars) -> Signals:
    first = bars.close[:, :1]
    return Signals(entries=bars.close > first, exits=bars.close < first)
""",
}


def written(folder: Path, name: str, source: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(HEAD + source)
    return path


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_is_rejected_and_the_first_difference_is_named(tmp_path: Path, cheat: str) -> None:
    strategy = load_strategy(written(tmp_path, "cheat", CHEATS[cheat]))
    certificate = certify(strategy, rows=600, chunkings=5)
    assert not certificate.ok
    first = certificate.differences[0]
    if cheat == "an in-place change of the input":
        assert "not the function's to change" in str(first)
    elif cheat == "a conditional indicator call":
        assert first.row is not None
        assert any("call every indicator on every row" in str(d) for d in certificate.differences)
    else:
        assert first.row is not None
        assert first.symbol in ("AAA", "BBB", "CCC")
        assert first.output in ("entries", "exits")
    with pytest.raises(CertificateError, match="REJECTED"):
        certificate.require()


def test_a_one_row_look_ahead_is_named_at_the_row_where_the_future_first_mattered(tmp_path: Path) -> None:
    source = """
def signals(bars: Bars) -> Signals:
    following = np.concatenate([bars.ts[1:], bars.ts[-1:]]).reshape(-1, 1)
    return Signals(entries=(following > bars.ts.reshape(-1, 1)) & (bars.ts.reshape(-1, 1) > 0) & (bars.close > -1.0),
                   exits=bars.close < 0.0)
"""
    certificate = certify(load_strategy(written(tmp_path, "ahead", source)), rows=400, chunkings=2)
    assert certificate.differences[0].row == 0
    assert certificate.differences[0].output == "entries"


@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_certifies_with_no_differing_bit(name: str) -> None:
    certificate = certify(load_strategy(name), rows=1_500, chunkings=10)
    assert certificate.ok, certificate.line()
    assert certificate.bits == 0
    assert sum(check.rows for check in certificate.checks) > 15_000


@pytest.mark.slow
@pytest.mark.parametrize("name", strategy_names())
def test_all_strategies_together_certify_over_a_million_rows_and_a_hundred_chunkings(name: str) -> None:
    rows = -(-1_000_000 // len(strategy_names()))
    certificate = certify(load_strategy(name), rows=rows, chunkings=100)
    assert certificate.ok, certificate.line()
    chunks = next(check for check in certificate.checks if check.name == "random chunks")
    assert (chunks.runs, chunks.rows, chunks.bits) == (100, 100 * rows, 0)


def test_the_certificate_names_what_it_holds_for() -> None:
    strategy = load_strategy("ma_cross")
    one = certify(strategy, rows=300, chunkings=2)
    assert one.identity == certify(strategy, rows=400, chunkings=3, seed=5).identity
    assert one.identity != certify(strategy, {"fast": 21}, rows=300, chunkings=2).identity
    assert one.warmup["entries"] > 0
    assert len(one.state) == len(one.outputs) == len(one.code) == 64


def test_the_command_exits_3_for_a_cheat_and_0_for_an_honest_file(tmp_path: Path) -> None:
    honest = written(
        tmp_path,
        "honest",
        "def signals(bars: Bars, *, span: int = 5) -> Signals:\n"
        "    mean = ema(bars.close, span)\n"
        "    return Signals(entries=bars.close > mean, exits=bars.close < mean)\n",
    )
    cheat = written(tmp_path, "cheat", CHEATS["np.roll"])
    command = [sys.executable, "-m", "strategies", "certify", "--rows", "300", "--chunkings", "3"]
    good = subprocess.run([*command, str(honest), "--set", "span=9", "--json"], capture_output=True, text=True)
    assert good.returncode == 0, good.stderr
    told = json.loads(good.stdout)
    assert (told["ok"], told["bits"], told["parameters"]) == (True, 0, {"span": 9})
    bad = subprocess.run([*command, str(cheat)], capture_output=True, text=True)
    assert bad.returncode == 3
    assert bad.stdout.startswith("REJECTED: cheat: prefixes: row 0, symbol")
    assert "np.roll" in bad.stdout or "`roll(...)`" in bad.stdout
