"""The tutorial is run as it stands: its files are written, its commands answer with the exit codes it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_tutorial_runs_from_top_to_bottom(checkout, tmp_path):
    text = (checkout / "docs" / "tutorial.md").read_text("utf-8").replace("/tmp/tutorial", str(tmp_path / "state"))
    answers = {}
    for kind, name, body in BLOCK.findall(text):
        if name:
            (tmp_path / name).write_text(body)
        assert kind == "sh" or name, body
        for line in body.splitlines() if kind == "sh" else ():
            command, _, remark = line.partition("#")
            done = run(command, checkout, tmp_path)
            wanted = int(remark.strip().removeprefix("exit ")) if remark else 0
            assert done.returncode == wanted, f"{command}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr
            answers[command.strip()] = done.stdout
    backtest = next(out for command, out in answers.items() if "backtests run" in command)
    trades = next(out for command, out in answers.items() if "live trades" in command)
    (count,) = re.findall(r"^trades +(\d+)", backtest, flags=re.MULTILINE)
    (gain,) = re.findall(r"^return +([+-]\d+\.\d+)%", backtest, flags=re.MULTILINE)
    paper_count, pnl = re.findall(r"^(\d+) trades, pnl ([+-][\d.]+)", trades, flags=re.MULTILINE)[0]
    assert paper_count == count != "0"
    assert f"{float(pnl) / 1_000:+.2f}" == gain
    assert (tmp_path / "breakout.html").stat().st_size > 50_000


def run(command: str, checkout: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    words = command.split()
    assert words[0] == "python"
    return subprocess.run(
        [sys.executable, *words[1:]],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(checkout), "ONETAPE_STORE": str(folder / "store")},
        capture_output=True,
        text=True,
        check=False,
    )
