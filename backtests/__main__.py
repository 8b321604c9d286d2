"""The door: python -m backtests run | compare."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.door import Json, new_app, parse_assignments, print_json, run

if TYPE_CHECKING:
    from backtests.result import Result
    from strategies.common.load import Strategy

app = new_app("What would have happened: run a strategy over history, write its report, compare strategies.")

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


@app.command("run")
def run_(
    name: Name,
    source: Source = "sample",
    symbols: Symbols = "",
    start: Start = None,
    end: End = None,
    set_: Set = None,
    rule: RuleSet = None,
    cost: CostSet = None,
    cash: Cash = 100_000.0,
    clock: Clock = None,
    seed: Seed = 7,
    label: Label = None,
    report: Annotated[str, typer.Option(help="Write the HTML report to this file.")] = "",
    judge: Annotated[bool, typer.Option("--judge", help="Compare with vectorbt's valuation of the orders.")] = False,
    certify: Annotated[bool, typer.Option("--certify", help="Prove first that batch and stream agree.")] = False,
    as_json: Json = False,
) -> int:
    """Backtest one strategy; exit 3 where the certificate or the comparison with vectorbt fails."""
    from strategies.common.load import load_strategy

    strategy = load_strategy(name)
    params = parse_assignments(set_ or [])
    result = _result(strategy, source, symbols, start, end, params, rule, cost, cash, clock, seed, label)
    certificate = _certificate(strategy, params, seed) if certify else None
    judged = result.judge() if judge or report else None
    path = ""
    if report:
        path = str(result.report(report, certificate=certificate, judge=judged["equity"] if judged else None))
    ok = (certificate is None or certificate.ok) and (judged is None or judged["equity"] <= TOLERANCE)
    if as_json:
        proof = None if certificate is None else certificate.as_dict()
        print_json({**result.as_dict(), "judge": judged, "certificate": proof, "report": path or None, "ok": ok})
        return 0 if ok else 3
    typer.echo(result.summary())
    if certificate is not None:
        typer.echo(f"certified  {certificate.line()}")
    if judged is not None:
        typer.echo(
            f"vectorbt   equity of the same orders differs by at most {judged['equity']:.1e} (relative), "
            f"{judged['vectorbt_trades']} trades there, {judged['trades']} here"
        )
    if path:
        typer.echo(f"report     {path}")
    return 0 if ok else 3


@app.command()
def compare(
    names: Names,
    source: Source = "sample",
    symbols: Symbols = "",
    start: Start = None,
    end: End = None,
    rule: RuleSet = None,
    cost: CostSet = None,
    cash: Cash = 100_000.0,
    clock: Clock = None,
    seed: Seed = 7,
    label: Label = None,
    as_json: Json = False,
) -> None:
    """Backtest several strategies on the same rows, side by side."""
    import pandas as pd

    from backtests.rows import MADE_ON_CLOCK
    from strategies.common.load import load_strategy

    strategies = [load_strategy(name) for name in names]
    if source in MADE_ON_CLOCK:
        clock = clock or strategies[0].clock
    results = [_result(s, source, symbols, start, end, {}, rule, cost, cash, clock, seed, label) for s in strategies]
    if as_json:
        print_json([result.as_dict() for result in results])
        return
    table = pd.DataFrame({result.strategy: result.stats() for result in results})
    typer.echo(table.map(_shown).to_string())


TOLERANCE = 1e-9
"""The largest relative difference to vectorbt's equity that rounding can explain."""


def _result(
    strategy: Strategy,
    source: str,
    symbols: str,
    start: str | None,
    end: str | None,
    params: dict[str, str],
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


def _certificate(strategy: Strategy, params: dict[str, str], seed: int) -> Any:
    from strategies.common.certify import certify

    return certify(strategy, params, seed=seed)


def _shown(value: Any) -> str:
    return f"{value:,.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run(app)
