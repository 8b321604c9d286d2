"""A whole answer within a time limit, or none.

A socket's own limit is between two bytes, and a dripping server would hold us for ever. And `http.client` takes the end
of a connection for the end of an answer: of one that said how long it is, of one that did not say, and inside a head.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any


class Deadline(io.RawIOBase):
    """What comes out of a socket until `limit_s` from now, read by somebody who knows where it ends.

    Args:
        under: the socket's own reader, which is closed with this one. limit_s: None for any time.
    """

    def __init__(self, wire: socket.socket, under: io.RawIOBase, limit_s: float | None) -> None:
        super().__init__()
        self._wire, self._under = wire, under
        self._until = None if limit_s is None else time.monotonic() + limit_s

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Some more bytes.

        Raises:
            TimeoutError: the time is over, whatever has come in it. ConnectionError: nothing more will come.
        """
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0.0:
                raise TimeoutError("the answer was not whole in time")
            self._wire.settimeout(left)
        told: int | None = self._under.readinto(buffer)
        if told == 0:
            raise ConnectionError("the connection ended before the answer did")
        return told

    def close(self) -> None:
        """Close the reader underneath, too."""
        if not self.closed:
            super().close()
            self._under.close()


class WholeResponse(http.client.HTTPResponse):
    """An answer that says where it ends, and whose head and body have both come to their ends within the time limit of
    its socket, counted from now.

    For `response_class` of a connection; urllib3's connections honour it as well. Reading raises an OSError or an
    HTTPException where it is not so.
    """

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(Deadline(sock, self.fp.detach(), sock.gettimeout()))

    def begin(self) -> None:
        """Read the head.

        Raises:
            HTTPException: it does not say where the body ends, or says it twice.
        """
        super().begin()
        lengths = set(self.headers.get_all("Content-Length", ()))
        if len(lengths) > 1 or (self.length is None and not self.chunked):
            raise http.client.HTTPException("an answer that does not say where it ends")
