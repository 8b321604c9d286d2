"""The door of the data room: bring the market in, keep it, check it, play it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data import cli_feed, cli_pull, cli_store, cli_tape, cli_verify
from data.cli_store import ClockOption, SessionOption, print_bars
from data.door import Json, new_app, run

app = new_app("What the market said: bring it in, keep it, check it, play it.")

SymbolsOption = Annotated[str, typer.Option("--symbols", help="Names, separated by commas.")]

app.command()(cli_pull.pull)
app.command("import")(cli_store.import_)
app.command()(cli_store.actions)


@app.command()
def sample(
    symbols: SymbolsOption = "AAPL,FB,GOOG,IBM,MSFT",
    start: SessionOption = None,
    end: SessionOption = None,
    adjustment: Annotated[str, typer.Option(help="all: splits and dividends; raw: as printed.")] = "all",
    out: Annotated[Path | None, typer.Option(help="Write the rows to this tape.")] = None,
    as_json: Json = False,
) -> None:
    """Show the real daily stocks that come along, or put them on a tape."""
    from data.sources import sample as source
    from data.tape import write_tape

    bars = source.load(_names(symbols), start, end, adjustment)  # type: ignore[arg-type]  # checked there
    if out is not None:
        write_tape(out, bars, clock=source.CLOCK, source=source.NAME, simulated=source.SIMULATED)
    print_bars(bars, source.CLOCK, source.NAME, out, as_json)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="The tape to write.")],
    symbols: SymbolsOption = "AAA,BBB,CCC",
    sessions: Annotated[int, typer.Option(help="How many.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed is another market.")] = 7,
    clock: ClockOption = "1m",
    start: Annotated[str, typer.Option(help="First session, as 2024-01-02.")] = "2024-01-02",
    as_json: Json = False,
) -> None:
    """Make a simulated market with an order book and put it on a tape."""
    from data.sources import simulated as source
    from data.tape import write_tape

    bars, book = source.market(_names(symbols), sessions, seed, clock, start)
    write_tape(out, bars, book, clock=clock, source=f"{source.NAME} seed {seed}", simulated=True)
    print_bars(bars, clock, source.NAME, out, as_json)


app.command()(cli_store.ls)
app.command()(cli_store.show)
app.command()(cli_verify.verify)
app.command()(cli_tape.record)
app.command()(cli_tape.replay)
app.command()(cli_tape.play)
app.command()(cli_feed.stream)


def _names(symbols: str) -> list[str]:
    return [name.strip() for name in symbols.split(",") if name.strip()]


if __name__ == "__main__":
    run(app)
