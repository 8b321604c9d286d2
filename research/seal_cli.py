"""The commands `seal` and `open-seal`: what is typed, and what is shown."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from data.door import Json, print_json

Dataset = Annotated[str, typer.Argument(help="A source's name (sample, store ...) or the path of a file.")]


def seal(
    dataset: Dataset,
    months: Annotated[int | None, typer.Option(min=1, help="Seal so many months at its end.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Or: first sealed session, as 2012-01-03.")] = None,
    clock: Annotated[str | None, typer.Option(help="Of stored rows, to find their end; default: 1m.")] = None,
    as_json: Json = False,
) -> None:
    """Keep the end of a dataset back from every backtest, sweep and validation, until it is opened once."""
    import msgspec

    from data.calendar import as_yyyymmdd, parse_day
    from data.errors import UsageError
    from data.seals import seal as close

    if (months is None) == (start is None):
        raise UsageError("say what to seal: --months 12 for the last year, or --from 2012-01-03")
    first = as_yyyymmdd(parse_day(start)) if start is not None else _before_end(dataset, months or 0, clock)
    made = close(dataset, first, at_ns=time.time_ns())
    if as_json:
        print_json(msgspec.to_builtins(made))
        return
    typer.echo(f"{dataset} is sealed from {_day(first)} on; open it once by: python -m research open-seal {dataset}")


def open_seal(
    dataset: Dataset,
    by: Annotated[str, typer.Option(help="Who opens it.")],
    reason: Annotated[str, typer.Option(help="Why now.")],
    as_json: Json = False,
) -> None:
    """Open a sealed dataset: logged, for good, and only once."""
    import msgspec

    from data.seals import open_seal as unseal

    opened = unseal(dataset, by=by, reason=reason, at_ns=time.time_ns())
    if as_json:
        print_json(msgspec.to_builtins(opened))
        return
    typer.echo(f"{dataset} is open; whatever is tried on it from {_day(opened.first)} on is no longer unseen")


def _before_end(dataset: str, months: int, clock: str | None) -> int:
    """The day (yyyymmdd) after which the last `months` months lie."""
    import pandas as pd

    from backtests.rows import load_rows

    rows = load_rows(dataset, clock=clock)
    last = pd.Timestamp(str(rows.bars.session[-1]))
    first = last - pd.DateOffset(months=months) + pd.DateOffset(days=1)
    return int(first.strftime("%Y%m%d"))


def _day(session: int) -> str:
    return f"{session // 10_000:04d}-{session // 100 % 100:02d}-{session % 100:02d}"
