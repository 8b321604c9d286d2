"""A host is lost and everything goes on elsewhere; and no secret was ever in what made that possible."""

import datetime as dt
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ConfigError, DataError, JournalError
from live.account import load_account
from live.backup import Backup
from live.backup_archive import archive_path, prune, write_archive
from live.backup_copy import copy_journal
from live.backup_log import Follower, batches, chained, records
from live.control import Control, Word
from live.fleet_files import load_fleet
from live.fleet_state import holder
from live.fleet_tail import Line, reading
from live.journal import SqliteJournal
from live.restore import restore
from live.shell import run

CANARY = "canary-7f3a9c"


def lines(count):
    checksum, made = b"", []
    for seq in range(count):
        line = Line(seq, "event" if seq else "header", f"body {seq}".encode() * (seq % 5 + 1), b"")
        checksum = chained(checksum, line)
        made.append(line._replace(checksum=checksum))
    return made


@pytest.fixture
def fleet(accounts, tape):
    """A fleet of one account that has traded 400 rows, with an env file and a halt."""
    home = accounts("a0")
    (home / "a0.env").touch(0o600)
    (home / "a0.env").write_text(f"APCA_API_SECRET_KEY={CANARY}\nAPCA_API_KEY_ID=another-{CANARY}\n")
    (home / "fleet.toml").write_text(f'state = "{home}/fleet"\n[limits]\ngross_usd = 100000\n')
    run(load_account(home / "a0.toml"), tape(400), 0)
    return load_fleet([home])


def books(path):
    """(rows, records) of a journal."""
    journal = SqliteJournal.open(path)
    try:
        return [record.body for record in journal.read()]
    finally:
        journal.close()


# --- the append-only file -------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=6), st.integers(0, 2_000))
def test_a_file_cut_anywhere_gives_whole_transactions_and_goes_on(tmp_path_factory, parts, cut):
    path = tmp_path_factory.mktemp("log") / "journal.log"
    made, at, ends = lines(sum(count for count, _ in parts)), 0, [0]
    follower = Follower(path)
    for count, whole in parts:
        follower.append(made[at : at + count], whole=whole)
        at += count
        if whole:
            ends.append(at)
    follower.close()
    body = path.read_bytes()
    path.write_bytes(body[: max(17, len(body) - cut)])
    kept = list(records(path))
    assert kept == made[: len(kept)]
    assert len(kept) in ends
    again = Follower(path)
    if again.kept.seq + 1 < len(made):
        again.append(made[again.kept.seq + 1 :], whole=True)
    again.close()
    assert list(records(path)) == made or not parts[-1][1]


@given(st.integers(17, 5_000), st.integers(1, 255))
def test_a_changed_byte_is_never_believed(tmp_path_factory, at, flip):
    path = tmp_path_factory.mktemp("log") / "journal.log"
    made = lines(40)
    follower = Follower(path)
    for k in range(0, 40, 10):
        follower.append(made[k : k + 10], whole=True)
    follower.close()
    body = bytearray(path.read_bytes())
    body[17 + (at - 17) % (len(body) - 17)] ^= flip
    path.write_bytes(body)
    try:
        kept = list(records(path))
    except JournalError:
        return
    assert kept == made[: len(kept)]


def test_records_that_do_not_follow_are_refused(tmp_path):
    follower = Follower(tmp_path / "journal.log")
    made = lines(6)
    follower.append(made[:3], whole=True)
    for wrong in (made[4:], made[2:], [made[3]._replace(body=b"other")]):
        with pytest.raises(JournalError, match="does not follow"):
            follower.append(wrong, whole=True)
    follower.close()
    (tmp_path / "other").write_text("something else")
    with pytest.raises(JournalError, match="is not a backup"):
        next(batches(tmp_path / "other"))


# --- backup and restore ---------------------------------------------------------------------------------------------


