"""A fleet on disk: account files in one folder, an env file beside each, and what holds for all of them.

    accounts/
        momentum-1.toml     an account, see live/account.py
        momentum-1.env      its secrets, mode 0600; they reach its own process and no other
        fleet.toml          optional: limits over all accounts, restarts, the pace of sends
        hub.env             optional, mode 0600: the keys of the one market-data connection
        alerts.urls         optional, mode 0600: where alerts go, as ALERT_URLS has it; for services of their own

`fleet.toml`, every key with its default:

    state = "out/fleet/NAME"     folder of the supervisor's files, relative to the checkout

    [limits]                     0 is no limit; breaches halt, see live/fleet_limits.py
    gross_usd = 0
    symbol_usd = 0
    orders_a_minute = 0
    day_loss_usd = 0

    [restart]
    first_s = 1.0                pause before the first restart; doubles with every crash
    most_s = 60.0
    crashes = 5                  so many within `within_s` are a crash loop: it is left down
    within_s = 600.0
    hung_s = 30.0                without a word for so long, a runner is killed and started again

    [stagger]                    of accounts that trade money: a pause, drawn for every account and row, between the
    seconds = 2.0                row and what takes new risk; exits never wait; at most 10
    seed = 1
"""

from __future__ import annotations

import hashlib
import os
import stat
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from data.door import did_you_mean
from data.errors import ConfigError
from live.account import Account, load_account
from live.header import CHECKOUT

COMMON = "fleet.toml"
ALERT_URLS = "alerts.urls"
MOST_STAGGER_S = 10.0


@dataclass(frozen=True)
class FleetLimits:
    """Over all accounts together, dollars and orders; 0 is no limit."""

    gross_usd: float = 0.0
    symbol_usd: float = 0.0
    orders_a_minute: float = 0.0
    day_loss_usd: float = 0.0


@dataclass(frozen=True)
class Restart:
    """When a runner that ended is started again; seconds."""

    first_s: float = 1.0
    most_s: float = 60.0
    crashes: float = 5
    within_s: float = 600.0
    hung_s: float = 30.0


@dataclass(frozen=True)
class Stagger:
    """Seeded pauses before the sends of accounts that trade money, so that they do not all come at one moment."""

    seconds: float = 2.0
    seed: float = 1

    def delay_s(self, account: str, ts: int) -> float:
        """How long this account waits before it sends what it decided at the row of `ts`: 0 to `seconds`."""
        drawn = hashlib.sha256(f"{self.seed:g} {account} {ts}".encode()).digest()
        return self.seconds * int.from_bytes(drawn[:8], "little") / 2.0**64


@dataclass(frozen=True)
class Member:
    """One account of a fleet. env: its file of secrets, None where there is none."""

    account: Account
    env: Path | None

    @property
    def name(self) -> str:
        """The account's."""
        return self.account.name

    @property
    def path(self) -> Path:
        """The account file."""
        return self.account.path


@dataclass(frozen=True)
class Fleet:
    """All accounts of a folder, or those named. state: folder of what the supervisor keeps; name: to tell fleets."""

    name: str
    folder: Path
    members: tuple[Member, ...]
    state: Path
    hub_env: Path | None
    limits: FleetLimits = field(default_factory=FleetLimits)
    restart: Restart = field(default_factory=Restart)
    stagger: Stagger = field(default_factory=Stagger)

    @property
    def socket(self) -> Path:
        """Where the supervisor listens."""
        return self.state / "fleet.sock"

    @property
    def hub(self) -> Path:
        """Where the fleet's hub listens."""
        return self.state / "hub.sock"

    @property
    def log(self) -> Path:
        """What the supervisor has to say when nobody looks."""
        return self.state / "fleet.log"

    def log_of(self, name: str) -> Path:
        """What the runner of an account wrote to its standard output and error."""
        return self.state / f"{name}.out"


def load_fleet(given: Sequence[Path]) -> Fleet:
    """The fleet of a folder, or of account files.

    Raises:
        ConfigError: no account, two of one name, an env file that others may read, or a wrong key in a file.
    """
    paths = _account_files(given)
    folder = paths[0].parent.absolute()
    members = tuple(member_of(path) for path in paths)
    names = [member.name for member in members]
    for name in names:
        if names.count(name) > 1:
            both = " and ".join(each.path.name for each in members if each.name == name)
            raise ConfigError(f"{both} are both of account {name!r}; one runner per account, rename one")
    table = _common(folder / COMMON)
    state = CHECKOUT / Path(table.pop("state", f"out/fleet/{folder.name}")).expanduser()
    return Fleet(folder.name, folder, members, state, env_of(folder / "hub.env"), **table)


