"""`python -m live watchdog`: when a runner stays silent, its entry orders are cancelled; nothing is ever sold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def watchdog(
    account: Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")],
    after: Annotated[float, typer.Option(min=30.0, help="Seconds of silence after which entries are cancelled.")] = 120,
    once: Annotated[bool, typer.Option("--once", help="Look once, act if it is time, and end.")] = False,
) -> int:
    """Watch a runner's heartbeat; after two minutes of silence take its account and cancel its entry orders.

    It never trades: stops and targets stand at the broker and stay there. A runner that hangs holds its account, which
    is then told (exit 4); one that is dead has let go of it.
    """
    import time

    from live.account import load_account
    from live.watchdog import LOOK_EVERY_S, look

    told = load_account(account)
    while True:
        said = look(told, time.time_ns(), after)
        if said is not None:
            typer.echo(said.text, err=said.code != 0)
            if once or said.code:
                return said.code
        elif once:
            return 0
        time.sleep(LOOK_EVERY_S)
