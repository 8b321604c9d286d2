"""Corporate actions: hand-computed cases, real files, and no action known before its day."""

import numpy as np
import pytest

from data import actions
from data.actions import Action, checked, lineage
from data.actions_file import read_actions
from data.calendar import closes_of, session_columns
from data.errors import DataError, UsageError
from data.sources.random_walk import random_bars
from data.store import Store
from data.types import Bars

DAYS = (20240102, 20240103, 20240104, 20240105)


def daily(closes, symbol="AAA", dates=DAYS, volume=100.0):
    """Daily rows whose open, high and low are the close."""
    ts = closes_of(np.array(dates[: len(closes)]))
    column = np.array(closes, dtype=float).reshape(-1, 1)
    return Bars((symbol,), ts, column, column, column, column, np.full_like(column, volume), *session_columns(ts, "1d"))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def closes(store, adjustment, symbol="AAA", **more):
    return store.load([symbol], "1d", adjustment=adjustment, **more)[0].close[:, 0].tolist()


def test_a_split_of_four_for_one_divides_what_was_before_it(store):
    store.put(daily([400.0, 408.0, 103.0, 104.0]), "1d", "test")
    store.put_actions([Action("AAA", 20240104, "split", 4.0)], "test")
    assert closes(store, "split") == [100.0, 102.0, 103.0, 104.0]
    assert store.load(["AAA"], "1d", adjustment="split")[0].volume[:, 0].tolist() == [400.0, 400.0, 100.0, 100.0]
    assert closes(store, "raw") == [400.0, 408.0, 103.0, 104.0]


def test_a_reverse_split_of_one_for_ten_multiplies_it(store):
    store.put(daily([1.0, 1.1, 11.5, 12.0]), "1d", "test")
    store.put_actions([Action("AAA", 20240104, "split", 0.1)], "test")
    assert closes(store, "split") == [10.0, 11.0, 11.5, 12.0]
    assert store.load(["AAA"], "1d", adjustment="split")[0].volume[:2, 0].tolist() == [10.0, 10.0]


def test_a_cash_dividend_is_reinvested_at_the_close_of_its_day(store):
    store.put(daily([50.0, 50.0, 49.0, 51.0]), "1d", "test")
    store.put_actions([Action("AAA", 20240104, "dividend", 1.0)], "test")
    # 49 / (49 + 1) = 0.98: 50 before is 49 of today's shares, and the return over the day is (49 + 1) / 50 = 1
    assert closes(store, "all") == [49.0, 49.0, 49.0, 51.0]
    assert closes(store, "split") == [50.0, 50.0, 49.0, 51.0]
    assert store.load(["AAA"], "1d", adjustment="all")[0].volume[:, 0].tolist() == [100.0] * 4


def test_a_range_is_adjusted_by_actions_after_it(store):
    store.put(daily([400.0, 408.0, 103.0, 104.0]), "1d", "test")
    store.put_actions([Action("AAA", 20240104, "split", 4.0), Action("AAA", 20240105, "dividend", 26.0)], "test")
    # 104 / 130 = 0.8
    assert closes(store, "all", end="2024-01-03") == [80.0, 102.0 * 0.8]


def test_no_later_action_is_known_as_of_a_day(store):
    store.put(daily([400.0, 408.0, 103.0, 104.0]), "1d", "test")
    store.put_actions([Action("AAA", 20240104, "split", 4.0), Action("AAA", 20240105, "dividend", 26.0)], "test")
    assert closes(store, "all", as_of="2024-01-03") == [400.0, 408.0]
    assert closes(store, "all", as_of="2024-01-04") == [100.0, 102.0, 103.0]
    assert closes(store, "all", as_of="2024-01-05") == [80.0, 102.0 * 0.8, 103.0 * 0.8, 104.0]
    # in the night after the split's eve nothing is known; an instant before the dividend's close has no price for it
    assert closes(store, "all", as_of=int(closes_of(np.array([20240105]))[0]) - 1) == [100.0, 102.0, 103.0]


def test_an_action_that_is_corrected_is_read_as_it_was_known(store):
    store.put(daily([400.0, 408.0, 103.0, 104.0]), "1d", "test")
    first, later = (int(ts) for ts in closes_of(np.array([20240103, 20240105])))
    store.put_actions([Action("AAA", 20240104, "split", 5.0)], "test", received=first)
    assert store.put_actions([Action("AAA", 20240104, "split", 4.0)], "test", received=later) == 1
    assert store.put_actions([Action("AAA", 20240104, "split", 4.0)], "test", received=later) == 0
    assert closes(store, "split", as_of="2024-01-04") == [80.0, 81.6, 103.0]
    assert closes(store, "split", as_of="2024-01-05") == [100.0, 102.0, 103.0, 104.0]
    assert [action.value for action in store.actions.of("AAA")] == [4.0]


