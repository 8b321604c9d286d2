"""Sweeps timed against vectorbt and backtesting.py, whole processes and the calls within them.

    python tests/benchmarks/run.py sweep

Every figure is the median of fresh processes, after one that fills the compile caches and is not counted. Seconds and
megabytes of a whole process hold the interpreter, the imports and the making of the rows, ours and theirs alike; `call`
is one sweep within it: signals, trades and total return, trade count, largest drawdown and Sharpe ratio of every set.
Contenders run in turn. What they computed is compared before anything is reported.

Children: python tests/benchmarks/sweep.py CASE CONTENDER OUT
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(CHECKOUT))

CASES: dict[str, dict[str, Any]] = {
    "190 sets x 100,000 bars": {"windows": range(5, 105, 5), "rows": 100_000, "symbols": 1},
    "4,950 sets x 3 symbols x 3,000 bars": {"windows": range(2, 102), "rows": 3_000, "symbols": 3},
    "190 sets x 10,000 bars": {"windows": range(5, 105, 5), "rows": 10_000, "symbols": 1},
    "1,953 sets x 100,000 bars": {"windows": range(5, 131, 2), "rows": 100_000, "symbols": 1},
    "10,011 sets x 100,000 bars": {"windows": range(5, 147), "rows": 100_000, "symbols": 1, "budget_mb": 700.0},
    "45 sets x 5,000 bars": {"windows": range(5, 55, 5), "rows": 5_000, "symbols": 1},
}
CALLS = 3
CASH = 1e8  # so much that our millionths of shares and vectorbt's endless fractions differ by less than 1e-9


def run(quick: bool = False) -> list[dict[str, Any]]:
    """The rows of the benchmark table; `quick` times one process each and leaves the large cases out."""
    times = 1 if quick else 3
    rows = [
        *_against("190 sets x 100,000 bars", ("vectorbt rust", "vectorbt numba"), times, budget_s=3.0),
        *_against("45 sets x 5,000 bars", ("backtesting.py",), 1),
    ]
    if not quick:
        rows += _against("4,950 sets x 3 symbols x 3,000 bars", ("vectorbt rust", "vectorbt numba"), times)
        rows += _kept("190 sets x 100,000 bars", times)
        rows += _scaling(times)
    return rows


def _against(case: str, peers: tuple[str, ...], times: int, budget_s: float | None = None) -> list[dict[str, Any]]:
    contenders = ("ours", *peers)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for name in contenders:
        _process(case, name)
    for _ in range(times):
        for name in contenders:
            runs[name].append(_process(case, name))
    ours = {key: median(r[key] for r in runs["ours"]) for key in ("call", "first", "process", "memory")}
    rows: list[dict[str, Any]] = []
    for peer in peers:
        theirs = {key: median(r[key] for r in runs[peer]) for key in ours}
        theirs_numbers = runs[peer][0]["numbers"]
        compared = ""
        if theirs_numbers:
            compared = f"; largest difference {_difference(runs['ours'][0]['numbers'], theirs_numbers):.0e}"
        for key, unit in (("call", "s"), ("process", "s"), ("memory", "MB")):
            row = {
                "what": f"{case}: {key}{compared}",
                "value": ours[key],
                "unit": unit,
                "peer": f"{peer}, {theirs[key]:.3g} {unit}",
                "ratio": theirs[key] / ours[key],
            }
            rows.append(row)
    first = {"what": f"{case}: first call in a fresh process", "value": ours["first"], "unit": "s"}
    return [*rows, first | ({"budget": budget_s} if budget_s else {})]


def _kept(case: str, times: int) -> list[dict[str, Any]]:
    """What it costs that every set is a trial in the ledger, and that its session returns are kept."""
    rows = []
    runs: dict[str, list[dict[str, Any]]] = {"plain": [], "trials": [], "returns": []}
    for _ in range(times + 1):  # the first fills the caches
        for name, done in runs.items():
            done.append(_process(case, "ours", keep=name))
    plain = median(r["call"] for r in runs["plain"][1:])
    for name, words in (("trials", "with its trials in the ledger"), ("returns", "with session returns")):
        took = median(r["call"] for r in runs[name][1:])
        rows.append({"what": f"{case}: call {words}", "value": took, "unit": "s", "peer": f"without, {plain:.3g} s",
                     "ratio": plain / took})  # fmt: skip
    return rows


def _scaling(times: int) -> list[dict[str, Any]]:
    """Cost as rows, sets and cores grow, ours alone: microseconds a set, and the memory of the process."""
    rows = []
    for case in ("190 sets x 10,000 bars", "190 sets x 100,000 bars", "1,953 sets x 100,000 bars"):
        for threads in (1, os.cpu_count() or 1):
            runs = [_process(case, "ours", threads=threads) for _ in range(times)]
            each = median(r["call"] for r in runs) / runs[0]["sets"] * 1e6
            rows.append({"what": f"{case}: a set, {threads} threads", "value": each, "unit": "us"})
    large = _process("10,011 sets x 100,000 bars", "ours", calls=1)
    rows.append({"what": "10,011 sets x 100,000 bars: call", "value": large["first"], "unit": "s"})
    rows.append(
        {"what": "10,011 sets x 100,000 bars: memory", "value": large["memory"], "unit": "MB", "budget": 1000.0}
    )
    return rows


def _process(case: str, contender: str, **options: Any) -> dict[str, Any]:
    """One fresh process: its own seconds, its largest memory, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        words = [sys.executable, __file__, case, contender, str(out), json.dumps(options)]
        began = time.perf_counter()
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # imports, compiled once
        with (Path(folder) / "said").open("w") as said:
            child = subprocess.Popen(words, cwd=CHECKOUT, env=environment, stdout=said, stderr=said)
            _, status, usage = os.wait4(child.pid, 0)
        took = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            last = (Path(folder) / "said").read_text().strip().splitlines()[-1:]
            raise RuntimeError(f"{contender} ended with {child.returncode} on {case}: {last}")
        return json.loads(out.read_text()) | {"process": took, "memory": usage.ru_maxrss / 1024.0}


