"""The commands that `python -m live sandbox --write-accounts DIR` prints start, beside each other, and trade rows."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("live process")


def test_the_commands_it_prints_start_and_trade_rows(checkout, tmp_path):
    plain = os.environ | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    box = subprocess.Popen(
        [sys.executable, "-m", "live", "sandbox", "--speed", "60", "--begin", "2", "--write-accounts", tmp_path],
        cwd=checkout, env=plain | {"SANDBOX_KEY": f"key-{os.getpid()}"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    runners = {}
    try:
        said = []
        while not said or "Ctrl-C" not in said[-1]:
            said.append(box.stdout.readline())
            assert said[-1]
        exported = dict(shlex.split(line)[1].split("=", 1) for line in said if line.startswith("export "))
        for line in said:
            if line.startswith("# python -m live run "):
                words = shlex.split(line)[2:]
                with (tmp_path / f"{Path(words[-1]).stem}.said").open("w") as told:
                    runners[words[-1]] = subprocess.Popen(
                        [sys.executable, *words], cwd=checkout, env=plain | exported,
                        stdout=subprocess.DEVNULL, stderr=told,
                    )  # fmt: skip
        assert len(runners) == 3
        end = time.monotonic() + 240
        for path, runner in runners.items():
            said = tmp_path / f"{Path(path).stem}.said"
            status = tmp_path / "state" / f"sandbox-{Path(path).stem}.status"
            while not status.exists() or json.loads(status.read_bytes())["rows"] == 0:
                assert runner.poll() is None, said.read_text()
                assert time.monotonic() < end, said.read_text()
                time.sleep(0.1)
        for path, runner in runners.items():
            runner.send_signal(signal.SIGTERM)
            assert runner.wait(60) == 0, (tmp_path / f"{Path(path).stem}.said").read_text()
            status = tmp_path / "state" / f"sandbox-{Path(path).stem}.status"
            assert json.loads(status.read_bytes())["ended"] is True
    finally:
        for process in [*runners.values(), box]:
            process.kill()
            process.wait()
        box.stdout.close()
