"""The commands `report` and `verify`: pages from saved results, sessions and comparisons, and their proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    NotesFile,
    RuleSet,
    Seed,
    Set,
    Source,
    Start,
    Symbols,
    WithSource,
)
from data.door import Json, parse_assignments, print_json

if TYPE_CHECKING:
    from backtests.result import Result

Target = Annotated[str, typer.Argument(help="A strategy by name or path, or a result that `--save` wrote.")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="The HTML file.")]
SessionFile = Annotated[
    Path | None,
    typer.Option("--session", metavar="FILE", help="A session, as `python -m live show JOURNAL --json` prints it."),
]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option("--compare", metavar="A B", help="Two saved results, or two parameter sets as fast=5,slow=20."),
]


def report(
    target: Target = "",
    out: Out = Path("report.html"),
    session: SessionFile = None,
    compare: Compare = None,
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
    evidence: EvidenceFile = None,
    notes: NotesFile = None,
    benchmark: BenchmarkName = "",
    with_source: WithSource = False,
    certify: Certify = False,
    as_json: Json = False,
) -> int:
    """Write a report of a strategy, a saved result or a session, or two of them side by side.

    A session is replayed over the rows it traded on (--source) and shown beside that backtest.
    """
    from backtests.cli_options import asked, certificate_of, extras_of
    from data.errors import UsageError
    from strategies.common.load import load_strategy

    rest = (source, symbols, start, end)
    if compare is not None:
        from backtests.report_compare import write_comparison

        def one(text: str) -> Result:
            if Path(text).is_file():
                return _saved(text)
            if not target:
                raise UsageError(f"{text!r} is no saved result; for parameters name the strategy first")
            params = parse_assignments([part for part in text.split(",") if part])
            return asked(load_strategy(target), *rest, params, rule, cost, cash, clock, seed, label)

        path = write_comparison(one(compare[0]), one(compare[1]), out)
        return _done(path, {}, as_json)
    certificate = None
    if session is not None:
        result, extras = _of_session(session, target, source, symbols, start, end, clock, label)
    elif target and Path(target).is_file() and not target.endswith(".py"):
        result, extras = _saved(target), {}
    elif target:
        strategy = load_strategy(target)
        params = parse_assignments(set_ or [])
        result = asked(strategy, *rest, params, rule, cost, cash, clock, seed, label)
        extras = {}
    else:
        raise UsageError("report needs a strategy, a saved result, --session FILE, or --compare A B")
    if certify:
        where = result.strategy_path or result.strategy
        certificate = certificate_of(load_strategy(where), dict(result.params), seed)
    extras |= extras_of(result, evidence, notes, benchmark, with_source)
    path = result.report(out, certificate=certificate, **extras)
    told = {"strategy": result.strategy, "metrics": result.metrics}
    return _done(path, told, as_json)


def verify(
    path: Annotated[Path, typer.Argument(metavar="REPORT", help="A report that `run --report` or `report` wrote.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="PATH", help="Where its rows are now: a source's name or a file.")
    ] = None,
    label: Label = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", metavar="PATH", help="Where its strategy is now, by name or path.")
    ] = None,
    certify: Annotated[bool, typer.Option("--certify", help="Make its certificate again too.")] = False,
    as_json: Json = False,
) -> int:
    """Run a report again from the manifest inside: MATCH, or the first trade or number that differs (exit 0 or 3)."""
    from backtests.verify import verify as verified

    outcome = verified(path, data=data, label=label, strategy=strategy, certify=certify)
    if as_json:
        print_json(outcome.as_dict())
        return 0 if outcome.ok else 3
    typer.echo(outcome.sentence)
    if outcome.ok and outcome.again:
        typer.echo(f"computed again: {'; '.join(outcome.again)}")
    if outcome.carried:
        typer.echo(f"shown as the manifest has it, not made again: {'; '.join(outcome.carried)}")
    return 0 if outcome.ok else 3


def _saved(path: str) -> Result:
    from backtests.result import Result

    return Result.load(path)


def _of_session(
    path: Path,
    target: str,
    source: str,
    symbols: str,
    start: str | None,
    end: str | None,
    clock: str | None,
    label: str | None,
) -> tuple[Result, dict[str, Any]]:
    """The backtest of a session's plan over its rows, and the session."""
    from backtests.engine import run_backtest
    from backtests.rows import load_rows
    from backtests.session_file import read_session
    from strategies.common.costs import Costs
    from strategies.common.load import load_strategy
    from strategies.common.rule import Rule

    told = read_session(path)
    plan = told["header"]["plan"]
    strategy = load_strategy(target or plan["strategy"])
    wanted = tuple(part.strip() for part in symbols.split(",") if part.strip()) or tuple(plan["symbols"])
    rows = load_rows(source, wanted, start, end, clock=clock, label=label)
    result = run_backtest(
        rows.bars, strategy, plan["params"], Costs(**plan["costs"]),
        book=rows.book, rule=Rule(**plan["rule"]), cash=plan["cash"], clock=plan["clock"], origin=rows.origin,
        ledger=None,
    )  # fmt: skip
    return result, {"session": told}


def _done(path: Path, told: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json({"report": str(path)} | told)
    else:
        typer.echo(f"report     {path}")
    return 0
