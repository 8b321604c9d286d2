"""systemd units made from account files: for a server without Docker.

    onetape-fleet.service      one supervisor, a process per account, one hub; the smallest in memory
    onetape-backup.service     copies journals as they are written
    onetape-metrics.service    figures for Prometheus, on loopback
    onetape-alerts.service     tells people, at the addresses in `alerts.urls` beside the accounts

or, with a unit for every account, onetape-hub.service and onetape-NAME.service instead of the fleet.

Every unit is told of readiness and of life by the program itself (`Type=notify`, `WatchdogSec`), gets its secrets as
credentials, which no other process sees, and may do nothing that it does not need.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from live.fleet_files import ALERT_URLS, Fleet, Member, private
from live.fleet_restart import NEEDS_A_PERSON
from live.header import CHECKOUT

USER = "onetape"
RUN = Path("/run/onetape")
MEMORY_MB = {"fleet": 96, "account": 120, "hub": 192, "backup": 96, "metrics": 128, "alerts": 128}
RUNNER_MB = 48

HARDENED = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
UMask=0077
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""


def units(
    fleet: Fleet,
    feed: Sequence[str],
    *,
    each: bool = False,
    backup: Path | None = None,
    user: str = USER,
    python: Path | None = None,
) -> dict[str, str]:
    """The unit files of a fleet, by name.

    Args:
        feed: words of `python -m data` for the hub. each: a unit for every account instead of a supervisor. backup:
            folder that backups go to, None for none. user: that they run as. python: default: this environment's.
    """
    made = _Maker(fleet, user, python or Path(sys.executable))
    words = shlex.join(feed)
    folder = str(fleet.folder)
    states = sorted({member.account.state for member in fleet.members} | {fleet.state})
    found: dict[str, str] = {}
    secret = [path for path in [_env(member) for member in fleet.members] if path is not None]
    secret += [fleet.folder / "hub.env"] if fleet.hub_env is not None else []
    if each:
        socket = RUN / "hub.sock"
        hub_env = [fleet.folder / "hub.env"] if fleet.hub_env is not None else []
        found["onetape-hub.service"] = made.unit(
            "One market-data connection for every account", ["hub", str(socket), "--", *feed], "hub",
            credentials=hub_env, writes=[], runtime=True,
        )  # fmt: skip
        for member in fleet.members:
            found[f"onetape-{member.name}.service"] = made.account(member, socket)
    else:
        found["onetape-fleet.service"] = made.unit(
            f"{len(fleet.members)} accounts of {fleet.name}", ["fleet", "up", folder, "--feed", words], "fleet",
            credentials=secret, writes=states, more="OOMPolicy=continue\nKillMode=mixed\n", memory_mb=made.fleet_mb,
        )  # fmt: skip
    if backup is not None:
        found["onetape-backup.service"] = made.unit(
            f"Backup of {fleet.name}",
            ["backup", folder, "--to", str(backup)],
            "backup",
            writes=[*states, backup],
            credentials=secret,
        )
    book = str(fleet.members[0].account.state)  # salt and alerts; each account's own folder is in its file
    figures = ["metrics", folder, "--state", book]
    found["onetape-metrics.service"] = made.unit(
        f"Figures of {fleet.name}", figures, "metrics", writes=states, watched=False
    )
    addresses = fleet.folder / ALERT_URLS
    known = addresses.exists() and private(addresses)
    found["onetape-alerts.service"] = made.unit(
        f"Alerts of {fleet.name}",
        ["alerts", folder, "--book", book],
        "alerts",
        writes=states,
        credentials=[addresses] if known else [],
        more=f"Environment=ALERT_URLS_FILE=%d/{ALERT_URLS}\n" if known else "",
    )
    return found


class _Maker:
    """What all units of one fleet share."""

    def __init__(self, fleet: Fleet, user: str, python: Path) -> None:
        self._fleet, self._user, self._python = fleet, user, python
        runners = sum(RUNNER_MB for _ in fleet.members)
        self.fleet_mb = MEMORY_MB["fleet"] + MEMORY_MB["hub"] + runners

    def account(self, member: Member, socket: Path) -> str:
        """The unit of one account."""
        secret = [path for path in [_env(member)] if path is not None]
        return self.unit(
            f"Account {member.name}: {member.account.strategy.name} through {member.account.broker}",
            ["fleet", "run", str(member.path.absolute()), "--hub", str(socket)],
            "account",
            credentials=secret,
            writes=[member.account.state],
            after="onetape-hub.service",
        )

    def unit(
        self,
        description: str,
        words: Sequence[str],
        kind: str,
        *,
        writes: Sequence[Path],
        credentials: Sequence[Path] = (),
        after: str = "",
        more: str = "",
        runtime: bool = False,
        watched: bool = True,
        memory_mb: int = 0,
    ) -> str:
        """One unit file."""
        command = " ".join(_quoted(word) for word in (str(self._python), "-m", "live", *words))
        lines = [
            "[Unit]",
            f"Description=Onetape: {description}",
            f"After=network-online.target {after}".rstrip(),
            "Wants=network-online.target",
            *([f"Wants={after}"] if after else []),
            "StartLimitIntervalSec=600",
            "StartLimitBurst=5",
            "",
            "[Service]",
            "Type=notify",
            "NotifyAccess=main",
            f"ExecStart={command}",
            f"WorkingDirectory={CHECKOUT}",
            f"User={self._user}",
            "Environment=PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1",
            *(f"LoadCredential={path.name}:{path}" for path in credentials),
            *(["RuntimeDirectory=onetape", "RuntimeDirectoryMode=0700"] if runtime else []),
            *(["WatchdogSec=60"] if watched else []),
            "TimeoutStartSec=120",
            "TimeoutStopSec=45",
            "Restart=on-failure",
            "RestartSec=5",
            f"RestartPreventExitStatus={' '.join(map(str, sorted(NEEDS_A_PERSON)))}",
            f"MemoryMax={memory_mb or MEMORY_MB[kind]}M",
            *(f"ReadWritePaths={path}" for path in writes),
            *([f"ProtectHome={self._home(writes)}"]),
        ]
        return "\n".join(lines) + f"\n{more}{HARDENED}\n[Install]\nWantedBy=multi-user.target\n"

    def _home(self, writes: Sequence[Path]) -> str:
        """Homes are hidden, unless the checkout, the accounts or the journals lie in one."""
        there = (CHECKOUT, self._fleet.folder, self._python, *writes)
        at_home = any(path.is_relative_to(home) for path in there for home in ("/home", "/root"))
        return "read-only" if at_home else "yes"


def _env(member: Member) -> Path | None:
    return member.path.with_suffix(".env").absolute() if member.env is not None else None


def _quoted(word: str) -> str:
    """A word of an ExecStart line: its own quotes, its own signs for variables and specifiers."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if any(c.isspace() or c in "\"';" for c in word) else plain
