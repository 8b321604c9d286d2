"""`python -m live sandbox`: the market on loopback as a command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data.door import Json


def sandbox(
    tape: Annotated[
        Path | None, typer.Option(metavar="TAPE", help="A recorded or simulated tape; default: a seeded random walk.")
    ] = None,
    random_walk: Annotated[bool, typer.Option("--random-walk", help="Say that no tape is meant.")] = False,
    speed: Annotated[float, typer.Option(min=0.1, max=1000.0, help="Times as fast as the tape happened.")] = 1.0,
    faults: Annotated[
        str,
        typer.Option(
            metavar="PLAN",
            help="mild, harsh, or such as '429=0.05,ws.stall=2/h,place.lost@1;seed=11'; docs/sandbox.md lists them.",
        ),
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65_520, help="The first of seven ports; 0: any that are free.")] = 0,
    symbols: Annotated[str, typer.Option(help="Without a tape: the symbols, joined by commas.")] = "AAPL,MSFT,SPY",
    sessions: Annotated[int, typer.Option(min=1, max=250, help="Without a tape: how many sessions.")] = 5,
    seed: Annotated[int, typer.Option(help="Without a tape: of the random walk.")] = 7,
    begin: Annotated[int, typer.Option(min=0, help="Sessions that are history already when time begins.")] = 0,
    plan: Annotated[
        str, typer.Option(help="full, or basic: without trades, quotes and the consolidated feed.")
    ] = "full",
    cash: Annotated[float, typer.Option(min=1.0, help="Dollars of each broker's account at the start.")] = 100_000.0,
    stamps: Annotated[
        str, typer.Option(help="The time that orders carry: the tape's, or wall, as a program of yours may have it.")
    ] = "tape",
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the brokers' own record there at the end, as JSON.")
    ] = None,
    write_accounts: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write an account file for each broker there, logged in.")
    ] = None,
    exit_at_end: Annotated[bool, typer.Option("--exit-at-end", help="End with the tape.")] = False,
    as_json: Json = False,
) -> int:
    """Serve a tape as Alpaca, Polygon, Robinhood and OpenAI on this machine, and print the variables to export."""
    import asyncio
    import os

    from data.errors import UsageError
    from live.sandbox.broker_plan import divided
    from live.sandbox.broker_serve import Wishes, serve
    from live.sandbox.faults import Faults
    from live.sandbox.market_tape import market_of_seed, market_of_tape
    from live.sandbox.server import Sandbox
    from live.sandbox.terms import Terms

    for name, value, known in (("plan", plan, ("full", "basic")), ("stamps", stamps, ("tape", "wall"))):
        if value not in known:
            raise UsageError(f"there is no {name} {value!r}; there is {', '.join(known)}")
    if tape is not None and random_walk:
        raise UsageError("a tape and --random-walk are both given; leave one out")
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    market = market_of_tape(tape) if tape is not None else market_of_seed(seed, names, sessions)
    plans = divided(faults)
    box = Sandbox(
        market,
        speed=speed,
        faults=Faults.parse(plans.market),
        terms=Terms(
            plan=plan,
            # Other keys than the sandbox's own, for a test of where keys are seen.
            key=os.environ.get("SANDBOX_KEY") or Terms.key,
            secret=os.environ.get("SANDBOX_SECRET") or Terms.secret,
        ),
        live=True,
        begin_ns=market.session_start(begin),
        skip_closed=True,
        brokers=True,
        broker_faults=plans.brokers,
        cash=cash,
        stamps=stamps,
    )
    return asyncio.run(serve(box, Wishes(port, as_json, record, write_accounts, exit_at_end)))
