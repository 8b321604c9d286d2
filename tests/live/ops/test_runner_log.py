"""What a runner leaves behind: its beginning, alerts and end in its log, and a last word that says it has ended."""

import json
import subprocess
import sys

import pytest

from live.account import load_account
from live.control import Control, Word


def lines_of(account):
    path = account.state / f"{account.name}.log"
    assert path.stat().st_mode & 0o777 == 0o600
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("words", [("run",), ("fleet", "run")])
def test_alerts_go_to_the_log_and_the_last_word_says_that_it_ended(accounts, tape, checkout, words):
    account = load_account(accounts("a0") / "a0.toml")
    Control(account.state, "a0").say(Word("halt", "ann", "too quick"))
    done = subprocess.run(
        [sys.executable, "-m", "live", *words, account.path, "--replay", tape(60), "--speed", "0"],
        cwd=checkout, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = lines_of(account)
    assert [lines[0]["event"], lines[-1]["event"]] == ["run.started", "run.ended"]
    assert {line["account"] for line in lines} == {"a0"}
    assert (lines[-1]["rows"], lines[-1]["orders"]) == (60, 0)
    said = [line.split(": ", 2) for line in done.stderr.splitlines() if line.count(": ") >= 2]
    assert said
    assert [[line["level"], line["event"], line["text"]] for line in lines[1:-1]] == said
    assert Control(account.state, "a0").status().ended is True


def test_what_ended_it_before_its_time_is_in_the_log_and_it_does_not_say_that_it_ended(accounts, tape, checkout):
    account = load_account(accounts("a0") / "a0.toml")
    command = [sys.executable, "-m", "live", "run", account.path, "--speed", "0", "--replay"]
    for seed in (3, 4):
        done = subprocess.run([*command, tape(60, seed)], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 78
    last = lines_of(account)[-1]
    assert (last["event"], last["level"], last["kind"]) == ("run.failed", "error", "ConfigError")
    assert done.stderr == f"error: {last['text']}\n"
