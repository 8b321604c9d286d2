"""Many accounts on one machine: started, killed, restarted, added up, rolled, halted."""

import dataclasses
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ConfigError
from data.tape import write_tape
from data.types import Bars
from live.account import load_account
from live.control import Control
from live.fleet_child import pause_of
from live.fleet_files import FleetLimits, Restart, Stagger, load_fleet, read_env, stagger_beside
from live.fleet_limits import Seen, uses
from live.fleet_minder import Minder, ended
from live.fleet_restart import TAKEN, Backoff
from live.fleet_siblings import Diary, Siblings
from live.fleet_state import holder, read_status
from live.fleet_tail import Tail

PATIENCE_S = 300.0

# --- files ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_a_fleet_and_each_account_has_its_own_env_file(accounts):
    home = accounts("a", "b")
    (home / "a.env").touch(0o600)
    (home / "fleet.toml").write_text(f'state = "{home}/fleet"\n[limits]\ngross_usd = 5\n')
    fleet = load_fleet([home])
    assert [(member.name, member.env and member.env.name) for member in fleet.members] == [("a", "a.env"), ("b", None)]
    assert fleet.limits == FleetLimits(gross_usd=5)
    assert load_fleet([home / "b.toml"]).members[0].name == "b"


def test_an_env_file_that_others_may_read_is_refused_with_the_cure(accounts):
    home = accounts("a")
    (home / "a.env").touch()
    (home / "a.env").chmod(0o640)
    with pytest.raises(ConfigError, match=r"mode 0640.*chmod 600 .*a\.env"):
        load_fleet([home])


