"""Kill a real process at every labelled point, again and again, and let the broker's record judge what it left (F01).

    python tests/live/kill/run.py --kills 1200 --json OUT

Each kill is SIGKILL to a process that trades over real sockets; then another one takes up its journal and finishes the
day. At the end position and cash must be the broker's, no order doubled or lost, the journal a valid prefix that holds
everything that was durable, and its replay the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[3]), str(HERE.parent)]

from killing.theatre import Theatre, Verdict, points  # noqa: E402


class Tally:
    """What all workers have found so far."""

    def __init__(self, wanted: int, seed: int, brokers: list[str]) -> None:
        self.kills = self.turn = self.idle = 0
        self.found: list[str] = []
        self.by_point: Counter[str] = Counter()
        self.recoveries: list[float] = []
        self._wanted, self.seed, self._brokers = wanted, seed, brokers
        self._points = points()
        self._lock = threading.Lock()

    def next(self) -> tuple[str, int, str] | None:
        """(point, seed, broker) of the next schedule; None where there are enough, or no more to be had."""
        with self._lock:
            if self.kills >= self._wanted or self.idle >= len(self._points) * len(self._brokers):
                return None
            point = self._points[self.turn % len(self._points)]
            broker = self._brokers[(self.turn // len(self._points)) % len(self._brokers)]
            self.turn += 1
            return point, self.seed + self.turn - 1, broker

    def take(self, point: str, verdict: Verdict | None) -> None:
        """Count what came of it."""
        with self._lock:
            if verdict is None or not verdict.kills:
                self.idle += 1
                return
            self.idle = 0
            self.kills += verdict.kills
            self.by_point[point] += verdict.kills
            self.recoveries.append(verdict.recovery_s)
            self.found += verdict.found
            for line in verdict.found:
                print(line, flush=True)


def work(tally: Tally) -> None:
    """Kill until there are enough."""
    theatre = Theatre()
    try:
        while (job := tally.next()) is not None:
            tally.take(job[0], theatre.kill(*job))
    finally:
        theatre.close()


def main() -> int:
    """As many kills as were asked for, over all points and brokers in turn."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=4, help="lives at a time: each mostly waits")
    parser.add_argument("--brokers", default="alpaca,robinhood_private,alpaca,robinhood_private,alpaca,robinhood")
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    began = time.monotonic()
    tally = Tally(asked.kills, asked.seed, asked.brokers.split(","))
    with ThreadPoolExecutor(asked.workers) as pool:
        for done in [pool.submit(work, tally) for _ in range(asked.workers)]:
            done.result()
    seconds = time.monotonic() - began
    rate, last = round(tally.kills / seconds, 2), tally.seed + tally.turn - 1
    body = {
        "kills": tally.kills,
        "violations": len(tally.found),
        "found": tally.found,
        "points": dict(sorted(tally.by_point.items())),
        "kills_per_s": rate,
        "seconds": round(seconds, 1),
        "last_life_p99_s": sorted(tally.recoveries)[int(0.99 * len(tally.recoveries))] if tally.recoveries else 0.0,
        "seeds": [tally.seed, last],
    }
    if asked.json is not None:
        asked.json.write_text(json.dumps(body, indent=2))
    print(
        f"kills={tally.kills} violations={len(tally.found)} points={len(tally.by_point)} kills/s={rate} "
        f"seed-range={tally.seed}-{last}"
    )
    return 3 if tally.found or tally.kills < asked.kills else 0


if __name__ == "__main__":
    raise SystemExit(main())
