"""`python -m live drill NAME`: a disaster, rehearsed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data.door import Json, print_json


def drill(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="vps-loss, l2-outage, rate-limit, token-expiry, disk-full or clock-jump."),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Accounts, journals and logs; default: a folder in out/drills.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Play a disaster on this machine, on paper or against the sandbox, and say what happened. Exit 3 if it failed."""
    import time

    import msgspec

    from live.drills import drill as play
    from live.header import CHECKOUT

    folder = out or CHECKOUT / "out" / "drills" / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    done = play(name, folder.absolute())
    if as_json:
        print_json(msgspec.to_builtins(done) | {"passed": done.passed, "folder": str(folder)})
    else:
        for step in done.steps:
            typer.echo(f"{'ok' if step.ok else 'NOT':<4} {step.what}: {step.said}")
        typer.echo(f"{'passed' if done.passed else 'FAILED'}; for the real case: {done.runbook}; files: {folder}")
    return 0 if done.passed else 3
