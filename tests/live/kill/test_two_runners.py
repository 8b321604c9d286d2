"""Two real processes for one account: by the venue's own record one of them sends, and the other sends nothing.

A loser is refused before it has asked the broker anything. Where somebody takes the lock file away and starts another
runner while the first one is frozen, the first ends when it wakes up: an order leaves only if the journal has it last.
"""

import os
import signal
import time

import psutil
import pytest

from live.sandbox.broker_http import on_a_thread
from live.sandbox.server import running
from tests.live.decoy import Decoy
from tests.live.proxy.proxy import Proxy
from tests.live.world import World, read

pytestmark = pytest.mark.xdist_group("live process")


@pytest.fixture
def world(tmp_path, checkout):
    made = World(tmp_path, checkout, f"key-{os.getpid()}-{tmp_path.name}")
    with running(made.box):
        yield made
        made.end()


@pytest.fixture
def decoy():
    made = Decoy()
    yield made
    made.close()


def judge(world):
    """The venue's record: no key twice, nothing that the journal has not planned."""
    keys = [order.key for order in world.box.house.venues["alpaca"].orders.values()]
    submitted, _ = read(world.journal)
    assert len(keys) == len(set(keys))
    assert set(keys) <= {command.order_id for command in submitted}
    return keys


def refused(world, decoy, path=None, *arguments):
    """A second runner is refused in one sentence, and the broker has not heard of it."""
    loser = world.start(*arguments, path=path, APCA_API_BASE_URL=decoy.url)
    out, said = loser.communicate(timeout=120)
    assert loser.returncode == 78, said
    assert (out, "Traceback" in said) == ("", False)
    assert said.startswith("error: account ")
    assert said.count("\n") == 1
    assert decoy.heard == []
    return said


def test_no_second_name_of_an_account_or_a_journal_makes_a_second_runner(world, decoy, tmp_path):
    world.account("alpaca")
    first = world.start()
    world.until(lambda: world.filled() >= 1, first)
    file = world.path.read_text()
    (tmp_path / "linked").symlink_to(tmp_path / "state")
    (tmp_path / "by-link.toml").write_text(file.replace(f"{tmp_path}/state", f"{tmp_path}/linked"))
    (tmp_path / "elsewhere.toml").write_text(file.replace(f"{tmp_path}/state", f"{tmp_path}/other"))
    (tmp_path / "the.journal").symlink_to(world.journal)

    assert f"(id {first.pid})" in refused(world, decoy)
    assert f"(id {first.pid})" in refused(world, decoy, tmp_path / "by-link.toml")
    for name in (world.journal, tmp_path / "the.journal"):
        said = refused(world, decoy, tmp_path / "elsewhere.toml", "--journal", str(name))
        assert f"(id {first.pid})" in said
    os.link(world.journal, tmp_path / "hard.journal")
    said = refused(world, decoy, tmp_path / "elsewhere.toml", "--journal", str(tmp_path / "hard.journal"))
    assert "another name" in said
    (tmp_path / "hard.journal").unlink()

    before = world.filled()
    world.until(lambda: world.filled() > before, first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    assert judge(world)


def test_a_frozen_runner_keeps_its_account_and_goes_on_when_it_wakes(world, decoy):
    world.account("alpaca")
    first = world.start()
    world.until(lambda: world.filled() >= 1, first)
    beat = world.journal.with_suffix(".heartbeat")
    first.send_signal(signal.SIGSTOP)
    said = beat.read_bytes()
    frozen = time.monotonic()
    sent = len(world.box.house.venues["alpaca"].orders)
    assert f"(id {first.pid})" in refused(world, decoy)
    while time.monotonic() - frozen < 12.0:  # longer than the heartbeat's 10 s, which it would have renewed by now
        time.sleep(0.2)
    assert beat.read_bytes() == said
    assert f"(id {first.pid})" in refused(world, decoy)
    assert len(world.box.house.venues["alpaca"].orders) <= sent + 1, "at most the one that was on the wire"
    before = world.filled()
    first.send_signal(signal.SIGCONT)
    world.until(lambda: world.filled() > before, first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    assert len(judge(world)) > sent


@pytest.mark.parametrize("later_s", [0.0, 0.31])
def test_a_runner_that_was_taken_over_while_frozen_sends_nothing_new_when_it_wakes(world, later_s):
    world.account("alpaca")
    wire = Proxy(int(world.box.house.alpaca.http_url.rpartition(":")[2]))
    placed = []

    def note(asked):
        if asked.method == "POST" and asked.path.startswith("/v2/orders"):
            placed.append(asked.raw)
        return ""

    wire.plan = note
    with on_a_thread(wire.start, wire.stop):
        first = world.start(APCA_API_BASE_URL=wire.origin)
        world.until(lambda: world.filled() >= 2, first)
        time.sleep(later_s)
        first.send_signal(signal.SIGSTOP)
        for child in psutil.Process(first.pid).children():
            child.kill()  # its feed, which would keep the vendor's one connection
        world.journal.with_suffix(".lock").unlink()  # somebody thought that it was left over
        theirs = {command.order_id for command in read(world.journal)[0]}
        by_first = len(placed)
        second = world.start()
        before = world.filled()
        world.until(lambda: world.filled() > before + 1, second)
        first.send_signal(signal.SIGCONT)
        _, said = first.communicate(timeout=120)
        assert first.returncode != 0
        assert "Traceback" not in said
        late = [raw for raw in placed[by_first:] if not any(key.encode() in raw for key in theirs)]
        assert late == [], "a new order left a runner that was taken over"
        before = world.filled()
        world.until(lambda: world.filled() > before, second)
        second.send_signal(signal.SIGTERM)
        _, said = second.communicate(timeout=120)
        assert second.returncode == 0, said
    assert set(judge(world)) - theirs
    held = {symbol: float(shares) for symbol, shares in world.box.house.venues["alpaca"].positions.items()}
    assert world.told()["positions"] == held
