"""The door of live: python -m live run | status | halt | resume | flatten | login | arm | replay | show ..."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.door import Json, new_app, print_json, run
from live.cli_alerts import alerts
from live.cli_arm import arm
from live.cli_backup import backup, litestream, restore
from live.cli_capacity import capacity
from live.cli_control import flatten, halt, resume, status
from live.cli_deploy import compose, units
from live.cli_doctor import doctor
from live.cli_drill import drill
from live.cli_export import Since, Symbols, Until, export
from live.cli_fleet import fleet
from live.cli_hub import hub
from live.cli_login import login
from live.cli_metrics import metrics
from live.cli_rehearse import rehearse
from live.cli_resolve import resolve
from live.cli_run import run_account
from live.cli_top import top
from live.cli_watchdog import watchdog
from live.private import keep_private
from live.sandbox.cli import sandbox

if TYPE_CHECKING:
    from live.journal import SqliteJournal
    from live.ledger import Ledger
    from strategies.common.load import Strategy

app = new_app("What is happening: one account, one process.")

AccountFile = Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")]
JournalFile = Annotated[Path, typer.Argument(metavar="JOURNAL", help="A journal that `run` wrote.")]
StrategyFile = Annotated[
    str, typer.Option("--strategy", help="The strategy's file, where it is not one of strategies/.")
]


@app.command(name="replay")
def replay_journal(journal: JournalFile, strategy: StrategyFile = "", as_json: Json = False) -> None:
    """Step a fresh core through a journal: the same commands, byte for byte, or the first that differs."""
    import msgspec

    from live.core.core import Core
    from live.header import code_hash
    from live.journal import SqliteJournal
    from live.replay import replay

    book = SqliteJournal.open(journal)
    try:
        plan = book.header.plan
        done = replay(Core(plan, _strategy(plan.strategy, strategy)), book)
    finally:
        book.close()
    same_code = code_hash() == book.header.built.code
    if as_json:
        print_json(msgspec.structs.asdict(done) | {"same": True, "same_code": same_code})
        return
    typer.echo(
        f"same: {done.commands} commands to {done.events} events ({done.rows} rows), byte for byte; "
        f"{done.digests} state digests equal"
    )
    typer.echo(f"state {done.digest}{'' if same_code else ' (by other code than the journal was written with)'}")


@app.command()
def show(journal: JournalFile, as_json: Json = False) -> None:
    """Print every order of a journal with its fill."""
    import msgspec

    from data.calendar import utc

    book, ledger = _read(journal)
    if as_json:
        print_json(
            {
                "header": msgspec.to_builtins(book.header),
                "rows": ledger.rows,
                "orders": msgspec.to_builtins(ledger.orders),
                "fills": msgspec.to_builtins(ledger.fills),
                "denied": msgspec.to_builtins(ledger.denied),
            }
        )
        return
    plan = book.header.plan
    typer.echo(f"{plan.account}: {plan.strategy} on {', '.join(plan.symbols)}, {ledger.rows} rows of {plan.clock}")
    _table(
        ("decided", "symbol", "quantity", "reason", "state", "filled", "price", "fee"),
        [
            (
                utc(line.decided), line.symbol, f"{line.quantity:+g}", line.reason, line.state,
                utc(line.filled) if line.filled else "", f"{line.price:.4f}" if line.filled else "", f"{line.fee:.4f}",
            )
            for line in ledger.orders
        ],
    )  # fmt: skip


@app.command()
def trades(
    journal: JournalFile, since: Since = "", until: Until = "", symbol: Symbols = "", as_json: Json = False
) -> None:
    """Print the closed trades of a journal, entry to exit; those that ended in these sessions."""
    import msgspec

    from data.calendar import utc
    from live.export import of_sessions

    _, ledger = _read(journal)
    closed = of_sessions(ledger.trades(), lambda line: line.exit_ts, since=since, until=until, symbols=symbol)
    if as_json:
        print_json(msgspec.to_builtins(closed))
        return
    _table(
        ("symbol", "quantity", "entered", "price", "left", "price", "reason", "fees", "pnl"),
        [
            (
                line.symbol, f"{line.quantity:+g}", utc(line.entry_ts), f"{line.entry_price:.4f}",
                utc(line.exit_ts), f"{line.exit_price:.4f}", line.reason, f"{line.fees:.2f}", f"{line.pnl:+.2f}",
            )
            for line in closed
        ],
    )  # fmt: skip
    typer.echo(f"{len(closed)} trades, pnl {sum(line.pnl for line in closed):+.2f}")


@app.command()
def limits(as_json: Json = False) -> None:
    """Print every limit an account file can set, with values for a small account."""
    from live.core.limits import DEFAULTS
    from live.risk_limits import proposed

    if as_json:
        print_json(DEFAULTS)
        return
    typer.echo(proposed())


def _read(path: Path) -> tuple[SqliteJournal, Ledger]:
    from live.core.commands import decode_command
    from live.core.events import decode_event
    from live.journal import SqliteJournal, steps
    from live.ledger import Ledger

    book, ledger = SqliteJournal.open(path), Ledger()
    try:
        for step in steps(book):
            ledger.take(decode_event(step.event), [decode_command(body) for body in step.commands])
    finally:
        book.close()
    return book, ledger


def _strategy(name: str, given: str) -> Strategy:
    from strategies.common.load import load_strategy

    return load_strategy(given or name)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    for line in (head, *rows):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


app.command(name="run")(run_account)
app.command()(sandbox)
app.command()(rehearse)
app.command()(export)
for each in (login, arm, status, halt, resume, flatten, resolve, watchdog, hub, metrics, top):
    app.command()(each)
app.add_typer(fleet, name="fleet")
app.add_typer(alerts, name="alerts")
for more in (backup, restore, litestream, doctor, compose, units, capacity, drill):
    app.command()(more)

if __name__ == "__main__":
    keep_private()
    run(app)
