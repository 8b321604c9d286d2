"""The files of the store: written in a batch that is there whole or not at all, and never changed.

A batch lies under `.drafts` until every byte of it is on the disk, then one small file says which draft takes which
name. From that file on the batch counts as done: a process that dies between two names is finished by the next writer.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from data.calendar import CLOCKS, DAY_SECONDS, session_columns
from data.errors import DataError
from data.types import PRICES, Floats, Ints

METADATA = b"onetape.bars"
LIST = "commit.json"


class Rows(NamedTuple):
    """One symbol's rows. ts: (T,) closes, UTC ns. recv_ts: (T,) when each reached us, 0 where not said.

    revision: (T,) 0 for the first value seen of a row, 1 for the next. columns: (5, T) as `PRICES`.
    """

    ts: Ints
    recv_ts: Ints
    revision: Ints
    columns: Floats

    def cut(self, part: Any) -> Rows:
        """Those of a slice or mask."""
        return Rows(self.ts[part], self.recv_ts[part], self.revision[part], self.columns[:, part])


class Batch:
    """Files to be; see `writing`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: list[str] = []

    def write(self, path: Path, table: Any) -> None:
        """A table under the name that it gets with all the others."""
        import pyarrow.parquet as pq

        draft = self._root / ".drafts" / f"{len(self._names):06d}"
        self._names.append(str(path.relative_to(self._root)))
        with draft.open("wb") as file:
            pq.write_table(
                table,
                file,
                compression="zstd",
                use_dictionary=["symbol"],
                write_page_checksum=True,
            )
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Give every draft its name."""
        if not self._names:
            return
        told = self._root / ".drafts" / LIST
        draft = told.with_suffix(".draft")
        with draft.open("w") as file:
            json.dump(self._names, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(told)
        _sync_folder(told.parent)
        _finish(self._root)


@contextlib.contextmanager
def writing(root: Path) -> Iterator[Batch]:
    """One writer at a time, the others wait; all of its files appear when the block ends well, else none.

    Raises:
        DataError: the folder cannot be written, or the disk is full; nothing was changed.
    """
    import pyarrow as pa

    drafts = root / ".drafts"
    try:
        drafts.mkdir(parents=True, exist_ok=True)
        with (root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _finish(root)
            try:
                batch = Batch(root)
                yield batch
                batch.close()
            finally:
                if not (drafts / LIST).exists():
                    _clear(drafts)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataError(f"the store {root} cannot be written ({reason}); nothing was changed") from None


def _finish(root: Path) -> None:
    """Complete a batch that was decided, forget one that was not."""
    drafts = root / ".drafts"
    told = drafts / LIST
    if told.exists():
        folders = set()
        for i, name in enumerate(json.loads(told.read_text())):
            draft, path = drafts / f"{i:06d}", root / name
            if draft.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                draft.replace(path)
                folders.add(path.parent)
        for folder in folders:
            _sync_folder(folder)
        told.unlink()
    _clear(drafts)


def _clear(drafts: Path) -> None:
    for path in drafts.glob("*"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def folder_name(symbol: str) -> str:
    """A symbol as a folder that stays inside the store: BTC%2FUSD, BRK.B."""
    name = quote(symbol, safe="")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def files_of(folder: Path, first: int = 0, last: int = 99_999_999) -> list[Path]:
    """The files of one dataset with rows of these sessions, oldest first."""
    found = []
    for path in folder.glob("*.parquet"):
        number, *span, _ = path.stem.split("_") if "_" in path.stem else ("", "")
        if number.isdigit() and (len(span) != 2 or (int(span[0]) <= last and int(span[1]) >= first)):
            found.append(path)
    return sorted(found)


def next_number(folder: Path) -> int:
    """The number after that of the last file."""
    return max((int(path.name[:6]) for path in files_of(folder)), default=0) + 1


def pieces(session: Ints, clock: str) -> Iterator[slice]:
    """Rows that belong in one file: a day of seconds, a month of minutes, a decade of days."""
    seconds = CLOCKS[clock]
    period = session // (1 if seconds < 60 else 100 if seconds < DAY_SECONDS else 100_000)
    edges = [0, *(np.flatnonzero(np.diff(period)) + 1).tolist(), len(session)]
    return (slice(a, b) for a, b in itertools.pairwise(edges) if b > a)


def write_rows(batch: Batch, folder: Path, rows: Rows, told: dict[str, Any]) -> Path:
    """New files of one symbol, the first of them returned. told: symbol, clock, adjustment, source."""
    import pyarrow as pa

    session, _, _ = session_columns(rows.ts, told["clock"])
    number, written = next_number(folder), list[Path]()
    for part in pieces(session, told["clock"]):
        piece = rows.cut(part)
        digest = hashlib.sha256(piece.ts.tobytes() + np.ascontiguousarray(piece.columns).tobytes()).hexdigest()[:12]
        path = folder / f"{number + len(written):06d}_{session[part][0]}_{session[part][-1]}_{digest}.parquet"
        about = told | {"new": int((piece.revision == 0).sum())}
        table = pa.table(
            {
                "symbol": pa.array([told["symbol"]] * len(piece.ts)),
                "session": session[part],
                "ts": piece.ts,
                "recv_ts": piece.recv_ts,
                "revision": piece.revision,
                **dict(zip(PRICES, piece.columns, strict=True)),
            }
        )
        batch.write(path, table.replace_schema_metadata({METADATA: json.dumps(about).encode()}))
        written.append(path)
    return written[0]


def read_rows(paths: list[Path]) -> Rows:
    """The rows of these files, one after the other.

    Raises:
        DataError: a damaged file.
    """
    parts = [_read(path) for path in paths]
    if not parts:
        nothing = np.empty(0, np.int64)
        return Rows(nothing, nothing, nothing, np.empty((len(PRICES), 0)))
    ts, recv_ts, revision = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return Rows(ts, recv_ts, revision, np.concatenate([part.columns for part in parts], axis=1))


def _read(path: Path) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            there = set(file.schema_arrow.names)
            wanted = [name for name in ("ts", "recv_ts", "revision", *PRICES) if name in there]
            table = file.read(columns=wanted, use_threads=False)
        ts = table.column("ts").to_numpy()
        # Files of earlier versions have one clock, and the order of files tells a revision.
        recv_ts, revision = (
            table.column(name).to_numpy() if name in there else np.zeros_like(ts) for name in ("recv_ts", "revision")
        )
        return Rows(ts, recv_ts, revision, np.stack([table.column(name).to_numpy() for name in PRICES]))
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path} is damaged ({reason}); remove it and import its rows again") from error


def about(path: Path) -> dict[str, Any]:
    """What a file says of itself: symbol, clock, adjustment, source, and how many of its rows are new."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        told: dict[str, Any] = json.loads(pq.read_schema(path).metadata[METADATA])
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged ({str(error).splitlines()[0]}); remove it and import its rows again"
        ) from None
    return told


def count_rows(paths: Sequence[Path]) -> int:
    """How many rows these files hold, revisions included."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in paths)
