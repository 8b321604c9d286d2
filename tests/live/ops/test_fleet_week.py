"""Days of a fleet under random deaths: every account ends as one that nobody disturbed, to the last order."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from live.account import load_account
from live.control import Control
from live.core.core import Core
from live.fleet_state import holder, read_status
from live.fleet_tail import reading
from live.journal import SqliteJournal
from live.replay import replay
from live.shell import run


def orders_of(path):
    """Every order of a journal in the order it was planned, without the account's own keys."""
    with reading(path) as db:
        return db.execute("SELECT seq, length(body_hash) FROM intent ORDER BY seq").fetchall()


def lived(accounts, tape, checkout, *, count, rows, speed, deaths, seed):
    chance = random.Random(seed)
    names = [f"a{k:02d}" for k in range(count)]
    home = accounts(*names)
    (home / "fleet.toml").write_text(
        f'state = "{home}/fleet"\n[restart]\nfirst_s = 0.02\nmost_s = 0.2\ncrashes = 1000\n'
    )
    words = [sys.executable, "-m", "live", "fleet", "up", home, "--replay", tape(rows), "--speed", f"{speed:g}"]
    process = subprocess.Popen(words, cwd=checkout, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    killed = {"runner": 0, "hub": 0, "supervisor": 0}
    try:
        while process.poll() is None and sum(killed.values()) < deaths:
            time.sleep(chance.uniform(0.1, 0.6))
            victim = chance.choices(("runner", "hub", "supervisor"), (8, 1, 1))[0]
            if victim == "supervisor":
                process.kill()
                process.communicate()
                killed[victim] += 1
                process = subprocess.Popen(
                    words, cwd=checkout, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
                )
                continue
            lock = home / "fleet" / "hub.lock" if victim == "hub" else home / "state" / f"{chance.choice(names)}.lock"
            if pid := holder(lock):
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed[victim] += 1
                except ProcessLookupError:
                    continue
        said = process.communicate(timeout=240)[1]
        assert process.returncode == 0, said[-2_000:]
    finally:
        process.kill()
        for lock in (*home.glob("state/*.lock"), home / "fleet" / "hub.lock"):
            if pid := holder(lock):
                os.kill(pid, signal.SIGKILL)
    told = {each.name: each for each in read_status(home / "fleet").runners}
    assert {each.state for each in told.values()} == {"done"}, told
    assert sum(killed.values()) > 0

    alone = accounts("a00", folder="alone")
    expected = run(load_account(alone / "a00.toml"), tape(rows), 0)
    planned = len(orders_of(alone / "state" / "a00.journal"))
    for name in names:
        status = Control(home / "state", name).status()
        assert (status.rows, status.cash, status.equity) == (rows, expected.cash, expected.equity), name
        assert len(orders_of(home / "state" / f"{name}.journal")) == planned, name
    account = load_account(home / f"{names[0]}.toml")
    book = SqliteJournal.open(account.journal)
    try:
        assert replay(Core(book.header.plan, account.strategy), book).rows == rows
    finally:
        book.close()
    assert read_status(home / "fleet").divergences == []


def test_two_days_of_four_accounts_under_random_deaths(accounts, tape, checkout):
    lived(accounts, tape, checkout, count=4, rows=780, speed=4_000, deaths=10, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_week_of_twenty_accounts_under_random_deaths(accounts, tape, checkout, seed):
    lived(accounts, tape, checkout, count=20, rows=1_950, speed=2_400, deaths=60, seed=seed)
