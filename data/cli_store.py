"""`python -m data import | actions | ls | show`: what the store takes in and what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.door import Json, print_json
from data.errors import UsageError

if TYPE_CHECKING:
    from data.checks import Finding
    from data.types import Bars

ClockOption = Annotated[str, typer.Option("--clock", help="Row clock: 1s, 1m, 5m, 1h, 1d, ...")]
LabelOption = Annotated[str | None, typer.Option("--label", help="What a time means: start or close of its row.")]
StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder of the store; default: ONETAPE_STORE.")]
ZoneOption = Annotated[str | None, typer.Option("--timezone", help="Zone of times that name none.")]
NameOption = Annotated[str | None, typer.Option("--symbol", help="Symbol of the rows, or the one to take of several.")]
SessionOption = Annotated[str | None, typer.Option(help="A session, as 2024-01-02; included.")]
IntervalOption = Annotated[str | None, typer.Option(help="Clock of the rows; default: their smallest step.")]


def import_(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet with a header.")],
    symbol: NameOption = None,
    interval: IntervalOption = None,
    label: LabelOption = None,
    timezone: ZoneOption = None,
    adjustment: Annotated[str, typer.Option(help="What the prices are: raw, split or all.")] = "raw",
    revision: Annotated[bool, typer.Option("--revision", help="Keep rows that differ beside the stored ones.")] = False,
    store: StoreOption = None,
    as_json: Json = False,
) -> None:
    """Check a file of bars and keep it in the store."""
    from data.checks import clock_of, require_good
    from data.sources.base import WallClock
    from data.store import Store

    bars = read_file(file, symbol, interval, label, timezone)
    clock = interval or clock_of(bars)
    warnings = require_good(bars, clock)
    received = WallClock().now()
    added = Store(store).put(bars, clock, file.name, adjustment, revision=revision, received=received)
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
    print_findings(warnings)


def actions(
    file: Annotated[Path | None, typer.Argument(help="CSV or Parquet: symbol, date, kind, value, to.")] = None,
    symbol: NameOption = None,
    none: Annotated[str, typer.Option(help="Symbols that have had no splits and dividends, by commas.")] = "",
    store: StoreOption = None,
    as_json: Json = False,
) -> None:
    """Keep splits, dividends and renames, with which raw prices are adjusted on read; without a file: list them."""
    from data.actions_file import read_actions
    from data.sources.base import WallClock
    from data.store import Store

    held = Store(store)
    without = [name.strip() for name in none.split(",") if name.strip()]
    if file is None and not without:
        kept = held.actions.all()
        if as_json:
            print_json([action._asdict() for action in kept])
        for action in kept if not as_json else ():
            what = f"to {action.to}" if action.kind == "rename" else f"{action.value:g}"
            print(f"{action.symbol:<10} {day(action.date)}  {action.kind:<8}  {what}")
        return
    found, told = read_actions(file, symbol) if file is not None else ([], ())
    source = file.name if file is not None else "said so"
    count = held.put_actions(found, source, received=WallClock().now(), known=(*told, *without))
    if as_json:
        print_json({"file": file, "new": count, "known": len(found) - count})
    else:
        print(f"{count} new actions, {len(found) - count} known")


def ls(
    hashes: Annotated[bool, typer.Option("--hash", help="Also the content hash of each dataset; reads all.")] = False,
    store: StoreOption = None,
    as_json: Json = False,
) -> None:
    """List what the store holds: bars, then tapes of trades and quotes."""
    from data.store import Store
    from data.store_events import ls_events
    from data.tape import content_hash

    held = Store(store)
    entries, events = held.ls(), ls_events(held.root)
    names = [content_hash(held.stored(e.symbol, e.clock, e.adjustment)) if hashes else "" for e in entries]
    if as_json:
        told = [entry._asdict() | {"hash": name} for entry, name in zip(entries, names, strict=True)]
        told += [each._asdict() for each in events]
        print_json([{key: value for key, value in each.items() if hashes or key != "hash"} for each in told])
        return
    if not entries and not events:
        print(f"{held.root} is empty; bring a file in with: python -m data import FILE --symbol S --label start|close")
    for e, name in zip(entries, names, strict=True):
        span = f"{day(e.first)} to {day(e.last)}" + (f"  {e.revised} revised" if e.revised else "")
        end = f"  {name[:12]}" if name else ""
        print(f"{e.symbol:<10} {e.clock:<4} {e.adjustment:<6} {e.rows:>9} rows  {span}  {', '.join(e.sources)}{end}")
    for each in events:
        span = f"{each.sessions} sessions, {day(each.first)} to {day(each.last)}"
        end = f"  {each.hash[:12]}" if hashes else ""
        print(f"{each.symbol:<10} {each.events:>21} events  {span}  {each.name}{end}")


def show(
    name: Annotated[str, typer.Argument(help="A tape, or a symbol in the store.")],
    clock: ClockOption = "1d",
    start: SessionOption = None,
    end: SessionOption = None,
    adjustment: Annotated[str | None, typer.Option(help="Of the stored bars: raw, split or all.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Know nothing later than this day.")] = None,
    view: Annotated[str, typer.Option(help="final: as revised; seen: as first received.")] = "final",
    revisions: Annotated[bool, typer.Option("--revisions", help="List the values that a source changed.")] = False,
    rows: Annotated[int, typer.Option(min=0, help="How many of the last rows to print.")] = 5,
    store: StoreOption = None,
    as_json: Json = False,
) -> None:
    """Show what a tape holds, or bars from the store (their --clock is 1d unless said)."""
    from data.store import Store
    from data.tape import read_tape
    from data.tape_events import is_event_tape

    if is_event_tape(name):
        _show_events(Path(name), as_json)
    elif Path(name).is_file():
        header, bars, _ = read_tape(name)
        source = header.source + (" (simulated)" if header.simulated else "")
        print_bars(bars, header.clock, source, Path(name), as_json, rows)
    elif revisions:
        _show_revisions(Store(store), name, clock, adjustment or "raw", as_json)
    else:
        options: Any = {"as_of": as_of, "view": view}
        bars, _ = Store(store).load([name], clock, start, end, adjustment, **options)
        print_bars(bars, clock, "store", None, as_json, rows)


def _show_events(path: Path, as_json: bool) -> None:
    from data.calendar import utc
    from data.tape_events import events_hash, read_header, replay

    header, first, last = read_header(path), 0, 0
    kinds: dict[str, int] = {}

    def counted() -> Iterable[Any]:
        nonlocal first, last
        for event in replay(path):
            name = type(event).__name__
            kinds[name] = kinds.get(name, 0) + 1
            first, last = first or event.recv_ts, event.recv_ts
            yield event

    digest, count = events_hash(counted())
    if as_json:
        told = {"source": header.source, "symbols": header.symbols, "channels": header.channels}
        print_json(told | {"simulated": header.simulated, "events": count, "kinds": kinds, "hash": digest})
        return
    source = header.source + (" (simulated)" if header.simulated else "")
    span = f", {utc(first)} to {utc(last)}" if count else ""
    print(f"{source}: {count} events of {', '.join(header.symbols)}{span}, {path}")
    for kind, number in sorted(kinds.items()):
        print(f"  {kind:<16} {number:>10}")


def _show_revisions(held: Any, symbol: str, clock: str, adjustment: str, as_json: bool) -> None:
    from data.calendar import utc

    if symbol not in held.symbols():
        raise UsageError(f"the store has no symbol {symbol!r}; see: python -m data ls")
    found = held.revisions(symbol, clock, adjustment)
    if as_json:
        print_json([each._asdict() for each in found])
        return
    print(f"{symbol} {clock} {adjustment}: {len(found)} values were changed by their source")
    for each in found:
        when = f", received {utc(each.recv_ts)}" if each.recv_ts else ""
        print(f"  {utc(each.ts)}  {each.column:<6} {each.before!r} -> {each.after!r}{when}")


def read_file(file: Path, symbol: str | None, interval: str | None, label: str | None, timezone: str | None) -> Bars:
    """Bars of a user's file, whose labels must be said."""
    from data.files import read_bars

    if label not in ("start", "close"):
        raise UsageError("say --label start or --label close: what the times in the file mean")
    return read_bars(file, label=label, clock=interval, symbol=symbol, timezone=timezone)  # type: ignore[arg-type]


def day(yyyymmdd: int) -> str:
    """2024-01-02 for 20240102."""
    from data.calendar import parse_day

    return str(parse_day(yyyymmdd))


def print_findings(findings: Iterable[Finding]) -> None:
    """One line each."""
    for finding in findings:
        print(f"{finding.level}: {finding.sentence}")


def print_bars(bars: Bars, clock: str, source: str, path: Path | None, as_json: bool, rows: int = 0) -> None:
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
    print(f"{source}: {len(bars)} rows of {clock}, {day(first)} to {day(last)}" + (f", {path}" if path else ""))
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
