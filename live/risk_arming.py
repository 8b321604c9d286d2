"""Arming: what must be true before an account may trade money, checked at every start and before any login.

    trading = true                     in the account file
    certificate = "momentum.json"      of this source, these parameters, this clock and this code
    account_suffix = "1234"            the last characters of the broker's account number, typed again by a person

`python -m live arm ACCOUNT.toml` writes down code and account file as they are; a start with any other is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from data.errors import AuthError, CertificateError, ConfigError
from live.account import Account
from live.header import code_hash
from strategies.common.certificate import FORMAT
from strategies.common.certificate import code_hash as signal_code_hash

Ask = Callable[[str], str]
CERTIFICATE_DAYS = 90
"""A certificate older than this is made again: by then libraries and machine are others."""


class Release(msgspec.Struct, frozen=True):
    """What was armed. code: of the sources that decide; config: of the account file; certificate: its identity."""

    account: str
    code: str
    config: str
    certificate: str


def arm(account: Account, confirm: str, ask: Ask | None = None) -> Release:
    """Arm an account: check everything, and write down what was armed.

    Args:
        confirm: the suffix of the account number, as a person typed it; '' has `ask` ask for it.

    Raises:
        ConfigError, CertificateError, AuthError: as in `require`, the release aside.
    """
    release = _checked(account, confirm, ask)
    path = armed_path(account)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".armed.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(release))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return release


def require(account: Account, confirm: str, ask: Ask | None = None) -> Release:
    """The release that is armed, where it is what would run now.

    Raises:
        ConfigError: not for trading, no certificate named, never armed, or code or account file changed since.
        CertificateError: the certificate failed, or is of something else.
        AuthError: the account's suffix was not typed, or another one.
    """
    release = _checked(account, confirm, ask)
    path = armed_path(account)
    again = f"look at the change, then run: python -m live arm {account.path.name}"
    try:
        armed = msgspec.json.decode(path.read_bytes(), type=Release)
    except OSError:
        raise ConfigError(f"account {account.name!r} was never armed; run: python -m live arm") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path.name} cannot be read ({error}); {again}") from None
    for field, what in (("code", "the code"), ("config", "the account file"), ("certificate", "the certificate")):
        old, new = getattr(armed, field), getattr(release, field)
        if old != new:
            raise ConfigError(
                f"account {account.name!r}: {what} is not what was armed ({new[:12]}, armed {old[:12]}); {again}"
            )
    if armed.account != account.name:
        raise ConfigError(f"{path.name} is of account {armed.account!r}, not of {account.name!r}; {again}")
    return release


def armed_path(account: Account) -> Path:
    """Where the armed release of an account lies."""
    return account.state / f"{account.name}.armed"


def _checked(account: Account, confirm: str, ask: Ask | None) -> Release:
    if not account.trading:
        raise ConfigError(f"account {account.name!r} is not for trading; write trading = true in its file")
    if len(account.suffix) < 2:
        raise ConfigError(
            f'account {account.name!r} names no account_suffix; write account_suffix = "1234", the last characters of '
            f"the broker's account number"
        )
    identity = certificate_of(account)
    typed = confirm
    if not typed and ask is not None:
        typed = ask(f"last {len(account.suffix)} characters of the account number to trade money with {account.name}: ")
    if typed.strip() != account.suffix:
        raise AuthError(
            f"account {account.name!r} trades money: its suffix was {'typed wrongly' if typed else 'not typed'}; "
            f"type it when asked, or give it with --confirm"
        )
    config = hashlib.sha256(account.path.read_bytes()).hexdigest()
    return Release(account.name, code_hash(), config, identity)


def until_of(account: Account) -> int:
    """UTC ns until which the account's certificate is good, by its file's date; 0 where there is none."""
    try:
        made = account.certificate.stat().st_mtime if account.certificate is not None else None
    except OSError:
        made = None
    return 0 if made is None else int((made + CERTIFICATE_DAYS * 86_400) * 1e9)


def certificate_of(account: Account) -> str:
    """The identity of the account's certificate, which is of what the account would run.

    Raises:
        ConfigError: none is named, or the file cannot be read.
        CertificateError: it is too old, failed, was changed by hand, or is of another source, other parameters, clock
            or code.
    """
    path = account.certificate
    cure = "run: python -m strategies certify"
    if path is None:
        raise ConfigError(f'account {account.name!r} names no certificate; write certificate = "FILE.json", {cure}')
    try:
        given = json.loads(path.read_bytes())
        ours = {name: given[name] for name in ("source", "parameters", "clock", "code", "format", "ok", "identity")}
    except OSError as error:
        raise ConfigError(f"certificate {path.name} cannot be read ({error.strerror}); {cure}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"certificate {path.name} is not one ({error}); {cure}") from None
    if time.time_ns() > until_of(account):
        raise CertificateError(f"certificate {path.name} is older than {CERTIFICATE_DAYS} days; {cure}")
    if ours["ok"] is not True:
        raise CertificateError(f"certificate {path.name} says that batch and stream differ; {cure}")
    expected: dict[str, Any] = {
        "format": FORMAT,
        "source": account.strategy.source_hash,
        "parameters": json.loads(json.dumps(account.params)),
        "clock": account.clock,
        "code": signal_code_hash(),
    }
    for name, value in expected.items():
        if ours[name] != value:
            raise CertificateError(f"certificate {path.name} is of another {name.removesuffix('s')}; {cure}")
    text = json.dumps([ours[name] for name in ("source", "parameters", "clock", "code", "format")], sort_keys=True)
    identity = hashlib.sha256(text.encode()).hexdigest()
    if identity != ours["identity"]:
        raise CertificateError(f"certificate {path.name} was changed by hand; {cure}")
    return identity
