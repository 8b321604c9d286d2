"""Every conformance card is played by every broker, and the page about them says what was played."""

import pytest

from tests.contracts import cards_changes, cards_orders, cards_trouble
from tests.contracts.cards import CARDS, GROUPS
from tests.contracts.conformance_page import PAGE, page

PARTS = (cards_orders, cards_changes, cards_trouble)
CARDS.sort(key=lambda card: tuple(map(int, card.number.split("."))))  # whichever part was read first


@pytest.mark.parametrize("card", CARDS, ids=[f"{each.number} {each.title}" for each in CARDS])
def test_card(broker, card):
    if why := card.skip(broker.desk.capabilities):
        pytest.skip(why)
    card.play(broker)


def test_every_group_has_its_cards():
    assert {card.group for card in CARDS} == set(GROUPS)
    assert all(PARTS)
    assert len({card.number for card in CARDS}) == len(CARDS)


def test_the_page_is_that_of_the_cards():
    assert PAGE.read_text("utf-8") == page(CARDS, GROUPS), "python tests/contracts/conformance_page.py writes it"
