"""`python -m live hub`: one connection to a vendor for every runner on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def hub(
    socket: Annotated[Path, typer.Argument(metavar="SOCKET", help="Where the runners find it, such as out/hub.sock.")],
    feed: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- FEED...]", help="Of `python -m data`: such as -- stream --source alpaca ..."),
    ] = None,
    replay: Annotated[Path | None, typer.Option("--replay", metavar="TAPE", help="Play a tape instead.")] = None,
    speed: Annotated[float, typer.Option(min=0.0, help="Of the tape; 0 as fast as the slowest reader takes it.")] = 1.0,
) -> None:
    """Serve one feed to every runner on this machine over a local socket, until Ctrl-C."""
    import asyncio

    from data.errors import UsageError
    from live.fleet_notify import notify
    from live.hub import Hub, feed_command, serve

    if (replay is None) == (not feed):
        raise UsageError("say either --replay TAPE or a feed behind --, such as -- stream --source alpaca")
    made = Hub(
        feed_command(replay, speed, feed or ()), socket, lossless=replay is not None and speed == 0,
        patient=replay is None,
    )  # fmt: skip

    asyncio.run(serve(made, lambda: notify("READY=1")))
    typer.echo(f"hub: {made.log.rows} rows, {made.dropped} slow readers let go", err=True)
