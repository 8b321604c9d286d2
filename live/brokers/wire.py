"""What may become of a request to a broker, and plain HTTP that can tell these apart.

    WireError
    ├── NotSent      nothing left this machine
    ├── Lost         it may have been done: the answer never came, came broken, or was a failure of theirs
    ├── Busy         too many requests
    ├── Refused      the broker's documented no
    ├── Duplicate    an order of this key is there already
    └── TooLate      the order has ended, or cannot be cancelled now

`AuthError` of `data.errors` says that a person must log in.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from data.errors import ConfigError
from data.sources.http import retry_after
from live.brokers.wire_calls import Calls
from live.brokers.wire_deadline import WholeResponse
from live.brokers.wire_skew import Skew

FRESH_S = 4.0
MOST_BODY = 8_000_000
"""Bytes of an answer, unpacked; the largest that a broker has a use for is a tenth of that."""


class WireError(Exception):
    """Base of what may become of a request."""


class NotSent(WireError):  # noqa: N818  # an outcome
    """Nothing left this machine."""


class Lost(WireError):  # noqa: N818  # an outcome
    """It may have been done. status: of a failure that the venue told of, 0 where nothing came."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class Busy(WireError):  # noqa: N818  # an outcome
    """Too many requests. after_s: what the broker asked us to wait."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Refused(WireError):  # noqa: N818  # an outcome
    """The broker's documented no."""


class Duplicate(WireError):  # noqa: N818  # an outcome
    """An order of this key is there already."""


class TooLate(WireError):  # noqa: N818  # an outcome
    """The order has ended, or cannot be cancelled now."""


class Changed(ConfigError):  # noqa: N818  # an outcome
    """The account, or what orders go through, is not what it was at the login. ours: the account is still the same."""

    def __init__(self, reason: str, *, ours: bool) -> None:
        super().__init__(reason)
        self.ours = ours


class Answer(NamedTuple):
    """What came back, whole. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """
        Raises:
            Lost: the body is not JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Lost(f"an answer (HTTP {self.status}) that is not JSON") from None

    def lost(self, what: str = "") -> Lost:
        """An answer that says nothing of what was asked."""
        return Lost(f"HTTP {self.status}{what}", self.status)

    def busy(self) -> Busy:
        """The refusal of an answer with status 429."""
        return Busy("HTTP 429, too many requests", retry_after(self.headers))


def too_large() -> Lost:
    """An answer that nobody reads to its end."""
    return Lost(f"an answer of more than {MOST_BODY:,} bytes")


class HttpWire:
    """One origin over one connection that is kept; nothing is followed, repeated or decided here.

    Args:
        base: `https://host` or, for a sandbox, `http://127.0.0.1:port`.
        timeout_s: for connecting, and for the whole of an answer once its request has left.

    Raises:
        ConfigError: not such an address, or one in the clear to another machine.
    """

    def __init__(self, base: str, timeout_s: float) -> None:
        parts = urllib.parse.urlsplit(base)
        local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if parts.hostname is None or parts.scheme not in (("http", "https") if local else ("https",)):
            raise ConfigError(f"{base!r} is no address for orders; expected https://host")
        self._parts, self._timeout = parts, timeout_s
        self.skew, self.calls = Skew(), Calls()
        self._kept: http.client.HTTPConnection | None = None
        self._used = 0.0

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """The whole answer to one request.

        Raises:
            NotSent: no connection. Lost: a connection that broke, or was not done in time, after something had left;
                an answer that does not say where it ends.
        """
        wire = self._connection()
        left = time.time_ns()
        try:
            wire.request(method, self._parts.path.rstrip("/") + path, body=body, headers=dict(headers))
            reply = wire.getresponse()
            told = reply.read(MOST_BODY + 1)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self.calls.failed(error)
            raise Lost(f"no whole answer ({type(error).__name__})") from None
        self.calls.answered(reply.status)
        if len(told) > MOST_BODY:
            self.close()
            raise too_large()
        self._used = time.monotonic()
        self.skew.add(left, time.time_ns(), reply.getheader("Date"))
        if reply.will_close:
            self.close()
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, told)

    def close(self) -> None:
        """Let go of the connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _connection(self) -> http.client.HTTPConnection:
        """The kept one while it is fresh: a server may have closed an older one, and a lost order is dear."""
        if self._kept is not None and time.monotonic() - self._used < FRESH_S:
            if self._kept.sock is not None:  # the last answer has left it what was over of its own time
                self._kept.sock.settimeout(self._timeout)
            return self._kept
        self.close()
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            wire: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=self._timeout, context=ssl.create_default_context()
            )
        else:
            wire = http.client.HTTPConnection(host, port, timeout=self._timeout)
        wire.response_class = WholeResponse
        try:
            wire.connect()
        except OSError as error:
            self.calls.failed(error, sent=False)
            raise NotSent(f"no connection ({type(error).__name__})") from None
        self._kept = wire
        return wire
