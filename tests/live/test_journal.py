"""The journal: what was written is read, and what was changed is found."""

import sqlite3
import threading
from itertools import count

import apsw
import msgspec
import pytest

from data.errors import ConfigError, JournalError
from live.core.commands import Submit
from live.core.events import Timer, decode_event
from live.core.plan import Plan
from live.header import Feed, JournalHeader, built
from live.journal import SqliteJournal, check_sqlite, exists, steps


@pytest.fixture
def header(scripted):
    return JournalHeader(Plan.of(scripted, ["AAA"], clock="1m"), Feed("test", True, "c0ffee"), built())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.journal"


def submit(order_id="o1", quantity=1.0):
    return Submit(order_id, 60, "AAA", "buy", quantity, "entry", "row")


@pytest.fixture
def written(path, header):
    """A closed journal of a header, forty events with a command each, and a digest."""
    journal = SqliteJournal.create(path, header)
    for i in range(40):
        journal.append_event(Timer(i))
        journal.append_commands([submit(f"o{i}")])
        if i % 8 == 0:
            journal.commit()
    journal.append_digest("d1")
    journal.close()
    return path


def contents(path):
    journal = SqliteJournal.open(path)
    try:
        return list(journal.read())
    finally:
        journal.close()


def test_what_was_written_is_read_in_order(written, header):
    journal = SqliteJournal.open(written)
    assert journal.header == header
    records = list(journal.read())
    assert [record.seq for record in records] == list(range(82))
    assert [record.kind for record in records[:3]] == ["header", "event", "command"]
    found = list(steps(journal))
    assert [decode_event(step.event) for step in found] == [Timer(i) for i in range(40)]
    assert found[-1].digest == "d1"
    journal.close()


def test_a_journal_goes_on_after_it_was_opened(written):
    journal = SqliteJournal.open(written)
    list(journal.read())
    journal.append_resumed(built())
    journal.append_event(Timer(99))
    journal.close()
    assert [record.kind for record in contents(written)[-2:]] == ["resumed", "event"]


def test_what_was_not_committed_is_not_there(path, header):
    journal = SqliteJournal.create(path, header)
    journal.append_event(Timer(1))
    journal.commit()
    journal.append_event(Timer(2))
    other = SqliteJournal.open(path)
    assert len(list(other.read())) == 2
    other.close()
    journal.close()


def test_the_same_key_with_another_intent_is_refused(path, header):
    journal = SqliteJournal.create(path, header)
    journal.append_commands([submit()])
    with pytest.raises(JournalError, match="o1 was planned before"):
        journal.append_commands([submit(quantity=2.0)])
    journal.close()


def test_each_intent_has_the_hash_of_its_body(written):
    with sqlite3.connect(written) as plain:
        hashes = plain.execute("SELECT body_hash FROM intent").fetchall()
    assert len({value for (value,) in hashes}) == 40
    assert all(len(value) == 32 for (value,) in hashes)


def test_the_file_is_its_owners_and_names_no_place_and_no_secret(written, checkout, monkeypatch):
    assert written.stat().st_mode & 0o077 == 0
    body = contents(written)[0].body
    assert str(checkout).encode() not in body
    assert str(written.parent).encode() not in body
    assert b"/" not in body.replace(b"n/a", b"")


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        ("UPDATE record SET body = CAST(body || x'00' AS BLOB) WHERE seq = 17", 17),
        ("UPDATE record SET kind = 'event' WHERE seq = 18", 18),
        ("DELETE FROM record WHERE seq = 30", 30),
        ("DELETE FROM record WHERE seq = 81", 81),
        ("DELETE FROM record WHERE seq > 50", 51),
        ("UPDATE record SET checksum = zeroblob(32) WHERE seq = 5", 5),
        ("UPDATE record SET body = (SELECT body FROM record WHERE seq = 3) WHERE seq = 1", 1),
        ("UPDATE record SET seq = 500 WHERE seq = 81", 81),
        ("DELETE FROM head", 82),
    ],
)
def test_a_changed_missing_or_cut_record_is_named(written, change, seq):
    db = apsw.Connection(str(written))
    db.execute(change)
    db.close()
    with pytest.raises(JournalError, match=rf"record {seq} is (damaged|missing)"):
        contents(written)


def test_no_flipped_byte_is_believed(written):
    """Every 37th byte: either the damage is told, or it lay where nothing is stored and the contents are the same."""
    good, before = written.read_bytes(), contents(written)
    good = written.read_bytes()
    told = 0
    for at in range(0, len(good), 37):
        written.write_bytes(good[:at] + bytes([good[at] ^ 0x5A]) + good[at + 1 :])
        try:
            assert contents(written) == before, f"byte {at}"
        except JournalError as error:
            assert "record " in str(error)  # noqa: PT017  # not every flip is damage
            told += 1
        for rest in written.parent.glob("a.journal-*"):
            rest.unlink()
    assert told > len(good) / 37 / 3


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_told(written, share):
    good = written.read_bytes()
    written.write_bytes(good[: max(1, int(len(good) * share))])
    with pytest.raises(JournalError, match="record "):
        contents(written)


def test_a_file_that_is_no_journal_is_told(path, tmp_path):
    with pytest.raises(JournalError, match="does not exist"):
        SqliteJournal.open(path)
    path.write_text("not a database, but a text long enough to be asked about its first sixteen bytes" * 9)
    with pytest.raises(JournalError, match="record 0 is damaged"):
        SqliteJournal.open(path)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as plain:
        plain.execute("CREATE TABLE record (seq)")
    with pytest.raises(JournalError, match="not a journal"):
        SqliteJournal.open(other)


def test_a_creation_cut_short_does_not_count_as_a_journal(path, written):
    assert exists(written)
    path = path.with_name("b.journal")
    assert not exists(path)
    path.touch()
    assert not exists(path)
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    assert path.stat().st_size > 0
    assert not exists(path)


def test_a_reader_that_looks_in_at_the_first_moment_is_waited_for(path, header):
    path.touch()
    reader = apsw.Connection(str(path))
    reader.execute("CREATE TABLE other (x)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM other").fetchall()
    leaving = threading.Timer(0.3, reader.close)
    leaving.start()
    try:
        SqliteJournal(path)._set_up()
    finally:
        leaving.join()


def test_a_full_disk_stops_before_the_event_is_believed(path, header):
    journal = SqliteJournal.create(path, header)
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages + 1}").fetchall()

    def write_on():
        for i in count():
            journal.append_event(Timer(i))

    with pytest.raises(JournalError, match="cannot be written"):
        write_on()
    journal.close()
    assert [record.kind for record in contents(path)] == ["header"]  # half a transaction is none


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.0"])
def test_a_library_that_can_damage_a_journal_is_refused(version):
    with pytest.raises(ConfigError, match=r"3\.51\.3"):
        check_sqlite(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0"])
def test_a_repaired_library_is_taken(version):
    check_sqlite(version)


def test_a_header_of_another_schema_is_told(written):
    db = apsw.Connection(str(written))
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalError, match="schema 99"):
        SqliteJournal.open(written)


def test_the_code_hash_changes_with_a_deciding_source(tmp_path, checkout):
    from live.header import DECIDING, DECIDING_FILES, code_hash

    for name in DECIDING:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "part.py").write_text("x = 1\n")
    for name in DECIDING_FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    before = code_hash(tmp_path)
    (tmp_path / DECIDING[0] / "part.py").write_text("x = 2\n")
    assert code_hash(tmp_path) != before
    assert len(code_hash(checkout)) == 64


def test_the_header_survives_its_bytes(header):
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(header), type=JournalHeader) == header
