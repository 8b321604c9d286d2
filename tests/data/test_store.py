"""The store keeps what was seen: a second import is no change, a different one is news, a file is never rewritten."""

import dataclasses
import datetime as dt
import re
import signal

import numpy as np
import pytest

from data.errors import DataError, UsageError
from data.events import Trade
from data.recorder import Recorder
from data.sources.random_walk import random_bars
from data.sources.sample import load as load_sample
from data.store import Store
from data.tape import content_hash
from data.types import PRICES, TIMES


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def bars():
    return random_bars(1_000, ("AAA", "BTC/USD"), 3)[0]


def contents(store) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in store.root.rglob("*.parquet")}


def with_close(bars, row, value):
    close, high = bars.close.copy(), bars.high.copy()
    close[row, 0] = value
    high[row, 0] = max(high[row, 0], value)
    return dataclasses.replace(bars, close=close, high=high)


def test_what_is_put_is_loaded_bit_for_bit(store, bars):
    added = store.put(bars, "1m", "test")
    assert [(each.symbol, each.new, each.same, each.revised) for each in added] == [
        ("AAA", 1_000, 0, 0),
        ("BTC/USD", 1_000, 0, 0),
    ]
    again, content = store.load(("AAA", "BTC/USD"), "1m")
    assert all(getattr(again, name).tobytes() == getattr(bars, name).tobytes() for name in (*TIMES, *PRICES))
    assert content == content_hash(bars)


def test_symbols_with_other_histories_are_nan_where_they_have_none(store):
    sample = load_sample(["FB", "IBM"], start="2012-01-01")
    store.put(sample, "1d", "sample", "all")
    again, content = store.load(["FB", "IBM"], "1d")
    assert content == content_hash(sample)
    assert np.isnan(again.close[0, 0])


def test_an_import_that_agrees_changes_nothing(store, bars):
    store.put(bars, "1m", "test")
    before = contents(store)
    assert [(each.new, each.same, each.path) for each in store.put(bars, "1m", "again")] == [(0, 1_000, None)] * 2
    assert contents(store) == before


def test_an_import_that_goes_on_adds_only_what_is_new(store, bars):
    store.put(bars.rows(0, 600), "1m", "first")
    before = contents(store)
    added = store.put(bars.rows(400, 1_000), "1m", "second")
    assert [(each.new, each.same) for each in added] == [(400, 200)] * 2
    assert before.items() <= contents(store).items()  # nothing rewritten
    assert store.load(bars.symbols, "1m")[1] == content_hash(bars)
    assert store.ls()[0][:4] == ("AAA", "1m", "raw", 1_000)
    assert store.ls()[0].sources == ("first", "second")


def test_an_import_that_differs_is_refused_with_the_difference_and_nothing_is_kept(store, bars):
    store.put(bars, "1m", "test")
    before = contents(store)
    with pytest.raises(DataError) as caught:
        store.put(with_close(bars, 5, 999.0), "1m", "test")
    sentence = str(caught.value)
    assert "'AAA': 1 of 1000 rows differ from stored ones, first 2010-01-04 14:36 UTC: high is 999.0" in sentence
    assert "--revision" in sentence
    assert contents(store) == before


def test_a_revision_is_kept_beside_the_old_rows_and_read(store, bars):
    store.put(bars, "1m", "test")
    before = contents(store)
    added = store.put(with_close(bars, 5, 999.0), "1m", "corrected", revision=True)
    assert [(each.new, each.same, each.revised) for each in added] == [(0, 999, 1), (0, 1_000, 0)]
    assert before.items() <= contents(store).items()
    again, content = store.load(["AAA"], "1m")
    assert again.close[5, 0] == 999.0
    assert content != content_hash(bars.pick([0]))
    store.put(with_close(bars, 5, 999.0), "1m", "corrected")  # agrees with the newest


