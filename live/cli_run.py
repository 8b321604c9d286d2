"""The command `run`: an account over a tape, or on a live feed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from data.door import INTERRUPTED, Json, print_json


def run_account(
    account: Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")],
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="TAPE", help="Trade over this tape, on paper.")
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.0, help="Of a tape: 1 as it happened, 60 a minute in a second, 0 as fast as it goes.")
    ] = 1.0,
    feed: Annotated[
        str, typer.Option(help="The live feed: alpaca, alpaca:sip, polygon ...; default: the account's.")
    ] = "",
    journal: Annotated[Path | None, typer.Option(help="Where the journal lies; default: the account's folder.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Trade money: needs an armed account.")] = False,
    confirm: Annotated[
        str, typer.Option(metavar="SUFFIX", help="The account's suffix, instead of being asked for it.")
    ] = "",
    as_json: Json = False,
) -> int:
    """Trade an account on a live feed or over a tape, from where its journal ends."""
    import msgspec

    from data.errors import UsageError
    from live.account import load_account, with_feed
    from live.cli_arm import checked

    if replay is not None and feed:
        raise UsageError("--replay and --feed are both given; rows come from a tape or from a live feed, keep one")
    told = with_feed(load_account(account), feed)
    checked(told, live=live, confirm=confirm)
    if replay is not None:
        from live.shell import run

        done = run(told, replay, speed, journal)
    else:
        from live.shell import run_live

        done = run_live(told, live=live, journal=journal)
    if as_json:
        print_json(msgspec.structs.asdict(done))
    else:
        typer.echo(_summary(done))
    return INTERRUPTED if done.stopped_by == "SIGINT" else 0


def _summary(done: Any) -> str:
    held = ", ".join(f"{symbol} {quantity:+g}" for symbol, quantity in done.positions.items()) or "flat"
    lines = [
        f"{done.account}: {done.strategy}, {done.rows} rows"
        + (f" ({done.resumed} of them from the journal)" if done.resumed else "")
        + (f", stopped by {done.stopped_by}" if done.stopped_by else ""),
        f"orders    {done.orders}, fills {done.fills}",
        f"equity    {done.equity:,.2f} (cash {done.cash:,.2f}; {held})",
        f"decision  p50 {done.p50_us:.1f} us, p99 {done.p99_us:.1f} us; memory {done.rss_mb:.0f} MB",
        f"journal   {done.journal}",
    ]
    if done.halted:
        lines.append(f"halted    {done.halted}")
    return "\n".join(lines)
