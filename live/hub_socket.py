"""Unix sockets of this project: for their owner only, at paths of any length."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import ConfigError

_CREDENTIALS = struct.Struct("3i")


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of the socket that fits its 107 bytes: through a handle of its folder."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listening(path: Path) -> socket.socket:
    """A socket that listens at `path`, mode 0600; one that nobody listens at any more is taken over.

    Raises:
        ConfigError: somebody listens there, or the folder cannot be written.
    """
    path = path.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            try:
                connected(path).close()
            except OSError:
                path.unlink(missing_ok=True)
            else:
                raise ConfigError(f"somebody listens at {path} already; stop it first")
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            with _short(path) as name:
                made.bind(name)
        finally:
            os.umask(before)
        made.listen(128)
        made.setblocking(False)
    except OSError as error:
        raise ConfigError(f"no socket at {path} ({error.strerror})") from None
    return made


def connected(path: Path) -> socket.socket:
    """A socket connected to `path`; an OSError where nobody listens."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path.absolute()) as name:
            made.connect(name)
    except BaseException:
        made.close()
        raise
    return made


def is_own(peer: socket.socket) -> bool:
    """True where the other side runs as this user, or as root."""
    told = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(told)
    return user in (0, os.getuid())
