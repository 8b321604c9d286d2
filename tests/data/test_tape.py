"""Tapes replay to the last bit, in bounded memory, and a damaged one says so."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.rows import Header, decode_stream, encode, rows_of
from data.sources.random_walk import random_bars
from data.tape import content_hash, play, read_tape, write_tape
from data.types import FEATURES, PRICES, TIMES, Bars, Book

HEADER = {"clock": "1m", "source": "test", "simulated": True}


def bits(columns: Bars | Book) -> list[bytes]:
    names = (*TIMES, *PRICES) if isinstance(columns, Bars) else FEATURES
    return [getattr(columns, name).tobytes() for name in names]


@pytest.fixture(scope="module")
def market():
    return random_bars(3_000, ("AAA", "BRK.B"), 11, gaps=True)


@pytest.fixture
def tape(market, tmp_path):
    path = tmp_path / "market.tape"
    write_tape(path, *market, **HEADER)
    return path


def test_a_tape_reads_back_bit_for_bit(market, tape):
    header, bars, book = read_tape(tape)
    assert header == Header(["AAA", "BRK.B"], "1m", "test", True, content_hash(*market), 3_000)
    assert bits(bars) == bits(market[0])
    assert bits(book) == bits(market[1])


def test_playing_a_tape_gives_the_rows_that_were_written(market, tape):
    header, *rows = play(tape)
    assert header.rows == len(rows) == 3_000
    assert b"".join(map(encode, rows)) == b"".join(map(encode, rows_of(*market)))


def test_a_tape_without_l2_plays_rows_without_a_book(market, tmp_path):
    path = tmp_path / "bars.tape"
    bars = market[0]
    write_tape(path, bars, Book.absent(len(bars), bars.symbols), **HEADER)
    _, _, book = read_tape(path)
    assert not book.present
    assert [row.book for row in list(play(path))[1:3]] == [None, None]
    assert content_hash(bars) == content_hash(bars, book)


floats = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(floats, min_size=2, max_size=2), min_size=1, max_size=5))
def test_any_float_survives_tape_and_stream(tmp_path_factory, values):
    rows = len(values)
    matrix = np.array(values)
    bars = Bars(
        ("A", "B"), np.arange(rows), *([matrix] * 5), np.arange(rows), np.arange(rows) * 0.1, -np.arange(rows) / 3
    )
    path = tmp_path_factory.mktemp("tape") / "any.tape"
    write_tape(path, bars, **HEADER)
    _, again, _ = read_tape(path)
    assert bits(again) == bits(bars)
    stream = io.BytesIO(b"".join(map(encode, play(path))))
    assert [row.close for row in list(decode_stream(stream))[1:]] == [
        pytest.approx(v, nan_ok=True, abs=0) for v in values
    ]


def test_the_hash_sees_every_column_name_and_bit(market):
    bars, book = market
    seen = {content_hash(bars), content_hash(bars, book), content_hash(bars.rows(1)), content_hash(bars.pick([1, 0]))}
    for name in (*PRICES, "since_open", "to_close"):
        column = getattr(bars, name).copy()
        column.flat[-1] = np.nextafter(column.flat[-1], 1e9) if np.isfinite(column.flat[-1]) else 1.0
        seen.add(content_hash(bars._with(lambda n, a, name=name, column=column: column if n == name else a)))
    assert len(seen) == 4 + 7


def test_the_hash_takes_every_nan_for_the_same():
    odd = np.array([[np.int64(0x7FF8000000000123)]]).view(np.float64)
    plain = np.array([[np.nan]])
    one, other = (Bars(("A",), [1], nan, nan, nan, nan, nan, [20240102], [0.0], [0.0]) for nan in (odd, plain))
    assert content_hash(one) == content_hash(other)
    assert content_hash(one) == "ef9a690b68632589b0ec61a2a960ab597406d2036d337f58c015b4a8359b5370"


def test_a_missing_tape_and_a_foreign_file_are_told_apart(tmp_path):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match="there is no tape"):
        read_tape(tmp_path / "none.tape")
    foreign = tmp_path / "bars.parquet"
    pandas.DataFrame({"close": [1.0]}).to_parquet(foreign)
    with pytest.raises(DataError, match="is a Parquet file but not a tape"):
        read_tape(foreign)
    (tmp_path / "text.tape").write_text("ts,close\n1,2\n")
    with pytest.raises(DataError, match="is damaged"):
        next(play(tmp_path / "text.tape"))


@pytest.mark.parametrize("reader", [read_tape, lambda path: list(play(path))])
def test_a_cut_or_flipped_tape_is_one_clear_error(tape, reader):
    whole = tape.read_bytes()
    for at in (10, len(whole) // 3, len(whole) // 2, len(whole) - 9):
        tape.write_bytes(whole[:at])
        with pytest.raises(DataError, match="is damaged"):
            reader(tape)
    for at in range(200, len(whole) // 2, len(whole) // 7):
        tape.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(DataError):
            reader(tape)


def test_a_book_of_other_rows_is_refused(market, tmp_path):
    bars, book = market
    with pytest.raises(DataError, match="same rows and symbols"):
        write_tape(tmp_path / "x.tape", bars, book.rows(1), **HEADER)


def test_a_tape_that_cannot_be_written_leaves_the_old_one(market, tape, monkeypatch):
    before = tape.read_bytes()

    def full(*_args, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_tape(tape, *market, **HEADER)
    assert tape.read_bytes() == before
    assert [path.name for path in tape.parent.iterdir()] == [tape.name]
