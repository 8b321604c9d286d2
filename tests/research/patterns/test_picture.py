"""A picture is made of known rows alone, and an anonymous one says nothing of who or when."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from data.sources.random_walk import random_bars
from data.types import PRICES, Bars
from research.patterns.picture import picture_at, picture_of

MARKET, _ = random_bars(200, ["AAA", "BBB"], seed=3, gaps=True)


def changed(bars, t, seed):
    """The bars with everything after row `t` replaced."""
    random = np.random.Generator(np.random.PCG64(seed))
    columns = {name: getattr(bars, name).copy() for name in PRICES}
    for column in columns.values():
        column[t + 1 :] = random.uniform(1.0, 500.0, column[t + 1 :].shape)
    times = {name: getattr(bars, name) for name in ("ts", "session", "since_open", "to_close")}
    return Bars(bars.symbols, **times, **columns)


@given(t=st.integers(10, 199), seed=st.integers(0, 2**32), rows=st.integers(5, 80), anonymous=st.booleans())
def test_changing_later_rows_changes_no_picture(t, seed, rows, anonymous):
    def drawn(bars):
        try:
            return picture_at(bars, t, "AAA", "1m", rows=rows, anonymous=anonymous)
        except DataError as error:
            return str(error)

    assert drawn(MARKET) == drawn(changed(MARKET, t, seed)) == drawn(MARKET.rows(0, t + 1))


def test_a_picture_by_hand(daily_bars):
    bars = daily_bars([40, 42, 44, 46, 50], volume=[100, 100, 200, 100, 300])
    picture = picture_of(bars, "AAA", "1d")
    # index = price / 50 * 100; volume over the median of 100, 100, 200, 100, 300 = 100
    assert json.loads(picture.text) == {
        "clock": "1d",
        "columns": ["session", "open", "high", "low", "close", "volume"],
        "rows": [
            [-4, 80.0, 81.0, 79.0, 80.0, 1.0],
            [-3, 80.0, 85.0, 79.0, 84.0, 1.0],
            [-2, 84.0, 89.0, 83.0, 88.0, 2.0],
            [-1, 88.0, 93.0, 87.0, 92.0, 1.0],
            [0, 92.0, 101.0, 91.0, 100.0, 3.0],
        ],
        "minutes_since_open": None,
        "minutes_to_close": None,
        "symbol": "AAA",
        "last_close": 50.0,
        "time": "2024-06-07 20:00 UTC",
    }
    assert (picture.symbol, picture.ts, picture.last) == ("AAA", int(bars.ts[-1]), 50.0)


def test_an_anonymous_picture_is_the_same_for_another_name_price_and_date(daily_bars):
    one = picture_of(daily_bars([40, 42, 44, 46, 50]), "AAA", "1d", anonymous=True)
    closes = np.array([40, 42, 44, 46, 50])
    other = daily_bars(closes * 4, symbols=("ZZZ",), start="2010-03-01")
    wide = {name: getattr(daily_bars(closes), name) * 4 for name in ("open", "high", "low", "close")}
    times = {name: getattr(other, name) for name in ("ts", "session", "since_open", "to_close", "volume")}
    other = Bars(("ZZZ",), **times, **wide)
    assert picture_of(other, "ZZZ", "1d", anonymous=True).text == one.text
    assert "AAA" not in one.text
    assert "2024" not in one.text
    assert "last_close" not in one.text


def test_a_row_without_a_price_is_null(daily_bars):
    rows = json.loads(picture_of(daily_bars([40, 41, np.nan, 43, 44, 45]), "AAA", "1d").text)["rows"]
    assert rows[2] == [-3, None, None, None, None, 0.0]


def test_what_cannot_be_pictured_is_said(daily_bars):
    with pytest.raises(DataError, match="no price on the last row"):
        picture_of(daily_bars([1, 2, 3, 4, 5, np.nan]), "AAA", "1d")
    with pytest.raises(DataError, match="4 rows with a price; a picture needs 5"):
        picture_of(daily_bars([1, 2, 3, 4]), "AAA", "1d")
    with pytest.raises(UsageError, match="no symbol 'AA'; did you mean 'AAA'"):
        picture_of(daily_bars([1, 2, 3, 4, 5]), "AA", "1d")
    with pytest.raises(UsageError, match="row 5 is not one of 5"):
        picture_at(daily_bars([1, 2, 3, 4, 5]), 5, "AAA", "1d")
