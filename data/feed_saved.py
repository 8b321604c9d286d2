"""What a live feed keeps on disk, so that a restart inside a row goes on with the same rows."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from data.errors import DataError, UsageError
from data.events import MarketEvent
from data.feed_rows import LiveRows, Prices, WaitingMinute
from data.rowbuilder_saved import restore, save

VERSION = 1
OLDEST_S = 3_600.0
"""Older ones say little: the feed begins anew, its last rows come from history."""


class SavedFeed(msgspec.Struct, frozen=True):
    """A `LiveRows`. now: time of the feed when it was kept."""

    version: int
    now: int
    first: int
    newest: int
    gaps: int
    unfilled: int
    builder: bytes
    queue: list[MarketEvent]
    minutes: dict[int, WaitingMinute]
    bars: list[tuple[str, int, Prices]]
    stood: list[tuple[str, int]]


def keep(path: Path, rows: LiveRows) -> None:
    """Write the state, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    state = SavedFeed(
        VERSION,
        rows.now,
        rows.first,
        rows.newest,
        rows.gaps,
        rows.unfilled,
        save(rows.builder),
        list(rows.queue),
        rows.minutes,
        [(symbol, close, prices) for (symbol, close), prices in rows.bars.items()],
        list(rows.stood),
    )
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_bytes(msgspec.msgpack.encode(state))
        os.replace(draft, path)  # noqa: PTH105  # reads as what it is
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}); give --state a place that can") from None


def load(path: Path, rows: LiveRows, now: int) -> str:
    """Give fresh rows the kept state; "" where that was done, else why the feed begins anew.

    The time between is a gap, which history must fill.
    """
    try:
        state = msgspec.msgpack.decode(path.read_bytes(), type=SavedFeed)
    except FileNotFoundError:
        return "there is no state yet"
    except (OSError, msgspec.MsgspecError) as error:
        return f"the state in {path} cannot be read ({error})"
    age_s = (now - state.now) / 1e9
    if state.version != VERSION or not 0.0 <= age_s <= OLDEST_S:
        return f"the state in {path} is {age_s:.0f} s old"
    try:
        restore(rows.builder, state.builder)
    except (DataError, UsageError) as error:
        return str(error)
    rows.first, rows.newest = state.first, state.newest
    rows.gaps, rows.unfilled = state.gaps, state.unfilled
    rows.queue.extend(state.queue)
    rows.minutes.update(state.minutes)
    for minute in rows.minutes.values():
        minute.asking = False
    rows.bars.update({(symbol, close): prices for symbol, close, prices in state.bars})
    rows.stood.update(dict.fromkeys(state.stood, True))
    rows.now = state.now
    rows.resumed(now)
    return ""
