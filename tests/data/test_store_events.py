"""Tapes of trades and quotes in the store are listed and checked beside its bars; no symbol leads out of the store."""

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.door import call
from data.errors import UsageError
from data.events import Gap, Quote, Trade
from data.recorder import Recorder
from data.sources.http_history import check_tickers
from data.sources.random_walk import random_bars
from data.store import Store
from data.store_events import Content, content_of, hash_of, ls_events, tapes_of
from data.store_files import folder_name
from data.tape_events import events_hash, replay

SECOND = 1_000_000_000
OPEN = {20240102: 1_704_205_800 * SECOND, 20240103: 1_704_292_200 * SECOND, 20240105: 1_704_465_000 * SECOND}
NAME = "polygon.trades+quotes"


def events_of(symbol, session, count=30):
    """A trade and a quote a second from the open on."""
    for i in range(count):
        at = OPEN[session] + i * SECOND
        yield Quote(symbol, at, at, 99.9 + i / 100, 100.1 + i / 100, 1.0, 1.0)
        yield Trade(symbol, at, at, 100.0 + i / 100, 5.0, trade_id=str(i))


def keep(root, symbol, session, events, name=NAME):
    """A tape as a pull leaves it."""
    date = f"{session // 10_000}-{session // 100 % 100:02}-{session % 100:02}"
    path, events = root / "events" / folder_name(symbol) / date / name, list(events)
    with Recorder(path, source="polygon", symbols=[symbol], channels=("trades", "quotes"), simulated=True) as recorder:
        for event in events:
            recorder.add(event)
    (path / ".lock").unlink()
    digest, count = events_hash(replay(path))
    (path / "content.json").write_text(json.dumps({"events": count, "hash": digest}))
    return path


@pytest.fixture
def root(tmp_path):
    """Two sessions in a row of AAPL and of BRK.B."""
    for symbol in ("AAPL", "BRK.B"):
        for session in (20240102, 20240103):
            keep(tmp_path, symbol, session, events_of(symbol, session))
    return tmp_path


