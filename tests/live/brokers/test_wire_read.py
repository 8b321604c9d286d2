"""What cannot be read is lost, and never a number, an object or an order."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.brokers.alpaca_rows import seen_of
from live.brokers.wire import Answer, Lost
from live.brokers.wire_read import amount, number, row, rows, text

ORDER = {
    "id": "v", "symbol": "AAPL", "side": "buy", "type": "market", "qty": "4", "status": "filled", "filled_qty": "4",
    "filled_avg_price": "100.02", "created_at": "2026-01-02T15:00:00Z",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON)
def test_whatever_is_told_is_a_value_of_its_type_or_lost(told):
    for read, kind in ((number, float), (amount, float), (text, str), (row, dict), (rows, list)):
        try:
            value = read(told)
        except Lost:
            continue
        assert type(value) is kind
        assert kind is not float or math.isfinite(value)


@pytest.mark.parametrize("told", ["NaN", "Infinity", "-inf", "1e400", "1" + "0" * 400, 10**400, True, None, "", [], {}])
def test_no_number_is_made_of_what_is_none(told):
    with pytest.raises(Lost):
        number(told)


@pytest.mark.parametrize(
    "spoilt",
    [{"filled_avg_price": None}, {"filled_avg_price": "0"}, {"filled_qty": "0"}, {"filled_qty": "-4"}, {"id": 7}],
)
def test_shares_without_a_price_and_an_end_without_shares_are_no_order(spoilt):
    assert seen_of(ORDER, "k").average == pytest.approx(100.02)
    with pytest.raises(Lost):
        seen_of(ORDER | spoilt, "k")


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"1e400", b'"\xff"', b"[" * 100_000])
def test_a_body_that_is_not_json_is_lost(body):
    with pytest.raises(Lost):
        Answer(200, {}, body).json()
