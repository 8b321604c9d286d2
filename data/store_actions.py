"""The store's corporate actions: append-only files beside the bars, read as of a moment.

    <root>/actions/<SYMBOL>/000001_<hash>.parquet    splits and dividends; a file without rows: none are known
    <root>/renames/000001_<hash>.parquet

Columns: symbol, date (int64 yyyymmdd), kind, value, to, recv_ts. The same action with another value is a revision:
both are kept, the later one is read. A split of 1 or a dividend of 0 takes one back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data.actions import Action, checked
from data.errors import DataError
from data.store_files import Batch, files_of, folder_name, next_number, writing
from data.store_rows import Moment

METADATA = b"onetape.actions"


class ActionFiles:
    """Corporate actions under a store's root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, actions: Iterable[Action], source: str, received: int = 0, known: Iterable[str] = ()) -> int:
        """Keep what is new or differs; the number of actions kept. All of them or none.

        Args:
            received: when they reached us, UTC ns. known: symbols of which these are all there is, perhaps none.

        Raises:
            DataError: an action that cannot be; the store cannot be written.
        """
        wanted = [action._replace(recv_ts=received) for action in checked(actions)]
        folders: dict[Path, list[Action]] = {self._folder(symbol): [] for symbol in known}
        for action in wanted:
            folder = self.root / "renames" if action.kind == "rename" else self._folder(action.symbol)
            folders.setdefault(folder, []).append(action)
        count = 0
        with writing(self.root) as batch:
            for folder, group in folders.items():
                have = {action[:5] for action in _latest(_read(folder), None)}
                new = [action for action in group if action[:5] not in have]
                if new or not files_of(folder):
                    _write(batch, folder, new, source)
                count += len(new)
        return count

    def of(self, symbol: str, moment: Moment | None = None) -> list[Action] | None:
        """Splits and dividends of a symbol by date, as known at a moment; None where nobody ever said."""
        folder = self._folder(symbol)
        return _latest(_read(folder), moment) if folder.is_dir() else None

    def renames(self, moment: Moment | None = None) -> list[Action]:
        """Every rename, likewise."""
        return _latest(_read(self.root / "renames"), moment)

    def all(self) -> list[Action]:
        """Every action of every symbol."""
        found = [action for folder in self.root.glob("actions/*/") for action in _latest(_read(folder), None)]
        return sorted(found + self.renames())

    def _folder(self, symbol: str) -> Path:
        return self.root / "actions" / folder_name(symbol)


def _latest(actions: Sequence[Action], moment: Moment | None) -> list[Action]:
    """The last version of each: the first is known from its date on, a later one from when it reached us."""
    found: dict[tuple[str, int, str], Action] = {}
    for action in actions:
        key = (action.symbol, action.date, action.kind)
        if moment is not None:
            late = key in found and not 0 < action.recv_ts <= moment.ts
            if action.date > moment.day or late:
                continue
        found[key] = action
    return sorted(found.values(), key=lambda action: (action.date, action[:3]))


def _write(batch: Batch, folder: Path, actions: Sequence[Action], source: str) -> None:
    import pyarrow as pa

    digest = hashlib.sha256(repr(list(actions)).encode()).hexdigest()[:12]
    path = folder / f"{next_number(folder):06d}_{digest}.parquet"
    columns: dict[str, Any] = {}
    kinds = (pa.string(), pa.int64(), pa.string(), pa.float64(), pa.string(), pa.int64())
    for i, (name, kind) in enumerate(zip(Action._fields, kinds, strict=True)):
        columns[name] = pa.array([action[i] for action in actions], kind)
    batch.write(path, pa.table(columns).replace_schema_metadata({METADATA: source.encode()}))


def _read(folder: Path) -> list[Action]:
    """Every version, oldest first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = []
    for path in files_of(folder):
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                rows = file.read(columns=list(Action._fields), use_threads=False).to_pylist()
        except (pa.ArrowException, OSError, KeyError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(f"{path} is damaged ({reason}); remove it and import its actions again") from error
        found += [Action(**row) for row in rows]
    return found
