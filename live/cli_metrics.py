"""`python -m live metrics`: the Prometheus endpoint of a host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Accounts = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[ACCOUNT.toml|DIR]", help="Account files and folders of them; default: live/accounts."),
]


def metrics(
    accounts: Accounts = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen; 0 takes a free one.")] = 9464,
    address: Annotated[str, typer.Option(help="Loopback by default; no one else should see figures.")] = "127.0.0.1",
    names: Annotated[bool, typer.Option("--names", help="Label accounts by name instead of by salted hash.")] = False,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of salt and alerts; default: out/live.")
    ] = None,
    who: Annotated[bool, typer.Option("--who", help="Print which hash is which account, and end.")] = False,
) -> None:
    """Serve figures of the accounts and the host to Prometheus, until it is stopped."""
    import signal
    import threading

    from live.alerts.book import FOLDER
    from live.fleet_notify import notify
    from live.metrics.endpoint import Figures, serve
    from live.metrics.host import Costs
    from live.metrics.labels import Hashed
    from live.watch.view import Watch

    watch = Watch(accounts or ())
    folder = state or FOLDER
    label = str if names else Hashed(folder / "metrics.salt")
    if who:
        for place in watch.roster.places():
            typer.echo(f"{label(place.name)}  {place.name}")
        return
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server, at = serve(Figures(watch, Costs(), label, folder), address, port)
    typer.echo(f"metrics of {len(watch.roster.places())} accounts at http://{address}:{at}/metrics")
    notify("READY=1")
    stop.wait()
    notify("STOPPING=1")
    server.shutdown()
    server.server_close()
