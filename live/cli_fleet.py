"""`python -m live fleet up | down | status | restart | roll | halt | check`: many accounts on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.door import new_app
from live.cli_fleet_status import Folder, status
from live.cli_fleet_words import flatten, halt, resume

if TYPE_CHECKING:
    from live.fleet_files import Fleet

fleet = new_app("Many accounts on one machine: one process each, one supervisor, one feed for all.")

Accounts = Annotated[list[Path], typer.Argument(metavar="DIR|ACCOUNT.toml...", help="A folder of account files.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[ACCOUNT...]", help="Names of accounts; default: all.")]
UP_S, DOWN_S = 60.0, 40.0


@fleet.command()
def up(
    accounts: Accounts,
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="TAPE", help="Trade over a tape, on paper.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.0, help="Of the tape: 1 as it happened, 0 as fast as it goes.")] = 1.0,
    feed: Annotated[
        str, typer.Option(metavar="WORDS", help="Of `python -m data`, such as 'stream --source alpaca --symbols SPY'.")
    ] = "",
    hub: Annotated[Path | None, typer.Option(metavar="SOCKET", help="Hear a hub that runs already.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it running and come back to the prompt.")] = False,
    rolling: Annotated[bool, typer.Option("--rolling", hidden=True)] = False,
) -> None:
    """Start a process for every account and watch over them, until Ctrl-C or `down`."""
    import shlex
    import sys

    from data.errors import DataError, UsageError
    from live.fleet import Supervisor
    from live.fleet_child import Source, preload
    from live.fleet_files import load_fleet
    from live.hub import Hub, feed_command
    from live.lock import held

    if (replay is not None) + bool(feed) + (hub is not None) != 1:
        raise UsageError("say where the market comes from: --replay TAPE, --feed WORDS or --hub SOCKET")
    loaded = load_fleet(accounts)
    words = [str(path.absolute()) for path in accounts]
    if replay is not None:
        words += ["--replay", str(replay.absolute()), "--speed", f"{speed:g}"]
    elif hub is not None:
        words += ["--hub", str(hub.absolute())]
    else:
        words += ["--feed", feed]
    if detach:
        _detach(loaded, words)
        return
    command, lossless = feed_command(replay, speed, shlex.split(feed)), replay is not None and speed == 0

    def make() -> Hub:
        return Hub(command, loaded.hub, lossless=lossless, patient=replay is None)

    preload()
    with held(loaded.state / "fleet.lock", f"fleet {loaded.name}"):
        supervisor = Supervisor(
            loaded,
            Source(hub=loaded.hub if hub is None else hub.absolute(), speed=speed, live=replay is None),
            make if hub is None else None,
            again=["-m", "live", "fleet", "up", *words, "--rolling"],
            rolling=rolling,
            tell=lambda sentence: print(sentence, file=sys.stderr, flush=True),
        )
        supervisor.run()
    if supervisor.failed:
        raise DataError(supervisor.failed)


def _detach(loaded: Fleet, words: list[str]) -> None:
    import os
    import subprocess
    import sys
    import time

    from data.errors import ConfigError, UnavailableError
    from live.fleet_roll import last_line
    from live.fleet_state import ask, holder
    from live.header import CHECKOUT

    if holder(loaded.state / "fleet.lock"):
        raise ConfigError(f"fleet {loaded.name!r} is up already; see: python -m live fleet status {loaded.folder}")
    loaded.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(loaded.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "ab") as log:
        process = subprocess.Popen(  # noqa: S603  # ourselves
            [sys.executable, "-m", "live", "fleet", "up", *words],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until = time.monotonic() + UP_S
    while time.monotonic() < until:
        code = process.poll()
        if code == 0:
            break  # every tape is over already
        if code is not None:
            raise ConfigError(f"the fleet did not come up: {last_line(loaded.log)}")
        try:
            ask(loaded.socket, {"do": "status"})
            break
        except UnavailableError:
            time.sleep(0.05)
    else:
        raise UnavailableError(f"the fleet did not answer for {UP_S:g} s; see {loaded.log}")
    typer.echo(f"{loaded.name}: {len(loaded.members)} accounts, supervisor {process.pid}, log {loaded.log}")


fleet.command()(status)


@fleet.command()
def down(folder: Folder, names: Names = None) -> None:
    """Stop accounts in good order, all of them with their supervisor where none is named."""
    import signal
    import time

    from data.errors import UnavailableError
    from live.fleet_files import load_fleet
    from live.fleet_minder import send
    from live.fleet_state import ask, holder, read_status

    loaded = load_fleet([folder])
    locks = {member.name: member.account.lock for member in loaded.members if not names or member.name in names}
    if holder(loaded.state / "fleet.lock"):
        ask(loaded.socket, {"do": "down", "names": names or []})
    else:  # without a supervisor the runners are told directly
        for lock in locks.values():
            if pid := holder(lock):
                send(pid, signal.SIGTERM)
    waited = list(locks.values()) if names else [*locks.values(), loaded.state / "fleet.lock"]
    until = time.monotonic() + DOWN_S

    def runs(name: str) -> bool:
        told = read_status(loaded.state) if holder(loaded.state / "fleet.lock") else None
        return told is not None and any(each.name == name and each.pid for each in told.runners)

    while any(holder(lock) for lock in waited) or any(runs(name) for name in locks):
        if time.monotonic() > until:
            raise UnavailableError(f"not all ended within {DOWN_S:g} s; see: python -m live fleet status {folder}")
        time.sleep(0.05)
    typer.echo(f"{loaded.name}: {', '.join(locks)} down")


@fleet.command()
def restart(folder: Folder, names: Names = None) -> None:
    """Stop accounts in good order and start them again; a crash loop is forgotten."""
    from live.fleet_files import load_fleet
    from live.fleet_state import ask

    loaded = load_fleet([folder])
    answer = ask(loaded.socket, {"do": "restart", "names": names or []})
    typer.echo(f"{loaded.name}: {', '.join(answer['names'])} told to start again")


@fleet.command()
def check(accounts: Accounts) -> None:
    """Read every file of a fleet as `up` would, and start nothing."""
    from live.fleet_child import preload
    from live.fleet_files import load_fleet, read_env

    loaded = load_fleet(accounts)
    for member in loaded.members:
        if member.env is not None:
            read_env(member.env)
    preload()
    typer.echo(f"{loaded.name}: {len(loaded.members)} accounts are in order")


@fleet.command(name="run")
def run_account(
    account: Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")],
    hub: Annotated[Path | None, typer.Option(metavar="SOCKET", help="Hear this hub.")] = None,
    replay: Annotated[Path | None, typer.Option("--replay", metavar="TAPE", help="Over a tape, on paper.")] = None,
    speed: Annotated[float, typer.Option(min=0.0, help="Of the tape.")] = 1.0,
) -> int:
    """Trade one account without a supervisor, under systemd (Type=notify) or in a container."""
    from data.errors import UsageError
    from live.fleet_child import Source
    from live.fleet_one import run_one

    if (hub is None) == (replay is None):
        raise UsageError("say where the market comes from: --hub SOCKET or --replay TAPE")
    return run_one(account, Source(hub, replay, speed, live=replay is None))


@fleet.command()
def healthy(
    account: Annotated[Path, typer.Argument(metavar="ACCOUNT.toml", help="The account file.")],
) -> int:
    """Exit 0 where the account's runner said within 30 s how it stands, 1 where not; for containers."""
    from live.control import Control
    from live.fleet_one import HEALTHY_S, heard
    from live.watch.roster import place_of

    place = place_of(account)
    age_s = heard(Control(place.state, place.name), 0)[0] if place is not None and not place.problem else float("inf")
    typer.echo(f"heard of {age_s:.0f} s ago" if age_s < float("inf") else "never heard of")
    return 0 if age_s <= HEALTHY_S else 1