def test_a_restored_journal_is_the_same_to_the_byte_and_trades_on(fleet, tape, tmp_path):
    Control(fleet.members[0].account.state, "a0").say(Word("halt", "me", "standing"))
    copying = Backup(fleet, tmp_path / "backup")
    copying.look(0.0)
    copying.close()
    done = restore(tmp_path / "backup", tmp_path / "elsewhere")
    (account,) = done.accounts
    assert (account.name, account.halted, account.keys) == ("a0", True, ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"])
    again = load_fleet([tmp_path / "elsewhere" / "accounts"])
    assert again.limits == fleet.limits
    member = again.members[0]
    assert books(member.account.journal) == books(fleet.members[0].account.journal)
    assert Control(member.account.state, "a0").standing().note == "standing"
    with reading(member.account.journal) as ours, reading(fleet.members[0].account.journal) as theirs:
        intents = "SELECT * FROM intent ORDER BY order_id"
        assert ours.execute(intents).fetchall() == theirs.execute(intents).fetchall() != []
    assert run(member.account, tape(400), 0).halted == "halt by me: standing"
    for path in (tmp_path / "elsewhere").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_it_is_told_what_to_do_next(fleet, tmp_path, python):
    done = python("-m", "live", "backup", str(fleet.folder), "--to", str(tmp_path / "backup"), "--once")
    assert done.returncode == 0, done.stderr
    done = python("-m", "live", "restore", str(tmp_path / "backup"), "--to", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert "a0.env (chmod 600) with APCA_API_KEY_ID, APCA_API_SECRET_KEY" in done.stdout
    assert "fleet up" in done.stdout
    done = python("-m", "live", "restore", str(tmp_path / "backup"), "--to", str(tmp_path / "new"))
    assert done.returncode == 78
    assert "not empty" in done.stderr


def test_a_backup_follows_and_a_journal_begun_anew_is_kept_beside_the_old(fleet, tape, tmp_path):
    copying = Backup(fleet, tmp_path / "backup")
    copying.look(0.0)
    first = copying.lags[0].seq
    path = fleet.members[0].account.journal
    for file in path.parent.glob("a0.journal*"):
        file.unlink()
    run(fleet.members[0].account, tape(60, seed=4), 0)
    for now in (10.0, 20.0):
        copying.look(now)
    assert copying.lags[0].problem == ""
    assert copying.lags[0].seq < first
    copying.close()
    folder = tmp_path / "backup" / "a0"
    assert sorted(each.name for each in folder.glob("journal*")) == ["journal.log", "journal.log.1"]
    assert len(list(records(folder / "journal.log"))) == copying.lags[0].seq + 1


def test_a_backup_goes_on_where_it_was_cut_off(fleet, tmp_path):
    for _ in range(2):
        copying = Backup(fleet, tmp_path / "backup")
        copying.look(0.0)
        copying.close()
        log = tmp_path / "backup" / "a0" / "journal.log"
        body = log.read_bytes()
        log.write_bytes(body[:-7])
    copying = Backup(fleet, tmp_path / "backup")
    copying.look(0.0)
    copying.close()
    assert [line.body for line in records(log)] == books(fleet.members[0].account.journal)


def test_a_changed_file_a_changed_record_and_a_changed_archive_are_refused(fleet, tmp_path):
    copying = Backup(fleet, tmp_path / "backup")
    copying.look(0.0)
    copying.close()
    archive = write_archive(tmp_path / "backup", tmp_path / "archives", dt.date(2026, 11, 23))
    assert restore(archive, tmp_path / "one").accounts[0].records > 400

    body = bytearray(archive.read_bytes())
    body[len(body) // 2] ^= 1
    archive.write_bytes(body)
    with pytest.raises(DataError, match="is damaged"):
        restore(archive, tmp_path / "two")

    toml = tmp_path / "backup" / "a0" / "account" / "a0.toml"
    toml.write_text(toml.read_text() + "\n")
    with pytest.raises(DataError, match=r"a0\.toml is not the file"):
        restore(tmp_path / "backup", tmp_path / "three")
    toml.unlink()
    with pytest.raises(DataError, match=r"a0\.toml is missing"):
        restore(tmp_path / "backup", tmp_path / "four")
    with pytest.raises(ConfigError, match="is no backup"):
        restore(tmp_path, tmp_path / "five")


def test_an_archive_that_leads_elsewhere_is_refused(tmp_path):
    path = tmp_path / "onetape-2026-11-23.tar.gz"
    (tmp_path / "x").write_text("x")
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "x", "../../outside")
    with pytest.raises(DataError, match="cannot be unpacked"):
        restore(path, tmp_path / "to")
    assert not (tmp_path.parent / "outside").exists()


def test_archives_are_kept_for_ninety_days_and_the_newest_for_ever(tmp_path):
    (tmp_path / "backup").mkdir()
    today = dt.date(2026, 11, 23)
    for days in (0, 89, 90, 91, 300):
        write_archive(tmp_path / "backup", tmp_path, today - dt.timedelta(days))
    gone = prune(tmp_path, today)
    assert {path.name for path in gone} == {
        archive_path(tmp_path, today - dt.timedelta(days)).name for days in (91, 300)
    }
    assert len(list(tmp_path.glob("*.sha256"))) == 3
    assert prune(tmp_path, today + dt.timedelta(1_000)) != []
    assert archive_path(tmp_path, today).exists()


# --- secrets --------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_a_backup_or_an_archive(fleet, tmp_path):
    state = fleet.members[0].account.state
    for name in ("a0.grant", "a0.token"):
        (state / name).write_text(CANARY)
    (fleet.folder / "a0.secret").write_text(CANARY)
    copying = Backup(fleet, tmp_path / "backup")
    copying.look(0.0)
    copying.close()
    archive = write_archive(tmp_path / "backup", tmp_path / "archives", dt.date(2026, 11, 23))
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    seen = [path for path in (*(tmp_path / "backup").rglob("*"), *(tmp_path / "unpacked").rglob("*")) if path.is_file()]
    assert len(seen) >= 8
    for path in seen:
        body = path.read_bytes()
        assert CANARY.encode() not in body, path
        if path.name == "journal.log":
            assert all(CANARY.encode() not in line.body for line in records(path))


def test_a_file_that_holds_the_value_of_a_secret_is_left_out_and_told(fleet, tmp_path):
    (fleet.folder / "noise.py").write_text((fleet.folder / "noise.py").read_text() + f'KEY = "{CANARY}"\n')
    copying = Backup(fleet, tmp_path / "backup")
    copying.look(0.0)
    assert not (tmp_path / "backup" / "a0" / "account" / "noise.py").exists()
    copying.close()


# --- the drill ------------------------------------------------------------------------------------------------------


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "live", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not come within {seconds} s"
        time.sleep(0.02)
    return found


def rows_of(state, name):
    try:
        return Control(state, name).status().rows
    except ConfigError:
        return 0


def test_a_host_lost_mid_session_goes_on_elsewhere_without_a_duplicate(accounts, tape, tmp_path, checkout):
    """kill -9 of everything and the folder gone; then from the backup to the end of the tape, on another host."""
    home = accounts("a0", "a1")
    (home / "fleet.toml").write_text(f'state = "{home}/fleet"\n')
    begun = []
    try:
        begun.append(start("fleet", "up", home, "--replay", tape(3_000), "--speed", 1_200))
        begun.append(start("backup", home, "--to", tmp_path / "backup"))
        until(lambda: rows_of(home / "state", "a1") > 150)
        pids = [holder(lock) for lock in (*home.glob("state/*.lock"), *home.glob("fleet/*.lock"))]
        lost = {name: home / "state" / f"{name}.journal" for name in ("a0", "a1")}
        for process in begun:
            process.kill()
        for pid in filter(None, pids):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(holder(lock) for lock in home.glob("state/*.lock")))
        for name, path in lost.items():  # only to compare with: the drill itself uses the backup
            copy_journal(path, tmp_path / f"{name}.lost")
        shutil.rmtree(home)

        done = start("restore", tmp_path / "backup", "--to", tmp_path / "new", "--json")
        said, errors = done.communicate(timeout=60)
        assert done.returncode == 0, errors
        for each in json.loads(said)["accounts"]:
            had = books(tmp_path / f"{each['name']}.lost")
            have = books(tmp_path / "new" / "state" / f"{each['name']}.journal")
            assert have == had[: len(have)]  # nothing but the end may be missing
            assert each["records"] == len(have) > 300
        up = start("fleet", "up", tmp_path / "new" / "accounts", "--replay", tape(3_000), "--speed", 0)
        begun.append(up)
        assert up.wait(120) == 0, up.communicate()[1]
    finally:
        for process in begun:
            process.kill()
            process.communicate()

    whole = accounts("a0", folder="whole")
    expected = run(load_account(whole / "a0.toml"), tape(3_000), 0)
    for name in ("a0", "a1"):
        status = Control(tmp_path / "new" / "state", name).status()
        assert (status.rows, status.cash, status.equity) == (3_000, expected.cash, expected.equity)
        with reading(tmp_path / "new" / "state" / f"{name}.journal") as db:
            (orders,) = db.execute("SELECT count(*) FROM intent").fetchone()
        with reading(whole / "state" / "a0.journal") as db:
            assert orders == db.execute("SELECT count(*) FROM intent").fetchone()[0]


def test_an_unreadable_journal_is_told_and_the_rest_is_copied(accounts, tape, tmp_path, python):
    home = accounts("a0", "a1")
    run(load_account(home / "a0.toml"), tape(60), 0)
    (home / "state" / "a1.journal").write_text("no journal")
    done = python("-m", "live", "backup", str(home), "--to", str(tmp_path / "backup"), "--once")
    assert done.returncode == 3
    assert "a1: " in done.stderr
    assert len(list(records(tmp_path / "backup" / "a0" / "journal.log"))) > 60
    assert apsw.sqlite_lib_version() >= "3.51.3"
