"""How Robinhood's tools are reached: the token on every request, whole answers, and their true statuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Protocol

from data.errors import AuthError, OnetapeError
from data.sources.http import retry_after
from live.brokers.robinhood_grant import Grant
from live.brokers.wire import MOST_BODY
from live.brokers.wire_calls import Calls
from live.brokers.wire_skew import Skew

if TYPE_CHECKING:
    import httpx2

NOT_SENT, BROKEN = 598, 599
"""Statuses of our own, for a connection that was not made, and for one that broke or told more than an answer holds."""


class Told(Protocol):
    """What is told of a request: its status, the wait that was asked for, why a login is over."""

    grant: Grant
    status: int
    after_s: float | None
    skew: Skew
    calls: Calls
    auth_error: OnetapeError | None


def bearer(session: Told) -> httpx2.Auth:
    """Sends the token in force; after a 401, which proves that nothing was done, once more with a new one."""
    import httpx2

    class Bearer(httpx2.Auth):
        async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
            grant = session.grant
            used = grant.access
            request.headers["Authorization"] = f"Bearer {used.get_secret_value()}"
            response = yield request
            if response.status_code == 401:
                try:
                    await asyncio.to_thread(grant.refresh, used)
                except OnetapeError as error:
                    session.auth_error = error
                    return
                request.headers["Authorization"] = f"Bearer {grant.access.get_secret_value()}"
                again = yield request
                if again.status_code == 401:
                    session.auth_error = AuthError("Robinhood refuses a fresh token; log in again")

    return Bearer()


def whole(session: Told) -> httpx2.AsyncBaseTransport:
    """The connection that the SDK is given."""
    import httpx2

    class Whole(httpx2.AsyncHTTPTransport):
        """Whole answers and true statuses; the server pushes nothing, so its event stream is not opened."""

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method != "POST":
                return httpx2.Response(405, request=request)
            left = time.time_ns()
            try:
                reply = await super().handle_async_request(request)
                body = bytearray()
                async for part in reply.aiter_bytes():
                    body += part
                    if len(body) > MOST_BODY:
                        break
                await reply.aclose()
            except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
                session.calls.failed(error, sent=False)
                session.status = NOT_SENT
                return httpx2.Response(NOT_SENT, request=request)
            except httpx2.TransportError as error:
                session.calls.failed(error)
                session.status = BROKEN
                return httpx2.Response(BROKEN, request=request)
            if len(body) > MOST_BODY:
                session.status = BROKEN
                return httpx2.Response(BROKEN, request=request)
            session.status = reply.status_code
            session.calls.answered(reply.status_code)
            session.skew.add(left, time.time_ns(), reply.headers.get("Date"))
            session.after_s = retry_after({name.lower(): value for name, value in reply.headers.items()})
            dropped = ("content-encoding", "content-length", "transfer-encoding")
            headers = [(name, value) for name, value in reply.headers.multi_items() if name.lower() not in dropped]
            return httpx2.Response(reply.status_code, headers=headers, content=bytes(body), request=request)

    return Whole()
