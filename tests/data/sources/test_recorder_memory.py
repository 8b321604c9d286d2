"""A recorder whose feed was lost and filled in is as small as one whose feed was not."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.errors import DataError
from data.events import Bar, Gap
from data.tape_events import replay
from live.sandbox.faults import Faults
from live.sandbox.server import Sandbox, running


def filled_in(tape):
    """Bars of a minute that was over before the feed was back, received after it was."""
    try:
        events = list(replay(tape))
    except DataError:
        return []
    backs = [each.recv_ts for each in events if isinstance(each, Gap) and "is back" in each.reason]
    return [each for each in events if isinstance(each, Bar) and backs and each.venue_ts < backs[0] < each.recv_ts]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("source", ["alpaca", "polygon"])
def test_a_recorder_that_filled_a_gap_holds_less_than_its_budget(source, day_market, tmp_path, checkout):
    tape = tmp_path / "tape"
    argv = ["--source", source, "--symbols", "AAPL,MSFT", "--channels", "trades,bars", "--out", tape, "--flush", "0.1"]
    faults = ",".join(f"ws.cut@{120 * n}s" for n in range(1, 60))
    sandbox = Sandbox(day_market, speed=60.0, live=True, faults=Faults.parse(faults))
    environment = sandbox.environment  # known once it runs
    with running(sandbox):
        more = environment() | {"PYTHONPATH": str(checkout), "ONETAPE_STORE": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-m", "data", "record", *argv], cwd=checkout, env=os.environ | more, text=True
        )
        try:
            end = time.monotonic() + 240
            while not filled_in(tape):
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.2)
            status = Path(f"/proc/{process.pid}/status").read_text()
            mapped = Path(f"/proc/{process.pid}/maps").read_text()
        finally:
            process.terminate()
            process.wait(30)
    assert "pandas" not in mapped
    assert int(re.search(r"VmRSS:\s+(\d+)", status)[1]) < 100 * 1_024
