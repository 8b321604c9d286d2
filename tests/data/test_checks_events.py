"""Quotes, recordings and rows that are wrong by their place are found, with symbol, time and what to do."""

import dataclasses

import numpy as np
import pytest

from data.checks import check_bars
from data.checks_events import CROSSED_SHARE, EventChecks, check_book, check_events
from data.events import BookDelta, BookSnapshot, Gap, Quote, Trade
from data.sources.random_walk import random_bars
from data.types import Bars

T = 1_704_205_800_000_000_000
SECOND = 1_000_000_000


def trade(i, price, size=100.0, **more):
    return Trade("AAPL", T + i * SECOND, T + i * SECOND + 5, price, size, **more)


def quote(i, bid, ask, size=100.0):
    return Quote("AAPL", T + i * SECOND, T + i * SECOND + 5, bid, ask, size, size)


def kinds(events):
    return [(finding.kind, finding.level) for finding in check_events(events)]


def test_good_events_have_no_findings():
    assert check_events([trade(0, 100.0), quote(1, 99.9, 100.1), trade(2, 100.1, trade_id="1")]) == []


@pytest.mark.parametrize(
    ("events", "kind", "level"),
    [
        ([quote(0, 100.1, 100.0)], "crossed", "warning"),
        ([quote(i, 99.0 + 2 * (i == 7), 100.0, i) for i in range(50)], "crossed", "error"),
        ([quote(0, 100.0, 100.0)], "locked", "warning"),
        ([quote(0, 0.0, 100.0)], "quote", "warning"),
        ([trade(0, 0.0)], "price", "error"),
        ([trade(0, float("nan"))], "price", "error"),
        ([trade(0, 100.0, 0.0)], "size", "error"),
        ([trade(0, 100.0), trade(1, 80.0), trade(2, 100.0)], "outlier", "warning"),
        ([trade(0, 100.0, trade_id="7"), trade(1, 100.0, trade_id="7")], "double", "warning"),
        ([trade(1, 100.0), trade(0, 100.0)], "order", "warning"),
        ([Trade("AAPL", T + 2 * SECOND, T, 100.0, 1.0)], "ahead", "warning"),
        ([Gap("", 0, T, T - 9, T, "cut")], "lost", "warning"),
        ([quote(i, 99.0, 100.0) for i in range(250)], "stale", "warning"),
        ([BookSnapshot("B", T, T, (), (), 5), BookDelta("B", T, T, (), (), 8, 9, 7)], "sequence", "warning"),
    ],
)
def test_what_is_wrong_with_events_is_found(events, kind, level):
    assert kinds(events) == [(kind, level)]
    (finding,) = check_events(events)
    assert ";" in finding.sentence
    assert finding.ts > 0


def test_a_price_that_goes_far_and_stays_is_news_and_not_an_outlier():
    assert kinds([trade(0, 100.0), trade(1, 80.0), trade(2, 81.0), trade(3, 80.5)]) == []


def test_a_finding_says_symbol_time_count_and_cure():
    (found,) = check_events([quote(0, 1.0, 2.0), quote(1, 3.0, 2.0), quote(2, 3.0, 2.0, 5.0)])
    assert found.sentence == (
        "events of 'AAPL': 2 of 3 quotes are crossed, first 2024-01-02 14:30:01.000000005 UTC; do not trade on them"
    )
    assert (found.symbol, found.ts) == ("AAPL", T + SECOND + 5)


def test_memory_of_ids_is_bounded():
    checks = EventChecks()
    for i in range(50_000):
        checks.add(trade(i, 100.0, trade_id=str(i)))
    assert len(checks._symbols["AAPL"].ids) == 20_000
    assert checks.findings() == []


