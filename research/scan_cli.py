"""The command `scan`."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.door import Json, print_json

if TYPE_CHECKING:
    from research.scan import Mover, Scan


def scan(
    place: Annotated[str, typer.Argument(help="store, sample, a tape's path, or a source's or vendor's name.")],
    session: Annotated[str | None, typer.Option(help="As 2024-01-03; default: the one the rows lead up to.")] = None,
    symbols: Annotated[str | None, typer.Option(help="The universe, separated by commas; default: all.")] = None,
    limit: Annotated[int, typer.Option(help="Symbols of the watchlist; the data plan streams five.")] = 5,
    lookback: Annotated[int, typer.Option(help="Sessions that volume and momentum are compared with.")] = 20,
    direction: Annotated[str, typer.Option(help="up, down or both.")] = "both",
    minutes_before: Annotated[float, typer.Option(help="Scan so long before the open.")] = 0.0,
    out: Annotated[Path | None, typer.Option(help="Write the watchlist to this TOML file.")] = None,
    clock: Annotated[str | None, typer.Option(help="Clock of stored rows, or of a vendor's.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the store.")] = None,
    as_json: Json = False,
) -> None:
    """Rank the symbols that move before the open, from rows known by then, into a watchlist."""
    from data.calendar import parse_day
    from research.scan import next_session, sessions_before
    from research.scan import scan as scan_rows
    from research.scan_rows import rows_of
    from research.scan_watchlist import write_watchlist

    names = [name.strip() for name in symbols.split(",") if name.strip()] if symbols else None
    start = None
    if session is not None:
        start = str(parse_day(sessions_before(session, max(lookback, 1) + 1)[0].date))
    rows = rows_of(place, names, clock, start, session, store)
    found = scan_rows(
        rows.bars,
        session if session is not None else next_session(rows.bars),
        limit=limit,
        lookback=lookback,
        direction=direction,
        minutes_before=minutes_before,
    )
    if out is not None:
        write_watchlist(out, found)
    if as_json:
        print_json(found.as_dict() | {"origin": rows.origin, "watchlist": out})
        return
    _show(found, rows.origin["simulated"])
    if out is not None:
        print(f"{len(found.symbols)} symbols in {out}")


def _show(found: Scan, simulated: bool) -> None:
    from data.calendar import parse_day, utc

    source = "SIMULATED " if simulated else ""
    basis = "pre-market" if found.pre_market else "the last session: the rows have no pre-market"
    print(f"{source}movers of {parse_day(found.session)}, known at {utc(found.at_ns)}, volume of {basis}")
    print(f"{'':2}{'rank':>4}  {'symbol':8}{'score':>6}{'price':>12}{'gap':>9}{'volume':>9}{'momentum':>10}")
    for mover in found.movers:
        shown = mover.missing if found.pre_market else {k: why for k, why in mover.missing.items() if k != "gap"}
        print(_row(mover._replace(missing=shown), chosen=mover.rank <= found.limit))
    for symbol, why in sorted(found.left_out.items()):
        print(f"   left out  {symbol}: {why}")


def _row(mover: Mover, *, chosen: bool) -> str:
    gap = "-" if isnan(mover.gap) else f"{mover.gap:+.2%}"
    volume = "-" if isnan(mover.relative_volume) else f"{mover.relative_volume:.2f}x"
    momentum = "-" if isnan(mover.momentum) else f"{mover.momentum:+.2%}"
    why = "; ".join(f"{name.replace('_', ' ')}: {reason}" for name, reason in mover.missing.items())
    line = f"{mover.rank:>4}  {mover.symbol:8}{mover.score:>6.2f}{mover.price:>12.2f}{gap:>9}{volume:>9}{momentum:>10}"
    return f"{'* ' if chosen else '  '}{line}{f'   {why}' if why else ''}"
