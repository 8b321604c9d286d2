"""The watchlist: a scan as a TOML file. `symbols` is what an account takes; the rest says why.

# Movers of 2024-01-03, from rows known at 2024-01-03 14:30 UTC.
session = "2024-01-03"
symbols = ["BBB", "AAA"]

[[ranked]]
rank = 1
symbol = "BBB"
...
"""

from __future__ import annotations

import json
import tomllib
from math import isfinite
from pathlib import Path

from data.calendar import parse_day, utc
from data.errors import ConfigError
from data.tape import replacing
from research.scan import Mover, Scan

NUMBERS = ("score", "close", "price", "gap", "relative_volume", "momentum")


def watchlist_text(found: Scan) -> str:
    """The file's text; the same for the same scan."""
    day = parse_day(found.session)
    lines = [
        f"# Movers of {day}, from rows known at {utc(found.at_ns)}.",
        f'session = "{day}"',
        f'known_at = "{utc(found.at_ns)}"',
        f"lookback = {found.lookback}",
        f'direction = "{found.direction}"',
        f"limit = {found.limit}",
        f"counted = {_list(found.counted)}",
        f"symbols = {_list(found.symbols)}",
    ]
    for mover in found.movers:
        lines += ["", "[[ranked]]", *_mover(mover)]
    if found.left_out:
        lines += ["", "[left_out]", *(f"{_text(name)} = {_text(why)}" for name, why in sorted(found.left_out.items()))]
    return "\n".join(lines) + "\n"


def write_watchlist(path: Path | str, found: Scan) -> Path:
    """Write a scan, whole or not at all; its path.

    Raises:
        DataError: the file cannot be written.
    """
    path = Path(path)
    with replacing(path) as draft:
        draft.write_text(watchlist_text(found), "utf-8")
    return path


def read_watchlist(path: Path | str, limit: int | None = None) -> tuple[str, ...]:
    """The symbols of a watchlist by rank, the first `limit` of them.

    Raises:
        ConfigError: the file cannot be read, or `symbols` is not a list of different names.
    """
    path = Path(path)
    try:
        symbols = tomllib.loads(path.read_text("utf-8")).get("symbols")
    except OSError as error:
        raise ConfigError(
            f"watchlist {path} cannot be read ({error.strerror}); make one: python -m research scan ... --out {path}"
        ) from None
    except ValueError as error:
        raise ConfigError(f"watchlist {path} is not TOML: {error}") from None
    names = symbols if isinstance(symbols, list) else []
    if names != symbols or not all(isinstance(each, str) and each for each in names) or len(set(names)) < len(names):
        raise ConfigError(f"watchlist {path}: symbols must be a list of different names, got {symbols!r}")
    return tuple(names[:limit])


def _mover(mover: Mover) -> list[str]:
    lines = [f"rank = {mover.rank}", f"symbol = {_text(mover.symbol)}"]
    lines += [f"{name} = {getattr(mover, name):.6f}" for name in NUMBERS if isfinite(getattr(mover, name))]
    if mover.missing:
        lines.append(f"missing = {_list([f'{name}: {why}' for name, why in mover.missing.items()])}")
    return lines


def _list(values: tuple[str, ...] | list[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
