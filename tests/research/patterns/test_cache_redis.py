"""Replies in Redis, with a server of the test's own; skipped where there is none."""

import shutil
import socket
import subprocess
import time

import pytest

from data.errors import UnavailableError
from data.settings import Secret
from data.sources.random_walk import random_bars
from research.patterns.cache import PREFIX, RedisCache, open_cache
from research.patterns.picture import picture_at
from research.patterns.reply import Reply

redis = pytest.importorskip("redis", reason="the package redis (extra `vendors`) is not installed")


@pytest.fixture
def address(tmp_path):
    """A server on a free port, gone afterwards."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("neither redis-server nor valkey-server is on this machine (Debian: apt install redis-server)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        for _ in range(1_200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Secret(f"redis://127.0.0.1:{port}/0"), server
    finally:
        server.kill()
        server.wait(10)


def test_replies_are_shared_through_redis(address, served, desk, tmp_path):
    url, _ = address
    bars, _ = random_bars(100, ["AAA"], seed=5)
    picture = picture_at(bars, 99, "AAA", "1m")
    one, two = open_cache(tmp_path / "unused", url), open_cache(tmp_path / "unused", url)
    assert isinstance(one, RedisCache)
    server = served()
    first = desk(server, cache=one)[0].ask(picture)
    second = desk(server, cache=two)[0].ask(picture)
    assert (first.how, second.how, server.http.requests) == ("call", "cache", 1)
    assert first.answer == second.answer
    assert not (tmp_path / "unused").exists()
    one.close()
    two.close()


def test_a_foreign_entry_is_a_miss_and_the_first_reply_stays(address, tmp_path, said):
    cache = open_cache(tmp_path, address[0])
    raw = redis.Redis.from_url(address[0].get_secret_value())
    for text in ("not JSON", "[1]", '{"outcome": "answered"}', '{"outcome": "late", "content": ""}'):
        raw.set(PREFIX + "k", text)
        assert cache.get("k") is None
    raw.delete(PREFIX + "k")
    cache.put("k", Reply("answered", said(bias="up")))
    cache.put("k", Reply("answered", said(bias="down")))
    assert '"up"' in cache.get("k").content
    raw.close()
    cache.close()


def test_a_server_that_goes_away_is_an_empty_cache(address, tmp_path, said):
    url, server = address
    cache = open_cache(tmp_path, url)
    cache.put("k", Reply("answered", said()))
    server.kill()
    server.wait(10)
    assert cache.get("k") is None
    cache.put("k", Reply("answered", said()))
    cache.close()
    with pytest.raises(UnavailableError, match="nobody answers at REDIS_URL") as error:
        open_cache(tmp_path, url)
    assert url.get_secret_value() not in str(error.value)
