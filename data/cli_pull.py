"""`python -m data pull`: a vendor's history into the store: bars, and event tapes of trades and quotes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.door import INTERRUPTED, Json, print_json
from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from data.pull import Pulled
    from data.pull_events import PulledEvents, PulledTape
    from data.settings import Settings
    from data.sources.base import Progress
    from data.store import Store
    from data.store_rows import Added


def pull(
    source: Annotated[str, typer.Option(help="The vendor: alpaca or polygon.")],
    symbols: Annotated[str, typer.Option(help="Names, separated by commas.")],
    start: Annotated[str, typer.Option(help="First session, as 2024-01-02.")],
    end: Annotated[str, typer.Option(help="Last session, included.")],
    what: Annotated[str, typer.Option(help="bars, trades, quotes, separated by commas.")] = "bars",
    adjustment: Annotated[
        str | None, typer.Option(help="Of bars, always said: raw, as printed; split; or all, dividends too.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help="Clock of the bars: 1s, 1m, 5m, 1h, 1d, ...; default: 1m.")
    ] = None,
    extended: Annotated[
        bool, typer.Option("--extended", help="Keep bars before the open and after the close.")
    ] = False,
    feed: Annotated[str | None, typer.Option(help="Of Alpaca: sip (every exchange) or iex (one, free).")] = None,
    actions: Annotated[
        bool, typer.Option("--actions", help="Also splits and dividends, from --start to today.")
    ] = False,
    rate: Annotated[int | None, typer.Option(min=1, help="Requests a minute of your plan.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the store; default: ONETAPE_STORE.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip what an interrupted pull has stored.")] = False,
    as_json: Json = False,
) -> int:
    """Pull bars, trades or quotes from a vendor into the store; what is interrupted goes on with --resume."""
    from data.pull import Pulled
    from data.pull import pull as run
    from data.pull_events import KINDS, check_kinds, pull_events
    from data.settings import load_settings
    from data.sources.base import WallClock, load_vendor
    from data.store import Store

    settings = load_settings(store=store)
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    vendor, told_of = load_vendor(source), _Told(as_json)
    kinds = check_kinds([each.strip() for each in what.split(",") if each.strip()], ("bars", *KINDS))
    _check_bars_only("bars" in kinds, adjustment, interval, extended)
    wanted = [kind for kind in kinds if kind != "bars"]
    pulled, events = Pulled([], (), {}), None
    try:
        with _progress(len(names) * (bool(wanted) + ("bars" in kinds)), quiet=as_json) as (told, advance):
            told_of.advance = advance
            if wanted:  # first, for they are never asked for twice: a pull that resumes is soon at the bars again
                events = pull_events(
                    vendor,
                    wanted,
                    names,
                    start,
                    end,
                    settings=settings,
                    wall=WallClock(),
                    progress=told,
                    stored=told_of.tape,
                    feed=feed,
                    requests_a_minute=rate,
                )
                told_of.end_of_tapes()
            if "bars" in kinds:
                pulled = run(
                    vendor,
                    names,
                    start,
                    end,
                    interval or "1m",
                    adjustment,  # type: ignore[arg-type]  # checked there
                    Store(settings.store),
                    settings=settings,
                    wall=WallClock(),
                    resume=resume,
                    progress=told,
                    stored=told_of.bars,
                    extended=extended,
                    feed=feed,
                    requests_a_minute=rate,
                )
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; {told_of.stored(wanted, kinds, len(names))}; go on with the same and --resume\n")
        return INTERRUPTED
    if actions:
        refused = pulled.refused.keys() | (events.refused.keys() if events is not None else ())
        allowed = [each for each in names if each not in refused]
        _pull_actions(source, allowed, start, Store(settings.store), settings, rate, quiet=as_json)
    return _report(pulled, events, names, as_json)


def _check_bars_only(bars: bool, adjustment: str | None, interval: str | None, extended: bool) -> None:
    """--adjustment is said for bars; trades and quotes are as printed, of every hour."""
    if bars and adjustment is None:
        raise UsageError("bars need --adjustment: raw (as printed), split, or all (dividends too)")
    given = {"--adjustment": adjustment, "--interval": interval, "--extended": extended}
    for name, value in given.items():
        if value and not bars:
            raise UsageError(f"{name} is of bars; leave it out, for trades and quotes are kept as printed, all day")


class _Told:
    """Says what was stored, a line for each symbol, and counts it."""

    def __init__(self, quiet: bool) -> None:
        self.advance: Callable[[], None] = lambda: None
        self._quiet = quiet
        self._symbols = 0
        self._tapes: list[PulledTape] = []
        self._count = 0

    def bars(self, added: Added) -> None:
        self._symbols += 1
        self._say(f"{added.symbol}: {added.new} new rows, {added.same} known, {added.revised} revised")

    def tape(self, tape: PulledTape) -> None:
        if self._tapes and self._tapes[0].symbol != tape.symbol:
            self.end_of_tapes()
        self._tapes.append(tape)
        self._count += 1

    def end_of_tapes(self) -> None:
        from data.store_events import hash_of

        if self._tapes:
            new, events = sum(tape.new for tape in self._tapes), sum(tape.events for tape in self._tapes)
            first, last = Path(self._tapes[0].path), Path(self._tapes[-1].path)
            where = f"{first.parent}" if first == last else f"{first.parent} to {last.parent.name}"
            self._say(
                f"{self._tapes[0].symbol}: {new} new sessions, {len(self._tapes) - new} there already, {events} events "
                f"of {first.name}  {hash_of((tape.session, tape.hash) for tape in self._tapes)[:12]}  {where}"
            )
        self._tapes = []

    def stored(self, wanted: list[str], kinds: tuple[str, ...], names: int) -> str:
        """What an interrupted pull has brought."""
        bars = f"{self._symbols} of {names} symbols" if "bars" in kinds else ""
        tapes = f"{self._count} sessions of {' and '.join(wanted)}" if wanted else ""
        return f"{' and '.join(each for each in (tapes, bars) if each)} are stored"

    def _say(self, line: str) -> None:
        self.advance()
        if not self._quiet:
            print(line)


def _pull_actions(
    source: str, symbols: list[str], start: str, store: Store, settings: Settings, rate: int | None, *, quiet: bool
) -> None:
    from data.pull_actions import actions_of
    from data.sources.base import WallClock

    if not symbols:
        return
    wall = WallClock()
    found = actions_of(source, symbols, start, settings=settings, wall=wall, requests_a_minute=rate)
    count = store.put_actions(found, source, received=wall.now(), known=symbols)
    if not quiet:
        print(f"{count} new actions, {len(found) - count} known")


def _report(pulled: Pulled, events: PulledEvents | None, names: list[str], as_json: bool) -> int:
    if as_json:
        told = {
            "added": [each._asdict() for each in pulled.added],
            "skipped": pulled.skipped,
            "refused": pulled.refused,
        }
        print_json(told | ({"events": _events_told(events)} if events is not None else {}))
    elif pulled.skipped:
        print(f"{len(pulled.skipped)} symbols were stored before: {', '.join(pulled.skipped)}")
    for added in pulled.added:
        if added.difference:
            sys.stderr.write(f"warning: {added.difference}; the old rows are kept (load(..., view='seen'))\n")
    refused = [*(events.refused.items() if events is not None else ()), *pulled.refused.items()]
    if not refused:
        return 0
    for sentence in dict.fromkeys(sentence for _, sentence in refused):
        sys.stderr.write(f"error: {sentence}\n")
    symbols = {symbol for symbol, _ in refused}
    if len(names) > len(symbols):
        sys.stderr.write(f"{len(symbols)} of {len(names)} symbols were refused; the others are stored\n")
    faulty = any(sentence.startswith("bars") for _, sentence in refused)
    return DataError.exit_code if faulty else UsageError.exit_code


def _events_told(events: PulledEvents) -> dict[str, Any]:
    """The tapes symbol by symbol, each range with its hash."""
    from data.store_events import hash_of

    by_symbol: dict[str, list[PulledTape]] = {}
    for tape in events.tapes:
        by_symbol.setdefault(tape.symbol, []).append(tape)
    told = [
        {
            "symbol": symbol,
            "events": sum(tape.events for tape in tapes),
            "hash": hash_of((tape.session, tape.hash) for tape in tapes),
            "tapes": [tape._asdict() for tape in tapes],
        }
        for symbol, tapes in by_symbol.items()
    ]
    return {"stored": told, "refused": events.refused}


@contextlib.contextmanager
def _progress(count: int, *, quiet: bool) -> Iterator[tuple[Progress, Callable[[], None]]]:
    """(told of windows, called for each stored symbol): a bar on a terminal, else lines."""
    if not sys.stderr.isatty() or quiet:

        def line(symbol: str, done: int, total: int) -> None:
            sys.stderr.write(f"{symbol}: {done} of {total}\n")

        yield line, lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        every, one = bar.add_task("symbols", total=count), bar.add_task("", total=None)

        def move(symbol: str, done: int, total: int) -> None:
            bar.update(one, description=symbol, completed=done, total=total)

        yield move, lambda: bar.advance(every)
