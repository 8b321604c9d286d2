"""Two results side by side in one offline page: what was different, and what came of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from backtests.figures import bands, bars, figure, scale
from backtests.report import embedded, environment, read_template, trusted, written
from backtests.report_proof import origin
from backtests.report_tables import span, stat
from backtests.report_text import count, local_seconds, money, number, percent, plain
from backtests.report_traces import coded, kept_rows
from backtests.result import Result
from data.calendar import parse_clock
from data.types import Floats, Ints

SCRIPTS = ("charts.js", "figures.js", "compare.js")
HEADLINES = (
    ("Total return", "total_return", "percent"),
    ("Return a year", "annual_return", "percent"),
    ("Deepest drawdown", "max_drawdown", "percent"),
    ("Sharpe ratio", "sharpe_ratio", "number"),
    ("Trades", "total_trades", "count"),
    ("Costs", "total_costs_paid", "dollars"),
)


def write_comparison(first: Result, second: Result, path: str | Path) -> Path:
    """Write the page and return where it is. Equal input gives equal bytes."""
    return written(path, comparison_html(first, second))


def comparison_html(first: Result, second: Result) -> str:
    """The page as text. Results of other rows are laid over the same days; each begins at its own start."""
    script = "\n".join(read_template(name) for name in SCRIPTS)
    names = titles(first, second)
    data = {"names": list(names), **_lines(first, second), "figures": _figures(first, second, names)}
    return (
        environment()
        .get_template("compare.html")
        .render(
            names=names,
            of=first.strategy if first.strategy == second.strategy else "",
            sides=[_side(result) for result in (first, second)],
            tiles=_tiles(first, second),
            changed=differences(first, second),
            trades=_trades(first, second),
            metrics=_metrics(first, second),
            figures=data["figures"],
            style=trusted(read_template("report.css")),
            script=trusted(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            data=trusted(embedded(data)),
        )
    )


def titles(first: Result, second: Result) -> tuple[str, str]:
    """What the two are called: by strategy, by the parameters that differ, else A and B."""
    if first.strategy != second.strategy:
        return first.strategy, second.strategy
    apart = [name for name in first.params if first.params[name] != second.params.get(name)]
    if 0 < len(apart) <= 3:
        one, other = (", ".join(f"{name}={plain(each.params[name])}" for name in apart) for each in (first, second))
        return one, other
    return f"{first.strategy} A", f"{second.strategy} B"


def differences(first: Result, second: Result) -> list[tuple[str, str, str]]:
    """(what, in the first, in the second) of all that went in and is not the same."""
    found = []
    for title, one, other in (
        ("", _about(first), _about(second)),
        ("parameter ", first.params, second.params),
        ("rule ", asdict(first.rule), asdict(second.rule)),
        ("costs ", asdict(first.costs), asdict(second.costs)),
    ):
        for name in dict.fromkeys([*one, *other]):
            a, b = _known(one, name), _known(other, name)
            if a != b:
                found.append((f"{title}{name}", a, b))
    return found


def _known(values: Mapping[str, Any], name: str) -> str:
    return plain(values[name]) if name in values else "not there"


def _about(result: Result) -> dict[str, Any]:
    return {
        "strategy": result.strategy,
        "source of the strategy": result.source_hash[:16],
        "symbols": ", ".join(result.bars.symbols),
        "sessions": span(result),
        "rows": f"{len(result.bars):,} of {result.clock}, {result.provenance['rows_hash'][:16]}",
        "start value": money(result.start_cash),
    }


def _side(result: Result) -> dict[str, str]:
    badge, source = origin(result.provenance)
    return {
        "strategy": result.strategy, "badge": badge, "source": source, "span": span(result),
        "rows": f"{len(result.bars):,} of {result.clock}",
    }  # fmt: skip


def _tiles(first: Result, second: Result) -> list[dict[str, str]]:
    return [
        {
            "label": label,
            "first": _shown(first.metrics[name], kind),
            "second": _shown(second.metrics[name], kind),
            "apart": _shown(second.metrics[name] - first.metrics[name], kind, sign=True),
        }
        for label, name, kind in HEADLINES
    ]


def _shown(value: float, kind: str, *, sign: bool = False) -> str:
    if kind == "percent":
        return percent(value, sign=sign)
    if kind == "dollars":
        return money(value, sign=sign)
    return number(value, 0 if kind == "count" else 2, sign=sign)


def _metrics(first: Result, second: Result) -> list[tuple[str, str, str, str]]:
    """(name, in the first, in the second, difference) of every statistic."""
    rows = []
    one, other = first.stats(), second.stats()
    for name in one.index:
        a, b = one[name], other[name]
        numbers = all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in (a, b))
        apart = number(float(b) - float(a), 4, sign=True) if numbers else ""
        rows.append((str(name), stat(a), stat(b), apart))
    return rows


def _trades(first: Result, second: Result) -> list[tuple[str, str, str]]:
    """(which, in the first, in the second): trades that both entered at the same instant, and the others."""
    sides = [_entries(result) for result in (first, second)]
    shared = sides[0].keys() & sides[1].keys()
    rows = []
    for name, keys in (
        ("entered by both", [shared, shared]),
        ("entered by one only", [sides[0].keys() - shared, sides[1].keys() - shared]),
        ("all", [sides[0].keys(), sides[1].keys()]),
    ):
        cells = [
            f"{count(len(keep), 'trade')}, {money(sum(pnl for key, pnl in side.items() if key in keep), sign=True)}"
            for side, keep in zip(sides, keys, strict=True)
        ]
        rows.append((name, *cells))
    return [(name, a, b) for name, a, b in rows]


def _entries(result: Result) -> dict[tuple[int, str, int, int], float]:
    """P&L by (instant of entry, symbol, side, number among equals)."""
    found: dict[tuple[int, str, int, int], float] = {}
    for trade in result.trades.records:
        key = int(result.bars.ts[trade["entry_row"]]), result.bars.symbols[trade["column"]], int(trade["side"])
        again = 0
        while (*key, again) in found:
            again += 1
        found[(*key, again)] = float(trade["pnl"])
    return found


def _lines(first: Result, second: Result) -> dict[str, Any]:
    """Both equities over the same instants, as growth since their starts, and both drawdowns."""
    ts = np.union1d(first.bars.ts, second.bars.ts)
    session = np.zeros(len(ts), dtype=np.int64)
    for result in (second, first):
        session[np.searchsorted(ts, result.bars.ts)] = result.bars.session
    values = {}
    for name, result in (("first", first), ("second", second)):
        values[name] = _laid(result.equity / result.start_cash - 1.0, result.bars.ts, ts, 0.0)
        values[f"{name}_under"] = _laid(result.drawdowns, result.bars.ts, ts, 0.0)
    rows = kept_rows(list(values.values()))
    return {
        "rows": len(ts),
        "daily": all(parse_clock(result.clock) >= 86_400 for result in (first, second)),
        "at": coded(rows, 1.0),
        "time": coded(local_seconds(ts, session)[rows], 1.0),
        "unit": 1e-6,
        **{name: coded(line[rows], 1e-6) for name, line in values.items()},
    }


def _laid(values: Floats, own: Ints, ts: Ints, before: float) -> Floats:
    """The last value at or before each instant."""
    at = np.searchsorted(own, ts, side="right") - 1
    return np.where(at >= 0, values[np.maximum(at, 0)], before)


def _figures(first: Result, second: Result, names: tuple[str, str]) -> dict[str, Any]:
    symbols = list(dict.fromkeys([*first.bars.symbols, *second.bars.symbols]))
    if len(symbols) > 24 or not (len(first.trades) or len(second.trades)):
        return {}
    sums = []
    for result in (first, second):
        records = result.trades.records
        pnl = {s: float(np.sum(records["pnl"][records["column"] == j])) for j, s in enumerate(result.bars.symbols)}
        sums.append([pnl.get(symbol, 0.0) for symbol in symbols])
    place = np.arange(len(symbols))
    marks = [
        bars(
            place + shift,
            values,
            width=0.36,
            tone=tone,
            name=name,
            texts=[f"{symbol}, {name}: {money(v, sign=True)}" for symbol, v in zip(symbols, values, strict=True)],
        )
        for shift, values, tone, name in zip((-0.19, 0.19), sums, ("own", "loss"), names, strict=True)
    ]
    drawn = figure(
        "P&L by symbol, both runs",
        x=bands(symbols),
        y=scale([*sums[0], *sums[1]], unit="dollars", zero=True),
        marks=marks,
    )
    return {"symbols": drawn}
