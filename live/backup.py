"""A copy of everything a fleet needs to go on elsewhere, never older than a second, and never a secret.

    FOLDER/
        manifest.json            what belongs here: file by file its SHA-256
        NAME/journal.log         the journal's records, see live/backup_log.py
        NAME/account/...         account file, strategy, certificate, and a halt that stands
        fleet/fleet.toml

Only files named here are copied; env files, tokens and grants never are. And what any env file of the fleet holds must
not occur in anything that is: then it is left out and told.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from data.errors import ConfigError, JournalError
from live.backup_log import Follower
from live.control import Control
from live.fleet_child import secret_names
from live.fleet_files import COMMON, Fleet, Member, read_env
from live.fleet_tail import MOST_RECORDS, Tail, reading
from live.risk_arming import armed_path

EVERY_S = 0.5
FILES_EVERY_S = 5.0
SHORTEST_SECRET = 6
FORMAT = 1
SECRET_NAMES = re.compile(r"pass|secret|token|key|private|mfa|otp|canary", re.IGNORECASE)


class Lag(msgspec.Struct, frozen=True):
    """How far a backup is. seq: of the last record copied, -1 for none. said: UTC ns of the last look that worked."""

    account: str
    seq: int
    said: int
    problem: str = ""


class Backup:
    """Follows the journals and files of a fleet into a folder.

    Args:
        fleet: see `live.fleet_files`.
        folder: best on another machine's disk; made with mode 0700.

    Raises:
        ConfigError: the folder cannot be written, or is of something else.
    """

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet, self.folder = fleet, folder
        self._followers: dict[str, Follower] = {}
        self._tails: dict[str, Tail] = {}
        self._lags = {member.name: Lag(member.name, -1, 0) for member in fleet.members}
        self._files: dict[str, str] = {}
        self._secrets: dict[bytes, str] = {}
        self._looked_s = float("-inf")
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for member in fleet.members:
                (folder / member.name / "account").mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written ({error.strerror}); name a folder that can") from None

    @property
    def lags(self) -> list[Lag]:
        """How far every account is."""
        return list(self._lags.values())

    def look(self, now_s: float) -> None:
        """Copy what is new. now_s: of a clock that only goes forward, for the pace of the small files."""
        if now_s - self._looked_s >= FILES_EVERY_S:
            self._looked_s = now_s
            self._secrets = secrets_of(self.fleet)
            self._copy_files()
        for member in self.fleet.members:
            if member.account.journal.exists() and member.account.journal.stat().st_size:
                self._follow(member)
        self._write("status.json", msgspec.json.encode(self.lags), durable=False)

    def close(self) -> None:
        """Let go of the files."""
        for follower in self._followers.values():
            follower.close()

    # --- journals ---------------------------------------------------------------------------------------------------

    def _follow(self, member: Member) -> None:
        name, problem = member.name, ""
        try:
            follower = self._followers.get(name)
            if follower is None:
                follower = self._followers[name] = self._begin(member)
            tail = self._tails[name]
            while lines := tail.look():
                found = self._secret_in(b"".join(line.body for line in lines))
                if found:
                    raise JournalError(f"its journal holds the value of {found}; it is not copied: mend that first")
                follower.append(lines, whole=len(lines) < MOST_RECORDS)
                if len(lines) < MOST_RECORDS:
                    break
            problem = tail.problem
        except (JournalError, OSError) as error:
            problem = str(error)
            if name in self._followers:
                self._followers.pop(name).close()
        self._lags[name] = Lag(name, self._seq(name), self._lags[name].said if problem else time.time_ns(), problem)

    def _seq(self, name: str) -> int:
        follower = self._followers.get(name)
        return follower.kept.seq if follower is not None else self._lags[name].seq

    def _begin(self, member: Member) -> Follower:
        """Go on where the backup ends; a journal that was begun anew is followed beside the old one."""
        path = self.folder / member.name / "journal.log"
        follower = Follower(path)
        if follower.kept.seq >= 0 and not _continues(member.account.journal, follower):
            follower.close()
            number = 1 + len(list(path.parent.glob("journal.log.*")))
            path.rename(path.with_name(f"journal.log.{number}"))
            follower = Follower(path)
        self._tails[member.name] = Tail(member.account.journal, after=follower.kept.seq)
        return follower

    # --- files ------------------------------------------------------------------------------------------------------

    def _copy_files(self) -> None:
        wanted: dict[str, Path] = {}
        for member in self.fleet.members:
            wanted |= {f"{member.name}/account/{name}": path for name, path in files_of(member)}
        if (self.fleet.folder / COMMON).exists():
            wanted[f"fleet/{COMMON}"] = self.fleet.folder / COMMON
        kept: dict[str, str] = {}
        for name, path in wanted.items():
            try:
                body = path.read_bytes()
            except OSError:
                continue
            found = self._secret_in(body)
            if found:
                self._tell(name.split("/")[0], f"{path.name} holds the value of {found}; it is not copied")
                continue
            kept[name] = hashlib.sha256(body).hexdigest()
            if self._files.get(name) != kept[name]:
                self._write(name, body)
        for name in self._files.keys() - kept.keys():
            (self.folder / name).unlink(missing_ok=True)
        if kept != self._files:
            self._files = kept
            self._write("manifest.json", json.dumps(self._manifest(), indent=1, sort_keys=True).encode())

    def _manifest(self) -> dict[str, object]:
        accounts = {
            member.name: {
                "file": member.path.name,
                "state": str(member.account.state),
                "strategy": _strategy_file(member).name if _is_beside(member) else "",
                "broker": member.account.broker,
                "trading": member.account.trading,
                "keys": _names(member),
            }
            for member in self.fleet.members
        }
        return {"format": FORMAT, "fleet": self.fleet.name, "accounts": accounts, "files": self._files}

    def _tell(self, name: str, problem: str) -> None:
        if name in self._lags:
            self._lags[name] = msgspec.structs.replace(self._lags[name], problem=problem)

    def _secret_in(self, body: bytes) -> str:
        """The variable whose value occurs in these bytes, "" for none."""
        return next((name for value, name in self._secrets.items() if value in body), "")

    def _write(self, name: str, body: bytes, *, durable: bool = True) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_name(f".{path.name}.new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)


def files_of(member: Member) -> Iterator[tuple[str, Path]]:
    """(name in the backup, path) of the small files an account needs to go on: an exhaustive list, none a secret."""
    account = member.account
    yield member.path.name, member.path
    if _is_beside(member):
        yield _strategy_file(member).name, _strategy_file(member)
    if account.certificate is not None and account.certificate.suffix == ".json":
        yield account.certificate.name, account.certificate
    yield "halted", Control(account.state, account.name).flag
    yield "armed", armed_path(account)


def _names(member: Member) -> list[str]:
    """What the account's env file gives, by name; nothing where it cannot be read here."""
    with contextlib.suppress(ConfigError):
        return sorted(read_env(member.env)) if member.env is not None else []
    return []


