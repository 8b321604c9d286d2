"""Everything the doctor looks at, in order and out of order, each with its cure and never a secret."""

import datetime as dt
import json
import socket
import struct
import threading
import time
from types import SimpleNamespace

import pytest

from live.account import load_account
from live.control import Control, Word
from live.doctor import Finding, calendar, clock, disk, host, mode_of, pinned, port_free, versions
from live.doctor_account import account
from live.doctor_clock import Asked, offset_ms
from live.shell import run

NOW = time.time()


def states(found):
    return {each.name: each.state for each in found}


def one(found, name):
    return next(each for each in found if each.name == name)


# --- the machine ----------------------------------------------------------------------------------------------------


@pytest.fixture
def time_server():
    """`time_server(offset_s)`: the address of a server of time whose clock is that much behind ours."""
    opened = []

    def make(offset_s):
        serving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        serving.bind(("127.0.0.1", 0))
        opened.append(serving)

        def serve():
            try:
                _, who = serving.recvfrom(512)
                stamp = int((time.time() - offset_s + 2_208_988_800) * 2**32)
                serving.sendto(struct.pack("!32xQQ", stamp, stamp), who)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        return serving.getsockname()

    yield make
    for each in opened:
        each.close()


@pytest.mark.parametrize("offset_s", [0.0, 3_600.0, -86_400.0])
def test_a_clock_that_is_off_is_measured_by_a_question_over_the_wire(time_server, offset_s):
    asked = offset_ms(time_server(offset_s), patience_s=30.0)
    assert abs(asked.offset_ms - offset_s * 1e3) < 20_000.0  # a busy machine may take its time to answer


def test_a_server_that_does_not_answer_is_no_source():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        asked = offset_ms(silent.getsockname(), patience_s=0.05)
    assert asked.offset_ms != asked.offset_ms
    assert clock([asked]).state == "note"
    assert "no answer" in clock([asked]).text


@pytest.mark.parametrize(
    ("offsets", "state", "said"),
    [
        ((), "note", "offline"),
        ((10.0, -20.0), "ok", "+10 ms against a"),
        ((10.0,), "note", "+10 ms"),
        ((10.0, float("nan")), "note", "+10 ms"),
        ((251.0, 240.0), "bad", "at most 250 ms"),
        ((-251.0, -240.0), "bad", "at most 250 ms"),
        ((0.0, 300.0), "bad", "do not agree"),
    ],
)
def test_a_clock_is_judged_by_two_sources_that_agree(offsets, state, said):
    found = clock([Asked(name, offset) for name, offset in zip("ab", offsets, strict=False)])
    assert (found.state, said in found.text) == (state, True)
    assert bool(found.fix) == (state == "bad")


