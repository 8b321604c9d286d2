"""The store keeps what was seen: a second import is no change, a different one is news, a file is never rewritten."""

import dataclasses

import numpy as np
import pytest

from data.errors import DataError, UsageError
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
