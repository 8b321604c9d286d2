"""A faulty wire: a small HTTP proxy on loopback, with real sockets, that spoils some of what goes through it.

    Proxy(upstream_port, plan).start()

`plan(request)` gives the name of what happens to a request, "" for nothing:

| before the broker has it | |
|---|---|
| `refuse` | the connection is reset before anything was read |
| `drop` | the request is read and the connection closed |
| `half` | half of the request reaches the broker, then both sides are cut |
| `black-hole` | it is read, goes nowhere, and the connection stays open |
| `429`, `429-after`, `500`, `503` | the proxy answers so itself |

| after it has it | |
|---|---|
| `cut` | the connection is cut without an answer |
| `cut-body` | half-way through the answer |
| `silent` | no answer, and the connection stays open |
| `drip`, `drip-head` | the answer, or its head, comes a byte at a time and never ends |
| `garbage` | something that is not HTTP |
| `502-after`, `504-after` | the proxy answers so instead |

| it arrives | |
|---|---|
| `delay`, `slow` | a little later; its answer does |
| `twice` | two times, and the second answer is the one that comes back |

A websocket is tunnelled; `cut_sockets` and `freeze_sockets` end it, and let it hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from live.sandbox.http import shut

BEFORE = ("refuse", "drop", "half", "black-hole", "429", "429-after", "500", "503")
AFTER = ("cut", "cut-body", "silent", "drip", "drip-head", "garbage", "502-after", "504-after")
ARRIVES = ("delay", "slow", "twice")
MODES = (*BEFORE, *AFTER, *ARRIVES)
DELAY_S = 0.05
DRIP_S = 0.02
CHUNK = 65_536
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\n\r\n"


class Asked(NamedTuple):
    """A request on the wire. number: from 1 on."""

    number: int
    method: str
    path: str
    raw: bytes

    @property
    def places(self) -> bool:
        """Whether it places an order, in any of the three dialects."""
        if self.method != "POST":
            return False
        if self.path.endswith("/mcp/trading"):
            return b"place_equity_order" in self.raw
        return self.path in ("/v2/orders", "/orders/")

    @property
    def is_session(self) -> bool:
        """Whether it belongs to logging in and connecting, not to trading."""
        return b"initialize" in self.raw or b"tools/list" in self.raw or "oauth" in self.path


Plan = Callable[[Asked], str]


def scripted(mode: str, *numbers: int) -> Plan:
    """`mode` for the placements of these numbers, counted from 1."""
    seen = 0

    def choose(asked: Asked) -> str:
        nonlocal seen
        seen += asked.places
        return mode if asked.places and seen in numbers else ""

    return choose


def seeded(seed: int, rate: float, modes: tuple[str, ...] = MODES) -> Plan:
    """Any of the modes, to that part of all requests but those of a login."""
    chance = random.Random(seed)

    def choose(asked: Asked) -> str:
        if asked.is_session:
            return ""
        return chance.choice(modes) if chance.random() < rate else ""

    return choose


class Proxy:
    """See above. port, origin: known once it has started. done: how often each mode happened."""

    def __init__(self, upstream: int, plan: Plan = lambda _: "") -> None:
        self.plan = plan
        self.port = 0
        self.done: Counter[str] = Counter()
        self.placed = 0
        self._upstream = upstream
        self._count = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: set[asyncio.BaseTransport] = set()
        self._clients: set[asyncio.BaseTransport] = set()
        self._frozen = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def origin(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self._loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the door and every connection."""
        if self._server is not None:
            await shut(self._server.sockets)
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def cut_sockets(self) -> None:
        """Break every websocket."""
        assert self._loop is not None
        for transport in list(self._sockets):
            self._loop.call_soon_threadsafe(transport.abort)

    def cut_all(self) -> None:
        """Break every connection."""
        assert self._loop is not None
        for transport in [*self._sockets, *self._clients]:
            self._loop.call_soon_threadsafe(transport.abort)

    def freeze_sockets(self, frozen: bool = True) -> None:
        """Let websockets hang: they stay open and carry nothing."""
        self._frozen = frozen

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._clients.add(writer.transport)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while (asked := await self._read(reader)) is not None:
                if b"\r\nupgrade: websocket" in asked.raw.lower():
                    await self._tunnel(asked.raw, reader, writer)
                    break
                mode = self.plan(asked)
                if mode:
                    self.done[mode] += 1
                self.placed += asked.places
                if not await self._carry(asked, mode, writer):
                    break
        self._clients.discard(writer.transport)
        writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> Asked | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        body = await reader.readexactly(_length(head)) if _length(head) else b""
        self._count += 1
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        return Asked(self._count, method, target.partition("?")[0], head + body)

    async def _carry(self, asked: Asked, mode: str, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the connection is over."""
        if mode in ("refuse", "drop"):
            return False
        if mode == "half":
            _, far = await asyncio.open_connection("127.0.0.1", self._upstream)
            far.write(asked.raw[: len(asked.raw) // 2])
            await far.drain()
            far.transport.abort()
            return False
        if mode == "black-hole":
            await asyncio.Event().wait()
        if mode in BEFORE:
            return await _say(writer, mode)
        if mode == "delay":
            await asyncio.sleep(DELAY_S)
        answer = await self._ask(asked.raw)
        if mode == "twice":
            answer = await self._ask(asked.raw)
        return await self._answer(answer, mode, writer)

    async def _answer(self, answer: bytes, mode: str, writer: asyncio.StreamWriter) -> bool:
        """What the client gets of an answer; False when the connection is over."""
        if mode == "cut":
            return False
        if mode == "silent":
            await asyncio.Event().wait()
        if mode in ("502-after", "504-after"):
            return await _say(writer, mode)
        if mode == "drip":
            await _drip(writer, ENDLESS, answer.partition(b"\r\n\r\n")[2])
        if mode == "drip-head":
            await _drip(writer, b"HTTP/1.1 200 OK\r\nX-Pad: ", b"")
        if mode == "garbage":
            answer = b"\x16\x03\x01 this is not HTTP\r\n\r\n"
        if mode == "cut-body":
            answer = answer[: answer.index(b"\r\n\r\n") + 4 + _length(answer) // 2]
        if mode == "slow":
            await asyncio.sleep(DELAY_S)
        writer.write(answer)
        await writer.drain()
        return mode not in ("garbage", "cut-body")

    async def _ask(self, raw: bytes) -> bytes:
        """The broker's whole answer, over a connection of its own."""
        reader, far = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            far.write(raw)
            head = await reader.readuntil(b"\r\n\r\n")
            return head + await reader.readexactly(_length(head))
        finally:
            far.transport.abort()

    async def _tunnel(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = await asyncio.open_connection("127.0.0.1", self._upstream)
        far.write(first)
        ends = (writer.transport, far.transport)
        self._sockets.update(ends)
        ways = [asyncio.create_task(self._pump(reader, far)), asyncio.create_task(self._pump(near, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            far.transport.abort()
            self._sockets.difference_update(ends)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(CHUNK):
                if not self._frozen:
                    sink.write(data)
                    await sink.drain()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


async def _say(writer: asyncio.StreamWriter, mode: str) -> bool:
    more = "Retry-After: 0.2\r\n" if mode == "429-after" else ""
    body = b'{"message": "the proxy says no", "detail": "the proxy says no"}'
    head = f"HTTP/1.1 {mode[:3]} .\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return True


async def _drip(writer: asyncio.StreamWriter, head: bytes, answer: bytes) -> None:
    """The head at once, then a byte at a time, without an end: until the client gives up."""
    writer.write(head)
    for byte in answer:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(DRIP_S)
    while not writer.transport.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(DRIP_S)
