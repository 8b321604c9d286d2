"""The whole live set against the sandbox: row to order at the venue, journal under load, memory, restart.

The venue is in this process and the sandbox's HTTP servers are on a thread of it, so that one clock measures both ends;
the rest of the way is the real one: journal on disk, worker thread, the broker's SDK, sockets.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from time import perf_counter_ns

CHECKOUT = Path(__file__).resolve().parents[2]
MINUTE_NS = 60_000_000_000
ORDERS = 100
SCRIPT = '''"""The volume of a row says what is wanted: 1 buy, 2 sell."""
from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars) -> Signals:
    said = bars.volume + 0.0 * sma(bars.close, 1)
    return Signals(said == 1, said == 2)
'''
OFTEN = '''"""Buys and sells by the odd cents of prices."""
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars) -> Signals:
    odd = (bars.close * 50.0) % 1.0
    return Signals(odd < 0.5, odd >= 0.5)
'''


def line(what, value, unit, budget=None):
    """One measured figure."""
    return {"room": "live", "what": what, "value": value, "unit": unit, "budget": budget}


def wire(name: str) -> list[dict]:
    """Milliseconds from a row to the order at the venue, and microseconds of each durable write on the way."""
    from data.rows import Row
    from live.brokers.wire_route import Patience
    from live.core.facts import GATES
    from live.core.plan import Plan
    from live.header import Feed, JournalHeader, built
    from live.journal import SqliteJournal
    from live.sandbox.broker_engine import Venue
    from live.sandbox.broker_faults import BrokerFaults
    from live.sandbox.broker_http import on_a_thread
    from live.session_venue import VenueSession
    from live.steady import SteadyClock
    from live.worker import Worker
    from strategies.common.costs import Costs
    from strategies.common.load import load_strategy
    from strategies.common.rule import Rule

    arrived: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "said.py").write_text(SCRIPT)
        strategy = load_strategy(place / "said.py")
        venue = Venue({"AAA": (100.0, 100.02)}.get, time.time_ns, faults=BrokerFaults())
        venue.listeners.append(lambda what, *_: arrived.append(perf_counter_ns()) if what == "new" else None)
        box, make = _broker(name, venue, place)
        with on_a_thread(box.start, box.stop):
            broker = make()
            broker.capabilities = _free(broker)
            broker.patience = Patience(look_s=0.05, look_behind_stream_s=0.05)  # the venue lives when it is asked
            plan = Plan.of(
                strategy, ["AAA"], account="a", rule=Rule(size=0.1), costs=Costs.free(), clock="1m", broker=name,
                limits={"max_order_usd": 1e9}, async_cancels=True,
            )  # fmt: skip
            journal = SqliteJournal.create(place / "a.journal", JournalHeader(plan, Feed("b", True, ""), built()))
            commits = _timed(journal)
            session = VenueSession(_core(plan, strategy), broker, journal, clock=SteadyClock())
            taken = asyncio.run(_trade(session, arrived, Worker("bench"), Row, GATES))
            session.broker.close()
            session.close()
    taken.sort()
    commits.sort()
    p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    return [
        line(f"row to order at the venue, {name}, p50", p50, "ms"),
        line(f"row to order at the venue, {name}, p99", p99, "ms", 20.0),
        line(f"journal commit while trading through {name}, p50", commits[len(commits) // 2], "ms"),
        line(f"journal commit while trading through {name}, p99", commits[int(len(commits) * 0.99)], "ms", 2.0),
    ]


async def _trade(session, arrived, worker, row_type, gates) -> list[float]:
    """Milliseconds of each order; calls go to the worker as in the shell."""
    session.resume()

    async def settle(condition):
        until = time.monotonic() + 15.0
        while not condition():
            if time.monotonic() > until:
                raise RuntimeError(f"the session stands still: {session.core.counts}, {session.core.halted}")
            call = session.next_call()
            if call is None:
                await asyncio.sleep(0.005)
                continue
            session.done(call, await worker.call(lambda call=call: call.run(session.broker)))

    await settle(lambda: session.opened and "orders" not in session.core.desk.tally.state.closed)
    for name in gates:
        if name not in ("reconciled", "orders"):
            session.gate(name, "")
    await settle(lambda: not session.core.desk.tally.state.closed)
    taken, ts = [], 0
    for number in range(ORDERS):
        ts += MINUTE_NS
        price = [100.0]
        row = row_type(ts, 20250102, 600.0, 9_000.0, price, price, price, price, [1.0 + number % 2])
        count = len(arrived)
        start = perf_counter_ns()
        session.row(row)
        await settle(lambda count=count: len(arrived) > count)
        taken.append((arrived[count] - start) / 1e6)
        await settle(lambda: all(order.is_over for order in session.core.orders.values()))
    worker.end()
    return taken


def _core(plan, strategy):
    from live.core.core import Core

    return Core(plan, strategy)


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


def _broker(name, venue, place):
    """A broker's sandbox, and what makes our side of it."""
    from data.settings import Secret
    from live.brokers.alpaca import AlpacaRoute
    from live.brokers.robinhood import broker as official
    from live.brokers.robinhood_private import broker as private
    from live.brokers.wire_desk import Desk
    from live.login import authorize, keep_token
    from live.sandbox.broker_accounts import consent
    from live.sandbox.broker_alpaca import AlpacaBroker
    from live.sandbox.robinhood_mcp import RobinhoodAgent
    from live.sandbox.robinhood_private import RobinhoodPrivate

    if name == "alpaca":
        box = AlpacaBroker(venue)
        return box, lambda: Desk(
            AlpacaRoute(box.http_url, Secret("sandbox-key"), Secret("sandbox-secret"), "paper", box.ws_url)
        )
    if name == "robinhood":
        agent = RobinhoodAgent(venue)

        def log_in():
            shown: list[str] = []
            authorize(
                place / "a.grant", command="", url=agent.url, paste=True, show=shown.append,
                ask=lambda _: consent(shown[-1].partition("\n")[2]),
            )  # fmt: skip
            return official(place / "a.grant", "")

        return agent, log_in
    unofficial = RobinhoodPrivate(venue)

    def token():
        keep_token(place / "a.token", unofficial.token)
        return private(
            place / "a.token", "", unofficial=True, base=unofficial.http_url, say=lambda _: None,
        )  # fmt: skip

    return unofficial, token


