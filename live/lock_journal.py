"""One runner per journal, by whatever name it is reached; beside the lock of the account.

The kernel lets go of a lock when its process has ended, however it ended, and at no other time: a process that is
stopped or hangs for hours holds what it holds. There is no lease that could run out, so nobody takes over from one that
still lives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from data.errors import ConfigError
from live.lock import held


@contextmanager
def held_with_journal(path: Path, account: str, journal: Path) -> Iterator[None]:
    """Hold the lock of an account, and that of its journal where it is another file.

    A journal's lock lies beside it, wherever its name leads: two account files, two folders or a link do not make two
    runners of one journal.

    Raises:
        ConfigError: another process holds one of them, a folder cannot be written, or the journal's file has two names
            (hard links): each would have a log of its own beside it, and the two would damage the file.
    """
    with contextlib.suppress(FileNotFoundError):
        if journal.stat().st_nlink > 1:
            raise ConfigError(
                f"account {account!r}: the file of {journal} has another name, too (a hard link), by which another "
                f"runner could write it; copy the file, and remove one of the two"
            )
    beside = journal.resolve().with_suffix(".lock")
    with held(path, account), nullcontext() if beside == path.resolve() else held(beside, account):
        yield
