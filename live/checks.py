"""What must be in order before a start, looked at before anyone logs in: each check says one sentence and stops.

Of the account itself see `live.account` (limits, symbols, keys) and `live.risk_arming` (certificate, code, suffix).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import urllib.parse
from pathlib import Path

from data.errors import ConfigError, UnavailableError
from data.settings import Settings
from live.account import Account
from live.brokers import broker_address, capabilities_of
from live.brokers.base import unsupported
from live.brokers.wire import HttpWire, WireError

LEAST_FREE_MB = 100
CLOCK_S = 5.0
SAMPLES = 3
PAPERLESS = ("robinhood", "robinhood_private")
WORLDS = {"PK": "paper", "AK": "live"}
"""How Alpaca's key ids begin, and the world that each is of."""


def check_start(account: Account, settings: Settings, *, live: bool) -> None:
    """Everything that can be known without a login.

    Raises:
        ConfigError: the account, the folder, the disk or the clock is not fit. UnavailableError: nobody says the time.
    """
    check_folder(account.state)
    if account.broker == "paper":
        return
    if not settings.rehearsal:
        check_mode(account, live=live)
        check_keys(account, settings)
    address = broker_address(account, settings)
    if settings.rehearsal:
        check_rehearsal(account, address)
    check_suffix(account)
    sheet = capabilities_of(account)
    against = unsupported(sheet, touch=account.rule.stops == "touch", shorts=account.rule.shorts)
    if against:
        raise ConfigError(f"account {account.name!r} cannot be traded through {account.broker}: {against}")
    if account.rule.fractional and not sheet.fractional:
        raise ConfigError(f"account {account.name!r}: {account.broker} takes whole shares; write fractional = false")
    if not settings.rehearsal:
        check_clock(address, account.limits["max_clock_skew_ms"])


def check_rehearsal(account: Account, address: str) -> None:
    """
    Raises:
        ConfigError: orders of a rehearsal would leave this machine.
    """
    host = urllib.parse.urlsplit(address).hostname
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigError(
            f"ONETAPE_REHEARSAL is set, and the orders of {account.name!r} would go to {host}; a rehearsal trades "
            f"with a sandbox on this machine: python -m live sandbox"
        )


def check_mode(account: Account, *, live: bool) -> None:
    """Money only where it was said three times, and paper only where there is such a thing.

    Raises:
        ConfigError: an account of money without --live, or a broker without a paper world for an account without.
    """
    if account.broker in PAPERLESS and not account.trading:
        raise ConfigError(
            f"account {account.name!r}: {account.broker} has no paper trading; write trading = true for money, or "
            f'broker = "paper"'
        )
    if live and not account.trading:
        raise ConfigError(f"account {account.name!r} is not for trading; write trading = true in its file")


def check_keys(account: Account, settings: Settings) -> None:
    """Keys and address are of the world that the account is of, as far as they say so themselves.

    Raises:
        ConfigError: they are of the other one.
    """
    if account.broker != "alpaca":
        return
    from live.brokers.alpaca import LIVE, PAPER

    meant = "live" if account.trading else "paper"
    url = settings.apca_api_base_url
    if url == (PAPER if account.trading else LIVE):
        raise ConfigError(
            f"account {account.name!r} trades on {meant}, APCA_API_BASE_URL is {url}; change one of the two"
        )
    key = settings.apca_api_key_id
    told = WORLDS.get(key.get_secret_value()[:2]) if key is not None else None
    if told is not None and told != meant:
        raise ConfigError(
            f"account {account.name!r} trades on {meant}, and APCA_API_KEY_ID is a key of Alpaca's {told} world; "
            f"give it the other key, or write trading = {'false' if account.trading else 'true'}"
        )


def check_suffix(account: Account) -> None:
    """The login that is kept is for the account that the file names, as far as it says so itself.

    Raises:
        ConfigError: it is for another one. AuthError: there is none.
    """
    if account.broker != "robinhood" or not account.suffix:
        return
    from live.brokers.robinhood_grant import Grant

    login = f"python -m live login {account.path}"
    known = Grant(account.state / f"{account.name}.grant", login).account
    if not known.endswith(account.suffix):
        raise ConfigError(
            f"account {account.name!r} is the one ending in {account.suffix}, its login is for the one ending in "
            f"{known[-len(account.suffix) :]}; correct account_suffix, or run: {login}"
        )


def check_folder(folder: Path) -> None:
    """
    Raises:
        ConfigError: the folder cannot be written, others may write it, or its disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe") as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
        free_mb = shutil.disk_usage(folder).free / 1e6
        mode = folder.stat().st_mode
    except OSError as error:
        raise ConfigError(f"the account's folder {folder} cannot be written ({error.strerror})") from None
    if free_mb < LEAST_FREE_MB:
        raise ConfigError(
            f"the disk of {folder} has {free_mb:.0f} MB left, {LEAST_FREE_MB} are needed for a journal; make room"
        )
    if mode & 0o002:
        raise ConfigError(f"anyone may write into {folder}, where a file halts or resumes trading: chmod o-w {folder}")


def check_clock(address: str, limit_ms: float) -> None:
    """Compare this machine's clock with that of a server, by the dates on its answers; nobody logs in.

    Raises:
        ConfigError: it is off by more than the limit. UnavailableError: the server did not answer, or tells no date.
    """
    parts = urllib.parse.urlsplit(address)
    wire = HttpWire(f"{parts.scheme}://{parts.netloc}", CLOCK_S)
    try:
        for number in range(SAMPLES):
            wire.send("HEAD", "/", {})
            if number + 1 < SAMPLES:
                time.sleep(0.35)  # another part of their second
    except WireError as error:
        raise UnavailableError(f"{parts.hostname} did not answer ({error}); try again") from None
    finally:
        wire.close()
    skew = wire.skew.ms()
    if skew != skew:
        raise UnavailableError(f"{parts.hostname} does not say what time it is; this clock cannot be checked")
    if abs(skew) > limit_ms:
        raise ConfigError(
            f"this machine's clock is {abs(skew) / 1000:.1f} s {'ahead of' if skew > 0 else 'behind'} that of "
            f"{parts.hostname}, {limit_ms:g} ms are allowed; set it: timedatectl set-ntp true"
        )