def test_a_rename_joins_the_histories_of_both_names(store):
    store.put(daily([10.0, 11.0], "FB"), "1d", "test")
    store.put(daily([12.0, 13.0], "META", DAYS[2:]), "1d", "test")
    store.put_actions([Action("FB", 20240104, "rename", 1.0, "META")], "test", known=["FB", "META"])
    assert closes(store, "raw", "META") == [10.0, 11.0, 12.0, 13.0]
    assert closes(store, "raw", "META", end="2024-01-03") == [10.0, 11.0]
    assert closes(store, "raw", "FB", as_of="2024-01-03") == [10.0, 11.0]
    with pytest.raises(UsageError, match="'FB' is called 'META' now; load 'META'"):
        store.load(["FB"], "1d")
    with pytest.raises(UsageError, match="no rows of META from the first to the last as of 2024-01-03"):
        store.load(["META"], "1d", as_of="2024-01-03")
    # an action is recorded under the name of its day
    store.put_actions([Action("FB", 20240103, "split", 1.1)], "test")
    store.put_actions([Action("META", 20240105, "dividend", 13.0)], "test")
    assert np.allclose(closes(store, "all", "META"), [10.0 / 1.1 / 2, 5.5, 6.0, 13.0], rtol=1e-15)


def test_a_name_that_is_used_again_is_another_company():
    renames = [Action("X", 20200102, "rename", 1.0, "Y"), Action("Z", 20210104, "rename", 1.0, "X")]
    assert [tuple(span) for span in lineage("X", renames)] == [("X", 20210104, actions.NEVER), ("Z", 0, 20210104)]
    assert [tuple(span) for span in lineage("Y", renames)] == [("Y", 20200102, actions.NEVER), ("X", 0, 20200102)]
    assert [tuple(span) for span in lineage("X", renames[:1])] == [("X", 20200102, actions.NEVER)]
    assert [tuple(span) for span in lineage("X", [])] == [("X", 0, actions.NEVER)]


def test_prices_that_are_adjusted_already_are_not_adjusted_twice(store):
    store.put(daily([100.0, 102.0, 103.0, 104.0]), "1d", "test")
    store.put_actions([Action("AAA", 20240104, "split", 4.0)], "test")
    with pytest.raises(
        DataError, match=r"'AAA' do not jump at its split of 4 for 1 on 2024-01-04 .* --adjustment split"
    ):
        closes(store, "split")


def test_without_a_word_about_actions_nothing_is_adjusted(store):
    store.put(daily([100.0, 102.0]), "1d", "test")
    with pytest.raises(UsageError, match="nobody said which splits and dividends there were"):
        closes(store, "all")
    store.put_actions([], "test", known=["AAA"])
    assert closes(store, "all") == [100.0, 102.0]


def test_a_dataset_stored_as_adjusted_does_not_answer_as_of_a_day(store):
    store.put(daily([100.0, 102.0]), "1d", "test", "split")
    assert closes(store, "split") == [100.0, 102.0]
    with pytest.raises(UsageError, match="tell of later splits; as of a day needs raw ones"):
        closes(store, "split", as_of="2024-01-03")


def test_minutes_are_adjusted_by_their_session(store):
    bars, _ = random_bars(780, ("AAA",), 3, "1m", start=20240102)  # two sessions
    scale = np.where(bars.session == 20240102, 3.0, 1.0).reshape(-1, 1)
    prices = [getattr(bars, name) * scale for name in ("open", "high", "low", "close")]
    raw = Bars(bars.symbols, bars.ts, *prices, bars.volume, bars.session, bars.since_open, bars.to_close)
    store.put(raw, "1m", "test")
    store.put_actions([Action("AAA", 20240103, "split", 3.0)], "test")
    again = store.load(["AAA"], "1m", adjustment="split")[0]
    assert np.allclose(again.close, bars.close, rtol=1e-15)
    assert np.array_equal(again.volume[:390], bars.volume[:390] * 3)


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (Action("A", 20240104, "split", 0.0), "give 4 for 4:1"),
        (Action("A", 20240104, "split", float("nan")), "new shares for one"),
        (Action("A", 20240104, "dividend", -1.0), "give the cash amount"),
        (Action("A", 20240104, "rename", 1.0, "A"), "is not a new name"),
        (Action("A", 20240104, "merger", 1.0), "there is split, dividend, rename"),
        (Action("A", 20241304, "split", 2.0), "is not a date"),
    ],
)
def test_an_action_that_cannot_be_is_refused(store, action, sentence):
    with pytest.raises(DataError, match=sentence):
        store.put_actions([action], "test")
    assert not list(store.root.rglob("*.parquet"))


def test_actions_of_one_day_are_joined():
    day = [Action("A", 20240104, "dividend", 1.0), Action("A", 20240104, "dividend", 0.5)]
    assert checked(day) == [Action("A", 20240104, "dividend", 1.5)]


