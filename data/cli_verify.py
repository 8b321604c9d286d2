"""`python -m data verify`: what is wrong with files, tapes, recordings and the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.cli_store import IntervalOption, LabelOption, NameOption, StoreOption, ZoneOption, print_findings, read_file
from data.door import Json, did_you_mean, print_json
from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from data.checks import Finding
    from data.store import Store

FILES = (".tape", ".csv", ".txt", ".tsv", ".gz", ".zst", ".bz2", ".xz", ".zip", ".parquet", ".pq")


def verify(
    name: Annotated[
        str, typer.Argument(help="A tape, a file of bars, a stored symbol; default: the whole store.")
    ] = "",
    symbol: NameOption = None,
    interval: IntervalOption = None,
    label: LabelOption = None,
    timezone: ZoneOption = None,
    adjustment: Annotated[str | None, typer.Option(help="Of stored bars: raw, split or all.")] = None,
    store: StoreOption = None,
    as_json: Json = False,
) -> int:
    """Say what is wrong with bars or events, where, and what to do; exit 3 if they cannot be used."""
    from data.store import Store

    held = Store(store)
    if name and (Path(name).exists() or Path(name).suffix in FILES):
        found, counts = _verify_file(Path(name), symbol, interval, label, timezone)
    else:
        found, counts = _verify_store(held, name, interval, adjustment)
    errors = sum(finding.level == "error" for finding in found)
    if as_json:
        told = {"file": name or held.root, **counts, "findings": [finding._asdict() for finding in found]}
        print_json(told | {"errors": errors, "warnings": len(found) - errors})
    else:
        print_findings(found)
        counted = ", ".join(f"{count} {what}" for what, count in counts.items())
        print(f"{name or held.root}: {counted}, {errors} errors, {len(found) - errors} warnings")
    return DataError.exit_code if errors else 0


def _verify_file(
    file: Path, symbol: str | None, interval: str | None, label: str | None, timezone: str | None
) -> tuple[list[Finding], dict[str, int]]:
    """(findings, how many rows or events)."""
    from data.checks import check_bars
    from data.checks_events import EventChecks, check_book
    from data.tape import is_tape, read_tape
    from data.tape_events import is_event_tape, replay

    if is_event_tape(file):
        checks = EventChecks()
        for event in replay(file):
            checks.add(event)
        return checks.findings(), {"events": checks.count}
    if is_tape(file):
        header, bars, book = read_tape(file)
        found = check_bars(bars, header.clock) + check_book(bars, book)
        return sorted(found, key=lambda finding: finding.level), {"rows": len(bars)}
    bars = read_file(file, symbol, interval, label, timezone)
    return check_bars(bars, interval), {"rows": len(bars)}


def _verify_store(
    held: Store, name: str, interval: str | None, adjustment: str | None
) -> tuple[list[Finding], dict[str, int]]:
    """Bars and tapes of one symbol or of all; what bars have, a clock or an adjustment, leaves the tapes out."""
    from data.store_events import tapes_of, verify_sessions, verify_tape

    tapes = tapes_of(held.root, name) if interval is None and adjustment is None else []
    found, counts = verify_sessions(tapes), {"rows": 0, "events": 0}
    for dataset in _datasets(held, name, interval, adjustment, optional=bool(tapes)):
        findings, rows = _verify_dataset(held, *dataset)
        found += findings
        counts["rows"] += rows
    for tape in tapes:
        findings, events = verify_tape(tape)
        found += findings
        counts["events"] += events
    found.sort(key=lambda finding: finding.level)
    return found, counts if tapes else {"rows": counts["rows"]}


def _datasets(
    held: Store, name: str, interval: str | None, adjustment: str | None, *, optional: bool
) -> list[tuple[str, str, str]]:
    """(symbol, clock, adjustment) of what was asked for; `optional`: there need not be any."""
    every = held.names()
    if optional and not any(name in ("", each[0]) for each in every):
        return []
    if not every:
        raise UsageError(f"{held.root} is empty; bring bars in with: python -m data pull, or import")
    known = {symbol for symbol, _, _ in every}
    if name and name not in known:
        raise UsageError(f"there is no file {name!r} and no such symbol in the store{did_you_mean(name, known)}")
    of_name = [each for each in every if name in ("", each[0])]
    wanted = [each for each in of_name if interval in (None, each[1]) and adjustment in (None, each[2])]
    if not wanted:
        have = ", ".join(sorted({f"{clock} {kind}" for _, clock, kind in of_name}))
        raise UsageError(f"the store has no such bars of {name or 'any symbol'}; it has {have}")
    return wanted


def _verify_dataset(held: Store, symbol: str, clock: str, adjustment: str) -> tuple[list[Finding], int]:
    """What is wrong with one dataset, raw prices judged by the splits that are known; and how many rows it has."""
    from data.checks import Finding, check_bars

    where = f"{symbol} {clock} {adjustment}"
    try:
        entry = held.entry(symbol, clock, adjustment)
        bars = held.stored(symbol, clock, adjustment)
        known = (held.actions.of(symbol) or []) if adjustment == "raw" else []
    except DataError as error:
        return [Finding(symbol, 0, "damaged", "error", f"{where}: {error}")], 0
    splits = {symbol: {action.date: action.value for action in known if action.kind == "split"}}
    found = [finding._replace(sentence=f"{where}: {finding.sentence}") for finding in check_bars(bars, clock, splits)]
    if entry.revised:
        first = held.revisions(symbol, clock, adjustment)[0].ts
        what = f"{entry.revised} rows were changed by their source; see: python -m data show {symbol} --revisions"
        found.append(Finding(symbol, first, "revised", "warning", f"{where}: {what} --clock {clock}"))
    return found, entry.rows
