"""The recorder: writes events to a tape (`data.tape_events`) as they come, in memory that does not grow.

Events go to a log, which `flush` puts on the disk; when the log is large enough, or a date ends, its events become
Parquet tables and the log goes. A process that is killed leaves a tape that is whole up to its last flush; the next
recorder goes on behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import fcntl
import os
import shutil
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from data.calendar import NEW_YORK, SECOND_NS
from data.errors import DataError
from data.events import MarketEvent, decode_event, encode_event
from data.sources.base import Clock
from data.tape import replacing
from data.tape_events import FRAME, NAME, Piece, TapeHeader, frames_of, pieces_of, read_header

PIECE_BYTES = 500_000
"""Of the log: some 5,000 events. Their tables are made in memory."""
BUFFER_BYTES = 64_000


class Recorder:
    """Appends events to the tape at `path`, which is made where there is none.

    Args:
        source, symbols, channels, simulated: of the tape's header. piece_bytes: of the log before it becomes tables.

    Raises:
        DataError: another process records there, the tape is of another source, or the folder cannot be written.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        source: str,
        symbols: Sequence[str] = (),
        channels: Sequence[str] = (),
        simulated: bool = False,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self.path = Path(path)
        self.count = self.flushed = 0
        self._failed = False
        self._piece_bytes = piece_bytes
        self._buffer = bytearray()
        self._log: IO[bytes] | None = None
        self._good = self._day_end = 0
        self._date = ""
        header = TapeHeader(source, list(symbols), list(channels), simulated)
        with self._telling():
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._begin(header)
                self._number = self._recover() + 1
            except BlockingIOError:
                self._lock.close()
                raise DataError(f"another process records to {self.path}; stop it, or choose another folder") from None
            except BaseException:
                self._lock.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, event: MarketEvent) -> None:
        """Keep an event; it is safe after the next `flush`.

        Raises:
            DataError: the disk is full, or the folder is gone; the tape holds everything up to the last flush.
        """
        if self._failed:
            raise DataError(f"{self.path} could not be written before; open it again to record on")
        if event.recv_ts >= self._day_end:
            self._turn(event.recv_ts)
        body = encode_event(event)
        self._buffer += FRAME.pack(len(body), zlib.crc32(body)) + body
        self.count += 1
        if len(self._buffer) >= BUFFER_BYTES:
            self._write()
            if self._good >= self._piece_bytes:
                self.flush()
                self._finish()

    def flush(self) -> None:
        """Put everything so far on the disk.

        Raises:
            DataError: as `add`.
        """
        self._write()
        if self._log is not None and self.flushed < self.count and not self._failed:
            with self._telling():
                os.fsync(self._log.fileno())
            self.flushed = self.count

    def close(self) -> None:
        """Flush, make tables of what is in the log, and let the tape go."""
        try:
            if not self._lock.closed and not self._failed:
                self.flush()
                self._finish()
        finally:
            if self._log is not None:
                self._log.close()
            self._lock.close()

    def _begin(self, header: TapeHeader) -> None:
        """The header, or the one that is there with the new symbols and channels added."""
        if (self.path / NAME).exists():
            before = read_header(self.path)
            if (before.source, before.simulated) != (header.source, header.simulated):
                raise DataError(
                    f"{self.path} is a tape of {before.source}, not of {header.source}; choose another folder"
                )
            header = msgspec.structs.replace(
                before,
                symbols=sorted({*before.symbols, *header.symbols}),
                channels=sorted({*before.channels, *header.channels}),
            )
            if header == before:
                return
        with replacing(self.path / NAME) as draft:
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(header), indent=2) + b"\n")

    def _recover(self) -> int:
        """Make tables of logs that a killed recorder left; the number of the last piece."""
        for draft in self.path.glob("*/.*.draft"):
            shutil.rmtree(draft, ignore_errors=True)
        pieces = pieces_of(self.path)
        for log in self.path.glob("*/*.log"):
            if log.with_suffix("").exists():
                log.unlink()
        for piece in pieces:
            if piece.path.suffix == ".log":
                _make_tables(piece)
        return pieces[-1].number if pieces else 0

    def _turn(self, recv_ts: int) -> None:
        """Begin the date of an event; it lasts until New York's midnight."""
        self.flush()
        self._finish()
        day = dt.datetime.fromtimestamp(recv_ts // SECOND_NS, NEW_YORK).date()
        midnight = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), NEW_YORK)
        self._date, self._day_end = str(day), int(midnight.timestamp()) * SECOND_NS

    def _write(self) -> None:
        """Hand the buffer to the operating system."""
        if not self._buffer or self._failed:
            return
        with self._telling():
            if self._log is None:
                folder = self.path / self._date
                folder.mkdir(exist_ok=True)
                self._log = (folder / f"{self._number:06d}.log").open("wb", buffering=0)
                self._good = 0
            done = 0
            while done < len(self._buffer):
                done += self._log.write(memoryview(self._buffer)[done:])
            self._good += done
            self._buffer.clear()

    def _finish(self) -> None:
        """Make tables of the log and begin the next piece."""
        if self._log is None:
            return
        with self._telling():
            self._log.close()
            _make_tables(Piece(self._number, self._date, Path(self._log.name)))
        self._log = None
        self._number += 1

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """What the disk refuses is one sentence; the log keeps its whole frames."""
        try:
            yield
        except OSError as error:
            self._failed = True  # the log may end in half a frame: nothing may follow it
            raise DataError(
                f"{self.path} cannot be written ({error.strerror or error}); the tape holds everything up to the last "
                "flush; free some space and record on"
            ) from None


def _make_tables(piece: Piece) -> None:
    """Parquet tables of a log's whole frames, all at once; then the log goes."""
    events = [decode_event(bytes(frame)) for frame in frames_of(piece.path.read_bytes())]
    if events:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from data.events_columns import columns_of
        from data.tape_columns import tables_of

        draft = piece.path.with_name(f".{piece.number:06d}.draft")
        try:
            draft.mkdir(exist_ok=True)
            for kind, table in tables_of(columns_of(events)).items():
                with (draft / f"{kind}.parquet").open("wb") as file:
                    pq.write_table(table, file, compression="zstd", write_page_checksum=True)
                    file.flush()
                    os.fsync(file.fileno())
            draft.replace(piece.path.with_suffix(""))
        except pa.ArrowException as error:
            raise OSError(0, str(error).splitlines()[0]) from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    piece.path.unlink()


async def record(
    events: AsyncIterator[MarketEvent],
    recorder: Recorder,
    clock: Clock,
    *,
    flush_s: float = 1.0,
    limit: int = 0,
    seconds: float = 0.0,
) -> int:
    """Record until the stream ends, after `limit` events or `seconds` (0: without end); the number recorded.

    Args:
        clock: of `seconds` and of the flushes, one every `flush_s`.

    Raises:
        DataError: the tape cannot be written. And whatever the stream raises; what came before is flushed.
    """

    async def take() -> None:
        async for event in events:
            recorder.add(event)
            if limit and recorder.count >= limit:
                return

    async def flush() -> None:
        while True:
            await clock.pause(flush_s)
            recorder.flush()

    tasks = [asyncio.create_task(take()), asyncio.create_task(flush())]
    if seconds:
        tasks.append(asyncio.create_task(clock.pause(seconds)))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        recorder.flush()
    return recorder.count
