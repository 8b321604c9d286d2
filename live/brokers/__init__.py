"""Brokers: one file each, found by module name, all behind `live.brokers.base.Broker`.

A broker over a network has, beside its capability sheet `CAPABILITIES`, two functions: `for_account(account, settings,
clock)` gives its `VenueBroker`, not yet opened; `address(account, settings)` says where its orders go.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.settings import Settings
    from data.sources.base import Clock
    from live.account import Account
    from live.brokers.base import Capabilities, VenueBroker


def broker_names() -> list[str]:
    """Names of the files here that are a broker, sorted: those with a capability sheet."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(path.stem for path in files if "\nCAPABILITIES = " in path.read_text("utf-8"))


def venue_broker(account: Account, settings: Settings, clock: Clock) -> VenueBroker:
    """The broker of an account, not yet opened.

    Raises:
        ConfigError, AuthError: a key or a login is missing, or others may read it.
    """
    made: VenueBroker = _module(account).for_account(account, settings, clock)
    return made


def broker_address(account: Account, settings: Settings) -> str:
    """Where the orders of an account go."""
    return str(_module(account).address(account, settings))


def capabilities_of(account: Account) -> Capabilities:
    """What the account's broker promises."""
    sheet: Capabilities = _module(account).CAPABILITIES
    return sheet


def _module(account: Account) -> Any:
    return importlib.import_module(f"live.brokers.{account.broker}")
