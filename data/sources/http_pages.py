"""Pages of an unfinished pull, on disk: a pull that was killed asks only for what it had not received.

Every page is a file of its own, named by the request, written whole or not at all and checked when read.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import zlib
from pathlib import Path

from data.tape import replacing


class Pages:
    """The pages of one pull; `close` forgets them when the pull is complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.reused = 0

    @classmethod
    def of_pull(cls, store: Path, vendor: str, *terms: object) -> Pages:
        """The pages of the pull with exactly these terms, if it was begun before."""
        name = hashlib.sha256(repr(terms).encode()).hexdigest()[:24]
        return cls(store / ".pulls" / vendor / name)

    def read(self, request: str) -> bytes | None:
        """The page that answered this request; None if there is none, or only a damaged one."""
        path = self._path(request)
        try:
            body = gzip.decompress(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, EOFError, zlib.error):
            path.unlink(missing_ok=True)
            return None
        self.reused += 1
        return body

    def write(self, request: str, body: bytes) -> None:
        """Keep a page.

        Raises:
            DataError: the folder cannot be written, or the disk is full; the page is then not kept at all.
        """
        with replacing(self._path(request)) as draft:
            draft.write_bytes(gzip.compress(body, compresslevel=1, mtime=0))

    def close(self) -> None:
        """The pull is complete: remove its pages."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __len__(self) -> int:
        return sum(1 for _ in self._folder.glob("*.page")) if self._folder.exists() else 0

    def _path(self, request: str) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(request)).hexdigest()}.page"
