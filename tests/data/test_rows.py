"""The frames of tapes and live feeds: what goes in comes out, to the bit, and a cut or a stranger is a sentence."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError
from data.rows import (
    BookSnap,
    FeedNews,
    Header,
    Revision,
    Row,
    Touch,
    Trading,
    decode_books,
    decode_feed,
    decode_stream,
    encode,
)

floats = st.floats(allow_nan=False, allow_infinity=True)
times = st.integers(0, 2**62)
prices = st.lists(floats, min_size=2, max_size=2)
rows = st.builds(Row, times, st.integers(0, 99991231), floats, floats, prices, prices, prices, prices, prices)
words = st.text(max_size=20)
messages = st.one_of(
    st.builds(Header, st.just(["A", "B"]), st.just("1m"), words, st.booleans(), words, times, st.integers(0, 500)),
    rows,
    st.builds(Revision, rows, times, st.lists(words, max_size=2), st.lists(words, max_size=2)),
    st.builds(
        FeedNews,
        times,
        words,
        st.sampled_from(["fresh", "stale", "absent"]),
        st.sampled_from(["L2", "L1", "bars", "none"]),
        floats,
        times,
        words,
    ),
    st.builds(Touch, times, words, floats, floats, floats, floats),
    st.builds(Trading, times, words, st.sampled_from(["trading", "halted", "luld", "quiet"]), words),
)
sides = st.lists(st.tuples(floats, floats), max_size=12)


@given(st.lists(messages, max_size=12))
def test_a_feed_s_messages_come_back_as_they_went(sent):
    wire = b"".join(encode(message) for message in sent)
    assert list(decode_feed(io.BytesIO(wire))) == sent


@given(st.lists(st.builds(BookSnap, times, words, sides, sides, times), max_size=6))
def test_books_come_back_as_they_went(sent):
    wire = b"".join(encode(message) for message in sent)
    assert list(decode_books(io.BytesIO(wire))) == sent


def test_a_cut_frame_and_a_frame_of_another_stream_are_data_errors():
    news, book = encode(FeedNews(1, "alpaca", "fresh", "L1", 0.5, 0)), encode(BookSnap(1, "A", [], []))
    with pytest.raises(DataError, match="bytes short of a frame"):
        list(decode_feed(io.BytesIO(news[:-1])))
    with pytest.raises(DataError, match="ends inside a frame header"):
        list(decode_feed(io.BytesIO(news + b"\x01")))
    with pytest.raises(DataError, match="not a row"):
        list(decode_stream(io.BytesIO(news)))
    with pytest.raises(DataError, match="not a feed message"):
        list(decode_feed(io.BytesIO(book)))
    with pytest.raises(DataError, match="not a book"):
        list(decode_books(io.BytesIO(news)))
