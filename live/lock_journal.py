"""One runner per journal, by whatever name it is reached; beside the lock of the account.

The kernel lets go of a lock when its process has ended, however it ended, and at no other time: a process that is
stopped or hangs for hours holds what it holds. There is no lease that could run out, so nobody takes over from one that
still lives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from live.lock import held


@contextmanager
def held_with_journal(path: Path, account: str, journal: Path) -> Iterator[None]:
    """Hold the lock of an account, and that of its journal where it is another file.

    A journal's lock lies beside it, wherever its name leads: two account files, two folders or a link do not make two
    runners of one journal.

    Raises:
        ConfigError: another process holds one of them, or a folder cannot be written.
    """
    beside = journal.resolve().with_suffix(".lock")
    with held(path, account), nullcontext() if beside == path.resolve() else held(beside, account):
        yield