def secrets_of(fleet: Fleet) -> dict[bytes, str]:
    """Every value of the fleet's env files that is a secret by its name, and that name."""
    found: dict[bytes, str] = {}
    known = secret_names()
    for path in [member.env for member in fleet.members] + [fleet.hub_env]:
        if path is not None:
            with contextlib.suppress(ConfigError):
                found |= {
                    value.encode(): name
                    for name, value in read_env(path).items()
                    if len(value) >= SHORTEST_SECRET and (name in known or SECRET_NAMES.search(name))
                }
    return found


def _strategy_file(member: Member) -> Path:
    return member.account.strategy.path


def _is_beside(member: Member) -> bool:
    """True where the account brings its own strategy file: one of the checkout's comes with the checkout."""
    return _strategy_file(member).parent.resolve() == member.path.parent.resolve()


def _continues(journal: Path, follower: Follower) -> bool:
    """True where the journal holds the backup's last record."""
    kept = follower.kept
    with reading(journal) as db:
        return bool(
            db.execute("SELECT checksum FROM record WHERE seq = ?", (kept.seq,)).fetchall() == [(kept.checksum,)]
        )


def problems(lags: Sequence[Lag]) -> list[str]:
    """One sentence for every account that is not backed up."""
    return [f"{lag.account}: {lag.problem}" for lag in lags if lag.problem]
