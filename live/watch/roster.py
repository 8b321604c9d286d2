"""Which accounts there are: account files and folders of them, read for no more than where each account's files lie.

No strategy is loaded: an account whose strategy file is broken must still be seen, and be halted.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.settings import CHECKOUT

ACCOUNTS = CHECKOUT / "live" / "accounts"
STATE = "out/live"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Place:
    """An account's name and where its files lie. problem: why its account file cannot be read, '' where it can."""

    name: str
    strategy: str
    broker: str
    state: Path
    path: Path
    problem: str = ""

    @property
    def journal(self) -> Path:
        """Its journal."""
        return self.state / f"{self.name}.journal"

    @property
    def log(self) -> Path:
        """Its log."""
        return self.state / f"{self.name}.log"


class Roster:
    """The accounts of some files and folders; looked up again each time, so that new ones are found.

    Args:
        paths: account files, and folders whose `.toml` files are account files where they have a name and a strategy.

    Raises:
        ConfigError: a path does not exist.
    """

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self.paths = tuple(paths) or (ACCOUNTS,)
        for path in self.paths:
            if not path.exists():
                raise ConfigError(f"{path} does not exist; give account files, or the folder they are in")
        self._known: dict[Path, tuple[int, Place | None]] = {}

    def places(self) -> list[Place]:
        """Every account, by name; of two files that name the same account and state the second has a problem."""
        found: dict[tuple[Path, str], Place] = {}
        for path in self._files():
            place = self._place(path)
            if place is None:
                continue
            first = found.setdefault((place.state, place.name), place)
            if first is not place:
                problem = f"{first.path.name} and {path.name} both name {place.name!r}; give one another name"
                found[place.state, str(path)] = Place(path.stem, "", "", place.state, path, problem)
        return sorted(found.values(), key=lambda place: (place.name, str(place.path)))

    def _files(self) -> list[Path]:
        files: dict[Path, None] = {}
        for path in self.paths:
            files |= dict.fromkeys(sorted(path.glob("*.toml")) if path.is_dir() else [path])
        return list(files)

    def _place(self, path: Path) -> Place | None:
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return None  # taken away just now
        known = self._known.get(path)
        if known is None or known[0] != changed:
            known = self._known[path] = (changed, place_of(path, given=path in self.paths))
        return known[1]


def place_of(path: Path, *, given: bool = True) -> Place | None:
    """The account of a file; None for a file of a folder that is something else. given: it was named by a person."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return _bad(path, f"{path.name} cannot be read ({error})")
    if not given and not {"name", "strategy"} <= table.keys():
        return None
    texts = {key: table.get(key, other) for key, other in _TEXTS.items()}
    for key, value in texts.items():
        if not isinstance(value, str):
            return _bad(path, f"{path.name}: {key} must be a text, got {value!r}")
    if not _NAME.fullmatch(texts["name"]):
        return _bad(path, f"{path.name}: name must be letters, digits, - and _, got {texts['name']!r}")
    state = CHECKOUT / Path(texts["state"]).expanduser()
    return Place(texts["name"], texts["strategy"], texts["broker"], state, path)


_TEXTS = {"name": "", "strategy": "", "broker": "paper", "state": STATE}


def _bad(path: Path, problem: str) -> Place:
    return Place(path.stem, "", "", CHECKOUT / STATE, path, problem)
