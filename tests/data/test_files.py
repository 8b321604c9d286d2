"""A user's CSV or Parquet: many ways to write the same bars, and one sentence for each that is none."""

import gzip

import numpy as np
import pytest

from data.calendar import utc
from data.errors import DataError, UsageError
from data.files import read_bars
from data.types import PRICES

pd = pytest.importorskip("pandas")

HEAD = "open,high,low,close,volume"
ROWS = ["10,12,9,11,100", "11,13,10,12,200", "12,14,11,13.1,300"]


def csv(tmp_path, times, head="timestamp", name="aapl_1m.csv"):
    lines = [f"{head},{HEAD}", *(f"{time},{row}" for time, row in zip(times, ROWS, strict=False))]
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


MINUTES = {
    "zulu": ["2024-01-02T14:30:00Z", "2024-01-02T14:31:00Z", "2024-01-02T14:32:00Z"],
    "offset": ["2024-01-02 09:30:00-05:00", "2024-01-02 09:31:00-05:00", "2024-01-02 09:32:00-05:00"],
    "seconds": ["1704205800", "1704205860", "1704205920"],
    "milliseconds": ["1704205800000", "1704205860000", "1704205920000"],
    "microseconds": ["1704205800000000", "1704205860000000", "1704205920000000"],
    "nanoseconds": ["1704205800000000000", "1704205860000000000", "1704205920000000000"],
}


@pytest.mark.parametrize("times", MINUTES.values(), ids=MINUTES.keys())
@pytest.mark.parametrize("head", ["ts", "Timestamp", "DATE", "datetime", "Time"])
def test_times_in_any_form_under_any_name(tmp_path, times, head):
    bars = read_bars(csv(tmp_path, times, head), label="start")
    assert bars.symbols == ("AAPL",)
    assert [utc(int(ts)) for ts in bars.ts] == [f"2024-01-02 14:{minute} UTC" for minute in (31, 32, 33)]
    assert [getattr(bars, name)[-1, 0] for name in PRICES] == [12.0, 14.0, 11.0, 13.1, 300.0]


def test_times_without_a_zone_need_one(tmp_path):
    path = csv(tmp_path, ["2024-01-02 09:30", "2024-01-02 09:31", "2024-01-02 09:32"])
    with pytest.raises(DataError, match="no zone"):
        read_bars(path, label="start")
    assert utc(int(read_bars(path, label="start", timezone="America/New_York").ts[0])) == "2024-01-02 14:31 UTC"
    with pytest.raises(UsageError, match="'New York' is not a time zone"):
        read_bars(path, label="start", timezone="New York")
    night = csv(tmp_path, ["2024-11-03 01:30", "2024-11-03 01:31"], name="night.csv")
    with pytest.raises(DataError, match="double in America/New_York"):
        read_bars(night, label="start", timezone="America/New_York")


def test_date_and_time_may_be_two_columns(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"Date,Time,{HEAD}\n2024-01-02,09:30,{ROWS[0]}\n2024-01-02,09:31,{ROWS[1]}\n")
    bars = read_bars(path, label="close", timezone="America/New_York")
    assert utc(int(bars.ts[0])) == "2024-01-02 14:30 UTC"


def test_daily_files_hold_session_dates_in_any_zone(tmp_path):
    for times in (["2024-01-02", "2024-01-03"], ["20240102", "20240103"], ["01/02/2024", "01/03/2024"]):
        bars = read_bars(csv(tmp_path, times, "Date"), label="close", timezone="America/New_York")
        assert bars.session.tolist() == [20240102, 20240103]


def test_other_separators_compression_and_parquet_give_the_same_bars(tmp_path):
    path = csv(tmp_path, MINUTES["zulu"])
    wanted = read_bars(path, label="start")
    text = path.read_text()
    (tmp_path / "aapl.tsv").write_text(text.replace(",", "\t"))
    (tmp_path / "aapl.csv").write_text(text.replace(",", ";"))
    (tmp_path / "aapl.csv.gz").write_bytes(gzip.compress(text.encode()))
    pd.read_csv(path).to_parquet(tmp_path / "aapl.parquet")
    pd.read_csv(path, index_col=0, parse_dates=True).to_parquet(tmp_path / "aapl.pq")
    for name in ("aapl.tsv", "aapl.csv", "aapl.csv.gz", "aapl.parquet", "aapl.pq"):
        bars = read_bars(tmp_path / name, label="start")
        for column in (*PRICES, "ts"):
            np.testing.assert_array_equal(getattr(bars, column), getattr(wanted, column), name)


def test_an_index_saved_without_a_name_is_the_time(tmp_path):
    pd.read_csv(csv(tmp_path, MINUTES["zulu"]), index_col=0).rename_axis(None).to_csv(tmp_path / "saved.csv")
    assert len(read_bars(tmp_path / "saved.csv", label="start")) == 3


def test_one_symbol_of_a_file_with_several(tmp_path):
    path = tmp_path / "many.csv"
    rows = [f"{symbol},{time},{ROWS[0]}" for symbol in ("AAPL", "IBM") for time in MINUTES["zulu"]]
    path.write_text("\n".join([f"symbol,timestamp,{HEAD}", *rows]))
    assert read_bars(path, label="start").symbols == ("AAPL", "IBM")
    assert read_bars(path, label="start", symbol="IBM").symbols == ("IBM",)
    with pytest.raises(DataError, match="no symbol 'APPL'; did you mean 'AAPL'"):
        read_bars(path, label="start", symbol="APPL")


def test_prices_keep_every_digit(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"ts,{HEAD}\n1704205800,0.1,0.30000000000000004,0.1,0.1,1\n1704205860,0.1,1,0.1,0.1,1\n")
    assert read_bars(path, label="close").high[0, 0] == 0.30000000000000004


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.csv", b"", "cannot be read"),
        ("x.csv", b"\xff\xfe\x00\x01,\n\x80\x81", "cannot be read"),
        ("x.csv", b"a,b\n1,2\n", "has no column of times"),
        ("x.csv", b"ts,open,high,low,close\n1704205800,1,1,1,1\n", "has no column volume"),
        ("x.csv", b"ts,open,high,low,close,volume\n", "has no rows"),
        ("x.csv", b"ts,open,high,low,close,volume\nnoon,1,1,1,1,1\n", "cannot be read as times"),
        ("x.csv.gz", b"not gzip", "cannot be read"),
        ("x.parquet", b"PAR1 cut off", "cannot be read"),
        ("x.xlsx", b"", "neither CSV nor Parquet"),
    ],
)
def test_a_file_that_holds_no_bars_is_one_clear_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_bars(path, label="start", clock="1m")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r"there is no file none.csv"):
        read_bars("none.csv", label="start")


def test_real_files_of_others_are_read_as_they_are(shared):
    bars = read_bars(shared("equity_minute/SPY_2020-12.parquet"), label="start")
    assert bars.symbols == ("SPY",)
    assert sorted(set(bars.session.tolist())) == [20201215, 20201216, 20201217, 20201218]
    with pytest.raises(DataError, match="'SPX' has no column volume"):  # an index does not trade
        read_bars(shared("index_minute/SPX_2019-11.parquet"), label="start")
