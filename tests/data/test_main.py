"""The data room's door, from outside: what is printed, and how each bad input ends."""

import dataclasses
import io
import json
import subprocess
import sys
import time

import numpy as np
import pytest

from data.__main__ import app
from data.actions import Action
from data.door import call
from data.rows import encode
from data.sources.random_walk import random_bars
from data.tape import content_hash, play, read_tape, write_tape

HEAD = "timestamp,open,high,low,close,volume\n"
GOOD = HEAD + "2024-01-02T14:30:00Z,10,12,9,11,100\n2024-01-02T14:31:00Z,11,13,10,12,200\n"


@pytest.fixture
def tape(tmp_path):
    path = tmp_path / "market.tape"
    write_tape(path, *random_bars(500, 2, 3, gaps=True), clock="1m", source="random walk", simulated=True)
    return path


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "aapl.csv"
    path.write_text(GOOD)
    return path


@pytest.fixture
def out(capsys):
    """`out(*argv)`: (exit code, stdout, stderr) of one command."""

    def run(*argv):
        code = call(app, [str(each) for each in argv])
        return code, *capsys.readouterr()

    return run


def test_a_file_is_imported_once_listed_and_shown(out, csv, tmp_path):
    command = ("import", csv, "--symbol", "AAPL", "--interval", "1m", "--label", "start", "--store", tmp_path / "store")
    assert out(*command)[:2] == (0, "AAPL 1m: 2 new rows, 0 known, 0 revised\n")
    code, text, _ = out(*command, "--json")
    assert (code, json.loads(text)["added"][0]["same"]) == (0, 2)
    code, text, _ = out("ls", "--store", tmp_path / "store", "--json")
    (entry,) = json.loads(text)
    assert (entry["symbol"], entry["rows"], entry["first"], entry["sources"]) == ("AAPL", 2, 20240102, ["aapl.csv"])
    assert "AAPL       1m   raw" in out("ls", "--store", tmp_path / "store")[1]
    assert "2024-01-02 14:32 UTC" in out("show", "AAPL", "--clock", "1m", "--store", tmp_path / "store")[1]


def test_a_changed_file_is_refused_and_kept_on_request(out, csv, tmp_path):
    command = ("import", csv, "--label", "start", "--store", tmp_path / "store")
    out(*command)
    csv.write_text(GOOD.replace("11,100", "11.5,100"))
    code, _, err = out(*command)
    assert code == 3
    assert "1 of 2 rows differ from stored ones, first 2024-01-02 14:31 UTC: close is 11.5, stored 11.0" in err
    assert out(*command, "--revision")[1] == "AAPL 1m: 0 new rows, 1 known, 1 revised\n"


@pytest.mark.parametrize(
    ("content", "options", "code", "sentence"),
    [
        (GOOD, ("--label", "middle"), 2, "say --label start or --label close"),
        (GOOD, (), 2, "say --label"),
        (GOOD, ("--label", "start", "--interval", "5T"), 2, "write '5m'"),
        (GOOD, ("--label", "start", "--interval", "5m"), 3, "too close for 5m"),
        (GOOD.replace("volume", "size"), ("--label", "start"), 3, "has no column volume"),
        (GOOD.replace("14:31", "14:30"), ("--label", "start", "--interval", "1m"), 3, "1 duplicate times"),
        (GOOD.replace("14:31", "14:29"), ("--label", "start"), 3, "sort the rows"),
        (GOOD.replace("11,100", ",100"), ("--label", "start"), 3, "NaN price"),
        (GOOD.replace("11,100", "x,100"), ("--label", "start"), 3, "not numeric"),
        (GOOD.replace("12,9,11", "12,-9,11"), ("--label", "start"), 3, "zero or less"),
        (
            GOOD.replace("T", " ").replace("Z", ""),
            ("--label", "start"),
            3,
            "say which with --timezone, for example --timezone America/New_York",
        ),
        (GOOD.replace("Z", "").replace("T", " "), ("--label", "start", "--timezone", "Mars"), 2, "not a time zone"),
        (GOOD, ("--label", "start", "--adjustment", "half"), 2, "not one of raw, split, all"),
        (HEAD, ("--label", "start"), 3, "no rows"),
        ("", ("--label", "start"), 3, "cannot be read"),
    ],
)
def test_a_bad_import_is_one_sentence_and_the_right_exit_code(out, csv, tmp_path, content, options, code, sentence):
    csv.write_text(content)
    found, text, err = out("import", csv, *options, "--store", tmp_path / "store")
    assert (found, text) == (code, "")
    assert sentence in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not list((tmp_path).rglob("*.parquet"))


def test_the_sample_is_shown_and_put_on_a_tape(out, tmp_path):
    code, text, _ = out("sample", "--symbols", "IBM,MSFT", "--start", "2012-01-01")
    assert code == 0
    assert "sample: 291 rows of 1d, 2012-01-03 to 2013-03-01" in text
    assert out("sample", "--symbols", "IBM", "--out", tmp_path / "ibm.tape")[0] == 0
    header, bars, book = read_tape(tmp_path / "ibm.tape")
    assert (header.source, header.clock, header.simulated, book.present) == ("sample", "1d", False, False)
    assert len(bars) == 3270
    code, _, err = out("sample", "--symbols", "IMB")
    assert (code, err) == (2, "error: the sample has no symbol 'IMB'; did you mean 'IBM'?\n")
    assert out("sample", "--adjustment", "none")[0] == 2
    assert out("sample", "--start", "2020-01-01")[0] == 2


