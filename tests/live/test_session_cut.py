"""A paper session whose process died between a row's fills and the row: what is told before that row waits for it."""

import pytest

from live.core.events import SymbolFacts, Timer, decode_event
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import SqliteJournal, steps
from strategies.common.costs import Costs
from strategies.common.rule import Rule

RULE = Rule(size=0.5, stops="touch", shorts=True)
BUY, SELL = 1, 2


class KilledError(Exception):
    """The process is gone."""


@pytest.fixture
def cut(tmp_path, scripted, session_of, rows):
    """A session gone through again whose journal ends with the fill of a row, and the rows of its day."""
    day = rows([(100.0 + i % 3, 101.5, 99.2, 100.3, said) for i, said in enumerate([0, BUY, 0, SELL, 0, BUY, 0, 0])])
    path = tmp_path / "cut.journal"
    plan = Plan.of(scripted, ["AAA"], rule=RULE, costs=Costs.free(), clock="1m")
    journal = SqliteJournal.create(path, JournalHeader(plan, Feed("test", True, ""), built()))
    first, inner = session_of(RULE, journal=journal), journal.append_event

    def append(event):
        if event is day[2]:
            raise KilledError
        inner(event)

    journal.append_event = append
    first.row(day[0])
    first.row(day[1])
    with pytest.raises(KilledError):
        first.row(day[2])
    journal._db.close()
    again = session_of(RULE, journal=SqliteJournal.open(path))
    again.resume()
    assert not again.is_current
    return again, day


def kinds_of(session):
    return [type(decode_event(step.event)).__name__ for step in steps(session.journal)]


def test_silence_and_news_before_the_row_do_not_damage_the_journal(cut, session_of):
    again, day = cut
    before = kinds_of(again)
    again.tell(Timer(day[2].ts))
    again.gate("data", "no word from the feed yet")
    again.gate("data", "the hub is lost")
    again.tell(SymbolFacts(day[2].ts, "AAA", listed_days=1_000))
    assert kinds_of(again) == before
    again.row(day[2])
    assert again.is_current
    assert kinds_of(again)[len(before) :] == ["Row", "Gate", "SymbolFacts"]
    assert again.core.desk.tally.state.closed == {"data": "the hub is lost"}
    again.gate("data", "")
    for row in day[3:]:
        again.row(row)
    undisturbed = session_of(RULE)
    for row in day:
        undisturbed.row(row)
    assert (again.core.cash, again.core.positions) == (undisturbed.core.cash, undisturbed.core.positions)
    assert again.differences() == []


def test_a_journal_that_was_told_of_more_is_gone_through_again(cut, session_of):
    again, day = cut
    again.gate("data", "the hub is lost")
    again.row(day[2])
    again.journal.commit()
    twice = session_of(RULE, journal=again.journal)
    twice.resume()
    assert twice.is_current
    assert twice.core.digest() == again.core.digest()
