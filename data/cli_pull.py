"""`python -m data pull`: a vendor's history into the store."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.door import INTERRUPTED, Json, print_json
from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from data.pull import Pulled
    from data.settings import Settings
    from data.sources.base import Progress
    from data.store import Store
    from data.store_rows import Added


def pull(
    source: Annotated[str, typer.Option(help="The vendor: alpaca or polygon.")],
    symbols: Annotated[str, typer.Option(help="Names, separated by commas.")],
    start: Annotated[str, typer.Option(help="First session, as 2024-01-02.")],
    end: Annotated[str, typer.Option(help="Last session, included.")],
    adjustment: Annotated[str, typer.Option(help="raw, as printed; split; or all, dividends too.")],
    interval: Annotated[str, typer.Option(help="Clock of the rows: 1s, 1m, 5m, 1h, 1d, ...")] = "1m",
    extended: Annotated[
        bool, typer.Option("--extended", help="Keep rows before the open and after the close.")
    ] = False,
    feed: Annotated[str | None, typer.Option(help="Of Alpaca: sip (every exchange) or iex (one, free).")] = None,
    actions: Annotated[
        bool, typer.Option("--actions", help="Also splits and dividends, from --start to today.")
    ] = False,
    rate: Annotated[int | None, typer.Option(min=1, help="Requests a minute of your plan.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the store; default: ONETAPE_STORE.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip symbols an interrupted pull has stored.")] = False,
    as_json: Json = False,
) -> int:
    """Pull bars from a vendor into the store; what is interrupted goes on with --resume."""
    from data.pull import pull as run
    from data.settings import load_settings
    from data.sources.base import WallClock, load_vendor
    from data.store import Store

    settings = load_settings(store=store)
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    vendor, finished = load_vendor(source), 0
    try:
        with _progress(len(names), quiet=as_json) as (told, stored):

            def count(added: Added) -> None:
                nonlocal finished
                finished += 1
                stored(added)

            pulled = run(
                vendor,
                names,
                start,
                end,
                interval,
                adjustment,  # type: ignore[arg-type]  # checked there
                Store(settings.store),
                settings=settings,
                wall=WallClock(),
                resume=resume,
                progress=told,
                stored=count,
                extended=extended,
                feed=feed,
                requests_a_minute=rate,
            )
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; {finished} of {len(names)} symbols are stored; go on with the same and --resume\n")
        return INTERRUPTED
    if actions:
        wanted = [each for each in names if each not in pulled.refused]
        _pull_actions(source, wanted, start, Store(settings.store), settings, rate, quiet=as_json)
    return _report(pulled, names, as_json)


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


def _report(pulled: Pulled, names: list[str], as_json: bool) -> int:
    if as_json:
        print_json(
            {
                "added": [each._asdict() for each in pulled.added],
                "skipped": pulled.skipped,
                "refused": pulled.refused,
            }
        )
    elif pulled.skipped:
        print(f"{len(pulled.skipped)} symbols were stored before: {', '.join(pulled.skipped)}")
    for added in pulled.added:
        if added.difference:
            sys.stderr.write(f"warning: {added.difference}; the old rows are kept (load(..., view='seen'))\n")
    if not pulled.refused:
        return 0
    for sentence in pulled.refused.values():
        sys.stderr.write(f"error: {sentence}\n")
    if len(names) > len(pulled.refused):
        sys.stderr.write(f"{len(pulled.refused)} of {len(names)} symbols were refused; the others are stored\n")
    faulty = any(sentence.startswith("bars") for sentence in pulled.refused.values())
    return DataError.exit_code if faulty else UsageError.exit_code


@contextlib.contextmanager
def _progress(count: int, *, quiet: bool) -> Iterator[tuple[Progress, Callable[[Added], None]]]:
    """(told of windows, told of stored symbols): a bar on a terminal, else lines."""
    if not sys.stderr.isatty() or quiet:

        def line(symbol: str, done: int, total: int) -> None:
            sys.stderr.write(f"{symbol}: {done} of {total}\n")

        yield line, _silent if quiet else _say
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        every, one = bar.add_task("symbols", total=count), bar.add_task("", total=None)

        def move(symbol: str, done: int, total: int) -> None:
            bar.update(one, description=symbol, completed=done, total=total)

        def stored(added: Added) -> None:
            bar.advance(every)
            _say(added)

        yield move, stored


def _say(added: Added) -> None:
    print(f"{added.symbol}: {added.new} new rows, {added.same} known, {added.revised} revised")


def _silent(added: Added) -> None:
    """What is stored is in the document at the end."""
    del added
