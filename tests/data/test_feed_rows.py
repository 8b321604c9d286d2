"""Rows of a feed that is lost again and again are the rows of the whole tape; all time here is an argument."""

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from data.calendar import MINUTE_NS, SECOND_NS, session_of
from data.errors import UsageError
from data.events import Bar, Gap, Quote, Trade
from data.feed_rows import LiveRows
from data.feed_saved import keep, load
from data.rowbuilder import RowBuilder
from data.rowbuilder_batch import rows_from_events
from data.rows import Revision, Row, rows_of

SYMBOLS = ("A", "B")
OPEN = session_of("2024-01-02").open_ns
MS = 1_000_000
STEP_NS = 250 * MS


def tape_of(seed, minutes):
    """Trades in time order, a few a minute, some minutes without any."""
    rng = random.Random(seed)
    trades = []
    for symbol in SYMBOLS:
        for minute in range(minutes):
            for at in sorted(rng.sample(range(1, 59_990), rng.choice([0, 1, 3, 6]))):
                price = 100.0 + rng.randint(-50, 50) / 100.0
                ts = OPEN + minute * MINUTE_NS + at * MS
                trades.append((ts, symbol, price, float(rng.randint(1, 9)), f"{symbol}{minute}.{at}"))
    return sorted(trades)


def bars_of(trades, symbol, first, last):
    """The vendor's minute bars that close after `first` and until `last`."""
    found = {}
    for ts, name, price, size, _ in trades:
        close = ts // MINUTE_NS * MINUTE_NS + MINUTE_NS
        if name == symbol and first < close <= last:
            o, h, low, _, v = found.get(close, (price, price, price, price, 0.0))
            found[close] = (o, max(h, price), min(low, price), price, v + size)
    return {close: Bar(symbol, close, close, "1m", *row) for close, row in found.items()}


class World:
    """A venue, a line that breaks, a vendor's history, and time.

    outages: (from, to), ns: what arrives between is lost. dead: history does not answer until then.
    """

    def __init__(self, trades, outages, seed, *, dead=0, stream_bars=True, published_s=4.0):
        rng = random.Random(seed)
        self.trades, self.outages, self.dead, self.published = trades, outages, dead, int(published_s * SECOND_NS)
        self.rng = rng
        coming = []
        arrival = 0
        for ts, symbol, price, size, name in trades:
            arrival = max(arrival, ts + rng.randint(1, 200) * MS)
            coming.append((arrival, Trade(symbol, ts, arrival, price, size, trade_id=name)))
        for symbol in SYMBOLS if stream_bars else ():
            for close, bar in bars_of(trades, symbol, 0, 1 << 62).items():
                at = close + rng.randint(300, 1_500) * MS
                coming.append((at, Bar(symbol, close, at, "1m", bar.open, bar.high, bar.low, bar.close, bar.volume)))
        self.coming = sorted((each for each in coming if not self.is_out(each[0])), key=lambda each: each[0])

    def is_out(self, ts):
        return any(a <= ts < b for a, b in self.outages)

    def gaps(self, last_good):
        """Each loss, told twice: when it is noticed, and when the feed is back."""
        for a, b in self.outages:
            start = max((ts for ts in last_good if ts < a), default=a)
            noticed = min(a + 700 * MS, b)
            yield noticed, Gap("", 0, noticed, start, noticed, "cut")
            yield b, Gap("", 0, b, start, b, "back")

    def answer(self, asked, now):
        if now < self.dead:
            return None
        bars = []
        for symbol in SYMBOLS:
            bars += [
                bar
                for close, bar in bars_of(self.trades, symbol, asked.start, asked.end).items()
                if close + self.published <= asked.now
            ]
        return bars


def play(world, rows, until, begin, restart=None):
    """Run the world; everything that was given out. restart: (instant, function that gives new rows)."""
    last_good = [ts for ts, _ in world.coming]
    coming = sorted([*world.coming, *world.gaps(last_good)], key=lambda each: each[0])
    out, answers, now, at, begun = [], [], begin, 0, False
    while now < until:
        now += STEP_NS
        if restart is not None and now >= restart[0]:
            rows, restart, begun, answers = restart[1](now), None, False, []
        if not begun and not world.is_out(now):
            while at < len(coming) and coming[at][0] <= now:
                at += 1  # nobody listened
            out += rows.begin(begin, now)
            begun = True
        while begun and at < len(coming) and coming[at][0] <= now:
            out += rows.take(coming[at][1])
            at += 1
        for due, asked in [each for each in answers if each[0] <= now]:
            answers.remove((due, asked))
            out += rows.filled(asked, world.answer(asked, now), now)
        if begun or rows.lost:
            out += rows.tick(now)
        while (asked := rows.wants(now)) is not None:
            answers.append((now + world.rng.randint(500, 3_000) * MS, asked))
    return out, rows


