"""One life of a trading process: a session through a script, on a journal, against a broker over real sockets.

Run as a program it is a nursery: it has imported everything, and forks a process for every job that it reads, one JSON
document a line. A life that is told to die kills itself with SIGKILL where it is told to.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from data.rows import Row
from data.settings import Secret
from live.brokers.alpaca import AlpacaRoute
from live.brokers.robinhood import RobinhoodRoute
from live.brokers.robinhood_grant import Grant
from live.brokers.robinhood_private import PrivateRoute
from live.brokers.wire_budget import Budget
from live.brokers.wire_desk import Desk
from live.brokers.wire_route import Patience
from live.core.core import Core
from live.core.events import Operator, PersonSays, decode_event
from live.core.facts import GATES
from live.core.orders import OPEN, State
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import SqliteJournal, exists, steps
from live.replay import replay
from live.session_venue import VenueSession
from live.unfinished import Unfinished
from strategies.common.costs import Costs
from strategies.common.load import load_strategy
from strategies.common.rule import Rule

ROW_NS = 5_000_000_000
"""Between two rows; a row is never shown before its time."""
LAST_WAIT_S, OPEN_S = 240.0, 7_200.0
STRATEGY = Path(__file__).with_name("scripted.py")


class FastClock:
    """The wall's time, `speed` times as fast since `wall_ns`: the same in every process that is told the same."""

    def __init__(self, base_ns: int, wall_ns: int, speed: float) -> None:
        self.base_ns, self.wall_ns, self.speed = base_ns, wall_ns, speed

    def now(self) -> int:
        return self.base_ns + int((time.time_ns() - self.wall_ns) * self.speed)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.speed)

    async def pause(self, seconds: float) -> None:
        self.sleep(seconds)


