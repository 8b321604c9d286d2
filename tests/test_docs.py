"""What the front door says is there is there."""

import ast
import re
import runpy
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from data.settings import load_settings
from live import account
from live.core.limits import DEFAULTS
from strategies.common.costs import Costs
from strategies.common.rule import Rule

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    *sorted(path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "docs").glob("**/*.md")),
)


def read(checkout, name):
    return (checkout / name).read_text("utf-8")


def make_targets(checkout):
    """Targets that the Makefile describes for its `help`."""
    return set(re.findall(r"^([a-z]+):.*## ", read(checkout, "Makefile"), flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_a_page_names_exists(checkout, page):
    named = re.findall(r"(?:^    |`)(?:[A-Z_]+=\S+ )*make ([a-z]+)", read(checkout, page), flags=re.MULTILINE)
    assert set(named) - make_targets(checkout) == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_file_a_page_links_to_exists(checkout, page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", read(checkout, page))
    assert [link for link in links if not (checkout / page).parent.joinpath(link).exists()] == []


def test_make_alone_lists_every_public_target(checkout):
    done = subprocess.run(["make", "--no-print-directory"], cwd=checkout, capture_output=True, text=True, check=True)
    phony = set(re.findall(r"^\.PHONY: (.*)$", read(checkout, "Makefile"), flags=re.MULTILINE)[0].split())
    assert set(re.findall(r"make ([a-z]+)", done.stdout)) == phony - {"setup"} == make_targets(checkout)


def test_the_readme_s_strategy_is_a_strategy_file(checkout):
    """One module with a sentence, a clock and a function whose parameters are keyword-only."""
    (block,) = re.findall(r"```python\n(.*?)```", read(checkout, "README.md"), flags=re.DOTALL)
    module = ast.parse(block)
    (function,) = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    assert ast.get_docstring(module)
    assert function.name == "signals"
    assert [each.arg for each in function.args.args] == ["bars", "book"]
    assert len(function.args.kwonlyargs) == len(function.args.kw_defaults) > 0


def test_every_key_the_readme_names_is_a_setting(checkout, tmp_path):
    keys = re.findall(r"`((?:APCA|MASSIVE|POLYGON|OPENAI|RH)_[A-Z_]+)`", read(checkout, "README.md"))
    assert len(keys) >= 8
    for key in keys:
        (tmp_path / "secret").write_text("x")
        given = {key: str(tmp_path / "secret") if key.endswith("_FILE") else "x"}
        settings = load_settings(tmp_path, environ=given)
        assert f"environment {key}" in settings.origin.values()


def test_every_command_is_documented(checkout):
    build = runpy.run_path(str(checkout / "docs" / "build.py"))
    assert read(checkout, "docs/commands.md") == build["page"](), "make docs brings the page in step"


def test_every_account_key_is_documented(checkout):
    """With the default that the code has."""
    text = read(checkout, "docs/accounts.md")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, flags=re.MULTILINE))
    assert list(account._KEYS) == [key for key in rows if key in account._KEYS]
    assert {each.name for each in fields(Rule)} | {each.name for each in fields(Costs)} <= set(rows)
    assert set(DEFAULTS) <= set(rows)
    for kind in (Rule, Costs):
        for each in fields(kind):
            assert rows[each.name] == told(each.default), f"{kind.__name__}.{each.name}"
    for name, value in DEFAULTS.items():
        assert rows[name] == told(value), name


def told(value):
    """A default as an account file writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return "`[" + ", ".join(f'"{each}"' for each in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:_}`"
