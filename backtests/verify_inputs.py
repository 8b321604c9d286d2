"""What a report was made of, found again: its strategy, its rows, its benchmark, each with the hash it names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backtests.report_manifest import bare, symbol_hashes
from backtests.report_risk import Benchmark, benchmark_of
from backtests.result import Result
from backtests.rows import Rows, is_path, load_rows
from data.calendar import parse_day
from data.errors import OnetapeError, UsageError
from data.tape import content_hash
from strategies.common.load import Strategy, load_strategy


class Differs(Exception):  # noqa: N818  an outcome on its way out, not a fault
    """The first difference, as a sentence."""


def find_strategy(path: Path, told: Mapping[str, Any], given: str | None) -> Strategy:
    """The strategy that ran.

    Raises:
        Differs: its source is another. UsageError: it is not here, or nobody can run it again.
    """
    if not given and not told["path"]:
        raise UsageError(
            f"{path} cannot be run again: {told['name']!r} is a function of a notebook; keep it in a file with a "
            f"function `signals`, and report that"
        )
    here = given or _strategy_place(path, told)
    known = load_strategy(here)
    if known.source_hash != told["source_hash"]:
        raise Differs(
            f"the strategy {here} is not the one that ran: its source is {known.source_hash[:12]}, the report says "
            f"{told['source_hash'][:12]}"
        )
    return known


def _strategy_place(path: Path, told: Mapping[str, Any]) -> str:
    """A strategy by name, or its file here or beside the report."""
    place = Path(told["path"])
    if place.parent.name == "strategies":
        return str(told["name"])
    for each in (place, path.parent / place.name):
        if each.is_file():
            return str(each.resolve())
    raise UsageError(f"the strategy's file {told['path']} is not here; say where it is with --strategy PATH")


def find_rows(path: Path, manifest: dict[str, Any], data: str | None, label: str | None) -> tuple[Rows, dict[str, Any]]:
    """The rows, with the hash that the report names, and the origin that the page states."""
    told = manifest["rows"]
    provenance = manifest["provenance"]
    origin = {name: value for name, value in provenance.items() if name in ("source", "simulated", "sealed", "recipe")}
    rows = _loaded(path, manifest, data, label)
    if "sealed" in origin:  # the seal may have been opened since
        before = int(np.searchsorted(rows.bars.session, int(origin["sealed"])))
        rows = rows._replace(
            bars=rows.bars.rows(0, before), book=None if rows.book is None else rows.book.rows(0, before)
        )
    bars, book = rows.bars, rows.book
    hashed = content_hash(bars, book)
    if hashed != told["hash"]:
        if list(bars.symbols) != list(told["symbols"]):
            raise Differs(f"the rows have symbols {', '.join(bars.symbols)}, the report {', '.join(told['symbols'])}")
        if len(bars) != told["count"]:
            raise Differs(f"there are {len(bars):,} rows, the report was made of {told['count']:,}")
        now = symbol_hashes(bars, book)
        apart = [symbol for symbol in bars.symbols if now[symbol] != told["by_symbol"].get(symbol)]
        raise Differs(
            f"the rows of {', '.join(apart) or 'no symbol'} have changed since: their hash is {hashed[:12]}, the "
            f"report says {told['hash'][:12]}"
        )
    found, stated = rows.origin.get("simulated"), origin.get("simulated")
    if None not in (found, stated) and found != stated:
        kinds = {True: "simulated", False: "real"}
        raise Differs(f"the rows are {kinds[bool(found)]}, the report calls them {kinds[bool(stated)]}")
    if "recipe" in origin and data is None:
        for name in ("source", "simulated"):
            here = rows.origin.get(name)
            if origin.get(name) != (bare(here) if isinstance(here, str) else here):
                raise Differs(f"the rows' {name} is {here!r}, the report says {origin.get(name)!r}")
    return rows, origin


def _loaded(path: Path, manifest: dict[str, Any], data: str | None, label: str | None) -> Rows:
    told, recipe = manifest["rows"], manifest["provenance"].get("recipe") or {}
    asked: dict[str, Any] = {
        "symbols": tuple(told["symbols"]),
        "start": recipe.get("start"),
        "end": recipe.get("end"),
        "clock": recipe.get("clock"),
        "label": label or recipe.get("label"),
    }
    if "seed" in recipe:
        asked["seed"] = recipe["seed"]
    if data is None and recipe:
        source = _source_place(path, str(recipe["source"]))
        if source == "simulated":  # the market is drawn for all its symbols at once: ask as was asked
            asked["symbols"] = tuple(recipe.get("symbols", ()))
        return load_rows(source, **asked)
    source = data or "sample"
    if not recipe:
        first, last = (str(day) for day in told["sessions"])
        asked |= {"start": f"{first[:4]}-{first[4:6]}-{first[6:]}", "end": f"{last[:4]}-{last[4:6]}-{last[6:]}"}
        for day in (asked["start"], asked["end"]):
            parse_day(day)
    if source in ("simulated", "store"):
        asked["clock"] = manifest["clock"]
    try:
        return load_rows(source, **asked)
    except OnetapeError as error:
        if data is not None:
            raise
        raise UsageError(
            f"{path.name} does not say how its rows were loaded, and they are not the sample's; say where they are "
            f"with --data PATH"
        ) from error


def _source_place(path: Path, source: str) -> str:
    """A source by name, or its file here or beside the report."""
    if not is_path(source):
        return source
    for place in (Path(source), path.parent / Path(source).name):
        if place.is_file():
            return str(place)
    raise UsageError(f"the rows' file {source} is not here; say where it is with --data PATH")


def find_benchmark(path: Path, manifest: dict[str, Any], result: Result, data: str | None) -> Benchmark | None:
    """What the report compares with; None for all symbols held.

    Raises:
        Differs: its prices have changed.
    """
    told = manifest["extras"].get("benchmark")
    if told is None:
        return None
    symbol = told["symbol"]
    if symbol in ("", *result.bars.symbols):
        found = benchmark_of(result, symbol)
    else:
        recipe = manifest["provenance"].get("recipe") or {}
        source = data or _source_place(path, str(recipe.get("source", "sample")))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = load_rows(source, (symbol,), recipe.get("start"), recipe.get("end"), clock=recipe.get("clock"))
        found = benchmark_of(result, symbol, other.bars)
    if found.digest != told["hash"]:
        raise Differs(f"the prices of the benchmark {symbol or 'of all symbols'} have changed since")
    return found
