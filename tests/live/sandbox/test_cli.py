"""`python -m live sandbox` prints what to export, serves until it is stopped, and refuses in one sentence."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

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
        child.communicate(timeout=60)
    assert child.returncode == 130


def test_mistakes_are_one_sentence(python):
    for arguments, code, sentence in (
        (["--faults", "cat=1"], 2, "error: there is no fault 'cat'"),
        (["--plan", "gold"], 2, "error: there is no plan 'gold'; there is full, basic"),
        (["--faults", "place.cat@1"], 2, "error: 'place.cat@1' is no fault"),
        (["--stamps", "sun"], 2, "error: there is no stamps 'sun'; there is tape, wall"),
        (["--tape", "none.parquet", "--random-walk"], 2, "error: a tape and --random-walk are both given"),
        (["--tape", "none.parquet"], 3, "error: there is no tape none.parquet"),
        (["--begin", "9"], 2, "error: the tape has 5 sessions; 9 of them cannot be history already"),
    ):
        done = python("-m", "live", "sandbox", *arguments)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith(sentence)
        assert "Traceback" not in done.stderr


def test_it_ends_with_the_tape_and_leaves_the_brokers_record(checkout, tmp_path):
    bars, book = random_bars(2, ("AAPL",), 9, "1m", start=20240102)
    write_tape(tmp_path / "a.parquet", bars, book, clock="1m", source="random walk", simulated=True)
    record = tmp_path / "made" / "record.json"
    child = start(
        checkout, "--tape", str(tmp_path / "a.parquet"), "--speed", "1000", "--exit-at-end", "--record", str(record)
    )
    child.communicate(timeout=60)
    assert child.returncode == 0
    told = json.loads(record.read_text())
    assert set(told["brokers"]) == {"alpaca", "robinhood", "robinhood_private"}
    for account in told["brokers"].values():
        assert (account["cash"], account["positions"], account["orders"]) == ("100000", {}, [])
    assert told["clock"]["now"] > int(bars.ts[-1])


def test_the_accounts_it_writes_are_logged_in(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    child = start(checkout, "--sessions", "1", "--write-accounts", str(tmp_path), "--faults", "harsh;seed=2")
    try:
        told = ""
        while not told.endswith("}\n"):
            told += child.stdout.readline()
        assert [Path(path).name for path in json.loads(told)["accounts"]] == [
            "alpaca.toml", "robinhood.toml", "robinhood_private.toml",
        ]  # fmt: skip
        secrets = [path for path in (tmp_path / "state").iterdir() if path.suffix in (".grant", ".token")]
        assert [path.stat().st_mode & 0o777 for path in secrets] == [0o600, 0o600]
        from live.brokers.robinhood_grant import Grant

        grant = Grant(tmp_path / "state" / "sandbox-robinhood.grant", "x")
        assert (grant.account, grant.resource) == ("900000123", json.loads(told)["ROBINHOOD_MCP_URL"])
        assert len(grant.schemas) == 64
        tables = [tomllib.loads((tmp_path / f"{name}.toml").read_text()) for name in ("alpaca", "robinhood_private")]
        assert [table["broker"] for table in tables] == ["alpaca", "robinhood_private"]
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert child.returncode == 130
