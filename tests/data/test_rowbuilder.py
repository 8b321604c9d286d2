"""What a row holds: times, prices, volume and book features, when things go well and when they do not."""

import pytest

from data.calendar import row_times, session_of, sessions
from data.errors import DataError, UsageError
from data.events import Bar, BookDelta, BookSnapshot, Gap, Quote, Status, Trade, TradeCancel, TradeCorrection
from data.rowbuilder import Revision, RowBuilder
from data.rowbuilder_batch import rows_from_bars, rows_from_events
from data.rows import Row
from data.types import FEATURES

SECOND, MINUTE = 10**9, 60 * 10**9
DAY = session_of("2024-11-29")  # a half day: 09:30 to 13:00
OPEN, CLOSE = DAY.open_ns, DAY.close_ns
OFI, SELL_FLOW, AGE = (FEATURES.index(name) for name in ("ofi", "sell_flow", "age"))


def trade(seconds, price, size=100.0, conditions="", late=0.0, symbol="A", start=OPEN, **more):
    t = start + round(seconds * SECOND)
    return Trade(symbol, t, t + round(late * SECOND), price, size, conditions, **more)


def quote(seconds, bid, ask, bid_size=1.0, ask_size=1.0, late=0.0):
    t = OPEN + round(seconds * SECOND)
    return Quote("A", t, t + round(late * SECOND), bid, ask, bid_size, ask_size)


def messages(events, clock="1m", symbols=("A",), **options):
    builder = RowBuilder(symbols, clock, **options)
    return [message for event in events for message in builder.feed(event)] + builder.finish()


def rows(*arguments, **options):
    return [message for message in messages(*arguments, **options) if isinstance(message, Row)]


def revisions(*arguments, **options):
    return [message for message in messages(*arguments, **options) if isinstance(message, Revision)]


def prices(row, j=0):
    return (row.open[j], row.high[j], row.low[j], row.close[j], row.volume[j])


def test_a_row_holds_its_trades_and_is_named_by_its_close():
    events = [trade(0, 10.0), trade(20, 12.0), trade(40, 9.0), trade(59.999, 11.0, 50.0), trade(60, 20.0)]
    first, second = rows(events)
    assert prices(first) == (10.0, 12.0, 9.0, 11.0, 350.0)
    assert (first.ts, first.session, first.since_open, first.to_close) == (OPEN + MINUTE, 20241129, 60.0, 12540.0)
    assert prices(second) == (20.0, 20.0, 20.0, 20.0, 100.0)
    assert first.book is None


def test_rows_are_those_of_the_calendar_on_a_half_day_and_over_a_weekend():
    """Pre-market trades make no regular row; the session ends at 13:00; Monday begins at its own open."""
    monday = session_of("2024-12-02")
    events = [trade(-60, 1.0), trade(30, 10.0), trade(3.5 * 3600 + 1, 2.0), trade(5, 11.0, start=monday.open_ns)]
    for clock in ("5m", "15m", "1h", "1d"):
        found = rows(events, clock)
        wanted = row_times(sessions("2024-11-29", "2024-12-02"), clock).tolist()
        assert [row.ts for row in found] == wanted[: len(found)]
        assert wanted[len(found) - 1] > monday.open_ns
        assert sum(row.volume[0] for row in found) == 200.0
    assert prices(rows(events, "1d")[0]) == (10.0, 10.0, 10.0, 10.0, 100.0)


def test_extended_rows_never_span_the_open_and_form_t_sets_their_prices():
    events = [
        trade(-90, 9.0, conditions="@,T"),
        trade(-1, 9.5, conditions="@,T"),
        trade(0, 10.0),
        trade(10, 7.0, conditions="@,T"),
    ]
    found = rows(events, "1h", hours="extended")
    assert [row.ts for row in found] == [OPEN, OPEN + 60 * MINUTE]
    assert prices(found[0]) == (9.0, 9.5, 9.0, 9.5, 200.0)
    assert prices(found[1]) == (10.0, 10.0, 10.0, 10.0, 200.0)
    assert found[0].since_open == 0.0


def test_a_market_that_never_closes_counts_from_midnight_utc():
    (row,) = rows([trade(7, 10.0)], "1d", hours="always")
    assert (row.ts % (86_400 * SECOND), row.session, row.to_close) == (0, 20241129, 0.0)


