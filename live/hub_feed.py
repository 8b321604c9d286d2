"""A runner's side of the market-data hub: the same interface as `live.feed.TapeFeed`.

    async with HubFeed(path, seed="paper-1") as feed:
        feed.header
        await feed.rows()

Losing the hub is no error: `rows` goes on waiting and tries again, and the core is told of silence by its shell.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from data.errors import ConfigError, DataError, UnavailableError
from data.rows import BookSnap, FeedMessage, Header, Revision, Row, Touch, Trading, encode
from live.hub import CHUNK, HELLO
from live.hub_log import LENGTH, split
from live.hub_socket import connected

FIRST_S, MOST_S = 0.05, 5.0
_decode = msgspec.msgpack.Decoder(FeedMessage).decode


class HubFeed:
    """The rows of a hub.

    Args:
        path: of the hub's socket.
        since: UTC nanoseconds of the last row that is known; only later ones are given.
        symbols: the ones wanted, in this order; None for all that the hub has.
        patience_s: how long the hub may take to give its header at the start.
        seed: of the pauses between tries, so that many readers do not come back at once; the account's name will do.
        sleep: waits between tries.

    `losses` counts how often the hub was lost.
    """

    header: Header

    def __init__(
        self,
        path: Path | str,
        *,
        since: int = 0,
        symbols: Sequence[str] | None = None,
        patience_s: float = 20.0,
        seed: str = "",
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._path, self.since, self._patience_s = Path(path), since, patience_s
        self._symbols, self._columns = symbols, [0]
        self._chance, self._sleep = random.Random(seed), sleep
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._held = b""
        self._early: list[FeedMessage] = []
        self._over = self._picks = False
        self.losses = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        until, wait_s = loop.time() + self._patience_s, FIRST_S
        while True:
            try:
                async with asyncio.timeout_at(until):
                    self.header = await self._join()
                return self
            except (OSError, EOFError, TimeoutError):
                await self._drop()
                if loop.time() >= until:
                    raise UnavailableError(
                        f"no hub answered at {self._path} for {self._patience_s:g} s; start it: python -m live hub"
                    ) from None
            except BaseException:
                await self._drop()
                raise
            await self._sleep(wait_s * self._chance.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, MOST_S)

    async def __aexit__(self, *_: object) -> None:
        await self._drop()

    async def rows(self) -> list[Row] | None:
        """The rows that came together next, None at the end of the feed.

        Raises:
            DataError: the hub came back with another feed, or sent what is no feed message.
        ConfigError: it does not have a symbol that is wanted.
        """
        while (messages := await self.messages()) is not None:
            rows = [message for message in messages if isinstance(message, Row)]
            if rows:
                return rows
        return None

    async def messages(self) -> list[FeedMessage] | None:
        """Everything that came together next, header aside; raises as `rows`."""
        if self._early:
            early, self._early = self._early, []
            return early
        while True:
            try:
                found = await self._read()
                if found and self._picks and self._symbols is not None:
                    found = self._wanted(found, self._symbols)
            except (OSError, EOFError):
                await self._come_back()
                found, self._early = self._early, []
            if found is None or found:
                return found

    async def give(self, book: BookSnap) -> None:
        """Hand the feed a book that was asked for elsewhere; lost where there is no hub just now."""
        if self._writer is not None:
            self._writer.write(encode(book))

    async def _join(self) -> Header:
        """Connect and say what is known; the header, with what came behind it in `_early`."""
        self._reader, self._writer = await asyncio.open_unix_connection(sock=connected(self._path), limit=CHUNK)
        self._held = b""
        self._writer.write(HELLO.pack(self.since))
        while not (found := await self._read()):
            if found is None:
                raise DataError(f"the hub at {self._path} has no rows: its feed ended before it began")
        header, *self._early = found
        if not isinstance(header, Header):
            raise DataError(f"the hub at {self._path} does not begin with a header; is another program there?")
        if self._symbols is None or header.symbols == list(self._symbols):
            return header
        for symbol in self._symbols:
            if symbol not in header.symbols:
                raise ConfigError(f"the hub at {self._path} does not have {symbol}; add it to the symbols of its feed")
        self._columns = [header.symbols.index(symbol) for symbol in self._symbols]
        self._early = self._wanted(self._early, self._symbols)
        self._picks = True
        return msgspec.structs.replace(header, symbols=list(self._symbols))

    def _wanted(self, messages: list[FeedMessage], symbols: Sequence[str]) -> list[FeedMessage]:
        """What is about these symbols, rows with their columns only."""
        from live.shell import picked

        found: list[FeedMessage] = []
        for message in messages:
            if isinstance(message, Row):
                found.append(picked(message, self._columns))
            elif isinstance(message, Revision):
                if any(symbol in symbols for symbol in message.symbols):
                    found.append(msgspec.structs.replace(message, row=picked(message.row, self._columns)))
            elif not isinstance(message, Touch | Trading) or message.symbol in symbols:
                found.append(message)
        return found

    async def _come_back(self) -> None:
        """The hub is gone: try again, ever more slowly, until it is there."""
        self.losses += 1
        wait_s = FIRST_S
        while True:
            await self._drop()
            await self._sleep(wait_s * self._chance.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, MOST_S)
            try:
                header = await self._join()
            except (OSError, EOFError):
                continue
            was = self.header
            if (header.symbols, header.clock, header.source) != (was.symbols, was.clock, was.source):
                raise DataError(
                    f"the hub came back with another feed: {header.source} of {header.clock}, before {was.source} of "
                    f"{was.clock}; start the runner again"
                )
            return

    async def _read(self) -> list[FeedMessage] | None:
        """The messages of the next chunk, None at the end; EOFError where the hub went away."""
        assert self._reader is not None  # noqa: S101  # entered
        if self._over:
            return None
        chunk = await self._reader.read(CHUNK)
        if not chunk:
            raise EOFError
        frames, self._held = split(self._held + chunk)
        messages: list[FeedMessage] = []
        for frame in frames:
            if len(frame) == LENGTH.size:
                self._over = True
                break
            try:
                message = _decode(memoryview(frame)[LENGTH.size :])
            except msgspec.MsgspecError as error:
                raise DataError(f"the hub sent a frame that is not a feed message: {error}") from error
            if isinstance(message, Row):
                if message.ts <= self.since:
                    continue
                self.since = message.ts
            messages.append(message)
        return messages if messages or not self._over else None

    async def _drop(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()