def _difference(ours: list[list[float]], theirs: list[list[float]]) -> float:
    """The largest difference of total return, drawdown and Sharpe; trade counts must be equal."""
    worst = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        if mine[1] != other[1]:
            raise AssertionError(f"{mine[1]} trades here, {other[1]} there")
        worst = max(worst, *(abs(a - b) for a, b in zip(mine, other, strict=True) if a == a or b == b), 0.0)
    return worst


# the children


def _closes(rows: int, symbols: int) -> Any:
    import numpy as np

    random = np.random.default_rng(5)
    steps = random.normal(0.0, 0.01 if rows <= 5_000 else 0.001, (rows, symbols))
    # Not rounded to cents: where two means are equal, vectorbt's running sum sees a cross that is not there.
    return np.asfortranarray(100.0 * np.exp(np.cumsum(steps, axis=0)))


def _ours(
    case: dict[str, Any], calls: int, threads: int | None, keep: str = "plain"
) -> tuple[list[float], list[list[float]], int]:
    import numpy as np

    from data.types import Bars
    from research.sweep import sweep
    from strategies.common.costs import Costs
    from strategies.common.rule import Rule
    from strategies.indicators import crossed_above, sma
    from strategies.types import Signals

    def means(bars: Any, *, fast: int = 10, slow: int = 20) -> Any:
        one, other = sma(bars.close, fast), sma(bars.close, slow)
        return Signals(entries=crossed_above(one, other), exits=crossed_above(other, one))

    close = _closes(case["rows"], case["symbols"])
    opening = np.asfortranarray(np.vstack([close[:1], close[:-1]]))
    index = np.arange(len(close))
    bars = Bars(
        tuple("ABC"[: close.shape[1]]), 10**18 + index * 60 * 10**9, opening, np.maximum(opening, close),
        np.minimum(opening, close), close, np.full(close.shape, 1e6), 20_200_101 + index // 390,
        np.ones(len(close)), np.ones(len(close)),
    )  # fmt: skip
    rule = Rule(size=0.5, max_gross=10.0, fractional=True, flat_before_s=0.0)
    windows = list(case["windows"])
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "trials.db" if keep == "trials" else None
        for _ in range(calls):
            began = time.perf_counter()
            result = sweep(
                means, bars, grid={"fast": windows, "slow": windows}, constraint="fast < slow", rule=rule,
                costs=Costs.free(), cash=CASH, clock="1m", apart=close.shape[1] > 1,
                budget_mb=case.get("budget_mb", 64.0), threads=threads, ledger=ledger,
                returns="session" if keep == "returns" else None,
            )  # fmt: skip
            if keep == "returns":
                assert np.isfinite(result.returns).all()
            taken.append(time.perf_counter() - began)
    columns = [result.column(name).reshape(-1) for name in ("total_return", "trades", "max_drawdown", "sharpe")]
    return taken, np.stack(columns, axis=1).tolist(), len(result)


