"""A person's word against the orders that flow: what the venue takes after it, judged by the venue's own record.

Nobody asserts a time here; how long it takes is measured by `tests/benchmarks/halt.py`.
"""

import os
import signal
import time

import pytest

from live.core.commands import Submit, decode_command
from live.core.events import Operator, OrderSent, decode_event
from live.journal import SqliteJournal, steps
from live.sandbox.server import running
from tests.live.world import World

pytestmark = pytest.mark.xdist_group("live process")

BLOCKED = '''"""Buys and sells by the odd cents of prices; hangs for as long as a file is there."""
from pathlib import Path

from strategies.indicators import sma
from strategies.types import Bars, Signals

CLOCK = "1m"
STOP = Path(__file__).with_name("hang")


def signals(bars: Bars, *, n: int = 2) -> Signals:
    while STOP.exists():
        pass
    odd = (bars.close * 50.0 + 0.0 * sma(bars.close, n)) % 1.0
    return Signals(odd < 0.5, odd >= 0.5)
'''


@pytest.fixture
def world(tmp_path, checkout):
    made = World(tmp_path, checkout, f"key-{os.getpid()}-{tmp_path.name}")
    with running(made.box):
        yield made
        made.end()


def entries_of(path):
    """Of the orders that open: all keys, those marked as sent before the last word, those marked after it."""
    journal = SqliteJournal.open(path)
    entries, before, after, spoken = set(), set(), set(), False
    try:
        for step in steps(journal):
            event = decode_event(step.event)
            if isinstance(event, Operator):
                before, after, spoken = before | after, set(), True
            if isinstance(event, OrderSent):
                (after if spoken else before).add(event.order_id)
            said = map(decode_command, step.commands)
            entries |= {each.order_id for each in said if isinstance(each, Submit) and each.reason == "entry"}
    finally:
        journal.close()
    return entries, before & entries, after & entries


def at_the_venue(world):
    return {order.key for order in world.box.house.venues["alpaca"].orders.values()}


def nothing_new_after(world, process, taken):
    """Rows go by, and what the venue took beyond `taken` opens nothing that was not on the wire already."""
    rows = world.told()["rows"]
    world.until(lambda: world.told()["rows"] > rows + 5, process)
    entries, before, after = entries_of(world.journal)
    assert after == set(), "an entry was marked as sent after the halt"
    late = (at_the_venue(world) - taken) & entries
    assert late <= before
    assert len(late) <= 1, "at most the one that was on the wire"


def ended(process):
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said


@pytest.mark.parametrize("word", ["halt", "flatten"])
def test_the_venue_takes_no_entry_after_the_runner_has_acknowledged_the_word(world, word):
    world.account("alpaca")
    process = world.start()
    world.until(lambda: world.filled() >= 2, process)
    assert "told its runner" in world.say(word, "--note", "a person")
    world.until(lambda: "a person" in world.told().get("halted", ""), process)
    nothing_new_after(world, process, at_the_venue(world))
    if word == "flatten":
        world.until(lambda: not any(world.told()["positions"].values()), process)
        assert not any(world.box.house.venues["alpaca"].positions.values())
    ended(process)


def test_a_word_to_a_stopped_process_is_obeyed_when_it_wakes_before_anything_is_sent(world):
    world.account("alpaca")
    process = world.start()
    world.until(lambda: world.filled() >= 2, process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)  # what had left this machine arrives
    taken = at_the_venue(world)
    assert "told its runner" in world.say("halt", "--note", "while it was stopped")
    assert at_the_venue(world) == taken, "a stopped process sends nothing"
    process.send_signal(signal.SIGCONT)
    world.until(lambda: "while it was stopped" in world.told().get("halted", ""), process)
    nothing_new_after(world, process, taken)
    ended(process)


def test_a_strategy_that_hangs_sends_nothing_and_the_halt_comes_before_what_it_decides(world, tmp_path):
    world.strategy = BLOCKED
    world.account("alpaca")
    process = world.start()
    world.until(lambda: world.filled() >= 2, process)
    (tmp_path / "hang").touch()
    silent = world.status
    while True:  # its status comes every second while it lives
        said = silent.stat().st_mtime_ns
        time.sleep(3.0)
        if silent.stat().st_mtime_ns == said:
            break
    taken = at_the_venue(world)
    assert "told its runner" in world.say("flatten", "--note", "it hangs")
    time.sleep(2.0)
    assert at_the_venue(world) == taken, "nothing is sent, and no position is left either"
    (tmp_path / "hang").unlink()
    world.until(lambda: "it hangs" in world.told().get("halted", ""), process)
    nothing_new_after(world, process, taken)
    world.until(lambda: not any(world.told()["positions"].values()), process)
    ended(process)


def test_a_runner_that_hangs_is_killed_and_its_next_start_obeys_the_word(world):
    world.account("alpaca")
    first = world.start()
    world.until(lambda: world.filled() >= 2, first)
    first.send_signal(signal.SIGSTOP)
    world.say("halt", "--note", "it hung")
    first.kill()
    first.wait()
    taken = at_the_venue(world)
    second = world.start()
    world.until(lambda: "it hung" in world.told().get("halted", ""), second)
    nothing_new_after(world, second, taken)
    ended(second)
