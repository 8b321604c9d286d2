"""`python -m data record | replay | play`: tapes on their way in and out."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.door import Json
from data.errors import UsageError

if TYPE_CHECKING:
    from data.events import MarketEvent
    from data.rows import Header, Row

TapeArgument = Annotated[Path, typer.Argument(help="The tape.")]
SpeedOption = Annotated[float, typer.Option(help="Tape time over wall time; 0: as fast as it is read.")]


def record(
    source: Annotated[str, typer.Option(help="The vendor: alpaca or polygon.")],
    symbols: Annotated[str, typer.Option(help="Names, separated by commas.")],
    out: Annotated[Path, typer.Option(help="Folder of the tape; one that is there goes on.")],
    channels: Annotated[
        str, typer.Option(help="trades, quotes, bars, books, ... separated by commas.")
    ] = "trades,quotes",
    feed: Annotated[str | None, typer.Option(help="Alpaca: iex, sip, crypto. Polygon: stocks, crypto.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="Stop after so long; 0: at Ctrl-C.")] = 0.0,
    events: Annotated[int, typer.Option(min=0, help="Stop after so many events; 0: at Ctrl-C.")] = 0,
    flush: Annotated[float, typer.Option(min=0.01, help="Seconds between flushes: what a crash may cost.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Record a vendor's stream, every event as seen, until Ctrl-C."""
    from data.recorder_process import Options, become
    from data.sources.base import load_vendor

    load_vendor(source)
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    wanted = [name.strip() for name in channels.split(",") if name.strip()]
    become(Options(source, names, wanted, str(out), feed, seconds, events, flush, as_json))


def replay(tape: TapeArgument, speed: SpeedOption = 0.0) -> None:
    """Write a tape to stdout as binary frames: the events of a recording, or the rows of a row tape."""
    from data.tape_events import encode_frame, is_event_tape, read_header
    from data.tape_events import replay as events_of

    if not is_event_tape(tape):
        play(tape, speed)
        return
    out = _binary_out("replay", speed)
    out.write(encode_frame(read_header(tape)))
    for event in _paced_events(events_of(tape), speed):
        out.write(encode_frame(event))
        if speed > 0:
            out.flush()
    out.flush()


def play(tape: TapeArgument, speed: SpeedOption = 0.0) -> None:
    """Write a tape's rows to stdout as binary frames: what a live process takes for its feed."""
    from data.rows import encode
    from data.tape import play as messages

    out = _binary_out("play", speed)
    for message in _paced(messages(tape), speed):
        out.write(encode(message))
        if speed > 0:
            out.flush()
    out.flush()


def _binary_out(command: str, speed: float) -> Any:
    if not 0 <= speed < float("inf"):
        raise UsageError(f"speed {speed} is not 0 or more; 0 plays as fast as the tape is read")
    if sys.stdout.isatty():
        raise UsageError(f"{command} writes binary frames; send them to a program: python -m data {command} TAPE | ...")
    return sys.stdout.buffer


def _paced(messages: Iterable[Header | Row], speed: float) -> Iterator[Header | Row]:
    """The messages, each row at its time after the session's first; from session to session there is no pause."""
    from data.rows import Header

    pace = _Pace(speed)
    for message in messages:
        if speed > 0 and not isinstance(message, Header):
            pace.wait(message.session, message.ts)
        yield message


def _paced_events(events: Iterable[MarketEvent], speed: float) -> Iterator[MarketEvent]:
    """The events, each at its receive time after the day's first; from day to day there is no pause."""
    pace = _Pace(speed)
    for event in events:
        if speed > 0:
            pace.wait(event.recv_ts // _DAY_NS, event.recv_ts)
        yield event


_DAY_NS = 86_400 * 1_000_000_000


class _Pace:
    """Waits until an instant of the tape has come, counted from the first of its part."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._part: int | None = None
        self._first_ts, self._started = 0, 0.0

    def wait(self, part: int, ts: int) -> None:
        if part != self._part:
            self._part, self._first_ts, self._started = part, ts, time.monotonic()
        due = self._started + (ts - self._first_ts) / 1e9 / self._speed
        time.sleep(max(due - time.monotonic(), 0.0))
