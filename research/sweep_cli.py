"""The command: python -m research sweep NAME --grid fast=5:200:5 --grid slow=20:400:20."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.door import INTERRUPTED, Json, parse_assignments, print_json
from research.validate_cli import LedgerFile, where

if TYPE_CHECKING:
    from research.sweep_result import Best, SweepResult

Name = Annotated[str, typer.Argument(help="A strategy's name, or the path of a .py file with `signals`.")]
Grid = Annotated[
    list[str] | None,
    typer.Option("--grid", metavar="K=V", help="A parameter's values: 5:200:5, or 5,10,20, or a range 5..200; repeat."),
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="A parameter that is not swept; repeat.")]
RuleSet = Annotated[list[str] | None, typer.Option("--rule", metavar="K=V", help="A parameter of the position rule.")]
CostSet = Annotated[list[str] | None, typer.Option("--cost", metavar="K=V", help="A field of the cost model.")]


def sweep_command(
    name: Name,
    grid: Grid = None,
    search: Annotated[str, typer.Option(help="grid: every set; random or tpe: so many --trials.")] = "grid",
    trials: Annotated[int, typer.Option(help="Of random and tpe.", min=1)] = 200,
    source: Annotated[str, typer.Option(help="sample, simulated, a source of history, or a tape.")] = "sample",
    symbols: Annotated[str, typer.Option(help="Comma-separated; default: all there are.", metavar="A,B")] = "",
    start: Annotated[str | None, typer.Option(help="First session, as 2024-01-02.")] = None,
    end: Annotated[str | None, typer.Option(help="Last session, included.")] = None,
    metric: Annotated[str, typer.Option(help="What the best is best at.")] = "sharpe",
    constraint: Annotated[str | None, typer.Option(help='Sets to keep, as "fast < slow".')] = None,
    set_: Set = None,
    rule: RuleSet = None,
    cost: CostSet = None,
    cash: Annotated[float, typer.Option(help="Dollars at the start.")] = 100_000.0,
    clock: Annotated[str | None, typer.Option(help="Of simulated rows, as 1m.")] = None,
    apart: Annotated[bool, typer.Option("--apart", help="Every symbol is an account of its own.")] = False,
    budget_mb: Annotated[float, typer.Option(help="Memory for shared results and work.", min=1)] = 512.0,
    threads: Annotated[int, typer.Option(help="0: one a processor.", min=0)] = 0,
    engine: Annotated[str, typer.Option(help="threads, or ray: worker processes, also of other machines.")] = "threads",
    seed: Annotated[int, typer.Option(help="Of random, tpe and the simulated market.")] = 7,
    top: Annotated[int, typer.Option(help="Best sets to show.", min=1)] = 10,
    out: Annotated[Path | None, typer.Option(help="Write the table to this Parquet file, also while it runs.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Do not run again what --out holds already.")] = False,
    ledger: LedgerFile = None,
    as_json: Json = False,
) -> int:
    """Backtest many parameter sets; Ctrl-C keeps what is done (exit 130), --resume goes on with it."""
    from backtests.rows import load_rows
    from data.errors import UsageError
    from research.sweep import sweep
    from research.sweep_progress import Reporter
    from strategies.common.costs import Costs
    from strategies.common.load import load_strategy

    if resume and out is None:
        raise UsageError("--resume needs the file to go on with; give it as --out FILE")
    strategy = load_strategy(name)
    listed = [s.strip() for s in symbols.split(",") if s.strip()]
    rows = load_rows(source, listed, start, end, clock=clock, seed=seed)
    if out is not None and not resume:
        out.unlink(missing_ok=True)
    with Reporter() as report:
        result = sweep(
            strategy,
            rows.bars,
            book=rows.book,
            grid=parse_assignments(grid) if grid else None,
            search=search,
            trials=trials,
            costs=Costs().changed(parse_assignments(cost or [])),
            rule=strategy.rule.changed(parse_assignments(rule or [])),
            cash=cash,
            clock=rows.clock,
            metric=metric,
            constraint=constraint,
            apart=apart,
            params=parse_assignments(set_ or []),
            budget_mb=budget_mb,
            threads=threads or None,
            engine=engine,
            seed=seed,
            resume=out,
            ledger=where(ledger),
            progress=report,
        )
    best = result.best() if len(result) else None
    if as_json:
        print_json(_document(result, best, top, out))
    else:
        _say(result, best, top, out)
    return 0 if result.complete else INTERRUPTED


def _document(result: SweepResult, best: Best | None, top: int, out: Path | None) -> dict[str, Any]:
    return {
        "strategy": result.strategy,
        "sets": len(result),
        "asked": result.asked,
        "complete": result.complete,
        "metric": result.metric,
        "fixed": dict(result.fixed),
        "best": None if best is None else {"params": best.params, "symbol": best.symbol, **best.numbers},
        "top": [] if best is None else result.top(top).reset_index().to_dict("records"),
        "out": None if out is None else str(out),
    }


def _say(result: SweepResult, best: Best | None, top: int, out: Path | None) -> None:
    if best is None:
        typer.echo("interrupted before the first set was done")
        return
    shown = [
        "total_return", "annual_return", "sharpe", "sortino", "max_drawdown", "trades", "win_rate", "profit_factor",
    ]  # fmt: skip
    if result.metric not in shown:
        shown.append(result.metric)
    typer.echo(result.top(top)[shown].to_string(float_format=lambda value: f"{value:.4f}"))
    chosen = " ".join(f"{name}={value}" for name, value in best.params.items())
    of = f" on {best.symbol}" if best.symbol else ""
    state = "" if result.complete else f" of {result.asked:,} (interrupted)"
    typer.echo(f"\n{len(result):,} sets{state}; best {result.metric} {best.numbers[result.metric]:.4f}{of}: {chosen}")
    if out is not None:
        typer.echo(f"table      {out}")
