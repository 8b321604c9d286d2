"""A person's halt against the orders that flow: from the command in another terminal to the last one the broker takes.

One runner trades at the sandbox's Alpaca at the market's own pace, a row a second, several orders in each. `halt` or
`flatten` is a process of its own, started as from a terminal; the broker's record says when it took the last order that
opens a position. The clock starts before that process does, so Python's start is in the figure. A trial counts only
where orders were flowing right before the command.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))

TRIALS = 60
BUDGET_S = 2.0
QUIET_S = 2.0
"""Rows after a halt in which the broker must take nothing that opens a position, to be sure that the last was that."""
FLOWING = 2
EVERY_ROW = '''"""Long, flat, long ...: every symbol in turn, a row each."""
from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1s"


def signals(bars: Bars) -> Signals:
    odd = (bars.close * 50.0 + 0.0 * sma(bars.close, 1)) % 1.0
    return Signals(odd < 0.5, odd >= 0.5)
'''


def line(what, value, unit, budget=None):
    """One measured figure."""
    return {"room": "live", "what": what, "value": value, "unit": unit, "budget": budget}


class Watch:
    """Notes when the venue took each order, and whether it opens a position, by the wall's monotonic clock."""

    def __init__(self, venue) -> None:
        self.entries: list[float] = []
        self._venue = venue
        venue.listeners.append(self._hear)

    def _hear(self, event: str, order, _execution) -> None:
        if event == "new" and order.side == "buy" and self._venue.positions.get(order.symbol, 0) >= 0:
            self.entries.append(time.monotonic())


def trials(word: str, count: int) -> tuple[list[float], list[float]]:
    """Seconds from the command to the last order taken that opens a position, and to the command's own end."""
    from data.sources.random_walk import random_bars
    from live.sandbox.market_tape import market_of_rows
    from live.sandbox.server import running

    theirs = _world()

    class Fast(theirs.World):
        strategy = EVERY_ROW
        limits = theirs.WIDE | {
            "first_entry_s": 0,
            "max_denials_10_minutes": 1_000_000,
            "same_order_window_s": 0,
            "max_order_usd": 1e6,
            "max_order_pct": 100.0,
            "max_position_pct": 100.0,
        }

    bars, book = random_bars(2 * 23_400, theirs.SYMBOLS, 7, "1s", start=20240102)
    market = market_of_rows(bars, book, "1s", "random walk")
    with tempfile.TemporaryDirectory() as folder:
        world = Fast(Path(folder), CHECKOUT, f"key-{os.getpid()}-{word}", market=market, speed=1.0)
        with running(world.box):
            try:
                world.account("alpaca", needs="bars")
                watch = Watch(world.box.house.venues["alpaca"])
                process = world.start()
                return _measured(world, watch, process, word, count)
            finally:
                world.end()


def _world():
    """What the tests of the live process set up; loaded by its path, as packages named `tests` may be installed."""
    spec = importlib.util.spec_from_file_location("onetape_live_world", CHECKOUT / "tests" / "live" / "world.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _measured(world, watch, process, word: str, count: int) -> tuple[list[float], list[float]]:
    lasts: list[float] = []
    ends: list[float] = []
    while len(lasts) < count:
        since = len(watch.entries)
        world.until(lambda since=since: len(watch.entries) >= since + FLOWING, process, 120.0)
        # At another moment of the row each time: orders leave right after it, and nothing leaves late in it.
        time.sleep((len(lasts) * 0.037) % 1.0)
        began = time.monotonic()
        world.say(word)
        ends.append(time.monotonic() - began)
        world.until(lambda: word in world.told().get("halted", ""), process)
        time.sleep(QUIET_S)
        last = watch.entries[-1]
        lasts.append(max(last - began, 0.0))
        world.say("resume")
    return lasts, ends


def run(quick: bool = False) -> list[dict]:
    """The figures of `halt` and `flatten`."""
    count = 3 if quick else TRIALS
    figures = []
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    for word in ("halt", "flatten"):
        lasts, ends = (sorted(each) for each in trials(word, count))
        label = f"{word}, {count} times while orders flow"
        figures += [
            line(f"{label}: command to the last order taken, p50", lasts[count // 2], "s"),
            line(f"{label}: command to the last order taken, p99", lasts[int(count * 0.99)], "s", BUDGET_S),
            line(f"{label}: the command itself, p50", ends[count // 2], "s"),
        ]
    return figures


if __name__ == "__main__":
    for figure in run(quick="--quick" in sys.argv):
        sys.stdout.write(f"{figure['what']}: {figure['value']:.3f} {figure['unit']}\n")
