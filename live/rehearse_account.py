"""The account file of a rehearsal: the user's own, with everything that money could follow taken out of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from live.account import Account

DROPPED = ("trading", "certificate", "account_suffix", "watchlist")
TABLES = ("params", "rule", "costs", "limits")
AGES = ("max_quote_age_s", "unknown_alarm_s", "unknown_page_s")
"""Limits on what machines and wires need; in a rehearsal a second of theirs is `speed` seconds of the tape."""


def stretched(account: Account, speed: float, sessions: int) -> dict[str, float]:
    """Limits that cannot be what they are in a rehearsal, and what they are there.

    Args:
        speed: of the tape. sessions: of the tape that are history: no symbol is listed for longer.
    """
    set_ones = account.limits
    wider: dict[str, float] = {name: set_ones[name] * speed for name in AGES if name in set_ones and speed > 1.0}
    if set_ones.get("min_listed_days", 0) > sessions:
        wider["min_listed_days"] = sessions
    return wider


def rehearsal_text(
    account: Account, symbols: list[str], state: Path, warm: int, limits: dict[str, float] | None = None
) -> str:
    """The file as TOML: the same strategy, rule, costs and limits, its state in `state`, its rows from the sandbox.

    Args:
        symbols: that the tape has. limits: that are others than the account's (see `stretched`).

    Raises:
        ConfigError: the account trades a symbol that the tape does not have.
    """
    wanted = list(account.symbols or symbols)
    missing = [symbol for symbol in wanted if symbol not in symbols]
    if missing:
        raise ConfigError(
            f"account {account.name!r} trades {missing[0]!r}, the tape has {', '.join(symbols)}; take another tape"
        )
    told = tomllib.loads(account.path.read_text("utf-8"))
    for name in DROPPED:
        told.pop(name, None)
    if str(told["strategy"]).endswith(".py") or "/" in str(told["strategy"]):
        told["strategy"] = str((account.path.parent / Path(told["strategy"]).expanduser()).resolve())
    told |= {"symbols": wanted, "state": str(state), "feed": account.feed or "alpaca", "warm": min(account.warm, warm)}
    if limits:
        told["limits"] = told.get("limits", {}) | limits
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items() if name not in TABLES]
    for table in TABLES:
        if told.get(table):
            lines += ["", f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in told[table].items())]
    return "\n".join(lines) + "\n"


def sources_of(record: dict[str, Any]) -> list[str]:
    """The symbols of a sandbox's record."""
    return [str(symbol) for symbol in record["market"]["symbols"]]
