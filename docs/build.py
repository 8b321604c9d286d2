"""Write docs/commands.md from the five doors, and the reference of every module as HTML: `make docs`.

The page is committed and `tests/test_docs.py` keeps it in step; the reference goes to out/docs.
"""

from __future__ import annotations

import argparse
import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

CHECKOUT = Path(__file__).resolve().parent.parent
ROOMS = ("data", "strategies", "backtests", "research", "live")
PAGE = CHECKOUT / "docs" / "commands.md"
HEAD = """# Every command

Written by `make docs` from what the commands say of themselves; `--help` says the same. Exit codes: 0 done,
1 unexpected, 2 usage, 3 a check failed, 4 halted by risk control, 5 a person must log in or approve, 6 a venue did not
answer, 7 books do not match, 75 temporary, 78 configuration, 130 interrupted.
"""


def commands(room: str) -> Iterator[tuple[str, Any]]:
    """("python -m room name", click command) of every command of a room, in the order of its help."""
    app = importlib.import_module(f"{room}.__main__").app
    yield from _walk(typer.main.get_command(app), f"python -m {room}")


def _walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield from _walk(each, f"{path} {name}")
    elif not command.hidden:
        yield path, command


def page() -> str:
    """The text of docs/commands.md."""
    parts = [HEAD]
    for room in ROOMS:
        door = typer.main.get_command(importlib.import_module(f"{room}.__main__").app)
        parts.append(f"## {room}\n\n{door.help}\n")
        parts += [_section(path, command) for path, command in commands(room)]
    return "\n".join(parts)


def _section(path: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and "--help" not in each.opts]
    usage = " ".join([path, *(_shown(each) for each in arguments)])
    lines = [f"### `{usage}`", "", " ".join((command.help or "").split()), ""]
    lines += [f"* `{_shown(each)}`: {_said(each)}" for each in arguments if each.help]
    lines += [f"* `{_flag(each)}`: {_said(each)}" for each in options]
    return "\n".join(lines).rstrip() + "\n"


def _shown(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name += "..." if argument.nargs == -1 else ""
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _flag(option: Any) -> str:
    flags = ", ".join([*option.opts, *option.secondary_opts])
    return flags if option.is_flag else f"{flags} {option.metavar or option.name.rstrip('_').upper()}"


def _said(param: Any) -> str:
    text = " ".join((param.help or "").split())
    default = param.default
    if param.required and param.param_type_name == "option":
        text += " Required."
    elif isinstance(default, str | int | float) and not isinstance(default, bool) and default != "":
        text += f" Default: {default}."
    return text


def reference(folder: Path) -> None:
    """The docstrings of every module as HTML pages."""
    import pdoc
    import pdoc.render

    warnings.filterwarnings("ignore", module="pdoc")  # names that exist only for the type checker
    pdoc.render.configure(docformat="google", footer_text="Onetape")
    pdoc.pdoc(*ROOMS, output_directory=folder)


def main() -> None:
    """Write both; `--page` only the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="only docs/commands.md")
    only_page = parser.parse_args().page
    PAGE.write_text(page(), "utf-8")
    print(PAGE.relative_to(CHECKOUT))
    if not only_page:
        reference(CHECKOUT / "out" / "docs")
        print("out/docs/index.html")


if __name__ == "__main__":
    main()
