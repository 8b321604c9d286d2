"""Bars and books from pandas and back: every layout that vendors use, and every way to get the times wrong."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.calendar import NEW_YORK, close_of, session_of, utc
from data.errors import DataError, UsageError
from data.frames import bars_from_pandas, bars_to_pandas, book_from_pandas
from data.sources.random_walk import random_bars
from data.sources.sample import load
from data.types import FEATURES, PRICES, TIMES

pd = pytest.importorskip("pandas")


def minutes(start="2024-01-02 09:30", rows=4, freq="1min", tz="America/New_York", unit="us"):
    """A frame with columns of one price each, so that a mix-up shows."""
    index = pd.date_range(start, periods=rows, freq=freq, tz=tz, unit=unit)
    step = np.arange(rows)
    return pd.DataFrame(
        {"open": 10.0 + step, "high": 20.0 + step, "low": 5.0 + step, "close": 15.0 + step, "volume": 100.0 + step},
        index=index,
    )


def same(one, other) -> bool:
    return one.symbols == other.symbols and all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in (*TIMES, *PRICES)
    )


def test_label_must_be_said_and_the_error_says_why():
    with pytest.raises(UsageError, match=r"say label='start' or label='close'.*one row ahead"):
        bars_from_pandas(minutes())
    with pytest.raises(UsageError, match="label is 'left'"):
        bars_from_pandas(minutes(), label="left")


def test_start_and_close_labels_are_one_row_apart():
    start = bars_from_pandas(minutes(), label="start", symbol="A")
    close = bars_from_pandas(minutes(), label="close", symbol="A")
    assert utc(int(start.ts[0])) == "2024-01-02 14:31 UTC"
    assert utc(int(close.ts[0])) == "2024-01-02 14:30 UTC"
    assert start.since_open.tolist() == [60.0, 120.0, 180.0, 240.0]
    assert start.symbols == ("A",)
    assert start.close[:, 0].tolist() == [15.0, 16.0, 17.0, 18.0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Tokyo"])
def test_times_of_any_zone_and_unit_are_the_same_nanoseconds(unit, zone):
    frame = minutes(unit=unit)
    frame.index = frame.index.tz_convert(zone)
    assert same(bars_from_pandas(frame, label="start"), bars_from_pandas(minutes(), label="start"))


@pytest.mark.parametrize("write", [str.upper, str.title, lambda name: f" {name} "])
def test_columns_are_known_in_any_case_and_others_left_aside(write):
    frame = minutes().rename(columns=write).assign(vwap=1.0, **{"Adj Close": 2.0})
    assert same(bars_from_pandas(frame, label="start"), bars_from_pandas(minutes(), label="start"))


def test_alpaca_rows_by_symbol_and_time_leave_nan_where_a_symbol_has_none():
    rows = pd.concat({"BBB": minutes(), "AAA": minutes(rows=2)}, names=["symbol", "timestamp"])
    bars = bars_from_pandas(rows.assign(trade_count=1, vwap=1.0), label="start")
    assert bars.symbols == ("BBB", "AAA")
    np.testing.assert_array_equal(bars.close, [[15, 15], [16, 16], [17, np.nan], [18, np.nan]])
    assert np.isnan(bars.volume[2:, 1]).all()
    assert same(bars_from_pandas(rows.swaplevel(), label="start"), bars)


def test_columns_by_symbol_in_either_level_order():
    rows = {"BBB": minutes(), "AAA": minutes(rows=2)}
    wanted = bars_from_pandas(rows, label="start")
    wide = pd.concat(rows, axis=1)
    assert same(bars_from_pandas(wide, label="start"), wanted)
    yahoo = wide.swaplevel(axis=1).rename(columns=str.title, level=0)
    assert same(bars_from_pandas(yahoo, label="start"), wanted)


def test_a_long_frame_with_a_symbol_column():
    rows = pd.concat({"BBB": minutes(), "AAA": minutes(rows=2)}, names=["symbol", "time"]).reset_index()
    assert bars_from_pandas(rows, label="start").symbols == ("BBB", "AAA")


def test_a_polygon_answer_is_read_with_its_milliseconds():
    answer = {
        "ticker": "AAPL",
        "results": [
            {"t": 1704205800000, "o": 1.0, "h": 4.0, "l": 0.5, "c": 2.0, "v": 10, "vw": 1.5, "n": 3},
            {"t": 1704205860000, "o": 2.0, "h": 5.0, "l": 1.5, "c": 3.0, "v": 20, "vw": 2.5, "n": 4},
        ],
    }
    bars = bars_from_pandas(answer, label="start")
    assert bars.symbols == ("AAPL",)
    assert utc(int(bars.ts[0])) == "2024-01-02 14:31 UTC"
    assert [getattr(bars, name)[0, 0] for name in PRICES] == [1.0, 4.0, 0.5, 2.0, 10.0]


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_epoch_numbers_of_any_unit(scale):
    frame = minutes().reset_index(names="timestamp")
    frame["timestamp"] = frame["timestamp"].astype("datetime64[ns, UTC]").astype("int64") // 10**9 * scale
    assert same(bars_from_pandas(frame, label="start"), bars_from_pandas(minutes(), label="start"))


def test_intraday_times_without_a_zone_are_refused_with_the_cure():
    with pytest.raises(DataError, match=r"no zone, first 2024-01-02 09:30; say which.*tz_localize"):
        bars_from_pandas(minutes(tz=None), label="start")


@pytest.mark.parametrize("zone", [None, "America/New_York", "UTC"])
def test_daily_dates_are_sessions_and_their_rows_close_with_them(zone):
    frame = minutes("2024-11-27", 2, "2D", zone)
    bars = bars_from_pandas(frame, label="start")
    assert bars.session.tolist() == [20241127, 20241129]
    assert bars.ts.tolist() == [close_of(20241127), close_of(20241129)]
    assert bars.to_close.tolist() == [0.0, 0.0]


def test_daily_rows_across_a_clock_change_are_daily():
    index = pd.DatetimeIndex(["2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12"], tz="America/New_York")
    frame = minutes(rows=4).set_axis(index)
    assert bars_from_pandas(frame, label="start").session.tolist() == [20240307, 20240308, 20240311, 20240312]


def test_daily_dates_as_text_or_numbers():
    for dates in (["2024-01-02", "2024-01-03"], [20240102, 20240103], [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]):
        frame = minutes(rows=2).reset_index(drop=True).assign(Date=dates)
        assert bars_from_pandas(frame, label="close").session.tolist() == [20240102, 20240103]


def test_a_daily_row_on_a_holiday_is_refused():
    with pytest.raises(DataError, match="closed on 2024-12-25"):
        bars_from_pandas(minutes("2024-12-24", 3, "1D", None), label="close")


def test_rows_labelled_by_start_close_an_hour_later_in_summer_time_and_at_the_session_end():
    day = session_of("2024-03-11")
    index = pd.date_range("2024-03-11 09:30", periods=7, freq="1h", tz=NEW_YORK)
    frame = minutes(rows=7).set_axis(index)
    bars = bars_from_pandas(frame, label="start")
    assert bars.ts[0] == day.open_ns + 3_600 * 10**9
    assert bars.ts[-1] == day.close_ns  # 15:30 to 16:00
    half = session_of("2024-11-29")
    frame = minutes(rows=4).set_axis(pd.date_range("2024-11-29 09:30", periods=4, freq="1h", tz=NEW_YORK))
    assert bars_from_pandas(frame, label="start").ts[-1] == half.close_ns


def test_extended_hours_keep_their_full_rows():
    frame = minutes("2024-01-02 16:00", 3)
    assert utc(int(bars_from_pandas(frame, label="start").ts[0])) == "2024-01-02 21:01 UTC"


def test_the_clock_is_inferred_and_checked():
    assert bars_from_pandas(minutes(freq="5min"), label="start").since_open[0] == 300
    with pytest.raises(DataError, match="too close for 5m; is it 1m"):
        bars_from_pandas(minutes(), label="start", clock="5m")
    with pytest.raises(DataError, match="is the clock 5m"):
        bars_from_pandas(minutes(rows=30, freq="5min"), label="start", clock="1m")
    with pytest.raises(DataError, match="7 s apart at least, which is no clock"):
        bars_from_pandas(minutes(freq="7s"), label="start")
    with pytest.raises(DataError, match="one row does not tell its clock"):
        bars_from_pandas(minutes(rows=1), label="start")
    assert len(bars_from_pandas(minutes(rows=1), label="start", clock="1m")) == 1
    with pytest.raises(UsageError, match="write '5m'"):
        bars_from_pandas(minutes(), label="start", clock="5T")


def test_duplicate_and_unsorted_times_are_named_with_the_cure():
    frame = minutes()
    with pytest.raises(DataError, match=r"'A': 4 duplicate times, first 2024-01-02 14:30 UTC; keep one"):
        bars_from_pandas(pd.concat([frame, frame]).sort_index(), label="start", symbol="A")
    with pytest.raises(DataError, match="14:32 UTC comes after 2024-01-02 14:33 UTC; sort the rows"):
        bars_from_pandas(frame.iloc[::-1], label="start")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.drop(columns="volume"), "'ASSET' has no column volume; it has open, high, low, close"),
        (lambda f: f.assign(close=list("abcd")), "column 'close' is not numeric"),
        (lambda f: f.assign(Close=1.0), "two columns are called 'close'"),
        (lambda f: f.iloc[:0], "no rows"),
        (lambda f: f.set_axis(list("abcd")), "times cannot be read"),
        (lambda f: f.set_axis([0.5, 1.5, 2.5, 3.5]), "not whole numbers"),
        (lambda f: f.set_axis([None, *f.index[1:]]), "row 0 has no time"),
        (lambda f: 5, "int is not a DataFrame"),
        (lambda f: [], "no rows"),
    ],
)
def test_a_bad_frame_is_one_clear_sentence(change, sentence):
    with pytest.raises(DataError) as caught:
        bars_from_pandas(change(minutes()), label="start")
    assert sentence in str(caught.value)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 200), st.integers(1, 4), st.integers(0, 9), st.sampled_from(["1m", "1h", "1d", "1s"]))
def test_a_round_trip_keeps_every_bit(rows, symbols, seed, clock):
    bars, _ = random_bars(rows, symbols, seed, clock)
    assert same(bars_from_pandas(bars_to_pandas(bars), label="close", clock=clock), bars)


def test_the_sample_survives_pandas_with_its_late_listings():
    bars = load(start="2012-01-01")
    frame = bars_to_pandas(bars)
    assert frame["close"].shape == bars.shape
    assert same(bars_from_pandas(frame, label="close"), bars)


def test_a_book_is_laid_on_the_rows_of_its_bars():
    bars, book = random_bars(50, ("A", "B"), 3)
    parts = {name: pd.DataFrame(getattr(book, name), columns=["A", "B"]) for name in FEATURES}
    frame = pd.concat(parts, axis=1).set_axis(pd.DatetimeIndex(bars.ts, tz="UTC"))
    again = book_from_pandas(frame, bars)
    assert all(getattr(again, name).tobytes() == getattr(book, name).tobytes() for name in FEATURES)
    later = book_from_pandas(frame.iloc[10:], bars)
    assert np.isnan(later.bid[:10]).all()
    assert later.bid[10:].tobytes() == book.bid[10:].copy().tobytes()


def test_spread_mid_and_microprice_follow_from_the_quote():
    bars, book = random_bars(5, ("A",), 3)
    names = ("bid", "ask", "bid_size", "ask_size")
    frame = pd.DataFrame({name: getattr(book, name)[:, 0] for name in names}, pd.DatetimeIndex(bars.ts, tz="UTC"))
    again = book_from_pandas(frame, bars)
    for name in (*names, "spread", "mid", "microprice"):
        np.testing.assert_array_equal(getattr(again, name), getattr(book, name))
    assert np.isnan(again.ofi).all()
    with pytest.raises(DataError, match="no column of a book"):
        book_from_pandas(frame[["bid"]].rename(columns={"bid": "x"}), bars)


def test_real_minutes_of_a_month_lie_on_their_sessions(shared):
    frame = pd.read_parquet(shared("equity_minute/SPY_2011-01.parquet"))
    bars = bars_from_pandas(frame, label="start")
    assert bars.symbols == ("SPY",)
    inside = (bars.since_open > 0) & (bars.to_close >= 0)
    dates, counts = np.unique(bars.session[inside], return_counts=True)
    assert len(dates) == 20
    assert (counts == 390).all()
