"""The door of the data room: `python -m data import | sample | simulate | ls | show | verify | play`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.door import Json, new_app, print_json, run
from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from data.checks import Finding
    from data.rows import Header, Row
    from data.types import Bars

app = new_app("What the market said: bring it in, keep it, check it, play it.")

ClockOption = Annotated[str, typer.Option("--clock", help="Row clock: 1s, 1m, 5m, 1h, 1d, ...")]
LabelOption = Annotated[str | None, typer.Option("--label", help="What a time means: start or close of its row.")]
SymbolsOption = Annotated[str, typer.Option("--symbols", help="Names, separated by commas.")]
StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder of the store; default: ONETAPE_STORE.")]
ZoneOption = Annotated[str | None, typer.Option("--timezone", help="Zone of times that name none.")]
NameOption = Annotated[str | None, typer.Option("--symbol", help="Symbol of the rows, or the one to take of several.")]
SessionOption = Annotated[str | None, typer.Option(help="A session, as 2024-01-02; included.")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet with a header.")],
    symbol: NameOption = None,
    interval: Annotated[str | None, typer.Option(help="Clock of the rows; default: their smallest step.")] = None,
    label: LabelOption = None,
    timezone: ZoneOption = None,
    adjustment: Annotated[str, typer.Option(help="What the prices are: raw, split or all.")] = "raw",
    revision: Annotated[bool, typer.Option("--revision", help="Keep rows that differ beside the stored ones.")] = False,
    store: StoreOption = None,
    as_json: Json = False,
) -> None:
    """Check a file of bars and keep it in the store."""
    from data.checks import clock_of, require_good
    from data.store import Store

    bars = _read_file(file, symbol, interval, label, timezone)
    clock = interval or clock_of(bars)
    warnings = require_good(bars, clock)
    added = Store(store).put(bars, clock, file.name, adjustment, revision=revision)
    if as_json:
        print_json(
            {
                "file": file,
                "clock": clock,
                "added": [each._asdict() for each in added],
                "warnings": [finding._asdict() for finding in warnings],
            }
        )
        return
    for each in added:
        print(f"{each.symbol} {clock}: {each.new} new rows, {each.same} known, {each.revised} revised")
    _print_findings(warnings)


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
    _print_bars(bars, source.CLOCK, source.NAME, out, as_json)


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
    _print_bars(bars, clock, source.NAME, out, as_json)


@app.command()
def ls(store: StoreOption = None, as_json: Json = False) -> None:
    """List what the store holds."""
    from data.store import Store

    held = Store(store)
    entries = held.ls()
    if as_json:
        print_json([entry._asdict() for entry in entries])
        return
    if not entries:
        print(f"{held.root} is empty; bring a file in with: python -m data import FILE --symbol S --label start|close")
    for e in entries:
        span = f"{_day(e.first)} to {_day(e.last)}"
        print(f"{e.symbol:<10} {e.clock:<4} {e.adjustment:<6} {e.rows:>9} rows  {span}  {', '.join(e.sources)}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A tape, or a symbol in the store.")],
    clock: ClockOption = "1d",
    start: SessionOption = None,
    end: SessionOption = None,
    adjustment: Annotated[str | None, typer.Option(help="Of the stored bars: raw, split or all.")] = None,
    rows: Annotated[int, typer.Option(min=0, help="How many of the last rows to print.")] = 5,
    store: StoreOption = None,
    as_json: Json = False,
) -> None:
    """Show what a tape holds, or bars from the store (their --clock is 1d unless said)."""
    from data.store import Store
    from data.tape import read_tape

    if Path(name).is_file():
        header, bars, _ = read_tape(name)
        source = header.source + (" (simulated)" if header.simulated else "")
        _print_bars(bars, header.clock, source, Path(name), as_json, rows)
    else:
        bars, _ = Store(store).load([name], clock, start, end, adjustment)
        _print_bars(bars, clock, "store", None, as_json, rows)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A tape, or a CSV or Parquet file of bars.")],
    symbol: NameOption = None,
    interval: Annotated[str | None, typer.Option(help="Clock of the rows; default: their smallest step.")] = None,
    label: LabelOption = None,
    timezone: ZoneOption = None,
    as_json: Json = False,
) -> int:
    """Say what is wrong with a file, and exit 3 if it cannot be used."""
    from data.checks import check_bars
    from data.tape import is_tape, read_tape

    if is_tape(file):
        header, bars, _ = read_tape(file)
        clock: str | None = header.clock
    else:
        bars, clock = _read_file(file, symbol, interval, label, timezone), interval
    found = check_bars(bars, clock)
    errors = sum(finding.level == "error" for finding in found)
    if as_json:
        print_json({"file": file, "rows": len(bars), "findings": [finding._asdict() for finding in found]})
    else:
        _print_findings(found)
        print(f"{file}: {len(bars)} rows, {errors} errors, {len(found) - errors} warnings")
    return DataError.exit_code if errors else 0


@app.command()
def play(
    tape: Annotated[Path, typer.Argument(help="The tape.")],
    speed: Annotated[float, typer.Option(help="Row time over wall time; 0: as fast as it is read.")] = 0.0,
) -> None:
    """Write a tape's rows to stdout as binary frames: what a live process takes for its feed."""
    from data.rows import encode
    from data.tape import play as messages

    if not 0 <= speed < float("inf"):
        raise UsageError(f"speed {speed} is not 0 or more; 0 plays as fast as the tape is read")
    if sys.stdout.isatty():
        raise UsageError("play writes binary frames; send them to a program: python -m data play TAPE | ...")
    out = sys.stdout.buffer
    for message in _paced(messages(tape), speed):
        out.write(encode(message))
        if speed > 0:
            out.flush()
    out.flush()


