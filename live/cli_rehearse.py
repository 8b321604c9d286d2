"""The command `rehearse`: a whole day of an account's live process against the sandbox, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.door import Json

if TYPE_CHECKING:
    from live.rehearse import Rehearsed
    from live.rehearse_books import OrderLine


def rehearse(
    account: Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")],
    tape: Annotated[
        Path, typer.Option(metavar="TAPE", help="A recorded or simulated tape with the account's symbols.")
    ],
    speed: Annotated[float, typer.Option(min=0.1, max=600.0, help="Times as fast as the tape happened.")] = 60.0,
    faults: Annotated[
        str,
        typer.Option(metavar="PLAN", help="none, mild, harsh, or a plan as of `sandbox`; ';seed=3' for other luck."),
    ] = "mild",
    begin: Annotated[
        int, typer.Option(min=0, help="Sessions of the tape that are history already; the account's `warm` needs some.")
    ] = 0,
    minutes: Annotated[float, typer.Option(min=0.0, help="End after so many minutes of the tape; 0: with it.")] = 0.0,
    cash: Annotated[float, typer.Option(min=1.0, help="Dollars that the sandbox's account begins with.")] = 100_000.0,
    kills: Annotated[
        int, typer.Option(min=0, help="Kill the live process so often over those minutes, and start it again.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Journal, record and logs; default: out/rehearsals/NAME-TIME.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Run an account's whole live process against the sandbox: no key, no money, every fault.

    Prints what happened, what went wrong and was survived, and every order with its reason; then the sandbox's books
    against ours, and whether one call of the strategy over the same rows decides the same. Exit 7 where the books
    differ, 3 where the decisions do.
    """
    import time

    import msgspec

    from data.door import print_json
    from data.errors import UsageError
    from live.header import CHECKOUT
    from live.rehearse import Wishes
    from live.rehearse import rehearse as run

    if kills and not minutes:
        raise UsageError("--kills needs --minutes: deaths are spread over them")
    folder = out or CHECKOUT / "out" / "rehearsals" / f"{account.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    done = run(account, Wishes(tape, speed, faults, folder.resolve(), minutes, begin, cash, kills))
    if as_json:
        print_json(msgspec.to_builtins(done) | {"exit_code": done.exit_code})
    else:
        typer.echo(told(done))
    return done.exit_code


def told(done: Rehearsed) -> str:
    """A rehearsal for a reader."""
    books, same = done.books, done.parity
    lines = [
        f"{done.account} at {done.broker}: {done.minutes:g} minutes of {done.tape}, {same.rows} rows",
        "",
        *([f"limits of the copy: {_limits(done.stretched)}", ""] if done.stretched else []),
        "what went wrong, and how often",
        *_counted(done.injected, "nothing was made to go wrong"),
        *([f"  {done.starts:5d}  starts of the live process"] if done.starts > 1 else []),
        "",
        "what the process said",
        *_counted(done.alerts, "nothing"),
        *([f"  it ended with exit {done.code}: {done.said[-1]}"] if done.code not in (0, 130) and done.said else []),
        "",
        f"orders ({len(books.orders)}, {sum(line.filled > 0.0 for line in books.orders)} of them filled)",
        *(_order(line) for line in books.orders),
        "",
        "the sandbox's books against ours",
        f"  cash       {books.their_cash:,.2f} against {books.cash:,.2f}",
        f"  positions  {_held(books.their_positions)} against {_held(books.positions)}",
        *(f"  still open: {line}" for line in books.pending),
        *(f"  DIFFERENT: {line}" for line in books.differences),
        *([] if books.differences else ["  equal: no order doubled, none lost"]),
        "",
        "the same rows through the backtest's call",
        f"  {same.entered} entries and {same.left} exits signalled",
        f"  {same.decisions} decisions, {same.refused} of them kept back by a control",
        f"  DIFFERENT: {same.different}" if same.different else "  the same decisions, to the byte",
        "",
        f"journal, record and logs are in {done.folder}",
    ]
    return "\n".join(lines)


def _limits(stretched: dict[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in stretched.items())


def _counted(counts: dict[str, int], nothing: str) -> list[str]:
    return [f"  {count:5d}  {name}" for name, count in counts.items()] or [f"  {nothing}"]


def _order(line: OrderLine) -> str:
    from data.calendar import utc

    done = f"{line.filled:g} at {line.price:.4f}" if line.filled else ""
    why = f"  ({line.why})" if line.why else ""
    what = f"{line.side:<4} {line.quantity:>8g} {line.symbol:<6} {line.reason:<10} {line.state:<11}"
    return f"  {utc(line.decided)}  {what} {done}{why}"


def _held(positions: dict[str, float]) -> str:
    return ", ".join(f"{symbol} {shares:+g}" for symbol, shares in positions.items()) or "flat"
