"""The messages a session lives on: another process's frames, read as they come.

A tape is played by `python -m data play`, a vendor's stream is heard by `python -m data stream`, each in a process of
its own: what it needs to read Parquet or a vendor's wire never gets into the process that trades.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from data.errors import AuthError, ConfigError, DataError, OnetapeError, UnavailableError, UsageError
from data.rows import BookSnap, FeedMessage, Header, Row, decode_feed, encode
from live.header import CHECKOUT

CHUNK = 1 << 18
GOODBYE_S = 5.0
_LENGTH = struct.Struct("<I")
_KINDS: dict[int, type[OnetapeError]] = {
    kind.exit_code: kind for kind in (UsageError, DataError, AuthError, ConfigError)
}


class Feed(Protocol):
    """Where messages come from; entered before use."""

    header: Header

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def messages(self) -> list[FeedMessage] | None:
        """What came together next, header aside; None at the end."""
        ...

    async def give(self, book: BookSnap) -> None:
        """Hand on a book that was asked for elsewhere."""
        ...


class RowFeed(Feed, Protocol):
    """A feed of which rows alone may be asked for."""

    async def rows(self) -> list[Row] | None:
        """The rows that came together next; None at the end."""
        ...


class ProcessFeed:
    """The frames of a process.

    Args:
        command: what runs, behind `python`.
        name: of where the frames come from, for messages.
        takes_books: it reads books on its standard input.
        ends: whether it has an end; else ending is a failure.

    Use as `async with TapeFeed(...) as feed`, then `feed.header`, then `await feed.messages()` until it gives None.
    """

    header: Header

    def __init__(self, command: Sequence[str], name: str, *, takes_books: bool = False, ends: bool = True) -> None:
        self._command, self._name, self._takes_books, self._ends = tuple(command), name, takes_books, ends
        self._process: asyncio.subprocess.Process | None = None
        self._frames = Frames()
        self._early: list[FeedMessage] = []

    @property
    def pid(self) -> int:
        """Of the process, 0 where it does not run."""
        process = self._process
        return 0 if process is None or process.returncode is not None else process.pid

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._command,
            stdin=asyncio.subprocess.PIPE if self._takes_books else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=CHECKOUT,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            limit=CHUNK,
            start_new_session=True,  # Ctrl-C is for us; we then end the feed
        )
        try:
            self.header = await self._begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._ends:
                process.kill()
            else:
                process.terminate()  # it keeps the row that is open
        try:
            await asyncio.wait_for(asyncio.gather(process.wait(), self._drain()), GOODBYE_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def rows(self) -> list[Row] | None:
        """The rows that came together next, None at the end; raises as `messages`."""
        while (messages := await self.messages()) is not None:
            if rows := [message for message in messages if isinstance(message, Row)]:
                return rows
        return None

    async def messages(self) -> list[FeedMessage] | None:
        """What came together next, None at the end.

        Raises:
            DataError: the tape is damaged, or the process stopped in the middle of it.
            UsageError, AuthError, ConfigError, UnavailableError: what the process said, in its own sentence.
        """
        if self._early:
            early, self._early = self._early, []
            return early
        while (messages := await self._read()) is not None:
            if messages:
                return messages
        await self._finish()
        return None

    async def give(self, book: BookSnap) -> None:
        """Hand on a book that was asked for elsewhere; lost where the process is gone."""
        process = self._process
        if process is not None and process.stdin is not None and process.returncode is None:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(encode(book))
                await process.stdin.drain()

    async def _begin(self) -> Header:
        messages: list[FeedMessage] = []
        while not messages:
            more = await self._read()
            if more is None:
                await self._finish()
                raise DataError(f"{self._name} gave no rows; make or record it again")
            messages = more
        first, *rest = messages
        if not isinstance(first, Header):
            raise DataError(f"{self._name} does not begin with its header; make or record it again")
        self._early = rest
        return first

    async def _read(self) -> list[FeedMessage] | None:
        """The messages of the next chunk; None at the end."""
        assert self._process is not None  # noqa: S101  # entered
        assert self._process.stdout is not None  # noqa: S101  # a pipe
        chunk = await self._process.stdout.read(CHUNK)
        return self._frames.messages(chunk) if chunk else None

    async def _drain(self) -> None:
        process = self._process
        if process is not None and process.stdout is not None and process.stderr is not None:
            while await process.stdout.read(CHUNK):
                pass
            await process.stderr.read()

    async def _finish(self) -> None:
        assert self._process is not None  # noqa: S101  # entered
        assert self._process.stderr is not None  # noqa: S101  # a pipe
        said = (await self._process.stderr.read()).decode(errors="replace").strip()
        code = await self._process.wait()
        if code == 0 and self._ends:
            self._frames.end()
            return
        sentence = said.splitlines()[-1].removeprefix("error: ") if said else f"{self._name} stopped with exit {code}"
        raise _KINDS.get(code, UnavailableError)(sentence)


class TapeFeed(ProcessFeed):
    """A tape.

    Args:
        tape: the file.
        speed: 1 as it happened, 60 a minute in a second, 0 as fast as it is read.
    """

    def __init__(self, tape: Path | str, speed: float) -> None:
        path = Path(tape)
        super().__init__(("-m", "data", "play", str(path.resolve()), "--speed", f"{speed:g}"), f"tape {path}")


class LiveFeed(ProcessFeed):
    """A vendor's stream.

    Args:
        feed: the vendor, with its feed behind a colon. book: books come from us. warm: rows of history first.
        state: where the open row is kept.
    """

    def __init__(
        self,
        feed: str,
        symbols: Sequence[str],
        clock: str,
        *,
        book: bool = False,
        warm: int = 0,
        state: Path | None = None,
    ) -> None:
        vendor, _, part = feed.partition(":")
        command = ["-m", "data", "stream", "--source", vendor, "--symbols", ",".join(symbols)]
        command += ["--clock", clock, "--warm", str(warm)]
        command += ["--feed", part] if part else []
        command += ["--book"] if book else []
        command += ["--state", str(state)] if state is not None else []
        super().__init__(command, f"the feed {feed}", takes_books=book, ends=False)


class Frames:
    """Chunks of a byte stream in, whole messages out; what is left of a frame waits for the next chunk."""

    def __init__(self) -> None:
        self._rest = b""

    def messages(self, chunk: bytes) -> list[FeedMessage]:
        """The messages that end in this chunk."""
        held = self._rest + chunk
        at = 0
        while len(held) - at >= _LENGTH.size:
            end = at + _LENGTH.size + int(_LENGTH.unpack_from(held, at)[0])
            if end > len(held):
                break
            at = end
        self._rest = held[at:]
        return list(decode_feed(io.BytesIO(held[:at])))

    def end(self) -> None:
        """
        Raises:
            DataError: the stream ended inside a frame.
        """
        list(decode_feed(io.BytesIO(self._rest)))
