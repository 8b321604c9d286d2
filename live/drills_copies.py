"""What a backup has of the orders that a sandbox's broker has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from live.rehearse_process import ask


def account_at(url: str) -> dict[str, Any]:
    """The sandbox's record of its Alpaca account."""
    return dict(ask(f"{url}/record")["brokers"]["alpaca"])


def keys_copied(log: Path) -> set[str]:
    """Keys of the orders whose intent is in a backup."""
    from live.backup_log import records
    from live.core.commands import Protect, Submit, decode_command

    commands = (decode_command(line.body) for line in records(log) if line.kind == "command")
    return {command.order_id for command in commands if isinstance(command, Submit | Protect)}


def all_copied(url: str, log: Path) -> bool:
    """Whether the backup has the intent of every order that the broker has."""
    return {order["key"] for order in account_at(url)["orders"]} <= keys_copied(log)
