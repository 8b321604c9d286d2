"""What stands for an account in a metric: a salted hash, so that the figures do not say whose they are."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from data.errors import ConfigError

DIGITS = 10


class Hashed:
    """Names as short hashes, the same ones after a restart.

    Args:
        salt: file of the salt; made where it is not there.

    Raises:
        ConfigError: it can neither be read nor made.
    """

    def __init__(self, salt: Path) -> None:
        try:
            salt.parent.mkdir(parents=True, exist_ok=True)
            try:
                handle = os.open(salt, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "wb") as file:
                    file.write(secrets.token_bytes(16))
            except FileExistsError:
                pass
            self._salt = salt.read_bytes()
        except OSError as error:
            raise ConfigError(f"{salt} cannot be made ({error.strerror}); give a folder with --state") from None
        if len(self._salt) < 16:
            raise ConfigError(f"{salt} holds {len(self._salt)} bytes, not 16; delete it, and a new one is made")

    def __call__(self, name: str) -> str:
        """The hash of a name."""
        return hashlib.sha256(self._salt + name.encode()).hexdigest()[:DIGITS]
