"""The door: python -m strategies ls | show | certify."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from data.door import Json, new_app, parse_assignments, print_json, run

app = new_app("Strategies: list them, read their parameters, certify that batch and stream are the same.")

Name = Annotated[str, typer.Argument(help="A name from `ls`, or the path of a .py file with `signals`.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="A parameter; repeat for more.")]


@app.command()
def ls(as_json: Json = False) -> None:
    """List the strategies here."""
    from strategies.common.load import load_strategy, strategy_names

    found = [load_strategy(name) for name in strategy_names()]
    if as_json:
        print_json([{"name": s.name, "clock": s.clock, "needs_book": s.needs_book, "doc": s.doc} for s in found])
        return
    width = max(len(s.name) for s in found)
    for s in found:
        typer.echo(f"{s.name:<{width}}  {s.clock:<3} {'L2' if s.needs_book else '  '}  {s.doc.splitlines()[0]}")


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a strategy's parameters, with types, ranges and defaults, and its position rule."""
    from dataclasses import asdict

    from strategies.common.load import load_strategy

    s = load_strategy(name)
    rows = [
        {"name": p.name, "type": p.kind.__name__, "default": p.default, "range": list(p.range) if p.range else None}
        for p in s.parameters
    ]
    if as_json:
        print_json(
            {"name": s.name, "clock": s.clock, "needs_book": s.needs_book, "doc": s.doc}
            | {"parameters": rows, "rule": asdict(s.rule), "source": s.source_hash}
        )
        return
    typer.echo(f"{s.name} on {s.clock} rows{', reads the book (L2)' if s.needs_book else ''}\n\n{s.doc}\n\nparameters")
    for p in s.parameters:
        limits = f"  {p.range.low:g} to {p.range.high:g}" if p.range else ""
        typer.echo(f"  {p.name:<12} {p.kind.__name__:<6} {p.default!s:<8}{limits}")
    typer.echo("\nrule")
    for key, value in asdict(s.rule).items():
        typer.echo(f"  {key:<14} {'by clock' if value is None else value}")


@app.command()
def certify(
    name: Name,
    set_: Set = None,
    rows: Annotated[int, typer.Option(min=50, help="Rows of the random market it is tried on.")] = 10_000,
    chunkings: Annotated[int, typer.Option(min=1, help="Random ways of cutting the rows.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the market and the cuts.")] = 1,
    out: Annotated[str, typer.Option(help="Write the certificate to this file as JSON.")] = "",
    as_json: Json = False,
) -> int:
    """Prove that the function gives the same bits in history and live, or name the first that differs (exit 3)."""
    from strategies.common.certify import certify as prove
    from strategies.common.load import load_strategy

    strategy = load_strategy(name)
    quiet = as_json or not sys.stderr.isatty()
    done = prove(
        strategy,
        parse_assignments(set_ or []),
        rows=rows,
        chunkings=chunkings,
        seed=seed,
        progress=(lambda _: None) if quiet else (lambda what: typer.echo(f"  {what} ...", err=True)),
    )
    if out:
        import json
        from pathlib import Path

        Path(out).write_text(json.dumps(done.as_dict(), indent=2) + "\n")
    if as_json:
        print_json(done.as_dict())
    else:
        typer.echo(done.line())
        for check in done.checks:
            typer.echo(f"  {check.name:<18} {check.runs:>5} runs  {check.rows:>12,} rows  {check.bits} differing bits")
        for difference in done.differences[1:]:
            typer.echo(f"  also {difference}")
        if done.warmup:
            typer.echo("  warm-up " + ", ".join(f"{name} {count} rows" for name, count in done.warmup.items()))
        typer.echo(
            f"  source {done.source[:16]}  code {done.code[:16]}  outputs {done.outputs[:16]}  state {done.state[:16]}"
        )
    return 0 if done.ok else 3


if __name__ == "__main__":
    run(app)
