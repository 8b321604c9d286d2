"""Events to rows over history: the functions of the live row builder, compiled and run over columns.

    built = rows_from_events(events, ["AAPL", "MSFT"], "1m")
    built.bars, built.book, built.revisions

The functions are those of the live builder, compiled (`data.rowbuilder_loop`); tests hold the two to the same bits,
however the events are cut. numba is imported when a batch runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from data.events import MarketEvent
from data.events_columns import Columns, columns_of
from data.rowbuilder import Revision, RowBuilder
from data.rowbuilder_flat import flat_of
from data.rowbuilder_grid import days_of
from data.rowbuilder_loop import Run
from data.rowbuilder_state import (
    WIDTH,
)
from data.rows import Row
from data.types import FEATURES, Bars, Book

CHUNK = 1_000_000


@dataclass
class Built:
    """Rows as they were seen, and what was learned later.

    revisions: in order; the last one of a row holds what is known of it now. counts: see `RowBuilder`.
    """

    bars: Bars
    book: Book
    revisions: list[Revision]
    counts: dict[str, int]

    def revised(self) -> tuple[Bars, Book]:
        """The rows with every revision applied; one that was passed over as empty may come in."""
        last = {revision.row.ts: revision.row for revision in self.revisions}
        rows = _arrays(self.bars, self.book)
        at = np.searchsorted(self.bars.ts, list(last))
        ts, values = self.bars.ts.copy(), rows.copy()
        days = [getattr(self.bars, name).copy() for name in ("session", "since_open", "to_close")]
        for place, (stamp, row) in sorted(zip(at.tolist(), last.items(), strict=True), reverse=True):
            line = np.array([row.open, row.high, row.low, row.close, row.volume, *(row.book or [])]).T
            if place < len(self.bars) and self.bars.ts[place] == stamp:
                values[place, :, : line.shape[1]] = line
                continue
            new = np.full((1, *values.shape[1:]), np.nan)
            new[0, :, : line.shape[1]] = line
            values = np.insert(values, place, new, axis=0)
            ts = np.insert(ts, place, stamp)
            stamps = (row.session, row.since_open, row.to_close)
            days = [np.insert(day, place, value) for day, value in zip(days, stamps, strict=True)]
        return _columns(self.bars.symbols, ts, days, values)


def rows_from_events(
    events: Iterable[MarketEvent] | Columns,
    symbols: Sequence[str],
    clock: str = "1m",
    *,
    whole: bool = True,
    **options: Any,
) -> Built:
    """The rows of a recording.

    Args:
        events: in the order they were received; `Columns` are fastest.
        whole: the recording is complete to the end of its last row, which is therefore given out.
        options: those of `RowBuilder`.

    Raises:
        UsageError: as `RowBuilder`. DataError: an event outside the exchange calendar.
    """
    batch = BatchBuilder(RowBuilder(symbols, clock, **options))
    batch.feed(events if isinstance(events, Columns) else columns_of(events))
    return batch.finish() if whole else batch.built()


def rows_from_bars(bars: Bars, interval: str, clock: str, **options: Any) -> Built:
    """Larger bars out of smaller ones; options are those of `RowBuilder`, `empty` is False unless asked for.

    Args:
        interval: the clock of `bars`. clock: that of the result.
    """
    from data.rowbuilder_flat import columns_of_bars

    return rows_from_events(columns_of_bars(bars, interval), bars.symbols, clock, **({"empty": False} | options))


@dataclass
class BatchBuilder:
    """A `RowBuilder` fed with batches; batches and single events may alternate, the rows are the same."""

    builder: RowBuilder
    revisions: list[Revision] = field(default_factory=list)
    times: list[npt.NDArray[np.int64]] = field(default_factory=list)
    values: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def feed(self, columns: Columns) -> None:
        """Take in one batch, which follows those before it."""
        for flat in flat_of(columns, self.builder, CHUNK):
            Run(self, flat).run()

    def finish(self) -> Built:
        """The feed has ended and was whole to the end of the current row."""
        for message in self.builder.finish():
            self.note(message)
        return self.built()

    def note(self, message: Row | Revision) -> None:
        """Keep a row or a revision that came one at a time."""
        if isinstance(message, Revision):
            self.revisions.append(message)
            return
        prices = [message.open, message.high, message.low, message.close, message.volume]
        book = message.book or [[float("nan")] * len(message.open)] * len(FEATURES)
        segment = int(np.searchsorted(self.builder.segments.closes, message.ts, side="left"))
        self.times.append(np.array([[message.ts, segment]], dtype=np.int64))
        self.values.append(np.array(prices + book).T[None])

    def built(self) -> Built:
        """The rows so far."""
        symbols = self.builder.symbols
        times = np.concatenate([np.empty((0, 2), dtype=np.int64), *self.times])
        values = np.concatenate([np.empty((0, len(symbols), WIDTH)), *self.values])
        days = days_of(times[:, 0], self.builder.segments, times[:, 1])
        bars, book = _columns(symbols, times[:, 0], days, values)
        return Built(bars, book, list(self.revisions), dict(self.builder.counts))


def _arrays(bars: Bars, book: Book) -> npt.NDArray[np.float64]:
    """(T, N, WIDTH) values of rows."""
    columns = [bars.open, bars.high, bars.low, bars.close, bars.volume, *[getattr(book, name) for name in FEATURES]]
    return np.stack(columns, axis=2)


def _columns(symbols: tuple[str, ...], ts: Any, days: Any, values: npt.NDArray[np.float64]) -> tuple[Bars, Book]:
    prices = [values[:, :, n] for n in range(5)]
    session, since_open, to_close = days
    open_, high, low, close, volume = prices
    bars = Bars(symbols, ts, open_, high, low, close, volume, session, since_open, to_close)
    if not np.isfinite(values[:, :, 5:7]).any():
        return bars, Book.absent(len(ts), symbols)
    return bars, Book(symbols, *[values[:, :, 5 + n] for n in range(len(FEATURES))])
