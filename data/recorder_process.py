"""The process that records: nothing in it but a stream, the recorder and their libraries.

`python -m data record` reads the options, then becomes this process, so that what reads options (26 MB) is not kept
in memory for as long as the market is open.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from data.errors import OnetapeError
from data.settings import CHECKOUT


class Options(msgspec.Struct, frozen=True):
    """What is recorded; as the command's options."""

    source: str
    symbols: list[str]
    channels: list[str]
    out: str
    feed: str | None
    seconds: float
    events: int
    flush_s: float
    as_json: bool


def become(options: Options) -> NoReturn:
    """Replace this process by one that records."""
    sys.stdout.flush()
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
    told = msgspec.json.encode(options).decode()
    os.execve(sys.executable, [sys.executable, "-m", "data.recorder_process", told], os.environ | {"PYTHONPATH": path})  # noqa: S606


def main(told: str) -> int:
    """Record until the end that was asked for, Ctrl-C or SIGTERM; the exit code."""
    import asyncio

    from data.door import print_json

    options = msgspec.json.decode(told, type=Options)
    try:
        count = asyncio.run(_record(options))
    except OnetapeError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    if options.as_json:
        print_json({"tape": options.out, "source": options.source, "events": count})
    else:
        sys.stdout.write(f"{options.out}: {count} events of {options.source}\n")
    return 0


async def _record(options: Options) -> int:
    import asyncio
    import contextlib
    import signal

    from data.recorder import Recorder, record
    from data.sources.base import WallClock, load_vendor

    vendor = load_vendor(options.source)
    more: Any = {"backfill": "apart"}
    if options.feed is not None:
        more["cluster" if options.source == "polygon" else "feed"] = options.feed
    stream: Any = vendor.stream(options.symbols, options.channels, **more)  # type: ignore[arg-type]  # checked there
    terms = {"source": vendor.NAME, "symbols": options.symbols, "channels": options.channels}
    async with stream:
        with Recorder(Path(options.out), **terms) as recorder:  # type: ignore[arg-type]  # as named above
            limits: Any = {"flush_s": options.flush_s, "limit": options.events, "seconds": options.seconds}
            task = asyncio.ensure_future(record(stream, recorder, WallClock(), **limits))
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
            with contextlib.suppress(asyncio.CancelledError):
                await task
    return recorder.count


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
