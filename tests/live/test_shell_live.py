"""The live process as it is run: real SDKs, real sockets and processes against the sandbox, killed once on the way."""

import json
import os
import signal
import subprocess
import sys

import pytest

from live.sandbox.server import running
from tests.live.world import World, read

pytestmark = pytest.mark.xdist_group("live process")


@pytest.fixture
def world(tmp_path, checkout):
    made = World(tmp_path, checkout, f"key-{os.getpid()}-{tmp_path.name}")
    with running(made.box):
        yield made
        made.end()


@pytest.mark.parametrize("broker", ["alpaca", "robinhood", "robinhood_private"])
def test_a_session_that_is_killed_goes_on_and_ends_with_the_venues_books(world, broker):
    world.account(broker)
    first = world.start()
    world.until(lambda: world.filled() >= 2, first)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = world.filled()
    second = world.start("--json")
    world.until(lambda: world.filled() > before, second)
    second.send_signal(signal.SIGTERM)
    out, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    done = json.loads(out)
    venue = world.box.house.venues[broker]
    keys = [order.key for order in venue.orders.values()]
    submitted, _ = read(world.journal)
    assert len(keys) == len(set(keys))
    assert set(keys) <= {command.order_id for command in submitted}, "every order at the venue was an intent before"
    assert done["positions"] == {symbol: float(held) for symbol, held in venue.positions.items()}
    assert done["cash"] == pytest.approx(float(venue.cash), abs=0.01)
    assert done["halted"] == ""
    assert world.told()["ended"]


def test_two_runners_for_one_account_never_both_send(world):
    world.account("alpaca")
    first = world.start()
    world.until(lambda: world.told().get("rows", 0) > 0, first)
    second = world.start()
    _, said = second.communicate(timeout=60)
    assert second.returncode == 78
    assert "one runner per account" in said
    assert first.poll() is None


def test_a_halt_works_while_the_broker_hangs(world):
    world.account("alpaca")
    process = world.start()
    world.until(lambda: world.filled() >= 1, process)
    venue = world.box.house.venues["alpaca"]
    venue.faults.add("any.hang@1-1000")
    sent = len(venue.orders)
    halted = subprocess.run(
        [sys.executable, "-m", "live", "halt", str(world.path), "--note", "it hangs"],
        cwd=world.checkout, env=os.environ | {"PYTHONPATH": str(world.checkout)}, capture_output=True, text=True,
    )  # fmt: skip
    assert "told its runner" in halted.stdout
    world.until(lambda: "it hangs" in world.told().get("halted", ""), process)
    rows = world.told()["rows"]
    world.until(lambda: world.told()["rows"] > rows + 2, process)
    assert len(venue.orders) <= sent + 1, "at most the one that was on the wire"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_paper_on_a_live_feed_goes_on_after_a_kill(world):
    world.account("paper")
    first = world.start()
    world.until(lambda: world.filled() >= 2, first)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = world.filled()
    second = world.start("--json")
    world.until(lambda: world.filled() > before, second)
    second.send_signal(signal.SIGTERM)
    out, said = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert json.loads(out)["fills"] > before
    assert world.told()["ended"] is True
    lines = [json.loads(line) for line in world.status.with_suffix(".log").read_text().splitlines()]
    assert [lines[0]["event"], lines[-1]["event"]] == ["run.started", "run.ended"]
    assert "gate.open" in {line["event"] for line in lines}
