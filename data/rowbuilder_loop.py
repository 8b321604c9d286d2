"""The compiled loop of the row builder: what `RowBuilder.feed` does, over flat events, with the same functions.

Rare events (corrections, rows to be made again) leave the loop and go through the builder's own methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data.jit import jit
from data.rowbuilder_flat import BAR, BROKEN, HALT, LOST, RARE, TOP, TRADE, Flat
from data.rowbuilder_log import Shown
from data.rowbuilder_revise import Output
from data.rowbuilder_state import (
    BEYOND,
    BY_COUNT,
    BY_VOLUME,
    CLOSE,
    DIRTY,
    DUE,
    IN_CURRENT,
    LATE,
    OUTSIDE,
    P_CLOSE,
    P_SEGMENT,
    P_START,
    PENDING,
    SEEN,
    TRADED,
    WIDTH,
    advance,
    take,
)
from data.rowbuilder_steps import on_bar, on_broken, on_full, on_halt, on_top, on_trade, on_void, rebuild

if TYPE_CHECKING:
    from data.rowbuilder_batch import BatchBuilder

CAPACITY = 2_048
FULL, FLUSH, OUT, STOP = 1, 2, 3, 4  # why the loop came back: 0 at the end of the events


class Run:
    """One stretch of flat events through the compiled loop."""

    def __init__(self, batch: BatchBuilder, flat: Flat) -> None:
        self.batch, self.flat, builder = batch, flat, batch.builder
        self.builder = builder
        count = len(builder.symbols)
        self.values = np.empty((CAPACITY, count, WIDTH))
        self.marks = np.empty((CAPACITY, count, 4), dtype=np.int64)
        self.rows = np.empty((CAPACITY, 4), dtype=np.int64)  # start, close, segment, flags
        self.late = np.empty((CAPACITY, 3), dtype=np.int64)  # t, symbol, receive time
        self.logged = 0

    def run(self) -> None:
        """All events; the builder's state is plain lists again afterwards."""
        builder, flat = self.builder, self.flat
        if not len(flat.what):
            return
        if not builder.begun:
            builder.begin(int(flat.t[0]), int(flat.r[0]))
        loop, done = jit(run), np.zeros(3, dtype=np.int64)  # events, rows, late
        builder.g, builder.f, builder.k = (np.array(state) for state in (builder.g, builder.f, builder.k))
        builder.revised.rebuild = _rebuild
        segments = tuple(np.array(column, dtype=np.int64) for column in builder.segments[:4])
        try:
            code = FULL
            while code:
                state = (builder.g, builder.f, builder.k, segments)
                code = loop(*state, flat.columns(), done, self.values, self.marks, self.rows, self.late)
                self._drain(code, done)
                if code == OUT:
                    raise builder.outside(int(flat.r[done[0]]))
                if code == STOP:
                    p = int(done[0])
                    self._log(p)
                    out: Output = []
                    builder.handle(flat.rare[p], int(flat.sym[p]), int(flat.r[p]), out)
                    for message in out:
                        self.batch.note(message)
                    done[0], self.logged = p + 1, p + 1
            self._log(int(done[0]))
            builder.now = int(flat.r[-1])
        finally:
            builder.g, builder.f, builder.k = builder.g.tolist(), builder.f.tolist(), builder.k.tolist()
            builder.revised.rebuild = rebuild
            builder.rest()

    def _drain(self, code: int, done: Any) -> None:
        """What the loop wrote goes where the live builder would have put it, in the same order."""
        count, late = int(done[1]), int(done[2])
        self._log(int(done[0]))
        kinds = np.array(self.builder.segments.kinds)[self.rows[:count, 2]]
        shown = ((self.rows[:count, 3] & TRADED) > 0) | self.builder.kept(kinds)
        given = np.flatnonzero(shown)
        last = int(shown[-1]) if code == FLUSH else 0  # a row taken after the late events below
        self._remember(given[: len(given) - last])
        for t, j, r in self.late[:late].tolist():
            self.builder.revised.mark(t, j, r, "late")
        self._remember(given[len(given) - last :])
        self.batch.times.append(self.rows[given, 1:3])
        self.batch.values.append(self.values[given])
        if code == FLUSH:
            made: Output = []
            self.builder.revised.flush(made)
            for message in made:
                self.batch.note(message)
        done[1] = done[2] = 0

    def _remember(self, given: Any) -> None:
        """Only rows that can still be revised are worth a Python object."""
        reviser = self.builder.revised
        if not len(given):
            return
        closes = self.rows[given, 1]
        given = given[int(np.searchsorted(closes, closes[-1] - reviser.window)) :]
        rows, values, marks = (array[given].tolist() for array in (self.rows, self.values, self.marks))
        for (start, close, segment, flags), value, mark in zip(rows, values, marks, strict=True):
            reviser.remember(Shown(start, close, segment, value, mark, bool(flags & SEEN)))

    def _log(self, stop: int) -> None:
        """Trades and bars up to this event go into the symbols' logs."""
        flat, start = self.flat, self.logged
        self.logged = max(stop, start)
        logged = (flat.what[start:stop] == TRADE) | (flat.what[start:stop] == BAR)
        symbols = flat.sym[start:stop]
        for j, log in enumerate(self.builder.logs):
            at = np.flatnonzero(logged & (symbols == j)) + start
            if len(at):
                columns = (flat.t, flat.a, flat.b, flat.c, flat.d, flat.e, flat.bits, flat.side, flat.exchange)
                log.extend(tuple(column[at] for column in columns), flat.identity[at])


