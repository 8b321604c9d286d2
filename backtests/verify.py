"""Is a report what it says? The backtest is run again from the manifest inside, the page drawn again, both compared.

    outcome = verify("report.html")          # python -m backtests verify report.html
    outcome.ok, outcome.sentence

Compared is what the file **shows**, to the byte: a digit changed in the verdict, a table, the list of trades, a chart
or the manifest is found and named. What a rerun cannot make again (the answers of a broker, of `research`, of a
language model) is in the manifest; the page must show exactly that, and `carried` says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from backtests.engine import run_backtest
from backtests.report import drawn
from backtests.report_manifest import KIND, VERSION, Extras, bare, carried, digest, symbol_hashes
from backtests.report_reading import Reading, first_difference
from backtests.report_risk import Benchmark, benchmark_of
from backtests.result import Result
from backtests.rows import Rows, is_path, load_rows
from backtests.session import checked_session, result_of_session
from data.calendar import parse_day
from data.errors import DataError, OnetapeError, UsageError
from data.tape import content_hash
from strategies.common.costs import Costs
from strategies.common.load import Strategy, load_strategy
from strategies.common.rule import Rule

GIVE = "give a report that python -m backtests run --report wrote"
WHAT = {
    "evidence": "evidence (python -m research validate makes it again)",
    "session": "the session's journal (python -m live replay proves it)",
    "paper": "the paper session's outcome",
    "notes": "pattern notes",
    "certificate": "the certificate (verify --certify makes it again)",
}


@dataclass(frozen=True)
class Outcome:
    """What a verification found. sentence: MATCH, or the first difference.

    again: what was computed again, carried: what the page took from its manifest.
    """

    ok: bool
    sentence: str
    trades: int
    again: tuple[str, ...]
    carried: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "ok": self.ok,
            "sentence": self.sentence,
            "trades": self.trades,
            "again": list(self.again),
            "carried": list(self.carried),
        }


class _Differs(Exception):  # noqa: N818  an outcome on its way out, not a fault
    """The first difference, as a sentence."""


def verify(
    path: str | Path,
    *,
    data: str | None = None,
    label: str | None = None,
    strategy: str | None = None,
    certify: bool = False,
) -> Outcome:
    """Run a report again and compare.

    Args:
        data: where the rows are now: a source by name, or the path of a tape, CSV or Parquet file.
        label: what a time in a file of rows means, `start` or `close` of its row, where the report does not say.
        strategy: where the strategy is now, by name or path.
        certify: make the certificate again too.

    Raises:
        DataError: the file is no report of this version.
        UsageError: the rows or the strategy are not here, or cannot be run again at all.
    """
    path = Path(path)
    try:
        shown = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}; give a report that python -m backtests run --report wrote"
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text; {GIVE}") from None
    manifest = Reading(shown).manifest
    _readable(path, manifest)
    try:
        return _verified(path, shown, manifest, (data, label), strategy, certify)
    except _Differs as found:
        return Outcome(False, f"DIFFERS  {found}", 0, (), ())
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path}: the manifest is damaged ({error!r}); ask for the report again") from error


def _verified(
    path: Path,
    shown: str,
    manifest: dict[str, Any],
    data: tuple[str | None, str | None],
    strategy: str | None,
    certify: bool,
) -> Outcome:
    known = _strategy(path, manifest["strategy"], strategy)
    extras = carried(manifest["extras"])
    rows, origin = _rows(path, manifest, *data)
    result = run_backtest(
        rows.bars,
        known,
        manifest["params"],
        Costs(**manifest["costs"]),
        book=rows.book,
        rule=Rule(**manifest["rule"]),
        cash=manifest["start_cash"],
        clock=manifest["clock"],
        origin=origin,
        ledger=None,  # nothing is tried: it was
    )
    told = manifest["provenance"]
    result.__dict__["provenance"] = result.provenance | {name: told[name] for name in ("versions", "commit")}
    page = result
    if "session" in extras:
        page = result_of_session(result, checked_session(extras["session"]))
    _numbers(manifest, page)
    _same_code(manifest["provenance"], result.provenance)
    if "judge" in extras:
        found = result.judge()
        extras["judge"] = found if isinstance(extras["judge"], Mapping) else found["equity"]
    extras["benchmark"] = _benchmark(path, manifest, result, data[0])
    if certify and "certificate" in extras:
        extras["certificate"] = _certified(known, extras["certificate"])
    again = drawn(result, Extras(**extras))
    difference = first_difference(shown, again)
    if difference:
        raise _Differs(difference)
    trades = len(page.trades)
    made = [f"{trades:,} trades, {len(manifest['numbers'])} numbers, every chart and table"]
    if "judge" in extras:
        made.append("the comparison with vectorbt")
    if certify and "certificate" in extras:
        made.append("the certificate")
    left = [
        text
        for name, text in WHAT.items()
        if name in extras and extras[name] and not (name == "certificate" and certify)
    ]
    if "recipe" not in result.origin:
        left.append("where the rows came from, in the author's words")
    sentence = (
        f"MATCH  {path.name}: {result.strategy} over {len(result.bars):,} rows x {len(result.bars.symbols)} gives "
        f"{made[0]}, to the byte"
    )
    return Outcome(True, sentence, trades, tuple(made), tuple(left))


def _readable(path: Path, manifest: dict[str, Any]) -> None:
    if manifest.get("kind") != KIND:
        raise DataError(f"{path} is no report of a run; comparisons and other pages cannot be verified")
    if manifest.get("version") != VERSION:
        raise DataError(
            f"{path} is a report of version {manifest.get('version')}, this code reads {VERSION}; use the checkout "
            f"that made it"
        )


def _strategy(path: Path, told: Mapping[str, Any], given: str | None) -> Strategy:
    if not given and not told["path"]:
        raise UsageError(
            f"{path} cannot be run again: {told['name']!r} is a function of a notebook; keep it in a file with a "
            f"function `signals`, and report that"
        )
    here = given or _strategy_place(path, told)
    known = load_strategy(here)
    if known.source_hash != told["source_hash"]:
        raise _Differs(
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


def _rows(path: Path, manifest: dict[str, Any], data: str | None, label: str | None) -> tuple[Rows, dict[str, Any]]:
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
            raise _Differs(f"the rows have symbols {', '.join(bars.symbols)}, the report {', '.join(told['symbols'])}")
        if len(bars) != told["count"]:
            raise _Differs(f"there are {len(bars):,} rows, the report was made of {told['count']:,}")
        now = symbol_hashes(bars, book)
        apart = [symbol for symbol in bars.symbols if now[symbol] != told["by_symbol"].get(symbol)]
        raise _Differs(
            f"the rows of {', '.join(apart) or 'no symbol'} have changed since: their hash is {hashed[:12]}, the "
            f"report says {told['hash'][:12]}"
        )
    found, stated = rows.origin.get("simulated"), origin.get("simulated")
    if None not in (found, stated) and found != stated:
        kinds = {True: "simulated", False: "real"}
        raise _Differs(f"the rows are {kinds[bool(found)]}, the report calls them {kinds[bool(stated)]}")
    if "recipe" in origin and data is None:
        for name in ("source", "simulated"):
            here = rows.origin.get(name)
            if origin.get(name) != (bare(here) if isinstance(here, str) else here):
                raise _Differs(f"the rows' {name} is {here!r}, the report says {origin.get(name)!r}")
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


def _same_code(told: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    if told.get("code_hash") != now["code_hash"]:
        raise _Differs(
            f"the report was made by other code ({str(told.get('code_hash'))[:12]}, here {now['code_hash'][:12]}); the "
            f"numbers and trades of its manifest come out the same here, but what the page shows can be compared in a "
            f"checkout of commit {told.get('commit')} only"
        )


def _numbers(manifest: dict[str, Any], page: Result) -> None:
    """The manifest's numbers against the rerun's, before anything is drawn."""
    for name, value in page.metrics.items():
        stated = manifest["numbers"].get(name)
        if stated != (value if isfinite(value) else None):
            raise _Differs(f"the manifest's {name.replace('_', ' ')} is {stated!r}, in the rerun it is {value!r}")
    for name, array in (("orders", page.orders), ("trades", page.trades.records), ("equity", page.equity)):
        if manifest[name] != digest(array):
            raise _Differs(f"the manifest's digest of the {name} is not that of the rerun")


def _benchmark(path: Path, manifest: dict[str, Any], result: Result, data: str | None) -> Benchmark | None:
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
        raise _Differs(f"the prices of the benchmark {symbol or 'of all symbols'} have changed since")
    return found


def _certified(known: Strategy, told: Any) -> Any:
    """The certificate, if proving again agrees with it."""
    from strategies.common.certify import certify

    again = certify(known, told.parameters, rows=told.rows, chunkings=told.chunkings)
    if (again.ok, again.identity) != (told.ok, told.identity):
        raise _Differs(f"the certificate made again says: {again.line()}")
    return told
