"""`python -m live top`: the dashboard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from data.errors import UsageError

Accounts = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[ACCOUNT.toml|DIR]", help="Account files and folders of them; default: live/accounts."),
]


def top(
    accounts: Accounts = None,
    every: Annotated[float, typer.Option(min=0.25, help="Seconds between looks when nothing changes.")] = 5.0,
    book: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the alert daemon's book.")] = None,
) -> None:
    """Show the accounts of this host as they run; halt, flatten or resume one by typing its name."""
    if not sys.stdout.isatty():
        raise UsageError("top needs a terminal; python -m live status ACCOUNT.toml --json is for programs")
    from live.alerts.book import FOLDER
    from live.top.app import Top
    from live.watch.view import Watch

    watch = Watch(accounts or ())
    where = ", ".join(str(path) for path in watch.roster.paths)
    Top(watch, every_s=every, alerts=book or FOLDER, where=where).run()
