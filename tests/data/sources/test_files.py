"""Files of others become the same bars, or one sentence says why not."""

import gzip

import numpy as np
import pytest

from data.errors import DataError, UsageError
from data.sources.files import read

ROWS = [("2024-01-02 09:30", 10.0, 11.0, 9.0, 10.5, 100), ("2024-01-02 09:31", 10.5, 12.0, 10.0, 11.0, 200)]
OPEN_NS = 1_704_205_800 * 10**9  # 2024-01-02 14:30 UTC
MINUTE_NS = 60 * 10**9


def csv(path, head, lines):
    path.write_text("\n".join([head, *(",".join(map(str, line)) for line in lines)]) + "\n")
    return path


def test_a_csv_in_new_york_time_stamped_by_its_start(tmp_path):
    path = csv(tmp_path / "spy.csv", "Date,Open,High,Low,Close,Volume", ROWS)
    bars = read(path, "1m", symbol="SPY", stamp="start", zone="America/New_York")
    assert bars.symbols == ("SPY",)
    assert bars.ts.tolist() == [OPEN_NS + MINUTE_NS, OPEN_NS + 2 * MINUTE_NS]
    assert bars.since_open.tolist() == [60.0, 120.0]
    assert bars.close[:, 0].tolist() == [10.5, 11.0]
    closed = read(path, "1m", symbol="SPY", stamp="close", zone="America/New_York")
    assert closed.ts.tolist() == [OPEN_NS, OPEN_NS + MINUTE_NS]


def test_flat_files_with_nanoseconds_and_a_ticker_column_join(tmp_path):
    head = "ticker,volume,open,close,high,low,window_start,transactions"
    for i, name in enumerate(["a.csv.gz", "b.csv.gz"]):
        lines = [f"AAPL,100,10,11,12,9,{OPEN_NS + i * MINUTE_NS},5", f"MSFT,50,20,21,22,19,{OPEN_NS},5"][: 2 - i]
        (tmp_path / name).write_bytes(gzip.compress("\n".join([head, *lines]).encode()))
    bars = read([tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"], "1m", stamp="start")
    assert bars.symbols == ("AAPL", "MSFT")
    assert bars.ts.tolist() == [OPEN_NS + MINUTE_NS, OPEN_NS + 2 * MINUTE_NS]
    assert np.isnan(bars.close[1, 1])
    assert bars.volume[1, 1] == 0.0


@pytest.mark.parametrize(("unit", "scale"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
def test_parquet_with_times_in_any_unit(tmp_path, unit, scale):
    import pyarrow as pa
    import pyarrow.parquet as pq

    times = [OPEN_NS // scale, (OPEN_NS + MINUTE_NS) // scale]
    for kind in (pa.int64(), pa.timestamp(unit, tz="UTC")):
        prices = {name: [1.0, 2.0] for name in ("o", "h", "l", "c", "v")}
        pq.write_table(pa.table({"t": pa.array(times, kind), "sym": ["X", "X"], **prices}), tmp_path / "x.parquet")
        assert read(tmp_path / "x.parquet", "1m", stamp="close").ts.tolist() == [OPEN_NS, OPEN_NS + MINUTE_NS]


def test_daily_rows_close_with_their_session(tmp_path):
    path = csv(tmp_path / "d.csv", "date,open,high,low,last,volume", [("2024-07-03", 1, 2, 1, 2, 10)])
    bars = read(path, "1d", symbol="X", stamp="close", columns={"close": "last"})
    assert bars.to_close.tolist() == [0.0]
    assert bars.since_open.tolist() == [3.5 * 3600]  # a half day


HEAD = "time,open,high,low,close,volume"
WRONG = {
    "no zone": (HEAD, ROWS, {"symbol": "X"}, UsageError, "names no time zone; say zone='UTC'"),
    "a zone that is none": (HEAD, ROWS, {"symbol": "X", "zone": "Mars/Base"}, UsageError, "no time zone 'Mars/Base'"),
    "no symbol": (HEAD, ROWS, {"zone": "UTC"}, UsageError, "names no symbol; say symbol="),
    "no close": (
        "time,open,high,low,last,volume",
        ROWS,
        {"symbol": "X"},
        UsageError,
        "no column for close; it has time",
    ),
    "a word for a price": (
        HEAD,
        [(*ROWS[0][:1], "ten", *ROWS[0][2:])],
        {"symbol": "X", "zone": "UTC"},
        DataError,
        "column open holds",
    ),
    "twice": (
        HEAD,
        [ROWS[0], ROWS[0]],
        {"symbol": "X", "zone": "UTC"},
        DataError,
        "two rows of 'X' are for 2024-01-02 09:31 UTC",
    ),
    "a word for a time": (
        HEAD,
        [("noon", *ROWS[0][1:])],
        {"symbol": "X", "zone": "UTC"},
        DataError,
        "times cannot be read",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_file_lacks_is_said(tmp_path, case):
    head, lines, options, error, sentence = WRONG[case]
    with pytest.raises(error, match=sentence):
        read(csv(tmp_path / "x.csv", head, lines), "1m", stamp="start", **options)


def test_a_file_that_is_not_there_or_of_another_kind_or_damaged(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        read(tmp_path / "none.csv", "1m", stamp="start")
    with pytest.raises(UsageError, match=r"none of \.csv"):
        read(tmp_path / "x.xlsx", "1m", stamp="start")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "cut.parquet", "1m", stamp="start", symbol="X")
