"""`python -m live fleet status`: how every account stands, by its lock, its own words and its supervisor's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.door import Json, print_json

if TYPE_CHECKING:
    from live.fleet_files import Fleet
    from live.fleet_state import FleetStatus

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of account files.")]


def status(folder: Folder, as_json: Json = False) -> int:
    """Print how every account stands, the limits over all of them, and who differs from its siblings; exit 3 then."""
    import msgspec

    from live.fleet_files import load_fleet
    from live.fleet_state import holder, read_status

    loaded = load_fleet([folder])
    told = read_status(loaded.state)
    supervisor = holder(loaded.state / "fleet.lock")
    lines = [_line(loaded, told, name, supervisor) for name in [member.name for member in loaded.members]]
    bad = bool(told and told.divergences) or any(line["state"] in ("failed", "looping") for line in lines)
    if as_json:
        print_json(
            {
                "fleet": loaded.name,
                "supervisor": supervisor,
                "accounts": lines,
                "hub": msgspec.to_builtins(told.hub) if told and told.hub else None,
                "limits": [msgspec.to_builtins(use) | {"over": use.is_over} for use in told.uses] if told else [],
                "divergences": msgspec.to_builtins(told.divergences) if told else [],
                "rolling": told.rolling if told else "",
            }
        )
        return 3 if bad else 0
    typer.echo(f"{loaded.name}: {f'supervisor {supervisor}' if supervisor else 'no supervisor'}")
    for line in lines:
        held = ", ".join(f"{symbol} {quantity:+g}" for symbol, quantity in line["positions"].items()) or "flat"
        crashes = f", {line['crashes']} crashes" if line["crashes"] else ""
        typer.echo(
            f"{line['name']:<16} {line['state']:<8} {line['pid'] or '':>7}  rows {line['rows']:>7}  "
            f"equity {line['equity']:>14,.2f}  {held}{crashes}"
        )
        for label in ("halted", "said"):
            if line[label] and (label != "said" or line["state"] not in ("running", "done")):
                typer.echo(f"{'':<16} {label}: {line[label]}")
    if told is not None:
        for use in told.uses:
            if use.is_over or use.is_near:
                typer.echo(f"limit            {use.told()}")
        for each in told.divergences:
            typer.echo(f"DIFFERS          {each.told()}")
        if told.rolling:
            typer.echo(f"roll             {told.rolling}")
    return 3 if bad else 0


def _line(loaded: Fleet, told: FleetStatus | None, name: str, supervisor: int) -> dict[str, Any]:
    """What is known of an account: by its lock, its own words, and the supervisor's."""
    from data.errors import ConfigError
    from live.control import Control
    from live.fleet_state import holder

    account = next(member.account for member in loaded.members if member.name == name)
    runner = next((each for each in told.runners if each.name == name), None) if told else None
    pid = holder(account.lock)
    told_now = runner is not None and told is not None and (supervisor or (told.ended and not pid))
    state = runner.state if runner is not None and told_now else ("running" if pid else "down")
    line: dict[str, Any] = {
        "name": name,
        "state": state,
        "pid": pid,
        "crashes": runner.crashes if runner else 0,
        "starts": runner.starts if runner else 0,
        "said": runner.said if runner else "",
        "code": runner.code if runner else "",
    }
    control = Control(account.state, account.name)
    try:
        own = control.status()
    except ConfigError:
        return line | {"rows": 0, "ts": 0, "equity": 0.0, "cash": 0.0, "positions": {}, "halted": ""}
    standing = control.standing()
    return line | {
        "rows": own.rows,
        "ts": own.ts,
        "equity": own.equity,
        "cash": own.cash,
        "positions": own.positions,
        "halted": own.halted or (f"{standing.action} by {standing.who}: {standing.note}" if standing else ""),
    }
