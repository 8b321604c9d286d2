"""One backtest of 100,000 rows with all its numbers, beside vectorbt's two engines and backtesting.py; and its report.

All four see the same prices and cross the same two moving averages. What each is asked for is what its user would ask:
a strategy in, every statistic out. Ours includes the indicators; the others get the crossings ready-made, which favours
them. Calls alternate, so that a slow minute of the machine meets all alike; the first, cold, call of each is left out.

The report is that of a year of minutes of five symbols: how large the file is, how long it takes to write, and when a
browser first paints it, where there is one.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backtests.engine import run_backtest
from backtests.report import write_report
from data.sources.random_walk import random_bars
from strategies.common.costs import Costs
from strategies.common.rule import Rule
from strategies.indicators import crossed_above, ema

ROWS, FAST, SLOW = 100_000, 20, 100
BUDGET_MS = 50.0
YEAR, SYMBOLS = 98_280, 5
REPORT_MB, PAINT_MS = 8.0, 2_000.0
COSTS = Costs(half_spread_bps=0.0, slippage_bps=1.0, impact_bps=0.0, regulatory=False)
RULE = Rule(size=0.9, flat_before_s=0.0)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Medians in milliseconds, and how many times our time the peers take."""
    rows, repeats, peer_repeats = (2_000, 2, 1) if quick else (ROWS, 15, 5)
    bars, _ = random_bars(rows, 1, seed=5, clock="1m")
    wide, _ = random_bars(rows // 10, 10, seed=5, clock="1m")
    contestants: dict[str, Callable[[], Any]] = {
        "vectorbt (rust)": _vectorbt(bars, "rust"),
        "vectorbt (numba)": _vectorbt(bars, "numba"),
        "backtesting.py": _backtesting(bars),
    }
    ours = _medians({"all": lambda: _everything(bars), "wide": lambda: _everything(wide)}, repeats)
    scan_only = _medians({"scan": lambda: run_backtest(bars, "ma_cross", costs=COSTS, rule=RULE)}, repeats)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):  # their notes and progress bars
        warnings.simplefilter("ignore")
        peers = _medians({"ours": lambda: _everything(bars), **contestants}, peer_repeats)
    all_numbers = f"{rows:,} rows x 1, all numbers"
    return [
        {"what": all_numbers, "value": ours["all"], "unit": "ms", "budget": BUDGET_MS},
        {"what": f"{rows:,} rows x 1, equity and orders", "value": scan_only["scan"], "unit": "ms"},
        {"what": f"{rows // 10:,} rows x 10, all numbers", "value": ours["wide"], "unit": "ms"},
        *(
            {
                "what": all_numbers,
                "value": peers[peer],
                "unit": "ms",
                "peer": peer,
                "ratio": peers[peer] / peers["ours"],
            }
            for peer in contestants
        ),
        *_report(2_000 if quick else YEAR),
    ]


def _report(rows: int) -> list[dict[str, Any]]:
    """The report of a year of minutes, from the run to the first paint."""
    bars, _ = random_bars(rows, SYMBOLS, seed=5, clock="1m")
    result = run_backtest(bars, "ma_cross", {"fast": 10, "slow": 40}, rule=Rule(size=0.15, stops="touch"))
    what = f"report of {rows:,} rows x {SYMBOLS}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        start = time.perf_counter()
        write_report(result, path)
        took = (time.perf_counter() - start) * 1e3
        found = [
            {"what": f"{what}, written", "value": took, "unit": "ms"},
            {"what": f"{what}, file", "value": path.stat().st_size / 1e6, "unit": "MB", "budget": REPORT_MB},
        ]
        painted = _first_paint(path)
    if painted is not None:
        found.append({"what": f"{what}, first paint", "value": painted, "unit": "ms", "budget": PAINT_MS})
    return found


def _first_paint(path: Path) -> float | None:
    """Milliseconds from the navigation to the first contentful paint; None without a browser."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
        painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        chromium.close()
    return float(painted)


def _everything(bars: Any) -> Any:
    return run_backtest(bars, "ma_cross", {"fast": FAST, "slow": SLOW}, COSTS, rule=RULE).stats()


def _medians(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Milliseconds of each call, the median of interleaved repetitions after one that is not counted."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(found) for name, found in times.items()}


def _frame(bars: Any) -> Any:
    import pandas as pd

    columns = {name.capitalize(): getattr(bars, name)[:, 0] for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(bars.ts, tz="UTC"))


def _crossings(bars: Any) -> tuple[Any, Any]:
    fast, slow = ema(bars.close, FAST), ema(bars.close, SLOW)
    return crossed_above(fast, slow)[:, 0], crossed_above(slow, fast)[:, 0]


def _vectorbt(bars: Any, engine: str) -> Callable[[], Any]:
    import pandas as pd
    import vectorbt as vbt

    frame = _frame(bars)
    entries, exits = (pd.Series(np.concatenate([[False], flags[:-1]]), index=frame.index) for flags in _crossings(bars))

    def call() -> Any:
        portfolio = vbt.Portfolio.from_signals(
            frame["Close"], entries, exits, price=frame["Open"], size=0.9, size_type="percent", slippage=1e-4,
            init_cash=100_000.0, freq="1min", engine=engine,
        )  # fmt: skip
        return portfolio.stats()

    return call


def _backtesting(bars: Any) -> Callable[[], Any]:
    from backtesting import Backtest, Strategy

    entries, exits = _crossings(bars)
    frame = _frame(bars)

    class Cross(Strategy):  # type: ignore[misc]  # the library has no types
        """Buy on the crossing, leave on the way back."""

        def init(self) -> None:
            self.enter = self.I(lambda: entries, plot=False)
            self.leave = self.I(lambda: exits, plot=False)

        def next(self) -> None:
            if self.enter[-1] and not self.position:
                self.buy(size=0.9)
            elif self.leave[-1] and self.position:
                self.position.close()

    return lambda: Backtest(frame, Cross, cash=100_000.0, spread=1e-4).run()
