"""What a journal says of itself in its first record: the plan, the feed, the code and the libraries."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import msgspec

from data.rows import Header as FeedHeader
from live.core.plan import Plan

CHECKOUT = Path(__file__).resolve().parent.parent
DECIDING = ("live/core", "live/brokers", "strategies/common", "strategies/indicators")
DECIDING_FILES = ("data/calendar.py", "data/rows.py", "data/types.py", "strategies/types.py")


class Feed(msgspec.Struct, frozen=True):
    """Where the rows come from; see `data.rows.Header`."""

    source: str
    simulated: bool
    content: str

    @classmethod
    def of(cls, header: FeedHeader) -> Feed:
        """The feed whose first message is `header`."""
        return cls(header.source, header.simulated, header.content)


class Built(msgspec.Struct, frozen=True):
    """What ran. code: SHA-256 of the sources that decide. versions: of Python and of the libraries loaded."""

    code: str
    versions: dict[str, str]


class JournalHeader(msgspec.Struct, frozen=True):
    """The first record of a journal."""

    plan: Plan
    feed: Feed
    built: Built


def built() -> Built:
    """The code and the libraries of this process."""
    import apsw
    import numpy as np

    return Built(
        code=code_hash(),
        versions={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "msgspec": msgspec.__version__,
            "sqlite": apsw.sqlite_lib_version(),
        },
    )


def code_hash(root: Path = CHECKOUT) -> str:
    """SHA-256 over names and contents of every source file that takes part in a decision."""
    sha = hashlib.sha256()
    paths = [path for folder in DECIDING for path in (root / folder).rglob("*.py")]
    for path in sorted([*paths, *(root / name for name in DECIDING_FILES)]):
        sha.update(f"{path.relative_to(root).as_posix()}\0".encode())
        sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()
