"""docs/report.md says what is so: every command runs, in its order, and ends as it says."""

import re
import shlex

import pytest

from backtests.__main__ import app as backtests
from data.door import call

PAGE = "docs/report.md"


@pytest.mark.slow
def test_every_command_and_snippet_runs(checkout, tmp_path, monkeypatch):
    from research.__main__ import app as research

    text = (checkout / PAGE).read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONETAPE_LEDGER", str(tmp_path / "trials.db"))
    doors = {"backtests": backtests, "research": research}
    ran = 0
    for block in re.findall(r"```(?:sh|python)\n(.*?)```", text, flags=re.DOTALL):
        if "JOURNAL" in block:  # its own test has a session: test_session
            continue
        if not block.startswith("python -m"):
            exec(compile(block, PAGE, "exec"), {})
            continue
        for line in block.splitlines():
            command, _, wanted = line.partition("# exit ")
            _, _, room, *arguments = shlex.split(command)
            assert call(doors[room], arguments) == int(wanted or 0), line
            ran += 1
    assert ran >= 7
