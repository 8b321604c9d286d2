"""A recording is what was received: every event, in order, to the last flush, in bounded memory."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data.errors import DataError
from data.events import (
    Bar,
    BookDelta,
    BookSnapshot,
    Gap,
    Quote,
    Status,
    Trade,
    TradeCancel,
    TradeCorrection,
    encode_event,
)
from data.events_columns import columns_of, to_arrow
from data.recorder import Recorder, record
from data.tape_columns import tables_of
from data.tape_events import (
    decode_frames,
    encode_frame,
    events_hash,
    is_event_tape,
    pieces_of,
    read_header,
    replay,
)

START = 1_704_205_800_000_000_000  # 2024-01-02 14:30 UTC
DAY = 86_400_000_000_000
nan = float("nan")


def event(i, start=START):
    """The i-th event of a stream with every kind in it."""
    ts = start + i * 1_000_000
    symbol = ("AAPL", "MSFT", "BTC/USD")[i % 3]
    kinds = (
        lambda: Trade(symbol, ts, ts + 5, 100 + i % 7 / 10, 100.0, "@,I", "buy", str(i), "V", "C", i),
        lambda: Quote(symbol, ts, ts + 5, 99.99, nan, 100.0, 0.0, "R", "V", "Q", "C"),
        lambda: BookSnapshot(symbol, ts, ts + 5, ((1.5, 2.0), (1.25, 3.0)), ((1.75, -0.0),), i),
        lambda: BookDelta(symbol, ts, ts + 5, (), ((1.75, 0.0),), i, i + 1, i - 1, 7, False),
        lambda: Bar(symbol, ts, ts + 5, "1m", 1.0, 2.0, 0.5, 1.5, 10.0, 1.25, 3, True, True),
        lambda: Status(symbol, ts, ts + 5, "halted", 1.0, 2.0, "T1", "news — pending", "A"),
        lambda: TradeCorrection(symbol, ts, ts + 5, "x-1", 1.0, 2.0, "@", "007"),
        lambda: TradeCancel(symbol, ts, ts + 5, str(i), 1.0, 2.0, "error", 5),
        lambda: Gap("", 0, ts, ts - 9, ts, "the connection broke", "Alpaca"),
    )
    return kinds[i * 7 % 9]()


def same(found, wanted):
    """Bit for bit: NaN and -0.0 as well."""
    return [encode_event(each) for each in found] == [encode_event(each) for each in wanted]


def test_events_out_are_events_in_and_in_order(tmp_path):
    wanted = [event(i) for i in range(5_000)]
    with Recorder(
        tmp_path / "t", source="test", symbols=["AAPL"], channels=["trades"], piece_bytes=100_000
    ) as recorder:
        for each in wanted:
            recorder.add(each)
    assert same(replay(tmp_path / "t"), wanted)
    assert events_hash(replay(tmp_path / "t")) == events_hash(wanted)
    assert len(pieces_of(tmp_path / "t")) > 3
    assert not list((tmp_path / "t").rglob("*.log"))
    header = read_header(tmp_path / "t")
    assert (header.source, header.symbols, header.channels, header.simulated) == ("test", ["AAPL"], ["trades"], False)
    assert is_event_tape(tmp_path / "t")
    assert not is_event_tape(tmp_path)


def test_the_tables_are_those_of_the_columns(tmp_path):
    columns = columns_of([event(i) for i in range(300)])
    ours, theirs = tables_of(columns), to_arrow(columns)
    assert ours.keys() == theirs.keys()
    for kind in ours:
        assert ours[kind].schema == theirs[kind].schema
        assert repr(ours[kind].to_pylist()) == repr(theirs[kind].to_pylist())


def test_a_new_date_begins_a_new_folder_and_order_is_kept(tmp_path):
    wanted = [event(i, START + day * DAY) for day in range(3) for i in range(50)]
    wanted += [event(50, START + DAY)]  # a clock set back stays in the folder of the day
    with Recorder(tmp_path, source="test") as recorder:
        for each in wanted:
            recorder.add(each)
    assert sorted(path.name for path in tmp_path.glob("2*")) == ["2024-01-02", "2024-01-03", "2024-01-04"]
    assert same(replay(tmp_path), wanted)


def test_a_tape_is_readable_while_it_is_written(tmp_path):
    wanted = [event(i) for i in range(100)]
    with Recorder(tmp_path, source="test") as recorder:
        for each in wanted[:60]:
            recorder.add(each)
        assert list(replay(tmp_path)) == []
        recorder.flush()
        assert recorder.flushed == 60
        assert same(replay(tmp_path), wanted[:60])


def test_a_second_recorder_is_refused_and_a_later_one_goes_on(tmp_path):
    wanted = [event(i) for i in range(90)]
    with Recorder(tmp_path, source="test", symbols=["A"]) as recorder:
        for each in wanted[:40]:
            recorder.add(each)
        with pytest.raises(DataError, match="another process records to"):
            Recorder(tmp_path, source="test")
    with Recorder(tmp_path, source="test", symbols=["B"]) as recorder:
        for each in wanted[40:]:
            recorder.add(each)
    assert same(replay(tmp_path), wanted)
    assert read_header(tmp_path).symbols == ["A", "B"]
    with pytest.raises(DataError, match="is a tape of test, not of other"):
        Recorder(tmp_path, source="other")


CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
from test_recorder import event
from data.recorder import Recorder

recorder = Recorder(sys.argv[1], source="test", piece_bytes=60_000)
i = 0
while True:
    for _ in range(137):
        recorder.add(event(i))
        i += 1
    recorder.flush()
    print(recorder.flushed, flush=True)
"""


