"""Tapes: rows of a market as one Parquet file (zstd) that replays to the last bit, with its `Header` as metadata.

Columns: `ts` int64 UTC nanoseconds, `session` int64 yyyymmdd, `since_open` and `to_close` float64 seconds, then
for each symbol S `S:open` ... `S:volume` and, where there is L2, `S:bid` ... `S:age` (float64, NaN: nothing known).
Any Parquet reader can read them. Pages carry checksums and the header carries the content hash, so that a damaged
tape is found before a row of it is believed. pyarrow is imported inside the functions.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from data.errors import DataError
from data.rows import Header, Row
from data.types import FEATURES, PRICES, TIMES, Bars, Book

METADATA = b"onetape.tape"
PLAYED_ROWS = 2_048  # decoded at a time while playing
GROUP_CELLS = 1_000_000  # cells of one row group: what a player holds in memory, times eight bytes


def content_hash(bars: Bars, book: Book | None = None) -> str:
    """SHA-256 (hex) of symbols, times and every column: the name of what a result has seen.

    Every NaN counts as the same NaN; a book without a single quote counts as none.
    """
    digest = hashlib.sha256(b"onetape rows 1\n")
    digest.update(msgspec.json.encode([bars.symbols, len(bars)]))
    for name in (*TIMES, *PRICES):
        _add(digest, name, getattr(bars, name))
    if book is not None and book.present:
        for name in FEATURES:
            _add(digest, name, getattr(book, name))
    return digest.hexdigest()


def write_tape(
    path: Path | str, bars: Bars, book: Book | None = None, *, clock: str, source: str, simulated: bool
) -> Header:
    """Write rows as a tape, whole or not at all; a book without a single quote is left out.

    Args:
        source: where the rows came from. simulated: True unless a venue printed them.

    Raises:
        DataError: `book` has other symbols or rows than `bars`, or the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    if book is not None and (book.symbols, len(book)) != (bars.symbols, len(bars)):
        raise DataError(f"book is {book!r} beside {bars!r}; both need the same rows and symbols")
    header = Header(list(bars.symbols), clock, source, simulated, content_hash(bars, book), len(bars))
    columns = {name: getattr(bars, name) for name in TIMES}
    for i, symbol in enumerate(bars.symbols):
        columns |= {f"{symbol}:{name}": getattr(bars, name)[:, i] for name in PRICES}
        if book is not None and book.present:
            columns |= {f"{symbol}:{name}": getattr(book, name)[:, i] for name in FEATURES}
    table = pa.table(columns).replace_schema_metadata({METADATA: msgspec.json.encode(header)})
    with replacing(path) as draft:
        pq.write_table(
            table,
            draft,
            row_group_size=max(GROUP_CELLS // len(columns), 256),
            compression="zstd",
            use_dictionary=False,  # its hashing may take 0.0 for -0.0
            use_byte_stream_split=[name for name in columns if name not in ("ts", "session")],
            write_page_checksum=True,
        )
    return header


def read_tape(path: Path | str) -> tuple[Header, Bars, Book]:
    """A tape whole, its content compared with the hash in its header.

    Raises:
        DataError: there is no such file, it is not a tape, or it is damaged.
    """
    with _opened(Path(path)) as (header, file):
        table = file.read()
        present = _has_book(header, file)
    arrays = {name: table.column(name).to_numpy() for name in table.column_names}

    def column(name: str) -> Any:
        matrix = np.empty((header.rows, len(header.symbols)), order="F")
        for i, symbol in enumerate(header.symbols):
            matrix[:, i] = arrays[f"{symbol}:{name}"]
        return matrix

    symbols = tuple(header.symbols)
    bars = Bars(symbols, **{name: arrays[name] for name in TIMES}, **{name: column(name) for name in PRICES})
    if present:
        book = Book(symbols, **{name: column(name) for name in FEATURES})
    else:
        book = Book.absent(header.rows, symbols)
    found = content_hash(bars, book)
    if found != header.content:
        raise DataError(f"tape {path} holds rows of hash {found[:12]}, its header says {header.content[:12]}; {_AGAIN}")
    return header, bars, book


def play(path: Path | str) -> Iterator[Header | Row]:
    """The header, then the rows one by one, in memory that does not grow with the tape.

    Raises:
        DataError: there is no such file, it is not a tape, or it is damaged; perhaps after some rows.
    """
    with _opened(Path(path)) as (header, file):
        yield header
        present, count = _has_book(header, file), 0
        for batch in file.iter_batches(batch_size=PLAYED_ROWS):
            rows = _rows(header.symbols, batch, present)
            count += batch.num_rows
            yield from rows
    if count != header.rows:
        raise DataError(f"tape {path} holds {count} rows, its header says {header.rows}; {_AGAIN}")


def is_tape(path: Path | str) -> bool:
    """True for a Parquet file that says it is a tape; what is damaged or absent is left to `read_tape` to tell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return METADATA in (pq.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):
        return Path(path).suffix == ".tape"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft beside `path` that takes its name when the block ends well, and vanishes when it does not.

    Raises:
        DataError: the folder cannot be written, or the disk is full.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = f"{path.parent} cannot be a folder, for a file is in its way"
        raise DataError(f"{path} cannot be written ({reason}); nothing was changed") from error
    finally:
        with contextlib.suppress(OSError):  # where the folder is none, there is no draft; the error above is told
            draft.unlink(missing_ok=True)


_AGAIN = "make or record it again"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Header, Any]]:
    """A tape's header and its open Parquet file; whatever goes wrong while reading is one DataError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            told = (file.schema_arrow.metadata or {}).get(METADATA)
            if told is None:
                raise DataError(
                    f"{path} is a Parquet file but not a tape; a file of bars comes in by: python -m data import {path}"
                )
            yield msgspec.json.decode(told, type=Header), file
    except FileNotFoundError:
        raise DataError(f"there is no tape {path}; make one with: python -m data simulate --out {path}") from None
    except (pa.ArrowException, msgspec.MsgspecError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"tape {path} is damaged ({reason}); {_AGAIN}") from error


def _has_book(header: Header, file: Any) -> bool:
    return bool(header.symbols) and f"{header.symbols[0]}:{FEATURES[0]}" in file.schema_arrow.names


def _rows(symbols: list[str], batch: Any, present: bool) -> Iterator[Row]:
    def lists(name: str) -> list[list[float]]:
        matrix = np.stack([batch.column(f"{symbol}:{name}").to_numpy() for symbol in symbols], axis=1)
        return matrix.tolist()  # type: ignore[no-any-return]  # NumPy does not say what is inside

    ts, session, since_open, to_close = (batch.column(name).to_pylist() for name in TIMES)
    open_, high, low, close, volume = (lists(name) for name in PRICES)
    features = [lists(name) for name in FEATURES] if present else []
    for t in range(batch.num_rows):
        book = [column[t] for column in features] if present else None
        times = (ts[t], session[t], since_open[t], to_close[t])
        yield Row(*times, open_[t], high[t], low[t], close[t], volume[t], book)


def _add(digest: Any, name: str, column: Any) -> None:
    digest.update(f"\n{name}\n".encode())
    if column.dtype == np.float64 and (unknown := np.isnan(column)).any():
        column = np.where(unknown, np.nan, column)
    digest.update(np.asfortranarray(column, dtype=column.dtype.newbyteorder("<")).T.data)
