"""Sale conditions update what the consolidated tapes say they may."""

import pytest

from data.conditions import CLOSING, EXTENDED, FLOW, HIGH_LOW, LAST, ONLY, PLAIN, POLYGON, SAME, VOLUME, trade_bits

FULL = VOLUME | HIGH_LOW | LAST | FLOW


@pytest.mark.parametrize(
    ("conditions", "tape", "regular"),
    [
        pytest.param("", "", FULL, id="a trade without conditions updates everything"),
        pytest.param("@", "C", FULL, id="a regular sale updates everything"),
        pytest.param(" ", "A", FULL, id="the space of CTA is a regular sale"),
        pytest.param("@,F,I", "C", VOLUME | FLOW, id="an odd lot sets no price"),
        pytest.param("@,T", "C", VOLUME, id="form T sets no regular price"),
        pytest.param("@,B", "A", VOLUME, id="B is an average price on CTA"),
        pytest.param("@,B", "C", FULL, id="B is a bunched trade on UTP"),
        pytest.param("@,W", "C", VOLUME, id="W is an average price on UTP"),
        pytest.param("@,Z", "C", VOLUME | HIGH_LOW | ONLY, id="sold out of sequence sets the last only as the first"),
        pytest.param("@,P", "A", VOLUME | HIGH_LOW | ONLY, id="so does a prior reference price"),
        pytest.param("L", "B", VOLUME | HIGH_LOW | SAME, id="sold last on CTA follows its own exchange"),
        pytest.param("L", "C", FULL, id="sold last on UTP updates the last"),
        pytest.param("L,Z", "A", VOLUME | HIGH_LOW | ONLY, id="of two rules for the last the stricter holds"),
        pytest.param("M", "C", 0, id="an official close is a value and no trade"),
        pytest.param("9", "A", HIGH_LOW | LAST, id="a corrected close has no volume"),
        pytest.param("6,X", "A", FULL | CLOSING, id="a closing print stays one in company"),
        pytest.param("@,!", "C", VOLUME, id="an unknown code sets no price"),
        pytest.param("#999", "C", VOLUME, id="so does an unknown number"),
        pytest.param("#", "C", VOLUME, id="and a number that is none"),
        pytest.param("4", "", VOLUME | HIGH_LOW | ONLY, id="the letter 4 is derivatively priced"),
        pytest.param("#4", "", FULL, id="Polygon's number 4 is a bunched trade"),
        pytest.param("#30", "A", VOLUME | HIGH_LOW | SAME, id="Polygon's sold last follows the tape's rule"),
        pytest.param("#37,#41", "B", VOLUME | FLOW, id="a trade-through exempt odd lot is an odd lot"),
    ],
)
def test_regular_session(conditions, tape, regular):
    assert trade_bits(conditions, tape) & (1 << EXTENDED) - 1 == regular


@pytest.mark.parametrize(
    ("conditions", "extended"),
    [
        pytest.param("@,T", FULL, id="form T is the regular sale of extended hours"),
        pytest.param("#12", FULL, id="also by Polygon's number"),
        pytest.param("@,U", VOLUME | HIGH_LOW | ONLY, id="sold out of sequence in extended hours"),
        pytest.param("@,T,I", VOLUME | FLOW, id="an odd lot sets no price there either"),
    ],
)
def test_extended_hours(conditions, extended):
    assert trade_bits(conditions, "C") >> EXTENDED == extended


def test_polygon_agrees_with_what_it_publishes():
    """Its conditions endpoint: updates_high_low, updates_open_close, updates_volume (consolidated) per number."""
    volume_only = {2, 7, 12, 13, 20, 21, 29, 37, 52, 53}
    no_last = volume_only | {5, 10, 22, 32, 33}
    nothing = {15, 16}
    for number, bits in POLYGON.items():
        assert bool(bits & VOLUME) == (number not in nothing | {38}), number
        assert bool(bits & HIGH_LOW) == (number not in volume_only | nothing), number
        assert bool(bits & LAST) == (number not in no_last | nothing), number
    assert PLAIN == FULL | FULL << EXTENDED
