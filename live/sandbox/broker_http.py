"""The HTTP side of the sandbox's brokers: requests that are done and not answered, and every other doubt."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from live.sandbox.broker_faults import BEFORE, BrokerFaults
from live.sandbox.clock import SandboxClock
from live.sandbox.faults import Faults
from live.sandbox.http import HttpServer, Request, Response, Routes, answer

SLOW_S = 0.3
RETRY_AFTER = "0.2"


class BrokerServer(HttpServer):
    """Serves `routes`; `operation(request)` says which kind of request it is, `faults` what becomes of it."""

    def __init__(self, routes: Routes, faults: BrokerFaults, operation: Callable[[Request], str]) -> None:
        super().__init__(routes, Faults(), SandboxClock(0))
        self.broken: Callable[[str], Response] = _failure
        self._broker_faults = faults
        self._operation = operation

    async def _reply(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        operation = self._operation(request)
        fault = self._broker_faults.of_request(operation) if operation else ""
        if fault == "drop":
            writer.transport.abort()
            return False
        response = self.broken(fault) if fault in BEFORE else self._routes.answer(request)
        if fault == "lost":
            writer.transport.abort()
            return False
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "slow":
            await asyncio.sleep(SLOW_S)
        if fault.endswith("-after") and fault not in BEFORE:
            response = self.broken(fault)
        body = response.body[: len(response.body) // 2] if fault in ("malformed", "cut") else response.body
        length = len(response.body) if fault == "cut" else len(body)
        headers = {"Content-Type": "application/json", **response.headers}
        if response.status != 204:
            headers["Content-Length"] = str(length)
        lines = [f"HTTP/1.1 {response.status} .", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        await writer.drain()
        return fault != "cut" and request.headers.get("connection", "").lower() != "close"


def _failure(fault: str) -> Response:
    status = int(fault[:3])
    if fault == "429-after":
        return answer(
            {"message": "too many requests.", "detail": "Request was throttled."}, 429, Retry_After=RETRY_AFTER
        )
    return answer({"message": f"failed with {status}", "detail": f"failed with {status}"}, status)


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