def test_a_recorder_that_is_killed_leaves_everything_up_to_its_last_flush(tmp_path, checkout):
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path / "t", Path(__file__).parent],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        flushed = 0
        while flushed < 3_000:
            flushed = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split("\n")[:-1]  # a line that is cut off says nothing
    flushed = int(rest[-1]) if rest else flushed
    found = list(replay(tmp_path / "t"))
    assert len(found) >= flushed
    assert same(found, [event(i) for i in range(len(found))])
    # the next recorder goes on behind what is whole
    with Recorder(tmp_path / "t", source="test") as recorder:
        recorder.add(event(0))
    assert same(replay(tmp_path / "t"), [*found, event(0)])
    assert not list((tmp_path / "t").rglob("*.log"))


def test_half_a_frame_at_the_end_is_not_part_of_the_tape(tmp_path):
    recorder = Recorder(tmp_path, source="test")
    for i in range(10):
        recorder.add(event(i))
    recorder.flush()
    (log,) = tmp_path.rglob("*.log")
    whole = log.read_bytes()
    for cut in (1, 5, 9):
        log.write_bytes(whole[:-cut])
        assert same(replay(tmp_path), [event(i) for i in range(9)])
    recorder.close()
    assert same(replay(tmp_path), [event(i) for i in range(9)])


def test_a_piece_whose_log_was_not_removed_is_read_once(tmp_path):
    recorder = Recorder(tmp_path, source="test")
    for i in range(10):
        recorder.add(event(i))
    recorder.flush()
    (log,) = tmp_path.rglob("*.log")
    whole = log.read_bytes()
    recorder.close()
    log.write_bytes(whole)  # as if killed between the tables and the log's end
    assert same(replay(tmp_path), [event(i) for i in range(10)])
    Recorder(tmp_path, source="test").close()
    assert not log.exists()


