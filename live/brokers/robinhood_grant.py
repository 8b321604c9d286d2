"""What lets this program trade at Robinhood: a rotating grant, in a file of its own that only its owner may read.

One grant belongs to one running program: the refresh token dies when it is used, so a second user of the same file
would lock the first one out. A refresh therefore happens under a lock, and its result is on the disk, whole, before
anything uses it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import msgspec

from data.errors import AuthError, ConfigError, UnavailableError
from data.settings import Secret
from live.brokers.wire import HttpWire, WireError

REFRESH_AT = 0.8
"""The part of a token's life after which it is renewed ahead of need."""


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's form. born, expires: seconds of UTC. revision: how often it was rotated."""

    access: str
    refresh: str
    client_id: str
    born: float
    expires: float
    token_endpoint: str
    issuer: str
    resource: str
    account: str = ""
    schemas: str = ""
    revision: int = 0


class Grant:
    """The grant of a file; `access` is the token in force.

    Args:
        path: where it lies. command: what to run to log in, for messages. now: seconds of UTC.
    """

    def __init__(self, path: Path, command: str, now: Callable[[], float] = time.time) -> None:
        self._path, self._command, self._now = path, command, now
        self._kept = self._read()

    def __repr__(self) -> str:
        return f"Grant({self._path.name}, revision {self._kept.revision})"

    @property
    def access(self) -> Secret:
        """The token to send."""
        return Secret(self._kept.access)

    @property
    def expires(self) -> float:
        """Seconds of UTC at which the token in force ends."""
        return self._kept.expires

    @property
    def resource(self) -> str:
        """The address of the tools that it is for."""
        return self._kept.resource

    @property
    def account(self) -> str:
        """The account that was pinned at login."""
        return self._kept.account

    @property
    def schemas(self) -> str:
        """The hash of the tools' schemas that was pinned at login."""
        return self._kept.schemas

    def secrets(self) -> tuple[Secret, ...]:
        """What may appear nowhere."""
        return Secret(self._kept.access), Secret(self._kept.refresh)

    def is_due(self) -> bool:
        """Whether most of the token's life is over."""
        life = self._kept.expires - self._kept.born
        return self._now() >= self._kept.born + REFRESH_AT * life

    def refresh(self, used: Secret) -> None:
        """Trade the refresh token in for a new pair, unless another process just did.

        Args:
            used: the access token that is no longer good.

        Raises:
            AuthError: the grant is over; a person must log in. UnavailableError: no answer.
        """
        with locked(self._path):
            self._kept = self._read()
            if self._kept.access != used.get_secret_value() and not self.is_due():
                return
            form = {"grant_type": "refresh_token", "refresh_token": self._kept.refresh}
            told = ask_tokens(self._kept.token_endpoint, {**form, "client_id": self._kept.client_id}, self._command)
            now = self._now()
            self._kept = msgspec.structs.replace(
                self._kept,
                access=told["access_token"],
                refresh=told.get("refresh_token", self._kept.refresh),
                born=now,
                expires=now + float(told.get("expires_in", 3600)),
                revision=self._kept.revision + 1,
            )
            write_private(self._path, msgspec.json.encode(self._kept))

    def pin(self, account: str, schemas: str) -> None:
        """Keep which account and which tools were meant."""
        with locked(self._path):
            self._kept = msgspec.structs.replace(self._read(), account=account, schemas=schemas)
            write_private(self._path, msgspec.json.encode(self._kept))

    def _read(self) -> _Written:
        try:
            return msgspec.json.decode(read_private(self._path, self._command), type=_Written)
        except msgspec.DecodeError:
            raise AuthError(f"{self._path} is no login that this version can read; run: {self._command}") from None


def save_grant(path: Path, told: dict[str, str], *, client_id: str, endpoint: str, issuer: str, resource: str) -> None:
    """Write the answer of a first login."""
    now = time.time()
    kept = _Written(
        access=told["access_token"],
        refresh=told["refresh_token"],
        client_id=client_id,
        born=now,
        expires=now + float(told.get("expires_in", 3600)),
        token_endpoint=endpoint,
        issuer=issuer,
        resource=resource,
    )
    with locked(path):
        write_private(path, msgspec.json.encode(kept))


def ask_tokens(endpoint: str, form: dict[str, str], command: str) -> dict[str, str]:
    """The token endpoint's answer to a form; the form is in no message.

    Raises:
        AuthError: it says no. UnavailableError: it says nothing.
    """
    parts = urllib.parse.urlsplit(endpoint)
    wire = HttpWire(f"{parts.scheme}://{parts.netloc}", 30.0)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    try:
        answer = wire.send("POST", parts.path, headers, urllib.parse.urlencode(form).encode())
        told = answer.json() if answer.status in (200, 400, 401, 403) else {}
    except WireError as error:
        raise UnavailableError(f"Robinhood's login did not answer ({error}); try again") from None
    finally:
        wire.close()
    if answer.status == 200 and isinstance(told, dict) and told.get("access_token"):
        return told
    if answer.status in (400, 401, 403):
        _over(str(told.get("error", answer.status)) if isinstance(told, dict) else str(answer.status), command)
    raise UnavailableError(f"Robinhood's login answered HTTP {answer.status}; try again")


def _over(reason: str, command: str) -> NoReturn:
    raise AuthError(f"Robinhood does not renew this login ({reason}); run: {command}") from None


def read_private(path: Path, command: str) -> bytes:
    """What a private file holds.

    Raises:
        AuthError: there is none. ConfigError: it is not a plain file that only its owner may read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise AuthError(f"there is no login at {path}; run: {command}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read as a plain file ({error.strerror})") from None
    with os.fdopen(handle, "rb") as file:
        told = os.fstat(file.fileno())
        if not stat.S_ISREG(told.st_mode) or told.st_uid != os.getuid() or told.st_mode & 0o077:
            raise ConfigError(f"{path} must be a plain file of yours that no one else may read: chmod 600")
        return file.read()


def write_private(path: Path, body: bytes) -> None:
    """Put a whole file, mode 0600, in the place of the old one; a crash leaves one or the other."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock, against other processes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
