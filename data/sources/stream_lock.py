"""One connection for one key: a second program on this machine is told so before the vendor throws out the first."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, Any

from data.errors import UsageError
from data.settings import Secret


class ConnectionLock:
    """Held by a file lock that ends with its process, however it ends.

    Raises:
        UsageError: another stream holds it; names the process.
    """

    def __init__(self, store: Path, vendor: str, endpoint: str, key: Secret) -> None:
        mark = hashlib.sha256(f"{endpoint} {key.get_secret_value()}".encode()).hexdigest()[:16]
        path = store / ".locks" / f"{vendor.lower()}-{mark}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[Any] | None = path.open("a+")
        try:
            import fcntl
        except ImportError:  # Windows: the vendor itself will say so
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise UsageError(
                f"{vendor} allows one connection to {endpoint} for a key, and process {holder} has it; "
                "stop that one, or give this one another key"
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let others connect."""
        if self._file is not None:
            self._file.close()
            self._file = None
