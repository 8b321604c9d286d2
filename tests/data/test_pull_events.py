"""Trades and quotes come through the real SDKs into event tapes: whole sessions, each once, whatever fails."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.door import call
from data.errors import AuthError, DataError, UsageError
from data.events import Quote, Trade
from data.pull_events import pull_events
from data.sources.base import WallClock, load_vendor
from data.store_events import hash_of
from data.tape_events import events_hash, replay
from tests.data import test_pull

pytest.importorskip("alpaca")
pytest.importorskip("massive")

loopback, market_of, serve, settings_of = (
    test_pull.loopback,
    test_pull.market_of,
    test_pull.serve,
    test_pull.settings_of,
)
FAST, days = test_pull.FAST, test_pull.days
BOTH = ("trades", "quotes")


def run(name, settings, first, last, what=BOTH, symbols=("AAPL",), **more):
    return pull_events(
        load_vendor(name), what, symbols, first, last, settings=settings, wall=WallClock(), **(FAST | more)
    )


def files(settings):
    return sorted(str(path) for path in (settings.store / "events").glob("[!.]*/*/*") if path.is_dir())


@pytest.mark.parametrize("name", ["alpaca", "polygon"])
def test_tapes_hold_what_the_vendor_s_iterators_give(name, market_of, serve, settings_of):
    market, bars = market_of(3)
    sandbox = serve(market, "429=0.05,500=0.05,cut=0.05;seed=4", page_limit=500)
    settings, told = settings_of(sandbox), []
    first, last = days(bars)
    done = run(name, settings, first, last, progress=lambda *each: told.append(each))
    assert [(tape.symbol, tape.new) for tape in done.tapes] == [("AAPL", True)] * 3
    assert told == [("AAPL", i, 3) for i in (1, 2, 3)]
    clean = {"settings": settings_of(serve(market)), **FAST}
    vendor = load_vendor(name)
    for kind, iterate in ((Trade, vendor.trades), (Quote, vendor.quotes)):
        ours = [event for tape in done.tapes for event in replay(tape.path) if isinstance(event, kind)]
        assert repr(ours) == repr(list(iterate(["AAPL"], first, last, **clean)))  # NaN is not equal to itself
        assert len(ours) > 1_000
    for tape in done.tapes:
        events = list(replay(tape.path))
        assert events_hash(events) == (tape.hash, tape.events)
        assert [each.recv_ts for each in events] == sorted(each.recv_ts for each in events)
    requests = sandbox.http.requests
    again = run(name, settings, first, last)
    assert sandbox.http.requests == requests  # nothing is asked for twice
    assert again.tapes == [tape._replace(new=False) for tape in done.tapes]


def test_a_pull_that_is_killed_leaves_whole_sessions_and_resumes_to_the_same_hash(
    market_of, serve, settings_of, checkout
):
    market, bars = market_of(3)
    first, last = days(bars)
    clean = run("polygon", settings_of(serve(market), "clean"), first, last).tapes
    wanted = hash_of((tape.session, tape.hash) for tape in clean)
    sandbox = serve(market, page_limit=100)
    settings = settings_of(sandbox, "killed")
    environment = os.environ | sandbox.environment() | {"PYTHONPATH": str(checkout)}
    argv = [sys.executable, "-m", "data", "pull", "--source", "polygon", "--what", "trades,quotes", "--symbols", "AAPL"]
    argv += ["--start", str(first), "--end", str(last), "--rate", "1000000", "--store", str(settings.store)]
    with subprocess.Popen(argv, env=environment, cwd=checkout, stderr=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 120
        while not files(settings) and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    whole = files(settings)
    assert 1 <= len(whole) < 3
    for path in whole:
        assert events_hash(replay(path))[1] > 100
    done = subprocess.run([*argv, "--resume", "--json"], env=environment, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)["events"]["stored"]
    assert told["hash"] == wanted
    assert [tape["new"] for tape in told["tapes"]] == [False] * len(whole) + [True] * (3 - len(whole))
    assert not [path for path in (settings.store / "events" / ".drafts").iterdir() if path.is_dir()]


def test_a_full_disk_ends_the_pull_and_leaves_nothing_half_written(market_of, serve, settings_of, monkeypatch):
    market, bars = market_of(3)
    settings = settings_of(serve(market))
    first, last = days(bars)
    run("alpaca", settings, first, first, what=["trades"])
    before = files(settings)

    fsync = os.fsync

    def full(handle):
        if "/events/.drafts/" in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match=r"No space left on device.*sessions stored before stay"):
            run("alpaca", settings, first, last, what=["trades"])
    assert files(settings) == before
    assert [tape.new for tape in run("alpaca", settings, first, last, what=["trades"]).tapes] == [False, True, True]


def test_what_cannot_be_asked_is_said_and_nothing_is_written(market_of, serve, settings_of):
    market, bars = market_of(3)
    settings = settings_of(serve(market))
    first, last = days(bars)
    for sentence, terms in {
        "is in the future": {"last": 20991231},
        "is not a date": {"first": "soon"},
        "'..' is not a ticker": {"symbols": [".."]},
        "is crypto": {"symbols": ["X:BTCUSD"]},
        "no 'trade' to pull": {"what": ["trade"]},
        "knows no option 'feed'": {"feed": "sip"},
    }.items():
        with pytest.raises(UsageError, match=sentence):
            run("polygon", settings, **({"first": first, "last": last} | terms))
    done = run("alpaca", settings, first, last, symbols=("NOPE", "AAPL"))
    assert "no trades or quotes of 'NOPE' in this range" in done.refused["NOPE"]
    assert {tape.symbol for tape in done.tapes} == {"AAPL"}
    assert not [path for path in files(settings) if "NOPE" in path]
    for fault, sentence in {"401@1": "refuses the key", "403@1": "this key or plan"}.items():
        other = settings_of(serve(market, fault), fault[:3])
        with pytest.raises(AuthError, match=sentence):
            run("polygon", other, first, last)
        assert not files(other)


def test_a_session_that_is_not_over_is_not_kept_as_if_it_were(market_of, serve, settings_of):
    market, bars = market_of(3)
    first, last = days(bars)
    noon = type("Noon", (WallClock,), {"now": lambda self: int(bars.ts[-200])})()
    with pytest.raises(UsageError, match="is not over before New York's midnight"):
        pull_events(load_vendor("polygon"), BOTH, ["AAPL"], first, last, settings=settings_of(serve(market)), wall=noon)


def test_the_command_pulls_everything_at_once_and_asks_for_an_adjustment_of_bars_only(
    market_of, serve, settings_of, capsys, monkeypatch
):
    from data.__main__ import app

    market, bars = market_of(3)
    sandbox = serve(market)
    settings = settings_of(sandbox)
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    first = str(days(bars)[0])
    argv = ["pull", "--source", "alpaca", "--symbols", "AAPL", "--start", first, "--end", first, "--rate", "1000000"]
    argv += ["--store", str(settings.store)]
    assert call(app, [*argv, "--what", "bars,trades,quotes", "--adjustment", "raw"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[:1]] == ["AAPL: 1 new sessions"]
    assert "new rows" in lines[1]
    (tape,) = files(settings)
    for command in (["show", tape], ["verify", tape]):
        assert call(app, command) == 0
    assert "Quote" in capsys.readouterr().out
    assert call(app, [*argv, "--what", "trades,quotes"]) == 0
    assert "0 new sessions, 1 there already" in capsys.readouterr().out
    for more, sentence in {
        (): "bars need --adjustment",
        ("--what", "trades", "--adjustment", "raw"): "--adjustment is of bars",
        ("--what", "trades,books"): "there is no 'books' to pull",
    }.items():
        assert call(app, [*argv, *more]) == 2
        assert sentence in capsys.readouterr().err


def test_without_a_key_nothing_is_written(capsys, monkeypatch, tmp_path):
    from data import settings
    from data.__main__ import app

    monkeypatch.setattr(settings, "CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "MASSIVE_API_KEY", "POLYGON_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    argv = ["pull", "--what", "trades", "--symbols", "AAPL", "--start", "2023-01-03", "--end", "2023-01-04"]
    assert call(app, [*argv, "--source", "polygon", "--store", str(tmp_path / "store")]) == 5
    assert "MASSIVE_API_KEY is not set" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_said_in_one_sentence(tmp_path):
    from data.tape import replacing

    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "a", tmp_path / "file" / "b" / "a"):
        with pytest.raises(DataError, match="a file is in its way"), replacing(path):
            pass
