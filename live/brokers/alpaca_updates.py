"""Alpaca's `trade_updates`, heard by a thread that connects again for ever, and says when it was away.

Nothing that was missed is sent again, so after every connection, the first one included, `down` is set: the desk then
asks for all that is out. A connection that does not answer pings within ten seconds is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Any

import msgspec

from data.errors import AuthError
from data.settings import Secret
from live.brokers.wire import MOST_BODY

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
PING_S = 10.0


class Updates:
    """What the stream has told, until it is taken. down: it was away, so something may be missing."""

    def __init__(self, url: str, key: Secret, secret: Secret, first_wait_s: float = FIRST_WAIT_S) -> None:
        self.down = True
        self.listening = False
        self._url, self._key, self._secret, self._first_s = url, key, secret, first_wait_s
        self._heard: deque[dict[str, Any]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, in the background."""
        if self._thread is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name="alpaca-updates", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Disconnect."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(lambda: self._task.cancel() if self._task else None)
            self._thread.join(10)
            self._loop = self._thread = None

    def take(self) -> list[dict[str, Any]]:
        """Everything heard since."""
        told = []
        while self._heard:
            told.append(self._heard.popleft())
        return told

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._listen())
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(self._task)
        loop.close()

    async def _listen(self) -> None:
        from websockets.exceptions import WebSocketException

        failures = 0
        while True:
            try:
                await self._connected()
            except (OSError, WebSocketException, TimeoutError, msgspec.DecodeError, AuthError, KeyError, TypeError):
                failures = 0 if self.listening else failures + 1
            self.listening, self.down = False, True
            await asyncio.sleep(min(self._first_s * 2.0 ** min(failures, 10), LONGEST_WAIT_S))

    async def _connected(self) -> None:
        from websockets.asyncio.client import connect

        async with connect(self._url, ping_interval=PING_S, ping_timeout=PING_S, max_size=MOST_BODY) as wire:
            keys = {"key_id": self._key.get_secret_value(), "secret_key": self._secret.get_secret_value()}
            async with asyncio.timeout(PING_S):
                await wire.send(msgspec.json.encode({"action": "authenticate", "data": keys}).decode())
                told = msgspec.json.decode(await wire.recv())
                if told["data"].get("status") != "authorized":
                    raise AuthError("Alpaca's stream refuses the key")
                await wire.send('{"action":"listen","data":{"streams":["trade_updates"]}}')
            async for message in wire:
                told = msgspec.json.decode(message)
                if told.get("stream") == "listening":
                    self.listening = self.down = True
                elif told.get("stream") == "trade_updates":
                    self._heard.append(told["data"])
