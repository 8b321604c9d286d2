"""`python -m live capacity`: what so many accounts need, by the plan and by what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.door import Json, print_json

if TYPE_CHECKING:
    from live.capacity import Line


def capacity(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR|ACCOUNT.toml...]", help="Accounts to measure.")
    ] = None,
    accounts: Annotated[int, typer.Option(min=0, max=10_000, help="How many there are to be; default: as now.")] = 0,
    trades: Annotated[float, typer.Option(min=0.0, help="Of an account a day; default: measured, else 20.")] = 0.0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw it, as SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Print the capacity plan beside what was measured: tiers, thresholds, which comes first, and where it is wrong."""
    import msgspec

    from live.capacity import TIERS, TRADES_A_DAY, mistakes, nearest, plan_of, side_by_side, tier_of, triggers
    from live.capacity_measured import measure, measure_host
    from live.metrics.host import Costs
    from live.watch.roster import Roster

    places = Roster(folders or ()).places()
    found = measure(places)
    host = measure_host(places[0].state if places else Path(), [place.log for place in places])
    count = accounts or max(found.accounts, 1)
    known = found.trades if found.trades == found.trades else TRADES_A_DAY
    plan = plan_of(count, trades or known)
    dollars = Costs().fixed or tier_of(count).dollars
    lines, limits = side_by_side(count, plan, found), triggers(count, found, host, dollars)
    wrong = list(mistakes(trades or known, found))
    if plot is not None:
        from live.capacity_plot import svg

        plot.write_text(svg(found, host, trades or known), "utf-8")
    if as_json:
        tiers = [msgspec.to_builtins(tier) | msgspec.to_builtins(plan_of(tier.accounts, plan.trades)) for tier in TIERS]
        print_json(
            {
                "accounts": count,
                "plan": msgspec.structs.asdict(plan),
                "measured": msgspec.structs.asdict(found),
                "host": msgspec.structs.asdict(host),
                "side_by_side": [msgspec.structs.asdict(line) | {"ratio": line.ratio} for line in lines],
                "tiers": tiers,
                "triggers": [msgspec.structs.asdict(each) for each in limits],
                "nearest": nearest(limits),
                "mistakes": wrong,
            }
        )
        return
    typer.echo(f"{count} accounts, {plan.trades:.0f} trades a day each; measured on {found.accounts} accounts\n")
    _tiers(plan.trades)
    typer.echo(f"\n{'':<28} {'plan':>12} {'measured':>12}")
    for line in lines:
        typer.echo(f"{line.name:<28} {line.plan:>12,.1f} {_told(line):>12} {line.unit}")
    typer.echo(f"\n{'threshold':<28} {'now':>12} {'limit':>12}")
    for each in limits:
        when = f"in {each.days:,.0f} days" if each.days < float("inf") else ""
        when = f"at {each.at_accounts} accounts" if each.at_accounts else when
        typer.echo(f"{each.name:<28} {each.value:>12,.1f} {each.limit:>12,.0f} {each.unit:<8} {when}".rstrip())
    typer.echo(f"\n{nearest(limits)}\n\nwhere the plan is wrong:")
    for sentence in wrong:
        typer.echo(f"* {sentence}")


def _told(line: Line) -> str:
    return f"{line.measured:,.1f}" if line.measured == line.measured else "not yet"


def _tiers(trades: float) -> None:
    from live.capacity import TIERS, plan_of

    typer.echo(
        f"{'tier':<5} {'accounts':>8} {'$/month':>8} {'RAM MB':>8} {'calls/day':>10} {'$/trade':>8} {'even at':>8}"
    )
    for tier in TIERS:
        plan = plan_of(tier.accounts, trades)
        typer.echo(
            f"{tier.number:<5} {tier.accounts:>8} {tier.dollars:>8,.0f} {plan.ram_mb:>8,.0f} {plan.calls:>10,.0f} "
            f"{plan.dollars_a_trade:>8.3f} {plan.break_even:>8}  {tier.store}; first to give: {tier.breaks}"
        )
