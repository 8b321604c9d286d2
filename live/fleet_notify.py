"""Words to systemd over `$NOTIFY_SOCKET`: READY=1, STATUS=..., WATCHDOG=1, STOPPING=1. Nothing where there is none."""

from __future__ import annotations

import os
import socket


def notify(*words: str, address: str | None = None) -> bool:
    """Tell the service manager; True where it was there to hear.

    Args:
        words: such as "READY=1"; sent together.
        address: default: `$NOTIFY_SOCKET`.
    """
    target = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
    if not target:
        return False
    name = f"\0{target[1:]}" if target.startswith("@") else target
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect(name)
            sender.sendall("\n".join(words).encode())
        except OSError:
            return False
    return True


def watchdog_every_s() -> float:
    """Half of the time after which the service manager takes this process for hung; 0 where it does not watch."""
    given = os.environ.get("WATCHDOG_USEC", "")
    mine = os.environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return int(given) / 2e6 if given.isdigit() and mine else 0.0