def _vectorbt(case: dict[str, Any], calls: int, engine: str) -> tuple[list[float], list[list[float]], int]:
    import numpy as np
    import pandas as pd
    import vectorbt as vbt

    vbt.settings["engine"] = "auto" if engine == "rust" else engine  # auto: rust wherever it can
    values = _closes(case["rows"], case["symbols"])
    index = pd.date_range("2020-01-01", periods=len(values), freq="1min")
    close = pd.DataFrame(values, index=index, columns=list("ABC"[: values.shape[1]]))
    opening = close.shift(1).fillna(close.iloc[0])
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        fast, slow = vbt.MA.run_combs(close, window=list(case["windows"]), r=2, short_names=["fast", "slow"])
        entries = fast.ma_crossed_above(slow).vbt.signals.fshift(1)
        exits = fast.ma_crossed_below(slow).vbt.signals.fshift(1)
        run = vbt.Portfolio.from_signals(
            close, entries, exits, price=opening, size=0.5, size_type="percent",
            init_cash=CASH, freq="1min",
        )  # fmt: skip
        found = [run.total_return(), run.trades.count(), run.max_drawdown(), run.sharpe_ratio(year_freq="98280min")]
        taken.append(time.perf_counter() - began)
    return taken, np.stack([np.asarray(each, dtype=float) for each in found], axis=1).tolist(), len(entries.columns)


def _backtesting(case: dict[str, Any]) -> tuple[list[float], list[list[float]], int]:
    """Its optimize does not give drawdowns and Sharpe ratios of all sets: only the time is compared."""
    import numpy as np
    import pandas as pd
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover

    close = _closes(case["rows"], 1)[:, 0]
    opening = np.r_[close[:1], close[:-1]]
    table = pd.DataFrame(
        {"Open": opening, "High": np.maximum(opening, close), "Low": np.minimum(opening, close), "Close": close},
        index=pd.date_range("2020-01-01", periods=len(close), freq="1min"),
    )

    def mean(values: Any, n: int) -> Any:
        return pd.Series(values).rolling(n).mean()

    class Means(Strategy):  # type: ignore[misc]  # no types are published
        fast = 10
        slow = 20

        def init(self) -> None:
            self.one = self.I(mean, self.data.Close, self.fast)
            self.other = self.I(mean, self.data.Close, self.slow)

        def next(self) -> None:
            if crossover(self.one, self.other):
                self.buy(size=0.5)
            elif crossover(self.other, self.one):
                self.position.close()

    # Its worker processes find a strategy by name.
    Means.__qualname__ = "Means"
    globals()["Means"] = Means
    windows = list(case["windows"])
    began = time.perf_counter()
    Backtest(table, Means, cash=100_000.0, finalize_trades=True).optimize(
        fast=windows, slow=windows, constraint=lambda p: p.fast < p.slow, maximize="Sharpe Ratio"
    )
    return [time.perf_counter() - began], [], len(windows) * (len(windows) - 1) // 2


def child(case: str, contender: str, out: str, options: str) -> None:
    """Run one contender and write what it took and found."""
    given = json.loads(options)
    calls = given.get("calls", CALLS)
    if contender == "ours":
        taken, numbers, sets = _ours(CASES[case], calls, given.get("threads"), given.get("keep", "plain"))
    elif contender == "backtesting.py":
        taken, numbers, sets = _backtesting(CASES[case])
    else:
        taken, numbers, sets = _vectorbt(CASES[case], 1, contender.rsplit(maxsplit=1)[-1])
    found = {"first": taken[0], "call": median(taken[1:] or taken), "numbers": numbers, "sets": sets}
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    child(*sys.argv[1:])
