"""A Compose file made from account files: a service each, with its env file, its memory limit and its health check.

    profiles    paper, live: the accounts of that kind, with the hub they hear and the alerts that tell people
                observability: metrics, Prometheus, Grafana
                research: the image with everything, for sweeps

Containers cost more memory than a fleet, whose processes share their pages (docs/vps.md); they are for larger hosts.
Secrets are not in the file: it names the env files, which Compose reads when it starts a service.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from live.backup import files_of
from live.fleet_files import ALERT_URLS, COMMON, Fleet, Member, private
from live.header import CHECKOUT

APP = Path("/app")
ACCOUNTS = Path("/accounts")
RUN = "/run/onetape"
SOCKET = f"{RUN}/hub.sock"
MEMORY = {
    "account": "160m",
    "hub": "256m",
    "metrics": "128m",
    "alerts": "128m",
    "backup": "96m",
    "prometheus": "256m",
    "grafana": "256m",
}
PROMETHEUS = "prom/prometheus:v3.5.0@sha256:63805ebb8d2b3920190daf1cb14a60871b16fd38bed42b857a3182bc621f4996"
GRAFANA = "grafana/grafana:12.1.0@sha256:6ac590e7cabc2fbe8d7b8fc1ce9c9f0582177b334e0df9c927ebd9670469440f"
METRICS_PORT = 9464


def compose(fleet: Fleet, feed: Sequence[str], *, image: str = "onetape", backup: Path | None = None) -> dict[str, Any]:
    """The Compose document of a fleet.

    Args:
        feed: words of `python -m data` for the hub. image: what `docker build` was told to call it. backup: folder on
            the host that the backups go to; None for none.
    """
    services: dict[str, Any] = {"hub": _hub(fleet, feed, image)}
    for member in fleet.members:
        services[service_name(member)] = _account(fleet, member, image)
    profiles = ["paper", "live"]
    names = [str(ACCOUNTS)]
    if backup is not None:
        services["backup"] = _ours(image, ["backup", *names, "--to", "/backup"], "backup", profiles) | {
            "volumes": [*_files(fleet), _bind(backup.absolute(), Path("/backup"))],
        }
    services["alerts"] = _alerts(fleet, image)
    everywhere = "0.0.0.0"  # noqa: S104  # inside the network of these containers, which has no way out
    state = str(inside(fleet.members[0].account.state))
    serve = ["metrics", *names, "--address", everywhere, "--state", state]
    services["metrics"] = _ours(image, serve, "metrics", ["observability"]) | {
        "volumes": _files(fleet),
        "networks": ["inside"],
    }
    services |= _observability()
    services["research"] = {
        "image": f"{image}-research",
        "build": {"context": str(CHECKOUT), "dockerfile": "deploy/docker/Dockerfile", "target": "research"},
        "profiles": ["research"],
        "command": ["research", "--help"],
        "volumes": [_bind(CHECKOUT / "data" / "store", APP / "data" / "store"), "research:/app/out"],
        **_fenced(),
    }
    return {
        "services": services,
        "networks": {"inside": {"internal": True}, "outside": {}},
        "volumes": {"run": {"driver_opts": _memory()}, "prometheus": {}, "grafana": {}, "research": {}},
        "secrets": {
            "grafana_password": {"file": "${ONETAPE_GRAFANA_PASSWORD_FILE:-./grafana.password}"},
            **({"alert_urls": {"file": str(fleet.folder / ALERT_URLS)}} if _has_urls(fleet) else {}),
        },
    }


def _memory() -> dict[str, str]:
    """A volume in memory that belongs to the user our services run as."""
    return {"type": "tmpfs", "device": "tmpfs", "o": "uid=${ONETAPE_UID:-1000},gid=${ONETAPE_GID:-1000},mode=0700"}


def service_name(member: Member) -> str:
    """What Compose calls an account's service."""
    return f"account-{member.name.lower()}"


def inside(path: Path) -> Path:
    """Where a folder of the host lies in the container: the checkout's in /app, others where they are."""
    return APP / path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path


def _account(fleet: Fleet, member: Member, image: str) -> dict[str, Any]:
    file = str(ACCOUNTS / member.path.name)
    kind = "live" if member.account.trading else "paper"
    made = _ours(image, ["fleet", "run", file, "--hub", SOCKET], "account", [kind]) | {
        "volumes": [*_files(fleet), "run:/run/onetape"],
        "networks": ["outside"],
        "depends_on": {"hub": {"condition": "service_started"}},
        "healthcheck": {
            "test": ["CMD", "python", "-m", "live", "fleet", "healthy", file],
            "interval": "30s",
            "timeout": "10s",
            "start_period": "60s",
            "retries": 3,
        },
        "stop_grace_period": "30s",
    }
    return made | ({"env_file": [str(member.path.with_suffix(".env").absolute())]} if member.env is not None else {})