def test_a_book_that_crosses_beside_rows_is_found():
    bars, book = random_bars(200, ("A", "B"), 3)
    assert check_book(bars, book) == []
    for count, level in ((1, "warning"), (int(200 * CROSSED_SHARE) + 1, "error")):
        bid = book.bid.copy()
        bid[50 : 50 + count, 1] = book.ask[50 : 50 + count, 1] + 0.01
        (found,) = check_book(bars, dataclasses.replace(book, bid=bid))
        assert (found.symbol, found.kind, found.level, found.ts) == ("B", "crossed", level, int(bars.ts[50]))
    locked = book.bid.copy()
    locked[3, 0] = book.ask[3, 0]
    assert check_book(bars, dataclasses.replace(book, bid=locked))[0].kind == "locked"


def only(bars, kind):
    return [finding for finding in check_bars(bars, "1m") if finding.kind == kind]


def test_times_of_one_offset_all_year_are_an_hour_off_in_summer():
    from data.calendar import SECOND_NS, session_columns

    bars, _ = random_bars(20 * 390, ("A",), 3, start="2024-03-04")  # the clocks change on 10 March
    moved = np.where(bars.session >= 20240311, bars.ts + 3_600 * SECOND_NS, bars.ts)
    prices = [getattr(bars, name) for name in ("open", "high", "low", "close", "volume")]
    (found,) = only(Bars(bars.symbols, moved, *prices, *session_columns(moved, "1m")), "shift")
    assert found.level == "error"
    assert "15 sessions an hour off, first 2024-03-11 14:31 UTC; give the time zone" in found.sentence
    assert only(bars, "shift") == []


def test_a_symbol_that_seldom_trades_is_not_an_hour_off():
    """No trade in the first hour and one after the close, every day: thin, not wrong."""
    from data.calendar import SECOND_NS, session_columns, sessions

    days = sessions(20240102, 20240301)
    ts = np.array([at for day in days for at in (day.close_ns - 60 * SECOND_NS, day.close_ns + 60 * SECOND_NS)])
    column = np.full((len(ts), 1), 10.0) + np.arange(len(ts)).reshape(-1, 1) / 1_000
    bars = Bars(("A",), ts, column, column, column, column, column, *session_columns(ts, "1m"))
    assert only(bars, "shift") == []


def test_half_days_are_neither_gaps_nor_shifted():
    bars, _ = random_bars(6 * 390, ("A",), 3, start="2024-11-25")
    assert len(np.unique(bars.session)) > 5
    assert check_bars(bars, "1m") == []


def test_rows_on_a_holiday_are_found():
    from data.calendar import session_columns

    bars, _ = random_bars(390, ("A",), 3, start="2024-01-12")
    holiday = bars.ts + 3 * 86_400 * SECOND  # Martin Luther King Day
    ts = np.concatenate([bars.ts, holiday])
    prices = [np.tile(getattr(bars, name), (2, 1)) for name in ("open", "high", "low", "close", "volume")]
    (found,) = only(Bars(bars.symbols, ts, *prices, *session_columns(ts, "1m")), "closed")
    assert "390 rows on days without a session, first 2024-01-15 14:31 UTC" in found.sentence


def test_a_source_that_stands_still_is_found():
    bars, _ = random_bars(390, ("A",), 3)
    changed = {}
    for name in ("open", "high", "low", "close", "volume"):
        column = getattr(bars, name).copy()
        column[100:112] = column[100]
        changed[name] = column
    (found,) = only(dataclasses.replace(bars, **changed), "stale")
    assert found.ts == int(bars.ts[101])
    assert "1 runs of the same row again and again" in found.sentence


def test_a_known_split_explains_a_jump_and_one_that_is_not_seen_is_an_error():
    bars, _ = random_bars(780, ("A",), 3, start="2024-01-02")
    assert check_bars(bars, "1m") == []
    (found,) = check_bars(bars, "1m", {"A": {20240103: 4.0}})
    assert (found.kind, found.level) == ("double", "error")
    scale = np.where(bars.session == 20240102, 4.0, 1.0).reshape(-1, 1)
    prices = {name: getattr(bars, name) * scale for name in ("open", "high", "low", "close")}
    raw = dataclasses.replace(bars, **prices)
    assert [finding.kind for finding in check_bars(raw, "1m")] == ["split"]
    assert check_bars(raw, "1m", {"A": {20240103: 4.0}}) == []
