"""A fleet against a broker: every account its own, all over one market, under random deaths; its record judges."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from data.errors import ConfigError
from live.account import load_account
from live.control import Control
from live.drills_parts import SYMBOLS, make_account, make_tape
from live.fleet_state import holder, read_status
from live.rehearse_books import compare_books
from live.sandbox.broker_alpaca import AlpacaBroker
from live.sandbox.broker_engine import Venue
from live.sandbox.broker_record import record_of
from live.sandbox.market_tape import market_of_tape
from live.sandbox.server import Sandbox

SPEED = 40.0
PATIENCE_S = 300.0
QUIET_S = 6.0
FEED = f"stream --source alpaca --symbols {','.join(SYMBOLS)} --clock 1m --warm 20"
"""Of the hub: the one connection that a key has."""


class House:
    """A sandbox with as many accounts of Alpaca as are wanted, in a thread; `venues` are the records that judge."""

    def __init__(self, tape, names):
        market = market_of_tape(tape)
        self.box = Sandbox(
            market, speed=SPEED, live=True, begin_ns=market.session_start(1), skip_closed=True, brokers=True
        )
        exchange, floor = self.box.house.exchange, self.box.house.floor
        self.venues = {
            name: Venue(floor.quote, self.box.clock.now, cash=100_000.0, shorts=True, exchange=exchange, fees=False)
            for name in names
        }
        self.brokers = {name: AlpacaBroker(venue, self.box.terms) for name, venue in self.venues.items()}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self):
        self.thread.start()
        self.do(self.box.start())
        for broker in self.brokers.values():
            self.do(broker.start())
        self.box.clock.restart()
        return self

    def __exit__(self, *_):
        for broker in self.brokers.values():
            self.do(broker.stop())
        self.do(self.box.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    async def end(self):
        """Nothing trades any more; what happened can still be asked for."""
        self.box.house.close()

    async def records(self):
        return {name: record_of(venue) for name, venue in self.venues.items()}


def rows_of(home, name):
    try:
        return Control(home / "state", name).status().rows
    except ConfigError:
        return 0


def until(condition, what, process):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()[1][-2_000:]
        assert time.monotonic() < end, what
        time.sleep(0.1)


def traded(tmp_path, checkout, *, count, rows, deaths, seed):
    """Let a fleet trade through so many deaths, and so many rows behind them; then hold all books together."""
    chance, names, home = random.Random(seed), [f"a{k:02d}" for k in range(count)], tmp_path / "accounts"
    killed = Counter()
    with House(make_tape(tmp_path, 2 * 390), names) as house:
        given = house.box.environment()
        for name in names:
            path = make_account(home, name, "alpaca", state=home / "state")
            env = path.with_suffix(".env")
            env.touch(0o600)
            env.write_text(
                f"APCA_API_BASE_URL={house.brokers[name].http_url}\nAPCA_API_KEY_ID={given['APCA_API_KEY_ID']}\n"
                f"APCA_API_SECRET_KEY={given['APCA_API_SECRET_KEY']}\n"
            )
        (home / "fleet.toml").write_text(
            f'state = "{home}/fleet"\n[restart]\nfirst_s = 0.05\nmost_s = 0.5\ncrashes = 1000\n'
        )

        def start():
            words = [sys.executable, "-m", "live", "fleet", "up", home, "--feed", FEED]
            return subprocess.Popen(
                words,
                cwd=checkout,
                env=os.environ | given,
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
            )

        process = start()
        try:
            until(lambda: all(rows_of(home, name) > 0 for name in names), "the first rows", process)
            victims = ["hub", "supervisor"] + ["runner"] * (deaths - 2)
            chance.shuffle(victims)
            for victim in victims:
                time.sleep(chance.uniform(0.2, 1.5))
                if victim == "supervisor":
                    process.kill()
                    process.communicate()
                    process = start()
                    killed[victim] += 1
                    continue
                lock = home / "fleet/hub.lock" if victim == "hub" else home / f"state/{chance.choice(names)}.lock"
                until(lambda lock=lock: holder(lock), f"a holder of {lock.name}", process)
                os.kill(holder(lock), signal.SIGKILL)
                killed[victim] += 1
            before = {name: rows_of(home, name) for name in names}
            until(lambda: all(rows_of(home, name) >= before[name] + rows for name in names), "rows at the end", process)
            house.do(house.end())
            time.sleep(QUIET_S)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=PATIENCE_S)[1]
            assert process.returncode == 0, said[-2_000:]
        finally:
            process.kill()
            for lock in (*home.glob("state/*.lock"), *home.glob("fleet/*.lock")):
                if pid := holder(lock):
                    os.kill(pid, signal.SIGKILL)
        records = house.do(house.records())
    assert killed["supervisor"] == killed["hub"] == 1
    assert {each.state for each in read_status(home / "fleet").runners} == {"stopped"}
    sent = 0
    for name in names:
        account, record = load_account(home / f"{name}.toml"), records[name]
        books = compare_books(account.journal, account.strategy, record)
        assert books.differences == [], name
        keys = [order["key"] for order in record["orders"] if not order["parent"]]
        assert len(keys) == len(set(keys)), name
        assert set(keys) <= {line.key for line in books.orders}, name
        sent += len(keys)
    assert sent >= count
    return killed, sent


def test_five_accounts_at_a_broker_under_random_deaths_have_the_broker_s_books(tmp_path, checkout):
    traded(tmp_path, checkout, count=5, rows=3, deaths=6, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_accounts_at_a_broker_under_random_deaths_have_the_broker_s_books(tmp_path, checkout, seed):
    killed, sent = traded(tmp_path, checkout, count=20, rows=10, deaths=30, seed=seed)
    print(f"{sum(killed.values())} deaths ({dict(killed)}), {sent} orders, 0 differences")