def test_a_range_is_sessions_both_included(store, bars):
    store.put(bars, "1m", "test")
    again, _ = store.load(["AAA"], "1m", "2010-01-05", "2010-01-05")
    assert set(again.session.tolist()) == {20100105}
    with pytest.raises(UsageError, match="from 2020-01-01 to the last; it has 2010-01-04 to 2010-01-06"):
        store.load(["AAA"], "1m", "2020-01-01")


def test_what_is_not_stored_is_named(store, bars):
    with pytest.raises(UsageError, match="no symbol 'AAA'; see: python -m data ls"):
        store.load(["AAA"], "1m")
    store.put(bars, "1m", "test")
    with pytest.raises(UsageError, match="did you mean 'AAA'"):
        store.load(["AAAA"], "1m")
    with pytest.raises(UsageError, match="no 5m bars of 'AAA'; it has 1m raw"):
        store.load(["AAA"], "5m")
    with pytest.raises(UsageError, match="no 1m all bars of 'AAA'"):
        store.load(["AAA"], "1m", adjustment="all")
    with pytest.raises(UsageError, match="no symbols asked for; the store has AAA, BTC/USD"):
        store.load([], "1m")
    store.put(bars, "1m", "test", "all")
    with pytest.raises(UsageError, match="adjustment all and raw; say which"):
        store.load(["AAA"], "1m")
    with pytest.raises(UsageError, match="not one of raw, split, all"):
        store.put(bars, "1m", "test", "half")


def test_bad_bars_are_not_stored(store, bars):
    with pytest.raises(DataError, match="do not enclose open and close"):
        store.put(with_close(bars, 5, -1.0), "1m", "test")
    assert store.ls() == []


def test_a_damaged_file_is_named(store, bars):
    store.put(bars, "1m", "test")
    path = next(store.root.rglob("*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is damaged"):
        store.load(bars.symbols, "1m")


def test_a_symbol_cannot_leave_the_store(store, bars):
    sly = dataclasses.replace(bars, symbols=("..", "../../x"))
    store.put(sly, "1m", "test")
    assert all(store.root in path.parents for path in store.root.parent.rglob("*.parquet"))
    assert store.load(["..", "../../x"], "1m")[1] == content_hash(sly)


def test_the_root_comes_from_the_settings(tmp_path, monkeypatch, bars):
    monkeypatch.setenv("ONETAPE_STORE", str(tmp_path / "elsewhere"))
    Store().put(bars, "1m", "test")
    assert (tmp_path / "elsewhere" / "bars" / "1m" / "raw" / "AAA").is_dir()


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path, bars):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        Store(tmp_path / "file" / "store").put(bars, "1m", "test")


NIGHT = 1_262_700_000_000_000_000  # 2010-01-05 14:00 UTC, before the second session opens


def test_a_row_is_kept_as_seen_and_as_revised_with_both_clocks(store, bars):
    store.put(bars, "1m", "test", received=NIGHT)
    store.put(with_close(bars, 5, 999.0), "1m", "test", revision=True, received=NIGHT + 7)
    store.put(with_close(bars, 5, 998.0), "1m", "test", revision=True, received=NIGHT + 9)

    def close(**more):
        return float(store.load(["AAA"], "1m", **more)[0].close[5, 0])

    first = float(bars.close[5, 0])
    assert (close(), close(view="final"), close(view="seen")) == (998.0, 998.0, first)
    assert close(as_of=NIGHT + 6) == first
    assert close(as_of=NIGHT + 7) == 999.0
    assert close(as_of=NIGHT + 9) == 998.0
    assert close(as_of=NIGHT + 9, view="seen") == first
    assert close(as_of="2010-01-04") == first
    assert close(as_of=dt.datetime(2010, 1, 6, tzinfo=dt.UTC)) == 998.0
    changes = [each for each in store.revisions("AAA", "1m") if each.column == "close"]
    assert changes == [
        (int(bars.ts[5]), NIGHT + 7, "close", first, 999.0),
        (int(bars.ts[5]), NIGHT + 9, "close", 999.0, 998.0),
    ]
    assert store.ls()[0].revised == 2