def test_rows_without_trades_are_given_or_left_out():
    events = [trade(1, 10.0), trade(181, 11.0)]
    found = rows(events)
    assert [str(row.close) for row in found] == ["[10.0]", "[nan]", "[nan]", "[11.0]"]
    assert [row.volume[0] for row in found] == [100.0, 0.0, 0.0, 100.0]
    assert [row.ts for row in rows(events, empty=False)] == [OPEN + MINUTE, OPEN + 4 * MINUTE]
    two = rows([*events, trade(182, 5.0, symbol="B")], symbols=("A", "B"), empty=False)
    assert str([row.close for row in two]) == "[[10.0, nan], [11.0, 5.0]]"


def test_conditions_decide_what_a_trade_updates():
    events = [
        trade(1, 10.0),
        trade(2, 50.0, conditions="@,I"),  # odd lot: volume only
        trade(3, 12.0, conditions="@,Z"),  # sold out of sequence: high, not last
        trade(4, 60.0, conditions="M"),  # official close: nothing
    ]
    assert prices(rows(events)[0]) == (10.0, 12.0, 10.0, 10.0, 300.0)
    assert prices(rows(events, conditions=False)[0]) == (10.0, 60.0, 10.0, 60.0, 400.0)
    assert prices(rows([trade(3, 12.0, conditions="@,Z")])[0])[3] == 12.0  # the session's only one may
    assert str(prices(rows([trade(2, 50.0, conditions="@,I")])[0])) == "(nan, nan, nan, nan, 100.0)"


def test_sold_last_on_cta_follows_the_exchange_of_the_last_price():
    events = [trade(1, 10.0, exchange="N", tape="A"), trade(2, 11.0, conditions="L", exchange="Q", tape="A")]
    assert prices(rows(events)[0])[3] == 10.0
    events.append(trade(3, 12.0, conditions="L", exchange="N", tape="A"))
    assert prices(rows(events)[0])[3] == 12.0


def test_open_and_close_go_by_time_not_by_arrival():
    events = [trade(10, 10.0), trade(50, 13.0), trade(40, 12.0, late=11), trade(5, 9.0, late=47)]
    assert prices(rows(events)[0]) == (9.0, 13.0, 9.0, 13.0, 400.0)


def test_a_trade_on_its_way_at_the_close_is_awaited():
    events = [trade(59.9, 10.0, late=0.2), trade(60.0, 11.0, late=0.15)]
    assert [row.close[0] for row in rows(events)] == [10.0, 11.0]
    events.insert(0, trade(10, 9.0))
    assert [row.close[0] for row in rows(events, wait_s=0.0)] == [9.0, 11.0]
    (late,) = revisions(events, wait_s=0.0)
    assert (late.row.close, late.reasons, late.known_ts) == ([10.0], ["late"], OPEN + 60_100_000_000)


def test_a_late_trade_revises_the_row_it_belongs_to_and_the_seen_row_stands():
    events = [trade(10, 10.0), trade(70, 11.0), trade(30, 14.0, late=45), trade(50, 9.0, late=30), trade(130, 12.0)]
    found = messages(events)
    assert [type(message) for message in found] == [Row, Row, Revision, Row]
    assert prices(found[0]) == (10.0, 10.0, 10.0, 10.0, 100.0)
    revision = found[2]
    assert prices(revision.row) == (10.0, 14.0, 9.0, 9.0, 300.0)
    assert (revision.row.ts, revision.reasons, revision.known_ts) == (OPEN + MINUTE, ["late"], OPEN + 80 * SECOND)


def test_corrections_and_cancels_change_open_rows_at_once_and_shown_ones_by_revision():
    events = [trade(10, 10.0, trade_id="1"), trade(20, 99.0, trade_id="2"), trade(30, 11.0, trade_id="3")]
    at = OPEN + 40 * SECOND
    fixed = TradeCorrection("A", at, at, "2", 10.5, 40.0, "@", new_id="2b")
    assert prices(rows([*events, fixed])[0]) == (10.0, 11.0, 10.0, 11.0, 240.0)
    after = [TradeCancel("A", at, at + MINUTE, "2b"), TradeCancel("A", at, at + MINUTE, "3"), trade(125, 12.0)]
    found = messages([*events, fixed, *after])
    assert [type(message) for message in found] == [Row, Row, Revision, Row]
    assert prices(found[2].row) == (10.0, 10.0, 10.0, 10.0, 100.0)
    assert found[2].reasons == ["cancel"]


