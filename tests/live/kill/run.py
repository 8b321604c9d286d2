"""Kill a real process at every labelled point, again and again, and let the broker's record judge what it left (F01).

    python tests/live/kill/run.py --kills 1200 --json OUT

Each kill is SIGKILL to a process that trades over real sockets; then another one takes up its journal and finishes the
day. At the end position and cash must be the broker's, no order doubled or lost, the journal a valid prefix that holds
everything that was durable, and its replay the same.

Slowness is no violation and no proof either: a last life that ends before it knows how its orders ended is followed by
one with more patience. Where that does not help, the schedule is `undecided`, is told of, and its kills do not count.
Ctrl-C ends the campaign after the lives under way, with what it has so far; it tells how far it is every 50 kills.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[3]), str(HERE.parent)]

from killing.theatre import Theatre, Verdict, points  # noqa: E402

EVERY = 50
"""Kills between two lines that say how far it is."""
MOST_FAILED = 20
"""Schedules that could not be played at all, after which the campaign gives up."""


class Tally:
    """What all workers have found so far."""

    def __init__(self, wanted: int, seed: int, brokers: list[str]) -> None:
        self.kills = self.turn = self.idle = 0
        self.found: list[str] = []
        self.undecided: list[str] = []
        self.failed = 0
        self.stopped = ""
        self.by_point: Counter[str] = Counter()
        self.recoveries: list[float] = []
        self._wanted, self.seed, self._brokers = wanted, seed, brokers
        self._points = points()
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def next(self) -> tuple[str, int, str] | None:
        """(point, seed, broker) of the next schedule; None where there are enough, or no more to be had."""
        with self._lock:
            if self.stopped or self.kills >= self._wanted or self.idle >= len(self._points) * len(self._brokers):
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
            if verdict.late:
                self.undecided.append(verdict.late)
                print(f"undecided: {verdict.late}", flush=True)
                if not verdict.found:
                    return
            before, self.kills = self.kills, self.kills + verdict.kills
            self.by_point[point] += verdict.kills
            self.recoveries.append(verdict.recovery_s)
            self.found += verdict.found
            for line in verdict.found:
                print(line, flush=True)
            if before // EVERY != self.kills // EVERY:
                print(self.line(), flush=True)

    def fail(self, job: tuple[str, int, str]) -> None:
        """A schedule that could not be played: neither a kill nor a violation, and told of."""
        with self._lock:
            self.failed += 1
            self.undecided.append(f"{job}: it could not be played")
            print(f"undecided: {job}\n{traceback.format_exc()}", flush=True)
            if self.failed >= MOST_FAILED:
                self.stopped = f"{self.failed} schedules could not be played"

    def line(self) -> str:
        """Everything in one line."""
        rate = self.kills / (time.monotonic() - self._began)
        return (
            f"kills={self.kills} violations={len(self.found)} undecided={len(self.undecided)} "
            f"points={len(self.by_point)} kills/s={rate:.2f} seed-range={self.seed}-{self.seed + self.turn - 1}"
        )

    def body(self) -> dict[str, object]:
        """Everything, for a file."""
        seconds = time.monotonic() - self._began
        late = sorted(self.recoveries)
        return {
            "kills": self.kills,
            "violations": len(self.found),
            "found": self.found,
            "undecided": self.undecided,
            "stopped": self.stopped,
            "points": dict(sorted(self.by_point.items())),
            "kills_per_s": round(self.kills / seconds, 2),
            "seconds": round(seconds, 1),
            "last_life_p99_s": late[int(0.99 * len(late))] if late else 0.0,
            "seeds": [self.seed, self.seed + self.turn - 1],
        }


def work(tally: Tally) -> None:
    """Kill until there are enough."""
    theatre = Theatre()
    try:
        while (job := tally.next()) is not None:
            try:
                verdict = theatre.kill(*job)
            except Exception:  # the machine's fault, or ours: the campaign goes on in another theatre, and says so
                tally.fail(job)
                theatre.close()
                theatre = Theatre()
            else:
                tally.take(job[0], verdict)
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
    tally = Tally(asked.kills, asked.seed, asked.brokers.split(","))

    def stop(number: int, _frame: object) -> None:
        tally.stopped = signal.Signals(number).name

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with ThreadPoolExecutor(asked.workers) as pool:
        for done in [pool.submit(work, tally) for _ in range(asked.workers)]:
            done.result()
    if asked.json is not None:
        asked.json.write_text(json.dumps(tally.body(), indent=2))
    print(tally.line() + (f" stopped={tally.stopped}" if tally.stopped else ""), flush=True)
    if tally.stopped.startswith("SIG"):
        return 130
    return 3 if tally.found or tally.kills < asked.kills else 0


if __name__ == "__main__":
    raise SystemExit(main())
