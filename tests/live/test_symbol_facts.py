"""Facts of a symbol: who tells which, that unknown stays unknown, and that only news are told."""

import pytest

from data.rows import Row, Trading
from live.symbol_facts import Book, session_of

SECOND = 1_000_000_000


def day(session, close, volume):
    return Row(session, session, 1.0, 1.0, [close], [close], [close], [close], [volume])


def test_history_gives_volumes_the_last_close_and_the_days_it_was_listed():
    book = Book(["AAA"], (), 1.0)
    rows = [day(20240100 + n, 10.0 + n, 1_000.0) for n in range(1, 26)]
    book.history(rows, ["AAA"], 20240125)
    (facts,) = book.news(5)
    assert (facts.average_volume, facts.reference_close, facts.listed_days) == (1_000.0, 34.0, 24)
    assert facts.average_dollar_volume == pytest.approx(sum(10.0 + n for n in range(5, 25)) / 20 * 1_000.0)


def test_what_nobody_said_is_unknown():
    (facts,) = Book(["AAA"], None, None).news(1)
    assert (facts.is_leveraged, facts.has_corporate_action, facts.listed_days) == (None, None, None)
    assert facts.average_volume != facts.average_volume
    (said,) = Book(["AAA"], ("AAA",), None).news(1)
    assert said.is_leveraged is True


def test_a_halt_and_its_end_are_told_once():
    book = Book(["AAA", "BBB"], (), 1.0)
    assert len(book.news(1)) == 2
    assert book.news(2) == []
    book.trading(Trading(3 * SECOND, "AAA", "luld"))
    (halted,) = book.news(3)
    assert (halted.symbol, halted.is_halted) == ("AAA", True)
    book.trading(Trading(9 * SECOND, "AAA", "trading"))
    (resumed,) = book.news(9)
    assert (resumed.is_halted, resumed.resumed_ts) == (False, 9 * SECOND)
    book.trading(Trading(9 * SECOND, "CCC", "halted"))
    assert book.news(10) == []


def test_a_crossed_quote_is_told_when_it_is_too_long_and_when_it_ends():
    book = Book(["AAA"], (), 1.0)
    book.news(0)
    book.crossed("AAA", 0.5)
    assert book.news(1) == []
    book.crossed("AAA", 1.5)
    assert book.news(2)[0].crossed_s == 1.5
    book.crossed("AAA", 2.5)
    assert book.news(3) == []
    book.crossed("AAA", 0.0)
    assert book.news(4)[0].crossed_s == 0.0


def test_corporate_actions_are_known_or_unknown():
    book = Book(["AAA", "BBB"], (), 1.0)
    book.actions(["BBB"])
    assert {facts.symbol: facts.has_corporate_action for facts in book.news(1)} == {"AAA": False, "BBB": True}
    book.actions(None)
    assert {facts.has_corporate_action for facts in book.news(2)} == {None}


def test_a_session_is_a_date_in_new_york():
    assert session_of(1_704_290_400 * SECOND) == 20240103
    assert session_of(1_704_250_800 * SECOND) == 20240102
