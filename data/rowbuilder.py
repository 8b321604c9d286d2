"""Events to rows: bars and book features on a clock, the same from a recording and from a socket, to the last bit.

    builder = RowBuilder(["AAPL", "MSFT"], "1m")
    for event in feed:
        for message in builder.feed(event):       # Row or Revision
            ...

A row covers start <= t < close and is named by its close. `t` is when the venue says it happened, but never later
than it reached us. The row is given out when the receive clock passes its close by `wait_s`; what comes later
changes it by a `Revision`, and the row as it was seen is never taken back. Trades count as their sale conditions
allow (`data.conditions`); open and close go by time and not by order of arrival. Book features are those before the
close: an event at or after it never touches them, however long the row still waits.

The rules themselves are plain functions (`data.rowbuilder_state`, `data.rowbuilder_steps`). This class interprets
them event by event; `data.rowbuilder_batch` runs the same functions compiled.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from data.book import LEVELS, OrderBook, Rule
from data.calendar import SECOND_NS, utc
from data.conditions import PLAIN, trade_bits
from data.errors import DataError, UsageError
from data.events import Bar, BookDelta, BookSnapshot, Gap, MarketEvent, Quote, Status, Trade
from data.events import TradeCancel as Cancel
from data.events import TradeCorrection as Correction
from data.flow import nan
from data.rowbuilder_grid import Hours, day_of, parse_rows, segments_of
from data.rowbuilder_log import Shown, TradeLog, identity_of
from data.rowbuilder_revise import Output, Reviser
from data.rowbuilder_state import (
    BAR_MARK,
    BEYOND,
    BY_COUNT,
    BY_VOLUME,
    CLOSE,
    CURRENT_F,
    CURRENT_K,
    DIRTY,
    DUE,
    EXTENDED_HOURS,
    FLOATS,
    GLOBALS,
    IN_CURRENT,
    INTS,
    KEEP,
    LATE,
    P_CLOSE,
    P_SEGMENT,
    P_START,
    PENDING,
    QUALIFIED,
    SEEN,
    START,
    STEP,
    TRADED,
    WAIT,
    WIDTH,
    advance,
    enter,
    reset,
    take,
)
from data.rowbuilder_steps import on_bar, on_broken, on_full, on_halt, on_top, on_trade, on_void
from data.rows import Revision, Row

__all__ = ["Output", "Revision", "RowBuilder"]

SIDES = {"buy": 1, "sell": -1, "": 0}
REVISE_S = 900.0


class RowBuilder:
    """Rows of these symbols on one clock.

    Args:
        clock: `1s` ... `1d`; `500t` or `10000v` end a row by trades or volume (one symbol only).
        hours: `regular`, `extended` (04:00 to 20:00 New York, rows never span the open or the close), or `always`.
        empty: give out rows in which nobody traded (prices NaN, volume 0), save in extended hours.
        wait_s: how long after its close a row waits for what is still on its way, at most one row.
        revise_s: how long a row can be revised.
        conditions: heed sale conditions; False counts every trade in full.
        book: the rule of the L2 feed (`data.book.RULES`). levels: those that make the depths.

    Attributes:
        counts: events that changed nothing: `other` symbols, `unmatched` corrections, `too_late` trades.
        due: until this receive time nothing happens by time alone, ns.

    Raises:
        UsageError: an unknown clock, hours or rule, no symbols or one twice.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        clock: str = "1m",
        *,
        hours: Hours = "regular",
        empty: bool = True,
        wait_s: float = 0.25,
        revise_s: float = REVISE_S,
        conditions: bool = True,
        book: str | Rule = "coinbase",
        levels: int = LEVELS,
    ) -> None:
        self.symbols, self.clock, self.hours = tuple(symbols), clock, hours
        rows = parse_rows(clock)
        if not symbols or len(set(symbols)) < len(self.symbols):
            raise UsageError(f"rows need symbols, each once; got {', '.join(symbols) or 'none'}")
        if len(self.symbols) > 1 and (rows.volume or rows.trades):
            raise UsageError(f"{clock} rows end at another time for each symbol; build them one symbol at a time")
        if clock == "1d" and hours == "extended":
            raise UsageError("a daily row is the regular session's; choose hours regular or always")
        self.wait = round(wait_s * SECOND_NS)
        if not 0 <= self.wait <= rows.step or revise_s < 0:
            raise UsageError(f"wait_s {wait_s} must lie between 0 and one row of {clock}, revise_s {revise_s} be >= 0")
        self.segments = segments_of(hours)
        self._spans = self.segments[:4]
        self.index = {symbol: j for j, symbol in enumerate(self.symbols)}
        self.conditions = conditions
        self.books = [OrderBook(book, levels=levels) for _ in self.symbols]
        self.exchanges: dict[str, int] = {"": 0}
        self.counts = {"other": 0, "unmatched": 0, "too_late": 0}
        self.g: Any = [0] * GLOBALS
        self.f: Any = [[nan] * FLOATS for _ in self.symbols]
        self.k: Any = [[0] * INTS for _ in self.symbols]
        self.g[STEP], self.g[WAIT], self.g[BY_VOLUME], self.g[BY_COUNT] = rows.step, self.wait, rows.volume, rows.trades
        self.counted = bool(rows.volume or rows.trades)
        self.g[KEEP] = int(empty and not self.counted)
        for f, k in zip(self.f, self.k, strict=True):
            k[QUALIFIED] = -1
            reset(f, k, CURRENT_F, CURRENT_K)
        self.logs = [TradeLog() for _ in self.symbols]
        self.revised = Reviser(self, round(revise_s * SECOND_NS))
        self.begun, self.now, self.due = False, 0, -1
        self._handlers: dict[Any, Callable[[Any, int, int, int, Output], None]] = {
            Trade: self._trade,
            Quote: self._quote,
            BookDelta: self._level2,
            BookSnapshot: self._level2,
            Bar: self._bar,
            Status: self._status,
            Correction: self._changed,
            Cancel: self._changed,
        }

    def feed(self, event: MarketEvent) -> Output:
        """Take in one event; the rows and revisions that are known because of it, in order.

        Raises:
            DataError: its time lies outside the exchange calendar.
        """
        out: Output = []
        r = event.recv_ts or event.venue_ts
        if r >= self.due:
            if not self.begun:
                t = event.venue_ts if 0 < event.venue_ts < r and type(event) is not Gap else r
                self.begin(t - (type(event) is Bar), r)
            self._advance(r, out)
        self.now = r
        if type(event) is Gap:
            self._gap(event, r)
            return out
        j = self.index.get(event.symbol)
        if j is None:
            self.counts["other"] += 1
            return out
        self.handle(event, j, r, out)
        return out

    def handle(self, event: MarketEvent, j: int, r: int, out: Output) -> None:
        """Take in one event of symbol `j`, to whose receive time the rows have been brought."""
        t = event.venue_ts
        self._handlers[type(event)](event, j, t if 0 < t < r else r, r, out)

    def advance(self, ts: int) -> Output:
        """The receive clock stands at `ts` and nothing came: rows whose time is over."""
        out: Output = []
        if ts >= self.due and self.begun:
            self._advance(ts, out)
        return out

    def finish(self) -> Output:
        """The feed has ended and was whole to the end of the row it is in: that row, too."""
        if not self.begun:
            return []
        g = self.g
        out = self.advance((g[CLOSE] if self.now >= g[START] else g[P_CLOSE]) + self.wait)
        self.revised.flush(out)
        return out

    def begin(self, t: int, r: int) -> None:
        """The first event, of time `t`, came at `r`: its row is the first, unless that one was over by then."""
        segment = bisect_right(self.segments.closes, max(t, r - self.wait))
        if segment == len(self.segments.closes) or r <= 0:
            raise self.outside(r)
        enter(self.g, self.segments.opens, self.segments.closes, segment, max(t, r - self.wait))
        self.begun = True

    def row_of(self, shown: Shown) -> Row:
        """The message of a row."""
        columns = [list(column) for column in zip(*shown.values, strict=True)]
        open_, high, low, close, volume = columns[:5]
        session, since, left = day_of(shown.close, self.segments, shown.segment)
        return Row(
            shown.close, session, since, left, open_, high, low, close, volume, columns[5:] if shown.seen else None
        )

    def bits_of(self, conditions: str, tape: str) -> int:
        """What a trade may update."""
        return trade_bits(conditions, tape) if conditions and self.conditions else PLAIN

    def _advance(self, r: int, out: Output) -> None:
        g, s = self.g, self.segments
        while (due := advance(g, self.f, self.k, s.opens, s.closes, s.kinds, r)) == DUE:
            self._take(out)
        if due == BEYOND:
            raise self.outside(r)
        self.rest()

    def rest(self) -> None:
        """Note until when nothing happens by time alone."""
        g = self.g
        self.due = min(g[CLOSE], g[P_CLOSE] + self.wait) if g[PENDING] else g[CLOSE]

    def outside(self, r: int) -> DataError:
        """The error of an event whose time has no place in the calendar."""
        return DataError(f"event at {utc(r)} is outside the exchange calendar; give events with times inside it")

    def _take(self, out: Output) -> None:
        """Take the closing row from the state; remember it and give it out unless it is empty and unwanted."""
        values, marks = [[nan] * WIDTH for _ in self.symbols], [[0] * 4 for _ in self.symbols]
        g, flags = self.g, take(self.g, self.f, self.k, values, marks)
        if flags & TRADED or self.kept(self.segments.kinds[g[P_SEGMENT]]):
            shown = Shown(g[P_START], g[P_CLOSE], g[P_SEGMENT], values, marks, bool(flags & SEEN))
            self.revised.remember(shown)
            out.append(self.row_of(shown))
        if g[DIRTY]:
            self.revised.flush(out)

    def kept(self, kinds: Any) -> Any:
        """Are rows of these kinds of segment given out though nobody traded in them."""
        return (kinds != EXTENDED_HOURS) & bool(self.g[KEEP])

    # The handlers of the kinds share one signature: symbol, time, receive time, where rows go.

    def _trade(self, event: Trade, j: int, t: int, r: int, out: Output) -> None:
        bits = self.bits_of(event.conditions, event.tape)
        exchange = self.exchanges.setdefault(event.exchange, len(self.exchanges))
        side, price, size = SIDES[event.aggressor], event.price, event.size
        place, t, side = on_trade(self.g, self.f[j], self.k[j], self._spans, t, price, size, bits, side, exchange)
        self.logs[j].add((t, price, size, 0.0, 0.0, 0.0, bits, side, exchange, identity_of(event.trade_id)))
        self._placed(place, t, j, r, t, out)

    def _bar(self, event: Bar, j: int, t: int, r: int, out: Output) -> None:
        prices = (event.open, event.high, event.low, event.close, event.volume)
        if event.updated and self.revised.replace_bar(j, t - 1, prices, r):
            return
        place = on_bar(self.g, self.f[j], self.k[j], self._spans, t - 1, *prices)
        self.logs[j].add((t - 1, *prices, BAR_MARK, 0, 0, -1))
        self._placed(place, t - 1, j, r, t, out)

    def _placed(self, place: int, t: int, j: int, r: int, label: int, out: Output) -> None:
        """A trade or bar of time `t` is in its row, or came too late for it; `label` names the row it fills."""
        if place == LATE:
            self.revised.mark(t, j, r, "late")
        elif self.counted and place == IN_CURRENT and on_full(self.g, self.f, self.k, label):
            self._take(out)

    def _quote(self, event: Quote, j: int, t: int, _r: int, _out: Output) -> None:
        bid_size, ask_size = event.bid_size, event.ask_size
        tops = (event.bid, event.ask, bid_size, ask_size, bid_size, ask_size)
        on_top(self.g, self.f[j], self.k[j], t, 0, *tops)

    def _level2(self, event: BookDelta | BookSnapshot, j: int, t: int, _r: int, _out: Output) -> None:
        book = self.books[j]
        if book.apply(event):
            on_top(self.g, self.f[j], self.k[j], t, 1, *book.top())
        elif not book.valid:
            on_broken(self.g, self.f[j], self.k[j], t)

    def _gap(self, event: Gap, r: int) -> None:
        for j, symbol in enumerate(self.symbols):
            if event.symbol in ("", symbol):
                self.books[j].apply(event)
                on_void(self.g, self.f[j], self.k[j], r)

    def _status(self, event: Status, j: int, t: int, _r: int, _out: Output) -> None:
        if event.state != "bands":
            on_halt(self.g, self.f[j], self.k[j], t, int(event.state != "trading"))

    def _changed(self, event: Correction | Cancel, j: int, _t: int, r: int, _out: Output) -> None:
        self.revised.change(event, j, r)
