"""The market-data hub: one connection to a vendor, its frames for every runner on this machine.

    python -m data stream ... ──frames──> hub ──unix socket──> runner, runner, runner

A reader says up to which row it knows the market, and gets what came since. Nobody waits for it: a reader that is too
slow is let go and begins again. When the vendor's process ends, it is started again, and the readers hear of it as of
any other silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from data.errors import DataError, UnavailableError, UsageError
from data.rows import FeedNews, encode
from live.header import CHECKOUT
from live.hub_log import END, FrameLog, split
from live.hub_socket import is_own, listening

CHUNK = 1 << 18
MOST_BYTES = 64 << 20
HELLO = struct.Struct("<Q")
FIRST_S, MOST_S = 1.0, 60.0
STATUS_EVERY_S = 1.0


class HubStatus(msgspec.Struct, frozen=True):
    """What the hub says of itself. said: UTC ns. dropped: readers let go because they were too slow.

    restarts: of the vendor's process. ts: of the last row.
    """

    pid: int
    said: int
    source: str
    symbols: list[str]
    readers: int
    rows: int
    ts: int
    bytes: int
    dropped: int
    restarts: int
    ended: bool
    trouble: str


class Hub:
    """One feed for many readers.

    Args:
        command: arguments of the Python process that writes the feed's frames, such as `-m data play TAPE`.
        path: of the socket.
        lossless: read the feed only as fast as the slowest reader takes it; for tapes that are played without a pace.
        patient: start the feed again when it ends with an error; a tape is not.
        most_bytes: of frames kept for readers that come late or fall behind.
        environ: of the feed's process; default: this one's.
    """

    def __init__(
        self,
        command: Sequence[str],
        path: Path,
        *,
        lossless: bool = False,
        patient: bool = True,
        most_bytes: int = MOST_BYTES,
        environ: dict[str, str] | None = None,
        seed: int = 1,
    ) -> None:
        self.log = FrameLog(most_bytes)
        self.path = path
        self.dropped = self.restarts = 0
        self.ended, self.trouble = False, ""
        self._readers: list[_Reader] = []
        self._command, self._lossless, self._patient = list(command), lossless, patient
        self._most = most_bytes
        self._environ = os.environ | {"PYTHONPATH": str(CHECKOUT)} if environ is None else environ
        self._chance, self._order = random.Random(seed), random.Random(f"{seed} order")
        self._room = asyncio.Event()
        self._feed: asyncio.subprocess.Process | None = None

    async def run(self, ready: Callable[[], object] = lambda: None) -> None:
        """Serve until the feed is over and every reader has it all, or until cancelled.

        Raises:
            DataError, UsageError, UnavailableError: the feed cannot be read, and would not be by trying again.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: _Reader(self), sock=listening(self.path))
        telling = asyncio.ensure_future(self._tell())
        ready()
        try:
            await self._pump()
            self.ended = True
            self._push_all()
            while self._readers:
                self._room.clear()
                await self._room.wait()
            if self.log.header is not None and self.log.header.content:
                await asyncio.Event().wait()  # a tape stays open for runners that are started again
        finally:
            telling.cancel()
            server.close()
            self.path.unlink(missing_ok=True)
            for reader in list(self._readers):
                reader.leave()
            await self._stop_feed()
            self._publish()

    # --- the feed ---------------------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        failures = 0
        while True:
            rows = self.log.rows
            code, said = await self._read_once()
            if code == 0:
                return
            sentence = said.splitlines()[-1].removeprefix("error: ") if said else f"the feed stopped with exit {code}"
            if not self._patient or code in (UsageError.exit_code, 5, 78):
                kinds = {UsageError.exit_code: UsageError, DataError.exit_code: DataError}
                raise kinds.get(code, UnavailableError)(sentence)
            failures = 0 if self.log.rows > rows else failures + 1
            self.restarts += 1
            wait_s = min(MOST_S, FIRST_S * 2**failures) * self._chance.uniform(0.5, 1.0)
            await self._mourn(sentence, wait_s)

    async def _read_once(self) -> tuple[int, str]:
        """The frames of one process of the feed; its exit code and what it said last."""
        self._feed = process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=CHECKOUT,
            env=self._environ,
            limit=CHUNK,
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101  # a pipe
        assert process.stderr is not None  # noqa: S101  # a pipe
        saying = asyncio.ensure_future(process.stderr.read())
        rest = b""
        while chunk := await process.stdout.read(CHUNK):
            frames, rest = split(rest + chunk)
            fresh = False
            for frame in frames:
                fresh |= self.log.append(frame) != "old"
            if fresh:
                self.trouble = ""
                self._push_all()
            if self._lossless:
                await self._until_room()
        said = (await saying).decode(errors="replace").strip()
        return await process.wait(), said

    async def _until_room(self) -> None:
        """Wait while another chunk might push out a frame that a reader, or the first one to come, has not got."""
        while self.log.bytes + CHUNK > self._most:
            slowest = min((reader.next for reader in self._readers if reader.next >= 0), default=0)
            if slowest > self.log.first + (self.log.end - self.log.first) // 2:
                return
            self._room.clear()
            await self._room.wait()

    async def _mourn(self, sentence: str, wait_s: float) -> None:
        """Between two tries the readers hear each second that there is no feed."""
        self.trouble = sentence
        until = time.monotonic() + wait_s
        while (left := until - time.monotonic()) > 0.0:
            header = self.log.header
            if header is not None:
                news = FeedNews(time.time_ns(), header.source, "stale", "none", -1.0, self.restarts, sentence)
                self.log.append(encode(news))
                self._push_all()
            await asyncio.sleep(min(1.0, left))

    async def _stop_feed(self) -> None:
        process = self._feed
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process is not None and process.stdin is not None:
            process.stdin.close()

    def give(self, frames: bytes) -> None:
        """Books that a reader brings, for the feed's standard input."""
        process = self._feed
        if process is not None and process.returncode is None and process.stdin is not None:
            process.stdin.write(frames)

    # --- the readers ------------------------------------------------------------------------------------------------

    def came(self, reader: _Reader) -> None:
        """A reader said what it knows."""
        self._readers.append(reader)
        self.push(reader)

    def left(self, reader: _Reader) -> None:
        """A reader went away."""
        if reader in self._readers:
            self._readers.remove(reader)
        self._room.set()

    def _push_all(self) -> None:
        """New frames to everybody, in a drawn order: of any of them, each is first as often as the others.

        Taking turns would not do: where some do not act on a row, whoever comes behind them is first for them, too.
        """
        self._order.shuffle(self._readers)
        for reader in list(self._readers):
            self.push(reader)

    def push(self, reader: _Reader) -> None:
        """As many frames as the reader takes now."""
        log = self.log
        if reader.transport.is_closing():
            return
        if reader.next < 0:
            if log.header is None:
                return
            greeting, reader.next = log.greeting(reader.since)
            reader.transport.write(greeting)
        while reader.takes:
            if reader.next < log.first:
                self.dropped += 1
                reader.leave()
                return
            chunk, reader.next = log.after(reader.next, CHUNK)
            if not chunk:
                break
            reader.transport.write(chunk)
        if reader.takes and self.ended and reader.next == log.end:
            reader.transport.write(END)
            reader.transport.close()
        self._room.set()

    # --- what it says of itself -------------------------------------------------------------------------------------

    def status(self) -> HubStatus:
        """How the hub stands."""
        header, log = self.log.header, self.log
        return HubStatus(
            os.getpid(), time.time_ns(), header.source if header else "", header.symbols if header else [],
            len(self._readers), log.rows, log.last_ts, log.bytes, self.dropped, self.restarts, self.ended, self.trouble,
        )  # fmt: skip

    async def _tell(self) -> None:
        while True:
            self._publish()
            await asyncio.sleep(STATUS_EVERY_S)

    def _publish(self) -> None:
        path = status_path(self.path)
        new = path.with_name(f".{path.name}.new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(self.status()))
        new.replace(path)


class _Reader(asyncio.Protocol):
    """One connection. since: the last row it knows; next: number of its next frame, -1 before the header."""

    transport: Any

    def __init__(self, hub: Hub) -> None:
        self.since, self.next, self.takes = 0, -1, True
        self._hub, self._held, self._said = hub, b"", False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=CHUNK)
        if not is_own(transport.get_extra_info("socket")):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._said:
            if len(self._held) < HELLO.size:
                return
            (self.since,) = HELLO.unpack(self._held[: HELLO.size])
            self._held, self._said = self._held[HELLO.size :], True
            self._hub.came(self)
        frames, self._held = split(self._held)
        if frames:
            self._hub.give(b"".join(frames))

    def pause_writing(self) -> None:
        self.takes = False

    def resume_writing(self) -> None:
        self.takes = True
        asyncio.get_running_loop().call_soon(self._hub.push, self)  # the transport must not be closed in here

    def connection_lost(self, *_: object) -> None:
        self._hub.left(self)

    def leave(self) -> None:
        """Cut it off: it is to come again."""
        self.transport.abort()
        self._hub.left(self)


async def serve(hub: Hub, ready: Callable[[], object] = lambda: None) -> None:
    """Run a hub until its feed is over, SIGTERM or SIGINT; raises as `Hub.run`."""
    loop, running = asyncio.get_running_loop(), asyncio.ensure_future(hub.run(ready))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def feed_command(replay: Path | None, speed: float, feed: Sequence[str]) -> list[str]:
    """Arguments of the Python process whose frames a hub serves: a tape's player, or a feed of `python -m data`."""
    if replay is not None:
        return ["-m", "data", "play", str(replay.absolute()), "--speed", f"{speed:g}"]
    return ["-m", "data", *feed]


def status_path(socket: Path) -> Path:
    """Where a hub says how it stands: beside its socket."""
    return socket.with_name(f"{socket.name}.status")


def read_status(socket: Path) -> HubStatus | None:
    """What the hub of a socket said last, None where it never did."""
    try:
        return msgspec.json.decode(status_path(socket).read_bytes(), type=HubStatus)
    except (OSError, msgspec.MsgspecError):
        return None