def test_a_simulated_market_is_labelled_as_such(out, tmp_path):
    path = tmp_path / "sim.tape"
    code, text, _ = out("simulate", "--symbols", "XXX", "--sessions", "1", "--seed", "3", "--out", path, "--json")
    told = json.loads(text)
    assert (code, told["rows"], told["symbols"]) == (0, 390, ["XXX"])
    header, _, book = read_tape(path)
    assert (header.simulated, header.source, book.present) == (True, "simulated seed 3", True)
    assert "(simulated)" in out("show", path)[1]
    assert out("simulate", "--sessions", "0", "--out", path)[0] == 2
    assert out("simulate", "--clock", "1Min", "--out", path)[0] == 2


def test_verify_tells_errors_from_warnings(out, csv, tape, tmp_path):
    code, text, _ = out("verify", tape)
    assert code == 0
    assert "warning: bars for 'S0'" in text
    csv.write_text(GOOD.replace("12,9,11", "8,9,11"))
    code, text, _ = out("verify", csv, "--label", "start", "--json")
    assert code == 3
    assert [finding["kind"] for finding in json.loads(text)["findings"]] == ["order"]
    whole = tape.read_bytes()
    tape.write_bytes(whole[:-20])
    code, _, err = out("verify", tape)
    assert code == 3
    assert "is damaged" in err
    assert out("verify", tmp_path / "none.tape")[0] == 3


def test_play_writes_the_frames_of_the_tape(python, tape):
    done = python("-m", "data", "play", tape, "--speed", "0", text=False)
    assert done.returncode == 0
    assert done.stdout == b"".join(encode(message) for message in play(tape))


def test_play_keeps_row_time_within_a_session_and_does_not_wait_between_them(python, tmp_path):
    path = tmp_path / "two.tape"
    bars, book = random_bars(392, 1, 3)  # the last two rows are the next session's
    write_tape(path, bars.rows(388, 392), book.rows(388, 392), clock="1m", source="random walk", simulated=True)
    started = time.monotonic()
    assert python("-m", "data", "play", path, "--speed", "60", text=False).returncode == 0
    assert 2.0 < time.monotonic() - started < 120.0  # one minute of each session; a night takes 1,000 s


def test_play_of_what_is_no_tape_is_one_sentence(python, tmp_path):
    done = python("-m", "data", "play", tmp_path / "none.tape")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: there is no tape")
    assert python("-m", "data", "play", tmp_path / "none.tape", "--speed", "-1").returncode == 2


