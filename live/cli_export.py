"""The command `export`: every order of a journal with its reason, as JSONL or Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data.door import Json, print_json

Since = Annotated[str, typer.Option(metavar="DATE", help="First session, as 2024-01-02.")]
Until = Annotated[str, typer.Option(metavar="DATE", help="Last session, included.")]
Symbols = Annotated[str, typer.Option("--symbol", metavar="A,B", help="Symbols, separated by commas; default: all.")]


def export(
    journals: Annotated[list[Path], typer.Argument(metavar="JOURNAL", help="Journals that `run` wrote.")],
    out: Annotated[Path, typer.Option(help="The file to write: .jsonl or .parquet.")],
    since: Since = "",
    until: Until = "",
    symbol: Symbols = "",
    as_json: Json = False,
) -> None:
    """Write every order with what decided it, what it met and what it earned, as JSONL or Parquet."""
    from live.export import of_sessions, read_records, write_records

    records = [each for path in journals for each in read_records(path)]
    chosen = of_sessions(records, lambda record: record.decided, since=since, until=until, symbols=symbol)
    count = write_records(chosen, out)
    if as_json:
        print_json({"out": str(out), "orders": count})
        return
    typer.echo(f"{count} orders written to {out}")