def _hub(fleet: Fleet, feed: Sequence[str], image: str) -> dict[str, Any]:
    made = _ours(image, ["hub", SOCKET, "--", *feed], "hub", ["paper", "live"]) | {
        "volumes": ["run:/run/onetape"],
        "networks": ["outside"],
        "healthcheck": {
            "test": ["CMD", "test", "-S", SOCKET],
            "interval": "30s",
            "timeout": "5s",
            "start_period": "30s",
            "retries": 3,
        },
    }
    return made | ({"env_file": [str((fleet.folder / "hub.env").absolute())]} if fleet.hub_env is not None else {})


def _alerts(fleet: Fleet, image: str) -> dict[str, Any]:
    """Told where to by a secret, not by its environment, which others on the host may look at."""
    state = inside(fleet.members[0].account.state)
    command = ["alerts", str(ACCOUNTS), "--book", str(state)]
    made = _ours(image, command, "alerts", ["paper", "live"]) | {
        "volumes": _files(fleet),
        "networks": ["outside"],
        "healthcheck": {
            "test": ["CMD-SHELL", f"find '{state}/alerts.json' -newermt '1 minute ago' | grep -q ."],
            "interval": "30s",
            "timeout": "5s",
            "start_period": "30s",
            "retries": 3,
        },
    }
    if not _has_urls(fleet):
        return made
    return made | {"secrets": ["alert_urls"], "environment": {"ALERT_URLS_FILE": "/run/secrets/alert_urls"}}


def _has_urls(fleet: Fleet) -> bool:
    path = fleet.folder / ALERT_URLS
    return path.exists() and private(path)


def _ours(image: str, command: list[str], memory: str, profiles: list[str]) -> dict[str, Any]:
    return {
        "image": image,
        "build": {"context": str(CHECKOUT), "dockerfile": "deploy/docker/Dockerfile", "target": "live"},
        "profiles": profiles,
        "command": command,
        "user": "${ONETAPE_UID:-1000}:${ONETAPE_GID:-1000}",
        "mem_limit": MEMORY[memory],
        "restart": "unless-stopped",
        **_fenced(),
    }


def _fenced() -> dict[str, Any]:
    """What every service of ours may not do."""
    return {
        "read_only": True,
        "tmpfs": ["/tmp:size=16m,mode=1777,noexec,nosuid,nodev"],  # noqa: S108  # of the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": 64,
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    }


def _files(fleet: Fleet) -> list[Any]:
    """Account files to read, state folders to write. Env files are not among them: Compose reads those itself."""
    states = sorted({member.account.state for member in fleet.members})
    files = {path.absolute() for member in fleet.members for _, path in files_of(member) if path.suffix}
    files = {path for path in files if path.parent not in states and path.exists()}
    if (fleet.folder / COMMON).exists():
        files.add(fleet.folder / COMMON)
    bound = [_bind(path, ACCOUNTS / path.relative_to(fleet.folder), read_only=True) for path in sorted(files)]
    return bound + [_bind(state, inside(state)) for state in states]


def _bind(source: Path, target: Path, *, read_only: bool = False) -> dict[str, Any]:
    return {"type": "bind", "source": str(source), "target": str(target), "read_only": read_only}


def _observability() -> dict[str, Any]:
    """Prometheus and Grafana, to be looked at through an SSH tunnel: they listen on this host only."""
    prometheus = {
        "image": PROMETHEUS,
        "profiles": ["observability"],
        "command": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.retention.time=90d"],
        "mem_limit": MEMORY["prometheus"],
        "volumes": [
            _bind(CHECKOUT / "deploy" / "compose" / "prometheus", Path("/etc/prometheus"), read_only=True),
            _bind(CHECKOUT / "deploy" / "prometheus", Path("/etc/prometheus/rules"), read_only=True),
            "prometheus:/prometheus",
        ],
        "networks": ["inside"],
        "restart": "unless-stopped",
        **_fenced(),
    }
    grafana = {
        "image": GRAFANA,
        "profiles": ["observability"],
        "mem_limit": MEMORY["grafana"],
        "environment": {"GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana_password"},
        "secrets": ["grafana_password"],
        "volumes": [
            _bind(CHECKOUT / "deploy" / "grafana" / "provisioning", Path("/etc/grafana/provisioning"), read_only=True),
            _bind(CHECKOUT / "deploy" / "grafana" / "dashboards", Path("/var/lib/grafana/dashboards"), read_only=True),
            "grafana:/var/lib/grafana",
        ],
        "ports": ["127.0.0.1:3000:3000"],
        "networks": ["inside", "outside"],
        "restart": "unless-stopped",
        **_fenced(),
    }
    return {"prometheus": prometheus, "grafana": grafana}
