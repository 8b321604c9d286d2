"""The end of a log as lines for a person: `14:03:20 warning order.unknown order_id=...`."""

from __future__ import annotations

import json
import os
from pathlib import Path

READ = 64 * 1024
_FIRST = ("timestamp", "level", "event", "account")


def last_lines(path: Path, amount: int) -> list[str]:
    """The last lines of a log of JSON lines, oldest first; none where there is no log. Other lines stay as they are."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - READ))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = text.splitlines()
    if size > READ:
        lines = lines[1:]  # the first one began before what was read
    return [_told(line) for line in lines[-amount:]]


def _told(line: str) -> str:
    try:
        said = json.loads(line)
    except ValueError:
        return line
    if not isinstance(said, dict):
        return line
    time = str(said.get("timestamp", ""))[11:19]
    rest = " ".join(f"{key}={value}" for key, value in said.items() if key not in _FIRST)
    return f"{time} {said.get('level', '')!s:<8} {said.get('event', '')} {rest}".rstrip()
