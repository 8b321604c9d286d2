"""`python -m live backup` and `python -m live restore`: a fleet survives the loss of its machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data.door import Json, print_json

Accounts = Annotated[list[Path], typer.Argument(metavar="DIR|ACCOUNT.toml...", help="A folder of account files.")]


def backup(
    accounts: Accounts,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Best on another machine's disk.")],
    once: Annotated[bool, typer.Option("--once", help="Copy what is there and end.")] = False,
    every: Annotated[float, typer.Option(min=0.05, max=60.0, help="Seconds between looks.")] = 0.5,
    archives: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also a compressed archive a day, kept --keep-days.")
    ] = None,
    keep_days: Annotated[int, typer.Option(min=1, help="Days an archive is kept.")] = 90,
    as_json: Json = False,
) -> int:
    """Copy journals, account files and halts as they are written, never a secret; until Ctrl-C."""
    import datetime as dt
    import signal
    import threading
    import time

    import msgspec

    from live.backup import Backup, problems
    from live.backup_archive import archive_path, prune, write_archive
    from live.fleet_files import load_fleet
    from live.fleet_notify import notify

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    copying = Backup(load_fleet(accounts), to)
    told: set[str] = set()
    try:
        while True:
            copying.look(time.monotonic())
            notify("READY=1", "WATCHDOG=1")
            for sentence in problems(copying.lags):
                if sentence not in told:
                    told.add(sentence)
                    typer.echo(f"warning: {sentence}", err=True)
            today = dt.datetime.now(dt.UTC).date()
            if archives is not None and (once or not archive_path(archives, today).exists()):
                write_archive(to, archives, today)
                prune(archives, today, keep_days)
            if once or stop.wait(every):
                break
        copying.look(time.monotonic())
    finally:
        copying.close()
    if as_json:
        print_json(msgspec.to_builtins(copying.lags))
    else:
        for lag in copying.lags:
            typer.echo(f"{lag.account}: {lag.problem or (f'record {lag.seq}' if lag.seq >= 0 else 'no journal yet')}")
    return 3 if problems(copying.lags) else 0


def restore(
    source: Annotated[Path, typer.Argument(metavar="ARCHIVE|FOLDER", help="What `backup` wrote.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A folder that holds nothing yet.")],
    as_json: Json = False,
) -> None:
    """Bring a fleet back from its backup, every record checked, and say what to do next. Overwrites nothing."""
    import msgspec

    from data.calendar import utc
    from live.restore import restore as bring_back

    done = bring_back(source, to)
    if as_json:
        print_json(msgspec.to_builtins(done))
        return
    for each in done.accounts:
        last = f"{each.records} records, last row {utc(each.ts)}" if each.ts else "no journal"
        typer.echo(f"{each.name}: {last}{', halted' if each.halted else ''}")
    typer.echo("next:")
    for number, sentence in enumerate(done.next, 1):
        typer.echo(f"  {number}. {sentence}")


def litestream(
    accounts: Accounts,
    replica: Annotated[str, typer.Option(metavar="URL", help="Such as s3://bucket/onetape or file:///mnt/backup.")],
) -> None:
    """Print a litestream configuration for the journals, where litestream is installed; `backup` needs none of it."""
    import shutil

    import yaml

    from data.errors import UsageError
    from live.fleet_files import load_fleet

    if shutil.which("litestream") is None:
        raise UsageError("litestream is not installed; python -m live backup copies the journals without it")
    dbs = [
        {"path": str(member.account.journal), "replicas": [{"url": f"{replica.rstrip('/')}/{member.name}"}]}
        for member in load_fleet(accounts).members
    ]
    typer.echo(
        "# litestream writes and checkpoints through a second connection: use a release whose SQLite is 3.51.3 or\n"
        "# newer (older ones can damage a journal), and keep `python -m live backup` for the account files.\n"
        + yaml.safe_dump({"dbs": dbs}, sort_keys=False)
    )
