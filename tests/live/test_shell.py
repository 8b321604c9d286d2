"""The live process itself: started, killed, stopped, resumed, replayed; what it loads and what it says."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import cache

import numpy as np
import pytest

from backtests.engine import run_backtest
from data.rows import Row
from data.tape import write_tape
from data.types import FEATURES, Bars, Book
from live.core.commands import Alert, decode_command
from live.journal import SqliteJournal, steps
from live.shell import picked
from strategies.common.costs import Costs
from strategies.common.load import load_strategy
from strategies.common.position import REASONS
from strategies.common.rule import Rule

MINUTE = 60_000_000_000
HEAVY = {"numba", "llvmlite", "pandas", "pyarrow", "vectorbt", "scipy", "matplotlib", "plotly"}

NOISE = '''"""Signals drawn from the prices themselves, behind a mean: many orders, memory, every kind of protection."""
from strategies.indicators import sma
from strategies.types import Bars, Book, Signals

CLOCK = "1m"


def signals(bars: Bars, book: Book, *, n: int = 5) -> Signals:
    mean = sma(bars.close, n)
    noise = (bars.close * 1e4) % 1.0
    other = (bars.volume * 0.37) % 1.0
    near = bars.close * 0.004
    return Signals(
        (noise > 0.8) & (bars.close > mean), other > 0.9, (noise < 0.2) & (bars.close < mean), other < 0.1,
        stop=near, target=near * 1.5, trail=near * 1.2,
    )
'''


def market(rows, symbols=("AAA", "BBB"), seed=3):
    rng = np.random.default_rng(seed)
    shape = (rows, len(symbols))
    close = np.round(50.0 * np.exp(np.cumsum(rng.normal(0, 2e-3, shape), axis=0)), 2)
    opening = np.round(np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 1e-3, shape)), 2)
    high, low = np.maximum(opening, close) + 0.04, np.minimum(opening, close) - 0.04
    at = np.arange(rows)
    bars = Bars(
        symbols, (at + 1) * MINUTE, opening, high, low, close, np.floor(rng.exponential(5_000, shape)),
        20250102 + at // 390, (at % 390 + 1) * 60.0, (389.0 - at % 390) * 60.0,
    )  # fmt: skip
    features = {name: rng.random(shape) for name in FEATURES} | {"spread": np.full(shape, 0.02)}
    return bars, Book(symbols, **features)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Accounts and tapes: `noise.toml` over `short.tape` (1,200 rows) or `long.tape` (5,000)."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "noise.py").write_text(NOISE)
    for name in ("noise", "other"):
        (folder / f"{name}.toml").write_text(
            f'name = "{name}"\nstrategy = "noise.py"\nstate = "{folder}/state"\n'
            "[rule]\nsize = 0.4\nstops = 'touch'\nshorts = true\n"
        )
    for name, rows in (("short", 1_200), ("long", 5_000)):
        bars, book = market(rows)
        write_tape(folder / f"{name}.tape", bars, book, clock="1m", source="test", simulated=True)
    return folder


@pytest.fixture
def live(python):
    """`live("run", ...)`: the door as a process of its own."""
    return lambda *arguments, **options: python("-m", "live", *map(str, arguments), **options)


@pytest.fixture
def start(checkout):
    """`start("run", ...)`: the same, still running."""
    begun = []

    def make(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "live", *map(str, arguments)],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield make
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def run(live, folder, journal, *more, tape="short", account="noise"):
    tape = folder / f"{tape}.tape"
    speed = () if "--speed" in more else ("--speed", 0)
    done = live("run", folder / f"{account}.toml", "--replay", tape, *speed, "--journal", journal, "--json", *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def commands_of(path):
    """Every command but alerts, which may tell of a machine that was too busy to play the tape."""
    journal = SqliteJournal.open(path)
    try:
        bodies = [body for step in steps(journal) for body in step.commands]
        return [body for body in bodies if not isinstance(decode_command(body), Alert)]
    finally:
        journal.close()


def records_in(path):
    """How many records are durable while another process writes."""
    if not path.exists():
        return 0
    try:
        journal = SqliteJournal.open(path)
    except Exception:
        return 0  # not begun yet
    try:
        return journal._db.execute("SELECT seq FROM head").fetchone()[0]
    finally:
        journal.close()


def until_written(process, path, records):
    while records_in(path) < records:
        assert process.poll() is None, process.communicate()
        time.sleep(0.03)


@pytest.fixture(scope="module")
def undisturbed(folder, checkout):
    """(journal, summary) of an undisturbed run over a tape: `undisturbed("long")`."""

    @cache
    def make(tape):
        path = folder / f"{tape}.journal"
        command = ["-m", "live", "run", folder / f"{'other' if tape == 'long' else 'noise'}.toml"]
        command += ["--replay", folder / f"{tape}.tape", "--speed", "0", "--journal", path, "--json"]
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return path, json.loads(done.stdout)

    return make


@pytest.fixture(scope="module")
def whole(undisturbed):
    """The journal of an undisturbed run over the long tape, and what it said."""
    return undisturbed("long")


@pytest.fixture
def ran(undisturbed, tmp_path):
    """A copy of the journal of a finished run over the short tape, and what the run said."""
    path, summary = undisturbed("short")
    return shutil.copy(path, tmp_path / "a.journal"), summary


def test_the_process_trades_what_the_backtest_tests(live, folder, ran):
    journal, summary = ran
    bars, book = market(1_200)
    rule = Rule(size=0.4, stops="touch", shorts=True)
    result = run_backtest(bars, load_strategy(folder / "noise.py"), {}, Costs(), book=book, rule=rule, clock="1m")
    shown = json.loads(live("show", journal, "--json").stdout)
    row_of = {int(ts): t for t, ts in enumerate(bars.ts)}
    traded = [
        (row_of[o["decided"]], o["symbol"], o["quantity"], o["reason"], row_of.get(o["filled"], -1),
         o["price"], o["fee"])
        for o in shown["orders"]
    ]  # fmt: skip
    tested = [
        (o["decided"], bars.symbols[o["column"]], o["quantity"], REASONS[o["reason"]], o["filled"],
         float(o["price"]) if o["filled"] >= 0 else None, o["fee"])
        for o in result.orders
    ]  # fmt: skip
    assert len(tested) > 100
    assert traded == tested
    assert (summary["equity"], summary["cash"]) == (float(result.equity[-1]), float(result.cash[-1]))
    assert (summary["rows"], summary["orders"]) == (1_200, len(tested))


def test_the_process_loads_no_heavy_library_and_stays_small(python, folder, tmp_path):
    code = (
        "import sys\nfrom data.door import call\nfrom live.__main__ import app\n"
        "code = call(app, sys.argv[1:])\n"
        "print(*sorted(name for name in sys.modules if '.' not in name), file=sys.stderr)\nsys.exit(code)"
    )
    arguments = ("run", folder / "noise.toml", "--replay", folder / "short.tape", "--speed", 0, "--json", "--journal")
    done = python("-c", code, *map(str, arguments), str(tmp_path / "a.journal"))
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.split())
    assert {"numpy", "apsw", "msgspec"} <= loaded
    assert loaded & HEAVY == set()
    rss = json.loads(done.stdout)["rss_mb"]
    print(f"paper process: {rss:.0f} MB resident at most")
    assert rss <= 100


def test_a_replay_gives_the_same_bytes_and_a_changed_journal_does_not(live, folder, ran):
    journal, summary = ran
    strategy = ("--strategy", folder / "noise.py")
    done = live("replay", journal, *strategy, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["same"], told["digest"], told["rows"]) == (True, summary["digest"], 1_200)
    assert told["commands"] == len(commands_of(journal))

    good = journal.read_bytes()
    at = good.index(b"submit")
    journal.write_bytes(good[:at] + b"subnit" + good[at + 6 :])
    done = live("replay", journal, *strategy)
    assert done.returncode == 7
    assert re.search(r"error: journal a\.journal: record \d+ is damaged", done.stderr)


def test_a_replay_with_another_source_is_refused(live, ran, tmp_path):
    journal, _ = ran
    changed = tmp_path / "noise.py"
    changed.write_text(NOISE + "\n")
    done = live("replay", journal, "--strategy", changed)
    assert done.returncode == 7
    assert "was written with" in done.stderr


@pytest.mark.parametrize(("speed", "records"), [("0", 1), ("0", 4_000), ("1e12", 300)])
def test_a_killed_process_goes_on_to_the_same_commands(live, start, folder, tmp_path, whole, speed, records):
    """kill -9 somewhere in the middle, then the same command again: nothing lost, nothing twice."""
    path, undisturbed = whole
    journal = tmp_path / "a.journal"
    arguments = ("--replay", folder / "long.tape", "--journal", journal)
    killed = start("run", folder / "other.toml", *arguments, "--speed", speed)
    until_written(killed, journal, records)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    summary = run(live, folder, journal, tape="long", account="other")
    assert 0 <= summary["resumed"] < 5_000
    assert commands_of(journal) == commands_of(path)
    for name in ("digest", "equity", "cash", "positions", "orders", "fills", "rows"):
        assert summary[name] == undisturbed[name], name


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_stopped_process_ends_in_good_order_and_goes_on(live, start, folder, tmp_path, whole, number, code):
    journal = tmp_path / "a.journal"
    arguments = ("run", folder / "other.toml", "--replay", folder / "long.tape", "--journal", journal, "--json")
    stopped = start(*arguments, "--speed", "6000")  # a row every 10 ms
    until_written(stopped, journal, 60)
    stopped.send_signal(number)
    out, _ = stopped.communicate()
    assert stopped.returncode == code
    assert json.loads(out)["stopped_by"] == number.name
    done = live("replay", journal, "--strategy", folder / "noise.py", "--json")
    assert json.loads(done.stdout)["digests"] == 1
    summary = run(live, folder, journal, tape="long", account="other")
    assert summary["resumed"] > 0
    assert summary["digest"] == whole[1]["digest"]
    assert commands_of(journal) == commands_of(whole[0])


def test_a_second_run_over_a_finished_journal_changes_nothing(live, folder, ran):
    journal, first = ran
    before = commands_of(journal)
    second = run(live, folder, journal)
    assert (second["resumed"], second["digest"]) == (1_200, first["digest"])
    assert commands_of(journal) == before


def test_one_runner_per_account(live, start, folder, tmp_path):
    journal = tmp_path / "a.journal"
    first = start("run", folder / "noise.toml", "--replay", folder / "short.tape", "--speed", 60, "--journal", journal)
    until_written(first, journal, 1)
    again = live("run", folder / "noise.toml", "--replay", folder / "short.tape", "--journal", tmp_path / "b.journal")
    assert again.returncode == 78
    assert f"is run by another process (id {first.pid})" in again.stderr


def test_another_tape_or_other_settings_are_refused_on_the_same_journal(live, folder, ran):
    journal, _ = ran
    arguments = ("--speed", 0, "--journal", journal)
    done = live("run", folder / "noise.toml", "--replay", folder / "long.tape", *arguments)
    assert (done.returncode, "from another tape" in done.stderr) == (78, True)
    changed = folder / "changed.toml"
    changed.write_text((folder / "noise.toml").read_text() + "[params]\nn = 7\n")
    done = live("run", changed, "--replay", folder / "short.tape", *arguments)
    assert (done.returncode, "params n = 5, the account file says n = 7" in done.stderr) == (78, True)


def test_a_missing_or_damaged_tape_is_one_sentence(live, folder, tmp_path):
    done = live("run", folder / "noise.toml", "--replay", tmp_path / "none.tape", "--journal", tmp_path / "a.journal")
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    bad = tmp_path / "bad.tape"
    good = (folder / "short.tape").read_bytes()
    middle = len(good) // 2
    bad.write_bytes(good[:middle] + bytes(byte ^ 0xFF for byte in good[middle : middle + 64]) + good[middle + 64 :])
    done = live("run", folder / "noise.toml", "--replay", bad, "--speed", 0, "--journal", tmp_path / "b.journal")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_subset_of_symbols_in_another_order_trades_alone(live, folder, tmp_path):
    account = tmp_path / "some.toml"
    (tmp_path / "noise.py").write_text(NOISE)
    account.write_text(
        f'name = "some"\nstrategy = "noise.py"\nsymbols = ["BBB"]\nstate = "{tmp_path}"\n'
        "[rule]\nsize = 0.4\nstops = 'touch'\nshorts = true\n"
    )
    done = live("run", account, "--replay", folder / "short.tape", "--speed", 0, "--json")
    assert done.returncode == 0, done.stderr
    bars, book = market(1_200)
    rule = Rule(size=0.4, stops="touch", shorts=True)
    result = run_backtest(
        bars.pick([1]), load_strategy(folder / "noise.py"), {}, Costs(), book=book.pick([1]), rule=rule, clock="1m"
    )
    summary = json.loads(done.stdout)
    assert summary["equity"] == float(result.equity[-1])
    assert summary["journal"] == str(tmp_path / "some.journal")


def test_picked_symbols_keep_their_numbers():
    row = Row(1, 2, 3.0, 4.0, [1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0], [[11.0, 12.0]] * 13)
    assert picked(row, [1]) == Row(1, 2, 3.0, 4.0, [2.0], [4.0], [6.0], [8.0], [10.0], [[12.0]] * 13)


def test_a_silent_feed_is_told_of_and_resumed(live, start, folder, tmp_path):
    """The tape's player is stopped for a second, not the runner."""
    journal = tmp_path / "a.journal"
    arguments = ("run", folder / "noise.toml", "--replay", folder / "short.tape", "--journal", journal)
    process = start(*arguments, "--speed", "1200")
    until_written(process, journal, 20)
    (feed,) = children(process.pid)
    os.kill(feed, signal.SIGSTOP)
    try:
        line = process.stderr.readline()
    finally:
        os.kill(feed, signal.SIGCONT)
    assert line.startswith("warning: feed.silent: no row for")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    done = live("replay", journal, "--strategy", folder / "noise.py")
    assert done.returncode == 0, done.stderr
    assert run(live, folder, journal)["rows"] == 1_200


