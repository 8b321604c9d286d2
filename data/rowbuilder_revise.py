"""Rows made again: late trades, corrections, cancels and vendors' updated bars, once per row given out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from data.calendar import MINUTE_NS
from data.events import TradeCancel, TradeCorrection
from data.flow import sell_share
from data.rowbuilder_log import BITS, Shown, identity_of
from data.rowbuilder_state import (
    BAR_MARK,
    BUYS,
    CLOSE,
    CLOSING_F,
    CLOSING_K,
    CURRENT_F,
    CURRENT_K,
    DEAD,
    DIRTY,
    EXCHANGE,
    FAR,
    FIRST,
    FLOATS,
    IN_CLOSING,
    IN_CURRENT,
    INTS,
    LATE,
    LOGGED,
    OUTSIDE,
    P_CLOSE,
    P_SEGMENT,
    P_START,
    QUALIFIED,
    SEGMENT,
    SELLS,
    START,
    STEP,
    WAS_EXCHANGE,
    WAS_QUALIFIED,
    WIDTH,
    place_of,
    prices,
)
from data.rowbuilder_steps import rebuild
from data.rows import Revision, Row

if TYPE_CHECKING:
    from data.rowbuilder import RowBuilder


Output: TypeAlias = list[Row | Revision]


class Reviser:
    """The rows a builder has shown in the last `window` ns, and which of them must be made again."""

    def __init__(self, builder: RowBuilder, window: int) -> None:
        self.builder, self.window = builder, window
        self.rows: list[Shown] = []
        self.closes: list[int] = []
        self.dirty: dict[int, dict[int, set[str]]] = {}
        self.known = 0
        self.rebuild: Callable[..., None] = rebuild

    def remember(self, shown: Shown) -> None:
        """A row is out; those that fall out of the window are forgotten, and the trades only they needed."""
        self.rows.append(shown)
        self.closes.append(shown.close)
        old = bisect_left(self.closes, shown.close - self.window, 0, len(self.closes) - 1)
        if old:
            del self.rows[:old], self.closes[:old]
            for log, mark in zip(self.builder.logs, self.rows[0].marks, strict=True):
                log.forget(mark[0])

    def mark(self, t: int, j: int, r: int, reason: str) -> None:
        """The row of time `t` has news for symbol `j`, known at `r`."""
        shown = self._row_at(t)
        if shown is None:
            self.builder.counts["too_late"] += 1
            return
        self.dirty.setdefault(shown.close, {}).setdefault(j, set()).add(reason)
        self.known, self.builder.g[DIRTY] = max(self.known, r), 1

    def flush(self, out: Output) -> None:
        """Make the marked rows again; a `Revision` of each that came out different."""
        builder = self.builder
        for close in sorted(self.dirty):
            at = bisect_left(self.closes, close)
            if at == len(self.closes) or self.closes[at] != close:
                builder.counts["too_late"] += 1
                continue
            shown, symbols, reasons = self.rows[at], [], set()
            for j, why in sorted(self.dirty[close].items()):
                before = repr(shown.values[j])
                self._again(shown, j)
                if repr(shown.values[j]) != before:
                    symbols.append(builder.symbols[j])
                    reasons |= why
            if symbols:
                out.append(Revision(builder.row_of(shown), self.known, sorted(reasons), symbols))
        self.dirty.clear()
        builder.g[DIRTY] = 0

    def change(self, event: TradeCorrection | TradeCancel, j: int, r: int) -> None:
        """A trade is to be read differently, or not at all."""
        builder, log = self.builder, self.builder.logs[j]
        at = log.find(identity_of(event.trade_id)) if event.trade_id else -1
        if at < 0 or log.base + at < self._oldest(j) or log.columns[BITS][at] == DEAD:
            builder.counts["unmatched"] += 1
            return
        if isinstance(event, TradeCancel):
            log.columns[BITS][at] = DEAD
        else:
            log.columns[1][at], log.columns[2][at] = event.price, event.size
            if event.conditions:
                log.columns[BITS][at] = builder.bits_of(event.conditions, event.tape)
            if event.new_id:
                log.identities[at] = identity_of(event.new_id)
        self._news(j, at, r, "cancel" if isinstance(event, TradeCancel) else "correction")

    def replace_bar(self, j: int, t: int, values: tuple[float, ...], r: int) -> bool:
        """A vendor's updated bar takes the place of the one it updates; False: that one is not remembered."""
        log = self.builder.logs[j]
        log.settle()
        for at in range(len(log.identities) - 1, self._oldest(j) - log.base - 1, -1):
            if log.columns[0][at] == t and log.columns[BITS][at] == BAR_MARK:
                for column, value in zip(log.columns[1:6], values, strict=True):
                    column[at] = value
                self._news(j, at, r, "updated")
                return True
        return False

    def replace_minute(self, j: int, close: int, values: tuple[float, ...], r: int) -> None:
        """A vendor's bar takes the place of every trade of the minute that closes at `close`.

        A closing print, which counts in the last instant of its session whenever it comes, is in no minute's bar.
        """
        builder = self.builder
        log, last, g = builder.logs[j], close - 1, builder.g
        log.settle()
        times, bits = log.columns[0], log.columns[BITS]
        for at in range(max(self._oldest(j) - log.base, 0), len(times)):
            if close - MINUTE_NS <= times[at] < last or (times[at] == last and bits[at] == BAR_MARK):
                bits[at] = DEAD
        log.add((last, *values, BAR_MARK, 0, 0, -1))
        log.settle()
        builder.k[j][LOGGED] += 1
        place = place_of(g, builder.segments.opens, builder.segments.closes, last)
        if place == LATE:
            self.mark(last, j, r, "gap")
        elif place != OUTSIDE:
            self._news(j, len(log.identities) - 1, r, "gap")

    def _oldest(self, j: int) -> int:
        """Number of the first log entry that still counts."""
        return self.rows[0].marks[j][0] if self.rows else 0

    def _news(self, j: int, at: int, r: int, reason: str) -> None:
        """The log entry at position `at` is not what it was: its row is made again, now or at the next row."""
        builder, g = self.builder, self.builder.g
        f, k, log = builder.f[j], builder.k[j], builder.logs[j]
        if builder.counted:
            shown = self._row_of_entry(log.base + at, j)
            if shown is not None:
                self.dirty.setdefault(shown.close, {}).setdefault(j, set()).add(reason)
                self.known, g[DIRTY] = max(self.known, r), 1
            elif log.base + at >= k[CURRENT_K + FIRST]:
                self._open(f, k, CURRENT_F, CURRENT_K, (-FAR, FAR, g[SEGMENT]), j)
            return
        t = log.columns[0][at]
        place = place_of(g, builder.segments.opens, builder.segments.closes, t)
        if place == IN_CURRENT:
            self._open(f, k, CURRENT_F, CURRENT_K, (g[START], g[CLOSE], g[SEGMENT]), j)
        elif place == IN_CLOSING:
            kept = k[QUALIFIED], k[EXCHANGE]
            self._open(f, k, CLOSING_F, CLOSING_K, (g[P_START], g[P_CLOSE], g[P_SEGMENT]), j)
            k[QUALIFIED], k[EXCHANGE] = kept
        elif place == LATE:
            self.mark(t, j, r, reason)

    def _open(self, f: Any, k: Any, at: int, kat: int, span: tuple[int, int, int], j: int) -> None:
        log, (start, close, segment) = self.builder.logs[j], span
        kind, day = self.builder.segments.kinds[segment], self.builder.segments.sessions[segment]
        first = max(k[kat + FIRST] - log.base, 0)
        self.rebuild(f, k, at, kat, log.columns, first, len(log.identities), start, close, kind, day)

    def _again(self, shown: Shown, j: int) -> None:
        """The prices and the selling share of one symbol of a shown row, from its trades."""
        builder, log = self.builder, self.builder.logs[j]
        log.settle()
        f, k = [float("nan")] * FLOATS, [0] * INTS
        first, k[CLOSING_K + WAS_QUALIFIED], k[CLOSING_K + WAS_EXCHANGE], end = shown.marks[j]
        last = end - log.base if builder.counted else len(log.identities)
        start, close = (-FAR, FAR) if builder.counted else (shown.start, shown.close)
        kind, day = builder.segments.kinds[shown.segment], builder.segments.sessions[shown.segment]
        first = max(first - log.base, 0)
        self.rebuild(f, k, CLOSING_F, CLOSING_K, log.columns, first, last, start, close, kind, day)
        values = [0.0] * WIDTH
        prices(f, CLOSING_F, values)
        shown.values[j][:5] = values[:5]
        if shown.values[j][5] == shown.values[j][5] or shown.values[j][6] == shown.values[j][6]:
            shown.values[j][16] = sell_share(f[CLOSING_F + BUYS], f[CLOSING_F + SELLS])

    def _row_at(self, t: int) -> Shown | None:
        """The shown row that covers `t`; made blank where it was passed over, None where it is too old."""
        at = bisect_right(self.closes, t)
        if at < len(self.rows) and self.rows[at].start <= t:
            return self.rows[at]
        builder, s = self.builder, self.builder.segments
        if not self.rows or t < self.closes[-1] - self.window or builder.counted:
            return None
        segment = bisect_right(s.closes, t)
        if segment == len(s.closes) or t < s.opens[segment]:
            return None
        start = s.opens[segment] + (t - s.opens[segment]) // builder.g[STEP] * builder.g[STEP]
        close = min(start + builder.g[STEP], s.closes[segment])
        blank = Shown(int(start), int(close), segment, [[float("nan")] * WIDTH for _ in builder.symbols], [])
        for j, values in enumerate(blank.values):
            values[4] = 0.0
            blank.marks.append([self._oldest(j), s.sessions[segment], -1, 0])  # as if the session had a last price
        self.rows.insert(at, blank)
        self.closes.insert(at, blank.close)
        return blank

    def _row_of_entry(self, entry: int, j: int) -> Shown | None:
        for shown in reversed(self.rows):
            if shown.marks[j][0] <= entry < shown.marks[j][3]:
                return shown
        return None