def _paced(messages: Iterable[Header | Row], speed: float) -> Iterator[Header | Row]:
    """The messages, each row at its time after the session's first; from session to session there is no pause."""
    from data.rows import Header

    session, first_ts, started = 0, 0, 0.0
    for message in messages:
        if speed > 0 and not isinstance(message, Header):
            if message.session != session:
                session, first_ts, started = message.session, message.ts, time.monotonic()
            due = started + (message.ts - first_ts) / 1e9 / speed
            time.sleep(max(due - time.monotonic(), 0.0))
        yield message


def _read_file(file: Path, symbol: str | None, interval: str | None, label: str | None, timezone: str | None) -> Bars:
    from data.files import read_bars

    if label not in ("start", "close"):
        raise UsageError("say --label start or --label close: what the times in the file mean")
    return read_bars(file, label=label, clock=interval, symbol=symbol, timezone=timezone)  # type: ignore[arg-type]


def _names(symbols: str) -> list[str]:
    return [name.strip() for name in symbols.split(",") if name.strip()]


def _day(yyyymmdd: int) -> str:
    from data.calendar import parse_day

    return str(parse_day(yyyymmdd))


def _print_findings(findings: Iterable[Finding]) -> None:
    for finding in findings:
        print(f"{finding.level}: {finding.sentence}")


def _print_bars(bars: Bars, clock: str, source: str, path: Path | None, as_json: bool, rows: int = 0) -> None:
    """What the rows are, and the last few of them."""
    import numpy as np

    from data.calendar import utc
    from data.tape import content_hash
    from data.types import PRICES

    first, last = int(bars.session[0]), int(bars.session[-1])
    if as_json:
        told: dict[str, Any] = {
            "source": source,
            "symbols": bars.symbols,
            "clock": clock,
            "rows": len(bars),
            "first": first,
            "last": last,
            "bars": content_hash(bars),
            "path": path,
        }
        print_json(told)
        return
    print(f"{source}: {len(bars)} rows of {clock}, {_day(first)} to {_day(last)}" + (f", {path}" if path else ""))
    for i, symbol in enumerate(bars.symbols):
        close = bars.close[:, i]
        known = close[~np.isnan(close)]
        if len(known):
            gain = 100 * (known[-1] / known[0] - 1)
            print(f"  {symbol:<10} {len(known):>8} rows  {known[0]:>10.2f} to {known[-1]:>10.2f}  {gain:+8.1f} %")
    for t in range(max(len(bars) - rows, 0), len(bars)):
        for i, symbol in enumerate(bars.symbols):
            cells = "  ".join(f"{getattr(bars, name)[t, i]:>12.2f}" for name in PRICES)
            print(f"  {utc(int(bars.ts[t]))}  {symbol:<10} {cells}")


if __name__ == "__main__":
    run(app)