def told(row):
    return repr((row.ts, row.open, row.high, row.low, row.close, row.volume))


def truth_of(trades, clock, first):
    nan = float("nan")
    events = [Quote("A", first, first, nan, nan, 0.0, 0.0)]  # says nothing, but that time begins here
    events += [Trade(symbol, ts, ts, price, size, trade_id=name) for ts, symbol, price, size, name in trades]
    return {row.ts: row for row in rows_of(rows_from_events(events, SYMBOLS, clock).bars)}


def check(out, trades, clock, last, first=OPEN):
    """Rows as they are known at the end, against the whole tape; and in order, each once."""
    rows = [each for each in out if isinstance(each, Row)]
    assert [row.ts for row in rows] == sorted({row.ts for row in rows})
    known = {row.ts: row for row in rows} | {each.row.ts: each.row for each in out if isinstance(each, Revision)}
    truth = {ts: row for ts, row in truth_of(trades, clock, first).items() if ts <= last}
    assert [told(known[ts]) for ts in sorted(known) if ts <= last] == [told(row) for row in truth.values()]
    return rows


moments = st.integers(0, 10 * 60).map(lambda s: OPEN + s * SECOND_NS)


@st.composite
def outages(draw):
    edges = sorted(set(draw(st.lists(moments, max_size=6))))
    return list(zip(edges[::2], edges[1::2], strict=False))


@pytest.mark.parametrize("clock", ["1m", "2m", "5m"])
@given(lost=outages(), seed=st.integers(0, 10**6), streamed=st.booleans(), joins=st.integers(0, 150))
@settings(deadline=None, max_examples=30)
def test_whatever_is_lost_the_rows_are_the_tape_s(clock, lost, seed, streamed, joins):
    trades = tape_of(seed, 16)
    world = World(trades, lost, seed, stream_bars=streamed)
    begin = OPEN + joins * SECOND_NS
    rows = LiveRows(RowBuilder(SYMBOLS, clock), patience_s=60.0)
    out, rows = play(world, rows, OPEN + 14 * MINUTE_NS, begin)
    found = check_from(out, trades, clock, OPEN + 13 * MINUTE_NS, begin)
    assert rows.unfilled == 0
    assert sum(a > begin + MINUTE_NS for a, _ in lost) <= rows.gaps <= len(lost)
    if not lost and not joins:
        assert not [each for each in out if isinstance(each, Revision)]
    assert len(found) >= 2


def check_from(out, trades, clock, last, begin):
    """The same, from the row that holds `begin` on."""
    rows = [each for each in out if isinstance(each, Row)]
    step = {"1m": 1, "2m": 2, "5m": 5}[clock] * MINUTE_NS
    first = OPEN + (begin - OPEN) // step * step
    kept = [each for each in trades if each[0] >= first]
    check(out, kept, clock, last, first)
    return rows


@given(lost=outages(), seed=st.integers(0, 10**6), cut=moments, down=st.integers(1, 200))
@settings(deadline=None, max_examples=30)
def test_a_feed_that_is_restarted_anywhere_goes_on_with_the_rows_of_the_tape(tmp_path_factory, lost, seed, cut, down):
    trades = tape_of(seed, 18)
    path = tmp_path_factory.mktemp("feed") / "state"
    world = World(trades, lost, seed)
    first = LiveRows(RowBuilder(SYMBOLS, "1m"), patience_s=60.0)
    before, first = play(world, first, max(cut, OPEN + STEP_NS), OPEN)
    assume(first.builder.begun)
    keep(path, first)
    second = LiveRows(RowBuilder(SYMBOLS, "1m"), patience_s=60.0)
    again = first.now + down * SECOND_NS
    assert load(path, second, again) == ""
    after, second = resume(world, second, OPEN + 16 * MINUTE_NS, again)
    check([*before, *after], trades, "1m", OPEN + 15 * MINUTE_NS)
    assert second.unfilled == 0


