"""Is a report what it says? The backtest is run again from the manifest inside, the page drawn again, both compared.

    outcome = verify("report.html")          # python -m backtests verify report.html
    outcome.ok, outcome.sentence

Compared is what the file **shows**, to the byte: a digit changed in the verdict, a table, the list of trades, a chart
or the manifest is found and named. What a rerun cannot make again (the answers of a broker, of `research`, of a
language model) is in the manifest; the page must show exactly that, and `carried` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from backtests.engine import run_backtest
from backtests.report import drawn
from backtests.report_manifest import KIND, VERSION, Extras, carried, check_shape, digest, settings_of
from backtests.report_reading import Reading, first_difference
from backtests.result import Result
from backtests.session_file import checked_session
from backtests.session_result import result_of_session
from backtests.verify_inputs import Differs, find_benchmark, find_rows, find_strategy
from data.errors import DataError
from strategies.common.load import Strategy

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
        raise DataError(f"{path}: {error.strerror}; {GIVE}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text; {GIVE}") from None
    manifest = Reading(shown).manifest
    _readable(path, manifest)
    try:
        return _verified(path, shown, manifest, (data, label), strategy, certify)
    except Differs as found:
        return Outcome(False, f"DIFFERS  {found}", 0, (), ())


def _verified(
    path: Path,
    shown: str,
    manifest: dict[str, Any],
    data: tuple[str | None, str | None],
    strategy: str | None,
    certify: bool,
) -> Outcome:
    known = find_strategy(path, manifest["strategy"], strategy)
    extras = carried(manifest["extras"])
    costs, rule = settings_of(manifest)
    rows, origin = find_rows(path, manifest, *data)
    result = run_backtest(
        rows.bars,
        known,
        manifest["params"],
        costs,
        book=rows.book,
        rule=rule,
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
    extras["benchmark"] = find_benchmark(path, manifest, result, data[0])
    if certify and "certificate" in extras:
        extras["certificate"] = _certified(known, extras["certificate"])
    again = drawn(result, Extras(**extras))
    difference = first_difference(shown, again)
    if difference:
        raise Differs(difference)
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
    check_shape(manifest)


def _same_code(told: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    if told.get("code_hash") != now["code_hash"]:
        raise Differs(
            f"the report was made by other code ({str(told.get('code_hash'))[:12]}, here {now['code_hash'][:12]}); the "
            f"numbers and trades of its manifest come out the same here, but what the page shows can be compared in a "
            f"checkout of commit {told.get('commit')} only"
        )


def _numbers(manifest: dict[str, Any], page: Result) -> None:
    """The manifest's numbers against the rerun's, before anything is drawn."""
    for name, value in page.metrics.items():
        stated = manifest["numbers"].get(name)
        if stated != (value if isfinite(value) else None):
            raise Differs(f"the manifest's {name.replace('_', ' ')} is {stated!r}, in the rerun it is {value!r}")
    for name, array in (("orders", page.orders), ("trades", page.trades.records), ("equity", page.equity)):
        if manifest[name] != digest(array):
            raise Differs(f"the manifest's digest of the {name} is not that of the rerun")


def _certified(known: Strategy, told: Any) -> Any:
    """The certificate, if proving again agrees with it."""
    from strategies.common.certify import certify

    again = certify(known, told.parameters, rows=told.rows, chunkings=told.chunkings)
    if (again.ok, again.identity) != (told.ok, told.identity):
        raise Differs(f"the certificate made again says: {again.line()}")
    return told
