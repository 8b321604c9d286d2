"""One command brings a year of minutes through the real SDKs; whatever fails on the way, the store is the same."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from data.door import call
from data.errors import AuthError, DataError, UnavailableError, UsageError
from data.pull import pull
from data.settings import load_settings
from data.sources.base import WallClock, load_vendor
from data.sources.http import Patience
from data.sources.random_walk import random_bars
from data.store import Store
from data.tape import content_hash
from data.tape_events import decode_frames, replay

pytest.importorskip("alpaca")
pytest.importorskip("massive")

SYMBOLS = ("AAPL", "MSFT")
FAULTS = "429=0.04,429-after=0.02,500=0.04,503=0.02,cut=0.06;seed=3"
QUICK = Patience(attempts=8, first_s=0.001, longest_s=0.01, timeout_s=5.0)
FAST = {"requests_a_minute": 1_000_000, "patience": QUICK}


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture(scope="module")
def market_of():
    """`market_of(sessions)`: minutes from 3 January 2023 on, with holes and halts."""
    from live.sandbox.market_tape import market_of_rows

    made = {}

    def make(sessions):
        if sessions not in made:
            rows = random_bars(sessions * 390, SYMBOLS, 7, "1m", gaps=True, start=20230103)
            made[sessions] = (market_of_rows(*rows), rows[0])
        return made[sessions]

    return make


@pytest.fixture
def serve():
    """`serve(market, faults="429@1", page_limit=500)`: a sandbox that ends with the test."""
    from live.sandbox.faults import Faults
    from live.sandbox.server import Sandbox, running
    from live.sandbox.terms import Terms

    with contextlib.ExitStack() as stack:

        def start(market, faults="", live=False, speed=1.0, **terms):
            box = Sandbox(market, faults=Faults.parse(faults), terms=Terms(**terms), live=live, speed=speed)
            return stack.enter_context(running(box))

        yield start


@pytest.fixture
def settings_of(tmp_path):
    def make(sandbox, store="store"):
        environ = {name: value for name, value in sandbox.environment().items() if name != "no_proxy"}
        return load_settings(tmp_path, environ=environ, store=tmp_path / store)

    return make


def run(name, settings, first, last, symbols=SYMBOLS, **more):
    options = {"settings": settings, "wall": WallClock(), **FAST, **more}
    return pull(load_vendor(name), symbols, first, last, "1m", "raw", Store(settings.store), **options)


def hashes(settings):
    store = Store(settings.store)
    return [store.load([symbol], "1m")[1] for symbol in SYMBOLS]


def days(bars):
    return int(bars.session[0]), int(bars.session[-1])


@pytest.mark.parametrize("name", ["alpaca", "polygon"])
def test_a_pull_with_faults_gives_the_store_of_one_without(name, market_of, serve, settings_of):
    market, bars = market_of(60)
    clean = settings_of(serve(market, page_limit=2_000), "clean")
    told = []
    done = run(name, clean, *days(bars), progress=lambda *each: told.append(each))
    assert [(each.symbol, each.revised) for each in done.added] == [("AAPL", 0), ("MSFT", 0)]
    assert [each.new for each in done.added] == [int(np.isfinite(bars.close[:, i]).sum()) for i in (0, 1)]
    assert told[-1][0] == "MSFT"
    sandbox = serve(market, FAULTS, page_limit=500)
    faulty = settings_of(sandbox, "faulty")
    run(name, faulty, *days(bars))
    assert {each.name for each in sandbox.faults.injected} >= {"429", "500", "cut"}
    assert hashes(faulty) == hashes(clean)
    again = run(name, faulty, *days(bars))  # a second pull of the same is no change
    assert [(each.new, each.revised) for each in again.added] == [(0, 0), (0, 0)]


def command(name, settings, first, last, *more):
    terms = ("--start", str(first), "--end", str(last), "--adjustment", "raw", "--rate", "1000000")
    place = ("--symbols", ",".join(SYMBOLS), "--store", str(settings.store))
    return [sys.executable, "-m", "data", "pull", "--source", name, *place, *terms, *more]


def killed_at(argv, sandbox, requests, checkout, number):
    """Run the command and send it a signal once so many requests were made; the plan lets the last one hang."""
    environment = os.environ | sandbox.environment() | {"PYTHONPATH": str(checkout)}
    with subprocess.Popen(
        argv, env=environment, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        deadline = time.monotonic() + 120
        while sandbox.http.requests < requests and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.002)
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    return child.returncode, out, err


def kill_and_resume(name, sessions, page, market_of, serve, settings_of, checkout):
    """The store of a pull that was killed twice and interrupted once, and that of one without faults."""
    market, bars = market_of(sessions)
    clean = settings_of(serve(market), "clean")
    run(name, clean, *days(bars))
    pages = 2 * sessions * 390 // page  # of both symbols, at least
    first, second = pages // 4, pages * 3 // 4
    plan = f"429=0.01,500=0.01,cut=0.02,hang@{first},hang@{second};seed=5"
    sandbox = serve(market, plan, page_limit=page)
    settings = settings_of(sandbox, "killed")
    argv = command(name, settings, *days(bars))
    assert killed_at(argv, sandbox, first, checkout, signal.SIGKILL)[0] == -signal.SIGKILL
    resumed = [*argv, "--resume"]
    code, _, err = killed_at(resumed, sandbox, second, checkout, signal.SIGINT)
    assert code == 130
    assert "symbols are stored; go on with the same and --resume" in err
    code, out, _ = killed_at(resumed, sandbox, 10**9, checkout, 0)
    assert code == 0, out
    return hashes(settings), hashes(clean)


def test_a_pull_that_is_killed_and_interrupted_resumes_to_the_same_store(market_of, serve, settings_of, checkout):
    found, wanted = kill_and_resume("polygon", 20, 150, market_of, serve, settings_of, checkout)
    assert found == wanted


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alpaca", "polygon"])
def test_a_year_that_is_killed_and_interrupted_resumes_to_the_same_store(name, market_of, serve, settings_of, checkout):
    found, wanted = kill_and_resume(name, 252, 1_000, market_of, serve, settings_of, checkout)
    assert found == wanted


def test_resume_asks_only_for_what_is_not_stored(market_of, serve, settings_of, monkeypatch):
    market, bars = market_of(3)
    sandbox = serve(market)
    settings = settings_of(sandbox)

    def stop(added):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("polygon", settings, *days(bars), stored=stop)
    before = sandbox.http.requests
    done = run("polygon", settings, *days(bars), resume=True)
    assert (done.skipped, [each.symbol for each in done.added]) == (("AAPL",), ["MSFT"])
    assert sandbox.http.requests == before + 1
    assert run("polygon", settings, *days(bars), resume=True).skipped == ()  # a finished pull is over


def test_a_vendor_that_rewrites_history_is_reported_and_both_are_kept(market_of, serve, settings_of):
    from live.sandbox.market_tape import market_of_rows

    _, bars = market_of(3)
    settings = settings_of(serve(market_of_rows(bars)))
    run("polygon", settings, *days(bars))
    close, high = bars.close.copy(), bars.high.copy()
    close[50, 0] += 5.0
    high[50, 0] += 5.0
    import dataclasses

    other = settings_of(serve(market_of_rows(dataclasses.replace(bars, close=close, high=high))))
    aapl, msft = run("polygon", other, *days(bars)).added
    assert (aapl.new, aapl.revised, msft.revised) == (0, 1, 0)
    assert "'AAPL': 1 of" in aapl.difference
    store = Store(settings.store)
    final, seen = (store.load(["AAPL"], "1m", view=view)[0] for view in ("final", "seen"))
    t = int(np.searchsorted(final.ts, bars.ts[50]))
    assert final.close[t, 0] - seen.close[t, 0] == pytest.approx(5.0)
    changes = store.revisions("AAPL", "1m")
    assert {each.column for each in changes} == {"high", "close"}
    assert all(each.recv_ts > 0 for each in changes)


def test_a_symbol_that_does_not_exist_is_refused_and_the_others_are_stored(market_of, serve, settings_of):
    market, bars = market_of(3)
    settings = settings_of(serve(market))
    done = run("alpaca", settings, *days(bars), symbols=("AAPL", "NOPE", "MSFT"))
    assert [each.symbol for each in done.added] == ["AAPL", "MSFT"]
    assert "no bars of 'NOPE' in this range; check the symbol" in done.refused["NOPE"]


def test_what_cannot_be_asked_is_said_before_anything_is_written(market_of, serve, settings_of):
    market, bars = market_of(3)
    settings = settings_of(serve(market))
    first, last = days(bars)
    for sentence, terms in {
        "is in the future": {"last": 20991231},
        "the exchange was closed": {"first": 20230107, "last": 20230108},
        "is not a date": {"first": "soon"},
        "swap them": {"first": last, "last": first},
        "is not a ticker": {"symbols": ["AA PL"]},
        "asked for twice": {"symbols": ["AAPL", "AAPL"]},
        "knows no option 'feed'": {"feed": "sip"},
    }.items():
        asked = {"first": first, "last": last} | terms
        with pytest.raises(UsageError, match=sentence):
            run("polygon", settings, **asked)
    assert not list(settings.store.rglob("*.parquet"))


def test_a_key_that_is_refused_or_a_vendor_that_is_down_ends_the_pull(market_of, serve, settings_of):
    market, bars = market_of(3)
    with pytest.raises(AuthError, match="refuses the key"):
        run("alpaca", settings_of(serve(market, "401@1")), *days(bars))
    with pytest.raises(UnavailableError, match="run the same pull again"):
        run("polygon", settings_of(serve(market, "500=1.0")), *days(bars))


def test_a_full_disk_ends_the_pull_and_leaves_nothing_half_written(market_of, serve, settings_of, monkeypatch):
    import errno

    market, bars = market_of(3)
    settings = settings_of(serve(market))
    run("polygon", settings, *days(bars), symbols=["AAPL"])
    before = sorted(settings.store.rglob("*.parquet"))

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    from data import store_files

    monkeypatch.setattr(store_files.os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        run("polygon", settings, *days(bars), symbols=["MSFT"])
    assert sorted(settings.store.rglob("*.parquet")) == before


@pytest.mark.parametrize(
    ("argv", "variable"),
    [
        (
            ("pull", "--start", "2023-01-03", "--end", "2023-01-04", "--adjustment", "raw", "--source", "alpaca"),
            "APCA_",
        ),
        (
            ("pull", "--start", "2023-01-03", "--end", "2023-01-04", "--adjustment", "raw", "--source", "polygon"),
            "MASSIVE_",
        ),
    ],
)
def test_without_keys_a_command_says_which_are_missing(argv, variable, capsys, monkeypatch, tmp_path):
    from data import settings
    from data.__main__ import app

    monkeypatch.setattr(settings, "CHECKOUT", tmp_path)
    monkeypatch.setenv("ONETAPE_STORE", str(tmp_path / "store"))
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "MASSIVE_API_KEY", "POLYGON_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert call(app, [*argv, "--symbols", "AAPL"]) == 5
    err = capsys.readouterr().err
    assert variable in err
    assert err.count("\n") == 1
    assert not list(tmp_path.rglob("*.parquet"))
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("alpaca", "APCA_API_KEY_ID and APCA_API_SECRET_KEY are not set; make a key at https://"),
        ("polygon", "MASSIVE_API_KEY is not set; make a key at https://"),
    ],
)
def test_without_keys_nothing_is_recorded(name, sentence, tmp_path, checkout):
    keys = ("APCA_", "MASSIVE_", "POLYGON_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(keys)}
    environment |= {"PYTHONPATH": str(checkout), "ONETAPE_STORE": str(tmp_path / "store")}
    if (checkout / ".env").exists():
        pytest.skip("this checkout has keys")
    argv = ["record", "--source", name, "--symbols", "AAPL", "--out", tmp_path / "t"]
    done = subprocess.run(
        [sys.executable, "-m", "data", *argv], env=environment, cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 5
    assert done.stderr.startswith(f"error: {sentence}")
    assert not (tmp_path / "t").exists()


def test_the_command_prints_lines_json_and_the_right_code(market_of, serve, settings_of, capsys, monkeypatch):
    from data.__main__ import app

    market, bars = market_of(3)
    sandbox = serve(market)
    settings = settings_of(sandbox)
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    argv = command("polygon", settings, *days(bars))[3:]
    assert call(app, argv) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("AAPL: ")
    assert "AAPL: 1 of 1" in err
    assert call(app, [*argv, "--json"]) == 0
    assert [each["same"] > 1_000 for each in json.loads(capsys.readouterr().out)["added"]] == [True, True]
    bad = [each.replace("AAPL,MSFT", "AAPL,NOPE") for each in argv]
    assert call(app, bad) == 2
    assert "1 of 2 symbols were refused; the others are stored" in capsys.readouterr().err
    assert call(app, [each.replace("polygon", "nasdaq") for each in argv]) == 2


WRONG = {
    "a bad symbol": (("AA PL", "2023-01-03", "2023-01-04"), "'AA PL' is not a ticker"),
    "crypto": (("X:BTCUSD", "2023-01-03", "2023-01-04"), "'X:BTCUSD' is crypto"),
    "a coin": (("BTC/USD", "2023-01-03", "2023-01-04"), "stream or record it"),
    "an unknown symbol": (("NOPE", "2023-01-03", "2023-01-04"), "'NOPE' in this range; check the symbol"),
    "a bad date": (("AAPL", "2023-13-03", "2023-01-04"), "'2023-13-03' is not a date"),
    "a future date": (("AAPL", "2023-01-03", "2099-01-04"), "2099-01-04, which is in the future"),
    "a closed market": (("AAPL", "2023-01-07", "2023-01-08"), "the exchange was closed from 2023-01-07 to 2023-01-08"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("name", ["alpaca", "polygon"])
def test_a_wrong_question_is_one_sentence_exit_2_and_nothing_written(
    name, case, market_of, serve, settings_of, capsys, monkeypatch
):
    from data.__main__ import app

    sandbox = serve(market_of(3)[0])
    settings = settings_of(sandbox)
    for variable, value in sandbox.environment().items():
        monkeypatch.setenv(variable, value)
    (symbol, start, end), sentence = WRONG[case]
    terms = ("--start", start, "--end", end, "--adjustment", "raw", "--rate", "1000000", "--store", str(settings.store))
    assert call(app, ["pull", "--source", name, "--symbols", symbol, *terms]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert sentence in " ".join(lines)
    assert not any("Traceback" in line for line in lines)
    assert not list(settings.store.rglob("*.parquet"))


POLYGON_SPLITS = [{"id": "1", "execution_date": "2023-01-04", "split_from": 1, "split_to": 4, "ticker": "AAPL"}]
POLYGON_DIVIDENDS = [
    {"cash_amount": 0.25, "currency": "USD", "ex_dividend_date": "2023-01-05", "ticker": "AAPL"},
    {"cash_amount": 9.0, "currency": "EUR", "ex_dividend_date": "2023-01-05", "ticker": "AAPL"},
    {"cash_amount": 9.0, "currency": "USD", "ex_dividend_date": "2999-01-05", "ticker": "AAPL"},
]
ALPACA = {
    "forward_splits": [{"symbol": "AAPL", "new_rate": 4, "old_rate": 1, "ex_date": "2023-01-04"}],
    "cash_dividends": [
        {"symbol": "AAPL", "rate": 0.25, "ex_date": "2023-01-05", "foreign": False, "special": False},
        {"symbol": "AAPL", "rate": 9.0, "ex_date": "2023-01-05", "foreign": True, "special": False},
    ],
    "name_changes": [{"old_symbol": "FB", "new_symbol": "META", "process_date": "2022-06-09"}],
}


@pytest.mark.parametrize("name", ["alpaca", "polygon"])
def test_actions_come_through_the_real_sdk_with_faults_on(name, market_of, settings_of, tmp_path):
    from data.actions import Action
    from data.pull_actions import actions_of
    from live.sandbox.faults import Faults
    from live.sandbox.http import answer
    from live.sandbox.server import Sandbox, running

    def of_ticker(rows):
        def handle(request):
            assert request.query["ticker"] in SYMBOLS
            wanted = [row for row in rows if row["ticker"] == request.query["ticker"]]
            return answer({"status": "OK", "request_id": "1", "results": wanted})

        return handle

    def of_alpaca(request):
        assert request.query["symbols"] == "AAPL,MSFT"
        page = request.query.get("page_token")
        kinds = ("cash_dividends", "name_changes") if page else ("forward_splits",)
        told = {kind: ALPACA[kind] for kind in kinds}
        return answer({"corporate_actions": told, "next_page_token": None if page else "2"})

    sandbox = Sandbox(market_of(3)[0], faults=Faults.parse("429@1,500@2,cut@3"))
    sandbox.routes.add("GET", "/v3/reference/splits", of_ticker(POLYGON_SPLITS))
    sandbox.routes.add("GET", "/v3/reference/dividends", of_ticker(POLYGON_DIVIDENDS))
    sandbox.routes.add("GET", "/v1/corporate-actions", of_alpaca)
    with running(sandbox):
        settings = settings_of(sandbox)
        found = actions_of(name, SYMBOLS, "2022-01-03", settings=settings, wall=WallClock(), **FAST)
    wanted = [Action("AAPL", 20230104, "split", 4.0), Action("AAPL", 20230105, "dividend", 0.25)]
    if name == "alpaca":
        wanted.append(Action("FB", 20220609, "rename", 1.0, "META"))
    assert sorted(found) == sorted(wanted)
    assert len(sandbox.faults.injected) == 3
    with pytest.raises(UsageError, match="'sample' has no corporate actions"):
        actions_of("sample", SYMBOLS, "2022-01-03", settings=settings, wall=WallClock())


@pytest.mark.parametrize("name", ["alpaca", "polygon"])
def test_a_stream_is_recorded_and_replayed(name, serve, tmp_path, checkout):
    from live.sandbox.market_tape import market_of_seed

    market = market_of_seed(7, SYMBOLS, 2)
    sandbox = serve(market, live=True, speed=60.0)
    environment = os.environ | sandbox.environment() | {"PYTHONPATH": str(checkout), "ONETAPE_STORE": str(tmp_path)}
    options = {"env": environment, "cwd": checkout, "capture_output": True, "check": False}
    tape = tmp_path / "tape"
    argv = ["record", "--source", name, "--symbols", "AAPL,MSFT", "--out", tape, "--events", "300", "--seconds", "60"]
    done = subprocess.run([sys.executable, "-m", "data", *argv], **options)
    assert done.returncode == 0, done.stderr
    events = list(replay(tape))
    assert len(events) >= 300
    assert {event.symbol for event in events} == {"AAPL", "MSFT"}
    ours = [event for event in events if type(event).__name__ == "Trade" and event.symbol == "AAPL"]
    theirs = market.tape("AAPL").trades
    at = int(np.searchsorted(theirs.ts, ours[0].venue_ts))
    assert [event.venue_ts for event in ours] == theirs.ts[at : at + len(ours)].tolist()
    frames = subprocess.run([sys.executable, "-m", "data", "replay", tape], **options)
    import io

    header, *again = decode_frames(io.BytesIO(frames.stdout))
    assert (header.source, again) == (name, events)


def test_a_quarter_is_the_same_through_every_sdk(market_of, serve, settings_of):
    market, bars = market_of(60)
    found = []
    for name, more in (("alpaca", {}), ("polygon", {"package": "massive"}), ("polygon", {"package": "polygon"})):
        settings = settings_of(serve(market), f"{name}{len(found)}")
        run(name, settings, *days(bars), **more)
        found.append(hashes(settings))
    assert found[0] == found[1] == found[2]
    kept = np.isfinite(bars.close[:, 0])
    wanted = bars.pick([0])
    columns = (getattr(wanted, each)[kept] for each in ("open", "high", "low", "close", "volume"))
    times = (wanted.session[kept], wanted.since_open[kept], wanted.to_close[kept])
    assert found[0][0] == content_hash(type(wanted)(("AAPL",), wanted.ts[kept], *columns, *times))
