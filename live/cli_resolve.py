"""`python -m live resolve`: a person with a name says what became of an order that the broker does not tell of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OUTCOMES = ("never-arrived", "cancelled")


def resolve(
    account: Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")],
    order_id: Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order, as `status` and `show` name it.")],
    outcome: Annotated[str, typer.Argument(metavar="never-arrived|cancelled", help="What became of it.")],
    who: Annotated[str, typer.Option(metavar="NAME", help="Who says so; it is kept in the journal.")] = "",
) -> None:
    """Say what became of an unknown or quarantined order; look at the broker's own page first.

    A running account hears of it at once, any other at its next start. If the broker then shows a fill of it after
    all, the fill contradicts you: trading halts and says so.
    """
    from data.door import did_you_mean
    from data.errors import UsageError
    from live.account import load_account
    from live.cli_control import is_running
    from live.control import Control, Resolved

    if outcome not in OUTCOMES:
        raise UsageError(f"{outcome!r} is no outcome; say {' or '.join(OUTCOMES)}{did_you_mean(outcome, OUTCOMES)}")
    if not who.strip():
        raise UsageError("only a person with a name can say what became of an order: --who NAME")
    loaded = load_account(account)
    Control(loaded.state, loaded.name).resolve(
        Resolved(order_id, "never arrived" if outcome == "never-arrived" else "cancelled", who.strip())
    )
    when = "told its runner" if is_running(loaded) else "not running: its next start hears of it"
    typer.echo(f"{order_id}: {outcome}, says {who.strip()}; {when}")
