"""The rows before a live feed begins, fetched by a process of its own, which takes pyarrow or the SDK with it.

`fetch` asks the child for the last N rows that closed until now: out of the store, or of the vendor's history, made
by a row builder of the feed's own terms, so that a quiet minute is a row here as well.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import math
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from data.errors import AuthError, DataError, OnetapeError, UnavailableError, UsageError
from data.rows import Row, decode_stream, encode
from data.settings import CHECKOUT, Settings, environment_of

if TYPE_CHECKING:
    from data.events import Bar
    from data.types import Bars


class Question(msgspec.Struct, frozen=True):
    """Which rows. now: ns; those that closed until then. place: `store`, or a vendor. feed: the vendor's."""

    symbols: list[str]
    clock: str
    hours: str
    count: int
    now: int
    place: str
    feed: str
    adjustment: str


async def fetch(question: Question, settings: Settings) -> list[Row]:
    """The last rows, at most `question.count`, oldest first.

    Raises:
        AuthError, UsageError, DataError, UnavailableError: what the child said.
    """
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "data.feed_warm",
        msgspec.json.encode(question).decode(),
        env=os.environ | environment_of(settings) | {"PYTHONPATH": path},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, said = await child.communicate()
    except asyncio.CancelledError:
        child.kill()
        raise
    if child.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or [f"exit {child.returncode}"]
        kinds: dict[int, type[OnetapeError]] = {k.exit_code: k for k in (AuthError, UsageError, DataError)}
        raise kinds.get(child.returncode, UnavailableError)(lines[-1].removeprefix("error: "))
    return [message for message in decode_stream(io.BytesIO(out)) if isinstance(message, Row)]


def rows_before(question: Question, settings: Settings) -> list[Row]:
    """The rows themselves; runs in the child.

    Raises:
        UsageError, DataError, AuthError, UnavailableError: as the store or the vendor does.
    """
    from data.rowbuilder import RowBuilder

    builder = RowBuilder(question.symbols, question.clock, hours=question.hours)  # type: ignore[arg-type]
    rows: list[Row] = []
    last = 0
    for bar in _bars_before(question, settings):
        rows += [message for message in builder.feed(bar) if isinstance(message, Row)]
        last = bar.venue_ts
    # Not until now: history may be behind, and what it lacks is no quiet minute.
    rows += [message for message in builder.advance(last + builder.wait) if isinstance(message, Row)]
    return rows[-question.count :]


def _bars_before(question: Question, settings: Settings) -> Iterator[Bar]:
    """History's bars as events, in the order of their closes."""
    from data.events import Bar

    if question.feed == "crypto" and question.place != "store":
        yield from _crypto_before(question, settings)
        return
    bars = _history(question, settings)
    columns = [getattr(bars, name) for name in ("open", "high", "low", "close", "volume")]
    for t, ts in enumerate(bars.ts.tolist()):
        if ts > question.now:
            return
        for j, symbol in enumerate(bars.symbols):
            open_, high, low, close, volume = (float(column[t, j]) for column in columns)
            if close == close:
                yield Bar(symbol, ts, ts, question.clock, open_, high, low, close, volume)


def _crypto_before(question: Question, settings: Settings) -> list[Bar]:
    """Minute bars of a market that never closes, through the SDK that fills gaps with them."""
    import importlib

    from data.calendar import SECOND_NS, parse_clock
    from data.sources.base import WallClock
    from data.sources.http import Patience

    ask = importlib.import_module(f"data.sources.{question.place}_backfill").backfill_of
    start = question.now - (question.count + 1) * parse_clock(question.clock) * SECOND_NS
    bars: list[Bar] = ask(settings, "crypto", WallClock(), Patience())(question.symbols, start, question.now)
    return sorted((msgspec.structs.replace(bar, recv_ts=bar.venue_ts) for bar in bars), key=lambda bar: bar.venue_ts)


def _history(question: Question, settings: Settings) -> Bars:
    from data.calendar import DAY_SECONDS, NEW_YORK, SECOND_NS, parse_clock

    today = dt.datetime.fromtimestamp(question.now / SECOND_NS, NEW_YORK).date()
    a_day = 1 if question.clock == "1d" else max(math.ceil(23_400 / parse_clock(question.clock)), 1)
    if question.hours == "always":
        a_day = max(DAY_SECONDS // parse_clock(question.clock), 1)
    days = question.count / a_day
    # Weekends and holidays: five sessions lie in at most ten days.
    start = today - dt.timedelta(days=math.ceil(days * (1 if question.hours == "always" else 1.6)) + 5)
    if question.place == "store":
        from data.store import Store

        bars, _ = Store(settings.store).load(question.symbols, question.clock, start, today, view="final")
        return bars
    from data.sources.base import load_vendor

    more: dict[str, Any] = {"feed": question.feed} if question.place == "alpaca" and question.feed != "crypto" else {}
    return load_vendor(question.place).history(
        question.symbols,
        start,
        today,
        question.clock,
        adjustment=question.adjustment,  # type: ignore[arg-type]  # checked there
        extended=question.hours == "extended",
        settings=settings,
        **more,
    )


def main(told: str) -> int:
    """Write the rows to stdout as frames; the exit code."""
    from data.settings import load_settings

    try:
        rows = rows_before(msgspec.json.decode(told, type=Question), load_settings())
    except OnetapeError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.buffer.write(b"".join(map(encode, rows)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
