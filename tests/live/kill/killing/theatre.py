"""Where processes are killed: a nursery that forks them, a stage with a broker for each, and a judge."""

from __future__ import annotations

import asyncio
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from killing.judge import Witness, after_a_death, at_the_end, is_late
from killing.scenarios import LABELS, SCENARIOS
from live.sandbox.broker_alpaca import AlpacaBroker
from live.sandbox.broker_engine import Venue
from live.sandbox.broker_faults import BrokerFaults
from live.sandbox.robinhood_mcp import RobinhoodAgent
from live.sandbox.robinhood_private import RobinhoodPrivate

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[3]
SPEED = 120.0
"""The tape's seconds in one of ours: what a desk waits for costs little, and what it does is done."""
BASE_NS = 1_735_830_000_000_000_000
LONGER = (1.0, 10.0, 30.0)
"""Patience of the last life, and of those after it where it was too short to know how the day ended."""
START_S = 120.0
BOXES: dict[str, Any] = {"alpaca": AlpacaBroker, "robinhood": RobinhoodAgent, "robinhood_private": RobinhoodPrivate}


class Nursery:
    """A process that has imported everything and forks one for every job."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "killing.life"],
            cwd=HERE.parent,
            env=os.environ
            | {"PYTHONPATH": f"{CHECKOUT}{os.pathsep}{HERE.parent}", "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the campaign, which then ends in good order
        )

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """How a life ended: `signal` or `code`, and what it `told`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """No more children."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


class Stage:
    """One account at one broker of the sandbox, with a journal; a process may live and die on it several times."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path, scenario: str, broker: str) -> None:
        told = SCENARIOS[scenario]
        self._loop, self._quote = loop, folder / "quote"
        self._quote.write_bytes(struct.pack("<d", 100.0))
        wall = time.time_ns()
        self._start = (BASE_NS, wall, SPEED)
        now = lambda: BASE_NS + int((time.time_ns() - wall) * SPEED)  # noqa: E731
        # The private route's venue takes the same key twice for two orders: nobody knows that it does not.
        self.venue = Venue(
            self._price, now, faults=BrokerFaults(told.faults), dedupes=broker != "robinhood_private", shorts=False
        )
        self.box = BOXES[broker](self.venue)
        self._call(self.box.start())
        self.witness = Witness(self.venue, str(folder / "a.journal"))
        self.acks = folder / "acks"
        self.acks.write_bytes(struct.pack("<q", -1))
        self.job: dict[str, Any] = {
            "do": "live", "broker": broker, "journal": str(folder / "a.journal"), "acks": str(self.acks),
            "quote": str(self._quote), "clock": self._start, "steps": told.steps, "rule": told.rule,
            "params": told.params, "limits": told.limits, "url": getattr(self.box, "http_url", ""),
            "stream": getattr(self.box, "ws_url", ""), "grant": str(folder / "a.grant"),
        }  # fmt: skip
        if broker == "robinhood":
            log_in(self.box, folder / "a.grant")

    @property
    def acknowledged(self) -> int:
        """The last record that was durable, by the word of the process itself."""
        return int(struct.unpack("<q", self.acks.read_bytes()[:8])[0])

    def close(self) -> None:
        """The broker goes home."""
        self._call(self.box.stop())

    def _price(self, symbol: str) -> tuple[float, float] | None:
        if symbol != "AAA":
            return None
        (middle,) = struct.unpack("<d", self._quote.read_bytes()[:8].ljust(8, b"\0"))
        return (middle - 0.01, middle + 0.01) if middle > 0.0 else (99.99, 100.01)

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)


def log_in(box: RobinhoodAgent, path: Path) -> None:
    """A login, as a person makes it."""
    from live.login import authorize
    from live.sandbox.broker_accounts import consent

    shown: list[str] = []
    authorize(
        path, command="x", url=box.url, paste=True, show=shown.append,
        ask=lambda _: consent(shown[-1].partition("\n")[2]),
    )  # fmt: skip