@fleet.command()
def roll(folder: Folder, wait: Annotated[bool, typer.Option(help="Until it is over.")] = True) -> int:
    """Bring new code to every account, one by one, then to the hub; stop at what would trade otherwise. Exit 3 then."""
    import subprocess
    import sys
    import time

    from data.errors import ConfigError, UnavailableError
    from live.fleet_files import load_fleet
    from live.fleet_state import ask, holder, read_status
    from live.header import CHECKOUT

    loaded = load_fleet([folder])
    checking = subprocess.run(  # noqa: S603  # ourselves, with the new code
        [sys.executable, "-m", "live", "fleet", "check", *(str(member.path) for member in loaded.members)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if checking.returncode:
        said = checking.stderr.strip().splitlines()
        raise ConfigError(f"the new code does not start, nothing was changed: {said[-1] if said else 'no word'}")
    ask(loaded.socket, {"do": "roll"})
    asked = time.time_ns()
    if not wait:
        typer.echo(f"{loaded.name}: rolling; see: python -m live fleet status {folder}")
        return 0
    shown = ""
    while True:
        told = read_status(loaded.state)
        if told is not None and told.said > asked and told.rolling and told.rolling != shown:
            shown = told.rolling
            typer.echo(f"roll: {shown}")
        if shown.startswith("stopped"):
            return 3
        if "run the new code" in shown or shown == "nothing to roll":
            return 0
        if not holder(loaded.state / "fleet.lock") and (told is None or told.ended):
            raise UnavailableError("the supervisor ended in the middle of the roll")
        time.sleep(0.1)


for word in (halt, flatten, resume):
    fleet.command()(word)
