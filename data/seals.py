"""Seals: the end of a dataset that nothing is tested on until an idea is final.

A seal is two small files beside the data, each written once: `NAME.seal` says from which session on rows are closed,
`NAME.opened` by whom, when and why they were opened, for good. For a file (a tape, CSV or Parquet) they lie beside it,
for the store and for sources by name in the folder `seals` of the store. Every command that evaluates loads its rows
through `backtests.rows.load_rows`, which keeps sealed rows back and says so in one line. There is no option against it.

A seal binds those who keep to it: it does not encrypt, and a copy of a file has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from data.calendar import utc
from data.errors import DataError, UsageError

FOLDER = "seals"


class Opened(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who opened a seal, when (UTC ns) and why."""

    by: str
    reason: str
    at_ns: int


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sessions of `dataset` from `first` (yyyymmdd) on are closed since `at_ns` (UTC ns), until `opened`."""

    dataset: str
    first: int
    at_ns: int
    opened: Opened | None = None

    @property
    def closed(self) -> bool:
        """True while rows are kept back."""
        return self.opened is None


def seal_of(dataset: str, store: Path | None = None) -> Seal | None:
    """The seal of a dataset, open or closed, or None.

    Args:
        dataset: a source's name, `store`, or the path of a file.
        store: the store's folder; that of the settings where it is None.

    Raises:
        DataError: its files are damaged; nothing is loaded until a person has looked.
    """
    place = _place(dataset, store)
    seal = _read(place.with_name(place.name + ".seal"), Seal)
    if seal is None:
        return None
    opened = _read(place.with_name(place.name + ".opened"), Opened)
    return msgspec.structs.replace(seal, opened=opened)


def seal(dataset: str, first: int, *, at_ns: int, store: Path | None = None) -> Seal:
    """Close the sessions from `first` (yyyymmdd) on.

    Raises:
        UsageError: it is sealed already; a seal is neither moved nor made anew.
    """
    place = _place(dataset, store)
    made = Seal(place.name, first, at_ns)
    try:
        _write(place.with_name(place.name + ".seal"), msgspec.structs.replace(made, opened=None))
    except FileExistsError:
        raise UsageError(f"dataset {dataset!r} is sealed already; a seal is not moved, only opened, once") from None
    return made


def open_seal(dataset: str, *, by: str, reason: str, at_ns: int, store: Path | None = None) -> Seal:
    """Open the seal, for good, under a name and a reason.

    Raises:
        UsageError: no such seal, opened before, or no name or reason given.
    """
    if not by.strip() or not reason.strip():
        raise UsageError("opening a seal is logged: say by whom and why")
    found = seal_of(dataset, store)
    if found is None:
        raise UsageError(f"dataset {dataset!r} has no seal to open")
    place = _place(dataset, store)
    opened = Opened(by, reason, at_ns)
    try:
        _write(place.with_name(place.name + ".opened"), opened)
    except FileExistsError:
        before = seal_of(dataset, store)
        who = before.opened if before is not None and before.opened is not None else opened
        raise UsageError(
            f"the seal of {dataset!r} was opened before, by {who.by} at {utc(who.at_ns)}: {who.reason}"
        ) from None
    return msgspec.structs.replace(found, opened=opened)


def is_path(source: str) -> bool:
    """True where a source is meant as a file, not as a name."""
    return "/" in source or "." in source or Path(source).is_file()


def _place(dataset: str, store: Path | None) -> Path:
    """Beside the file, or in the store; without its last ending."""
    if is_path(dataset):
        return Path(dataset).resolve()
    if store is None:
        from data.settings import load_settings

        store = load_settings().store
    return store / FOLDER / dataset


def _write(path: Path, value: msgspec.Struct) -> None:
    """Write once: an exclusive name, read-only afterwards.

    Raises:
        FileExistsError: it was written before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{id(value):x}.tmp")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")
    draft.chmod(0o444)
    try:
        path.hardlink_to(draft)  # whole or not at all, and never over another
    finally:
        draft.unlink()


Kind = TypeVar("Kind", bound=msgspec.Struct)


def _read(path: Path, kind: type[Kind]) -> Kind | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); it says which rows are sealed, so nothing is loaded: restore it"
        ) from error