def live_set(seconds: float = 20.0) -> list[dict]:
    """Memory and processor of runner and feed process, connected to everything at five symbols with a price book."""
    import psutil

    from data.sources.rehearsal import told
    from live.core.limits import DEFAULTS
    from live.sandbox.broker_accounts import _log_in
    from live.sandbox.market_tape import market_of_seed
    from live.sandbox.server import Sandbox, running

    symbols = ["AAPL", "MSFT", "SPY", "QQQ", "TSLA"]
    market = market_of_seed(7, symbols, 3)
    box = Sandbox(
        market, speed=1.0, live=True, begin_ns=market.session_start(1), skip_closed=True, brokers=True, stamps="tape"
    )
    with tempfile.TemporaryDirectory() as folder, running(box):
        place = Path(folder)
        (place / "state").mkdir()
        _log_in(box, place / "state")
        (place / "often.py").write_text(OFTEN)
        (place / "a.toml").write_text(
            f'name = "sandbox-robinhood"\nstrategy = "often.py"\nbroker = "robinhood"\nfeed = "alpaca:sip"\n'
            f'state = "{place}/state"\nsymbols = {json.dumps(symbols)}\n[limits]\n'
            + "\n".join(f"{name} = {json.dumps(value)}" for name, value in DEFAULTS.items())
        )
        environment = os.environ | box.environment() | {"PYTHONPATH": str(CHECKOUT)}
        environment |= {"ONETAPE_REHEARSAL": told(box.clock, 1.0), "NO_PROXY": "127.0.0.1,localhost"}
        runner = subprocess.Popen(
            [sys.executable, "-m", "live", "run", str(place / "a.toml")], cwd=CHECKOUT, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            status = place / "state/sandbox-robinhood.status"
            end = time.monotonic() + 60.0
            while not status.exists() or json.loads(status.read_bytes())["gates_closed"].get("data") is not None:
                if runner.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("the runner did not come up")
                time.sleep(0.5)
            time.sleep(8.0)  # what the start asked for has ended
            main = psutil.Process(runner.pid)
            family = [main, *main.children(recursive=True)]
            before = [sum(each.cpu_times()[:2]) for each in family]
            time.sleep(seconds)
            cpu = [(sum(each.cpu_times()[:2]) - old) / seconds for each, old in zip(family, before, strict=True)]
            rss = [each.memory_info().rss / 1e6 for each in family]
        finally:
            runner.terminate()
            runner.communicate(timeout=30)
    return [
        line("live process (Robinhood, L2, 5 symbols), resident memory", rss[0], "MB", 120.0),
        line("its feed process, resident memory", sum(rss[1:]), "MB"),
        line("live process, part of a core", cpu[0], "", 0.2),
        line("its feed process, part of a core", sum(cpu[1:]), ""),
    ]


def restart(rows: int = 390) -> list[dict]:
    """Seconds to take up a day's journal: rows of five symbols, an order every third, timers and gates between."""
    from data.rows import Row
    from live.brokers.wire_desk import Desk
    from live.core.commands import Submit
    from live.core.core import Core
    from live.core.events import Fill, Gate, OrderAccepted, OrderSent, Timer
    from live.core.facts import GATES
    from live.core.plan import Plan
    from live.header import Feed, JournalHeader, built
    from live.journal import SqliteJournal
    from live.session_venue import VenueSession
    from live.steady import SteadyClock
    from strategies.common.costs import Costs
    from strategies.common.load import load_strategy
    from strategies.common.rule import Rule

    names = [f"S{chr(65 + j)}X" for j in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "said.py").write_text(SCRIPT)
        strategy = load_strategy(place / "said.py")
        plan = Plan.of(strategy, names, rule=Rule(size=0.05), costs=Costs.free(), clock="1m", broker="alpaca")
        journal = SqliteJournal.create(place / "a.journal", JournalHeader(plan, Feed("b", True, ""), built()))
        core = Core(plan, strategy)
        events = 0

        def take(event):
            nonlocal events
            events += 1
            journal.append_event(event)
            commands = core.step(event)
            journal.append_commands(commands)
            for command in commands:
                if isinstance(command, Submit):
                    take(OrderSent(event.ts, command.order_id))
                    take(OrderAccepted(event.ts, command.order_id, working=True))
                    take(Fill(event.ts, command.order_id, f"x{events}", command.quantity, 100.0, 0.0))

        for name in GATES:
            take(Gate(1, name, open=True))
        for number in range(rows):
            ts = (number + 1) * MINUTE_NS
            price = [100.0] * 5
            says = [1.0 if number % 6 == 0 else 2.0 if number % 6 == 3 else 0.0] * 5
            for step in range(12):
                take(Timer(ts - MINUTE_NS + step))
            book = [[1.0] * 5] * 13
            take(Row(ts, 20250102, number * 60.0, 23_400.0 - number * 60.0, price, price, price, price, says, book))
        journal.commit()
        journal.close()
        start = time.perf_counter()
        session = VenueSession(
            Core(plan, strategy), Desk(_Nobody()), SqliteJournal.open(place / "a.journal"), clock=SteadyClock()
        )
        session.resume()
        seconds = time.perf_counter() - start
        session.journal.close()
    return [line(f"a day's journal taken up ({events} events, {len(core.orders)} orders)", seconds, "s", 5.0)]


class _Nobody:
    """A route that is never opened."""

    place_requests = 1

    @property
    def capabilities(self):
        from live.brokers.alpaca import CAPABILITIES

        return CAPABILITIES


def run() -> list[dict]:
    """Every figure of the live set."""
    os.environ |= dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
    found = [figure for name in ("alpaca", "robinhood", "robinhood_private") for figure in wire(name)]
    return [*found, *restart(), *live_set()]