def test_a_change_that_changes_nothing_is_no_revision_and_a_stranger_is_counted():
    builder = RowBuilder(["A"], "1m", revise_s=60.0)
    for event in (
        trade(10, 10.0, trade_id="1"),
        trade(70, 10.0),
        trade(20, 10.0, 0.0, "@,I", late=60),
        trade(300, 9.0),
    ):
        assert not any(isinstance(message, Revision) for message in builder.feed(event))
    builder.feed(TradeCancel("A", 0, OPEN + 301 * SECOND, "1"))  # too long ago
    builder.feed(TradeCancel("A", 0, OPEN + 301 * SECOND, "nobody"))
    builder.feed(trade(5, 3.0, late=300))
    builder.feed(trade(306, 3.0, symbol="B"))
    assert builder.counts == {"other": 1, "unmatched": 2, "too_late": 1}


def test_a_closing_print_after_the_close_belongs_to_the_last_row():
    events = [trade(1, 10.0), trade(3.5 * 3600 + 2, 12.0, 900.0, "@,6"), trade(3.5 * 3600 + 3, 13.0, 7.0, "@,T")]
    (row,) = rows(events, "1d", wait_s=5.0)
    assert prices(row) == (10.0, 12.0, 10.0, 12.0, 1000.0)
    found = messages(events, "1d")
    assert [type(message) for message in found] == [Row, Revision]
    assert prices(found[1].row) == prices(row)
    assert found[0].ts == CLOSE


def test_book_features_are_those_before_the_close():
    events = [
        quote(10, 10.0, 11.0, 4.0, 2.0),
        trade(20, 11.0, 30.0),  # at the offer: a buy
        quote(30, 10.0, 11.0, 6.0, 2.0),  # the bid grows by 2
        trade(40, 10.0, 10.0),  # at the bid: a sell
        quote(60, 1.0, 2.0, 1.0, 1.0),  # belongs to the next row
    ]
    row = rows(events)[0]
    # microprice (10 * 2 + 11 * 6) / 8; imbalance (6 - 2) / 8
    assert [column[0] for column in row.book] == [
        10.0,
        11.0,
        6.0,
        2.0,
        1.0,
        10.5,
        10.75,
        0.5,
        2.0,
        6.0,
        2.0,
        0.25,
        30.0,
    ]
    assert rows(events)[1].book[OFI] == [-7.0]  # the bid of 6 falls away, a lower offer of 1 comes


def test_a_quote_on_its_way_still_counts_and_one_after_the_close_never_does():
    events = [quote(10, 10.0, 11.0), quote(59.9, 10.2, 11.0, late=0.2), trade(61, 10.5)]
    assert rows(events)[0].book[0] == [10.2]
    events.insert(1, quote(60.05, 10.9, 11.0))
    assert rows(events)[0].book[0] == [10.0]


def test_an_aggressor_told_by_the_venue_outranks_lee_ready():
    events = [quote(1, 10.0, 11.0), trade(2, 11.0, aggressor="sell"), trade(3, 10.0, 300.0, aggressor="buy")]
    assert rows(events)[0].book[SELL_FLOW] == [0.25]


def test_a_valid_book_outranks_quotes_which_serve_when_it_breaks():
    at = OPEN + SECOND
    snapshot = BookSnapshot("A", at, at, ((10.0, 1.0), (9.0, 3.0)), ((11.0, 2.0),), sequence=5)
    broken = BookDelta("A", at, at + MINUTE, ((10.0, 9.0),), first=9, last=9, prev=8)
    events = [quote(0.5, 1.0, 2.0), snapshot, quote(2, 1.0, 2.0), trade(59, 10.0), broken, trade(119, 10.0)]
    events += [quote(130, 10.5, 10.7, 5.0, 5.0), trade(150, 10.0)]
    found = [row.book for row in rows(events, book="okx")]
    assert (found[0][0], found[0][9], found[0][10]) == ([10.0], [4.0], [2.0])
    assert found[0][OFI] == [0.0]  # the change from quotes to a book is no flow
    assert found[1] is None
    assert (found[2][0], found[2][9], found[2][AGE]) == ([10.5], [5.0], [50.0])


