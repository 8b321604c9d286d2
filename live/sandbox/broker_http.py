"""The HTTP side of the sandbox's brokers: requests that are done and not answered, and every other doubt."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator

from live.sandbox.broker_faults import BEFORE, SPOILT, BrokerFaults
from live.sandbox.broker_spoil import spoilt
from live.sandbox.clock import SandboxClock
from live.sandbox.faults import Faults
from live.sandbox.http import HttpServer, Request, Response, Routes, answer

SLOW_S = 0.3
PIECES = 20
FOREVER_S = 3600.0
RETRY_AFTER = "0.2"
ODD = itertools.cycle(("-5", "soon", "99999999", ""))
CHUNK = 65_536


class BrokerServer(HttpServer):
    """Serves `routes`; `operation(request)` says which kind of request it is, `faults` what becomes of it.

    down: every request is answered 503. socket: (path, port) of a websocket that this port serves, too.
    """

    def __init__(self, routes: Routes, faults: BrokerFaults, operation: Callable[[Request], str]) -> None:
        super().__init__(routes, Faults(), SandboxClock(0))
        self.broken: Callable[[str], Response] = failure
        self.down = False
        self.socket: tuple[str, int] | None = None
        self._broker_faults = faults
        self._operation = operation

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.socket is None:
            await super()._talk(reader, writer)
            return
        path, port = self.socket
        first = await reader.readuntil(b"\r\n")
        if first.startswith(f"GET {path} ".encode()):
            await _tunnel(first, reader, writer, port)
            return
        ahead = asyncio.StreamReader(limit=2**20)
        ahead.feed_data(first)
        feeding = asyncio.create_task(_feed(reader, ahead))
        try:
            await super()._talk(ahead, writer)
        finally:
            feeding.cancel()

    async def _reply(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        operation = self._operation(request)
        fault = self._broker_faults.of_request(operation) if operation else ""
        if operation and self.down:
            fault = "503"
        if fault == "drop":
            writer.transport.abort()
            return False
        if fault == "stall":
            await asyncio.sleep(FOREVER_S)
        response = self.broken(fault) if fault in BEFORE else self._routes.answer(request)
        if fault == "lost":
            writer.transport.abort()
            return False
        if fault == "hang":
            await asyncio.sleep(FOREVER_S)
        if fault == "slow":
            await asyncio.sleep(SLOW_S)
        if fault.endswith("-after") and fault not in BEFORE:
            response = self.broken(fault)
        body = spoilt(fault, response.body) if fault in SPOILT else response.body
        length = len(response.body) if fault == "cut" else len(body)
        headers = {"Content-Type": "application/json", **response.headers}
        if response.status != 204:
            headers["Content-Length"] = str(length)
        lines = [f"HTTP/1.1 {response.status} .", *(f"{name}: {value}" for name, value in headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if fault == "drip":
            await _drip(writer, head + body)
        else:
            writer.write(head + body)
        await writer.drain()
        return fault != "cut" and request.headers.get("connection", "").lower() != "close"


def failure(fault: str) -> Response:
    """The answer of a broker that failed, was busy, or asks who it is."""
    status = int(fault[:3])
    if status == 429 and fault != "429":
        after = RETRY_AFTER if fault == "429-after" else next(ODD)
        return answer({"message": "too many requests.", "detail": "Request was throttled."}, 429, Retry_After=after)
    if status == 403:
        return answer({"message": "device approval required", "detail": "Device approval required."}, 403)
    return answer({"message": f"failed with {status}", "detail": f"failed with {status}"}, status)


async def _tunnel(first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Hand a websocket over to the server that speaks it, until either side ends it."""
    from_stream, to_stream = await asyncio.open_connection("127.0.0.1", port)
    to_stream.write(first)
    ways = [asyncio.create_task(_pump(reader, to_stream)), asyncio.create_task(_pump(from_stream, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for side in (writer, to_stream):
            side.transport.abort()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _drip(writer: asyncio.StreamWriter, whole: bytes) -> None:
    size = max(len(whole) // PIECES, 1)
    for start in range(0, len(whole), size):
        writer.write(whole[start : start + size])
        await writer.drain()
        await asyncio.sleep(SLOW_S / PIECES)


async def _feed(source: asyncio.StreamReader, sink: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(CHUNK):
            sink.feed_data(data)
    sink.feed_eof()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()


@contextlib.contextmanager
def on_a_thread(start: Callable[[], object], stop: Callable[[], object]) -> Iterator[asyncio.AbstractEventLoop]:
    """Run `await start()` on a loop of its own, for clients that block; `await stop()` at the end."""
    import threading

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox-broker", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(_awaited(start), loop).result(10)
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_awaited(stop), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _awaited(call: Callable[[], object]) -> None:
    result = call()
    if asyncio.iscoroutine(result):
        await result
