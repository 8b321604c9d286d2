"""The door: python -m backtests run | compare | report | verify."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from backtests.cli_options import (
    BenchmarkName,
    Cash,
    Certify,
    Clock,
    CostSet,
    End,
    EvidenceFile,
    Label,
    Name,
    Names,
    NotesFile,
    RuleSet,
    Seed,
    Set,
    Source,
    Start,
    Symbols,
    WithSource,
    asked,
    certificate_of,
    extras_of,
)
from backtests.cli_report import report, verify
from data.door import Json, new_app, parse_assignments, print_json, run

app = new_app("What would have happened: run a strategy over history, write its report, verify one, compare.")


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
    report: Annotated[str, typer.Option(metavar="FILE", help="Write the HTML report to this file.")] = "",
    save: Annotated[str, typer.Option(metavar="FILE", help="Keep the whole result in this file.")] = "",
    evidence: EvidenceFile = None,
    notes: NotesFile = None,
    benchmark: BenchmarkName = "",
    with_source: WithSource = False,
    judge: Annotated[bool, typer.Option("--judge", help="Compare with vectorbt's valuation of the orders.")] = False,
    certify: Certify = False,
    as_json: Json = False,
) -> int:
    """Backtest one strategy; exit 3 where the certificate or the comparison with vectorbt fails."""
    from strategies.common.load import load_strategy

    strategy = load_strategy(name)
    params = parse_assignments(set_ or [])
    result = asked(strategy, source, symbols, start, end, params, rule, cost, cash, clock, seed, label)
    certificate = certificate_of(strategy, params, seed) if certify else None
    judged = result.judge() if judge or report else None
    path = ""
    if report:
        extras = extras_of(result, evidence, notes, benchmark, with_source)
        path = str(result.report(report, certificate=certificate, judge=judged, **extras))
    if save:
        result.save(save)
    ok = (certificate is None or certificate.ok) and (judged is None or judged["equity"] <= TOLERANCE)
    if as_json:
        proof = None if certificate is None else certificate.as_dict()
        print_json(
            {
                **result.as_dict(),
                "judge": judged,
                "certificate": proof,
                "report": path or None,
                "saved": save or None,
                "ok": ok,
            }
        )
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
    if save:
        typer.echo(f"saved      {save}")
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
    results = [asked(s, source, symbols, start, end, {}, rule, cost, cash, clock, seed, label) for s in strategies]
    if as_json:
        print_json([result.as_dict() for result in results])
        return
    table = pd.DataFrame({result.strategy: result.stats() for result in results})
    typer.echo(table.map(_shown).to_string())


TOLERANCE = 1e-9
"""The largest relative difference to vectorbt's equity that rounding can explain."""

app.command("report")(report)
app.command("verify")(verify)


def _shown(value: Any) -> str:
    return f"{value:,.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run(app)
