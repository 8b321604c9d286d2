"""One feed for many readers: all of it to everyone, the slow let go, the hub's loss survived."""

import asyncio
import os
import signal
import stat
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ConfigError, DataError, UnavailableError
from data.rows import FeedNews, Header, Row, Trading, encode
from live.feed import TapeFeed
from live.hub import Hub, _Reader, feed_command, read_status
from live.hub_feed import HubFeed
from live.hub_log import LENGTH, FrameLog, split


def row(ts, price=1.0):
    one = [price]
    return Row(ts, 20250102, 60.0, 60.0, one, one, one, one, one)


def header(**changes):
    return msgspec.structs.replace(Header(["AAA"], "1m", "test", True, "content", 0), **changes)


def filled(log, *messages):
    for message in messages:
        log.append(encode(message))
    return log


def decoded(data):
    frames, rest = split(data)
    assert rest == b""
    of = msgspec.msgpack.Decoder(Header | Row | FeedNews | Trading)
    return [of.decode(frame[LENGTH.size :]) for frame in frames]


# --- the log --------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.lists(st.integers(0, 60), max_size=10))
def test_a_stream_cut_anywhere_gives_the_same_frames(body, cuts):
    stream = b"".join(struct.pack("<I", len(part)) + part for part in (body, b"", body[::-1]))
    frames, held, at = [], b"", 0
    for cut in [*cuts, len(stream)]:
        more, held = split(held + stream[at : at + cut])
        frames, at = frames + more, at + cut
    assert b"".join(frames) + held == stream[:at]
    assert [len(frame) - LENGTH.size for frame in frames] == [len(body), 0, len(body)][: len(frames)]


@given(st.integers(1, 40), st.integers(0, 45), st.integers(100, 2_000))
def test_a_reader_gets_every_kept_row_behind_the_last_it_knows_once_and_in_order(count, since, most):
    log = filled(FrameLog(most), header(), *(row(ts) for ts in range(1, count + 1)))
    greeting, index = log.greeting(since)
    rows = []
    while index < log.end:
        chunk, index = log.after(index, 64)
        rows += [message.ts for message in decoded(chunk)]
    kept = log.end - log.first
    assert rows == [ts for ts in range(count - kept + 1, count + 1) if ts > since]
    assert log.bytes <= most or kept == 1
    assert isinstance(decoded(greeting)[0], Header)


def test_rows_closed_before_a_reader_came_are_history_for_it_in_a_live_feed_and_not_in_a_tape():
    for content, warm in (("", 3), ("content", 0)):
        log = filled(FrameLog(10_000), header(content=content), *(row(ts) for ts in (1, 2, 3, 4)))
        assert decoded(log.greeting(1)[0])[0].warm_rows == warm


def test_who_comes_late_hears_how_the_feed_stands_and_what_trades():
    news, halt = FeedNews(5, "test", "fresh", "L1", 0.0, 0), Trading(5, "AAA", "halted")
    log = filled(FrameLog(200), header(), FeedNews(1, "test", "absent", "none", -1.0, 0), news, halt)
    filled(log, *(row(ts) for ts in range(10, 60)))
    assert decoded(log.greeting(0)[0])[1:] == [news, halt]


def test_a_feed_that_comes_back_as_another_is_refused_and_its_old_rows_are_not_kept_twice():
    log = filled(FrameLog(10_000), header(), row(1), row(2))
    assert log.append(encode(row(2))) == "old"
    assert log.append(encode(header())) == "header"
    assert log.rows == 2
    with pytest.raises(DataError, match="came back as another"):
        log.append(encode(header(clock="5m")))
    with pytest.raises(DataError, match="not a feed message"):
        log.append(encode(row(3))[:-4])


# --- hub and readers ------------------------------------------------------------------------------------------------


def player(tmp_path, code):
    """Arguments of a process that runs `code` with `out(message)` and `time` at hand."""
    path = tmp_path / "player.py"
    path.write_text(
        "import sys, time, os\nfrom data.rows import *\n"
        "def out(message):\n    sys.stdout.buffer.write(encode(message)); sys.stdout.buffer.flush()\n"
        "def row(ts):\n    one = [float(ts)]; return Row(ts, 20250102, 60.0, 60.0, one, one, one, one, one)\n"
        "head = Header(['AAA'], '1m', 'test', True, CONTENT, 0)\n".replace("CONTENT", repr(""))
        + code
    )
    return [str(path)]


def heard(path, **options):
    """A reader that gives a busy machine time to start its hub."""
    return HubFeed(path, patience_s=120.0, **options)


async def told(feed):
    """Every row until the end."""
    found = []
    while (rows := await feed.rows()) is not None:
        found += rows
    return found


async def until(condition):
    while not condition():  # noqa: ASYNC110  # of another process
        await asyncio.sleep(0.01)


def served(hub, main):
    """Run `main(hub)` beside the hub."""

    async def both():
        running = asyncio.ensure_future(hub.run())
        try:
            return await asyncio.wait_for(main(hub), 240)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return asyncio.run(both())