def resume(world, rows, until, now):
    """Go on with rows that were restored at `now`."""
    late = World.__new__(World)
    late.__dict__ |= world.__dict__ | {"coming": [each for each in world.coming if each[0] > now]}
    late.outages = [(max(a, now + 1), b) for a, b in world.outages if b > now + 1]
    return play(late, rows, until, now)


@given(seed=st.integers(0, 10**6), lost=outages())
@settings(deadline=None, max_examples=20)
def test_rows_of_bars_alone_are_the_tape_s_as_well(seed, lost):
    trades = tape_of(seed, 16)
    world = World(trades, lost, seed)
    world.coming = [each for each in world.coming if isinstance(each[1], Bar)]
    rows = LiveRows(RowBuilder(SYMBOLS, "1m"), patience_s=60.0, from_bars=True)
    out, rows = play(world, rows, OPEN + 14 * MINUTE_NS, OPEN)
    check(out, trades, "1m", OPEN + 13 * MINUTE_NS)


def test_a_row_behind_a_gap_goes_out_as_it_is_when_history_does_not_answer_and_is_right_when_it_does():
    trades = tape_of(3, 8)
    cut = (OPEN + 70 * SECOND_NS, OPEN + 100 * SECOND_NS)
    for dead, unfilled in ((OPEN + 60 * MINUTE_NS, 2), (OPEN + 80 * SECOND_NS, 0)):
        world = World(trades, [cut], 3, dead=dead, stream_bars=False)
        rows = LiveRows(RowBuilder(SYMBOLS, "1m"), patience_s=30.0)
        out, rows = play(world, rows, OPEN + 6 * MINUTE_NS, OPEN)
        assert rows.unfilled == unfilled
        assert [each.ts for each in out if isinstance(each, Row)][:5] == [OPEN + n * MINUTE_NS for n in range(1, 6)]


def test_while_the_line_is_down_rows_go_on_from_history_and_late():
    trades = tape_of(5, 10)
    world = World(trades, [(OPEN + 90 * SECOND_NS, OPEN + 10 * MINUTE_NS)], 5)
    rows = LiveRows(RowBuilder(SYMBOLS, "1m"))
    out, rows = play(world, rows, OPEN + 8 * MINUTE_NS, OPEN)
    assert rows.lost
    assert len([each for each in out if isinstance(each, Row)]) >= 6
    check(out, trades, "1m", OPEN + 7 * MINUTE_NS)


def test_rows_of_seconds_do_not_wait_and_minute_bars_cannot_make_them():
    rows = LiveRows(RowBuilder(["A"], "5s"))
    rows.begin(OPEN, OPEN + 1)
    out = rows.take(Trade("A", OPEN + SECOND_NS, OPEN + SECOND_NS, 10.0, 1.0))
    out += rows.take(Gap("", 0, OPEN + 2 * SECOND_NS, OPEN + SECOND_NS, OPEN + 2 * SECOND_NS, "cut"))
    out += rows.tick(OPEN + 11 * SECOND_NS)
    assert [each.ts - OPEN for each in out] == [5 * SECOND_NS, 10 * SECOND_NS]
    assert rows.wants(OPEN + 60 * SECOND_NS) is None
    with pytest.raises(UsageError, match="stream trades, or take 1m"):
        LiveRows(RowBuilder(["A"], "5s"), from_bars=True)


def test_a_loss_that_only_a_bar_shows_revises_the_row():
    rows = LiveRows(RowBuilder(["A", "B"], "1m"))
    close = OPEN + MINUTE_NS
    rows.begin(OPEN, OPEN)
    out = rows.take(Trade("A", OPEN + SECOND_NS, OPEN + SECOND_NS, 10.0, 1.0))
    out += rows.take(Quote("A", OPEN + SECOND_NS, OPEN + SECOND_NS, 9.0, 11.0, 1.0, 1.0))
    out += rows.tick(close + SECOND_NS)
    out += rows.take(Bar("A", close, close + SECOND_NS, "1m", 10.0, 12.0, 10.0, 11.0, 5.0))
    out += rows.take(Gap("A", 0, close + 3 * SECOND_NS, OPEN, close, "the minute's bar holds more"))
    out += rows.tick(close + MINUTE_NS + SECOND_NS)
    first, second, revision = out
    assert isinstance(revision, Revision)
    assert (first.close[0], revision.row.close[0], revision.reasons) == (10.0, 11.0, ["gap"])
    assert (first.volume[0], revision.row.volume[0]) == (1.0, 5.0)
    assert second.ts == close + MINUTE_NS
    assert revision.row.ts == first.ts
