"""The live process as it is run, for tests: a sandbox, an account file for one of its brokers, and the processes."""

import json
import os
import subprocess
import sys
import time

from data.errors import UnavailableError
from data.sources.rehearsal import told
from live.core.commands import Submit, decode_command
from live.core.events import Fill, decode_event
from live.core.limits import DEFAULTS
from live.journal import SqliteJournal, exists, steps
from live.sandbox.broker_accounts import _log_in
from live.sandbox.market_tape import market_of_seed
from live.sandbox.server import Sandbox
from live.sandbox.terms import Terms

OFTEN = '''"""Buys and sells by the odd cents of prices: an order every few rows."""
from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars, *, n: int = 2) -> Signals:
    odd = (bars.close * 50.0 + 0.0 * sma(bars.close, n)) % 1.0
    return Signals(odd < 0.5, odd >= 0.5)
'''
SPEED = 60.0
SYMBOLS = ["AAPL", "MSFT", "SPY"]
WIDE = {
    "max_order_usd": 10_000.0, "max_order_pct": 10.0, "max_order_depth_pct": 1e9, "max_order_volume_pct": 1e9,
    "max_position_pct": 30.0, "max_messages_minute": 1_000, "max_messages_hour": 10_000, "max_messages_day": 100_000,
    "max_messages_symbol_minute": 1_000, "max_messages_second": 1_000, "max_entries_symbol_10_minutes": 1_000,
    "max_entries_symbol_day": 10_000, "max_accounts_volume_pct": 1e9, "max_from_close_pct": 1e9, "min_listed_days": 0,
    "min_dollar_volume_usd": 0.0, "cooldown_rows": 0, "max_quote_age_s": 600.0, "max_loss_streak": 10_000,
    "max_stop_outs_day": 10_000, "max_requests_minute": 10_000, "max_day_trades": 10_000, "max_spread_pct": 10.0,
}  # fmt: skip


class World:
    """A sandbox, an account file for one of its brokers, and the processes that run it.

    market: of the sandbox, from its second session on; default: minutes. speed: times as fast as it happened.
    """

    def __init__(self, folder, checkout, key, market=None, speed=SPEED, secret=Terms.secret):
        self.folder, self.checkout, self.processes, self.speed = folder, checkout, [], speed
        market = market or market_of_seed(7, SYMBOLS, 3)
        terms = Terms(key=key, secret=secret)
        self.box = Sandbox(
            market, speed=speed, terms=terms, live=True, begin_ns=market.session_start(1), skip_closed=True,
            brokers=True, stamps="tape",
        )  # fmt: skip

    strategy, limits = OFTEN, WIDE

    def account(self, broker, **more):
        """Write the account's file, logged in."""
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        (self.folder / "often.py").write_text(self.strategy)
        values = {"name": f"sandbox-{broker}", "strategy": "often.py", "broker": broker, "state": str(state),
                  "symbols": SYMBOLS, "feed": "alpaca:sip", **more}  # fmt: skip
        if broker == "robinhood_private":
            values["unofficial"] = True
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        lines += [
            "[limits]",
            *(f"{name} = {json.dumps(self.limits.get(name, value))}" for name, value in DEFAULTS.items()),
        ]
        self.path = self.folder / f"{broker}.toml"
        self.path.write_text("\n".join(lines) + "\n")
        self.journal = state / f"sandbox-{broker}.journal"
        self.status = state / f"sandbox-{broker}.status"
        for left in (2, 1, 0):
            try:
                _log_in(self.box, state)
                break
            except UnavailableError:  # a busy machine answers late
                if not left:
                    raise
        return self.path

    def environment(self):
        """What leads a process here."""
        environment = os.environ | self.box.environment() | {"PYTHONPATH": str(self.checkout)}
        return environment | {"ONETAPE_REHEARSAL": told(self.box.clock, self.speed), "NO_PROXY": "127.0.0.1,localhost"}

    def start(self, *arguments, path=None, **environment):
        """Run the account, or another file's, in the sandbox's environment with `environment` over it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "live", "run", str(path or self.path), *arguments],
            cwd=self.checkout, env=self.environment() | environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def say(self, word, *arguments):
        """A person's word from another terminal; what the command printed."""
        done = subprocess.run(
            [sys.executable, "-m", "live", word, str(self.path), *arguments],
            cwd=self.checkout, env=os.environ | {"PYTHONPATH": str(self.checkout)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def told(self):
        """What the runner last said of itself."""
        return json.loads(self.status.read_bytes()) if self.status.exists() else {}

    def filled(self):
        """Fills in the journal, as another process reads it."""
        return len(read(self.journal)[1]) if exists(self.journal) else 0

    def until(self, condition, process, seconds=90.0):
        end = time.monotonic() + seconds
        while not condition():
            if process.poll() is not None:
                raise AssertionError(process.stderr.read())
            assert time.monotonic() < end, (self.told(), "it never came to be")
            time.sleep(0.1)

    def end(self):
        """No process is left."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdout, process.stderr):
                pipe.close()


def read(path):
    """(orders submitted, fills) of a journal."""
    journal = SqliteJournal.open(path)
    submitted, fills = [], []
    try:
        for step in steps(journal):
            event = decode_event(step.event)
            fills += [event] if isinstance(event, Fill) else []
            submitted += [c for c in map(decode_command, step.commands) if isinstance(c, Submit)]
    finally:
        journal.close()
    return submitted, fills