def test_a_line_of_an_env_file_that_cannot_be_read_is_not_quoted(tmp_path):
    path = tmp_path / "a.env"
    path.touch(0o600)
    path.write_text("GOOD=1\nsecret without a name\n")
    with pytest.raises(ConfigError, match="line 2 is not NAME=value") as caught:
        read_env(path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limit = 3", "no key 'limit'; did you mean 'limits'"),
        ("[limits]\ngross = 3", "no key 'gross' in .limits."),
        ("[limits]\ngross_usd = '3'", "gross_usd must be a number"),
        ("[restart]\nfirst_s = -1", "first_s must be a number, 0 or more"),
        ("[stagger]\nseconds = 30", "must be 10 at most, got 30"),
        ("restart = 3", r"write \[restart\]"),
        ("state = 3", "state must be a text"),
        ("state = ", "cannot be read"),
    ],
)
def test_what_a_fleet_file_may_not_say(accounts, text, said):
    home = accounts("a")
    (home / "fleet.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_fleet([home])


def test_two_files_of_one_account_and_no_file_at_all_are_refused(accounts, tmp_path):
    home = accounts("a")
    shutil.copy(home / "a.toml", home / "b.toml")
    with pytest.raises(ConfigError, match=r"a\.toml and b\.toml are both of account 'a'"):
        load_fleet([home])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no account file"):
        load_fleet([tmp_path / "empty"])
    with pytest.raises(ConfigError, match="is not there"):
        load_fleet([tmp_path / "none"])


# --- pauses ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0.0, 1_000.0), min_size=1, max_size=30), st.integers(1, 8))
def test_pauses_grow_to_a_ceiling_and_too_many_crashes_end_it(gaps, crashes):
    rules = Restart(first_s=1.0, most_s=8.0, crashes=crashes, within_s=600.0)
    backoff, now, times = Backoff(rules, "a"), 0.0, []
    for gap in gaps:
        now += gap
        times.append(now)
        recent = [at for at in times if at >= now - 600.0]
        wait = backoff.crashed(now)
        if len(recent) >= crashes:
            assert wait is None
        else:
            full = min(8.0, 2.0 ** (len(recent) - 1))
            assert full / 2 <= wait <= full


def test_pauses_are_the_same_for_the_same_seed_and_differ_between_accounts():
    def pauses(seed):
        backoff = Backoff(Restart(crashes=9), seed)
        return [backoff.crashed(float(k)) for k in range(5)]

    assert pauses("a") == pauses("a") != pauses("b")


@given(st.text(min_size=1, max_size=10), st.integers(0, 2**62))
def test_a_send_waits_at_most_the_stagger_and_nothing_without_one(account, ts):
    assert 0.0 <= Stagger().delay_s(account, ts) < 2.0
    assert Stagger(seconds=0).delay_s(account, ts) == 0.0


def test_accounts_without_money_do_not_wait_and_the_file_beside_says_how_long_the_others_do(accounts):
    home = accounts("a0")
    path = home / "a0.toml"
    assert stagger_beside(path) == Stagger()
    (home / "fleet.toml").write_text("[stagger]\nseconds = 4\nseed = 7\n")
    paper, stagger = load_account(path), stagger_beside(path)
    assert stagger == load_fleet([home]).stagger == Stagger(4, 7)
    money = dataclasses.replace(paper, trading=True)
    assert [pause_of(paper, stagger)(ts) for ts in range(5)] == [0.0] * 5
    assert [pause_of(money, stagger)(ts) for ts in range(5)] == [stagger.delay_s("a0", ts) for ts in range(5)]
    assert len({pause_of(money, stagger)(ts) for ts in range(5)}) == 5


def test_no_account_is_always_first():
    stagger, names = Stagger(seed=4), [f"a{k}" for k in range(5)]
    firsts = [min(names, key=lambda name: stagger.delay_s(name, ts)) for ts in range(2_000)]
    assert all(300 < firsts.count(name) < 500 for name in names)


# --- limits ---------------------------------------------------------------------------------------------------------


def test_limits_add_up_over_accounts_and_name_who_takes_part():
    fleet = [
        Seen("a", {"AAA": 10.0, "BBB": -5.0}, {"AAA": 100.0, "BBB": 10.0}, 3, -40.0),
        Seen("b", {"AAA": -2.0}, {"AAA": 100.0}, 4, 15.0),
        Seen("c", {}, {}, 0, 0.0),
    ]
    limits = FleetLimits(gross_usd=1_250, symbol_usd=1_199, orders_a_minute=10, day_loss_usd=25)
    found = {use.limit: use for use in uses(limits, fleet)}
    assert (found["gross_usd"].used, found["gross_usd"].is_over, found["gross_usd"].is_near) == (1_250.0, False, True)
    assert (found["symbol_usd AAA"].used, found["symbol_usd AAA"].accounts) == (1_200.0, ["a", "b"])
    assert found["symbol_usd AAA"].is_over
    assert not found["symbol_usd BBB"].is_over
    assert (found["orders_a_minute"].used, found["day_loss_usd"].used) == (7.0, 25.0)
    assert uses(FleetLimits(), fleet) == []


def test_a_position_without_a_price_is_over_any_limit():
    (use,) = uses(FleetLimits(gross_usd=1e12), [Seen("a", {"AAA": 1.0}, {}, 0, 0.0)])
    assert use.is_over


# --- processes ------------------------------------------------------------------------------------------------------


@pytest.fixture
def fleet(checkout):
    """`fleet("up", ...)`: the command until it ends; `fleet.start(...)`: still running."""
    begun = []

    class Commands:
        def __call__(self, *words, **options):
            return subprocess.run(
                [sys.executable, "-m", "live", "fleet", *map(str, words)],
                cwd=checkout, capture_output=True, text=True, timeout=PATIENCE_S, **options,
            )  # fmt: skip

        def start(self, *words, **options):
            process = subprocess.Popen(
                [sys.executable, "-m", "live", "fleet", *map(str, words)],
                cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
            )  # fmt: skip
            begun.append(process)
            return process

    yield Commands()
    for process in begun:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


@pytest.fixture
def home(accounts):
    """`home(3, limits="...", restart="...")`: a folder with a fleet of that many accounts; its runners are ended."""
    made = []

    def make(count, common="", names=None, **options):
        folder = accounts(*(names or [f"a{k}" for k in range(count)]), **options)
        (folder / "fleet.toml").write_text(f'state = "{folder}/fleet"\n{common}')
        made.append(folder)
        return folder

    yield make
    for folder in made:
        for lock in (*folder.glob("state/*.lock"), *folder.glob("fleet/*.lock")):
            if pid := holder(lock):
                os.kill(pid, signal.SIGKILL)


def until(condition, seconds=PATIENCE_S, what=""):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what or 'it'} did not come within {seconds} s"
        time.sleep(0.02)
    return found


def runner(folder, name):
    told = read_status(folder / "fleet")
    return next((each for each in told.runners if each.name == name), None) if told else None


def rows_of(folder, name):
    try:
        return Control(folder / "state", name).status().rows
    except ConfigError:
        return 0


def told(fleet, folder):
    done = fleet("status", folder, "--json")
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


