"""A backup folder as one file a day: a compressed tar with its SHA-256 beside it, kept for ninety days."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import tarfile
from pathlib import Path

from data.errors import ConfigError, DataError

KEEP_DAYS = 90
_NAME = re.compile(r"onetape-(\d{4}-\d{2}-\d{2})\.tar\.gz")
LEFT_OUT = ("status.json",)


def archive_path(folder: Path, day: dt.date) -> Path:
    """Where the archive of a day lies."""
    return folder / f"onetape-{day.isoformat()}.tar.gz"


def write_archive(backup: Path, folder: Path, day: dt.date) -> Path:
    """Pack a backup folder; the archive's path. One of the same day is replaced.

    Raises:
        ConfigError: the folder cannot be written.
    """
    path = archive_path(folder, day)
    new = path.with_name(f".{path.name}.new")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
                for each in sorted(backup.rglob("*")):
                    if each.is_file() and each.name not in LEFT_OUT and not each.name.startswith("."):
                        tar.add(each, each.relative_to(backup).as_posix(), filter=_plain)
            file.flush()
            os.fsync(file.fileno())
        digest = digest_of(new)
        new.replace(path)
        path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
    except OSError as error:
        raise ConfigError(f"archive {path} cannot be written ({error.strerror})") from None
    return path


def prune(folder: Path, today: dt.date, keep_days: int = KEEP_DAYS) -> list[Path]:
    """Take away the archives of more than `keep_days` days ago; which they were. The newest is never taken away."""
    dated = sorted(
        (dt.date.fromisoformat(match[1]), path)
        for path in folder.glob("onetape-*.tar.gz")
        if (match := _NAME.fullmatch(path.name))
    )
    gone = [path for day, path in dated[:-1] if (today - day).days > keep_days]
    for path in gone:
        path.unlink()
        path.with_name(f"{path.name}.sha256").unlink(missing_ok=True)
    return gone


def unpack(archive: Path, to: Path) -> None:
    """Check an archive against its SHA-256, where that lies beside it, and unpack it.

    Raises:
        DataError: it is damaged, or holds a path that leads elsewhere.
    """
    beside = archive.with_name(f"{archive.name}.sha256")
    if beside.exists():
        expected = beside.read_text("utf-8").split()[:1]
        if expected != [digest_of(archive)]:
            raise DataError(f"archive {archive.name} is damaged: its SHA-256 is not that of {beside.name}")
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(to, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"archive {archive.name} cannot be unpacked ({error}); take another day's") from None


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names of this machine's users, for its owner only."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info
