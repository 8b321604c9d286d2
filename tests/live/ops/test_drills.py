"""Every drill passes here, has its page, and says so when it does not pass."""

import json
import re
from types import SimpleNamespace

import pytest

from data.errors import ConfigError, UsageError
from live import drills
from live.account import load_account
from live.drills import DRILLS, Drilled, Step, drill
from live.drills_loss import copied
from live.drills_sandbox import keys_of, told_of
from live.drills_window import not_copied
from live.shell import run


def test_a_host_lost_in_the_middle_of_a_session_loses_no_order_at_the_broker(tmp_path):
    """How long it takes is the machine's matter; the loss is counted in the events' own time."""
    steps = {step.what: step for step in copied(tmp_path / "drill")}
    ready = steps.pop("it was ready within 60 s")
    assert re.fullmatch(r"\d+\.\d s from restore to open gates", ready.said)
    assert [step for step in steps.values() if not step.ok] == []
    assert re.fullmatch(r"\d+ of \d+ events, 0\.\d\d s of them", steps["the backup had all but 1 s of events"].said)
    assert {"no order was sent twice", "our books are the broker's"} <= steps.keys()


@pytest.mark.parametrize("leg", ["entry", "exit"])
def test_an_order_that_was_sent_and_not_copied_is_not_sent_again(tmp_path, leg):
    """Not even its intent came back; the broker has it filled, and its record says what left after the restore."""
    steps = {step.what: step for step in not_copied(tmp_path / "drill", leg)}
    side = {"entry": "buy", "exit": "sell"}[leg]
    assert f"{side} " in steps[f"the broker had filled an {leg} of which nothing was copied"].said
    assert "we hold" in steps["it halted and showed both sides"].said
    assert [step for step in steps.values() if not step.ok] == []
    assert {"no order was sent twice", "nothing more of its symbol left"} <= steps.keys()


def test_the_drill_of_a_lost_host_plays_every_loss_and_fails_with_any(tmp_path, monkeypatch):
    monkeypatch.setattr(drills, "copied", lambda _: iter([Step("a", True)]))
    monkeypatch.setattr(drills, "not_copied", lambda _, leg: iter([Step(leg, leg == "entry", "said")]))
    done = drill("vps-loss", tmp_path / "drill")
    assert [(step.what, step.ok) for step in done.steps] == [
        ("all copied: a", True), ("an entry not copied: entry", True), ("an exit not copied: exit", False),
    ]  # fmt: skip
    assert not done.passed


@pytest.mark.parametrize("name", ["clock-jump", "disk-full"])
def test_a_drill_on_paper_passes(tmp_path, name):
    done = drill(name, tmp_path / "drill")
    assert [step for step in done.steps if not step.ok] == []
    assert len(done.steps) >= 4


@pytest.mark.long
@pytest.mark.parametrize("name", ["l2-outage", "rate-limit", "token-expiry"])
def test_a_drill_against_the_sandbox_passes(tmp_path, name):
    done = drill(name, tmp_path / "drill")
    assert [step for step in done.steps if not step.ok] == []


def test_a_fault_that_never_happened_and_a_key_that_is_there_twice_fail_a_drill(tmp_path, monkeypatch):
    """The judge reads the broker's own record, and asks for each fault that was meant."""
    order = {"key": "k", "parent": "", "by_hand": False}
    record = {"brokers": {"alpaca": {"orders": [order, order, order | {"key": "leg", "parent": "k"}]}}}
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert keys_of(tmp_path / "record.json", "alpaca") == (1, ["k"])

    done = SimpleNamespace(
        injected={"market.ws.cut": 1, "look.503": 9}, code=0, starts=1, alerts={},
        parity=SimpleNamespace(different="", rows=3),
        books=SimpleNamespace(differences=[]),
    )  # fmt: skip
    monkeypatch.setattr("live.rehearse.rehearse", lambda *_: done)
    (tmp_path / "drill" / "out").mkdir(parents=True)
    empty = {"brokers": {"robinhood": {"orders": []}}}
    (tmp_path / "drill" / "out" / "record.json").write_text(json.dumps(empty))
    first = next(iter(drills.DRILLS["l2-outage"](tmp_path / "drill")))
    assert not first.ok
    assert first.said == "market.ws.cut 1, look.503 9; never market.ws.stall"


def test_a_run_in_which_nothing_was_told_fails_a_drill(tmp_path, accounts, tape):
    home = accounts("a0", folder="out")
    run(load_account(home / "a0.toml"), tape(60), 0)
    told = told_of(tmp_path, "the broker asked us to wait")
    assert (told.ok, told.said) == (False, "no 'the broker asked us to wait'")


def test_every_drill_has_a_page_that_says_what_to_do(checkout):
    pages = {path.stem for path in (checkout / "docs" / "runbooks").glob("*.md")}
    assert pages == set(DRILLS)
    for name in DRILLS:
        text = (checkout / "docs" / "runbooks" / f"{name}.md").read_text("utf-8")
        for part in ("## What you see", "## What it does by itself", "## What you do", "## It is over when"):
            assert part in text, f"{name}: {part}"
        assert f"python -m live drill {name}" in text
        assert len(text.splitlines()) <= 60


def test_every_command_of_a_page_exists(checkout):
    commands = (checkout / "docs" / "commands.md").read_text("utf-8")
    for path in (*(checkout / "docs" / "runbooks").glob("*.md"), checkout / "docs" / "vps.md"):
        for words in re.findall(
            r"python -m (live(?: fleet)? [a-z]+|strategies [a-z]+|data [a-z]+)", path.read_text("utf-8")
        ):
            assert f"### `python -m {words}" in commands, f"{path.name}: {words}"


def test_a_drill_that_fails_says_so(tmp_path, monkeypatch, capsys):
    from data.door import call
    from live.__main__ import app

    monkeypatch.setitem(drills.DRILLS, "clock-jump", lambda _: iter([Step("it held", False, "it did not")]))
    assert call(app, ["drill", "clock-jump", "--out", str(tmp_path / "a")]) == 3
    assert "NOT  it held: it did not" in capsys.readouterr().out
    assert call(app, ["drill", "clock-jump", "--out", str(tmp_path / "b"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["passed"] is False
    assert Drilled("a", "b", [Step("c", True)]).passed


def test_no_such_drill_and_a_folder_in_use_are_refused(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'vps-loss'"):
        drill("vps-los", tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="not empty"):
        drill("clock-jump", tmp_path)
