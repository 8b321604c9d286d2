"""docs/research.md says what is so: every command runs, every gate, picture and option exists."""

import inspect
import re
import shlex

import pytest

from data.door import call
from research import plots, seal_cli, sweep_cli, validate_cli
from research.__main__ import app
from research.validate import GATES

PAGE = "docs/research.md"


@pytest.fixture
def page(checkout):
    return (checkout / PAGE).read_text("utf-8")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def table(page, heading):
    """The first column of the table under a heading."""
    part = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", part, flags=re.MULTILINE)


def test_every_command_of_the_page_ends_as_it_says(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONETAPE_LEDGER", str(tmp_path / "trials.db"))
    monkeypatch.setenv("ONETAPE_STORE", str(tmp_path / "store"))
    lines = [line for block in blocks(page, "sh") for line in block.strip().splitlines()]
    assert len(lines) >= 12
    for line in lines:
        want = int(found[1]) if (found := re.search(r"# exit (\d+)$", line)) else 0
        words = shlex.split(line, comments=True)
        assert words[:3] == ["python", "-m", "research"]
        assert call(app, words[3:]) == want, line
        said = capsys.readouterr()
        assert said.out if want in (0, 3) else said.err
    assert (tmp_path / "out/sweep.parquet").exists()
    assert sorted(file.name for file in (tmp_path / "out/pictures").iterdir()) == sorted(table(page, "Pictures"))


def test_the_python_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (source,) = blocks(page, "python")
    exec(compile(source, PAGE, "exec"), {})
    assert (tmp_path / "surface.png").exists()


def test_every_gate_is_on_the_page_in_its_order(page):
    assert tuple(table(page, "Validate")) == GATES


def test_every_function_and_option_named_exists(page):
    assert all(hasattr(plots, name) for name in re.findall(r"`(\w+_figure)`", page))
    options = {f"--{name.strip('_').replace('_', '-')}" for command in (
        sweep_cli.sweep_command, validate_cli.validate, validate_cli.trials, seal_cli.seal, seal_cli.open_seal,
    ) for name in inspect.signature(command).parameters}  # fmt: skip
    known = options | {"--json", "--from", "--head"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) <= known