class Verdict(NamedTuple):
    """What became of one schedule.

    kills: how many times it was really killed. found: what was wrong. late: why nobody can say how it ended.
    """

    kills: int
    found: list[str]
    recovery_s: float
    late: str = ""


class Theatre:
    """Everything that kills need, made once. plant: a mistake of `life.plant` that every process to be judged makes."""

    def __init__(self, plant: str = "") -> None:
        self._plant = plant
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.nursery = Nursery()
        self._census: dict[tuple[str, str], Counter[str]] = {}

    def close(self) -> None:
        """Send everybody home."""
        self.nursery.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def census(self, scenario: str, broker: str) -> Counter[str]:
        """How often a life without a death passes each point; it is judged, too."""
        if (scenario, broker) not in self._census:
            with tempfile.TemporaryDirectory(prefix="kill-") as folder:
                stage = Stage(self.loop, Path(folder), scenario, broker)
                try:
                    ended = self.nursery.run(stage.job | {"patience": LONGER[1]})
                    examined = self.nursery.run(stage.job | {"do": "examine"})["told"]
                    found = [*stage.witness.found, *at_the_end(stage.venue, ended["told"], examined)]
                    if found:
                        raise AssertionError(f"{scenario} at {broker}, nobody killed: {found}")
                finally:
                    stage.close()
            self._census[scenario, broker] = Counter(ended["told"]["counts"])
        return self._census[scenario, broker]

    def places(self, point: str, broker: str) -> list[str]:
        """Scenarios in which a process passes the point."""
        return [name for name, told in SCENARIOS.items() if broker in told.brokers and self.census(name, broker)[point]]

    def kill(self, point: str, seed: int, broker: str, most: int = 2) -> Verdict | None:
        """Kill at the point, let another process take up, maybe kill that too; None where the point is not passed."""
        chance = random.Random(f"{seed} {point} {broker}")
        places = self.places(point, broker)
        if not places:
            return None
        scenario = chance.choice(places)
        occurrence = chance.randint(1, self.census(scenario, broker)[point])
        kills, found, recovery = 0, [], 0.0
        with tempfile.TemporaryDirectory(prefix="kill-") as folder:
            stage = Stage(self.loop, Path(folder), scenario, broker)
            try:
                deaths = [(point, occurrence)]
                if most > 1 and chance.random() < 0.5:
                    deaths.append((chance.choice(sorted(self.census(scenario, broker))), chance.randint(1, 3)))
                stage.job["plant"] = self._plant
                for at, number in deaths:
                    ended = self.nursery.run(stage.job | {"point": at, "occurrence": number})
                    if ended["signal"] != 9:
                        break
                    kills += 1
                    if Path(stage.job["journal"]).stat().st_size and stage.acknowledged >= 0:
                        examined = self.nursery.run(stage.job | {"do": "examine"})["told"]
                        found += after_a_death(examined, stage.acknowledged)
                began = time.monotonic()
                told, wrong = self._last_life(stage, LONGER[0])
                recovery = time.monotonic() - began
                for patience in LONGER[1:]:
                    if not wrong or not is_late(told):
                        break
                    told, wrong = self._last_life(stage, patience)
                late = told.get("late", "") if wrong else ""
                found += stage.witness.found if late else [*stage.witness.found, *wrong]
            finally:
                stage.close()
        where = f"{point} number {occurrence} in {scenario!r} at {broker}, seed {seed}"
        return Verdict(kills, [f"{where}: {line}" for line in found], recovery, late and f"{where}: {late}, {wrong}")

    def _last_life(self, stage: Stage, patience: float) -> tuple[dict[str, Any], list[str]]:
        """What a life that nobody kills tells at its end, and where the broker's record says otherwise."""
        told = self.nursery.run(stage.job | {"patience": patience})["told"]
        examined = self.nursery.run(stage.job | {"do": "examine"})["told"]
        return told, at_the_end(stage.venue, told, examined)


def points() -> list[str]:
    """Every point of the list, in its order."""
    return [point for names in LABELS.values() for point in names]
