"""A row has the same bits from a recording and from a socket, however the events are cut."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.calendar import session_of
from data.errors import DataError, UsageError
from data.events import (
    Bar,
    BookDelta,
    BookSnapshot,
    Gap,
    Quote,
    Status,
    Trade,
    TradeCancel,
    TradeCorrection,
)
from data.events_columns import columns_of
from data.rowbuilder import Revision, RowBuilder
from data.rowbuilder_batch import BatchBuilder, rows_from_events
from data.rowbuilder_saved import restore, save
from data.rows import Row, rows_of

SECOND = 10**9
DAY = session_of("2024-11-29")  # a half day: 09:30 to 13:00
CASES = {
    "1m": {},
    "5s": {"hours": "extended", "revise_s": 20.0},
    "1s": {"hours": "always", "empty": False, "wait_s": 0.0},
    "15m": {"conditions": False},
    "30s": {"book": "binance"},
    "1d": {"wait_s": 5.0},
    "5t": {"symbols": ["A"]},
    "700v": {"symbols": ["A"], "hours": "extended"},
}


def number(value):
    return struct.pack("<d", value) if value == value else b"nan"


def bits(row, names):
    book = row.book or [[float("nan")] * names] * 13
    columns = (row.open, row.high, row.low, row.close, row.volume, *book)
    return (
        row.ts,
        row.session,
        number(row.since_open),
        number(row.to_close),
        *[tuple(map(number, c)) for c in columns],
    )


def seen(message, names):
    if isinstance(message, Revision):
        return (message.known_ts, message.reasons, message.symbols, bits(message.row, names))
    return bits(message, names)


ticks = st.integers(9_950, 10_050).map(lambda cents: cents / 100)
sizes = st.integers(0, 9).map(lambda lots: lots * 33.3)
sides = st.lists(st.tuples(ticks, sizes), max_size=3).map(tuple)


@st.composite
def streams(draw, near=(DAY.open_ns, DAY.close_ns)):
    """Events around the open or the close of a half day: late, early, corrected, crossed, for three symbols."""
    r = draw(st.sampled_from(near)) - 90 * SECOND
    events, ids = [], ["0"]
    for number_ in range(draw(st.integers(1, 60))):
        r += draw(st.sampled_from([0, 1, SECOND // 3, 2 * SECOND, 17 * SECOND, 200 * SECOND]))
        v = draw(st.sampled_from([0, r, r - 5, r - SECOND // 2, r - 3 * SECOND, r - 70 * SECOND, r + SECOND]))
        name = draw(st.sampled_from(["A", "A", "B", "Z"]))
        head = (name, v, r)
        kind = draw(st.integers(0, 12))
        price, size = draw(ticks), draw(sizes)
        if kind <= 4:
            ids.append(str(number_) if number_ % 2 else f"x{number_}")
            words = draw(st.sampled_from(["", "@", "@,I", "@,Z", "L", "@,T", "6", "@,P", "9", "M", "#12", "?"]))
            side = draw(st.sampled_from(["", "", "buy", "sell"]))
            tape, venue = draw(st.sampled_from("AC")), draw(st.sampled_from("NQ"))
            events.append(Trade(*head, price, size, words, side, ids[-1], venue, tape))
        elif kind <= 6:
            nothing = draw(st.booleans()) and kind == 6
            bid = float("nan") if nothing else price - draw(st.sampled_from([-0.01, 0.0, 0.01, 0.02]))
            events.append(Quote(*head, bid, price, size, draw(sizes)))
        elif kind == 7:
            events.append(BookSnapshot(*head, draw(sides), draw(sides)))
        elif kind == 8:
            events.append(BookDelta(*head, draw(sides), draw(sides), complete=draw(st.booleans())))
        elif kind == 9:
            events.append(Status(*head, draw(st.sampled_from(["halted", "paused", "trading", "bands"]))))
        elif kind == 10:
            events.append(Gap(draw(st.sampled_from(["", name])), 0, r, r - 5, r, "cut"))
        elif kind == 11:
            if draw(st.booleans()):
                events.append(TradeCancel(*head, draw(st.sampled_from(ids))))
            else:
                words = draw(st.sampled_from(["", "@", "@,I"]))
                events.append(TradeCorrection(*head, draw(st.sampled_from(ids)), price, size, words, "new", tape="C"))
        else:
            stamp = (v or r) // SECOND * SECOND
            bar = (price, price + 0.1, price - 0.1, price, size)
            events.append(Bar(name, stamp, r, "1s", *bar, updated=draw(st.booleans())))
    return events


@pytest.mark.parametrize("clock", CASES)
@given(events=streams(), cuts=st.lists(st.integers(0, 60), max_size=5))
@settings(deadline=None, max_examples=25)
def test_batch_and_stream_agree_under_any_chunking(clock, events, cuts):
    options = dict(CASES[clock])
    symbols = options.pop("symbols", ["A", "B"])
    live = RowBuilder(symbols, clock, **options)
    messages = [message for event in events for message in live.feed(event)] + live.finish()
    rows = [seen(m, len(symbols)) for m in messages if isinstance(m, Row)]
    news = [seen(m, len(symbols)) for m in messages if isinstance(m, Revision)]

    whole = rows_from_events(events, symbols, clock, **options)
    assert [seen(row, len(symbols)) for row in rows_of(whole.bars, whole.book)] == rows
    assert [seen(m, len(symbols)) for m in whole.revisions] == news
    assert whole.counts == live.counts

    batch = BatchBuilder(RowBuilder(symbols, clock, **options))
    edges = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    for n, (start, stop) in enumerate(pairwise(edges)):
        if n % 2:  # every other piece event by event
            for event in events[start:stop]:
                for message in batch.builder.feed(event):
                    batch.note(message)
        else:
            batch.feed(columns_of(events[start:stop]))
    pieces = batch.finish()
    assert [seen(row, len(symbols)) for row in rows_of(pieces.bars, pieces.book)] == rows
    assert [seen(m, len(symbols)) for m in pieces.revisions] == news
    assert pieces.counts == live.counts


@given(events=streams(), pulse=st.integers(1, 40))
@settings(deadline=None, max_examples=25)
def test_a_clock_that_ticks_between_events_changes_no_row(events, pulse):
    still, ticking = (RowBuilder(["A", "B"], "5s", hours="extended") for _ in range(2))
    wanted = [seen(m, 2) for event in events for m in still.feed(event)]
    found, now = [], events[0].recv_ts
    for event in events:
        while (now := now + pulse * SECOND // 4) < event.recv_ts and ticking.begun:
            found += [seen(m, 2) for m in ticking.advance(now)]
        now = event.recv_ts
        found += [seen(m, 2) for m in ticking.feed(event)]
    assert found == wanted


@pytest.mark.parametrize("clock", CASES)
@given(events=streams(), cuts=st.lists(st.integers(0, 60), max_size=4))
@settings(deadline=None, max_examples=25)
def test_a_builder_saved_and_restored_anywhere_gives_the_same_rows(clock, events, cuts):
    options = dict(CASES[clock])
    symbols = options.pop("symbols", ["A", "B"])
    whole = RowBuilder(symbols, clock, **options)
    wanted = [seen(m, len(symbols)) for event in events for m in whole.feed(event)]
    builder, found = RowBuilder(symbols, clock, **options), []
    for n, event in enumerate(events):
        if n in cuts:
            saved = save(builder)
            builder = RowBuilder(symbols, clock, **options)
            restore(builder, saved)
            assert save(builder) == saved
        found += [seen(m, len(symbols)) for m in builder.feed(event)]
    assert found == wanted
    assert save(builder) == save(whole)
    assert [seen(m, len(symbols)) for m in builder.finish()] == [seen(m, len(symbols)) for m in whole.finish()]
    assert builder.counts == whole.counts


def test_a_state_of_other_terms_or_of_nothing_is_refused():
    saved = save(RowBuilder(["A", "B"], "1m"))
    for other in (RowBuilder(["A"], "1m"), RowBuilder(["A", "B"], "5m"), RowBuilder(["A", "B"], "1m", wait_s=0.0)):
        with pytest.raises(UsageError, match="begin without it"):
            restore(other, saved)
    with pytest.raises(DataError, match="not the state of a row builder"):
        restore(RowBuilder(["A", "B"], "1m"), saved[:-1])


def test_revised_columns_hold_the_last_word_on_every_row():
    at = DAY.open_ns
    events = [
        Trade("A", at + 1, at + 1, 10.0, 100.0, trade_id="1"),
        Trade("A", at + 130 * SECOND, at + 130 * SECOND, 11.0, 100.0),
        Trade("A", at + 70 * SECOND, at + 131 * SECOND, 12.0, 50.0),
        TradeCancel("A", at, at + 132 * SECOND, "1"),
    ]
    built = rows_from_events(events, ["A"], "1m", empty=False)
    assert built.bars.close[:, 0].tolist() == [10.0, 11.0]
    assert [m.reasons for m in built.revisions] == [["cancel"], ["late"]]
    bars, book = built.revised()
    assert bars.ts.tolist() == [at + k * 60 * SECOND for k in (1, 2, 3)]
    assert str(bars.close[:, 0].tolist()) == "[nan, 12.0, 11.0]"
    assert bars.volume[:, 0].tolist() == [0.0, 50.0, 100.0]
    assert len(book) == 3
    assert bars.since_open.tolist() == [60.0, 120.0, 180.0]