def test_every_reader_gets_every_bit_of_a_tape(tape, tmp_path):
    path = tape(800)

    async def alone():
        async with TapeFeed(path, 0) as feed:
            return feed.header, await told(feed)

    async def together(hub):
        async def one(k):
            async with heard(hub.path, seed=str(k)) as feed:
                return feed.header, await told(feed)

        first = await asyncio.gather(*(one(k) for k in range(5)))
        return [*first, await one("late")]

    expected = asyncio.run(alone())
    hub = Hub(feed_command(path, 0, ()), tmp_path / "hub.sock", lossless=True, patient=False)
    for head, rows in served(hub, together):
        assert head == expected[0]
        assert msgspec.msgpack.encode(rows) == msgspec.msgpack.encode(expected[1])
    assert hub.dropped == 0


class Wire:
    """A connection that notes whose turn it was."""

    def __init__(self, name, turns):
        self.name, self.turns = name, turns

    def is_closing(self):
        return False

    def write(self, _data):
        self.turns.append(self.name)


def turns_of(tmp_path, names, rows, seed):
    """Who was written to, in order, for each row."""
    hub, turns, found = Hub([], tmp_path / "hub.sock", seed=seed), [], []
    filled(hub.log, header())
    for name in names:
        reader = _Reader(hub)
        reader.transport = Wire(name, turns)
        hub.came(reader)
    for ts in range(1, rows + 1):
        turns.clear()
        filled(hub.log, row(ts))
        hub._push_all()
        found.append("".join(turns))
    return found


@pytest.mark.parametrize("acting", ["abcdefgh", "abcd", "ab", "aeh"])
def test_of_any_readers_each_is_first_as_often_as_the_others(tmp_path, acting):
    rows = 4_000
    turns = turns_of(tmp_path, "abcdefgh", rows, 1)
    assert all(sorted(turn) == list("abcdefgh") for turn in turns)
    firsts = [min(acting, key=turn.index) for turn in turns]
    share = rows / len(acting)
    spread = 4.0 * (share * (1.0 - 1.0 / len(acting))) ** 0.5
    assert all(abs(firsts.count(name) - share) < spread for name in acting)


def test_the_order_is_the_same_for_the_same_seed(tmp_path):
    assert turns_of(tmp_path, "abcd", 50, 1) == turns_of(tmp_path, "abcd", 50, 1) != turns_of(tmp_path, "abcd", 50, 2)


def test_a_log_smaller_than_the_tape_waits_for_its_slowest_reader(tape, tmp_path):
    async def together(hub):
        async with heard(hub.path) as quick, heard(hub.path) as slow:
            reading = asyncio.ensure_future(told(quick))
            rows = []
            while (some := await slow.rows()) is not None:
                rows += some
                await asyncio.sleep(0.002)
            return len(rows), len(await reading)

    hub = Hub(feed_command(tape(5_000), 0, ()), tmp_path / "hub.sock", lossless=True, patient=False, most_bytes=600_000)
    assert served(hub, together) == (5_000, 5_000)
    assert hub.dropped == 0


def test_a_reader_that_does_not_read_is_let_go_and_the_others_do_not_wait_for_it(tmp_path):
    go = tmp_path / "go"
    code = f"out(head)\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    code += "for ts in range(1, 60_001): out(row(ts))\ntime.sleep(600)\n"

    async def together(hub):
        async with heard(hub.path) as quick, heard(hub.path) as stuck:
            await stuck.messages() if stuck._early else None
            stuck._writer.transport.pause_reading()
            go.touch()
            seen = 0
            while seen < 60_000:
                seen += len(await quick.rows())
            stuck._writer.transport.resume_reading()
            await until(lambda: hub.dropped == 1)
            while stuck.since < 60_000:  # it comes back, and hears the rows that are still kept
                await stuck.rows()
            return quick.losses, stuck.losses

    hub = Hub(player(tmp_path, code), tmp_path / "hub.sock", most_bytes=200_000)
    assert served(hub, together) == (0, 1)


def test_a_lost_hub_is_silence_and_its_return_goes_on_behind_the_last_row(tmp_path):
    code = "out(head)\nfor ts in range(1, 10_001):\n    out(row(ts)); time.sleep(0.005)\n"

    async def main():
        path = tmp_path / "hub.sock"
        first, second = (Hub(player(tmp_path, code), path) for _ in range(2))
        one = asyncio.ensure_future(first.run())
        async with heard(path) as feed:
            seen = []
            while len(seen) < 5:
                seen += await feed.rows()
            one.cancel()
            await asyncio.gather(one, return_exceptions=True)
            waiting = asyncio.ensure_future(feed.rows())
            await asyncio.sleep(0.3)
            assert not waiting.done()
            two = asyncio.ensure_future(second.run())
            seen += await waiting
            two.cancel()
            await asyncio.gather(two, return_exceptions=True)
            assert [line.ts for line in seen] == list(range(1, len(seen) + 1))
            assert feed.losses >= 1

    asyncio.run(asyncio.wait_for(main(), 240))