def test_play_ends_quietly_when_its_reader_goes_away(tmp_path, checkout):
    path = tmp_path / "long.tape"
    write_tape(path, *random_bars(20_000, 3, 3), clock="1m", source="random walk", simulated=True)
    with subprocess.Popen(
        [sys.executable, "-m", "data", "play", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=checkout,
    ) as process:
        process.stdout.read(100)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("argv", [(), ("import",), ("play",), ("pull",), ("record",), ("verify",)])
def test_help_loads_nothing_heavy(python, argv):
    code = f"import sys; sys.argv = ['data', {', '.join(map(repr, argv))}{',' if argv else ''} '--help']\n"
    code += "import runpy\ntry: runpy.run_module('data', run_name='__main__')\nexcept SystemExit: pass\n"
    code += "print({'numpy', 'pandas', 'pyarrow', 'numba', 'pydantic'} & {*sys.modules})"
    assert python("-c", code).stdout.splitlines()[-1] == "set()"


@pytest.fixture
def stored(out, tmp_path):
    """A store with three sessions of minutes of AAA, and its path as options."""
    from data.store import Store

    store = Store(tmp_path / "store")
    bars, _ = random_bars(3 * 390, ("AAA",), 3, "1m", start=20240102)
    store.put(bars, "1m", "test")
    return store, bars, ("--store", store.root)


def test_the_store_is_verified_whole_or_by_symbol(out, stored, tmp_path):
    store, _, where = stored
    assert out("verify", *where)[:2] == (0, f"{store.root}: 1170 rows, 0 errors, 0 warnings\n")
    assert out("verify", "AAA", *where)[0] == 0
    store.put_actions([Action("AAA", 20240103, "split", 4.0)], "test")
    code, text, _ = out("verify", "AAA", "--json", *where)
    told = json.loads(text)
    assert (code, told["errors"], told["findings"][0]["kind"]) == (3, 1, "double")
    assert "AAA 1m raw: bars for 'AAA': 1 splits that the prices do not show" in told["findings"][0]["sentence"]
    next(store.root.rglob("*_20240102_*.parquet")).write_bytes(b"nothing")
    code, text, _ = out("verify", *where)
    assert code == 3
    assert "error: AAA 1m raw: " in text
    assert "is damaged" in text
    assert out("verify", "AAB", *where)[0] == 2
    assert out("verify", "AAA", "--interval", "5m", *where)[0] == 2
    assert out("verify", "--store", tmp_path / "empty")[0] == 2


def test_rows_that_a_source_changed_are_listed(out, stored):
    store, bars, where = stored
    close = bars.close.copy()
    close[7] = (bars.high[7] + bars.low[7]) / 2
    store.put(dataclasses.replace(bars, close=close), "1m", "test", revision=True, received=1_800_000_000_000_000_000)
    code, text, _ = out("verify", *where)
    assert code == 0
    assert "1 rows were changed by their source; see: python -m data show AAA --revisions --clock 1m" in text
    text = out("show", "AAA", "--revisions", "--clock", "1m", *where)[1]
    assert "AAA 1m raw: 1 values were changed by their source" in text
    assert "received 2027-01-15" in text
    shown = {
        view: out("show", "AAA", "--clock", "1m", "--view", view, "--json", *where)[1] for view in ("seen", "final")
    }
    assert json.loads(shown["seen"])["bars"] == content_hash(bars) != json.loads(shown["final"])["bars"]
    assert "1 revised" in out("ls", *where)[1]
    assert out("show", "NONE", "--revisions", *where)[0] == 2


def test_the_list_names_each_dataset_by_its_hash(out, stored):
    _, bars, where = stored
    assert json.loads(out("ls", "--hash", "--json", *where)[1])[0]["hash"] == content_hash(bars)
    assert content_hash(bars)[:12] in out("ls", "--hash", *where)[1]


def test_actions_are_kept_listed_and_applied_as_of_a_day(out, tmp_path):
    from data.store import Store

    store = Store(tmp_path / "store")
    where = ("--store", store.root)
    bars, _ = random_bars(2 * 390, ("AAA",), 3, "1m", start=20240102)
    scale = np.where(bars.session == 20240102, 4.0, 1.0).reshape(-1, 1)
    prices = {name: getattr(bars, name) * scale for name in ("open", "high", "low", "close")}
    store.put(dataclasses.replace(bars, **prices), "1m", "test")
    show = ("show", "AAA", "--clock", "1m", "--adjustment", "split", "--rows", "0", *where)
    assert "nobody said which splits and dividends there were" in out(*show)[2]
    path = tmp_path / "actions.csv"
    path.write_text("symbol,date,kind,value,to\nAAA,2024-01-03,split,4,\nBBB,2024-01-03,rename,,CCC\n")
    assert out("actions", path, *where)[:2] == (0, "2 new actions, 0 known\n")
    assert out("actions", path, *where)[1] == "0 new actions, 2 known\n"
    listed = out("actions", *where)[1]
    assert "AAA        2024-01-03  split     4" in listed
    assert "BBB        2024-01-03  rename    to CCC" in listed
    assert len(json.loads(out("actions", "--json", *where)[1])) == 2
    first = float(bars.close[0, 0])
    assert f"{first:>10.2f} to" in out(*show)[1]
    assert f"{4 * first:>10.2f} to" in out(*show, "--as-of", "2024-01-02")[1]
    assert out("actions", "--none", "DDD", *where)[0] == 0
    assert store.actions.of("DDD") == []
    assert out("actions", tmp_path / "none.csv", *where)[0] == 3


def test_a_recording_is_shown_verified_and_replayed(out, python, tmp_path):
    from data.events import Quote, Trade
    from data.recorder import Recorder
    from data.tape_events import decode_frames

    start = 1_704_205_800_000_000_000
    events = [Trade("AAA", start + i * 10**8, start + i * 10**8, 100.0, 1.0) for i in range(20)]
    events.append(Quote("AAA", start + 2 * 10**9, start + 2 * 10**9, 2.0, 1.0, 1.0, 1.0))
    with Recorder(tmp_path / "t", source="test", symbols=["AAA"], simulated=True) as recorder:
        for event in events:
            recorder.add(event)
    assert "test (simulated): 21 events of AAA, 2024-01-02 14:30 UTC to" in out("show", tmp_path / "t")[1]
    assert json.loads(out("show", tmp_path / "t", "--json")[1])["kinds"] == {"Trade": 20, "Quote": 1}
    code, text, _ = out("verify", tmp_path / "t")
    assert code == 0
    assert "warning: events of 'AAA': 1 of 1 quotes are crossed" in text
    for speed, least, most in (("0", 0.0, 60.0), ("2", 1.0, 60.0)):
        began = time.monotonic()
        done = python("-m", "data", "replay", tmp_path / "t", "--speed", speed, text=False)
        assert least <= time.monotonic() - began < most  # two seconds of tape, at twice their speed
        _, *again = decode_frames(io.BytesIO(done.stdout))
        assert again == events
    assert python("-m", "data", "replay", tmp_path / "none").returncode == 3
    assert python("-m", "data", "replay", tmp_path / "t", "--speed", "-1").returncode == 2


def test_replay_of_a_row_tape_is_play(python, tape):
    done = python("-m", "data", "replay", tape, text=False)
    assert done.stdout == b"".join(encode(message) for message in play(tape))
