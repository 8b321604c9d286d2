"""What a report says of itself for a machine: all that a rerun must find equal, and all that it cannot make again.

The manifest lies in the file as JSON. `backtests.verify` runs the backtest again from it, draws the page again, and
compares what the file shows with that, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import PurePath
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from backtests.evidence import Evidence
from backtests.report_risk import Benchmark
from backtests.result import Result
from data.errors import DataError, UsageError
from data.tape import content_hash
from data.types import Bars, Book
from strategies.common.certificate import Certificate, Check, Difference
from strategies.common.costs import Costs
from strategies.common.rule import Rule

KIND, VERSION = "onetape report", 1
DAMAGED = "the report's manifest is damaged ({}); ask for the report again"


class _Code(msgspec.Struct):
    name: str
    path: str
    source_hash: str


class _Rows(msgspec.Struct):
    hash: str
    count: int
    symbols: list[str]
    first: int
    last: int
    sessions: tuple[int, int]
    by_symbol: dict[str, str]


class _Shape(msgspec.Struct):
    """What a manifest must hold for a rerun to begin."""

    strategy: _Code
    params: dict[str, bool | int | float | str]
    rule: dict[str, Any]
    costs: dict[str, Any]
    clock: str
    start_cash: float
    rows: _Rows
    provenance: dict[str, Any]
    numbers: dict[str, float | None]
    orders: str
    trades: str
    equity: str
    extras: dict[str, Any]


@dataclass(frozen=True)
class Extras:
    """What a report shows besides the run. All of it is optional.

    certificate: of the strategy with the run's parameters. judge: what `Result.judge()` found, or only its largest
    relative difference of the equity. paper: in short, {"rows": 390, "equal": True, "journal": "paper.db"}.
    session: what `python -m live show JOURNAL --json` printed; the report is then of that session, with the backtest
    of the same rows beside it. evidence: of `research.validate`. notes: pattern notes, plain dicts.
    benchmark: None compares with all symbols held. with_source: show the strategy's code.
    """

    certificate: Certificate | None = None
    judge: float | Mapping[str, Any] | None = None
    paper: Mapping[str, Any] | None = None
    session: Mapping[str, Any] | None = None
    evidence: Evidence | None = None
    notes: tuple[Mapping[str, Any], ...] = field(default=())
    benchmark: Benchmark | None = None
    with_source: bool = False


def manifest_of(result: Result, shown: Result, extras: Extras) -> dict[str, Any]:
    """How to run the backtest `result` again, and the numbers of `shown`, the run or session that the page is of."""
    bars, book = result.bars, result.book
    return {
        "kind": KIND,
        "version": VERSION,
        "strategy": {
            "name": result.strategy,
            "path": bare(result.strategy_path),
            "source_hash": result.source_hash,
        },
        "params": dict(result.params),
        "rule": asdict(result.rule),
        "costs": asdict(result.costs),
        "clock": result.clock,
        "start_cash": result.start_cash,
        "rows": {
            "hash": result.provenance["rows_hash"],
            "count": len(bars),
            "symbols": list(bars.symbols),
            "first": int(bars.ts[0]),
            "last": int(bars.ts[-1]),
            "sessions": [int(bars.session[0]), int(bars.session[-1])],
            "by_symbol": symbol_hashes(bars, book),
        },
        "provenance": {name: barely(value) for name, value in result.provenance.items()},
        "numbers": {name: value if isfinite(value) else None for name, value in shown.metrics.items()},
        "orders": digest(shown.orders),
        "trades": digest(shown.trades.records),
        "equity": digest(shown.equity),
        "extras": told(extras),
    }


def symbol_hashes(bars: Bars, book: Book | None) -> dict[str, str]:
    """The content hash of each symbol's rows."""
    return {
        symbol: content_hash(bars.pick([j]), None if book is None else book.pick([j]))
        for j, symbol in enumerate(bars.symbols)
    }


