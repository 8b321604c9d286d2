"""The store and the recorder: a year of minutes of ten symbols read; events recorded a second, in how much memory."""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

CHECKOUT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(CHECKOUT))

SYMBOLS = tuple(f"S{letter}X" for letter in "ABCDEFGHIJ")
SESSIONS = 252

RECORDED = """
import re, sys, time
import websockets.asyncio.client
import data.sources.alpaca_stream
from data.events import BookDelta, Quote, Trade
from data.recorder import Recorder

count, start = int(sys.argv[2]), 1_704_205_800_000_000_000
events = []
for i in range(1_000):
    ts = start + i * 1_000_000
    if i % 5 == 0:
        price = 100 + i % 100 / 100
        events.append(Trade("AAPL", ts, ts + 5, price, 100.0, "@,I", trade_id=str(i), exchange="V", tape="C"))
    elif i % 50 == 1:
        events.append(BookDelta("AAPL", ts, ts + 5, ((100.0, 1.0),) * 10, ((101.0, 2.0),) * 10))
    else:
        bid = 100 + i % 100 / 100
        events.append(Quote("AAPL", ts, ts + 5, bid, bid + 0.01, 100.0, 200.0, "R", "V", "Q", "C"))
began = time.perf_counter()
with Recorder(sys.argv[1], source="benchmark") as recorder:
    for i in range(count):
        recorder.add(events[i % 1_000])
        if i % 10_000 == 0:
            recorder.flush()
seconds = time.perf_counter() - began
try:  # ru_maxrss would count the parent's memory, which a child has for a moment
    memory = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1_024 / 1e6
except OSError:
    memory = float("nan")
print(count / seconds, memory)
"""


def row(what, value, unit, **more):
    """One measured figure."""
    return {"what": what, "value": value, "unit": unit, **more}


def median(function, rounds: int) -> float:
    """Seconds of the middle round."""
    taken = []
    for _ in range(rounds):
        start = perf_counter()
        function()
        taken.append(perf_counter() - start)
    return statistics.median(taken)


def reading(sessions: int, rounds: int) -> list[dict]:
    """Writing and reading minutes of ten symbols, plain and adjusted, beside pandas reading the same files."""
    import pandas as pd

    from data.actions import Action
    from data.sources.random_walk import random_bars
    from data.store import Store

    bars, _ = random_bars(sessions * 390, SYMBOLS, 7, "1m", start="2023-01-03")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        start = perf_counter()
        store.put(bars, "1m", "benchmark")
        written = perf_counter() - start
        store.put_actions([Action(symbol, 20230104, "dividend", 0.1) for symbol in SYMBOLS], "benchmark")
        plain = median(lambda: store.load(SYMBOLS, "1m", adjustment="raw"), rounds)
        month = median(lambda: store.load(SYMBOLS, "1m", "2023-01-03", "2023-01-31", "raw"), rounds)
        adjusted = median(lambda: store.load(SYMBOLS, "1m", adjustment="all"), rounds)
        theirs = median(lambda: pd.read_parquet(Path(folder) / "bars" / "1m" / "raw", partitioning=None), rounds)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    what = f"{sessions} sessions of minutes x {len(SYMBOLS)} symbols"
    return [
        row(f"store, write {what}, checked and on the disk", written, "s"),
        row(f"store, read {what}, with hash", plain, "s", peer="pandas.read_parquet", ratio=theirs / plain),
        row(f"store, read one month of {what}", month, "s"),
        row(f"store, read {what}, adjusted", adjusted, "s"),
        row(f"store, size of {what}", size / 1e6, "MB"),
    ]


def recording(count: int) -> list[dict]:
    """Events a second into a tape, and the peak memory of a process that records with a stream client loaded."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", RECORDED, str(Path(folder) / "tape"), str(count)],
            cwd=CHECKOUT,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            check=True,
        )
        from data.tape_events import replay

        start = perf_counter()
        found = sum(1 for _ in replay(Path(folder) / "tape"))
        seconds = perf_counter() - start
    speed, memory = (float(each) for each in done.stdout.split())
    return [
        row("recorder, events into a tape", speed, "1/s"),
        row("recorder, peak resident memory", memory, "MB", budget=100.0),
        row("recorder, events out of a tape", found / seconds, "1/s"),
    ]


def run(quick: bool = False) -> list[dict]:
    """Every figure of the store and the recorder."""
    return [*reading(20 if quick else SESSIONS, 1 if quick else 5), *recording(20_000 if quick else 300_000)]


if __name__ == "__main__":
    for figure in run(quick="--quick" in sys.argv):
        sys.stdout.write(f"{figure['what']:<70} {figure['value']:>12,.3f} {figure['unit']}\n")