def test_a_feed_that_dies_is_started_again_and_the_readers_hear_that_it_is_gone(tmp_path):
    code = (
        f"mark = {str(tmp_path / 'mark')!r}\nagain = os.path.exists(mark)\nopen(mark, 'w').close()\nout(head)\n"
        "for ts in (1, 2): out(row(ts))\n"
        "if not again: sys.exit('error: the line is down')\n"
        "out(row(3)); time.sleep(600)\n"
    )

    async def reader(hub):
        async with heard(hub.path) as feed:
            seen = []
            while feed.since < 3:
                seen += await feed.messages()
            return seen

    hub = Hub(player(tmp_path, code), tmp_path / "hub.sock")
    seen = served(hub, reader)
    assert [each.ts for each in seen if isinstance(each, Row)] == [1, 2, 3]
    news = [each for each in seen if isinstance(each, FeedNews)]
    assert {(each.state, each.level, each.reason) for each in news} == {("stale", "none", "the line is down")}
    assert hub.restarts == 1


def test_a_killed_player_of_a_tape_ends_the_hub_with_its_words(tmp_path):
    hub = Hub(player(tmp_path, "sys.exit('error: tape is damaged')\n"), tmp_path / "hub.sock", patient=False)
    with pytest.raises(UnavailableError, match="tape is damaged"):
        asyncio.run(hub.run())


def test_no_hub_is_said_after_patience_and_two_hubs_are_refused(tmp_path):
    async def alone():
        async with HubFeed(tmp_path / "none.sock", patience_s=0.2):
            pass

    with pytest.raises(UnavailableError, match="no hub answered"):
        asyncio.run(alone())

    async def second(hub):
        await until(hub.path.exists)
        with pytest.raises(ConfigError, match="somebody listens"):
            await Hub(["-c", ""], hub.path).run()
        assert stat.S_IMODE(hub.path.stat().st_mode) == 0o600

    served(Hub(player(tmp_path, "out(head); time.sleep(600)\n"), tmp_path / "hub.sock"), second)


def test_the_socket_of_a_killed_hub_is_taken_over_and_paths_may_be_long(tmp_path):
    folder = tmp_path / ("long" * 20) / ("name" * 20)
    path = folder / "hub.sock"

    async def main(hub):
        async with heard(path) as feed:
            return feed.header.source

    for _ in range(2):
        assert served(Hub(player(tmp_path, "out(head); time.sleep(600)\n"), path), main) == "test"
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            import socket

            left = socket.socket(socket.AF_UNIX)
            here = os.open(folder, os.O_RDONLY)
            left.bind(f"/proc/self/fd/{here}/hub.sock")  # as a killed hub leaves it
            left.close()
            os.close(here)


def test_the_command_serves_a_tape_says_how_it_stands_and_ends_in_good_order(tape, tmp_path, checkout):
    import subprocess
    import sys

    path = tmp_path / "hub.sock"
    process = subprocess.Popen(
        [sys.executable, "-m", "live", "hub", path, "--replay", tape(800), "--speed", "0"],
        cwd=checkout,
        stderr=subprocess.PIPE,
        text=True,
    )

    async def main():
        async with heard(path) as feed:
            return len(await told(feed))

    try:
        assert asyncio.run(main()) == 800
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "800 rows" in said
    status = read_status(path)
    assert (status.rows, status.ended, status.dropped) == (800, True, 0)
    assert not path.exists()


def test_a_reader_gets_the_symbols_it_wants_in_its_own_order(tape, tmp_path):
    async def main(hub):
        async with heard(hub.path) as whole, heard(hub.path, symbols=["BBB"]) as one:
            assert one.header.symbols == ["BBB"]
            everything, some = await told(whole), await told(one)
        with pytest.raises(ConfigError, match="does not have CCC"):
            async with heard(hub.path, symbols=["AAA", "CCC"]):
                pass
        return everything, some

    everything, some = served(
        Hub(feed_command(tape(60), 0, ()), tmp_path / "hub.sock", lossless=True, patient=False), main
    )
    assert [(row.ts, row.close, row.book[0]) for row in some] == [
        (row.ts, row.close[1:], row.book[0][1:]) for row in everything
    ]


def test_news_of_other_symbols_is_left_out(tmp_path):
    code = (
        "head = Header(['AAA', 'BBB'], '1m', 'test', True, '', 0)\nout(head)\n"
        "for s in ('AAA', 'BBB'):\n    out(Trading(1, s, 'halted')); out(Touch(1, s, 1.0, 2.0, 3.0, 4.0))\n"
        "out(FeedNews(1, 'test', 'fresh', 'L1', 0.0, 0)); time.sleep(600)\n"
    )

    async def main(hub):
        async with heard(hub.path, symbols=["BBB"]) as feed:
            seen = []
            while not any(isinstance(each, FeedNews) for each in seen):
                seen += await feed.messages()
            return seen

    seen = served(Hub(player(tmp_path, code), tmp_path / "hub.sock"), main)
    assert {each.symbol for each in seen if not isinstance(each, FeedNews)} == {"BBB"}