def stagger_beside(path: Path) -> Stagger:
    """The pauses that the fleet file beside an account file asks for; raises as `load_fleet`."""
    found = _common(path.absolute().parent / COMMON).get("stagger", Stagger())
    assert isinstance(found, Stagger)  # noqa: S101  # `_common` makes it one
    return found


def member_of(path: Path) -> Member:
    """An account file with the env file beside it.

    Raises:
        ConfigError: see `load_account` and `private`.
    """
    return Member(load_account(path), env_of(path.with_suffix(".env")))


def env_of(path: Path) -> Path | None:
    """The env file to read: a systemd credential of the same name before the file itself, None where there is neither.

    Raises:
        ConfigError: others may read the file.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / path.name).exists():
        return Path(credentials) / path.name
    return path if path.exists() and private(path) else None


def private(path: Path) -> bool:
    """True where only the owner may read a file, and the owner is this user.

    Raises:
        ConfigError: otherwise.
    """
    told = path.stat()
    if stat.S_IMODE(told.st_mode) & 0o077:
        mode = stat.S_IMODE(told.st_mode)
        raise ConfigError(f"{path} may be read by others (mode {mode:04o}); run: chmod 600 {path}")
    if told.st_uid not in (os.getuid(), 0):
        raise ConfigError(f"{path} belongs to another user; run: chown {os.getuid()} {path}")
    return True


def read_env(path: Path) -> dict[str, str]:
    """The names and values of an env file, for one process only.

    Raises:
        ConfigError: it cannot be read, others may read it, or a line is not NAME=value; the line is not quoted.
    """
    from dotenv.parser import parse_stream

    try:
        if str(path.parent) != os.environ.get("CREDENTIALS_DIRECTORY"):
            private(path)
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__})") from None
    for binding in bindings:
        if binding.error:
            raise ConfigError(f"{path.name} line {binding.original.line} is not NAME=value")
    return {each.key: each.value for each in bindings if each.key and each.value is not None}


def _account_files(given: Sequence[Path]) -> list[Path]:
    if not given:
        raise ConfigError("name a folder of account files, or some of them")
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += sorted(each for each in path.glob("*.toml") if each.name != COMMON)
        elif path.exists():
            found.append(path)
        else:
            raise ConfigError(f"{path} is not there; name a folder of account files, or some of them")
    if not found:
        raise ConfigError(f"{given[0]} holds no account file; live/accounts/paper.toml is an example")
    return found


def _common(path: Path) -> dict[str, Any]:
    """The parts of a fleet file, as `Fleet` takes them."""
    if not path.exists():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"fleet file {path} cannot be read: {error}") from None
    kinds: dict[str, Any] = {"limits": FleetLimits, "restart": Restart, "stagger": Stagger}
    made: dict[str, Any] = {}
    for key, value in table.items():
        if key == "state":
            if not isinstance(value, str):
                raise ConfigError(f"{path.name}: state must be a text, got {value!r}")
            made[key] = value
        elif key in kinds:
            made[key] = _part(kinds[key], key, value, path.name)
            if key == "stagger" and made[key].seconds > MOST_STAGGER_S:
                raise ConfigError(
                    f"{path.name}: seconds in [stagger] must be {MOST_STAGGER_S:g} at most, got {made[key].seconds:g}; "
                    f"an entry that waits longer is too old to be sent"
                )
        else:
            raise ConfigError(f"{path.name}: there is no key {key!r}{did_you_mean(key, [*kinds, 'state'])}")
    return made


def _part(kind: Any, name: str, given: Any, file: str) -> Any:
    if not isinstance(given, dict):
        raise ConfigError(f"{file}: {name} must be a table, write [{name}]")
    known = [each.name for each in fields(kind)]
    for key, value in given.items():
        if key not in known:
            raise ConfigError(f"{file}: there is no key {key!r} in [{name}]{did_you_mean(key, known)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
            raise ConfigError(f"{file}: {key} must be a number, 0 or more, got {value!r}")
    return kind(**given)
