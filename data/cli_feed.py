"""`python -m data stream`: live rows for a program that trades on them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.errors import UsageError

if TYPE_CHECKING:
    from data.feed_process import Options

HOURS = ("regular", "extended", "always")


def stream(
    source: Annotated[str, typer.Option(help="The vendor: alpaca or polygon.")],
    symbols: Annotated[str, typer.Option(help="Names, separated by commas.")],
    clock: Annotated[str, typer.Option(help="Clock of the rows: 1s, 5s, 1m, 5m, 15m, 1h, 1d.")] = "1m",
    feed: Annotated[
        str, typer.Option(help="Alpaca: iex, sip, crypto. Polygon: stocks, crypto. Default: iex and stocks.")
    ] = "",
    channels: Annotated[
        str, typer.Option(help="Default: trades,quotes,bars and what more there is; bars alone costs no plan.")
    ] = "",
    hours: Annotated[str, typer.Option(help="regular, extended, or always; default: of the feed.")] = "",
    book: Annotated[bool, typer.Option("--book", help="Read book snapshots as frames from standard input.")] = False,
    warm: Annotated[int, typer.Option(min=0, max=100_000, help="Begin with so many rows of history.")] = 0,
    warm_from: Annotated[str, typer.Option(help="Where they are: store, or a vendor; default: the source.")] = "",
    adjustment: Annotated[str, typer.Option(help="Of that history: split, raw, or all.")] = "split",
    state: Annotated[Path | None, typer.Option(help="Keep the open row here, and go on with it.")] = None,
    wait: Annotated[float, typer.Option(min=0.0, max=60.0, help="Seconds a row waits for late trades.")] = 0.25,
    patience: Annotated[float, typer.Option(min=0.0, help="Seconds a row behind a gap waits for history.")] = 30.0,
    plan: Annotated[int, typer.Option(min=-1, help="Symbols your plan streams; 0: any number.")] = -1,
    rate: Annotated[int, typer.Option(min=0, help="Requests a minute of your plan; 0: the cheapest plan's.")] = 0,
) -> None:
    """Write live rows, the feed's standing and the touch to stdout as binary frames, until Ctrl-C."""
    from data.feed_process import become

    options = _options(source, symbols, clock, feed, channels, hours)
    if sys.stdout.isatty():
        raise UsageError("stream writes binary frames; send them to a program: python -m data stream ... | ...")
    if book and sys.stdin.isatty():
        raise UsageError("--book reads binary frames from standard input; leave it out, or let a program write them")
    import msgspec

    become(
        msgspec.structs.replace(
            options,
            book=book,
            warm=warm,
            warm_from=warm_from,
            adjustment=adjustment,
            state="" if state is None else str(state.resolve()),
            wait_s=wait,
            patience_s=patience,
            plan_symbols=plan,
            rate=rate,
        )
    )


def _options(source: str, symbols: str, clock: str, feed: str, channels: str, hours: str) -> Options:
    """
    Raises:
        UsageError: a source, clock or hours that does not exist.
    """
    from data.calendar import parse_clock
    from data.door import did_you_mean
    from data.feed_process import Options
    from data.sources.base import load_vendor

    load_vendor(source)
    parse_clock(clock)
    feed = feed or {"alpaca": "iex", "polygon": "stocks"}[source]
    crypto = feed == "crypto"
    hours = hours or ("always" if feed in ("crypto", "test") else "regular")
    if hours not in HOURS:
        raise UsageError(f"there are no hours {hours!r}{did_you_mean(hours, HOURS)}")
    wanted = [name.strip() for name in channels.split(",") if name.strip()]
    if not wanted:
        more = ["books"] if crypto else ["statuses"] if source == "alpaca" else []
        wanted = ["trades", "quotes", "bars", *more]
    if not {"trades", "bars"} & set(wanted):
        raise UsageError(f"rows are made of trades or of bars; {', '.join(wanted)} has neither")
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    return Options(source, names, clock, wanted, hours, feed)
