"""`python -m live alerts [DIR]`, and the words of it: ack, list, test, rules."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from data.door import Json, print_json

if TYPE_CHECKING:
    from live.logs import Log

Accounts = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[ACCOUNT.toml|DIR]", help="Account files and folders of them; default: live/accounts."),
]
Folder = Annotated[
    Path | None, typer.Option("--book", metavar="DIR", help="Folder of the daemon's book; default: out/live.")
]


class _WatchByDefault(TyperGroup):
    """`alerts DIR` is `alerts watch DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["watch", *args]
        return super().parse_args(ctx, args)


alerts = typer.Typer(
    cls=_WatchByDefault,
    help="Tell people before things go wrong: by webhook, Telegram, mail; see ALERT_URLS.",
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@alerts.command()
def watch(
    accounts: Accounts = None,
    book: Folder = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, tell, and end.")] = False,
) -> None:
    """Judge the rules until stopped, and tell what fires and clears. The command where none is named."""
    import signal
    import threading

    from data.settings import load_settings
    from live.alerts.book import FOLDER, BookFile
    from live.alerts.daemon import Daemon
    from live.alerts.rules import load_rules
    from live.alerts.send import Targets
    from live.fleet_notify import notify
    from live.logs import open_log
    from live.logs_redact import Redactor
    from live.metrics.endpoint import Figures
    from live.metrics.host import Costs
    from live.watch.view import Watch

    settings, folder = load_settings(), book or FOLDER
    targets, redactor = Targets.of_settings(settings), Redactor.of_settings(settings)
    seen, rules = Watch(accounts or ()), load_rules()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    log: Log
    with open_log(folder / "alerts.log", redactor=redactor) as log:
        daemon = Daemon(Figures(seen, Costs()), rules, targets, BookFile(folder), log, redactor=redactor)
        if not targets.names:
            typer.echo("no ALERT_URLS is set: alerts go to the log and to top only", err=True)
        typer.echo(f"{len(rules)} rules over {len(seen.roster.places())} accounts, told to {_kinds(targets)}")
        notify("READY=1")
        while True:
            for notice in daemon.step():
                typer.echo(f"{notice.what} {notice.severity} {notice.name}: {notice.text}")
            notify("WATCHDOG=1")
            if once or stop.wait(every):
                break
        notify("STOPPING=1")


@alerts.command()
def ack(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The alert's name, as `list` has it.")],
    account: Annotated[str, typer.Option(help="Of this account only.")] = "",
    book: Folder = None,
) -> None:
    """Say that an alert is known: it is not told of again until it has cleared."""
    from data.door import did_you_mean
    from data.errors import UsageError
    from live.alerts.book import FOLDER, BookFile, Seen, active_alerts

    folder = book or FOLDER
    standing = [alert for alert in active_alerts(folder) if account in ("", alert.account)]
    found = [alert for alert in standing if alert.name == name]
    if not found:
        of = f" of {account}" if account else ""
        names = {alert.name for alert in standing}
        raise UsageError(f"no alert {name!r}{of} stands{did_you_mean(name, names) if names else '; none does'}")
    BookFile(folder).say(Seen(name, getpass.getuser(), account))
    for alert in found:
        typer.echo(f"seen: {alert.name} {alert.text}")


@alerts.command(name="list")
def list_alerts(book: Folder = None, as_json: Json = False) -> None:
    """Print the alerts that stand."""
    import msgspec

    from data.calendar import utc
    from live.alerts.book import FOLDER, active_alerts

    standing = active_alerts(book or FOLDER)
    if as_json:
        print_json([msgspec.structs.asdict(alert) for alert in standing])
        return
    for alert in standing:
        seen = f" (seen by {alert.seen_by})" if alert.seen_by else ""
        typer.echo(f"{alert.severity:<8} {alert.name}: {alert.text}, since {utc(alert.since // 10**9 * 10**9)}{seen}")
    if not standing:
        typer.echo("no alert stands")


@alerts.command()
def test() -> int:
    """Send a message to every address of ALERT_URLS and say which did not take it."""
    import time

    from data.errors import ConfigError
    from data.settings import load_settings
    from live.alerts.book import Message
    from live.alerts.send import Targets

    targets = Targets.of_settings(load_settings())
    if not targets.names:
        raise ConfigError("no ALERT_URLS is set; write one into .env, such as ALERT_URLS=tgram://TOKEN/CHAT")
    message = Message("info", "info: a test", "Alerts of onetape come to this place.", [], time.time_ns())
    failed = 0
    for name in targets.names:
        taken = targets.send(name, message)
        failed += not taken
        typer.echo(f"{targets.kind(name)}: {'taken' if taken else 'NOT taken'}")
    return 6 if failed else 0


@alerts.command()
def rules(
    prometheus: Annotated[bool, typer.Option("--prometheus", help="As a rule file of Prometheus.")] = False,
    as_json: Json = False,
) -> None:
    """Print the rules in force."""
    import msgspec

    from live.alerts.rules import load_rules
    from live.alerts.rules import prometheus as written

    found = load_rules()
    if prometheus:
        typer.echo(written(found), nl=False)
    elif as_json:
        print_json(msgspec.to_builtins(found))
    else:
        width = max(map(len, found), default=0)
        for name, rule in found.items():
            held = f" for {rule.for_s:g} s" if rule.for_s else ""
            typer.echo(f"{name.ljust(width)}  {rule.severity:<8}  {rule.expression()}{held}")


def _kinds(targets: Any) -> str:
    kinds = [targets.kind(name) for name in targets.names]
    return ", ".join(kinds) or "nobody"