def test_a_rewrite_is_told_with_its_difference(store, bars):
    store.put(bars, "1m", "test")
    added, same = store.put(with_close(bars, 5, 999.0), "1m", "test", revision=True)
    assert (
        "'AAA': 1 of 1000 rows differ from stored ones, first 2010-01-04 14:36 UTC: high is 999.0" in added.difference
    )
    assert same.difference == ""


def test_as_of_a_day_nothing_later_is_read(store, bars):
    store.put(bars, "1m", "test")
    as_of = store.load(["AAA"], "1m", as_of="2010-01-05")[0]
    assert as_of.session.max() == 20100105
    assert len(store.load(["AAA"], "1m", as_of=int(bars.ts[9]))[0]) == 10
    with pytest.raises(UsageError, match=r"no rows of AAA .* as of 2009-12-31"):
        store.load(["AAA"], "1m", as_of="2009-12-31")
    with pytest.raises(UsageError, match="has no time zone"):
        store.load(["AAA"], "1m", as_of=dt.datetime(2010, 1, 6))  # noqa: DTZ001  # that is the point
    with pytest.raises(UsageError, match="view 'last' is not one of seen, final"):
        store.load(["AAA"], "1m", view="last")


def test_minutes_lie_in_files_of_a_month_and_only_those_in_range_are_read(store):
    long, _ = random_bars(50 * 390, ("AAA",), 3, "1m", start="2024-01-02")
    store.put(long, "1m", "test")
    paths = sorted(store.root.rglob("*.parquet"))
    assert [path.name[7:24] for path in paths] == ["20240102_20240131", "20240201_20240229", "20240301_20240313"]
    assert store.load(["AAA"], "1m")[1] == content_hash(long)
    paths[2].write_bytes(b"damaged")
    assert len(store.load(["AAA"], "1m", end="2024-02-15")[0]) == 390 * 32
    with pytest.raises(DataError, match="is damaged"):
        store.load(["AAA"], "1m")


def test_files_of_the_first_version_are_read_and_gone_on_with(store, bars):
    """One clock, no revision column, one file an import: written here as that version wrote them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    one = bars.pick([0])
    folder = store.root / "bars" / "1m" / "raw" / "AAA"
    folder.mkdir(parents=True)
    for number, part in ((1, one), (2, with_close(one, 5, 999.0).rows(5, 6))):
        columns = {name: getattr(part, name)[:, 0] for name in PRICES}
        meta = {b"onetape.bars": b'{"symbol": "AAA", "clock": "1m", "adjustment": "raw", "source": "old"}'}
        table = pa.table({"ts": part.ts, **columns}).replace_schema_metadata(meta)
        pq.write_table(table, folder / f"{number:06d}_{part.session[0]}_{part.session[-1]}_0123456789ab.parquet")
    assert store.ls()[0] == ("AAA", "1m", "raw", 1_000, 20100104, 20100106, ("old",), 2, 1)
    assert store.load(["AAA"], "1m")[0].close[5, 0] == 999.0
    assert store.load(["AAA"], "1m", view="seen")[1] == content_hash(one)
    assert store.put(with_close(one, 5, 999.0), "1m", "new")[0].same == 1_000
    more, _ = random_bars(1_100, ("AAA", "BTC/USD"), 3)
    assert store.put(more.pick([0]).rows(1_000, 1_100), "1m", "new")[0].new == 100
    assert len(store.load(["AAA"], "1m")[0]) == 1_100


FULL = """
import resource, sys
from data.errors import DataError
from data.sources.random_walk import random_bars
from data.store import Store

store = Store(sys.argv[1])
bars = random_bars(20_000, ("CCC", "DDD"), 3)[0]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.put(bars, "1m", "test")
except DataError as error:
    print(error)
"""


def test_a_disk_that_fills_up_leaves_nothing_half_written(store, bars, python):
    """The kernel's limit on the size of a file stands in for a full disk: the write fails half-way."""
    store.put(bars, "1m", "test")
    before = contents(store)
    done = python("-c", FULL, store.root)
    assert "cannot be written (File too large); nothing was changed" in done.stdout
    assert contents(store) == before
    assert not list((store.root / ".drafts").glob("*"))
    assert store.load(bars.symbols, "1m")[1] == content_hash(bars)