def test_a_full_disk_is_one_sentence_and_the_tape_holds_what_was_flushed(tmp_path, monkeypatch):
    import errno

    recorder = Recorder(tmp_path, source="test")
    for i in range(100):
        recorder.add(event(i))
    recorder.flush()

    class Full:
        """A log on a disk with room for ten more bytes."""

        def __init__(self, log):
            self.log = log

        def write(self, body):
            self.log.write(bytes(body)[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.log, name)

    recorder._log = Full(recorder._log)
    recorder.add(event(100))
    with pytest.raises(DataError, match=r"No space left on device.*holds everything up to the last flush"):
        recorder.flush()
    with pytest.raises(DataError, match="open it again"):
        recorder.add(event(101))
    recorder.close()
    assert same(replay(tmp_path), [event(i) for i in range(100)])
    with Recorder(tmp_path, source="test") as again:
        again.add(event(100))
    assert same(replay(tmp_path), [event(i) for i in range(101)])


def test_what_is_no_tape_or_damaged_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="there is no event tape"):
        list(replay(tmp_path / "none"))
    with Recorder(tmp_path, source="test") as recorder:
        for i in range(100):
            recorder.add(event(i))
    path = next(tmp_path.rglob("trade.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="of an event tape is damaged"):
        list(replay(tmp_path))
    (tmp_path / "tape.json").write_text("{}")
    with pytest.raises(DataError, match="is damaged"):
        list(replay(tmp_path))


def test_frames_come_back_and_a_cut_stream_says_so(tmp_path):
    with Recorder(tmp_path, source="test") as recorder:
        for i in range(20):
            recorder.add(event(i))
    header = read_header(tmp_path)
    body = b"".join(encode_frame(each) for each in (header, *replay(tmp_path)))
    first, *events = decode_frames(io.BytesIO(body))
    assert first == header
    assert same(events, [event(i) for i in range(20)])
    with pytest.raises(DataError, match="ends inside a frame"):
        list(decode_frames(io.BytesIO(body[:-1])))
    with pytest.raises(DataError, match="does not begin with the header"):
        list(decode_frames(io.BytesIO(encode_frame(event(0)))))


class Clock:
    """Time that passes as it is waited for."""

    def now(self):
        return 0

    async def pause(self, seconds):
        await asyncio.sleep(seconds / 100)


async def endless():
    i = 0
    while True:
        yield event(i)
        i += 1
        await asyncio.sleep(0)


def test_a_recording_ends_after_so_many_events_or_so_long(tmp_path):
    with Recorder(tmp_path / "a", source="test") as recorder:
        assert asyncio.run(record(endless(), recorder, Clock(), limit=70)) == 70
    assert len(list(replay(tmp_path / "a"))) == 70
    with Recorder(tmp_path / "b", source="test") as recorder:
        count = asyncio.run(record(endless(), recorder, Clock(), seconds=5.0))
        assert recorder.flushed == count > 0


def test_what_ends_a_stream_is_raised_and_what_came_is_kept(tmp_path):
    async def failing():
        yield event(0)
        raise DataError("the vendor is gone")

    with Recorder(tmp_path, source="test") as recorder, pytest.raises(DataError, match="the vendor is gone"):
        asyncio.run(record(failing(), recorder, Clock()))
    assert same(replay(tmp_path), [event(0)])


MEASURED = """
import re, resource, sys
sys.path.insert(0, sys.argv[2])
from test_recorder import event
import websockets.asyncio.client
import data.sources.alpaca_stream
from data.recorder import Recorder

def rss():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1])

seen = []
with Recorder(sys.argv[1], source="test") as recorder:
    for i in range(60_000):
        recorder.add(event(i))
        if i in (20_000, 59_999):
            seen.append(rss())
print(*seen, "pandas" in sys.modules)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_is_flat_and_within_the_budget(tmp_path, checkout):
    """What the process itself holds; how much of its libraries' files is mapped besides is the page cache's affair."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, tmp_path / "t", Path(__file__).parent],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=True,
    )
    third, last, pandas = done.stdout.split()
    assert int(last) - int(third) < 4_000  # kB
    assert int(last) < 64 * 1_024
    assert pandas == "False"
