"""Events survive msgpack, columns and Parquet to the last bit, in the order they came."""

import struct

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.events import KINDS, Quote, Trade, decode_event, encode_event, join_conditions
from data.events_columns import Columns, columns_of, events_of, from_arrow, to_arrow

whole = st.integers(-(2**63), 2**63 - 1)
number = st.floats(allow_nan=True, allow_infinity=True)
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
identity = st.one_of(text, st.integers(0, 10**21).map(str), st.sampled_from(["0", "007", "-1", "1e3", "²", ""]))
levels = st.lists(st.tuples(number, number), max_size=4).map(tuple)


def field(item):
    if item.name in ("trade_id", "new_id"):
        return identity
    if item.name in ("bids", "asks"):
        return levels
    if isinstance(item.type, type) and item.type is not str:
        return {int: whole, float: number, bool: st.booleans()}[item.type]
    words = getattr(item.type, "__args__", None)
    return st.sampled_from(words) if words else text


event = st.one_of(
    *[st.builds(kind, **{item.name: field(item) for item in msgspec.structs.fields(kind)}) for kind in KINDS.values()]
)


def bits(item):
    """An event's fields with floats as bytes, so that NaN equals NaN and 0.0 is not -0.0."""
    if isinstance(item, float):
        return struct.pack("<d", item) if item == item else b"nan"
    if isinstance(item, msgspec.Struct):
        return (type(item), *[bits(value) for value in msgspec.structs.astuple(item)])
    return tuple(bits(value) for value in item) if isinstance(item, tuple) else item


@given(st.lists(event, max_size=12))
@settings(deadline=None)
def test_events_come_back_from_bytes_and_columns_bit_for_bit(events):
    wanted = [bits(item) for item in events]
    assert [bits(decode_event(encode_event(item))) for item in events] == wanted
    columns = columns_of(events)
    assert len(columns) == len(events)
    assert [bits(item) for item in events_of(columns)] == wanted
    assert [bits(item) for item in events_of(from_arrow(to_arrow(columns)))] == wanted


@given(st.lists(event, min_size=1, max_size=6))
@settings(deadline=None, max_examples=15)
def test_a_recording_comes_back_from_parquet_bit_for_bit(tmp_path_factory, events):
    folder = tmp_path_factory.mktemp("tape")
    for kind, table in to_arrow(columns_of(events)).items():
        pq.write_table(table, folder / f"{kind}.parquet", compression="zstd", use_dictionary=False)
    tables = {path.stem: pq.read_table(path) for path in folder.iterdir()}
    assert [bits(item) for item in events_of(from_arrow(tables))] == [bits(item) for item in events]


def test_no_events_are_no_columns():
    assert list(events_of(columns_of([]))) == []
    assert len(Columns()) == 0


def test_a_damaged_message_or_table_says_so():
    with pytest.raises(DataError, match="not a market event"):
        decode_event(b"\x80")
    with pytest.raises(DataError, match="table 'candle'"):
        from_arrow({"candle": None})
    quotes = to_arrow(columns_of([Quote("A", 1, 2, 9.0, 9.5, 1.0, 2.0)]))["quote"]
    with pytest.raises(DataError, match="lacks ask, bid"):
        from_arrow({"quote": quotes.drop_columns(["bid", "ask"])})


def test_polygon_numbers_carry_a_hash_and_tape_letters_do_not():
    assert join_conditions(["@", "I"]) == "@,I"
    assert join_conditions([12, 37]) == "#12,#37"
    assert join_conditions(None) == ""
    assert Trade("A", 1, 1, 9.0, 1.0).conditions == ""
