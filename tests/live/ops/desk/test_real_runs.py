"""What is shown of a real run is what its journal says: a paper runner, watched while it trades and after its end."""

import subprocess
import sys
import time

import pytest

from data.calendar import SECOND_NS
from live.core.commands import decode_command
from live.core.events import decode_event
from live.journal import SqliteJournal, steps
from live.ledger import Ledger
from live.metrics.measures import measure
from live.top.page import page
from live.watch.view import Watch


def ledger_of(path):
    """The journal as `python -m live show` reads it."""
    book, ledger = SqliteJournal.open(path), Ledger()
    for step in steps(book):
        ledger.take(decode_event(step.event), [decode_command(body) for body in step.commands])
    book.close()
    return ledger


@pytest.fixture
def running(accounts, tape, checkout):
    """`running(speed)`: a runner over 1,200 rows, and the folder of its account."""
    begun = []

    def start(speed):
        home = accounts("desk")
        process = subprocess.Popen(
            [sys.executable, "-m", "live", "run", str(home / "desk.toml"), "--replay", str(tape(1_200)),
             "--speed", str(speed)],
            cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        begun.append(process)
        return process, home

    yield start
    for process in begun:
        if process.poll() is None:
            process.terminate()
        process.wait()


def test_a_run_is_watched_as_it_trades_and_told_as_its_journal_has_it(running):
    process, home = running(30_000)
    watch, states = Watch([home]), set()
    end = time.monotonic() + 120
    while process.poll() is None:
        assert time.monotonic() < end
        (view,) = watch.look()
        states.add(view.state)
        assert not view.problem
        time.sleep(0.02)
    assert process.returncode == 0
    (view,) = watch.look()
    assert "running" in states
    ledger, story = ledger_of(home / "state" / "desk.journal"), view.story
    assert story.fills == len(ledger.fills) > 50
    filled = {line.order_id: line for line in ledger.orders if line.filled}
    told = {key: order for key, order in story.orders.items() if order.filled}
    assert told.keys() <= filled.keys()
    assert len(told) > 50
    for key, order in told.items():
        line = filled[key]
        assert (order.symbol, order.filled_at, order.price) == (line.symbol, line.filled, pytest.approx(line.price))
        assert order.state == line.state
    held = {symbol: held.quantity for symbol, held in story.held.items() if held.quantity}
    assert held == view.status.positions
    assert story.fees == pytest.approx(sum(fill.fee for fill in ledger.fills))


def test_a_run_that_ended_is_shown_whole(running):
    process, home = running(0)
    process.wait(120)
    watch = Watch([home])
    views = watch.look()
    made = page(views, "", time.time_ns(), wide=True, alerts=home, where="here")
    status = views[0].status
    assert made.accounts[0].cells[4] == f"{status.equity:,.2f}"
    assert len(made.orders) == 100
    assert made.risk
    found = {sample.name: sample.value for sample in measure(views, time.time_ns())}
    assert found["onetape_equity_dollars"] == status.equity
    assert found["onetape_rows_total"] == 1_200
    assert found["onetape_row_timestamp_seconds"] == status.ts / SECOND_NS
    assert found["onetape_orders_total"] >= found["onetape_fills_total"] > 50
    assert "onetape_execution_seconds" not in found  # a paper broker fills with the next row
