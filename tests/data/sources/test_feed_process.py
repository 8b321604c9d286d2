"""`python -m data stream` as a process against both vendors' streams: rows that are the tape's, and what it says."""

import io
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from data.calendar import MINUTE_NS, SECOND_NS, session_columns
from data.events import Quote, Trade
from data.rowbuilder_batch import rows_from_events
from data.rows import BookSnap, FeedNews, Header, Revision, Row, Touch, Trading, decode_feed, encode, rows_of
from data.settings import CHECKOUT
from data.sources.rehearsal import told
from data.types import FEATURES, Bars
from live.sandbox.faults import Faults
from live.sandbox.market_tape import market_of_rows
from live.sandbox.server import Sandbox, running
from live.sandbox.terms import Terms

SPEED = 120.0
SYMBOLS = ("AAPL", "MSFT")
vendors = pytest.mark.parametrize("source", ["alpaca", "polygon"])


class FeedProcess:
    """The process, and all frames it has sent; `until` waits for what they must show."""

    def __init__(self, sandbox, tmp_path, *options, speed=SPEED, **environ):
        known = {
            name: value for name, value in os.environ.items() if not name.startswith(("APCA", "MASSIVE", "POLYGON"))
        }
        own = {"ONETAPE_STORE": str(tmp_path / "store"), **environ}
        if sandbox is not None:
            own = sandbox.environment() | {"ONETAPE_REHEARSAL": told(sandbox.clock, speed)} | own
        self.process = subprocess.Popen(
            [sys.executable, "-m", "data", "stream", *options],
            cwd=CHECKOUT,
            env=known | own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.messages = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        out = self.process.stdout
        while len(head := out.read(4)) == 4:
            body = out.read(struct.unpack("<I", head)[0])
            (message,) = decode_feed(io.BytesIO(head + body))
            with self.changed:
                self.messages.append(message)
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def of(self, kind):
        return [each for each in self.messages if type(each) is kind]

    def until(self, condition, seconds=270.0):
        with self.changed:
            met = self.changed.wait_for(lambda: condition(self) or not self.reader.is_alive(), seconds)
        assert met, [self.of(FeedNews)[-1:], len(self.of(Row))]
        if not condition(self):
            raise AssertionError(self.process.stderr.read().decode())

    def settled(self, truth):
        """The last row, once it and all before it are known as the tape has them: what came late has revised them.

        Returns after a minute whatever they are, for the test to show what is wrong with them.
        """
        last = self.of(Row)[-1].ts

        def is_right(_):
            return all(
                prices(row) == prices(truth[ts]) for ts, row in self.rows().items() if ts <= last and ts in truth
            )

        with self.changed:
            self.changed.wait_for(lambda: is_right(self) or not self.reader.is_alive(), 60.0)
        return last

    def live(self):
        """How many rows have come that are not history."""
        headers = self.of(Header)
        return len(self.of(Row)) - headers[0].warm_rows if headers else 0

    def rows(self):
        """Every row with what was learned of it later, and how many of them changed."""
        rows = {row.ts: row for row in self.of(Row)}
        assert list(rows) == sorted(rows)
        assert len(rows) == len(self.of(Row))
        return rows | {each.row.ts: each.row for each in self.of(Revision)}

    def memory(self):
        """Resident kilobytes and the files mapped; nothing where there is no /proc."""
        folder = Path(f"/proc/{self.process.pid}")
        if not folder.exists():
            return ()
        return int(re.search(r"VmRSS:\s+(\d+)", (folder / "status").read_text())[1]), (folder / "maps").read_text()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.reader.join(30)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait(30)
        self.reader.join(30)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


def tape_of(market, source="alpaca", symbols=SYMBOLS):
    """Every event of the market as a perfect feed would have carried it; Alpaca quotes sizes in whole lots."""

    def size(shares):
        return max(shares // 100, 1) * 100.0 if source == "alpaca" else shares

    events = []
    for symbol in symbols:
        tape = market.tape(symbol)
        for i, (ts, *values) in enumerate(zip(*(column.tolist() for column in tape.trades), strict=True)):
            events.append(Trade(symbol, ts, ts, *values, trade_id=str(i + 1)))
        for ts, bid, ask, *sizes in zip(*(column.tolist() for column in tape.quotes), strict=True):
            events.append(Quote(symbol, ts, ts, bid, ask, *map(size, sizes)))
    return sorted(events, key=lambda each: (each.recv_ts, type(each) is Quote))


def truth_of(market, source="alpaca", symbols=SYMBOLS, clock="1m"):
    """The rows of the batch build over the tape, by close."""
    built = rows_from_events(tape_of(market, source, symbols), symbols, clock)
    return {row.ts: row for row in rows_of(built.bars, built.book)}


def prices(row):
    return repr((row.ts, row.session, row.since_open, row.to_close, row.open, row.high, row.low, row.close, row.volume))


def serve(market, faults="", speed=SPEED, history_s=1_800, **options):
    begin = market.first_ns // MINUTE_NS * MINUTE_NS + history_s * SECOND_NS
    return running(Sandbox(market, speed=speed, live=True, begin_ns=begin, faults=Faults.parse(faults), **options))


def same_rows(found, truth, least, until=2**63):
    """Every row up to `until` is the tape's; none is missing between the first and the last."""
    found = {ts: row for ts, row in found.items() if ts <= until}
    assert len(found) >= least
    first, last = min(found), max(found)
    assert sorted(found) == [ts for ts in sorted(truth) if first <= ts <= last]
    assert [prices(found[ts]) for ts in sorted(found)] == [prices(truth[ts]) for ts in sorted(found)]


@vendors
def test_rows_are_those_of_the_tape_from_the_first_warm_one_on(source, day_market, tmp_path):
    truth = truth_of(day_market, source)
    with serve(day_market) as sandbox:
        options = (
            "--source",
            source,
            "--symbols",
            "AAPL,MSFT",
            "--warm",
            "1000",
            "--wait",
            "60",
            "--patience",
            "9999",
        )
        with FeedProcess(sandbox, tmp_path, *options, "--rate", "1000") as feed:
            feed.until(lambda feed: len(whole_rows(feed)) >= 4 and feed.of(FeedNews)[-1].state == "fresh")
            held, last = feed.memory(), feed.settled(truth)
            assert feed.stop() == 0
    assert not held or held[0] < 70 * 1_024
    assert not held or not {"pandas", "pyarrow", "numba"} & set(re.findall(r"site-packages/(\w+)/", held[1]))
    header = feed.messages[0]
    assert isinstance(header, Header)
    assert (header.symbols, header.clock, header.simulated) == (list(SYMBOLS), "1m", True)
    assert all(isinstance(each, Row) and each.book is None for each in feed.messages[1 : 1 + header.warm_rows])
    found = feed.rows()
    assert min(found) == min(truth)
    assert header.warm_rows >= 30
    same_rows(found, truth, header.warm_rows + 4, last)
    for row in whole_rows(feed):
        assert row.ts > last or repr(row.book) == repr(truth[row.ts].book)
    quotes = {each[1:7] for each in map(msgspec.structs.astuple, tape_of(day_market, source)) if len(each) == 12}
    touches = feed.of(Touch)
    assert {each.symbol for each in touches} == set(SYMBOLS)
    assert {(each.ts, each.ts, each.bid, each.ask, each.bid_size, each.ask_size) for each in touches} <= quotes
    assert [each.symbol for each in feed.of(Trading)[:2]] == list(SYMBOLS)
    news = feed.of(FeedNews)
    assert news[0].state == "absent"
    assert (source, "fresh", "L1") in [(each.name, each.state, each.level) for each in news]


def whole_rows(feed):
    """Live rows behind one that was received whole: their quotes and who crossed the spread are the tape's, too.

    Not one that was given before a quote of its time came, nor the next, in which that quote is counted: half a second
    in which this process stands still is a minute of the tape.
    """
    live, late = [], set()
    for each in list(feed.messages):
        if type(each) is Row and each.book is not None:
            live.append(each)
        elif type(each) is Touch:
            late |= {ts for row in live if row.ts >= each.ts for ts in (row.ts, row.ts + MINUTE_NS)}
    flows = [all(flow == flow for flow in row.book[FEATURES.index("sell_flow")]) for row in live]
    revised = {each.row.ts for each in feed.of(Revision)}
    pairs = zip(live[1:], flows[:-1], flows[1:], strict=True)
    return [row for row, before, now in pairs if before and now and row.ts not in revised | late]


OPTIONS = ("--symbols", "AAPL,MSFT", "--warm", "500", "--wait", "60", "--patience", "9999", "--rate", "1000")


@vendors
def test_rows_behind_a_cut_a_stall_and_a_loss_are_late_and_right(source, day_market, tmp_path):
    kinds = ("ws.cut", "ws.stall", "ws.lost")
    faults = ",".join(f"{kinds[i % 3]}@{600 * (i + 1)}s" for i in range(60))
    with serve(day_market, faults) as sandbox, FeedProcess(sandbox, tmp_path, "--source", source, *OPTIONS) as feed:
        feed.until(lambda feed: feed.of(FeedNews) and feed.of(FeedNews)[-1].gaps >= 2)
        gaps = feed.of(FeedNews)[-1].gaps
        feed.until(lambda feed: any(each.state == "fresh" for each in feed.of(FeedNews)[-3:]))
        last = feed.of(FeedNews)[-1].ts
        feed.until(lambda feed: feed.of(Row)[-1].ts > last + 5 * MINUTE_NS)
        truth = truth_of(day_market, source)
        last = feed.settled(truth)
        assert feed.stop() == 0
    news = feed.of(FeedNews)
    assert {each.state for each in news} == {"absent", "fresh", "stale"}
    assert all(each.level == "none" and each.reason for each in news if each.state != "fresh")
    assert news[-1].gaps >= gaps
    same_rows(feed.rows(), truth, feed.of(Header)[0].warm_rows + 4, last)


def test_a_killed_feed_goes_on_inside_its_row(day_market, tmp_path):
    options = ("--source", "alpaca", *OPTIONS, "--clock", "2m", "--state", str(tmp_path / "feed.state"))
    truth = truth_of(day_market, clock="2m")
    with serve(day_market) as sandbox:
        with FeedProcess(sandbox, tmp_path, *options) as first:
            first.until(lambda feed: feed.live() >= 1 and (tmp_path / "feed.state").exists())
            first.settled(truth)
            first.stop(signal.SIGKILL)
        with FeedProcess(sandbox, tmp_path, *options) as second:
            second.until(lambda feed: feed.live() >= 3)
            assert second.stop() == 0
            third = FeedProcess(sandbox, tmp_path, *options)
        with third:  # told to stop in good order, it has kept everything
            third.until(lambda feed: feed.live() >= 1)
            last = third.settled(truth)
    before, after = first.rows(), second.rows()
    assert [prices(row) for row in before.values()] == [prices(truth[ts]) for ts in before]
    same_rows(before | after | third.rows(), truth, len(before) + 3, last)
    assert not any("state" in each.reason for each in (*second.of(FeedNews), *third.of(FeedNews)))
    assert any("state" in each.reason for each in first.of(FeedNews))


def test_books_from_standard_input_are_the_rows_book_until_they_are_stale(day_market, tmp_path):
    with serve(day_market) as sandbox, FeedProcess(sandbox, tmp_path, "--source", "alpaca", *OPTIONS, "--book") as feed:
        feed.until(lambda feed: feed.live() >= 1)
        while not any(row.book and row.book[0] == [50.0, 50.0] for row in feed.of(Row)):
            for symbol in SYMBOLS:
                snap = BookSnap(sandbox.clock.now(), symbol, [(50.0, 300.0), (49.0, 50.0)], [(51.0, 100.0)])
                feed.process.stdin.write(encode(snap))
            feed.process.stdin.flush()
            time.sleep(0.02)
        feed.until(lambda feed: any(each.name == "book" and each.state == "stale" for each in feed.of(FeedNews)[-9:]))
        count = len(feed.of(Row))
        feed.until(lambda feed: len(feed.of(Row)) > count + 1)
        assert feed.stop() == 0
    row = next(row for row in feed.of(Row) if row.book and row.book[0] == [50.0, 50.0])
    shown = dict(zip(FEATURES, row.book, strict=True))
    assert shown["bid_depth"] == [350.0, 350.0]
    assert shown["imbalance"] == [250.0 / 450.0] * 2
    books = [each for each in feed.of(FeedNews) if each.name == "book"]
    assert books[0].state == "absent"
    assert {(each.state, each.level) for each in books} >= {("fresh", "L2"), ("stale", "none")}
    assert feed.of(Row)[-1].book[0] != [50.0, 50.0]  # quotes have taken over
    assert all(bid == bid for bid in feed.of(Row)[-1].book[0])


def test_rows_of_the_vendor_s_minute_bars_need_no_trades(day_market, tmp_path):
    options = ("--source", "alpaca", *OPTIONS, "--channels", "bars")
    with serve(day_market) as sandbox, FeedProcess(sandbox, tmp_path, *options) as feed:
        feed.until(lambda feed: feed.live() >= 4 and feed.of(FeedNews)[-1].state == "fresh")
        truth = truth_of(day_market)
        last = feed.settled(truth)
        assert feed.stop() == 0
    same_rows(feed.rows(), truth, feed.of(Header)[0].warm_rows + 4, last)
    assert "bars" in {each.level for each in feed.of(FeedNews)} <= {"bars", "none"}
    assert all(row.book is None for row in feed.of(Row))


@vendors
def test_a_refused_key_and_a_missing_one_end_it_with_exit_5(source, day_market, tmp_path):
    wrong = {"APCA_API_SECRET_KEY": "hunter2", "MASSIVE_API_KEY": "hunter2"}
    options = ("--source", source, "--symbols", "AAPL")
    with serve(day_market) as sandbox, FeedProcess(sandbox, tmp_path, *options, **wrong) as feed:
        assert feed.process.wait(240) == 5
        said = feed.process.stderr.read().decode()
        assert "refuse" in said
        assert "hunter2" not in said
    missing = {"alpaca": "APCA_API_KEY_ID and APCA_API_SECRET_KEY are not set", "polygon": "MASSIVE_API_KEY is not set"}
    with FeedProcess(None, tmp_path, *options) as feed:
        assert feed.process.wait(240) == 5
        assert missing[source] in feed.process.stderr.read().decode()
        assert feed.messages == []


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--symbols", "AAPL", "--clock", "7m"), 2, "not a clock"),
        (("--symbols", "AA PL"), 2, "not a ticker"),
        (("--symbols", "AAPL", "--hours", "regulr"), 2, "did you mean 'regular'"),
        (("--symbols", "AAPL", "--channels", "quotes"), 2, "has neither"),
        (("--symbols", "AAPL", "--channels", "bars", "--clock", "5s"), 2, "cannot be made of minute bars"),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_sentence(options, code, said, tmp_path):
    keys = {"APCA_API_KEY_ID": "k", "APCA_API_SECRET_KEY": "s"}
    with FeedProcess(None, tmp_path, "--source", "alpaca", *options, **keys) as feed:
        assert feed.process.wait(240) == code
        (line,) = feed.process.stderr.read().decode().splitlines()
        assert said in line


@vendors
def test_a_plan_without_the_stream_ends_it_with_exit_5(source, day_market, tmp_path):
    options = ("--source", source, "--symbols", "AAPL", *(("--feed", "sip") if source == "alpaca" else ()))
    with serve(day_market, terms=Terms(plan="basic")) as sandbox, FeedProcess(sandbox, tmp_path, *options) as feed:
        assert feed.process.wait(240) == 5
        (line,) = feed.process.stderr.read().decode().splitlines()
        assert "plan" in line or "subscription" in line


@vendors
def test_a_closed_market_is_said_and_is_no_loss(source, day_market, tmp_path):
    options = ("--source", source, "--symbols", "AAPL", "--warm", "3", "--rate", "1000")
    with serve(day_market, history_s=7 * 3_600) as sandbox, FeedProcess(sandbox, tmp_path, *options) as feed:
        feed.until(lambda feed: len([each for each in feed.of(FeedNews) if each.state == "fresh"]) >= 4)
        assert feed.stop() == 0
    news = feed.of(FeedNews)[-1]
    assert (news.state, news.gaps, news.reason) == ("fresh", 0, "the exchange is closed")
    assert [row.to_close for row in feed.of(Row)] == [120.0, 60.0, 0.0]  # history alone


def test_a_state_that_cannot_be_kept_is_one_sentence(day_market, tmp_path):
    options = ("--source", "alpaca", *OPTIONS, "--state", str(tmp_path / "nowhere" / "feed.state"))
    with serve(day_market) as sandbox, FeedProcess(sandbox, tmp_path, *options) as feed:
        assert feed.process.wait(240) == 3
        (line,) = feed.process.stderr.read().decode().splitlines()
        assert "cannot be written (No such file or directory); give --state a place that can" in line


@pytest.mark.parametrize(("source", "symbol"), [("alpaca", "BTC/USD"), ("polygon", "BTC-USD")])
def test_crypto_rows_have_the_vendor_s_own_book(source, symbol, tmp_path):
    shape = (400, 1)
    rng = np.random.default_rng(3)
    ts = 1_704_240_000 * SECOND_NS + np.arange(1, 401) * MINUTE_NS  # a Wednesday's midnight, UTC
    close = 100.0 + np.cumsum(rng.integers(-5, 6, shape), axis=0) / 100.0
    volume = rng.integers(4, 400, shape).astype(float) * 4.0
    columns = (close - 0.01, close + 0.05, close - 0.05, close, volume)
    market = market_of_rows(Bars((symbol,), ts, *columns, *session_columns(ts, "1m")))
    options = ("--source", source, "--symbols", symbol, "--feed", "crypto", "--warm", "20", "--wait", "60")
    with serve(market) as sandbox, FeedProcess(sandbox, tmp_path, *options, "--patience", "9999") as feed:
        feed.until(lambda feed: len([row for row in feed.of(Row) if row.book is not None]) >= 3)
        built = rows_from_events(tape_of(market, "", (symbol,)), [symbol], "1m", hours="always")
        truth = {row.ts: row for row in rows_of(built.bars)}
        last = feed.settled(truth)
        assert feed.stop() == 0
    assert feed.of(Header)[0].warm_rows == 20
    same_rows(feed.rows(), truth, 23, last)
    assert "L2" in {each.level for each in feed.of(FeedNews)}
    row = [row for row in feed.of(Row) if row.book is not None and row.ts <= last][-1]
    shown = dict(zip(FEATURES, row.book, strict=True))
    _, bids, asks = market.book(symbol, row.ts - 1)
    assert (shown["bid"], shown["ask"]) == ([bids[0][0]], [asks[0][0]])
    assert shown["bid_depth"] == [sum(size for _, size in bids)]
