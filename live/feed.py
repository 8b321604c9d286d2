"""The rows a session lives on: another process's frames, read as they come.

A tape is played by `python -m data play`, in a process of its own: what it needs to read Parquet never gets into the
process that trades.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import struct
import sys
from pathlib import Path
from typing import Self

from data.errors import DataError, UnavailableError, UsageError
from data.rows import Header, Row, decode_stream
from live.header import CHECKOUT

CHUNK = 1 << 18
_LENGTH = struct.Struct("<I")


class TapeFeed:
    """A tape played by a process of its own.

    Args:
        tape: the file.
        speed: 1 as it happened, 60 a minute in a second, 0 as fast as it is read.

    Use as `async with TapeFeed(...) as feed`, then `feed.header`, then `await feed.rows()` until it gives None.
    """

    header: Header

    def __init__(self, tape: Path | str, speed: float) -> None:
        self._tape, self._speed = Path(tape), speed
        self._process: asyncio.subprocess.Process | None = None
        self._frames = Frames()
        self._early: list[Row] = []

    async def __aenter__(self) -> Self:
        command = ("-m", "data", "play", str(self._tape.resolve()), "--speed", f"{self._speed:g}")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
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
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def rows(self) -> list[Row] | None:
        """The rows that came together next, None at the end of the tape.

        Raises:
            DataError: the tape is damaged, or the player stopped in the middle of it.
        """
        if self._early:
            rows, self._early = self._early, []
            return rows
        while (messages := await self._read()) is not None:
            if messages:
                return [message for message in messages if isinstance(message, Row)]
        await self._finish()
        return None

    async def _begin(self) -> Header:
        messages: list[Header | Row] = []
        while not messages:
            more = await self._read()
            if more is None:
                await self._finish()
                raise DataError(f"tape {self._tape} gave no rows; make or record it again")
            messages = more
        first, *rest = messages
        if not isinstance(first, Header):
            raise DataError(f"tape {self._tape} does not begin with its header; make or record it again")
        self._early = [message for message in rest if isinstance(message, Row)]
        return first

    async def _read(self) -> list[Header | Row] | None:
        """The messages of the next chunk; None at the end."""
        assert self._process is not None  # noqa: S101  # entered
        assert self._process.stdout is not None  # noqa: S101  # a pipe
        chunk = await self._process.stdout.read(CHUNK)
        return self._frames.messages(chunk) if chunk else None

    async def _finish(self) -> None:
        """
        Raises:
            DataError, UsageError, UnavailableError: what the player said, in its own sentence.
        """
        assert self._process is not None  # noqa: S101  # entered
        assert self._process.stderr is not None  # noqa: S101  # a pipe
        said = (await self._process.stderr.read()).decode(errors="replace").strip()
        code = await self._process.wait()
        if code == 0:
            self._frames.end()
            return
        sentence = said.splitlines()[-1].removeprefix("error: ") if said else f"the player stopped with exit {code}"
        kind = {UsageError.exit_code: UsageError, DataError.exit_code: DataError}.get(code, UnavailableError)
        raise kind(sentence)


class Frames:
    """Chunks of a byte stream in, whole messages out; what is left of a frame waits for the next chunk."""

    def __init__(self) -> None:
        self._rest = b""

    def messages(self, chunk: bytes) -> list[Header | Row]:
        """The messages that end in this chunk."""
        held = self._rest + chunk
        at = 0
        while len(held) - at >= _LENGTH.size:
            end = at + _LENGTH.size + int(_LENGTH.unpack_from(held, at)[0])
            if end > len(held):
                break
            at = end
        self._rest = held[at:]
        return list(decode_stream(io.BytesIO(held[:at])))

    def end(self) -> None:
        """
        Raises:
            DataError: the stream ended inside a frame.
        """
        list(decode_stream(io.BytesIO(self._rest)))