def test_raw_prices_and_actions_give_the_vendor_s_adjusted_close(store, shared):
    """Quandl's adj_close, up to one factor: it also carries the actions after the file's end."""
    pandas = pytest.importorskip("pandas")
    path = shared("equity_daily/wiki_pyalgotrade.parquet")
    frame = pandas.read_parquet(path)
    found, told = read_actions(path)
    assert set(told) == {"AAPL", "AES", "AIG", "IBM", "ORCL"}
    assert {action.kind for action in found} == {"split", "dividend"}
    for symbol, rows in frame.groupby("symbol"):
        dates = rows.ts.dt.strftime("%Y%m%d").astype(int).to_numpy()
        ts = closes_of(dates)
        columns = (rows[column].to_numpy().reshape(-1, 1) for column in ("open", "high", "low", "close", "volume"))
        store.put(Bars((symbol,), ts, *columns, *session_columns(ts, "1d")), "1d", "wiki")
    store.put_actions(found, "wiki", known=told)
    for symbol, rows in frame.groupby("symbol"):
        ours = np.array(closes(store, "all", symbol))
        wanted = rows.adj_close.to_numpy()
        years = rows.ts.dt.year.to_numpy()
        for year in np.unique(years):  # the file leaves whole years out, and their actions with them
            part = years == year
            factor = wanted[part][-1] / ours[part][-1]
            assert np.abs(ours[part] * factor / wanted[part] - 1).max() < 1e-12, (symbol, year)


def test_twelve_years_of_apple_are_adjusted_by_its_two_splits(store, shared):
    """Quandl rounds this adj_close to a cent; Apple paid no dividend from 1996 to August 2012."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(shared("equity_daily/wiki_5stocks_2000_2013.parquet"))
    rows = frame[(frame.symbol == "AAPL") & (frame.ts < "2012-08-09")]
    ts = closes_of(rows.ts.dt.strftime("%Y%m%d").astype(int).to_numpy())
    columns = (rows[column].to_numpy().reshape(-1, 1) for column in ("open", "high", "low", "close", "volume"))
    store.put(Bars(("AAPL",), ts, *columns, *session_columns(ts, "1d")), "1d", "wiki")
    store.put_actions([Action("AAPL", 20000621, "split", 2.0), Action("AAPL", 20050228, "split", 2.0)], "known")
    ours, wanted = np.array(closes(store, "all", "AAPL")), rows.adj_close.to_numpy()
    factor = wanted[-1] / ours[-1]
    assert len(ours) == 3_131
    assert np.abs(ours * factor - wanted).max() < 0.0051


def test_a_file_whose_prices_are_split_adjusted_is_refused(store, shared):
    pandas = pytest.importorskip("pandas")
    path = shared("equity_daily/zipline_csvdir_2012_2014.parquet")
    frame = pandas.read_parquet(path)
    found, told = read_actions(path)
    assert [(a.symbol, a.date, a.value) for a in found if a.kind == "split"] == [
        ("AAPL", 20140609, 7.0),
        ("KO", 20120813, 2.0),
    ]
    for symbol, rows in frame.groupby("symbol"):
        ts = closes_of(rows.ts.dt.strftime("%Y%m%d").astype(int).to_numpy())
        columns = (rows[column].to_numpy().reshape(-1, 1) for column in ("open", "high", "low", "close", "volume"))
        store.put(Bars((symbol,), ts, *columns, *session_columns(ts, "1d")), "1d", "zipline")
    store.put_actions(found, "zipline", known=told)
    for symbol in ("AAPL", "KO"):
        with pytest.raises(DataError, match="are adjusted already, and are not adjusted twice"):
            closes(store, "split", symbol)
    assert len(closes(store, "split", "IBM")) > 700
    # as of a day before the split nothing is wrong yet
    assert len(closes(store, "split", "AAPL", as_of="2014-06-06")) > 500


def test_a_file_of_actions_is_read_in_both_layouts(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("symbol,date,kind,value,to\nAAPL,2020-08-31,split,4,\nFB,2022-06-09,rename,,META\n")
    found, told = read_actions(path)
    assert found == [Action("AAPL", 20200831, "split", 4.0), Action("FB", 20220609, "rename", 1.0, "META")]
    assert told == ("AAPL", "FB")
    path.write_text("date,dividend,split_ratio\n2012-08-09,2.65,1.0\n2012-08-10,0,1\n")
    assert read_actions(path, "AAPL") == ([Action("AAPL", 20120809, "dividend", 2.65)], ("AAPL",))
    for text, sentence in (
        ("date,dividend\n2012-08-09,1\n", "has no column symbol"),
        ("symbol,dividend\nA,1\n", "has no column date"),
        ("symbol,date\nA,2012-08-09\n", "no column kind, dividend or split_ratio"),
        ("symbol,date,dividend\nA,soon,1\n", "row 2: 'soon' is not a date"),
        ("symbol,date,dividend\nA,2012-08-09,much\n", "row 2: could not convert"),
        ("", "has no rows"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=sentence):
            read_actions(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_actions(tmp_path / "none.csv")