def digest(array: npt.NDArray[Any]) -> str:
    """SHA-256 of an array's bytes; of a table's, field by field."""
    names = array.dtype.names
    parts = [array] if names is None else [array[name] for name in names]
    sha = hashlib.sha256(str(array.shape).encode())
    for part in parts:
        sha.update(np.ascontiguousarray(part).tobytes())
    return sha.hexdigest()


def told(extras: Extras) -> dict[str, Any]:
    """Extras as plain values; what is not given is left out."""
    paper = None if extras.paper is None else {name: barely(value) for name, value in extras.paper.items()}
    found = {
        "certificate": None if extras.certificate is None else extras.certificate.as_dict(),
        "judge": None if extras.judge is None else _plain(extras.judge),
        "paper": _plain(paper),
        "session": _plain(extras.session),
        "evidence": None if extras.evidence is None else extras.evidence.to_json(),
        "notes": [_plain(note) for note in extras.notes] or None,
        "benchmark": None
        if extras.benchmark is None
        else {"symbol": extras.benchmark.symbol, "hash": extras.benchmark.digest},
        "with_source": extras.with_source or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def check_shape(manifest: Any) -> None:
    """Refuse a manifest without the parts that a rerun begins with.

    Raises:
        DataError: a part is missing, or of another kind.
    """
    try:
        shape = msgspec.convert(manifest, _Shape)
    except msgspec.ValidationError as error:
        raise DataError(DAMAGED.format(error)) from None
    missing = [name for name in ("rows_hash", "code_hash", "versions", "commit") if name not in shape.provenance]
    if missing or not isinstance(shape.provenance.get("recipe", {}), dict):
        raise DataError(DAMAGED.format(f"provenance lacks {', '.join(missing) or 'a readable recipe'}"))


def settings_of(manifest: Mapping[str, Any]) -> tuple[Costs, Rule]:
    """Costs and rule of a manifest.

    Raises:
        DataError: a field that neither has, or a value out of range.
    """
    try:
        return Costs(**manifest["costs"]), Rule(**manifest["rule"])
    except (TypeError, UsageError) as error:
        raise DataError(DAMAGED.format(error)) from None


def carried(found: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of `Extras` from what `told` gave: all that a file carries and a rerun does not make.

    Raises:
        DataError: a part that cannot be read.
    """
    done: dict[str, Any] = {"with_source": bool(found.get("with_source"))}
    try:
        if "certificate" in found:
            done["certificate"] = certificate_of(found["certificate"])
        if "evidence" in found:
            done["evidence"] = Evidence.from_json(found["evidence"])
        for name in ("paper", "session", "judge"):
            if name in found:
                done[name] = found[name]
        if "benchmark" in found:
            _ = str(found["benchmark"]["symbol"]), str(found["benchmark"]["hash"])
        done["notes"] = tuple(dict(note) for note in found.get("notes", ()))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"the report's manifest is damaged ({type(error).__name__}: {error}); ask for it again"
        ) from None
    return done


def certificate_of(found: Mapping[str, Any]) -> Certificate:
    """A certificate from its `as_dict`."""
    derived = ("ok", "bits", "identity", "line", "checks", "differences")
    return Certificate(
        **{name: value for name, value in found.items() if name not in derived},
        checks=tuple(Check(**check) for check in found["checks"]),
        differences=tuple(Difference(**difference) for difference in found["differences"]),
    )


def barely(value: Any) -> Any:
    """`bare` of texts, at any depth; other plain values as they are."""
    if isinstance(value, str | PurePath):
        return bare(str(value))
    if isinstance(value, Mapping):
        return {name: barely(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [barely(inner) for inner in value]
    return _plain(value)


def bare(text: str) -> str:
    """A path as its file name, so that a report names no folder of the machine it was made on; other text as it is."""
    rooted = text.startswith(("/", "\\\\", "~")) or text[1:3] in (":\\", ":/")
    return text.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if rooted else text


def _plain(value: Any) -> Any:
    """Values that JSON has: numbers of NumPy as Python's, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
