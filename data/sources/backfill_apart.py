"""The bars of a gap fetched by a process of its own, which takes the vendor's SDK with it when it ends.

alpaca-py brings pandas: 120 MB that a recorder, or a live feed, would keep for the rest of the day because its
connection broke once. Keys go by the child's environment, never by its arguments.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Literal

import msgspec

from data.errors import AuthError, OnetapeError, UnavailableError
from data.events import Bar
from data.settings import CHECKOUT, Settings, environment_of, load_settings
from data.sources.base import Clock, WallClock
from data.sources.http import Patience
from data.sources.stream_dialect import Backfill

Where = Literal["here", "apart", "no"]
"""Who asks for the bars of a gap: this process, one of its own, or nobody."""
LONGEST_S = 120.0


class Question(msgspec.Struct, frozen=True):
    """What the child is to ask. feed: a feed of Alpaca, a cluster of Polygon. requests_a_minute: 0 for the default."""

    vendor: str
    feed: str
    symbols: list[str]
    start: int
    end: int
    requests_a_minute: int = 0


def apart(vendor: str, feed: str, settings: Settings, wall: Clock, requests_a_minute: int = 0) -> Backfill:
    """A `Backfill` that asks in a child; `vendor` is the source's module, `wall` the clock of `recv_ts`.

    It raises what the child would have raised.
    """

    def fetch(symbols: Sequence[str], start: int, end: int) -> list[Bar]:
        question = Question(vendor, feed, list(symbols), start, end, requests_a_minute)
        path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
        try:
            done = subprocess.run(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-m", "data.sources.backfill_apart", msgspec.json.encode(question).decode()],
                env=os.environ | environment_of(settings) | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"{vendor} did not give the bars of a gap in {LONGEST_S:g} s") from None
        if done.returncode:
            said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
            kind = AuthError if done.returncode == AuthError.exit_code else UnavailableError
            raise kind(said.removeprefix("error: "))
        now = wall.now()
        bars = msgspec.msgpack.decode(done.stdout, type=list[Bar])
        return [msgspec.structs.replace(bar, recv_ts=now) for bar in bars]

    return fetch


def main(told: str) -> int:
    """Ask, write the bars to stdout; the exit code."""
    question = msgspec.json.decode(told, type=Question)
    try:
        module = importlib.import_module(f"data.sources.{question.vendor}_backfill")
        more = {"requests_a_minute": question.requests_a_minute} if question.requests_a_minute else {}
        ask: Backfill = module.backfill_of(load_settings(), question.feed, WallClock(), Patience(), **more)
        bars = ask(question.symbols, question.start, question.end)
    except OnetapeError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.buffer.write(msgspec.msgpack.encode(bars))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
