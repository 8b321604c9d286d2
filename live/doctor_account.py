"""What is wrong with one account: its file, keys, login, certificate and journal, and the way to its venue."""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from data.errors import OnetapeError
from data.settings import Settings, load_settings
from live.account import Account, load_account
from live.control import Control
from live.doctor import Finding, mode_of, running
from live.fleet_files import read_env
from live.fleet_tail import header_of
from live.header import code_hash

KEYS = {"alpaca": ("apca_api_key_id", "apca_api_secret_key")}
LOGINS = {"robinhood": "grant", "robinhood_private": "token"}
DAY_S = 86_400.0
CONNECT_S = 3.0


def account(path: Path, now_s: float, *, online: bool = True) -> Iterator[Finding]:
    """Everything about the account of a file.

    Args:
        now_s: UTC seconds. online: also try the way to its venue.
    """
    about = path.stem
    try:
        told = load_account(path)
    except OnetapeError as error:
        yield Finding(about, "file", "bad", str(error), f"edit {path}")
        return
    about = told.name
    kind = "money" if told.trading else "paper" if told.broker == "paper" else "not for trading"
    yield Finding(about, "file", "ok", f"{told.strategy.name} through {told.broker}, {kind}")
    env = path.with_suffix(".env")
    settings, wrong = _settings(told, env)
    yield from wrong
    yield from _modes(told, env)
    if settings is not None:
        yield from _keys(told, settings, env)
    if told.broker in LOGINS:
        yield _login(told, now_s)
    if told.trading or told.certificate is not None:
        yield _certificate(told)
    if told.trading:
        yield _armed(told)
    yield from _journal(told)
    yield running(told.lock, about)
    if told.broker != "paper" and settings is not None:
        yield way(told, settings, now_s) if online else Finding(about, "venue", "note", "not tried: offline")


def _settings(told: Account, env: Path) -> tuple[Settings | None, list[Finding]]:
    """The settings its runner would see, and what is wrong with its env file."""
    try:
        given = os.environ | (read_env(env) if env.exists() else {})
        return load_settings(environ=given), []
    except OnetapeError as error:
        return None, [Finding(told.name, "env file", "bad", str(error), f"edit {env}, then chmod 600 {env}")]


def _modes(told: Account, env: Path) -> Iterator[Finding]:
    about, state = told.name, told.state
    private = [env, told.journal, told.lock, *(state / f"{about}.{kind}" for kind in ("grant", "token", "armed"))]
    folder = mode_of(state, about, 0o700)
    if folder is not None and told.broker == "paper":
        folder = msgspec.structs.replace(folder, state="note")  # its files are private all the same
    found = [mode_of(told.path, about, 0o755), folder]
    found += [mode_of(path, about, 0o600) for path in private]
    bad = [each for each in found if each is not None]
    yield from bad or [Finding(about, "permissions", "ok", "only their owner reads its files")]


def _keys(told: Account, settings: Settings, env: Path) -> Iterator[Finding]:
    for name in KEYS.get(told.broker, ()):
        variable = name.upper()
        if getattr(settings, name) is None:
            yield Finding(told.name, "keys", "bad", f"{variable} is not set", f"write it into {env} (chmod 600)")
        else:
            yield Finding(told.name, "keys", "ok", f"{variable} is there (from {settings.origin[name]})")


def _login(told: Account, now_s: float) -> Finding:
    """The login file of a broker that has one; of a grant, also how long it lasts."""
    path, fix = told.state / f"{told.name}.{LOGINS[told.broker]}", f"python -m live login {told.path}"
    if not path.exists():
        return Finding(told.name, "login", "bad", f"{path.name} is not there: nobody logged in", fix)
    if told.broker != "robinhood":
        return Finding(told.name, "login", "ok", f"{path.name} is there; the broker says how long it lasts")
    try:
        left_s = float(json.loads(path.read_bytes())["expires"]) - now_s
    except (OSError, ValueError, KeyError, TypeError):
        return Finding(told.name, "login", "bad", f"{path.name} cannot be read", fix)
    if left_s <= 0.0:
        return Finding(
            told.name, "login", "note", "its token is over; the next start renews it, or asks for a login", fix
        )
    return Finding(told.name, "login", "ok", f"its token is good for {left_s / DAY_S:.1f} days, renewed while it runs")


def _certificate(told: Account) -> Finding:
    from live.risk_arming import certificate_of

    try:
        return Finding(told.name, "certificate", "ok", f"{certificate_of(told)[:12]} is of what would run")
    except OnetapeError as error:
        return Finding(
            told.name, "certificate", "bad", str(error), f"python -m strategies certify {told.strategy.name}"
        )


def _armed(told: Account) -> Finding:
    from live.risk_arming import require

    try:
        return Finding(told.name, "armed", "ok", f"code {require(told, told.suffix).code[:12]}")
    except OnetapeError as error:
        return Finding(told.name, "armed", "bad", str(error), f"python -m live arm {told.path}")


def _journal(told: Account) -> Iterator[Finding]:
    about = told.name
    if Control(told.state, about).standing() is not None:
        yield Finding(
            about, "halt", "note", "a halt stands: it opens nothing new", f"python -m live resume {told.path}"
        )
    if not told.journal.exists():
        yield Finding(about, "journal", "ok", "not begun")
        return
    try:
        header = header_of(told.journal)
    except OnetapeError as error:
        yield Finding(about, "journal", "bad", str(error), "restore it: python -m live restore BACKUP --to DIR")
        return
    if header.plan.source_hash != told.strategy.source_hash:
        yield Finding(
            about, "journal", "bad", "it was written with another version of the strategy file",
            f"bring the old file back, or move {told.journal} away to begin anew",
        )  # fmt: skip
    elif header.built.code != code_hash():
        yield Finding(
            about, "journal", "note", "it was begun with other code; a start replays it and refuses what differs",
            f"python -m live replay {told.journal}",
        )  # fmt: skip
    else:
        yield Finding(about, "journal", "ok", f"{told.journal.stat().st_size / 1e6:.1f} MB")


def way(told: Account, settings: Settings, now_s: float) -> Finding:
    """Name, connection and TLS of the host its orders go to; nothing is asked of it."""
    from live.brokers import broker_address

    address = broker_address(told, settings)
    parts = urllib.parse.urlsplit(address)
    where = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    begun = time.monotonic()
    try:
        with socket.create_connection(where, timeout=CONNECT_S) as line:
            text = f"{where[0]} answers after {(time.monotonic() - begun) * 1e3:.0f} ms"
            if parts.scheme != "https":
                return Finding(told.name, "venue", "ok", text)
            with ssl.create_default_context().wrap_socket(line, server_hostname=where[0]) as safe:
                shown = safe.getpeercert() or {}
    except (OSError, ssl.SSLError) as error:
        return Finding(
            told.name, "venue", "bad", f"{where[0]} port {where[1]}: {error}", "check the network, DNS and firewall"
        )
    days = (ssl.cert_time_to_seconds(str(shown["notAfter"])) - now_s) / DAY_S
    return Finding(told.name, "venue", "ok", f"{text}; its TLS certificate is good for {days:.0f} days")
