"""A time limit on a whole answer: a socket's own is between two bytes, and a dripping server would hold us for ever."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any


class Deadline(io.RawIOBase):
    """What comes out of a socket until `limit_s` from now.

    Args:
        under: the socket's own reader, which is closed with this one.
    """

    def __init__(self, wire: socket.socket, under: io.RawIOBase, limit_s: float) -> None:
        super().__init__()
        self._wire, self._under, self._until = wire, under, time.monotonic() + limit_s

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Some more bytes.

        Raises:
            TimeoutError: the time is over, whatever has come in it.
        """
        left = self._until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("the answer was not whole in time")
        self._wire.settimeout(left)
        told: int | None = self._under.readinto(buffer)
        return told

    def close(self) -> None:
        """Close the reader underneath, too."""
        if not self.closed:
            super().close()
            self._under.close()


class WholeResponse(http.client.HTTPResponse):
    """An answer whose head and body must both have come within the time limit of its socket, counted from now.

    For `response_class` of a connection; urllib3's connections honour it as well.
    """

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        limit = sock.gettimeout()
        if limit is not None:
            self.fp = io.BufferedReader(Deadline(sock, self.fp.detach(), limit))
