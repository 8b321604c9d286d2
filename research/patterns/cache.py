"""Replies by the hash of their request: in a SQLite file, or in Redis where several machines share them.

What is cached is what the vendor said, never the key; what comes out is read as strictly as what came over the wire,
so a damaged or foreign entry is a miss.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from data.errors import UnavailableError
from data.settings import Secret
from research.patterns.answer import read_answer
from research.patterns.reply import KEPT, Reply, Usage

PREFIX = "onetape:patterns:"


class Cache(Protocol):
    """Replies by request hash."""

    def get(self, key: str) -> Reply | None:
        """The reply kept under `key`, or None."""

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; the first one under a key stays."""


class SqliteCache:
    """In one file, made when first opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as db:
            db.execute("CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def get(self, key: str) -> Reply | None:
        """The reply kept under `key`, or None."""
        with closing(self._connect()) as db:
            row = db.execute("SELECT reply FROM replies WHERE request = ?", (key,)).fetchone()
        return _decoded(row[0]) if row else None

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; the first one under a key stays."""
        with closing(self._connect()) as db:
            db.execute("INSERT OR IGNORE INTO replies (request, reply) VALUES (?, ?)", (key, _encoded(reply)))

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=30.0, isolation_level=None)


class RedisCache:
    """In Redis or Valkey; a server that goes away is a cache without entries.

    Raises:
        UnavailableError: the package `redis` is not installed, or nobody answers at the address.
    """

    def __init__(self, url: Secret, timeout_s: float = 1.0) -> None:
        try:
            import redis
        except ModuleNotFoundError:
            raise UnavailableError("REDIS_URL is set but the package redis is not installed; run: make setup") from None
        self._gone = redis.RedisError
        self._redis: Any = redis.Redis.from_url(
            url.get_secret_value(), socket_timeout=timeout_s, socket_connect_timeout=timeout_s
        )
        try:
            self._redis.ping()
        except redis.RedisError as error:
            raise UnavailableError(
                f"nobody answers at REDIS_URL ({type(error).__name__}); start the server, or leave the variable out "
                f"to keep replies in a file"
            ) from None

    def get(self, key: str) -> Reply | None:
        """The reply kept under `key`, or None."""
        try:
            found = self._redis.get(PREFIX + key)
        except self._gone:
            return None
        return _decoded(found) if found is not None else None

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; the first one under a key stays."""
        try:
            self._redis.set(PREFIX + key, _encoded(reply), nx=True)
        except self._gone:
            return

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def open_cache(path: Path, redis_url: Secret | None = None) -> SqliteCache | RedisCache:
    """Redis where there is an address, else the file."""
    return SqliteCache(path) if redis_url is None else RedisCache(redis_url)


def _encoded(reply: Reply) -> str:
    return json.dumps(reply._asdict() | {"usage": reply.usage})


def _decoded(text: str | bytes) -> Reply | None:
    try:
        told = json.loads(text)
        usage = None if told["usage"] is None else Usage(*map(int, told["usage"]))
        reply = Reply(str(told["outcome"]), str(told["content"]), str(told["model"]), usage, int(told["latency_ms"]))
    except (ValueError, KeyError, TypeError):
        return None
    whole = reply.outcome != "answered" or read_answer(reply.content) is not None
    return reply if reply.outcome in KEPT and whole else None
