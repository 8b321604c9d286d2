"""A journal copied whole while its runner writes it, by SQLite's own online backup; see `live.fleet_tail.reading`."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from data.errors import JournalError
from live.fleet_tail import reading


def copy_journal(source: Path, target: Path) -> None:
    """One moment of a journal as a file of its own, mode 0600; `target` must not exist.

    Raises:
        JournalError: there is no journal at `source`, or the copy cannot be written.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with reading(source) as db:
        try:
            into = apsw.Connection(str(target))
            try:
                with into.backup("main", db, "main") as copying:
                    while not copying.done:
                        copying.step(1_000)
            finally:
                into.close()
        except apsw.Error as error:
            raise JournalError(f"journal {source.name} cannot be copied to {target} ({error})") from error
