"""`python -m live status | halt | resume | flatten`: a person's word from another terminal."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.door import Json, print_json

if TYPE_CHECKING:
    from live.account import Account
    from live.control import Action

AccountFile = Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")]
Note = Annotated[str, typer.Option(help="Why; it is kept in the journal.")]


def status(account: AccountFile, as_json: Json = False) -> None:
    """Print what the account's runner last said of itself, and whether it runs."""
    import msgspec

    from data.calendar import utc
    from live.account import load_account
    from live.control import Control

    loaded = load_account(account)
    control = Control(loaded.state, loaded.name)
    told, running, standing = control.status(), is_running(loaded), control.standing()
    if as_json:
        print_json(msgspec.structs.asdict(told) | {"running": running, "halt_stands": standing is not None})
        return
    held = ", ".join(f"{symbol} {quantity:+g}" for symbol, quantity in told.positions.items()) or "flat"
    typer.echo(f"{told.account}: {told.strategy}, {'running as ' + str(told.pid) if running else 'not running'}")
    typer.echo(f"rows      {told.rows}, the last of {utc(told.ts) if told.ts else 'none'}")
    typer.echo(f"equity    {told.equity:,.2f} (cash {told.cash:,.2f}; {held})")
    typer.echo(f"orders    {told.open_orders} open, {told.unknown} unknown")
    for code, count in sorted(told.denied.items()):
        typer.echo(f"denied    {code} {count}")
    for gate, why in sorted(told.gates_closed.items()):
        typer.echo(f"waits     {gate}: {why or 'not yet green'}")
    if told.halted or standing is not None:
        typer.echo(f"halted    {told.halted or 'from the next row or start on'}")


def halt(account: AccountFile, note: Note = "") -> None:
    """Open no new positions from now on, running or not; waiting entries are cancelled."""
    _say(account, "halt", note)


def resume(
    account: AccountFile,
    note: Note = "",
    cash: Annotated[
        float | None,
        typer.Option(metavar="DOLLARS", help="The broker's cash as you see it there: ours becomes that, to the cent."),
    ] = None,
) -> None:
    """Lift a halt; losses count from here."""
    _say(account, "resume", note, cash)


def flatten(account: AccountFile, note: Note = "") -> None:
    """Halt, and leave every position."""
    _say(account, "flatten", note)


def _say(path: Path, action: Action, note: str, cash: float | None = None) -> None:
    from live.account import load_account
    from live.control import Control, Word

    loaded = load_account(path)
    Control(loaded.state, loaded.name).say(Word(action, getpass.getuser(), note, cash))
    when = "told its runner" if is_running(loaded) else "not running: its next start obeys"
    typer.echo(f"{action}: {loaded.name}, {when}")


def is_running(account: Account) -> bool:
    """True where a process holds the account's lock."""
    import fcntl

    try:
        with account.lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
