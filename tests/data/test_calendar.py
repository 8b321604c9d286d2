"""The exchange calendar against exchange_calendars, and the edges of a day, a season and the horizon."""

import datetime as dt

import numpy as np
import pytest

from data import calendar
from data.calendar import (
    close_of,
    closes_of,
    is_regular,
    parse_clock,
    periods_per_year,
    row_times,
    session_columns,
    session_of,
    sessions,
    sessions_from,
    utc,
)
from data.errors import DataError, UsageError


def at(day: str, clock: str) -> int:
    """UTC nanoseconds of a New York wall time."""
    moment = dt.datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=calendar.NEW_YORK)
    return int(moment.timestamp()) * 10**9


def test_every_session_opens_and_closes_as_in_exchange_calendars():
    exchange_calendars = pytest.importorskip("exchange_calendars")
    theirs = exchange_calendars.get_calendar("XNYS", start=str(calendar.FIRST_DAY), end=str(calendar.LAST_DAY)).schedule
    ours = sessions(calendar.FIRST_DAY, calendar.LAST_DAY)
    assert [day.date for day in ours] == [int(f"{stamp:%Y%m%d}") for stamp in theirs.index]
    opens, closes = (theirs[name].astype("datetime64[ns, UTC]").astype("int64") for name in ("open", "close"))
    np.testing.assert_array_equal([day.open_ns for day in ours], opens)
    np.testing.assert_array_equal([day.close_ns for day in ours], closes)


def test_holidays_agree_with_an_independent_table(shared):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(shared("calendar/us_equity_holidays_early_closes.parquet"))
    ours = {day.date: day for day in sessions("2000-01-01", calendar.LAST_DAY)}
    table = table[table.date.astype("datetime64[ns]") >= "2000-01-01"]
    holidays = [stamp for stamp in table.loc[table.kind == "holiday", "date"] if stamp.weekday() < 5]
    assert not [stamp for stamp in holidays if int(f"{stamp:%Y%m%d}") in ours]
    early = {int(f"{stamp:%Y%m%d}") for stamp in table.loc[table.kind == "early_close", "date"]}
    shown = {date for date, day in ours.items() if day.close_ns - day.open_ns < 6.5 * 3600 * 10**9}
    assert shown <= early


def test_a_half_day_closes_at_13_00_new_york():
    day = session_of("2024-11-29")
    assert (day.open_ns, day.close_ns) == (at("2024-11-29", "09:30"), at("2024-11-29", "13:00"))


def test_the_open_moves_in_utc_when_clocks_change():
    friday, monday = sessions("2024-03-08", "2024-03-11")
    assert utc(friday.open_ns) == "2024-03-08 14:30 UTC"
    assert utc(monday.open_ns) == "2024-03-11 13:30 UTC"
    friday, monday = sessions("2024-11-01", "2024-11-04")
    assert (utc(friday.open_ns), utc(monday.open_ns)) == ("2024-11-01 13:30 UTC", "2024-11-04 14:30 UTC")


@pytest.mark.parametrize(
    ("day", "clock", "session", "since_open", "to_close"),
    [
        ("2024-01-02", "09:30:00", 20240102, 0, 23_400),  # closes as the session opens: pre-market
        ("2024-01-02", "09:31:00", 20240102, 60, 23_340),
        ("2024-01-02", "16:00:00", 20240102, 23_400, 0),
        ("2024-01-02", "16:01:00", 20240102, 23_460, -60),
        ("2024-01-02", "20:00:00", 20240102, 37_800, -14_400),
        ("2024-01-02", "20:01:00", 20240103, -48_540, 71_940),
        ("2024-01-02", "04:00:00", 20240102, -19_800, 43_200),
        ("2024-11-29", "13:00:00", 20241129, 12_600, 0),  # half day
        ("2024-11-29", "14:00:00", 20241129, 16_200, -3_600),
        ("2024-01-06", "12:00:00", 20240108, -163_800, 187_200),  # Saturday: Monday's pre-market
        ("2024-03-11", "09:31:00", 20240311, 60, 23_340),  # first day of summer time
    ],
)
def test_a_row_knows_its_session_and_its_place_in_it(day, clock, session, since_open, to_close):
    columns = session_columns(np.array([at(day, clock)]), "1m")
    assert [column[0] for column in columns] == [session, since_open, to_close]


