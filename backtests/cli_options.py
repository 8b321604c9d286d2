"""Options that several commands of `python -m backtests` share, and the run they ask for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.door import parse_assignments

if TYPE_CHECKING:
    from backtests.report_risk import Benchmark
    from backtests.result import Result
    from strategies.common.load import Strategy

Name = Annotated[str, typer.Argument(help="A strategy's name, or the path of a .py file with `signals`.")]
Names = Annotated[list[str], typer.Argument(help="Strategies, by name or path.")]
Source = Annotated[str, typer.Option(help="sample, simulated, store, or the path of a tape, CSV or Parquet file.")]
Symbols = Annotated[str, typer.Option(help="Comma-separated; default: all there are.", metavar="A,B")]
Start = Annotated[str | None, typer.Option(help="First session, as 2024-01-02.")]
End = Annotated[str | None, typer.Option(help="Last session, included.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="A parameter; repeat for more.")]
RuleSet = Annotated[list[str] | None, typer.Option("--rule", metavar="K=V", help="A parameter of the position rule.")]
CostSet = Annotated[list[str] | None, typer.Option("--cost", metavar="K=V", help="A field of the cost model.")]
Cash = Annotated[float, typer.Option(help="Dollars at the start.")]
Clock = Annotated[str | None, typer.Option(help="Of simulated or stored rows, as 1m; default: the strategy's.")]
Label = Annotated[str | None, typer.Option(help="Of a CSV or Parquet file: is a time the start or close of its row?")]
Seed = Annotated[int, typer.Option(help="Of the simulated market and the certificate's random rows.")]
EvidenceFile = Annotated[
    Path | None, typer.Option("--evidence", metavar="FILE", help="What `python -m research validate --out` wrote.")
]
NotesFile = Annotated[Path | None, typer.Option("--notes", metavar="FILE", help="Pattern notes as JSON, to be shown.")]
BenchmarkName = Annotated[
    str, typer.Option("--benchmark", metavar="SYMBOL", help="Compare with this one held; default: all of them.")
]
WithSource = Annotated[bool, typer.Option("--with-source", help="Show the strategy's code in the report.")]
Certify = Annotated[bool, typer.Option("--certify", help="Prove first that batch and stream agree.")]


def asked(
    strategy: Strategy,
    source: str,
    symbols: str,
    start: str | None,
    end: str | None,
    params: dict[str, Any],
    rule: list[str] | None,
    cost: list[str] | None,
    cash: float,
    clock: str | None,
    seed: int,
    label: str | None,
) -> Result:
    """The backtest that the options ask for."""
    from backtests.engine import run_backtest
    from backtests.rows import MADE_ON_CLOCK, load_rows
    from strategies.common.costs import Costs

    values = strategy.bind(params)
    options = strategy.rule.changed(parse_assignments(rule or []))
    costs = Costs().changed(parse_assignments(cost or []))
    wanted = tuple(part.strip() for part in symbols.split(",") if part.strip())
    if source in MADE_ON_CLOCK and clock is None:
        clock = strategy.clock
    rows = load_rows(source, wanted, start, end, clock=clock, seed=seed, label=label)
    if rows.clock != strategy.clock:
        warnings.warn(f"{strategy.name} is written for {strategy.clock} rows, these are {rows.clock}", stacklevel=1)
    if strategy.needs_book and rows.book is None:
        warnings.warn(
            f"{strategy.name} reads the book (L2) and these rows have none; conditions on it are never true",
            stacklevel=1,
        )
    return run_backtest(
        rows.bars, strategy, values, costs,
        book=rows.book, rule=options, cash=cash, clock=rows.clock, origin=rows.origin,
    )  # fmt: skip


def extras_of(
    result: Result, evidence: Path | None, notes: Path | None, benchmark: str, with_source: bool
) -> dict[str, Any]:
    """Fields of `Extras` that the options ask for."""
    from backtests.evidence import read_evidence
    from backtests.report_notes import read_notes

    found: dict[str, Any] = {"with_source": with_source}
    if evidence is not None:
        found["evidence"] = read_evidence(evidence)
    if notes is not None:
        found["notes"] = tuple(read_notes(notes))
    if benchmark:
        found["benchmark"] = _benchmark(result, benchmark)
    return found


def _benchmark(result: Result, symbol: str) -> Benchmark:
    """A symbol of the run, or another of the same source."""
    from backtests.report_risk import benchmark_of
    from backtests.rows import load_rows

    if symbol in result.bars.symbols:
        return benchmark_of(result, symbol)
    recipe = result.origin["recipe"]
    rows = load_rows(recipe["source"], (symbol,), recipe.get("start"), recipe.get("end"), clock=recipe.get("clock"))
    return benchmark_of(result, symbol, rows.bars)


def certificate_of(strategy: Strategy, params: dict[str, Any], seed: int) -> Any:
    """The proof that batch and stream agree."""
    from strategies.common.certify import certify

    return certify(strategy, params, seed=seed)
