"""`python -m live doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data.door import Json, print_json

LOGIN_PORT = 8765


def doctor(
    accounts: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR|ACCOUNT.toml...]", help="Accounts to look at as well.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no time server and no venue.")] = False,
    as_json: Json = False,
) -> int:
    """Look at keys, clock, calendar, disk, versions, permissions and network, and say the fix. Exit 3 if bad."""
    import datetime as dt
    import time

    import msgspec

    from live.doctor import host
    from live.doctor_account import account
    from live.fleet_files import COMMON
    from live.header import CHECKOUT

    def today() -> dt.date:
        return dt.datetime.now(dt.UTC).date()

    paths: list[Path] = []
    for given in accounts or ():
        paths += sorted(each for each in given.glob("*.toml") if each.name != COMMON) if given.is_dir() else [given]
    found = list(host(CHECKOUT / "out" / "live", today, online=not offline, ports=(LOGIN_PORT,)))
    for path in paths:
        found += account(path, time.time(), online=not offline)
    bad = sum(each.state == "bad" for each in found)
    if as_json:
        print_json({"findings": msgspec.to_builtins(found), "bad": bad})
        return 3 if bad else 0
    for each in found:
        typer.echo(f"{each.state:<5} {each.about:<12} {each.name:<12} {each.text}")
        if each.fix:
            typer.echo(f"{'':<5} {'':<12} {'':<12} -> {each.fix}")
    typer.echo(f"{bad} to mend" if bad else "nothing to mend")
    return 3 if bad else 0