def test_a_disk_that_fills_up_at_the_second_symbol_keeps_neither(store, bars, monkeypatch):
    import errno
    import os

    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        store.put(bars, "1m", "test")
    assert contents(store) == {}
    monkeypatch.undo()
    assert [each.new for each in store.put(bars, "1m", "test")] == [1_000, 1_000]


KILLED = """
import os, signal, sys
from pathlib import Path
from data.sources.random_walk import random_bars
from data.store import Store

names, real = [], Path.replace
def replace(self, target):
    if str(target).endswith(".parquet"):
        names.append(target)
        if len(names) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
Path.replace = replace
Store(sys.argv[1]).put(random_bars(1_000, ("AAA", "BTC/USD"), 3)[0], "1m", "test")
"""


@pytest.mark.parametrize("name", [1, 2])
def test_a_writer_killed_between_two_names_is_finished_by_the_next(store, bars, python, name):
    assert python("-c", KILLED, store.root, str(name)).returncode == -signal.SIGKILL
    assert len(contents(store)) == name - 1
    assert [each.same for each in store.put(bars, "1m", "again")] == [1_000, 1_000]
    assert store.load(bars.symbols, "1m")[1] == content_hash(bars)
    assert len(contents(store)) == 2


def test_drafts_of_a_killed_writer_are_forgotten(store, bars):
    (store.root / ".drafts").mkdir(parents=True)
    (store.root / ".drafts" / "000000").write_bytes(b"half")
    store.put(bars, "1m", "test")
    assert not list((store.root / ".drafts").glob("*"))


def blocks(checkout, language):
    """The examples of docs/data.md in this language."""
    text = (checkout / "docs" / "data.md").read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_duckdb_reads_the_files_as_they_lie(store, bars, checkout):
    import duckdb

    store.put(bars, "1m", "test")
    store.put(with_close(bars, 5, 999.0), "1m", "test", revision=True)
    rows = duckdb.sql(blocks(checkout, "sql")[0].replace("data/store", str(store.root))).fetchall()
    assert len(rows) == 2_000
    assert rows[5][0] == "AAA"
    assert rows[5][1].isoformat() == "2010-01-04T14:36:00"
    assert [row[5] for row in rows[:7]] == [*bars.close[:5, 0], 999.0, bars.close[6, 0]]


def test_duckdb_reads_a_recording_in_the_order_of_arrival(tmp_path, checkout):
    import duckdb

    stamps = [1_704_205_800_000_000_000 + n * 1_000_000_000 for n in (3, 1, 2, 5, 4)]
    for part in (range(3), range(3, 5)):  # two recordings of one tape: two pieces
        with Recorder(tmp_path / "tape", source="test") as recorder:
            for n in part:
                recorder.add(Trade("AAPL", stamps[n], stamps[n], 100.0 + n, 5.0))
    rows = duckdb.sql(blocks(checkout, "sql")[1].replace("'tape/", f"'{tmp_path}/tape/")).fetchall()
    assert [row[2] for row in rows] == [100.0, 101.0, 102.0, 103.0, 104.0]
    assert [row[1].second for row in rows] == [3, 1, 2, 5, 4]
    assert {row[0] for row in rows} == {"AAPL"}


def test_polars_reads_the_files_as_they_lie(store, bars):
    store.put(bars, "1m", "test")
    store.put(with_close(bars, 5, 999.0), "1m", "test", revision=True)
    polars = pytest.importorskip("polars", reason="polars is not installed; it is not one of our packages")
    rows = polars.scan_parquet(f"{store.root}/bars/1m/raw/*/*.parquet").sort("ts", "revision")
    final = rows.unique(["symbol", "ts"], keep="last", maintain_order=True).collect()
    assert final.height == 2_000
    assert final.filter(symbol="AAA")["close"].to_numpy()[5] == 999.0