def test_a_fleet_trades_a_tape_as_each_account_alone_does(fleet, home, tape, checkout, tmp_path):
    folder = home(3)
    done = fleet("up", folder, "--replay", tape(800), "--speed", 0)
    assert done.returncode == 0, done.stderr
    lines = told(fleet, folder)["accounts"]
    assert [(line["state"], line["rows"], line["crashes"]) for line in lines] == [("done", 800, 0)] * 3
    alone = subprocess.run(
        [sys.executable, "-m", "live", "run", folder / "a0.toml", "--replay", tape(800), "--speed", "0",
         "--journal", tmp_path / "alone.journal", "--json"],
        cwd=checkout, capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = json.loads(alone.stdout)
    assert {(line["equity"], line["cash"]) for line in lines} == {(expected["equity"], expected["cash"])}
    for name in ("fleet.status", "a0.out", "hub.out"):
        assert stat.S_IMODE((folder / "fleet" / name).stat().st_mode) == 0o600
    again = fleet("up", folder, "--replay", tape(800), "--speed", 0)
    assert again.returncode == 0, again.stderr


def test_secrets_reach_their_own_account_and_no_other_and_no_file(fleet, home, tape):
    spy = '''"""Writes down what it sees of the environment."""
import os
from strategies.types import Bars, Signals

CLOCK = "1m"


def signals(bars: Bars) -> Signals:
    seen = sorted(name for name in os.environ if "APCA" in name or "CANARY" in name)
    open(os.environ["SPY_TO"] + f"/{os.getpid()}", "w").write(" ".join(f"{n}={os.environ[n]}" for n in seen))
    return Signals(bars.close > 0, bars.close < 0)
'''
    folder = home(2, strategy=spy)
    seen = folder / "seen"
    seen.mkdir()
    for k in range(2):
        (folder / f"a{k}.env").touch(0o600)
        (folder / f"a{k}.env").write_text(f"APCA_API_SECRET_KEY=canary-{k}\nCANARY_{k}=yes\n")
    outside = os.environ | {"SPY_TO": str(seen), "APCA_API_KEY_ID": "of-the-supervisor"}
    done = fleet("up", folder, "--replay", tape(60), "--speed", 0, env=outside)
    assert done.returncode == 0, done.stderr
    texts = {path.read_text() for path in seen.iterdir()}
    assert texts == {f"APCA_API_SECRET_KEY=canary-{k} CANARY_{k}=yes" for k in range(2)}
    for path in (*(folder / "fleet").iterdir(), *(folder / "state").iterdir()):
        if path.is_file():
            assert b"canary-" not in path.read_bytes(), path.name


def test_a_killed_runner_is_started_again_alone_and_ends_with_the_same_books(fleet, home, tape):
    folder = home(3, "[restart]\nfirst_s = 0.05\n")
    process = fleet.start("up", folder, "--replay", tape(3_000), "--speed", 6_000)
    until(lambda: rows_of(folder, "a1") > 50, what="a1")
    others = [runner(folder, name).pid for name in ("a0", "a2")]
    os.kill(holder(folder / "state" / "a1.lock"), signal.SIGKILL)
    process.wait(PATIENCE_S)
    assert process.returncode == 0
    lines = told(fleet, folder)["accounts"]
    assert [(line["state"], line["rows"], line["crashes"]) for line in lines] == [
        ("done", 3_000, 0), ("done", 3_000, 1), ("done", 3_000, 0),
    ]  # fmt: skip
    assert len({(line["equity"], line["cash"]) for line in lines}) == 1
    assert [line["starts"] for line in lines] == [1, 2, 1]
    assert others == [each for each in others if each]


def test_a_crash_loop_is_left_down_and_the_others_do_not_care(fleet, home, tape):
    folder = home(2, "[restart]\nfirst_s = 0.01\ncrashes = 3\n")
    (folder / "bad.py").write_text(
        '"""Fails at its tenth row."""\nfrom strategies.types import Bars, Signals\n\nCLOCK = "1m"\nSEEN = []\n\n\n'
        "def signals(bars: Bars) -> Signals:\n    SEEN.append(1)\n    assert len(SEEN) < 10, 'the tenth row'\n"
        "    return Signals(bars.close > 0, bars.close < 0)\n"
    )
    text = (folder / "a1.toml").read_text().replace("noise.py", "bad.py")
    (folder / "a1.toml").write_text(text)
    done = fleet("up", folder, "--replay", tape(300), "--speed", 0)
    assert done.returncode == 0, done.stderr
    good, bad = told(fleet, folder)["accounts"]
    assert (good["state"], good["rows"]) == ("done", 300)
    assert (bad["state"], bad["crashes"], bad["starts"]) == ("looping", 3, 3)
    assert "the tenth row" in bad["said"]


def test_what_a_restart_would_only_bring_again_is_not_restarted(fleet, home, tape):
    folder = home(2)
    fleet("up", folder, "--replay", tape(300), "--speed", 0)
    journal = folder / "state" / "a1.journal"
    body = bytearray(journal.read_bytes())
    body[len(body) // 2 :] = bytes(len(body) - len(body) // 2)
    journal.write_bytes(body)
    done = fleet("up", folder, "--replay", tape(300), "--speed", 0)
    assert done.returncode == 0, done.stderr
    good, bad = told(fleet, folder)["accounts"]
    assert (good["state"], bad["state"], bad["starts"]) == ("done", "failed", 1)
    assert "its journal or its books do not match" in bad["said"]


def test_down_ends_everything_in_good_order_and_one_account_may_be_left_down(fleet, home, tape):
    folder = home(3)
    up = fleet("up", folder, "--replay", tape(3_000), "--speed", 300, "--detach")
    assert up.returncode == 0, up.stderr
    assert "3 accounts" in up.stdout
    until(lambda: rows_of(folder, "a2") > 5)
    assert fleet("up", folder, "--replay", tape(3_000), "--detach").returncode == 78
    assert fleet("down", folder, "a1").returncode == 0
    states = [line["state"] for line in told(fleet, folder)["accounts"]]
    assert states == ["running", "stopped", "running"]
    assert fleet("restart", folder, "a1").returncode == 0
    until(lambda: rows_of(folder, "a1") > 5 and holder(folder / "state" / "a1.lock"))
    assert fleet("restart", folder, "nobody").returncode == 78
    done = fleet("down", folder)
    assert done.returncode == 0, done.stderr
    assert not any(holder(lock) for lock in (*folder.glob("state/*.lock"), *folder.glob("fleet/*.lock")))
    assert {line["state"] for line in told(fleet, folder)["accounts"]} == {"stopped"}


def test_a_supervisor_that_dies_leaves_its_runners_and_the_next_one_finds_them(fleet, home, tape):
    folder = home(2)
    first = fleet.start("up", folder, "--replay", tape(3_000), "--speed", 300)
    until(lambda: rows_of(folder, "a1") > 5)
    pids = [holder(folder / "state" / f"a{k}.lock") for k in range(2)]
    first.kill()
    first.wait()
    rows = rows_of(folder, "a1")
    until(lambda: rows_of(folder, "a1") > rows + 5, what="a runner without a supervisor")
    assert [line["state"] for line in told(fleet, folder)["accounts"]] == ["running"] * 2
    assert fleet("halt", folder, "--note", "no supervisor").returncode == 0
    until(lambda: Control(folder / "state", "a0").status().halted)
    second = fleet.start("up", folder, "--replay", tape(3_000), "--speed", 300)
    until(lambda: (runner(folder, "a1") or first).pid == pids[1] and read_status(folder / "fleet").pid == second.pid)
    assert [holder(folder / "state" / f"a{k}.lock") for k in range(2)] == pids
    os.kill(pids[0], signal.SIGKILL)  # it is not a child of the second one: its end is seen all the same
    until(lambda: holder(folder / "state" / "a0.lock") not in (0, pids[0]))
    assert Control(folder / "state", "a0").standing().note == "no supervisor"
    second.terminate()
    assert second.wait(PATIENCE_S) == 0


FIRST = """
import pathlib, sys
from live.lock import held
with held(pathlib.Path(sys.argv[1]), "a0"):
    sys.stdin.read()
"""
SECOND = """
import os, pathlib, sys
from live.fleet_child import Source, spawn, trade
from live.fleet_files import Stagger
path, tape, log = map(pathlib.Path, sys.argv[1:])
pid = spawn(log, None, lambda: trade(path, Source(None, tape, 0.0), Stagger()))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_process_that_a_dead_supervisor_was_just_starting_is_taken_over(home, tape, checkout):
    """It had no lock yet when the next supervisor looked, so a second one was started, which finds it taken."""
    (member,) = (fleet := load_fleet([home(1)])).members
    code = (
        "import pathlib, sys; from live.lock import held\nwith held(pathlib.Path(sys.argv[1]), 'a0'): sys.stdin.read()"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(member.account.lock)], stdin=subprocess.PIPE)
    try:
        until(lambda: holder(member.account.lock) == first.pid, what="the first one's lock")
        fleet.state.mkdir()
        minder = Minder(fleet, member, 0.0)
        second = subprocess.run(
            [sys.executable, "-c", SECOND, member.path, tape(300), fleet.log_of("a0")], cwd=checkout
        )
        assert second.returncode == TAKEN
        minder.begun(os.getpid(), "", 0.0)
        minder.gone(TAKEN, 1.0, ending=False)
        assert (minder.runner.state, minder.runner.pid, minder.runner.crashes) == ("running", first.pid, 0)
        assert ended(first.pid, minder.handle) is None
    finally:
        first.kill()
        first.communicate()
    minder.gone(TAKEN, 2.0, ending=False)  # and where nobody has it any more, it is started again
    assert (minder.runner.state, minder.runner.pid, minder.runner.crashes) == ("waiting", 0, 1)
    assert minder.due_s > 2.0


def test_a_hung_runner_is_killed_and_started_again(fleet, home, tape):
    folder = home(2, "[restart]\nfirst_s = 0.05\nhung_s = 2.5\n")
    process = fleet.start("up", folder, "--replay", tape(3_000), "--speed", 300)
    until(lambda: rows_of(folder, "a0") > 5)
    pid = holder(folder / "state" / "a0.lock")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: holder(folder / "state" / "a0.lock") not in (0, pid))
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert "not a word for 2.5 s" in process.communicate()[1]


def test_a_limit_of_the_fleet_halts_those_who_take_part_before_their_own_limits_do(fleet, home, tape):
    folder = home(3, "[limits]\ngross_usd = 100\n")
    process = fleet.start("up", folder, "--replay", tape(3_000), "--speed", 600)
    until(lambda: all(Control(folder / "state", f"a{k}").standing() for k in range(3)), what="the halts")
    until(lambda: all(Control(folder / "state", f"a{k}").status().halted for k in range(3)))
    state = told(fleet, folder)
    assert state["limits"][0]["limit"] == "gross_usd"
    assert {line["halted"].split(":")[0] for line in state["accounts"]} == {"halt by fleet"}
    process.terminate()
    process.wait(PATIENCE_S)
    assert "HALT: gross_usd" in process.communicate()[1]


def test_an_account_that_decides_otherwise_is_shown_with_the_first_row_and_the_reason(fleet, home, tape):
    folder = home(3)
    Control(folder / "state", "a1").flag.parent.mkdir(parents=True)
    assert subprocess.run([sys.executable, "-m", "live", "halt", folder / "a1.toml", "--note", "alone"]).returncode == 0
    done = fleet("up", folder, "--replay", tape(800), "--speed", 0)
    assert done.returncode == 0, done.stderr
    (found,) = told(fleet, folder)["divergences"]
    assert (found["account"], found["siblings"]) == ("a1", ["a0", "a2"])
    assert found["said"] == ""
    assert "buy" in found["others"] or "sell" in found["others"]
    assert found["why"].startswith("it is halted (halt by")
    shown = fleet("status", folder)
    assert shown.returncode == 3
    assert "DIFFERS" in shown.stdout
    assert "a1 at " in shown.stdout


def test_another_row_heard_and_other_settings_are_named_as_the_reason(home, tape, market, python, tmp_path):
    folder = home(3)
    (folder / "a2.toml").write_text((folder / "a2.toml").read_text() + "max_positions = 1\n")
    bars, book = market(300)
    close = bars.close.copy()
    close[100:110, 0] += 1.37
    changed = Bars(
        bars.symbols, bars.ts, bars.open, bars.high + 3.0 * (close != bars.close), bars.low, close, bars.volume,
        bars.session, bars.since_open, bars.to_close,
    )  # fmt: skip
    write_tape(tmp_path / "other.tape", changed, book, clock="1m", source="test", simulated=True)
    for name, path in (("a0", tape(300)), ("a1", tmp_path / "other.tape"), ("a2", tape(300))):
        done = python("-m", "live", "run", str(folder / f"{name}.toml"), "--replay", str(path), "--speed", "0")
        assert done.returncode == 0, done.stderr
    diaries = {}
    for name in ("a0", "a1", "a2"):
        diaries[name] = Diary()
        diaries[name].take(Tail(folder / "state" / f"{name}.journal").look())
    pair = Siblings().look({name: diaries[name] for name in ("a0", "a1")})
    assert pair[0].why.startswith(("it heard another row: high of AAA is", "it heard another row: close of AAA is"))
    (first,) = Siblings().look({name: diaries[name] for name in ("a0", "a2")})
    assert "max_positions is 1, theirs" in first.why


def test_a_roll_restarts_everyone_on_the_new_code_and_nobody_is_lost(fleet, home, tape):
    folder = home(3)
    process = fleet.start("up", folder, "--replay", tape(3_000), "--speed", 300)
    until(lambda: rows_of(folder, "a2") > 20)
    hub = holder(folder / "fleet" / "hub.lock")
    pids = [holder(folder / "state" / f"a{k}.lock") for k in range(3)]
    done = fleet("roll", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 run the new code" in done.stdout
    after = [holder(folder / "state" / f"a{k}.lock") for k in range(3)]
    assert all(after)
    assert set(after).isdisjoint(pids)
    assert read_status(folder / "fleet").pid == process.pid
    assert holder(folder / "fleet" / "hub.lock") not in (0, hub)
    assert done.stdout.index("starting a2 again") < done.stdout.index("starting the hub again")
    assert "3 of 3 run the new code, the hub too" in done.stdout
    rows = rows_of(folder, "a0")
    until(lambda: rows_of(folder, "a0") > rows, what="a row after the hub was rolled")
    assert [holder(folder / "state" / f"a{k}.lock") for k in range(3)] == after
    assert told(fleet, folder)["divergences"] == []
    process.terminate()
    assert process.wait(PATIENCE_S) == 0


def test_a_roll_stops_before_the_first_account_that_would_trade_otherwise(fleet, home, tape):
    folder = home(3)
    process = fleet.start("up", folder, "--replay", tape(3_000), "--speed", 300)
    until(lambda: rows_of(folder, "a2") > 30)
    hub = holder(folder / "fleet" / "hub.lock")
    pids = [holder(folder / "state" / f"a{k}.lock") for k in range(3)]
    text = (folder / "noise.py").read_text()
    (folder / "other.py").write_text(text.replace("> 0.8", "> 0.7"))
    (folder / "a1.toml").write_text((folder / "a1.toml").read_text().replace("noise.py", "other.py"))
    done = fleet("roll", folder)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "stopped before a1" in done.stdout
    assert "1 of 3 run the new code" in done.stdout
    after = [holder(folder / "state" / f"a{k}.lock") for k in range(3)]
    assert after[0] != pids[0]
    assert after[1:] == pids[1:]
    assert holder(folder / "fleet" / "hub.lock") == hub
    process.terminate()
    assert process.wait(PATIENCE_S) == 0


def test_code_that_does_not_load_changes_nothing(fleet, home, tape):
    folder = home(2)
    process = fleet.start("up", folder, "--replay", tape(3_000), "--speed", 300)
    until(lambda: rows_of(folder, "a1") > 5)
    pids = [holder(folder / "state" / f"a{k}.lock") for k in range(2)]
    (folder / "noise.py").write_text("this is not Python\n")
    done = fleet("roll", folder)
    assert done.returncode != 0
    assert [holder(folder / "state" / f"a{k}.lock") for k in range(2)] == pids
    process.terminate()
    assert process.wait(PATIENCE_S) == 0


def test_a_lost_hub_is_started_again_and_the_runners_go_on(fleet, home, tape):
    folder = home(2, "[restart]\nfirst_s = 0.05\n")
    process = fleet.start("up", folder, "--replay", tape(800), "--speed", 6_000)
    until(lambda: rows_of(folder, "a1") > 20)
    os.kill(holder(folder / "fleet" / "hub.lock"), signal.SIGKILL)
    assert process.wait(PATIENCE_S) == 0
    lines = told(fleet, folder)["accounts"]
    assert [(line["state"], line["rows"], line["starts"]) for line in lines] == [("done", 800, 1)] * 2


def test_a_tape_that_cannot_be_read_ends_the_fleet_with_its_words(fleet, home, tmp_path):
    (tmp_path / "bad.tape").write_text("no tape")
    done = fleet("up", home(2), "--replay", tmp_path / "bad.tape", "--speed", 0)
    assert done.returncode == 3
    assert "bad.tape" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
