"""A small HTTP/1.1 server for loopback: routes, keep-alive, one write an answer, and faults on the way out."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import weakref
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from data.sources.base import Clock
from live.sandbox.faults import Faults

MOST_BODY = 1_000_000
DRIP_PIECES = 20
DRIP_S = 0.005
ACCEPTING = 5  # turns of the loop
RETRY_AFTER = "0.05"  # seconds, short: a rehearsal should not wait for long


class Request(NamedTuple):
    """What was asked. headers: names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None where there is none or it is not."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None


class Response(NamedTuple):
    """What is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


Handler = Callable[..., Response]


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """`value` as JSON."""
    return Response(
        status, msgspec.json.encode(value), {name.replace("_", "-"): told for name, told in headers.items()}
    )


class Routes:
    """Which handler answers which path; a handler is given the request and the named groups of its pattern."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """`pattern` is a path in which `{name}` stands for one part."""
        regex = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        self._routes.append((method, re.compile(regex), handler))

    def answer(self, request: Request) -> Response:
        """The answer of the first route that fits; 404 where none does."""
        for method, pattern, handler in self._routes:
            if method == request.method and (match := pattern.fullmatch(request.path)):
                return handler(request, **{name: unquote(part) for name, part in match.groupdict().items()})
        return answer({"message": f"endpoint not found: {request.path}"}, 404)


class HttpServer:
    """Serves `routes`; `faults` decide which requests go wrong. requests: how many came."""

    def __init__(self, routes: Routes, faults: Faults, clock: Clock) -> None:
        self.requests = 0
        self._routes = routes
        self._faults = faults
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wires: weakref.WeakSet[asyncio.WriteTransport] = weakref.WeakSet()

    async def start(self, host: str, port: int) -> int:
        """Listen; the port in use."""
        self._server = await asyncio.start_server(self._serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the door and every connection."""
        if self._server is not None:
            await shut(self._server.sockets)
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for wire in list(self._wires):
            wire.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._wires.add(writer.transport)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it is over."""
        while (request := await _read(reader)) is not None:
            self.requests += 1
            if not await self._reply(request, writer):
                break

    async def _reply(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is over."""
        fault = self._faults.of_request(self._clock.now(), request.path)
        if fault == "hang":
            await asyncio.sleep(3600)
        response = _failure(fault) or self._routes.answer(request)
        body = response.body[: len(response.body) // 2] if fault in ("cut", "malformed") else response.body
        length = len(response.body) if fault == "cut" else len(body)
        head = _head(response, length)
        if fault == "drip":
            writer.write(head)
            size = max(len(body) // DRIP_PIECES, 1)
            for start in range(0, len(body), size):
                writer.write(body[start : start + size])
                await writer.drain()
                await asyncio.sleep(DRIP_S)
        else:
            writer.write(head + body)  # one write: two would cost 40 ms of delayed acknowledgement
        await writer.drain()
        if fault == "cut":
            writer.transport.abort() if not body else writer.close()
            return False
        return request.headers.get("connection", "").lower() != "close"


async def shut(doors: Iterable[socket.socket]) -> None:
    """Let nobody more in, and wait until who came just now has a task: a server that closes loses them."""
    for door in doors:
        asyncio.get_running_loop().remove_reader(door.fileno())
    for _ in range(ACCEPTING):
        await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when it was closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    body = await reader.readexactly(length) if 0 < length <= MOST_BODY else b""
    parts = urlsplit(target)
    return Request(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


def _head(response: Response, length: int) -> bytes:
    phrase = HTTPStatus(response.status).phrase
    headers = {"Content-Type": "application/json", "Content-Length": str(length), **response.headers}
    lines = [f"HTTP/1.1 {response.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _failure(fault: str) -> Response | None:
    """The answer that a fault gives in place of the handler's; None where it only spoils the handler's."""
    if fault == "429-after":
        return answer({"message": "too many requests."}, 429, Retry_After=RETRY_AFTER)
    if fault in ("429", "500", "503"):
        return answer({"message": HTTPStatus(int(fault)).phrase.lower()}, int(fault))
    if fault == "401":
        return answer({"message": "unauthorized."}, 401)
    if fault == "403":
        return answer({"status": "NOT_AUTHORIZED", "message": "your plan does not include this data"}, 403)
    return None
