"""The whole live set against the sandbox: memory and processor of the runner and its feed process, and a restart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
MINUTE_NS = 60_000_000_000
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


def live_set(seconds: float = 60.0) -> list[dict]:
    """Memory and processor of runner and feed process, connected to everything at five symbols with a price book; long
    enough for a row, after which most symbols trade."""
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
            pss = [each.memory_full_info().pss / 1e6 for each in family]
        finally:
            runner.terminate()
            runner.communicate(timeout=30)
    return [
        line("live process (Robinhood, L2, 5 symbols), resident memory", rss[0], "MB", 120.0),
        line("live process, its proportional share (PSS)", pss[0], "MB"),
        line("its feed process, resident memory", sum(rss[1:]), "MB"),
        line("its feed process, its proportional share (PSS)", sum(pss[1:]), "MB"),
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
    return [*restart(), *live_set()]
