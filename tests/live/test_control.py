"""A person's word from another terminal: taken in order, obeyed by the next start, never lost."""

import json

import pytest

from data.door import call
from data.errors import ConfigError
from live.__main__ import app
from live.control import Control, Listener, Word
from live.core.events import Operator, decode_event
from live.journal import steps
from live.status import status_of

BUY, SELL, FLAT = 1, 2, 0


@pytest.fixture
def control(tmp_path):
    return Control(tmp_path / "state", "a")


@pytest.fixture
def says(control):
    """`says("halt")`: with a clock that counts."""
    ticks = iter(range(10**6))
    return lambda action, note="": control.say(Word(action, "ada", note), lambda: next(ticks))


def quiet(*said):
    return [(100.0, 100.0, 100.0, 100.0, each) for each in said]


def told(session):
    events = [decode_event(step.event) for step in steps(session.journal)]
    return [(event.action, event.who) for event in events if isinstance(event, Operator)]


def test_words_are_taken_in_order_and_once(control, says):
    for action in ("halt", "flatten", "resume"):
        says(action)
    assert [word.action for word in control.words()] == ["halt", "flatten", "resume"]
    assert list(control.words()) == []


def test_a_word_that_was_not_taken_whole_is_taken_again(control, says):
    says("halt")
    assert next(iter(control.words())).action == "halt"  # the runner dies before it asks for the next
    assert [word.action for word in control.words()] == ["halt"]


def test_a_halt_stops_entries_and_a_resume_lets_them_go_on(control, says, session_of, rows):
    session = session_of()
    listener = Listener(control, session, lambda: status_of(session))
    first, second, third = rows(quiet(FLAT, BUY, BUY))
    session.row(first)
    says("halt", "lunch")
    listener.look()
    session.row(second)
    assert (session.core.halted, len(session.core.orders)) == ("halt by ada: lunch", 0)
    says("resume")
    listener.look()
    session.row(third)
    assert (session.core.halted, len(session.core.orders)) == ("", 1)
    assert told(session) == [("halt", "ada"), ("resume", "ada")]


def test_a_flatten_leaves_what_is_held(control, says, session_of, rows):
    session = session_of()
    first, second, third = rows(quiet(BUY, FLAT, FLAT))
    session.row(first)
    session.row(second)
    says("flatten")
    Listener(control, session, lambda: status_of(session)).look()
    session.row(third)
    assert session.core.positions == [0.0]


def test_a_halt_while_nobody_runs_is_obeyed_by_the_next_start(control, says, session_of, rows):
    says("halt")
    for _ in control.words():
        pass  # even where the word itself was taken by a process that died
    session = session_of()
    Listener(control, session, lambda: status_of(session)).look()
    session.row(rows(quiet(BUY))[0])
    assert session.core.halted == "halt by ada"
    assert session.core.orders == {}


def test_a_standing_halt_is_said_once(control, says, session_of):
    says("halt")
    session = session_of()
    listener = Listener(control, session, lambda: status_of(session))
    for _ in range(3):
        listener.look()
    assert told(session) == [("halt", "ada")]


def test_a_file_that_cannot_be_read_halts(control, says, session_of):
    says("resume")
    (control.folder / "9.json").write_text("{")
    session = session_of()
    Listener(control, session, lambda: status_of(session)).look()
    assert session.core.halted == "halt by operator: 9.json cannot be read"
    control.flag.write_text("?")
    assert control.standing() == Word("halt", "", "a.halted cannot be read")


def test_the_status_is_written_at_a_pace_and_read_whole(control, says, session_of, rows):
    now = [0.0]
    session = session_of(limits={"max_order_usd": 1})
    control.folder.mkdir(parents=True)
    listener = Listener(control, session, lambda: status_of(session), lambda: now[0])
    listener.look()
    session.row(rows(quiet(BUY))[0])
    listener.look()
    assert control.status().rows == 0
    now[0] = 1.0
    listener.look()
    assert (control.status().rows, control.status().denied) == (1, {"R02.order_notional": 1})


def test_what_was_never_run_has_no_status(control):
    with pytest.raises(ConfigError, match="was never run"):
        control.status()


@pytest.fixture
def account(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(f'name = "a"\nstrategy = "ma_cross"\nstate = "{tmp_path}/state"\n')
    return path


def test_the_door_halts_and_resumes_an_account_that_does_not_run(account, control, capsys):
    assert call(app, ["halt", str(account), "--note", "news"]) == 0
    assert capsys.readouterr().out == "halt: a, not running: its next start obeys\n"
    assert control.standing().note == "news"
    assert call(app, ["resume", str(account)]) == 0
    assert control.standing() is None
    assert [word.action for word in control.words()] == ["halt", "resume"]


def test_the_door_prints_the_status(account, control, session_of, capsys):
    assert call(app, ["status", str(account)]) == 78
    control.folder.mkdir(parents=True)
    session = session_of()
    Listener(control, session, lambda: status_of(session)).last_word()
    capsys.readouterr()
    assert call(app, ["status", str(account), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["running"], shown["halt_stands"], shown["cash"]) == (False, False, 100_000.0)
    assert call(app, ["status", str(account)]) == 0
    assert "not running" in capsys.readouterr().out
