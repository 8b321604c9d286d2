"""Row to order at the venue through each broker's SDK, the journal's commits on the way, and processor time of both.

The venue is another process (`live_venue.py`); both ends are measured by the machine's one monotonic clock. The rest of
the way is the real one: journal on disk, worker thread, the broker's SDK, sockets. Machines are shared: a bare fsync is
measured in the same breath as the journal's commits, and processor time, which does not depend on neighbours.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import IO

MINUTE_NS = 60_000_000_000
ORDERS, ROUNDS = 200, 3
SCRIPT = '''"""The volume of a row says what is wanted: 1 buy, 2 sell."""
from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars) -> Signals:
    said = bars.volume + 0.0 * sma(bars.close, 1)
    return Signals(said == 1, said == 2)
'''


def line(what, value, unit, budget=None):
    """One measured figure."""
    return {"room": "live", "what": what, "value": value, "unit": unit, "budget": budget}


def wire(name: str) -> list[dict]:
    """Milliseconds from a row to its order at the venue and of what is on that way; medians of `ROUNDS` processes."""
    rounds = [_round(name) for _ in range(ROUNDS)]

    def median(what, share=None):
        found = [each[what] if share is None else _at(each[what], share) for each in rounds]
        return statistics.median(found)

    return [
        line(f"row to order at the venue, {name}, p50", median("wire", 0.5), "ms"),
        line(f"row to order at the venue, {name}, p99", median("wire", 0.99), "ms", 20.0),
        line(f"row to order at the venue, {name}, first order of a process", median("first"), "ms"),
        line(f"journal commit while trading through {name}, p50", median("commits", 0.5), "ms"),
        line(f"journal commit while trading through {name}, p99", median("commits", 0.99), "ms", 2.0),
        line(f"a bare fsync of 4 kB beside {name}, p50", median("bare", 0.5), "ms"),
        line(f"a bare fsync of 4 kB beside {name}, p99", median("bare", 0.99), "ms"),
        line(f"journal commit over bare fsync, {name}, p50", median("ratio"), "times"),
        line(f"processor from a row to its order's answer, {name}, p50", median("order_cpu", 0.5), "ms"),
        line(f"processor of a row without an order and its commit, {name}, p50", median("row_cpu", 0.5), "ms"),
    ]


def _at(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def _round(name: str) -> dict:
    """One session with a venue in another process: lists of milliseconds, as `wire` has them."""
    from live.brokers.wire_route import Patience
    from live.core.core import Core
    from live.core.plan import Plan
    from live.header import Feed, JournalHeader, built
    from live.journal import SqliteJournal
    from live.session_venue import VenueSession
    from live.steady import SteadyClock
    from strategies.common.costs import Costs
    from strategies.common.load import load_strategy
    from strategies.common.rule import Rule

    with tempfile.TemporaryDirectory() as folder, _venue(name) as venue:
        place = Path(folder)
        (place / "said.py").write_text(SCRIPT)
        strategy = load_strategy(place / "said.py")
        broker = _broker(name, json.loads(venue.readline()), place)
        broker.capabilities = _free(broker)
        broker.patience = Patience(look_s=0.0, look_behind_stream_s=0.0)  # the venue fills before it is asked
        plan = Plan.of(
            strategy, ["AAA"], account="a", rule=Rule(size=0.1), costs=Costs.free(), clock="1m", broker=name,
            limits={"max_order_usd": 1e9}, async_cancels=True,
        )  # fmt: skip
        journal = SqliteJournal.create(place / "a.journal", JournalHeader(plan, Feed("b", True, ""), built()))
        commits = _timed(journal)
        session = VenueSession(Core(plan, strategy), broker, journal, clock=SteadyClock())
        with (place / "bare").open("wb", buffering=0) as bare:
            bare.write(bytes(4096))
            found = asyncio.run(_trade(session, venue, bare.fileno()))
        session.broker.close()
        session.close()
    return found | {"commits": commits, "ratio": _at(commits, 0.5) / _at(found["bare"], 0.5)}


@contextmanager
def _venue(name: str) -> Iterator[IO[str]]:
    """What the venue's process says: where it is, then the time of every order."""
    command = [sys.executable, str(Path(__file__).with_name("live_venue.py")), name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout
        finally:
            process.stdin.close()


async def _trade(session, venue, bare: int) -> dict:
    """Rows with an order each, then rows without; calls go to the worker as in the shell."""
    from data.rows import Row
    from live.core.facts import GATES
    from live.worker import Worker

    worker = Worker("bench")
    session.resume()

    async def settle(condition):
        until = time.monotonic() + 15.0
        while not condition():
            if time.monotonic() > until:
                raise RuntimeError(f"the session stands still: {session.core.counts}, {session.core.halted}")
            call = session.next_call()
            if call is None:
                session._polled_ns = 0  # the next poll is due now: what it brings is not measured
                continue
            session.done(call, await worker.call(lambda call=call: call.run(session.broker)))

    def row(number, says):
        price = [100.0]
        return Row((number + 1) * MINUTE_NS, 20250102, 600.0, 9_000.0, price, price, price, price, [says])

    await settle(lambda: session.opened and "orders" not in session.core.desk.tally.state.closed)
    for name in GATES:
        if name not in ("reconciled", "orders"):
            session.gate(name, "")
    await settle(lambda: not session.core.desk.tally.state.closed)
    found: dict = {"wire": [], "bare": [], "order_cpu": [], "row_cpu": []}
    gc.collect()
    gc.freeze()
    gc.disable()  # as the shell does
    for number in range(ORDERS):
        bar = row(number, 1.0 + number % 2)
        start, cpu = perf_counter_ns(), time.process_time_ns()
        session.row(bar)
        call = session.next_call()
        assert call is not None
        assert call.task == "handle"
        result = await worker.call(lambda call=call: call.run(session.broker))
        session.done(call, result)
        found["order_cpu"].append((time.process_time_ns() - cpu) / 1e6)
        found["wire"].append((int(venue.readline()) - start) / 1e6)
        await settle(lambda: all(order.is_over for order in session.core.orders.values()))
        os.pwrite(bare, bytes([number % 256]) * 4096, 0)
        start = perf_counter_ns()
        os.fsync(bare)
        found["bare"].append((perf_counter_ns() - start) / 1e6)
        if number % 20 == 0:
            gc.collect()
    for number in range(ORDERS, 2 * ORDERS):
        bar, cpu = row(number, 0.0), time.process_time_ns()
        session.row(bar)
        found["row_cpu"].append((time.process_time_ns() - cpu) / 1e6)
    gc.enable()
    gc.unfreeze()
    worker.end()
    return found | {"first": found["wire"][0]}


def _free(broker):
    """The broker's sheet without its budget: the way is measured, not the queue."""
    from msgspec.structs import replace

    broker.budget._free = True
    return replace(broker.capabilities, requests_a_minute=0)


def _timed(journal) -> list[float]:
    commits: list[float] = []
    plain = journal.commit

    def commit():
        start, something = perf_counter_ns(), journal._open
        plain()
        if something:
            commits.append((perf_counter_ns() - start) / 1e6)

    journal.commit = commit
    return commits


def _broker(name, where, place):
    """Our side of the sandbox that listens there."""
    from data.settings import Secret
    from live.brokers.alpaca import AlpacaRoute
    from live.brokers.robinhood import broker as official
    from live.brokers.robinhood_private import broker as private
    from live.brokers.wire_desk import Desk
    from live.login import authorize, keep_token
    from live.sandbox.broker_accounts import consent

    if name == "alpaca":
        keys = Secret("sandbox-key"), Secret("sandbox-secret")
        return Desk(AlpacaRoute(where["http_url"], *keys, "paper", where["ws_url"]))
    if name == "robinhood":
        shown: list[str] = []
        authorize(
            place / "a.grant", command="", url=where["url"], paste=True, show=shown.append,
            ask=lambda _: consent(shown[-1].partition("\n")[2]),
        )  # fmt: skip
        return official(place / "a.grant", "")
    keep_token(place / "a.token", where["token"])
    return private(place / "a.token", "", unofficial=True, base=where["http_url"], say=lambda _: None)


def run() -> list[dict]:
    """Every figure of an order's way."""
    os.environ |= dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
    found = [figure for name in ("alpaca", "robinhood", "robinhood_private") for figure in wire(name)]
    return [*found, line("load of this machine over the last 5 minutes", os.getloadavg()[1], "processes")]
