"""`python -m live fleet halt | flatten | resume`: a person's word to every account, supervisor or not."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from live.cli_fleet_status import Folder

Note = Annotated[str, typer.Option(help="Why; it is kept in the journals.")]


def halt(folder: Folder, note: Note = "") -> int:
    """Open no new positions in any account, from now on; needs no supervisor and no runner. `resume` lifts it."""
    return _say_all(folder, "halt", note)


def flatten(folder: Folder, note: Note = "") -> int:
    """Halt every account, and leave every position."""
    return _say_all(folder, "flatten", note)


def resume(folder: Folder, note: Note = "") -> int:
    """Lift the halt of every account."""
    return _say_all(folder, "resume", note)


def _say_all(folder: Path, action: Any, note: str) -> int:
    """Every account whose file says where it lies, whether its strategy loads or not; exit 1 where one was missed."""
    from data.errors import ConfigError
    from live.control import Control, Word
    from live.fleet_files import COMMON
    from live.watch.roster import Roster

    missed = 0
    for place in Roster([folder]).places():
        if place.path.name == COMMON:
            continue
        try:
            if place.problem:
                raise ConfigError(place.problem)
            Control(place.state, place.name).say(Word(action, getpass.getuser(), note))
            typer.echo(f"{action}: {place.name}")
        except ConfigError as error:
            missed += 1
            typer.echo(f"NOT {action}: {place.name}: {error}", err=True)
    return 1 if missed else 0
