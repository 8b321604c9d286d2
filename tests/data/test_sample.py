"""The five real stocks of the sample: adjusted, raw, cut to a range; and how a source is found."""

import numpy as np
import pytest

from data import calendar
from data.errors import UsageError
from data.sources import sample
from data.sources.base import Source, load_source, sources


def test_the_sample_covers_every_session_of_its_years():
    bars = sample.load()
    assert bars.symbols == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    days = calendar.sessions("2000-03-01", "2013-03-01")
    assert bars.session.tolist() == [day.date for day in days]
    assert bars.ts.tolist() == [day.close_ns for day in days]
    assert not bars.to_close.any()


def test_a_symbol_is_nan_before_it_was_listed():
    bars = sample.load(["FB", "IBM"])
    listed = np.flatnonzero(~np.isnan(bars.close[:, 0]))
    assert bars.session[listed[0]] == 20120518
    assert (np.diff(listed) == 1).all()
    assert not np.isnan(bars.close[:, 1]).any()


def test_adjusted_returns_are_those_of_an_owner_and_raw_ones_jump_at_the_split():
    # MSFT 2-for-1 on 2003-02-18: printed 48.30 on the 14th, 24.96 on the 18th.
    raw = sample.load(["MSFT"], "2003-02-14", "2003-02-18", "raw").close[:, 0]
    assert raw.tolist() == [48.30, 24.96]
    adjusted = sample.load(["MSFT"], "2003-02-14", "2003-02-18").close[:, 0]
    assert 0.03 < adjusted[1] / adjusted[0] - 1 < 0.04  # 24.96 * 2 / 48.30, and 0.08 dividend on the 19th


def test_adjusting_keeps_the_order_of_prices_and_the_money_paid():
    raw, adjusted = sample.load(adjustment="raw"), sample.load()
    assert not (adjusted.high < np.fmax(adjusted.open, adjusted.close)).any()
    assert not (adjusted.low > np.fmin(adjusted.open, adjusted.close)).any()
    np.testing.assert_allclose(adjusted.close * adjusted.volume, raw.close * raw.volume, rtol=1e-12)


def test_the_sample_agrees_with_another_copy_of_the_same_prices(shared):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(shared("equity_daily/wiki_5stocks_2000_2013.parquet"))
    for symbol in sample.symbols():
        theirs = table[table.symbol == symbol].sort_values("ts")
        bars = sample.load([symbol], adjustment="raw")
        dates = theirs["date"].astype("datetime64[ns]").dt.strftime("%Y%m%d").astype(int)
        both = np.isin(bars.session, dates)
        assert both.sum() > 0.99 * len(dates)
        np.testing.assert_array_equal(bars.close[both, 0], theirs["close"][np.isin(dates, bars.session)])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"symbols": ["APPL"]}, "no symbol 'APPL'; did you mean 'AAPL'?"),
        ({"symbols": ["IBM", "IBM"]}, "asked for twice"),
        ({"symbols": []}, "no symbols asked for"),
        ({"start": "2020-01-01"}, "it has 2000-03-01 to 2013-03-01"),
        ({"symbols": ["FB"], "end": "2012-01-01"}, "it has 2012-05-18 to 2013-03-01"),
        ({"adjustment": "split"}, "not one of all, raw"),
        ({"start": "soon"}, "'soon' is not a date"),
    ],
)
def test_what_the_sample_does_not_have_is_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(UsageError) as caught:
        sample.load(**arguments)
    assert sentence in str(caught.value)


def test_every_source_is_found_by_its_name():
    assert "sample" in sources()
    for name in sources():
        assert isinstance(load_source(name), Source)
    with pytest.raises(UsageError, match="did you mean 'sample'"):
        load_source("sampel")


def test_the_sample_needs_no_pandas(python):
    code = "import sys; from data.sources.sample import load; load(); print('pandas' in sys.modules)"
    assert python("-c", code).stdout == "False\n"