def run(  # noqa: C901  one branch for each kind of event, as in the live builder's table of handlers
    g: Any,
    f: Any,
    k: Any,
    segments: Any,
    events: Any,
    done: Any,
    values: Any,
    marks: Any,
    rows: Any,
    late: Any,
) -> int:
    """The loop: each event first moves the clock, then does what it does. Returns why it stopped."""
    opens, closes, kinds, _ = segments
    what, sym, t, r, a, b, c, d, e, h, bits, side, exchange = events
    counted = g[BY_VOLUME] + g[BY_COUNT]
    for p in range(done[0], len(what)):
        done[0] = p
        while g[PENDING] or r[p] >= g[CLOSE]:
            if done[1] == len(rows):
                return FULL
            due = advance(g, f, k, opens, closes, kinds, r[p])
            if due == BEYOND:
                return OUT
            if due != DUE:
                break
            if put(g, f, k, done, values, marks, rows):
                return FLUSH
        kind, j, place = what[p], sym[p], OUTSIDE
        if kind == TRADE:
            fj, kj = f[j], k[j]
            place, t[p], side[p] = on_trade(g, fj, kj, segments, t[p], a[p], b[p], bits[p], side[p], exchange[p])
        elif kind == TOP:
            on_top(g, f[j], k[j], t[p], bits[p], a[p], b[p], c[p], d[p], e[p], h[p])
        elif kind == BAR:
            place = on_bar(g, f[j], k[j], segments, t[p], a[p], b[p], c[p], d[p], e[p])
        elif kind == BROKEN:
            on_broken(g, f[j], k[j], t[p])
        elif kind == HALT:
            on_halt(g, f[j], k[j], t[p], bits[p])
        elif kind == LOST:
            for n in range(len(f)):
                if j < 0 or n == j:
                    on_void(g, f[n], k[n], t[p])
        elif kind == RARE:
            return STOP
        if place == LATE:
            late[done[2], 0], late[done[2], 1], late[done[2], 2] = t[p], j, r[p]
            done[2] += 1
        if done[2] == len(late):
            done[0] = p + 1
            return FULL
        if counted and place == IN_CURRENT and on_full(g, f, k, t[p] + (kind == BAR)):
            done[0] = p + 1
            if put(g, f, k, done, values, marks, rows):
                return FLUSH
            if done[1] == len(rows):
                return FULL
    done[0] = len(what)
    return 0


def put(g: Any, f: Any, k: Any, done: Any, values: Any, marks: Any, rows: Any) -> bool:
    """Take the closing row into the next free place; True when older rows are to be made again after it."""
    n, flush = done[1], bool(g[DIRTY])
    rows[n, 3] = take(g, f, k, values[n], marks[n])
    rows[n, 0], rows[n, 1], rows[n, 2] = g[P_START], g[P_CLOSE], g[P_SEGMENT]
    done[1] = n + 1
    return flush


def _rebuild(f: Any, k: Any, at: int, kat: int, log: Any, first: int, last: int, *span: int) -> None:
    """`rebuild`, compiled, over the log's own memory."""
    if last <= first:
        rebuild(f, k, at, kat, log, 0, 0, *span)
        return
    kinds = (np.int64, *[np.float64] * 5, *[np.int64] * 3)
    columns = tuple(np.frombuffer(column, dtype=kind) for column, kind in zip(log, kinds, strict=True))
    floats, whole = np.array(f), np.array(k)
    jit(rebuild)(floats, whole, at, kat, columns, first, last, *[int(value) for value in span])
    f[:], k[:] = floats.tolist(), whole.tolist()