def test_a_lost_feed_and_a_halt_leave_nothing_known():
    events = [quote(1, 10.0, 11.0), trade(2, 10.0), Gap("", 0, OPEN + 30 * SECOND, OPEN, OPEN + 30 * SECOND, "cut")]
    assert rows(events)[0].book is None
    halted, resumed = (
        Status("A", OPEN + s * SECOND, OPEN + s * SECOND, state) for s, state in ((30, "halted"), (90, "trading"))
    )
    found = rows([quote(1, 10.0, 11.0), trade(2, 10.0), halted, quote(40, 10.0, 12.0, 50.0), resumed, trade(91, 10.0)])
    assert found[0].book is None
    assert (found[1].book[1], found[1].book[OFI]) == ([12.0], [0.0])


def test_rows_by_trades_and_by_volume():
    events = [trade(k, 10.0 + k, 100.0) for k in range(5)]
    found = rows(events, "2t")
    assert [prices(row)[::3] for row in found] == [(10.0, 11.0), (12.0, 13.0), (14.0, 14.0)]
    assert [row.ts for row in found] == [OPEN + SECOND, OPEN + 3 * SECOND, CLOSE]
    found = rows([*events, trade(4, 15.0, 900.0)], "250v")
    assert [row.volume[0] for row in found] == [300.0, 1100.0]
    assert [row.ts for row in rows([trade(1, 1.0, 9.0), trade(1, 2.0, 9.0)], "5v")] == [
        OPEN + SECOND,
        OPEN + SECOND + 1,
    ]
    cancelled = messages(
        [
            trade(1, 10.0, trade_id="1"),
            trade(2, 11.0),
            TradeCancel("A", 0, OPEN + 3 * SECOND, "1"),
            trade(4, 9.0),
            trade(5, 8.0),
        ],
        "2t",
    )
    assert [type(message) for message in cancelled] == [Row, Row, Revision]
    assert prices(cancelled[2].row) == (11.0, 11.0, 11.0, 11.0, 100.0)


def test_bars_make_larger_bars_and_an_updated_one_takes_its_place():
    def bar(minute, close, volume, updated=False, after=0):
        ts = OPEN + minute * MINUTE
        return Bar("A", ts, ts + after, "1m", close - 1, close + 2, close - 2, close, volume, updated=updated)

    events = [bar(1, 10.0, 100.0), bar(4, 12.0, 50.0), bar(5, 11.0, 10.0), bar(6, 20.0, 1.0)]
    first, second = rows(events, "5m")
    assert prices(first) == (9.0, 14.0, 8.0, 11.0, 160.0)
    assert prices(second) == (19.0, 22.0, 18.0, 20.0, 1.0)
    fix = bar(5, 15.0, 30.0, updated=True, after=30 * SECOND)
    found = messages([*events[:3], fix, bar(10, 20.0, 1.0), bar(11, 20.0, 1.0)], "5m")
    (revision,) = [message for message in found if isinstance(message, Revision)]
    assert prices(revision.row) == (9.0, 17.0, 8.0, 15.0, 180.0)
    assert revision.reasons == ["updated"]
    day = rows_from_events(events, ["A"], "1m").bars
    again = rows_from_bars(day, "1m", "5m").bars
    assert again.high[:, 0].tolist() == [14.0, 22.0]


@pytest.mark.parametrize(
    ("symbols", "clock", "options", "message"),
    [
        (["A"], "7m", {}, "'7m' is not a clock"),
        (["A"], "0t", {}, "500t"),
        (["A"], "1Min", {}, "write '1m'"),
        (["A", "B"], "100t", {}, "one symbol at a time"),
        (["A", "A"], "1m", {}, "each once"),
        ([], "1m", {}, "got none"),
        (["A"], "1d", {"hours": "extended"}, "regular or always"),
        (["A"], "1m", {"hours": "night"}, "no hours 'night'"),
        (["A"], "1s", {"wait_s": 2.0}, "wait_s 2.0"),
        (["A"], "1m", {"book": "nyse"}, "no book rule"),
    ],
)
def test_what_cannot_be_built_says_so(symbols, clock, options, message):
    with pytest.raises(UsageError, match=message):
        RowBuilder(symbols, clock, **options)


def test_an_event_outside_the_calendar_says_so():
    for ts in (0, 4 * 10**18):
        for build in (messages, lambda events: rows_from_events(events, ["A"])):
            with pytest.raises(DataError, match="outside the exchange calendar"):
                build([Trade("A", ts, ts, 1.0, 1.0)])


def test_no_events_are_no_rows():
    built = rows_from_events([], ["A"])
    assert (len(built.bars), len(built.book), built.revisions) == (0, 0, [])
    assert messages([]) == []
