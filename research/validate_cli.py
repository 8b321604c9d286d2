"""The commands `validate`, `trials`, `seal` and `open-seal`: what is typed, and what is shown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from data.calendar import SESSIONS_PER_YEAR
from data.door import Json, parse_assignments, print_json

YEARLY = SESSIONS_PER_YEAR**0.5
"""From a Sharpe ratio per session to one a year."""

Name = Annotated[str, typer.Argument(help="A strategy's name, or the path of a .py file with `signals`.")]
LedgerFile = Annotated[
    Path | None, typer.Option("--ledger", help="The trial ledger.", show_default="ONETAPE_LEDGER, research/trials.db")
]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="A parameter; repeat for more.")]


def validate(
    name: Name,
    source: Annotated[str, typer.Option(help="sample, simulated, store, or the path of a tape or file.")] = "sample",
    symbols: Annotated[str, typer.Option(help="Comma-separated; default: all there are.", metavar="A,B")] = "",
    start: Annotated[str | None, typer.Option(help="First session, as 2024-01-02.")] = None,
    end: Annotated[str | None, typer.Option(help="Last session, included.")] = None,
    set_: Set = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", metavar="K=V", help="Of the position rule.")] = None,
    cost: Annotated[list[str] | None, typer.Option("--cost", metavar="K=V", help="Of the cost model.")] = None,
    clock: Annotated[str | None, typer.Option(help="Of simulated or stored rows, as 1m.")] = None,
    gates: Annotated[Path | None, typer.Option(help="Thresholds; default: research/gates.toml.")] = None,
    ledger: LedgerFile = None,
    sets: Annotated[int, typer.Option(min=2, help="Parameter sets of the family that is run.")] = 100,
    draws: Annotated[int, typer.Option(min=20, help="Of bootstraps and random entries.")] = 200,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 7,
    budget: Annotated[float, typer.Option(min=1.0, help="Seconds; gates that are reached later fail.")] = 600.0,
    out: Annotated[Path | None, typer.Option(help="Write the evidence to this JSON file, for a report.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Draw what it rests on into this folder, as PNG.")] = None,
    as_json: Json = False,
) -> int:
    """Ask everything that speaks against a strategy: pass or fail per gate, the figure and the reason (exit 0 or 3)."""
    from backtests.rows import MADE_ON_CLOCK, load_rows
    from data.errors import UsageError
    from research.validate import validate as judge
    from strategies.common.costs import Costs
    from strategies.common.load import load_strategy

    if pictures is not None and pictures.exists() and not pictures.is_dir():
        raise UsageError(f"--pictures {pictures} is a file; name a folder")
    strategy = load_strategy(name)
    params = strategy.bind(parse_assignments(set_ or []))
    clock = clock or (strategy.clock if source in MADE_ON_CLOCK else None)
    chosen = tuple(s.strip() for s in symbols.split(",") if s.strip())
    rows = load_rows(source, chosen, start, end, clock=clock, seed=seed)
    began = time.monotonic()
    verdict = judge(
        strategy,
        rows.bars,
        params,
        book=rows.book,
        rule=strategy.rule.changed(parse_assignments(rule or [])),
        costs=Costs().changed(parse_assignments(cost or [])),
        gates=gates,
        ledger=where(ledger),
        sets=sets,
        draws=draws,
        seed=seed,
        time_left=lambda: budget - (time.monotonic() - began),
        progress=(lambda _: None) if as_json else (lambda what: typer.echo(f"  {what} ...", err=True)),
    )
    drawn = None
    if pictures is not None:
        from research.plots import write_pictures

        drawn = write_pictures(verdict, pictures)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(verdict.evidence().to_json(), "utf-8")
    if as_json:
        shown = {} if drawn is None else {"pictures": drawn.files, "not_drawn": drawn.left_out}
        print_json(verdict.as_dict() | shown | {"out": out})
        return 0 if verdict.passed else 3
    width = max(len(gate.name) for gate in verdict.gates)
    typer.echo(f"{strategy.name} on {rows.origin.get('source', source)}, {len(rows.bars):,} rows")
    for gate in verdict.gates:
        mark = "pass" if gate.passed else "FAIL"
        typer.echo(f"  {mark}  {gate.name:<{width}}  {gate.figure:>9.3f}  {gate.want:<9}  {gate.reason}")
    for key, value in verdict.figures.items():
        typer.echo(f"        {key:<{width + 8}}  {value:,.3f}")
    if drawn is not None:
        typer.echo(f"pictures: {', '.join(p.name for p in drawn.files.values()) or 'none'} in {pictures}")
        for key, reason in drawn.left_out.items():
            typer.echo(f"  {key} not drawn: {reason}")
    if out is not None:
        typer.echo(f"evidence: {out}")
    failed = [gate.name for gate in verdict.gates if not gate.passed]
    typer.echo("passed every gate" if verdict.passed else f"failed {len(failed)}: {', '.join(failed)}")
    return 0 if verdict.passed else 3


def trials(
    family: Annotated[str, typer.Argument(help="A family (a strategy's name); default: an overview.")] = "",
    last: Annotated[int, typer.Option(min=1, help="Newest trials shown.")] = 20,
    ledger: LedgerFile = None,
    as_json: Json = False,
) -> None:
    """Show how often an idea was tried: families with their lifetime counts, or one family's newest trials."""
    from backtests.trials import ledger_path
    from data.errors import UsageError
    from research.ledger import Ledger

    path = ledger_path(where(ledger))
    if path is None:
        raise UsageError("no trials are kept (ONETAPE_LEDGER is off); name a file by --ledger")
    book = Ledger(path)
    if family:
        found = book.trials(family, last)
        whole = book.family(family)
        if as_json:
            print_json({"family": vars(whole), "trials": found})
            return
        typer.echo(f"{family}: {whole.trials} trials of {whole.distinct} parameter sets in its lifetime")
        for trial in found:
            sharpe = "   none" if trial["sharpe"] is None else f"{trial['sharpe'] * YEARLY:7.2f}"
            typer.echo(f"  {trial['id']:>6}  {trial['origin']:<9} Sharpe {sharpe}  {trial['parameters']}")
        return
    families = book.families()
    if as_json:
        print_json([vars(each) for each in families])
        return
    if not families:
        typer.echo(f"no trials in {path} yet; every backtest, sweep and validation writes them")
    for each in families:
        typer.echo(
            f"{each.name:<20} {each.trials:>7} trials  {each.distinct:>6} sets  best Sharpe {each.best * YEARLY:.2f}"
        )


def where(ledger: Path | None) -> Path | str:
    """The ledger of an option: the file named, or that of the settings."""
    from backtests.trials import AUTO

    return AUTO if ledger is None else ledger