def children(pid):
    import psutil

    return [child.pid for child in psutil.Process(pid).children()]


def test_orders_and_trades_are_printed_as_tables(live, ran):
    journal, _ = ran
    shown = live("show", journal).stdout.splitlines()
    assert shown[0] == "noise: noise on AAA, BBB, 1200 rows of 1m"
    assert shown[1].split() == ["decided", "symbol", "quantity", "reason", "state", "filled", "price", "fee"]
    trades = live("trades", journal).stdout.splitlines()
    closed = json.loads(live("trades", journal, "--json").stdout)
    assert trades[-1] == f"{len(closed)} trades, pnl {sum(trade['pnl'] for trade in closed):+.2f}"
    assert {trade["reason"] for trade in closed} >= {"exit", "stop", "target", "trail", "session end"}


def test_what_does_not_exist_is_one_sentence(live, tmp_path, folder):
    for arguments, code in (
        (("show", tmp_path / "none.journal"), 7),
        (("replay", tmp_path / "none.journal"), 7),
        (("run", tmp_path / "none.toml", "--replay", tmp_path / "none.tape"), 78),
        (("run", tmp_path / "none.toml"), 78),
        (("run", folder / "noise.toml"), 2),
    ):
        done = live(*arguments)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith("error: ")


def test_a_running_account_is_halted_from_another_terminal_and_stays_so(live, start, folder, tmp_path):
    account = tmp_path / "halted.toml"
    (tmp_path / "noise.py").write_text(NOISE)
    text = (folder / "noise.toml").read_text().replace('"noise"', '"halted"')
    account.write_text(text.replace(f"{folder}/state", f"{tmp_path}/state"))
    journal = tmp_path / "a.journal"
    process = start("run", account, "--replay", folder / "short.tape", "--speed", 60, "--journal", journal)
    until_written(process, journal, 5)
    assert live("halt", account, "--note", "news").stdout == "halt: halted, told its runner\n"
    line = process.stderr.readline()
    assert line.startswith("warning: halted: no new positions: halt by ")
    assert line.rstrip().endswith(": news")
    assert json.loads(live("status", account, "--json").stdout)["running"]
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    shown = json.loads(live("status", account, "--json").stdout)
    assert (shown["running"], shown["halt_stands"]) == (False, True)
    done = live("run", account, "--replay", folder / "short.tape", "--speed", 0, "--journal", journal, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["halted"].endswith(": news")