class Deadly:
    """Counts the points that are passed, and dies at one of them. acks: where what is durable is told, at once."""

    def __init__(self, point: str, occurrence: int, acks: int) -> None:
        self.point, self.occurrence, self._acks = point, occurrence, acks
        self.counts: Counter[str] = Counter()
        self.journal: SqliteJournal | None = None

    def __call__(self, name: str) -> None:
        self.counts[name] += 1
        if name == "commit.after" and self.journal is not None:
            os.pwrite(self._acks, struct.pack("<q", self.journal._seq), 0)
        if name == self.point and self.counts[name] == self.occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_the_wire(self) -> None:
        """Points inside of a request: half of it written, and its answer there but not read."""
        connection = http.client.HTTPConnection
        send, getresponse = connection.send, connection.getresponse
        kind = [""]

        def sending(wire: Any, data: Any) -> None:
            head = bytes(data[:200]) if isinstance(data, bytes | bytearray) else b""
            if head.startswith((b"POST /v2/orders", b"POST /orders/ ")):
                kind[0] = "request"
            elif head.startswith(b"DELETE ") or b"/cancel/ " in head[:80]:
                kind[0] = "cancel"
            elif head.startswith((b"GET ", b"POST ")):
                kind[0] = ""
            half = f"{kind[0]}.half"
            if kind[0] and half == self.point and self.counts[half] + 1 == self.occurrence:
                send(wire, data[: len(data) // 2])
                self(half)
            if kind[0] and head[:5] in (b"POST ", b"DELET"):
                self(half)
            send(wire, data)

        def answering(wire: Any) -> Any:
            if kind[0]:
                unread = "answer.unread" if kind[0] == "request" else "cancel.unread"
                select.select([wire.sock], [], [], 1.0)
                self(unread)
                kind[0] = ""
            return getresponse(wire)

        connection.send, connection.getresponse = sending, answering  # type: ignore[method-assign]


def route_of(job: dict[str, Any], clock: FastClock) -> Any:
    """The broker's dialect."""
    if job["broker"] == "alpaca":
        return AlpacaRoute(job["url"], Secret("sandbox-key"), Secret("sandbox-secret"), "paper", job["stream"], 2.0)
    if job["broker"] == "robinhood":
        return RobinhoodRoute(Grant(Path(job["grant"]), "x"), clock, 2.0)
    return PrivateRoute(Secret("sandbox-token"), "x", clock, job["url"])


def opened(job: dict[str, Any], mark: Deadly) -> VenueSession:
    """A session on the job's journal, as any start makes it."""
    strategy = load_strategy(STRATEGY)
    plan = Plan.of(
        strategy,
        ["AAA"],
        account="kill",
        rule=Rule(size=0.1, flat_before_s=0.0, **job["rule"]),
        costs=Costs.free(),
        params=job["params"],
        clock="1m",
        broker=job["broker"],
        limits={"max_cash_difference_usd": 0.001} | job["limits"],
        async_cancels=True,
    )
    path = Path(job["journal"])
    if exists(path):
        journal = SqliteJournal.open(path)
    else:
        path.unlink(missing_ok=True)
        journal = SqliteJournal.create(path, JournalHeader(plan, Feed("kill", True, ""), built()))
    mark.journal = journal
    clock = FastClock(*job["clock"])
    patience = Patience(look_s=1.0, look_behind_stream_s=4.0, fresh_s=20.0)
    desk = Desk(route_of(job, clock), clock, patience)
    desk.budget = Budget(0, clock)
    return VenueSession(Core(plan, strategy), desk, journal, clock=clock, mark=mark)


def settle(session: VenueSession, seconds: float, is_done: Any = lambda: False) -> bool:
    """Let time pass, until it is so."""
    clock = session.clock
    end = clock.now() + int(seconds * 1e9)
    while True:
        session.pump()
        if is_done():
            return True
        if clock.now() >= end:
            return False
        clock.sleep(min(max(session.due_s(), 0.05), 0.3))


def trade(session: VenueSession, job: dict[str, Any]) -> None:
    """Go through the script from where the journal ends."""
    ts, day, price = job["clock"][0], 0, 100.0
    for what, value in job["steps"]:
        if what == "row":
            ts += ROW_NS
            if ts <= session.core.last_ts:
                continue
            settle(session, (ts - session.clock.now()) / 1e9)
            bar = [price]
            session.row(Row(ts, 20250102 + day, 3600.0, 10_000.0, bar, bar, bar, bar, [float(value)]))
            continue
        if what == "day":
            day += 1
        if what == "price":
            price = value
        if ts < session.core.last_ts:
            continue
        if what == "price":
            Path(job["quote"]).write_bytes(struct.pack("<d", value))
        elif what == "wait":
            settle(session, value)
        elif what in ("halt", "resume"):
            session.tell(Operator(session.core.last_ts, what, "a person"))
        elif what == "person":
            for order in list(session.core.orders.values())[-1:]:
                session.tell(PersonSays(session.core.last_ts, order.order_id, "cancelled", "a person"))
        elif what == "reconcile":
            session.reconcile("timer")


def plant(mistake: str) -> None:
    """Make the process wrong in a way that must be noticed."""
    if mistake == "the mark comes after the request":
        VenueSession._send = lambda *_args: None  # type: ignore[method-assign]
    elif mistake == "a restart sends again what may have left":
        known = Unfinished.known
        Unfinished.was_sent = lambda *_args: False  # type: ignore[method-assign]
        Unfinished.known = lambda self, core: known(self, core)[:0]  # type: ignore[method-assign]
    elif mistake == "a commit is put off":
        commit, turns = SqliteJournal.commit, [0]

        def seldom(journal: SqliteJournal) -> None:
            turns[0] += 1
            if turns[0] % 7 == 0:
                commit(journal)

        SqliteJournal.commit = seldom  # type: ignore[method-assign]
    elif mistake:
        raise ValueError(mistake)


def live(job: dict[str, Any], told: int) -> None:
    """A whole life; what it knows at its end is written to `told`."""
    acks = os.open(job["acks"], os.O_WRONLY | os.O_CREAT)
    mark = Deadly(job.get("point", ""), job.get("occurrence", 1), acks)
    mark.on_the_wire()
    plant(job.get("plant", ""))
    session = opened(job, mark)
    session.resume()
    patience = job.get("patience", 1.0)
    if not settle(session, OPEN_S * patience, lambda: session.opened):
        os.write(told, json.dumps({"late": f"the broker was not open in time: {session.error}"}).encode())
        return
    differences = list(session.core.findings.differences)
    for name in GATES:
        if name not in ("reconciled", "orders"):
            session.gate(name, "")
    settle(session, 10.0, lambda: "orders" not in session.core.desk.tally.state.closed)
    trade(session, job)
    core = session.core
    unsettled = lambda: [  # noqa: E731
        o for o in core.orders.values() if not o.is_over and o.kind != "protect" and o.state is not State.QUARANTINED
    ]
    calm = settle(session, LAST_WAIT_S * patience, lambda: not unsettled())
    session.reconcile("timer")
    settle(session, 30.0 * patience, lambda: session.queue == 0 and not session.busy and not core.findings.pending)
    body = {
        "late": "" if calm else f"{len(unsettled())} orders have no end yet",
        "asked": sum(o.state is State.QUARANTINED for o in core.orders.values()),
        "positions": dict(zip(core.symbols, core.positions, strict=True)),
        "cash": core.cash,
        "orders": {
            order.order_id: {"state": order.state.value, "filled": order.filled, "open": order.state in OPEN}
            for order in core.orders.values()
        },
        "differences": list(core.findings.differences) or differences,
        "halted": core.halted,
        "resumed": session.resumed,
        "counts": dict(mark.counts),
    }
    session.broker.close()
    session.close()
    os.write(told, json.dumps(body | {"counts": dict(mark.counts)}).encode())


def examine(job: dict[str, Any], told: int) -> None:
    """What the journal's file says to a fresh reader: its records, intents, executions, and that it replays."""
    journal = SqliteJournal.open(Path(job["journal"]))
    records = list(journal.read())
    fills: dict[str, float] = {}
    executions: list[str] = []
    for step in steps(journal):
        event = decode_event(step.event)
        if type(event).__name__ == "Fill":
            fills[event.order_id] = fills.get(event.order_id, 0.0) + event.quantity  # type: ignore[union-attr]
            executions.append(event.execution_id)  # type: ignore[union-attr]
    done = replay(Core(journal.header.plan, load_strategy(STRATEGY)), journal)
    again = replay(Core(journal.header.plan, load_strategy(STRATEGY)), journal)
    body = {"last": records[-1].seq, "fills": fills, "executions": executions, "digests": [done.digest, again.digest]}
    journal.close()
    os.write(told, json.dumps(body).encode())


def renew(job: dict[str, Any], told: int) -> None:
    """Renew a login, and die in the middle of it."""
    grant = Grant(Path(job["grant"]), "x")
    replace, fsync = Path.replace, os.fsync
    mark = Deadly(job.get("point", ""), 1, 2)

    def replacing(path: Path, target: Any) -> Any:
        mark("token.written")
        done = replace(path, target)
        mark("token.replaced")
        return done

    def syncing(handle: int) -> None:
        mark("token.unsynced")
        fsync(handle)

    Path.replace, os.fsync = replacing, syncing  # type: ignore[method-assign, assignment]
    grant.refresh(grant.access)
    os.write(told, json.dumps({"revision": repr(grant)}).encode())


JOBS = {"live": live, "examine": examine, "renew": renew}


def main() -> None:
    """Fork a process for every job; say how it ended and what it told."""
    import httpx2  # noqa: F401  # so that no life has to wait for it
    import mcp.client.streamable_http  # noqa: F401
    import requests  # noqa: F401
    import robin_stocks.robinhood  # noqa: F401
    import websockets.sync.client  # noqa: F401

    for line in sys.stdin:
        job = json.loads(line)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            code = 1
            with contextlib.suppress(BaseException):
                try:
                    JOBS[job["do"]](job, write)
                    code = 0
                except BaseException:
                    os.write(write, json.dumps({"error": traceback.format_exc()}).encode())
            os._exit(code)
        os.close(write)
        body = b""
        while part := os.read(read, 65_536):
            body += part
        os.close(read)
        _, status = os.waitpid(child, 0)
        ended = {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, "code": os.WEXITSTATUS(status)}
        sys.stdout.write(json.dumps({**ended, "told": json.loads(body) if body else {}}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
