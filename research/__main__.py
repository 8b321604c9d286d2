"""The door: python -m research demo | sweep | validate | trials | scan | patterns ..."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data.door import Json, new_app, print_json, run
from research.patterns import cli as patterns
from research.scan_cli import scan
from research.seal_cli import open_seal, seal
from research.sweep_cli import sweep_command
from research.validate_cli import trials, validate

app = new_app("Questions across many runs. `demo` shows the whole path once: backtest, report, paper session, proof.")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for reports, tape and journal.")] = Path("backtests/runs/demo"),
    seed: Annotated[int, typer.Option(help="Of the simulated market.")] = 7,
    as_json: Json = False,
) -> int:
    """One signal function from tape to backtest, report and paper session, and the proof that they are the same."""
    from research.demo import run_demo

    done = run_demo(out, seed=seed, say=(lambda _: None) if as_json else typer.echo)
    if as_json:
        print_json(done)
    return 0 if done["ok"] else 3


notes = new_app("Pattern notes by a language model: it may annotate, veto and shrink, never originate or enlarge.")
for command in (patterns.note, patterns.budget, patterns.replay, patterns.ledger):
    notes.command()(command)
app.add_typer(notes, name="patterns")
app.command("sweep")(sweep_command)
app.command()(validate)
app.command()(trials)
app.command()(seal)
app.command("open-seal")(open_seal)
app.command()(scan)


@app.command()
def version() -> None:
    """The versions that decide the bits."""
    import platform
    from importlib.metadata import version as installed

    for name in ("numpy", "numba", "pandas", "vectorbt"):
        typer.echo(f"{name} {installed(name)}")
    typer.echo(f"python {platform.python_version()}")


if __name__ == "__main__":
    run(app)
