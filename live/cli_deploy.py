"""`python -m live compose` and `python -m live units`: what a server needs to run a fleet, made from its accounts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of account files.")]
FeedWords = Annotated[
    str, typer.Option("--feed", metavar="WORDS", help="Of `python -m data`, such as 'stream --source alpaca ...'.")
]
BackupTo = Annotated[Path | None, typer.Option("--backup", metavar="FOLDER", help="Also copy journals there.")]


def compose(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The Compose file to write.")],
    feed: FeedWords,
    backup: BackupTo = None,
    image: Annotated[str, typer.Option(help="What the image is called.")] = "onetape",
) -> None:
    """Write a Compose file: a service per account with its env file, limits and health check; and what watches them."""
    import shlex

    import yaml

    from live.deploy_compose import compose as made_of
    from live.fleet_files import load_fleet

    loaded = load_fleet([folder])
    document = made_of(loaded, shlex.split(feed), image=image, backup=backup)
    head = f"# Written by: python -m live compose {folder} --out {out.name}; change the accounts and write it again.\n"
    out.write_text(head + yaml.dump(document, Dumper=_whole(), sort_keys=False, width=120))
    typer.echo(f"{out}: {len(document['services'])} services; start them with")
    typer.echo(f"  docker compose -f {out} --profile paper --profile observability up -d --build")


def _whole() -> type:
    """A YAML writer that repeats what occurs twice, so that each service can be read alone."""
    import yaml

    class Whole(yaml.SafeDumper):
        def ignore_aliases(self, *_: object) -> bool:
            return True

    return Whole


def units(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the unit files go.")],
    feed: FeedWords,
    each: Annotated[bool, typer.Option("--each", help="A unit for every account instead of one supervisor.")] = False,
    backup: BackupTo = None,
    user: Annotated[str, typer.Option(help="That they run as.")] = "onetape",
) -> None:
    """Write systemd units for a server without Docker: Type=notify, watchdog, credentials, hardening."""
    import shlex

    from live.deploy_units import units as made_of
    from live.fleet_files import load_fleet

    found = made_of(load_fleet([folder]), shlex.split(feed), each=each, backup=backup, user=user)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (out / name).write_text(text)
        typer.echo(str(out / name))
    typer.echo("next: look at them, then as root:")
    typer.echo(f"  useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin {user}")
    typer.echo(f"  cp {out}/onetape-*.service /etc/systemd/system/ && systemctl daemon-reload")
    typer.echo(f"  systemctl enable --now {' '.join(found)}")
