"""`python -m live sandbox` prints what to export, serves until it is stopped, and refuses in one sentence."""

import json
import os
import signal
import subprocess
import sys

from data.settings import load_settings
from data.sources import alpaca
from data.sources.random_walk import random_bars
from data.tape import content_hash, write_tape


def start(checkout, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "live", "sandbox", "--json", *arguments],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_what_it_prints_leads_the_real_sdk_to_the_tape(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    bars, book = random_bars(3 * 390, ("AAPL", "MSFT"), 9, "1m", start=20240102)
    write_tape(tmp_path / "a.parquet", bars, book, clock="1m", source="random walk", simulated=True)
    child = start(checkout, "--tape", str(tmp_path / "a.parquet"), "--begin", "2", "--speed", "10", "--faults", "429@1")
    try:
        told = ""
        while not told.endswith("}\n"):
            told += child.stdout.readline()
        environ = {name: value for name, value in json.loads(told).items() if name != "no_proxy"}
        settings = load_settings(tmp_path, environ=environ)
        found = alpaca.history(["AAPL", "MSFT"], 20240102, 20240103, adjustment="raw", settings=settings)
        assert content_hash(found) == content_hash(bars.rows(0, 2 * 390))
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=10)
    assert child.returncode == 130


def test_mistakes_are_one_sentence(python):
    for arguments, code, sentence in (
        (["--faults", "cat=1"], 2, "error: there is no fault 'cat'"),
        (["--plan", "gold"], 2, "error: there is no plan 'gold'; there is full, basic"),
        (["--tape", "none.parquet"], 3, "error: there is no tape none.parquet"),
        (["--begin", "9"], 2, "error: the tape has 5 sessions; 9 of them cannot be history already"),
    ):
        done = python("-m", "live", "sandbox", *arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith(sentence)
        assert "Traceback" not in done.stderr
