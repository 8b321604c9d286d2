"""Every drill passes here, has its page, and says so when it does not pass."""

import json
import re

import pytest

from data.errors import ConfigError, UsageError
from live import drills
from live.drills import DRILLS, Drilled, Step, drill


@pytest.mark.parametrize("name", ["clock-jump", "disk-full", "vps-loss"])
def test_a_drill_on_paper_passes(tmp_path, name):
    done = drill(name, tmp_path / "drill")
    assert [step for step in done.steps if not step.ok] == []
    assert len(done.steps) >= 4


@pytest.mark.long
@pytest.mark.parametrize("name", ["l2-outage", "rate-limit", "token-expiry"])
def test_a_drill_against_the_sandbox_passes(tmp_path, name):
    done = drill(name, tmp_path / "drill")
    assert [step for step in done.steps if not step.ok] == []


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
