"""What every notebook keeps to: its number, its title, what its data are, labelled axes, public names, no machine."""

import ast
import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FILES = sorted(NOTEBOOKS.glob("*.py"))

every = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def cells(path: Path) -> list[tuple[str, str]]:
    """(kind, text) of the cells: `markdown` without its comment signs, `code` as it stands."""
    found = []
    for part in re.split(r"^# %%", path.read_text(), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        text = re.sub(r"^# ?", "", body, flags=re.MULTILINE) if "[markdown]" in head else body
        found.append(("markdown" if "[markdown]" in head else "code", text))
    return found


def code(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_they_are_ten_and_numbered_without_a_gap():
    assert [path.name[:3] for path in FILES] == [f"{number:02}_" for number in range(1, 11)]


def test_the_readme_lists_each_of_them_in_order():
    listed = re.findall(r"^\| `(\w+)`", (NOTEBOOKS / "README.md").read_text(), flags=re.MULTILINE)
    assert listed == [path.stem for path in FILES]


@every
def test_it_begins_with_a_title_and_says_what_its_data_are(path):
    kind, first = cells(path)[0]
    assert kind == "markdown"
    assert first.lstrip().startswith("# ")
    words = " ".join(text for kind, text in cells(path)[:3] if kind == "markdown").lower()
    assert re.search(r"\breal\b|\bsimulated\b|made up", words)


@every
def test_what_is_simulated_is_said_to_be(path):
    sources = {node.module for node in ast.walk(code(path)) if isinstance(node, ast.ImportFrom)}
    words = " ".join(text for kind, text in cells(path) if kind == "markdown")
    if "data.sources.simulated" in sources:
        assert "**simulated**" in words


@every
def test_it_imports_only_public_names_and_never_live(path):
    for node in ast.walk(code(path)):
        if isinstance(node, ast.ImportFrom):
            assert not [alias.name for alias in node.names if alias.name.startswith("_")]
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not [name for name in names if name.split(".")[0] in ("live", "tests", "notebooks")]
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_") or node.attr.startswith("__")


@every
def test_it_names_no_place_of_a_machine_and_leaves_no_folder(path):
    text = path.read_text()
    assert not re.search(r"""["'(](/home|/work|/tmp|/root|/Users|[A-Z]:\\)""", text)
    if "tempfile" in text:
        assert "TemporaryDirectory()" in text
        assert "folder.cleanup()" in text


@every
def test_every_figure_of_its_own_names_its_axes(path):
    for kind, text in cells(path):
        if kind == "code" and "plt.subplots" in text:
            assert "xlabel" in text or "set_xticks" in text, text
            assert "ylabel" in text or "barh" in text or "yticks=[]" in text, text


@every
def test_its_random_numbers_have_a_seed(path):
    for node in ast.walk(code(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "default_rng":
            assert node.args
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "market":
            assert "seed" in {keyword.arg for keyword in node.keywords}


@every
def test_text_between_cells_is_short(path):
    for kind, text in cells(path):
        if kind == "markdown":
            assert len(text.split()) <= 130, text
