"""What every room's door (`python -m <room>`) does the same way: options, errors, exit codes, JSON.

    from typing import Annotated
    import typer
    from data.door import Json, new_app, print_json, run

    app = new_app("What the market said: fetch, store, check.")

    @app.command()
    def show(name: str, as_json: Json = False) -> None:
        \"\"\"One sentence that --help prints.\"\"\"
        from data.store import Store          # heavy imports inside: --help stays under 0.3 s
        ...

    if __name__ == "__main__":
        run(app)

* A command raises an `OnetapeError` to fail: `run` prints `error: <its sentence>` on stderr and exits with its
  code; no traceback. A mistake in the options is the same sentence with exit 2. Anything else is a bug and keeps
  its traceback (exit 1).
* A command ends with another code by `raise typer.Exit(code)`, or by returning it as an int.
* `--json` prints one JSON document on stdout and nothing else there; progress and warnings go to stderr.
* `warnings.warn(sentence)` shows as `warning: <sentence>` on stderr.
* Ctrl-C is 130; a reader that went away (`| head`) ends the program quietly with 141.

typer is imported inside the functions that need it, so the helpers below cost nothing elsewhere.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from data.errors import OnetapeError, UsageError

if TYPE_CHECKING:
    import typer

INTERRUPTED = 130
BROKEN_PIPE = 141
LISTED = 12


def __getattr__(name: str) -> Any:
    """`Json`, the annotation of every `--json` flag, made when first asked for: it needs typer."""
    if name != "Json":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import typer

    return Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


if TYPE_CHECKING:
    Json = bool


def new_app(help: str) -> typer.Typer:  # noqa: A002  # the name typer and every reader know
    """A Typer app with the house's settings: a list of commands when none is given, plain fast help."""
    import typer

    app = typer.Typer(
        help=help,
        invoke_without_command=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def _group(context: typer.Context) -> None:  # also keeps a room with a single command a group
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit(UsageError.exit_code)

    # Annotations are text here and `typer` is local, so say once more what typer is to read.
    _group.__annotations__["context"] = typer.Context

    return app


def run(app: typer.Typer, argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command of `argv` (default: this process's) and leave the process with its exit code."""
    warnings.showwarning = _show_warning
    code = call(app, sys.argv[1:] if argv is None else argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    if code == BROKEN_PIPE:  # Python flushes once more on its way out: give it somewhere to write to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(code)


def call(app: typer.Typer, argv: Sequence[str]) -> int:
    """The exit code of one command, its error printed; what tests call instead of `run`."""
    import typer
    from typer.main import get_command

    command = get_command(app)
    try:
        if "--help" in argv or "-h" in argv:
            text = _help(command, argv)
            if text:
                typer.echo(text)
                return 0
        outcome = command.main(list(argv), standalone_mode=False)
    except OnetapeError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail(_usage(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except SystemExit as stop:
        # typer turns a broken pipe into exit 1 before we see it.
        if isinstance(stop.__context__, BrokenPipeError):
            return BROKEN_PIPE
        return stop.code if isinstance(stop.code, int) else 1
    except OSError as error:
        if error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror}", 1)
    return outcome if isinstance(outcome, int) else 0


def _help(command: Any, argv: Sequence[str]) -> str:
    """The help of the command that `argv` names, '' if it names none.

    typer would answer as well, but to read a single option it loads pydantic, which takes longer than all the rest.
    """
    import typer

    context = typer.Context(command, info_name=_program(), **command.context_settings)
    for word in argv:
        if word.startswith("-"):
            break
        if not hasattr(command, "get_command"):
            continue  # an argument
        command = command.get_command(context, word)
        if command is None:
            return ""
        context = typer.Context(command, info_name=word, parent=context, **command.context_settings)
    return str(command.get_help(context))


def _program() -> str:
    """How this program was started: `python -m data`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else os.path.basename(sys.argv[0])  # noqa: PTH119


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest option, else all of them if they are few, else ''.

    f"no strategy {name!r}{did_you_mean(name, known)}" -> "no strategy 'momentm'; did you mean 'momentum'?"
    """
    known = sorted({str(option) for option in options})
    folded = {option.casefold(): option for option in known}
    near = difflib.get_close_matches(name.casefold(), list(folded), n=1)
    if near:
        return f"; did you mean {folded[near[0]]!r}?"
    return f"; there is {', '.join(known)}" if 0 < len(known) <= LISTED else ""


def parse_assignments(pairs: Iterable[str]) -> dict[str, str]:
    """`["fast=5", "slow=20"]` as `{"fast": "5", "slow": "20"}`; values may hold further `=`.

    Raises:
        UsageError: no `=`, no name before it, or a name given twice.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"{pair!r} is not name=value; write for example fast=5")
        if name in values:
            raise UsageError(f"{name!r} is given twice, as {values[name]!r} and {value.strip()!r}; keep one")
        values[name] = value.strip()
    return values


def print_json(value: Any) -> None:
    """`value` as one JSON document on stdout: NaN and infinity become null, paths and NumPy values plain ones."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    to_list: Callable[[], Any] | None = getattr(value, "tolist", None)
    if to_list is not None:  # NumPy arrays and scalars, without importing NumPy
        return _plain(to_list())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _fail(sentence: str, code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return BROKEN_PIPE
    sys.stderr.write(f"error: {sentence}\n")
    return code


def _usage(error: typer.TyperException) -> str:
    """typer's complaint as our sentence, with the place to look."""
    message = error.format_message().strip().rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message[:1].lower()}{message[1:]} (see {context.command_path} --help)"


def _show_warning(message: Warning | str, *_rest: Any, **_named: Any) -> None:
    sys.stderr.write(f"warning: {message}\n")