@pytest.fixture
def data(root, capsys):
    """`data("ls")`: exit code, standard output, standard error, on that store."""
    from data.__main__ import app

    def run(*words):
        code = call(app, [*map(str, words), "--store", str(root)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_tapes_are_listed_symbol_by_symbol_with_their_sessions_and_hash(root, data):
    assert [tape.session for tape in tapes_of(root, "AAPL")] == [20240102, 20240103]
    entry, _ = ls_events(root)
    assert (entry.symbol, entry.name, entry.sessions, entry.events) == ("AAPL", NAME, 2, 120)
    assert entry.hash == hash_of((each.session, content_of(each.path).hash) for each in tapes_of(root, "AAPL"))
    code, out, _ = data("ls")
    assert code == 0
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        f"{symbol} 120 events 2 sessions, 2024-01-02 to 2024-01-03 {NAME}" for symbol in ("AAPL", "BRK.B")
    ]
    assert entry.hash[:12] in data("ls", "--hash")[1]
    told = json.loads(data("ls", "--json", "--hash")[1])
    assert told[0] == entry._asdict()


def test_bars_and_tapes_are_listed_and_verified_together(root, data):
    Store(root).put(random_bars(390, ("AAPL",), 3, "1m", start=20240102)[0], "1m", "test")
    assert [line.split()[:2] for line in data("ls")[1].splitlines()] == [
        ["AAPL", "1m"], ["AAPL", "120"], ["BRK.B", "120"],
    ]  # fmt: skip
    assert data("verify")[1].endswith(f"{root}: 390 rows, 240 events, 0 errors, 0 warnings\n")
    assert data("verify", "BRK.B")[1] == "BRK.B: 0 rows, 120 events, 0 errors, 0 warnings\n"
    assert data("verify", "AAPL", "--interval", "1m")[1] == "AAPL: 390 rows, 0 errors, 0 warnings\n"
    told = json.loads(data("verify", "--json")[1])
    assert (told["rows"], told["events"], told["errors"]) == (390, 240, 0)


def test_a_tape_that_came_otherwise_is_counted(root):
    tape = tapes_of(root)[0]
    said = content_of(tape.path)
    (tape.path / "content.json").unlink()
    assert content_of(tape.path) == said == Content(60, said.hash)


def test_drafts_and_strangers_are_no_tapes(root):
    shutil.copytree(tapes_of(root)[0].path, root / "events" / ".drafts" / "AAPL.polygon" / "x")
    shutil.copytree(tapes_of(root)[0].path, root / "events" / "AAPL" / "notes" / "x")
    (root / "events" / "AAPL" / "2024-01-04" / NAME).mkdir(parents=True)
    assert len(tapes_of(root)) == 4


def late(events):
    """The last event's receive time is set back."""
    *kept, last = events
    return [*kept, Trade("AAPL", OPEN[20240105], OPEN[20240105] + SECOND, 100.0, 1.0), last]


WRONG = {
    "order": (late, "warning", "1 events received before the one before them"),
    "ahead": (
        lambda events: [*events, Trade("AAPL", OPEN[20240105] + 90 * SECOND, OPEN[20240105] + 60 * SECOND, 100.0, 1.0)],
        "warning", "1 events from the future of our clock",
    ),
    "crossed": (
        lambda events: [Quote("AAPL", e.venue_ts, e.recv_ts, 101.0, 100.0, 1.0, 1.0) for e in events],
        "error", "60 of 60 quotes are crossed",
    ),
    "locked": (
        lambda events: [Quote("AAPL", OPEN[20240105], OPEN[20240105], 100.0, 100.0, 1.0, 1.0), *events],
        "warning", "1 of 31 quotes are locked",
    ),
    "lost": (
        lambda events: [*events, Gap("AAPL", 0, OPEN[20240105] + 99 * SECOND, OPEN[20240105], OPEN[20240105] + 9, "x")],
        "warning", "1 times the feed was lost",
    ),
    "day": (lambda events: [*events_of("AAPL", 20240103, 2), *events], "error", "4 events are of another day"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_with_a_tape_is_said_with_symbol_session_and_name(kind, root, data):
    spoil, level, sentence = WRONG[kind]
    keep(root, "AAPL", 20240105, spoil(list(events_of("AAPL", 20240105))), "alpaca.trades+quotes")
    code, out, _ = data("verify")
    assert code == (3 if level == "error" else 0)
    told = next(line for line in out.splitlines() if sentence in line)
    assert told.startswith(f"{level}: AAPL 2024-01-05 alpaca.trades+quotes: ")


def test_a_session_that_is_missing_in_between_is_a_gap(root, data):
    keep(root, "AAPL", 20240105, events_of("AAPL", 20240105))
    code, out, _ = data("verify")
    assert code == 0
    assert f"warning: AAPL {NAME}: 1 sessions are missing, first 2024-01-04; pull the range again" in out


def test_a_tape_that_is_not_what_was_stored_is_an_error(root, data):
    tape = tapes_of(root)[1]
    (table, *_) = sorted(tape.path.rglob("trade.parquet"))
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    code, out, _ = data("verify")
    assert code == 3
    assert re.search(rf"error: AAPL 2024-01-03 {re.escape(NAME)}: .* is damaged", out)
    table.write_bytes(whole)
    (tape.path / "content.json").write_text('{"events": 61, "hash": "00"}')
    code, out, _ = data("verify", "AAPL")
    assert code == 3
    assert "holds 60 events of hash" in out
    assert f"delete {tape.path} and pull it again" in out


@given(st.text(max_size=12) | st.text("./:-AB", max_size=8))
@example("..")
@example(".")
@example("A/..")
@example("A/../../B")
@example("AAPL\n")
def test_no_ticker_leads_out_of_its_folder_or_address(symbol):
    folder = Path("store") / folder_name(symbol)
    assert not symbol or folder.parent == Path("store")
    assert folder.name not in (".", "..")
    parts = symbol.split("/")
    if symbol.isascii() and not {"", ".", ".."} & set(parts) and all(part[0].isalnum() for part in parts):
        return  # it may be one: nothing in it leads anywhere
    with pytest.raises(UsageError, match="is not a ticker"):
        check_tickers([symbol], "test")


@pytest.mark.parametrize(
    "symbol", ["AAPL", "BRK.B", "X:BTCUSD", "BTC/USD", "BTC-USD", "aapl", "0700", "O:SPY251219C00650000"]
)
def test_what_is_a_ticker_is_taken(symbol):
    assert check_tickers([symbol], "test") == (symbol,)
