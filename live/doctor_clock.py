"""What time others say it is: one question to a time server, by SNTP (RFC 4330)."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

SERVERS = (("time.cloudflare.com", 123), ("pool.ntp.org", 123))
PATIENCE_S = 1.5
_EPOCH = 2_208_988_800  # from 1900, where NTP begins, to 1970
_PACKET = struct.Struct("!B39xQ")


class Asked(NamedTuple):
    """offset_ms: this machine's clock less the server's; NaN where it did not answer."""

    server: str
    offset_ms: float


def offset_ms(
    server: tuple[str, int], clock_s: Callable[[], float] = time.time, patience_s: float = PATIENCE_S
) -> Asked:
    """Ask one server.

    Args:
        clock_s: this machine's clock, seconds of UTC.
    """
    nothing = Asked(server[0], float("nan"))
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(patience_s)
        asking.connect(server)
        sent = clock_s()
        asking.send(_PACKET.pack(0x23, 0))  # version 4, a client
        answer = asking.recv(512)
        heard = clock_s()
        if len(answer) < _PACKET.size:
            return nothing
        (received, transmitted) = struct.unpack_from("!QQ", answer, 32)
        if not transmitted:
            return nothing
        theirs = (_seconds(received) + _seconds(transmitted)) / 2.0
        return Asked(server[0], ((sent + heard) / 2.0 - theirs) * 1e3)
    return nothing


def _seconds(stamp: int) -> float:
    """UTC seconds of an NTP time stamp: 32 bits of seconds since 1900, 32 of their fraction."""
    return (stamp >> 32) - _EPOCH + (stamp & 0xFFFFFFFF) / 2.0**32
