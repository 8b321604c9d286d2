"""The fence around robin_stocks' session: every request through one adapter with a time limit and a true status."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from data.errors import ConfigError
from data.settings import Secret
from live.brokers.wire import MOST_BODY, Answer, Lost, NotSent, too_large
from live.brokers.wire_calls import Calls
from live.brokers.wire_deadline import WholeResponse
from live.brokers.wire_skew import Skew

API = "https://api.robinhood.com"
CONNECT_S, READ_S = 10.0, 16.0
PART = 65_536


class Fence:
    """robin_stocks' one session, with our token in its header.

    Args:
        read_s: for the whole of an answer once its request has left.
        base: another machine on loopback to send everything to; "" for Robinhood's own.
        calls: where requests are counted.

    Raises:
        ConfigError: the base is not on this machine.
    """

    def __init__(self, token: Secret, base: str = "", read_s: float = READ_S, calls: Calls | None = None) -> None:
        from robin_stocks.robinhood import globals as shared

        if base and urlsplit(base).hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ConfigError(f"{base!r} is not on this machine; orders go to Robinhood or to a sandbox here")
        self.skew, self.calls = Skew(), calls or Calls()
        self._session = shared.SESSION
        self._session.adapters.clear()  # one that somebody else mounted for a longer prefix would be a hole
        self._session.mount("https://", _adapter(base, (CONNECT_S, read_s)))
        self._session.headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self._session.trust_env = False  # no other login from a .netrc

    def close(self) -> None:
        """Forget the token; a session without it can do nothing."""
        self._session.headers.pop("Authorization", None)
        self._session.close()

    def send(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        """The whole answer to one request.

        Raises:
            NotSent: no connection. Lost: one that broke, or was not done in time, after something had left.
        """
        import requests

        headers = {"Accept-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        try:
            left = time.time_ns()
            reply = self._session.request(
                method, API + path, data=form, headers=headers, allow_redirects=False, stream=True
            )
            with reply:
                body = _body(reply)
            self.skew.add(left, time.time_ns(), reply.headers.get("Date"))
            self.calls.answered(reply.status_code)
            return Answer(reply.status_code, {name.lower(): value for name, value in reply.headers.items()}, body)
        except requests.RequestException as error:
            self.calls.failed(error, sent=not _never_left(error))
            if _never_left(error):
                raise NotSent(f"no connection ({type(error).__name__})") from None
            raise Lost(f"no whole answer ({type(error).__name__})") from None


def _body(reply: Any) -> bytes:
    """All of it, unpacked.

    Raises:
        Lost: it is too large to be one.
    """
    body = bytearray()
    for part in reply.iter_content(PART):
        body += part
        if len(body) > MOST_BODY:
            raise too_large()
    return bytes(body)


def _never_left(error: Any) -> bool:
    import requests
    from urllib3.exceptions import NewConnectionError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _adapter(base: str, limits: tuple[float, float]) -> Any:
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnection):
        response_class = WholeResponse

    class Secure(HTTPSConnection):
        response_class = WholeResponse

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    class Fenced(HTTPAdapter):
        """A time limit on whole answers, no retries, and a detour to the sandbox where there is one."""

        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

        def send(self, request: Any, *args: Any, **options: Any) -> Any:
            options["timeout"] = limits
            if base:
                parts = urlsplit(request.url)
                request.url = f"{base}{parts.path}{'?' + parts.query if parts.query else ''}"
            return super().send(request, *args, **options)

    return Fenced(max_retries=0)
