"""`python -m live sandbox`: the market on loopback as a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.door import Json

if TYPE_CHECKING:
    from live.sandbox.server import Sandbox


def sandbox(
    tape: Annotated[
        Path | None, typer.Option(metavar="TAPE", help="A recorded or simulated tape; default: a seeded random walk.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.1, max=1000.0, help="Times as fast as the tape happened.")] = 1.0,
    faults: Annotated[
        str,
        typer.Option(metavar="PLAN", help="Such as '429=0.05,cut@3,ws.stall=2/h;seed=11'; see live/sandbox/faults.py."),
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65_534, help="REST here, streams on the next one; 0: any two.")] = 0,
    symbols: Annotated[str, typer.Option(help="Without a tape: the symbols, joined by commas.")] = "AAPL,MSFT,SPY",
    sessions: Annotated[int, typer.Option(min=1, max=250, help="Without a tape: how many sessions.")] = 5,
    seed: Annotated[int, typer.Option(help="Without a tape: of the random walk.")] = 7,
    begin: Annotated[int, typer.Option(min=0, help="Sessions that are history already when time begins.")] = 0,
    plan: Annotated[
        str, typer.Option(help="full, or basic: without trades, quotes and the consolidated feed.")
    ] = "full",
    as_json: Json = False,
) -> None:
    """Serve a tape as Alpaca, Polygon and Robinhood on this machine, and print the variables to export."""
    import asyncio

    from data.errors import UsageError
    from live.sandbox.faults import Faults
    from live.sandbox.market_tape import market_of_seed, market_of_tape
    from live.sandbox.server import Sandbox
    from live.sandbox.terms import Terms

    if plan not in ("full", "basic"):
        raise UsageError(f"there is no plan {plan!r}; there is full, basic")
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    market = market_of_tape(tape) if tape is not None else market_of_seed(seed, names, sessions)
    box = Sandbox(
        market,
        speed=speed,
        faults=Faults.parse(faults),
        terms=Terms(plan=plan),
        live=True,
        begin_ns=market.session_start(begin),
        skip_closed=True,
    )
    asyncio.run(_serve(box, port, as_json))


async def _serve(box: Sandbox, port: int, as_json: bool) -> None:
    import asyncio
    import sys

    from data.door import print_json

    await box.start(port)
    if as_json:
        print_json(box.environment())
    else:
        for name, value in box.environment().items():
            typer.echo(f"export {name}={value}")
        typer.echo(f"# {', '.join(box.market.symbols)} from {box.market.source}; Ctrl-C ends it")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await box.stop()
