"""`trade_updates`: what happens to an account's orders, as JSON in binary frames. A missed one is not repeated."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from live.sandbox.broker_engine import Execution, Venue, VenueOrder
from live.sandbox.http import shut
from live.sandbox.terms import Terms


class TradeUpdates:
    """Pushes the venue's news to every listener.

    twice: every update is sent again. reorder: two at a time, the later one first. mute: nothing is sent at all.
    """

    def __init__(self, venue: Venue, terms: Terms, body: Callable[[VenueOrder, Venue], dict[str, Any]]) -> None:
        self.twice = self.reorder = self.mute = False
        self.listening: set[ServerConnection] = set()
        self._venue, self._terms, self._body = venue, terms, body
        self._kept: list[bytes] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._sending: set[asyncio.Task[None]] = set()
        venue.listeners.append(self._hear)

    async def start(self) -> int:
        """Listen; the port."""
        self._loop = asyncio.get_running_loop()
        self._server = await serve(self._serve, "127.0.0.1", 0)
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        """Close every connection."""
        if self._server is not None:
            await shut(self._server.sockets)
            self._server.close()
            await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection."""
        if self._loop is not None:
            for wire in list(self.listening):
                self._loop.call_soon_threadsafe(wire.transport.abort)

    def silence(self, silent: bool) -> None:
        """Say nothing more, or speak again; what happened meanwhile is not repeated."""
        self.mute = silent

    async def _serve(self, wire: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed, msgspec.DecodeError, KeyError, TypeError):
            async for message in wire:
                told = msgspec.json.decode(message)
                if told["action"] == "authenticate":
                    good = self._terms.knows(told["data"]["key_id"], told["data"]["secret_key"])
                    status = "authorized" if good else "unauthorized"
                    data = {"action": "authenticate", "status": status}
                    await wire.send(msgspec.json.encode({"stream": "authorization", "data": data}))
                elif told["action"] == "listen":
                    await wire.send(msgspec.json.encode({"stream": "listening", "data": told["data"]}))
                    self.listening.add(wire)
        self.listening.discard(wire)

    def _hear(self, event: str, order: VenueOrder, execution: Execution | None) -> None:
        if self._loop is None or self.mute:
            return
        data: dict[str, Any] = {
            "event": event,
            "timestamp": _stamp(execution.ts if execution else self._venue.now()),
            "order": self._body(order, self._venue),
        }
        if execution is not None:
            data |= {
                "execution_id": execution.id,
                "price": str(execution.price),
                "qty": str(execution.quantity),
                "position_qty": str(self._venue.positions.get(order.symbol, 0)),
            }
        frames = [msgspec.json.encode({"stream": "trade_updates", "data": data})]
        fault = self._venue.faults.of_update(event)
        if fault == "drop":
            return
        if (self.reorder or fault == "swap") and not self._kept:
            self._kept = frames
            return
        frames, self._kept = [*frames, *self._kept], []
        self._loop.call_soon_threadsafe(self._push, frames * (2 if self.twice or fault == "twice" else 1))

    def _push(self, frames: list[bytes]) -> None:
        for wire in list(self.listening):
            task = asyncio.ensure_future(_send(wire, frames))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)


async def _send(wire: ServerConnection, frames: list[bytes]) -> None:
    with contextlib.suppress(ConnectionClosed):
        for frame in frames:
            await wire.send(frame)


def _stamp(ts: int) -> str:
    import datetime as dt

    return f"{dt.datetime.fromtimestamp(ts / 1e9, dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