def test_regular_hours_exclude_the_row_that_closes_at_the_open():
    ts = np.array([at("2024-01-02", c) for c in ("09:30", "09:31", "16:00", "16:01")])
    assert is_regular(*session_columns(ts, "1m")[1:]).tolist() == [False, True, True, False]


def test_daily_rows_must_lie_on_their_session_close():
    ts = np.array([close_of(20241129), close_of("2024-12-02")])
    session, since_open, to_close = session_columns(ts, "1d")
    assert session.tolist() == [20241129, 20241202]
    assert since_open.tolist() == [12_600, 23_400]
    assert to_close.tolist() == [0, 0]
    with pytest.raises(DataError, match="daily row at 2024-12-02 00:00 UTC is not at the close"):
        session_columns(np.array([at("2024-12-01", "19:00")]), "1d")


def test_closes_of_many_dates_are_those_of_each():
    dates = np.array([20241129, 20240102, 20241129])
    assert closes_of(dates).tolist() == [close_of(int(date)) for date in dates]
    with pytest.raises(DataError, match="closed on 2024-12-25"):
        closes_of(np.array([20240102, 20241225]))


@pytest.mark.parametrize(("clock", "full", "half"), [("1m", 390, 210), ("1h", 7, 4), ("1d", 1, 1)])
def test_rows_fill_a_session_and_end_with_it(clock, full, half):
    for day, count in ((session_of("2024-11-27"), full), (session_of("2024-11-29"), half)):
        times = row_times([day], clock)
        assert len(times) == count
        assert times[-1] == day.close_ns
        assert (session_columns(times, clock)[0] == day.date).all()


@pytest.mark.parametrize(
    ("clock", "seconds", "periods"),
    [("1s", 1, 252 * 23_400), ("1m", 60, 98_280), ("15m", 900, 6_552), ("1h", 3_600, 1_764), ("1d", 86_400, 252)],
)
def test_clocks_have_seconds_and_rows_a_year(clock, seconds, periods):
    assert parse_clock(clock) == seconds
    assert periods_per_year(clock) == periods


@pytest.mark.parametrize(
    ("theirs", "ours"), [("1Min", "1m"), ("5T", "5m"), ("1D", "1d"), ("minute", "1m"), ("1Hour", "1h"), ("day", "1d")]
)
def test_a_clock_in_another_spelling_is_told_ours(theirs, ours):
    with pytest.raises(UsageError, match=f"write '{ours}'"):
        parse_clock(theirs)


@pytest.mark.parametrize("clock", ["", "7m", "1w", "0m", "1.5h"])
def test_what_is_no_clock_is_told_the_list(clock):
    with pytest.raises(UsageError, match="there is 1s, 5s"):
        parse_clock(clock)


def test_days_outside_the_horizon_are_named():
    with pytest.raises(DataError, match="2029-01-02 is outside the exchange calendar, which covers 1990"):
        session_of("2029-01-02")
    with pytest.raises(DataError, match="1989-12-29 is outside"):
        sessions("1989-12-29", "1990-01-05")
    with pytest.raises(DataError, match="row at 2030-06-03 14:31 UTC is outside"):
        session_columns(np.array([at("2030-06-03", "10:31")]), "1m")
    with pytest.raises(DataError, match="10 sessions from 2028-12-28 is outside"):
        sessions_from("2028-12-28", 10)


def test_dates_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="'Jan 2' is not a date"):
        sessions("Jan 2", "2024-01-05")
    with pytest.raises(UsageError, match="swap them"):
        sessions("2024-02-01", "2024-01-01")
    with pytest.raises(DataError, match=r"closed on 2024-12-25 \(Wednesday\)"):
        session_of(20241225)
    assert sessions("2024-12-25", "2024-12-25") == []


def test_sessions_are_counted_from_a_day():
    assert [day.date for day in sessions_from("2024-12-24", 3)] == [20241224, 20241226, 20241227]


def test_the_calendar_needs_no_pandas(python):
    code = "import sys; from data.calendar import close_of; close_of(20240102); print('pandas' in sys.modules)"
    assert python("-c", code).stdout == "False\n"
