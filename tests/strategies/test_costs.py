"""Costs by hand, and the dates of the regulators' fees."""

import pytest

from data.errors import UsageError
from strategies.common.costs import FINRA_TAF, SEC_SECTION_31, Costs, fee_rates, fill_fee, market_price

nan = float("nan")


def test_market_price_by_hand():
    c = Costs(half_spread_bps=2.0, slippage_bps=3.0, impact_bps=10.0).knobs(20240603)
    # bps: 2 + 3 + 10 * sqrt(25 / 100) = 10 of 50 dollars is 0.05
    assert market_price(50.0, 1.0, 25.0, nan, 100.0, c) == pytest.approx(50.05)
    assert market_price(50.0, -1.0, 25.0, nan, 100.0, c) == pytest.approx(49.95)
    # half of the book's spread instead of 2 bps: 0.02 + 8 bps
    assert market_price(50.0, 1.0, 25.0, 0.04, 100.0, c) == pytest.approx(50.06)
    # no volume known, no impact
    for volume in (nan, 0.0):
        assert market_price(50.0, 1.0, 25.0, nan, volume, c) == pytest.approx(50.025)


def test_a_crossed_book_does_not_earn_its_spread():
    c = Costs(half_spread_bps=2.0, slippage_bps=0.0).knobs(20240603)
    assert market_price(50.0, 1.0, 1.0, -0.04, nan, c) == pytest.approx(50.01)


def test_book_is_left_aside_where_told():
    c = Costs(half_spread_bps=2.0, slippage_bps=0.0, use_book=False).knobs(20240603)
    assert market_price(50.0, 1.0, 1.0, 1.0, nan, c) == pytest.approx(50.01)


def test_no_fill_is_further_off_than_half_the_reference():
    c = Costs().knobs(20240603)
    assert market_price(10.0, -1.0, 1e9, nan, 1.0, c) == 5.0
    assert market_price(10.0, 1.0, 1e9, nan, 1.0, c) == 15.0


def test_fees_are_charged_on_sells_by_the_date():
    c = Costs().knobs(20240603)
    # 27.80 per million of 10,000 dollars, and 0.000166 a share
    assert fill_fee(-1.0, 100.0, 100.0, c) == pytest.approx(0.278 + 0.0166)
    assert fill_fee(1.0, 100.0, 100.0, c) == 0.0
    # the activity fee is capped a trade
    assert fill_fee(-1.0, 1e6, 1.0, c) == pytest.approx(27.80 + 8.30)


def test_commission_has_a_minimum():
    c = Costs(commission_per_share=0.005, commission_min=1.0, regulatory=False).knobs(20240603)
    assert fill_fee(1.0, 100.0, 50.0, c) == 1.0
    assert fill_fee(-1.0, 400.0, 50.0, c) == 2.0


@pytest.mark.parametrize(
    ("session", "sec", "taf"),
    [
        (20100104, 13.00, 0.000119),  # before the first entries: charged at them
        (20180522, 13.00, 0.000119),
        (20190415, 13.00, 0.000119),
        (20190416, 20.70, 0.000119),
        (20211231, 5.10, 0.000119),
        (20220103, 5.10, 0.000130),
        (20240521, 8.00, 0.000166),
        (20240522, 27.80, 0.000166),
        (20250514, 0.00, 0.000166),
    ],
)
def test_rates_begin_on_their_dates(session, sec, taf):
    assert fee_rates(session)[:2] == (pytest.approx(sec * 1e-6), taf)


def test_the_table_is_the_rates_of_every_session():
    import numpy as np

    costs = Costs()
    firsts, table = costs.table()
    assert firsts == sorted(firsts)
    assert tuple(sorted(SEC_SECTION_31)) == SEC_SECTION_31
    assert tuple(sorted(FINRA_TAF)) == FINRA_TAF
    edges = [session + step for session in firsts for step in (-1, 0, 1)]
    for session in (19900102, *edges, 20281229):
        assert table[int(np.searchsorted(firsts, session, side="right"))] == costs.knobs(session)


def test_scaled_costs_scale_all_but_the_regulators():
    twice = Costs(commission_per_share=0.01).scaled(2.0)
    one, two = Costs(commission_per_share=0.01).knobs(20240603), twice.knobs(20240603)
    assert two[:6] == tuple(2.0 * knob for knob in one[:6])
    assert two[6:] == one[6:]
    assert twice.scaled(0.5) == Costs(commission_per_share=0.01)
    nothing = Costs(regulatory=False).scaled(0.0).knobs(20240603)
    assert market_price(50.0, 1.0, 10.0, 0.04, 100.0, nothing) == 50.0
    assert market_price(50.0, 1.0, 10.0, 0.04, 100.0, Costs.free().knobs(20240603)) == 50.0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"halfspread": 1}, "did you mean 'half_spread_bps'"),
        ({"half_spread_bps": -1}, "cost half_spread_bps must be a number from 0"),
        ({"half_spread_bps": "wide"}, "got 'wide'"),
        ({"use_book": "often"}, "cost use_book must be true or false"),
        ({"slippage_bps": True}, "cost slippage_bps must be a number"),
    ],
)
def test_what_costs_refuse(changes, says):
    with pytest.raises(UsageError, match=says):
        Costs().changed(changes)