@pytest.mark.parametrize(
    ("day", "state"), [(dt.date(2026, 11, 23), "ok"), (dt.date(2028, 12, 1), "note"), (dt.date(2029, 1, 1), "bad")]
)
def test_a_calendar_that_ends_is_told_in_time(day, state):
    assert calendar(day).state == state


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    assert disk(tmp_path / "not" / "yet").state in ("ok", "note")
    for free, state in ((10**6, "bad"), (500 * 10**6, "note")):
        usage = SimpleNamespace(total=10**10, used=10**10 - free, free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        assert disk(tmp_path).state == state


def test_packages_that_are_not_those_of_the_lock_are_named(tmp_path):
    lock = tmp_path / "live.txt"
    assert one(versions(lock), "lock").state == "note"
    lock.write_text(
        "apsw==1.2.3 \\\n    --hash=sha256:ab\nno-such-package==1.0\npywin32==312 ; sys_platform == 'win32' \\\n"
        "later==1.0 ; python_full_version >= '3.99' and sys_platform == 'linux'\n"
    )
    assert list(pinned(lock)) == [("apsw", "1.2.3"), ("no-such-package", "1.0")]
    found = one(versions(lock), "lock")
    assert found.state == "bad"
    assert "apsw 3." in found.text
    assert "(the lock says 1.2.3)" in found.text
    assert "no-such-package is missing" in found.text
    assert "--require-hashes" in found.fix


def test_the_machine_that_runs_the_tests_is_in_order_but_for_what_is_not_asked(tmp_path):
    found = list(host(tmp_path, lambda: dt.date(2026, 11, 23), online=False))
    assert {each.name for each in found} >= {"python", "sqlite", "lock", "clock", "calendar", "disk", "memory"}
    assert states(found)["sqlite"] == "ok"
    assert all(each.fix for each in found if each.state == "bad")


def test_a_port_in_use_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert port_free(taken.getsockname()[1]).state == "note"


# --- an account -----------------------------------------------------------------------------------------------------


def test_a_fresh_paper_account_has_nothing_to_mend(accounts):
    home = accounts("a0")
    found = list(account(home / "a0.toml", NOW, online=False))
    assert [each for each in found if each.state == "bad"] == []
    assert one(found, "journal").text == "not begun"


def test_a_file_that_does_not_load_is_the_only_finding(accounts):
    home = accounts("a0")
    (home / "a0.toml").write_text('name = "a0"\nstratgy = "noise.py"\n')
    (found,) = account(home / "a0.toml", NOW)
    assert found.state == "bad"
    assert "did you mean 'strategy'" in found.text


def test_files_that_others_may_read_are_named_with_the_command(accounts):
    home = accounts("a0")
    (home / "a0.env").touch()
    (home / "a0.env").chmod(0o644)
    found = list(account(home / "a0.toml", NOW, online=False))
    assert one(found, "env file").state == "bad"
    assert one(found, "permissions").fix == f"chmod 600 {home / 'a0.env'}"
    (home / "a0.env").chmod(0o600)
    (home / "state").mkdir(mode=0o755)
    (home / "state" / "a0.grant").touch()
    (home / "state" / "a0.grant").chmod(0o666)
    found = [each for each in account(home / "a0.toml", NOW, online=False) if each.name == "permissions"]
    assert [(each.state, each.fix.split()[1]) for each in found] == [("note", "700"), ("bad", "600")]
    assert mode_of(home / "nothing", "a0", 0o600) is None


LIVE = """name = "a0"
strategy = "momentum"
broker = "BROKER"
state = "STATE"
"""


def limits():
    from live.core.limits import DEFAULTS

    def said(value):
        return json.dumps(value)

    return "[limits]\n" + "".join(f"{name} = {said(value)}\n" for name, value in DEFAULTS.items() if value is not None)


def money(home, broker, more=""):
    home.mkdir(exist_ok=True)
    text = LIVE.replace("BROKER", broker).replace("STATE", str(home / "state"))
    (home / "a0.toml").write_text(text + more + limits())
    return home / "a0.toml"


def test_keys_are_told_to_be_there_and_never_shown(tmp_path, python):
    path = money(tmp_path / "acc", "alpaca")
    found = list(account(path, NOW, online=False))
    assert [each.state for each in found if each.name == "keys"] == ["bad", "bad"]
    assert "APCA_API_KEY_ID is not set" in one(found, "keys").text
    path.with_suffix(".env").touch(0o600)
    path.with_suffix(".env").write_text("APCA_API_KEY_ID=canary-id\nAPCA_API_SECRET_KEY=canary-secret\n")
    found = list(account(path, NOW, online=False))
    assert [each.state for each in found if each.name == "keys"] == ["ok", "ok"]
    done = python("-m", "live", "doctor", str(path), "--offline", "--json")
    assert "APCA_API_SECRET_KEY is there" in done.stdout
    assert "canary" not in done.stdout + done.stderr
    assert json.loads(done.stdout)["bad"] == (done.returncode == 3)


def test_a_login_that_is_missing_over_or_unreadable_is_told(tmp_path):
    path = money(tmp_path / "acc", "robinhood", "trading = true\n")
    assert one(account(path, NOW, online=False), "login").state == "bad"
    grant = tmp_path / "acc" / "state" / "a0.grant"
    grant.parent.mkdir()
    grant.touch(0o600)
    for body, state, said in (
        ("{", "bad", "cannot be read"),
        (json.dumps({"expires": NOW - 1, "access": "canary"}), "note", "is over"),
        (json.dumps({"expires": NOW + 86_400 * 2, "access": "canary"}), "ok", "2.0 days"),
    ):
        grant.write_text(body)
        found = one(account(path, NOW, online=False), "login")
        assert (found.state, said in found.text) == (state, True)
        assert "canary" not in found.text


def test_money_without_a_certificate_or_arming_is_told(tmp_path):
    path = money(tmp_path / "acc", "robinhood", "trading = true\naccount_suffix = '1234'\n")
    found = list(account(path, NOW, online=False))
    assert one(found, "certificate").state == "bad"
    assert "strategies certify" in one(found, "certificate").fix
    assert one(found, "armed").state == "bad"
    assert "live arm" in one(found, "armed").fix


def test_the_way_to_a_venue_is_tried_and_what_stands_in_it_is_told(tmp_path, monkeypatch):
    path = money(tmp_path / "acc", "alpaca")
    path.with_suffix(".env").touch(0o600)
    with socket.socket() as venue:
        venue.bind(("127.0.0.1", 0))
        venue.listen()
        port = venue.getsockname()[1]
        path.with_suffix(".env").write_text(f"APCA_API_BASE_URL=http://127.0.0.1:{port}\n")
        found = one(account(path, NOW), "venue")
        assert found.state == "ok"
        assert "127.0.0.1 answers after" in found.text
    found = one(account(path, NOW), "venue")
    assert (found.state, found.fix) == ("bad", "check the network, DNS and firewall")


def test_a_halt_a_damaged_journal_and_another_strategy_are_told(accounts, tape):
    home = accounts("a0")
    told = load_account(home / "a0.toml")
    run(told, tape(60), 0)
    Control(told.state, "a0").say(Word("halt", "me"))
    found = list(account(home / "a0.toml", NOW, online=False))
    assert one(found, "halt").fix.startswith("python -m live resume")
    assert one(found, "journal").state == "ok"
    assert one(found, "runner").text == "does not run"
    (home / "other.py").write_text((home / "noise.py").read_text().replace("0.8", "0.7"))
    (home / "a0.toml").write_text((home / "a0.toml").read_text().replace("noise.py", "other.py"))
    assert "another version of the strategy" in one(account(home / "a0.toml", NOW, online=False), "journal").text
    told.journal.write_bytes(b"no journal at all" * 100)
    assert one(account(home / "a0.toml", NOW, online=False), "journal").state == "bad"


def test_the_command_says_every_cure_and_exits_with_three(accounts, python):
    home = accounts("a0")
    (home / "a0.env").touch()
    (home / "a0.env").chmod(0o644)
    done = python("-m", "live", "doctor", str(home), "--offline")
    assert done.returncode == 3
    assert f"-> chmod 600 {home / 'a0.env'}" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("to mend")
    assert Finding("a", "b", "ok", "c").fix == ""
